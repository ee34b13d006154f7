//! palmd and a card provider, both real processes, each killed while several clients pay by card: what palmd says was
//! taken, the provider took once, and nothing else.

use std::{fs, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use palm_proto::v1::{authorise_payment_response::Outcome, payment::State};

use super::CLIENTS;
use crate::{
    Caller, Proxy, Shop,
    clock::Stopwatch,
    payers::{self, NAME, Payers, Round, TILL},
    process::{PATIENCE, Program},
    rails::{lasting, provider},
    shop::Folder,
};

/// A shop that takes cards, whose palmd and whose provider are killed again and again.
#[derive(Debug)]
pub struct CardVictim {
    shop: Shop,
    payers: Payers,
    rail: Rail,
    /// What palmd says that it took, in minor units.
    taken: u64,
    /// Payments that were given up, because nobody was there to hear the provider's answer.
    pub undone: u64,
}

/// The provider's process, and the wire by which palmd reaches it wherever it listens.
#[derive(Debug)]
struct Rail {
    program: Option<Program>,
    wire: Proxy,
    folder: PathBuf,
}

impl Rail {
    fn journal(&self) -> PathBuf {
        self.folder.join("rail.journal")
    }

    fn start(&mut self) -> Result<()> {
        let journal = self.journal();
        let log = self.folder.join("rail.log");
        let program = Program::start("palm-rail", &[journal.as_os_str()], &log)?;
        let address: SocketAddr = program.said("palm-rail listening on ")?.parse()?;
        self.wire.lead_to(Some(address));
        self.program = Some(program);
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        let program = self.program.take();
        program.context("the provider does not run")?.kill()?;
        self.wire.lead_to(None);
        self.wire.cut();
        Ok(())
    }
}

impl CardVictim {
    /// A shop with a customer who pays by card.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn open() -> Result<Self> {
        let mut shop = Shop::open_in(Folder::temporary()?)?;
        let mut rail = Rail {
            program: None,
            wire: Proxy::start()?,
            folder: shop.folder().to_owned(),
        };
        rail.start()?;
        let payers = Payers::enrol(&shop, CLIENTS)?;
        shop.kill_palmd()?;
        let key = shop.deployment().join("stripe.key");
        let mut options = fs::File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(&key);
        std::io::Write::write_all(&mut file?, provider::KEY.as_bytes())?;
        let config = shop.deployment().join("palmd.toml");
        let text = fs::read_to_string(&config)?;
        let section = format!(
            "[rails.stripe]\nkey = \"stripe.key\"\nbase_url = \"http://{}\"\n",
            rail.wire.address()
        );
        fs::write(&config, format!("{text}\n{section}"))?;
        shop.start_palmd()?;
        let customer = shop.customer(NAME)?;
        shop.ctl(&["customer", "instrument", &customer, provider::GOOD])?;
        Ok(Self {
            shop,
            payers,
            rail,
            taken: 0,
            undone: 0,
        })
    }

    /// Who pays, and what they were answered.
    #[must_use]
    pub fn payers(&self) -> &Payers {
        &self.payers
    }

    /// Payments from several clients at once, until palmd, the provider or both are killed; then both run again, and
    /// what must be is checked.
    ///
    /// # Errors
    /// When a payment is lost or stays in doubt.
    pub fn round(&mut self, number: u64) -> Result<()> {
        let (is_palmd, is_rail) =
            [(true, false), (false, true), (true, true)][(number % 3) as usize];
        let rail = &mut self.rail;
        let round = self.payers.pay(&mut self.shop, number, |shop| {
            if is_rail {
                rail.kill()?;
            }
            if is_palmd {
                shop.kill_palmd()?;
            }
            Ok(())
        })?;
        if is_rail {
            self.rail.start()?;
        }
        if !is_palmd {
            // It finds out by itself what it has in doubt, after seconds; a start does so at once.
            self.shop.stop_palmd()?;
        }
        self.shop.start_palmd()?;
        self.check(round)
    }

    fn check(&mut self, round: Round) -> Result<()> {
        let till = self.shop.caller(TILL)?;
        self.payers.acknowledged += round.acknowledged.len() as u64;
        self.payers.in_doubt += (round.sent.len() - round.acknowledged.len()) as u64;
        for (name, request) in round.sent {
            let state = decided(&till, &name)?;
            let amount = request.amount.as_ref().context("an amount")?.amount_minor;
            if let Some(before) = round.acknowledged.get(&name) {
                ensure!(
                    state == Some(State::Captured),
                    "{name} was acknowledged and stands as {state:?}"
                );
                let again = till.authorise(request.clone())?.outcome;
                // A hold is approved also while its capture is in doubt.
                ensure!(
                    again.as_ref() == Some(before) || !is_captured(before),
                    "{name} was answered {before:?}, then {again:?}"
                );
                ensure!(
                    again.as_ref().is_some_and(is_captured),
                    "{name} was answered {before:?}, then {again:?}"
                );
            }
            match state {
                Some(State::Captured) => self.taken += amount,
                Some(State::Cancelled | State::Declined) => self.undone += 1,
                None => {
                    let first = till.authorise(request)?.outcome;
                    ensure!(payers::is_approved(first.as_ref()), "{name}: {first:?}");
                    self.taken += amount;
                }
                Some(other) => bail!("{name} stands as {other:?}"),
            }
        }
        Ok(())
    }

    /// Replays the books, and holds them against the provider's.
    ///
    /// # Errors
    /// When they have violations, or when the provider took something else.
    pub fn audit(&self) -> Result<()> {
        payers::audit(&self.shop)?;
        let books = lasting::books(&self.rail.journal())?;
        ensure!(
            (books.captured, books.held, books.refunded) == (self.taken, 0, 0),
            "palmd took {}, the provider has {books:?}",
            self.taken
        );
        Ok(())
    }
}

fn is_captured(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Approved(approved) => {
            let payment = approved.payment.as_ref();
            payment.is_some_and(|paid| paid.state() == State::Captured)
        }
        _ => false,
    }
}

/// What became of a payment, once nothing about it is in doubt; `None` when palmd never heard of it.
fn decided(till: &Caller, name: &str) -> Result<Option<State>> {
    let watch = Stopwatch::start();
    while !watch.left_of(PATIENCE).is_zero() {
        match till.payment(name) {
            Ok(paid) if paid.state() == State::OutcomeUnknown => {}
            Ok(paid) => return Ok(Some(paid.state())),
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(None),
            Err(status) => return Err(status.into()),
        }
    }
    bail!("{name} stays in doubt")
}
