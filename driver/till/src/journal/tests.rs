use std::sync::{Arc, Mutex};

use palm_proto::money::Currency;

use super::*;

fn sale(number: u8) -> Sale {
    Sale {
        payment: PaymentId::from_random([number; 16]),
        amount: Money::amount(4_500, Currency::KRW).unwrap(),
    }
}

/// Writes down what was asked of it, and fails on demand.
#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
    full: bool,
}

impl Recorder {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Sink for Recorder {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = if bytes.windows(4).any(|part| part == b"sent") {
            "sent"
        } else {
            "resolved"
        };
        self.note(format!("append {state}"));
        if self.full {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.note("sync".to_owned());
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.note(format!("cut {length}"));
        Ok(())
    }
}

fn on(recorder: &Recorder, bytes: &[u8]) -> Result<Journal, JournalError> {
    Journal::on(Path::new("journal"), bytes, Box::new(recorder.clone()))
}

#[test]
fn sent_is_synced_before_it_returns_and_resolved_is_not() {
    let recorder = Recorder::default();
    let mut journal = on(&recorder, b"").unwrap();
    journal.sent(sale(1)).unwrap();
    assert_eq!(*recorder.calls.lock().unwrap(), ["append sent", "sync"]);
    assert_eq!(journal.unresolved(), [sale(1)]);
    journal.resolved(sale(1).payment).unwrap();
    assert_eq!(
        *recorder.calls.lock().unwrap(),
        ["append sent", "sync", "append resolved"]
    );
    assert_eq!(journal.unresolved(), []);
    journal.resolved(sale(1).payment).unwrap();
    assert_eq!(
        recorder.calls.lock().unwrap().len(),
        3,
        "resolving twice writes once"
    );
}

#[test]
fn full_disk_refuses_and_takes_half_a_line_back() {
    let recorder = Recorder {
        full: true,
        ..Recorder::default()
    };
    let mut journal = on(&recorder, b"").unwrap();
    let said = journal.sent(sale(1)).unwrap_err().to_string();
    assert!(said.contains("cannot write"), "{said}");
    assert_eq!(*recorder.calls.lock().unwrap(), ["append sent", "cut 0"]);
    assert_eq!(
        journal.unresolved(),
        [],
        "what could not be noted is not in flight"
    );
}

#[test]
fn unresolved_payments_are_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    journal.sent(sale(1)).unwrap();
    journal.sent(sale(2)).unwrap();
    journal.resolved(sale(1).payment).unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().unresolved(), [sale(2)]);
}

#[test]
fn torn_last_line_is_dropped_and_the_file_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    Journal::open(&path).unwrap().sent(sale(1)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[..whole.len() / 2]);
    std::fs::write(&path, &torn).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.unresolved(), [sale(1)]);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    journal.sent(sale(3)).unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().unresolved().len(), 2);
}

#[test]
fn garbage_elsewhere_is_named_by_line_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    Journal::open(&path).unwrap().sent(sale(1)).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    for garbage in ["nonsense\n", "{}\n", "\n", "{\"payment\":\"payments/1\"}\n"] {
        let text = format!("{whole}{garbage}{whole}");
        std::fs::write(&path, &text).unwrap();
        let said = Journal::open(&path).unwrap_err().to_string();
        assert!(said.contains("line 2 is not an entry"), "{said}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "kept as it was"
        );
    }
}

#[test]
fn journal_is_emptied_once_everything_is_resolved_and_it_is_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let recorder = Recorder::default();
    let mut journal = on(&recorder, b"").unwrap();
    for number in 0..=255 {
        journal.sent(sale(number)).unwrap();
        journal.sent(sale(number)).unwrap();
    }
    for number in 0..=255 {
        journal.resolved(sale(number).payment).unwrap();
    }
    assert_eq!(recorder.calls.lock().unwrap().last().unwrap(), "cut 0");
    assert_eq!(journal.length, 0);
    drop(Journal::open(&path).unwrap());
}

#[test]
fn file_too_long_to_be_a_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(matches!(
        Journal::open(&path),
        Err(JournalError::TooLong { .. })
    ));
}

#[test]
fn seeded_bytes_never_panic() {
    let mut entry = serde_json::to_vec(&Entry::of(sale(1), State::Sent)).unwrap();
    entry.push(b'\n');
    let mut state = 1_u32;
    for _ in 0..2_000 {
        let mut bytes = entry.repeat(2);
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = usize::try_from(state >> 8).unwrap() % bytes.len();
            bytes[at] = u8::try_from(state >> 24).unwrap();
        }
        fuzz_journal(&bytes);
    }
}
