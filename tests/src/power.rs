//! The power goes while a real palmd takes payments on a real kernel and file system: a virtual machine is killed and
//! its drive forgets what was not flushed. Each payment that was acknowledged must be there after the next start, once.
//!
//! palmd's store lies on ext4 on a [`Drive`] whose cache is lost in part at a cut, by sectors and out of order, as a
//! drive's may be. The cut comes at a drawn time, or with a drawn write: then it falls between the writes and the flush
//! of a commit. Killing the machine alone would prove little: this machine's page cache
//! outlives it.

pub mod drive;
pub mod machine;
pub mod nbd;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use self::{
    drive::{Damage, Drive},
    machine::{Image, LISTEN, Machine, Replay, STORE},
};
use crate::{
    Shop,
    payers::{self, Payers, Round},
    shop::Folder,
};

const CLIENTS: usize = 8;
/// Longest time until a cut, in microseconds: some commits of the emulated machine.
const TIME_MAX_US: u64 = 100_000;
/// Most writes until a cut: some commits.
const WRITES_MAX: u64 = 16;
/// How long a cut waits for a write; then nobody is paying any more.
const QUIET: Duration = Duration::from_secs(1);

/// A shop whose machine loses its power again and again.
#[derive(Debug)]
pub struct PowerCuts {
    shop: Shop,
    image: Image,
    machine: Option<Machine>,
    payers: Payers,
    /// What the cuts did to the drive's cache.
    pub damage: Damage,
    /// The image and the machine's lines; deleted with it.
    _folder: TempDir,
}

impl PowerCuts {
    /// A shop with a rich customer, on an empty drive whose cuts are drawn from this seed.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn open(seed: u64) -> Result<Self> {
        let mut shop = Shop::elsewhere(Folder::temporary()?, LISTEN)?;
        let config = shop.deployment().join("palmd.toml");
        let text = fs::read_to_string(&config)?;
        let usual = "path = \"store\"";
        ensure!(text.contains(usual), "palmctl init wrote no {usual}");
        fs::write(&config, text.replace(usual, &format!("path = \"{STORE}\"")))?;
        let folder = tempfile::tempdir().context("no folder for the machine")?;
        let mut image = Image::pack(folder.path(), &shop.deployment())?;
        let machine = image.boot(image.drive(seed)?, Replay::Mount)?;
        shop.palmd_is_at(machine.palmd());
        let payers = Payers::enrol(&shop, CLIENTS)?;
        Ok(Self {
            shop,
            image,
            machine: Some(machine),
            payers,
            damage: Damage::default(),
            _folder: folder,
        })
    }

    /// Who pays, and what they were answered.
    #[must_use]
    pub fn payers(&self) -> &Payers {
        &self.payers
    }

    /// From now on the drive says that it flushed and did not: rounds must fail.
    ///
    /// # Errors
    /// When the machine is off.
    pub fn lie(&self) -> Result<()> {
        self.machine.as_ref().context("the machine is off")?.lie();
        Ok(())
    }

    /// Payments from several clients at once, until the power goes; then a start, and what must be is checked.
    ///
    /// # Errors
    /// When a payment is lost, doubled or answered otherwise, the books are wrong, or palmd does not start.
    pub fn round(&mut self, number: u64) -> Result<()> {
        let (round, drive) = self.pay_until_cut(number)?;
        let replay = if number.is_multiple_of(2) {
            Replay::Mount
        } else {
            Replay::Check
        };
        let machine = self.image.boot(drive, replay)?;
        self.shop.palmd_is_at(machine.palmd());
        self.machine = Some(machine);
        self.payers.check(&self.shop, round)?;
        payers::audit(&self.shop)
    }

    fn pay_until_cut(&mut self, number: u64) -> Result<(Round, Drive)> {
        let machine = self.machine.take().context("the machine is off")?;
        let mut drive = None;
        let round = self.payers.pay(&mut self.shop, number, |_| {
            let (writes, at_latest) = moment(&machine);
            drive = Some(machine.cut(writes, at_latest)?);
            Ok(())
        })?;
        let mut drive = drive.context("the power did not go")?;
        let damage = drive.cut();
        self.damage.lost += damage.lost;
        self.damage.torn += damage.torn;
        self.damage.kept += damage.kept;
        Ok((round, drive))
    }

    /// Every payment of every round is there, and the books have no violations.
    ///
    /// # Errors
    /// When one is lost, or what is wrong with the books.
    pub fn audit(&self) -> Result<()> {
        self.payers.audit(&self.shop)
    }
}

/// With so many more writes, or after that time.
fn moment(machine: &Machine) -> (u64, Duration) {
    if machine.draw(4) == 0 {
        let time = Duration::from_micros(machine.draw(TIME_MAX_US));
        (u64::MAX, time)
    } else {
        (1 + machine.draw(WRITES_MAX), QUIET)
    }
}
