//! A real palmd that is killed while several clients pay; [`rail`]: by card, and the provider is killed too.

pub mod rail;

use anyhow::Result;

use crate::{
    Shop,
    payers::{self, Payers},
    shop::Folder,
};

const CLIENTS: usize = 4;

/// A shop whose palmd is killed again and again.
#[derive(Debug)]
pub struct Victim {
    shop: Shop,
    payers: Payers,
}

impl Victim {
    /// A shop with a rich customer.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn open() -> Result<Self> {
        let shop = Shop::open_in(Folder::temporary()?)?;
        let payers = Payers::enrol(&shop, CLIENTS)?;
        Ok(Self { shop, payers })
    }

    /// Who pays, and what they were answered.
    #[must_use]
    pub fn payers(&self) -> &Payers {
        &self.payers
    }

    /// Payments from several clients at once, until palmd is killed; then what must be is checked.
    ///
    /// # Errors
    /// When a payment is lost, doubled or answered otherwise.
    pub fn round(&mut self, number: u64) -> Result<()> {
        let round = self.payers.pay(&mut self.shop, number, Shop::kill_palmd)?;
        self.shop.start_palmd()?;
        self.payers.check(&self.shop, round)
    }

    /// Replays the books.
    ///
    /// # Errors
    /// When they have violations.
    pub fn audit(&self) -> Result<()> {
        payers::audit(&self.shop)
    }
}
