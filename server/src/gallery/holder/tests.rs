use std::collections::BTreeMap;

use palm_models::template::OrientationCode;
use palm_proto::id::{PaymentId, TillId};

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
    fixture::{krw, request, search_code, template},
    gallery::{
        matcher::Matcher,
        rest,
        sealed::{block::Block, folder::Stored},
    },
    rows::Table,
    store::MemoryStore,
};

pub(crate) fn customer(n: u64) -> CustomerId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    CustomerId::from_bytes(bytes)
}

pub(crate) fn setup(store: &Arc<MemoryStore>, key: u8, seed: u64) -> HolderSetup {
    HolderSetup {
        policy: Identification::default(),
        samples_max: 10_000,
        searches_per_minute: 1_000,
        store: Arc::clone(store) as _,
        master: vault::Keyholder::new([7; 32]),
        key: EpochKey::new([key; 32]),
        opening_key: OpeningKey::new(1, [9; 32]),
        clock: Arc::new(ManualClock::new(Timestamp::from_micros(1))),
        entropy: Arc::new(SeededEntropy::new(seed)),
        on_failure: Box::new(|error| panic!("the store failed: {error}")),
    }
}

/// Both roles without the wire between them, and the disks of both.
struct Two {
    store: Arc<MemoryStore>,
    holder: Holder,
    matcher: Matcher,
    session: Session,
    sent: std::cell::Cell<u64>,
}

impl Two {
    fn on(store: Arc<MemoryStore>) -> Self {
        let holder = Holder::open(setup(&store, 1, 1)).unwrap();
        let matcher = Matcher::load(None, threads(1).unwrap()).unwrap();
        let mut two = Self {
            store,
            holder,
            matcher,
            session: [0; 16],
            sent: std::cell::Cell::new(0),
        };
        two.attach();
        two.settle();
        two
    }

    fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    /// The keyholder is stopped at any moment and started again.
    fn restart_holder(&mut self, key: u8, seed: u64) {
        self.holder = Holder::open(setup(&self.store, key, seed)).unwrap();
    }

    fn attach(&mut self) {
        let directories = self.matcher.directories();
        let blocks = directories.map(|(header, own)| (header.clone(), own.to_vec()));
        let attached = self.holder.attach(blocks.collect()).unwrap();
        for name in attached.dead {
            self.matcher.remove(name).unwrap();
        }
        self.session = attached.session;
    }

    fn settle(&mut self) {
        while let Some(stored) = self.next_block() {
            self.commit(stored);
        }
    }

    /// Does every step until a block is to be kept; gives it, not yet committed.
    fn next_block(&mut self) -> Option<Stored> {
        loop {
            match self.holder.settle(self.session).unwrap() {
                Step::Done => return None,
                Step::On => {}
                Step::Keep(block, directory) => {
                    let block = Block::read_from(&mut block.as_slice()).unwrap();
                    return Some(Stored { block, directory });
                }
                Step::Retire(name) => {
                    self.holder.commit(self.session, name).unwrap();
                    self.matcher.remove(name).unwrap();
                }
            }
        }
    }

    fn commit(&mut self, stored: Stored) {
        let name = BlockName::of(stored.block.header());
        self.holder.commit(self.session, name).unwrap();
        self.matcher.insert(stored);
    }

    fn seal(&self, binding: &Binding, sample: &Template) -> SealedTemplate {
        let own = self.sent.get();
        self.sent.set(own + 1);
        let entropy = SeededEntropy::new(own);
        let mut fill = |out: &mut [u8]| entropy.fill(out);
        let nonce = u128::from(own).to_le_bytes();
        let key = self.holder.sealing_key();
        key.seal(&sample.to_bytes(), binding, nonce, &mut fill)
            .unwrap()
    }

    /// What a till sends for one sample.
    fn payment(&self, sample: &Template) -> (Binding, Vec<SealedTemplate>) {
        let binding = Binding::Payment {
            till: TillId::new("counter-1").unwrap(),
            payment: PaymentId::from_random([1; 16]),
            amount: krw(100),
        };
        let sealed = self.seal(&binding, sample);
        (binding, vec![sealed])
    }

    fn ask(&self, sample: &Template) -> Answered<Box<Asked>> {
        let (binding, samples) = self.payment(sample);
        match self.holder.open_samples(self.session, &binding, &samples)? {
            Opened::Asked(asked) => Ok(asked),
            Opened::Kept(kept) => panic!("{kept:?}"),
        }
    }

    fn sums(&self, asked: &Asked) -> BTreeMap<BlockName, Vec<u8>> {
        let probes: Vec<_> = asked
            .probes()
            .map(|(kind, code)| (kind, code.clone()))
            .collect();
        let all = Mutex::new(BTreeMap::new());
        self.matcher.sums(&probes, |blocks| {
            all.lock().unwrap().extend(blocks);
            true
        });
        all.into_inner().unwrap()
    }

    fn finish(&self, mut asked: Box<Asked>) -> Answered<Found> {
        for one in self.sums(&asked) {
            self.holder.take(&mut asked, &[one])?;
        }
        self.holder.answer(*asked)
    }

