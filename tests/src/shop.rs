//! A whole shop on loopback: a deployment in a folder of its own, palmd, tills.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    caller::{Caller, Credential},
    ctl,
    page::Page,
    process::Program,
    proxy::Proxy,
};

/// Name of the shop that tests run.
pub const SHOP_NAME: &str = "Corner Shop";
/// Its only currency, which has no decimals.
pub const CURRENCY: &str = "KRW";
const ANYWHERE: &str = "127.0.0.1:0";

/// A deployment at work. Dropping it kills its programs and deletes its folder.
#[derive(Debug)]
pub struct Shop {
    keyholder: Option<Keyholder>,
    palmd: Option<Program>,
    palmd_address: Option<SocketAddr>,
    wire: Option<Proxy>,
    folder: Folder,
}

/// A keyholder of its own, and the wire by which palmd reaches it wherever it listens.
#[derive(Debug)]
struct Keyholder {
    program: Option<Program>,
    wire: Proxy,
}

/// Where a shop keeps everything.
#[derive(Debug)]
pub enum Folder {
    /// Stays when the shop is gone.
    Kept(PathBuf),
    /// Deleted with the shop.
    Temporary(TempDir),
}

impl Folder {
    /// A folder of its own that is deleted with the shop.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn temporary() -> Result<Self> {
        Ok(Self::Temporary(
            tempfile::tempdir().context("no folder for the shop")?,
        ))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// A till at work. Dropping it kills it.
#[derive(Debug)]
pub struct Till {
    program: Program,
    address: SocketAddr,
}

impl Shop {
    /// Makes a deployment in a folder of its own and starts palmd behind a wire that can be cut.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn open() -> Result<Self> {
        Self::make(Folder::temporary()?, Some(Proxy::start()?), false)
    }

    /// As [`Shop::open`], with a keyholder that is a process of its own.
    ///
    /// # Errors
    /// As [`Shop::open`].
    pub fn open_split() -> Result<Self> {
        Self::make(Folder::temporary()?, Some(Proxy::start()?), true)
    }

    /// As [`Shop::open`] in this folder, with tills that reach palmd directly.
    ///
    /// # Errors
    /// As [`Shop::open`].
    pub fn open_in(folder: Folder) -> Result<Self> {
        Self::make(folder, None, false)
    }

    /// Makes a deployment in this folder for a palmd that is to run on another machine, and listen at this address of
    /// its.
    ///
    /// # Errors
    /// As [`Shop::open`].
    pub fn elsewhere(folder: Folder, listen: &str) -> Result<Self> {
        let shop = Self::empty(folder, None);
        let init = ["init", "--shop-name", SHOP_NAME, "--currency", CURRENCY];
        let init = [init.as_slice(), &["--listen", listen]].concat();
        ctl::run(&shop.deployment(), &init)?;
        shop.raise_budgets()?;
        Ok(shop)
    }

    /// Where palmd on another machine is reached from now on.
    pub fn palmd_is_at(&mut self, address: SocketAddr) {
        self.palmd_address = Some(address);
    }

    fn empty(folder: Folder, wire: Option<Proxy>) -> Self {
        Self {
            keyholder: None,
            palmd: None,
            palmd_address: None,
            wire,
            folder,
        }
    }

    fn make(folder: Folder, wire: Option<Proxy>, is_split: bool) -> Result<Self> {
        let mut shop = Self::empty(folder, wire);
        let init = [
            ["init", "--shop-name", SHOP_NAME].as_slice(),
            &["--currency", CURRENCY, "--listen", ANYWHERE],
        ];
        if is_split {
            shop.init_split(&init.concat())?;
            shop.start_keyholder()?;
        } else {
            ctl::run(&shop.deployment(), &init.concat())?;
        }
        shop.raise_budgets()?;
        shop.start_palmd()?;
        Ok(shop)
    }

    fn init_split(&mut self, init: &[&str]) -> Result<()> {
        let wire = Proxy::start()?;
        let folder = self.keyholder_folder();
        let folder = folder.to_str().context("a folder's name is not UTF-8")?;
        let address = format!("https://{}", wire.address());
        let split = ["--keyholder", folder, "--keyholder-listen", ANYWHERE];
        let reach = ["--keyholder-address", &address];
        ctl::run(&self.deployment(), &[init, &split, &reach].concat())?;
        self.keyholder = Some(Keyholder {
            program: None,
            wire,
        });
        Ok(())
    }

    /// Programs pay more often than people do, and the same again.
    fn raise_budgets(&self) -> Result<()> {
        let path = self.deployment().join("palmd.toml");
        let mut config = fs::read_to_string(&path)?;
        for (key, usual) in [("searches_per_minute", 120), ("matches_per_hour", 60)] {
            let written = format!("{key} = {usual}\n");
            ensure!(config.contains(&written), "palmctl init wrote no {written}");
            config = config.replace(&written, &format!("{key} = 1_000_000\n"));
        }
        let window = "duplicate_window_s = 30\n";
        ensure!(config.contains(window), "palmctl init wrote no {window}");
        config = config.replace(window, "duplicate_window_s = 0\n");
        Ok(fs::write(&path, config)?)
    }

    /// A shop with one till, and its page when both are ready.
    ///
    /// # Errors
    /// As [`Shop::open`].
    pub fn with_till() -> Result<(Self, Till, Page)> {
        Self::with_reader("")
    }

    /// The same, with more lines for the till's `[reader]`.
    ///
    /// # Errors
    /// When any of them cannot be started.
    pub fn with_reader(lines: &str) -> Result<(Self, Till, Page)> {
        let shop = Self::open()?;
        shop.enrol_till("counter-1")?;
        let config = shop.till_folder("counter-1").join("till.toml");
        let text = fs::read_to_string(&config)?;
        fs::write(
            config,
            text.replace("[reader]\n", &format!("[reader]\n{lines}")),
        )?;
        let till = shop.start_till("counter-1")?;
        let mut page = till.page()?;
        page.ready()?;
        Ok((shop, till, page))
    }

    /// Folder of everything: the deployment, the tills, the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The deployment's folder, as `palmctl init` made it.
    #[must_use]
    pub fn deployment(&self) -> PathBuf {
        self.folder().join("shop")
    }

    /// The folder of a keyholder of its own, as `palmctl init` made it.
    #[must_use]
    pub fn keyholder_folder(&self) -> PathBuf {
        self.folder().join("keyholder")
    }

    /// Starts the keyholder, again when it was stopped before; palmd finds it at the same address.
    ///
    /// # Errors
    /// When the shop has none, or it does not say where it listens.
    pub fn start_keyholder(&mut self) -> Result<()> {
        let config = self.keyholder_folder().join("keyholder.toml");
        let role = OsStr::new("keyholder");
        let arguments = [role, OsStr::new("--config"), config.as_os_str()];
        let log = self.folder().join("keyholder.log");
        let program = Program::start("palmd", &arguments, &log)?;
        let address = program.said("palmd keyholder listening on ")?;
        let keyholder = self.keyholder.as_mut().context("no keyholder of its own")?;
        keyholder.wire.lead_to(Some(address.parse()?));
        keyholder.program = Some(program);
        Ok(())
    }

    /// Where palmd reaches the keyholder.
    ///
    /// # Errors
    /// When the shop has none.
    pub fn keyholder(&self) -> Result<SocketAddr> {
        let keyholder = self.keyholder.as_ref();
        Ok(keyholder.context("no keyholder of its own")?.wire.address())
    }