    fn identify(&self, palm: u64) -> Identity {
        let asked = self.ask(&template(Hand::Right, palm, 9)).unwrap();
        match self.finish(asked).unwrap() {
            Found::Person(identity) => identity,
            other => panic!("{other:?}"),
        }
    }

    fn enrol(&self, n: u8, who: u64, palm: u64) -> Answered<Found> {
        let binding = Binding::Enrolment {
            till: TillId::new("counter-1").unwrap(),
            customer: customer(who),
            request: request(n),
        };
        let samples = (1..=3).map(|sample| template(Hand::Right, palm, sample));
        let sealed: Vec<_> = samples.map(|own| self.seal(&binding, &own)).collect();
        match self.holder.open_samples(self.session, &binding, &sealed)? {
            Opened::Kept(kept) => Ok(Found::Kept(kept)),
            Opened::Asked(asked) => self.finish(asked),
        }
    }

    fn samples(&self) -> usize {
        let prefix = Table::Template.key(&[]);
        self.store.scan(&prefix, None, usize::MAX).unwrap().len()
    }
}

const KEPT: Found = Found::Kept(Kept { right: 3, left: 0 });

fn refused(answered: Answered<Found>) -> Error {
    match answered {
        Err(HolderError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn must_attach<T: fmt::Debug>(answered: Answered<T>) {
    assert!(matches!(answered, Err(HolderError::Attach)), "{answered:?}");
}

#[test]
fn enrolled_people_are_found_and_strangers_and_forgotten_ones_are_not() {
    let two = Two::new();
    for n in 1..=5 {
        assert_eq!(two.enrol(n, n.into(), n.into()).unwrap(), KEPT);
    }
    for n in 1..=5 {
        assert_eq!(two.identify(n), Identity::Match(customer(n)));
        assert_eq!(two.identify(50 + n), Identity::NoMatch);
    }
    two.holder.forget(customer(3)).unwrap();
    two.holder.forget(customer(3)).unwrap();
    assert_eq!(two.identify(3), Identity::NoMatch);
    assert_eq!(two.samples(), 12);
    let again = refused(two.enrol(9, 3, 3));
    assert!(matches!(again, Error::CustomerNotFound), "{again:?}");
}

#[test]
fn enrolment_sent_twice_is_kept_once_and_a_palm_of_another_is_refused() {
    let two = Two::new();
    assert_eq!(two.enrol(1, 1, 1).unwrap(), KEPT);
    assert_eq!(two.enrol(1, 1, 1).unwrap(), KEPT);
    assert_eq!(two.samples(), 3);
    assert!(matches!(refused(two.enrol(1, 2, 2)), Error::IdReused));
    let taken = two.enrol(2, 2, 1).unwrap();
    assert_eq!(taken, Found::Refused(ReasonCode::AlreadyEnrolled));
    let other_palm = two.enrol(3, 1, 2).unwrap();
    assert_eq!(other_palm, Found::Refused(ReasonCode::SamplesDisagree));
    let more = two.enrol(4, 1, 1).unwrap();
    assert_eq!(more, Found::Kept(Kept { right: 6, left: 0 }));
}

#[test]
fn envelope_for_another_use_or_beyond_the_budget_is_refused() {
    let mut two = Two::new();
    let (binding, mut samples) = two.payment(&template(Hand::Right, 1, 1));
    samples[0].capture_nonce[0] ^= 1;
    let opened = two.holder.open_samples(two.session, &binding, &samples);
    assert!(matches!(
        opened,
        Err(HolderError::Refused(Error::SealBroken))
    ));
    two.holder.searches = Budget::new(1, MINUTE);
    two.ask(&template(Hand::Right, 1, 2)).unwrap();
    let second = two.ask(&template(Hand::Right, 1, 3));
    assert!(matches!(
        second,
        Err(HolderError::Refused(Error::TooManySearches))
    ));
}

#[test]
fn one_capture_is_looked_for_a_few_times_and_then_no_more() {
    let two = Two::new();
    let (binding, samples) = two.payment(&template(Hand::Right, 1, 1));
    let open = || two.holder.open_samples(two.session, &binding, &samples);
    for _ in 0..TIMES_A_CAPTURE {
        open().unwrap();
    }
    let again = open();
    assert!(
        matches!(again, Err(HolderError::Refused(Error::CaptureReplayed))),
        "{again:?}"
    );
}

#[test]
fn only_the_matcher_that_attached_last_is_answered() {
    let mut two = Two::new();
    two.enrol(1, 1, 1).unwrap();
    let asked = two.ask(&template(Hand::Right, 1, 9)).unwrap();
    let before = two.session;
    two.attach();
    assert_ne!(two.session, before);
    must_attach(two.finish(asked));
    must_attach(two.holder.settle(before));
    two.settle();
    assert_eq!(two.identify(1), Identity::Match(customer(1)));
}

/// A store of 6,200 people with one sample each: a block and 56 that wait. Those of `KNOWN` have whole templates.
pub(crate) const PEOPLE: u64 = 6_200;
pub(crate) const KNOWN: [u64; 3] = [1, 3_000, 6_150];

pub(crate) fn crowd() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let (master, entropy) = (vault::Keyholder::new([7; 32]), SeededEntropy::new(3));
    let blank = OrientationCode::from_cells(|_, _| None);
    for n in 1..=PEOPLE {
        let empty = Template::orientation_only(Hand::Right, 80, blank.clone());
        let sample = match KNOWN.contains(&n) {
            true => template(Hand::Right, n, 1),
            false => empty.with_search(search_code(n, 1)),
        };
        rest::plant(&*store, &master, (customer(n), &[sample]), &entropy).unwrap();
    }
    store
}

fn all_are_found(two: &Two) {
    for n in KNOWN {
        assert_eq!(two.identify(n), Identity::Match(customer(n)));
    }
    assert_eq!(two.identify(9_000), Identity::NoMatch);
}

/// One walk through everything that can come between two steps, since a crowd takes seconds to make.
#[test]
fn a_stop_of_either_process_at_any_step_loses_nobody_and_uses_no_mask_twice() {
    let mut two = Two::on(crowd());
    all_are_found(&two);
    assert_eq!(two.matcher.len(), 1);
    let mut masks = vec![seed_of(&two.matcher)];

    // The keyholder stops: what the matcher has is taken up again, and no new block is needed.
    two.restart_holder(1, 2);
    must_attach(two.ask(&template(Hand::Right, 1, 9)));
    two.attach();
    assert!(two.next_block().is_none());
    all_are_found(&two);
    assert_eq!(seed_of(&two.matcher), masks[0], "taken, not made again");

    // The matcher lost its blocks, and stops after it was told a block, before and after that was on its disk.
    for is_kept in [false, true] {
        two.matcher = Matcher::load(None, threads(1).unwrap()).unwrap();
        two.attach();
        let told = two.next_block().unwrap();
        masks.push(seed(told.block.header()));
        if is_kept {
            two.matcher.insert(told);
        }
        two.attach();
        two.settle();
        all_are_found(&two);
        assert_eq!(two.matcher.len(), 1);
        if !is_kept {
            masks.push(seed_of(&two.matcher));
        }
    }

    // The keyholder stops after it told a block, and its next self knows nothing of that.
    two.matcher = Matcher::load(None, threads(1).unwrap()).unwrap();
    two.attach();
    let told = two.next_block().unwrap();
    masks.push(seed(told.block.header()));
    let name = BlockName::of(told.block.header());
    two.restart_holder(1, 3);
    must_attach(two.holder.commit(two.session, name));
    two.attach();
    two.settle();
    masks.push(seed_of(&two.matcher));
    all_are_found(&two);

    let different: BTreeSet<_> = masks.iter().collect();
    assert_eq!(
        different.len(),
        masks.len(),
        "each try has a mask of its own"
    );
    blocks_are_checked(&two);
    rotation_and_deaths(two);
}

/// Sums must be those of every block, once.
fn blocks_are_checked(two: &Two) {
    let sample = template(Hand::Right, 1, 9);
    let asked = two.ask(&sample).unwrap();
    must_attach(two.holder.answer(*asked));
    let mut asked = two.ask(&sample).unwrap();
    let sums = Vec::from_iter(two.sums(&asked));
    two.holder.take(&mut asked, &sums).unwrap();
    must_attach(two.holder.take(&mut asked, &sums));
    let [(mut name, rows)] = <[_; 1]>::try_from(sums).unwrap();
    let mut asked = two.ask(&sample).unwrap();
    let short = (name, rows[1..].to_vec());
    must_attach(two.holder.take(&mut asked, &[short]));
    name.kind.hand = Hand::Left;
    let mut asked = two.ask(&sample).unwrap();
    must_attach(two.holder.take(&mut asked, &[(name, rows)]));
}

/// The operator puts another gallery key in place; then many leave.
fn rotation_and_deaths(mut two: Two) {
    let before = two.matcher.directories().next().unwrap().0.epoch;
    two.restart_holder(2, 4);
    two.attach();
    assert!(two.matcher.is_empty(), "blocks of another key are dead");
    must_wait(&two);
    two.settle();
    all_are_found(&two);
    let after = two.matcher.directories().next().unwrap().0.epoch;
    assert_ne!(before, after);
    for n in (1..=6_144).filter(|n| n % 5 == 0 && !KNOWN.contains(n)) {
        two.holder.forget(customer(n)).unwrap();
    }
    two.settle();
    all_are_found(&two);
    assert!(
        two.matcher.is_empty(),
        "too many were dead: the others wait"
    );
}

fn must_wait(two: &Two) {
    let asked = two.ask(&template(Hand::Right, 1, 9));
    assert!(matches!(asked, Err(HolderError::Refused(Error::Busy))));
}

fn seed(header: &Header) -> [u8; 32] {
    let bytes = header.to_bytes();
    bytes[28..60].try_into().unwrap()
}

fn seed_of(matcher: &Matcher) -> [u8; 32] {
    seed(matcher.directories().next().unwrap().0)
}