    /// Kills the keyholder (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_keyholder(&mut self) -> Result<()> {
        let keyholder = self.keyholder.as_mut().context("no keyholder of its own")?;
        let program = keyholder.program.take();
        program.context("the keyholder does not run")?.kill()?;
        keyholder.wire.lead_to(None);
        keyholder.wire.cut();
        Ok(())
    }

    /// A till's folder, as `palmctl till enrol` made it.
    #[must_use]
    pub fn till_folder(&self, id: &str) -> PathBuf {
        self.folder().join(id)
    }

    /// Keeps the folder when the shop is gone; gives it.
    pub fn keep(&mut self) -> PathBuf {
        if let Folder::Temporary(folder) = &mut self.folder {
            folder.disable_cleanup(true);
        }
        self.folder().to_owned()
    }

    /// The wire between tills and palmd.
    ///
    /// # Errors
    /// When they are connected directly.
    pub fn wire(&self) -> Result<&Proxy> {
        self.wire.as_ref().context("this shop has no wire to cut")
    }

    /// Starts palmd, again when it was stopped before; tills find it at the same address.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start_palmd(&mut self) -> Result<()> {
        let config = self.deployment().join("palmd.toml");
        let arguments = [OsStr::new("--config"), config.as_os_str()];
        let palmd = Program::start("palmd", &arguments, &self.folder().join("palmd.log"))?;
        let address = palmd.said("palmd listening on ")?;
        let address = address
            .parse()
            .with_context(|| format!("palmd listens on {address:?}"))?;
        self.palmd_address = Some(address);
        if let Some(wire) = &self.wire {
            wire.lead_to(Some(address));
        }
        self.palmd = Some(palmd);
        Ok(())
    }

    /// Adds sections to palmd's configuration, and starts it anew.
    ///
    /// # Errors
    /// As [`Shop::start_palmd`].
    pub fn configure(&mut self, sections: &str) -> Result<()> {
        self.stop_palmd()?;
        let path = self.deployment().join("palmd.toml");
        let config = fs::read_to_string(&path)?;
        fs::write(&path, format!("{config}\n{sections}"))?;
        self.start_palmd()
    }

    /// Where palmd takes the card provider's messages; to be asked once after each start.
    ///
    /// # Errors
    /// When it does not.
    pub fn webhooks(&self) -> Result<SocketAddr> {
        let palmd = self.palmd.as_ref().context("palmd does not run")?;
        Ok(palmd.said("palmd, for webhooks, listening on ")?.parse()?)
    }

    /// Asks palmd to stop (SIGTERM); gives its exit status.
    ///
    /// # Errors
    /// When it does not run or does not stop.
    pub fn stop_palmd(&mut self) -> Result<ExitStatus> {
        self.palmd.take().context("palmd does not run")?.stop()
    }

    /// Kills palmd (SIGKILL), as a power cut would, and lets nothing of it through any more.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_palmd(&mut self) -> Result<()> {
        self.palmd.take().context("palmd does not run")?.kill()?;
        if let Some(wire) = &self.wire {
            wire.lead_to(None);
            wire.cut();
        }
        Ok(())
    }

    /// Where palmd itself listens.
    ///
    /// # Errors
    /// When it was never started.
    pub fn palmd(&self) -> Result<SocketAddr> {
        self.palmd_address.context("palmd was never started")
    }

    /// `palmctl --json ARGUMENTS`, past the wire.
    ///
    /// # Errors
    /// When it fails: what it said.
    pub fn ctl(&self, arguments: &[&str]) -> Result<Value> {
        ctl::ask(&self.deployment(), self.palmd()?, arguments)
    }

    /// `palmctl ARGUMENTS`, past the wire: what it printed.
    ///
    /// # Errors
    /// When it fails: what it said.
    pub fn print(&self, arguments: &[&str]) -> Result<String> {
        let address = format!("https://{}", self.palmd()?);
        let all = [&["--address", address.as_str()], arguments].concat();
        ctl::run(&self.deployment(), &all)
    }

    /// Makes a till's files; it reaches palmd over the wire.
    ///
    /// # Errors
    /// As [`Shop::ctl`].
    pub fn enrol_till(&self, id: &str) -> Result<()> {
        let folder = self.till_folder(id);
        let folder = folder.to_str().context("a folder's name is not UTF-8")?;
        let enrol = ["till", "enrol", id, "--out", folder, "--reader", "emulated"];
        let palmd = match &self.wire {
            Some(wire) => wire.address(),
            None => self.palmd()?,
        };
        ctl::ask(&self.deployment(), palmd, &enrol).map(drop)
    }

    /// Starts an enrolled till, again when it was stopped before.
    ///
    /// # Errors
    /// When it does not say where its pages are.
    pub fn start_till(&self, id: &str) -> Result<Till> {
        let config = self.till_folder(id).join("till.toml");
        let log = self.folder().join(format!("{id}.log"));
        let program = Program::start(
            "palm-till",
            &[OsStr::new("--config"), config.as_os_str()],
            &log,
        )?;
        let address = program.said("palm-till pages on http://")?;
        let address = address
            .parse()
            .with_context(|| format!("pages are on {address:?}"))?;
        Ok(Till { program, address })
    }

    /// Another caller with an enrolled till's certificate, past the wire.
    ///
    /// # Errors
    /// When the till is not enrolled.
    pub fn caller(&self, till: &str) -> Result<Caller> {
        let (folder, ca) = (self.till_folder(till), self.deployment().join("ca.pem"));
        Caller::new(
            self.palmd()?,
            Credential {
                folder: &folder,
                name: "till",
                ca: &ca,
            },
        )
    }

    /// A caller with the operator's certificate, past the wire.
    ///
    /// # Errors
    /// When palmd was never started.
    pub fn operator(&self) -> Result<Caller> {
        let (folder, ca) = (self.deployment(), self.deployment().join("ca.pem"));
        Caller::new(
            self.palmd()?,
            Credential {
                folder: &folder,
                name: "operator",
                ca: &ca,
            },
        )
    }

    /// The only customer with a palm whose name is this; `customers/{uuid}`. An enrolment that was refused leaves one
    /// without.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn customer(&self, display_name: &str) -> Result<String> {
        let list = self.ctl(&["customer", "list", "--limit", "1000"])?;
        let rows = list.as_array().context("a list")?.iter();
        let named: Vec<_> = rows
            .filter(|row| row["display_name"] == display_name && row["palms"] != 0)
            .collect();
        ensure!(
            named.len() == 1,
            "{} customers are called {display_name}",
            named.len()
        );
        Ok(named[0]["name"].as_str().context("a name")?.to_owned())
    }

    /// Puts money into the wallet of the customer with this display name; gives the balance.
    ///
    /// # Errors
    /// As [`Shop::customer`] and [`Shop::ctl`].
    pub fn top_up(&self, display_name: &str, amount_minor: u64) -> Result<u64> {
        let (customer, amount) = (self.customer(display_name)?, amount_minor.to_string());
        balance(&self.ctl(&["wallet", "top-up", &customer, &amount])?)
    }

    /// The balance of the customer with this display name.
    ///
    /// # Errors
    /// As [`Shop::top_up`].
    pub fn balance(&self, display_name: &str) -> Result<u64> {
        let customer = self.customer(display_name)?;
        balance(&self.ctl(&["wallet", "show", &customer])?)
    }
}

fn balance(wallet: &Value) -> Result<u64> {
    wallet["balance"]["amount_minor"]
        .as_u64()
        .context("a wallet without a balance")
}

impl Till {
    /// Where its pages are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a page of it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn page(&self) -> Result<Page> {
        Page::open(self.address)
    }

    /// Asks it to stop (SIGTERM); gives its exit status.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(self) -> Result<ExitStatus> {
        self.program.stop()
    }

    /// Kills it (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// When the system does not let go of it.
    pub fn kill(self) -> Result<ExitStatus> {
        self.program.kill()
    }
}
