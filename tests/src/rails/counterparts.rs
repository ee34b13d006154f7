//! Counterparts that others wrote: processes of their own on loopback, at versions that `tests/counterparts` pins.
//!
//! They are not part of the product: some come under licences that do not allow it. `./x counterparts` installs them
//! beside the build; where they are not there, [`started`] says so on standard error, and the test is over.

use std::{
    ffi::OsStr,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::process::Program;

/// A counterpart at work. Dropping it kills it.
#[derive(Debug)]
pub struct Counterpart {
    /// Where it listens.
    pub address: SocketAddr,
    _program: Program,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// localstripe: a card provider with PaymentIntents, customers and signed webhooks.
    CardProvider,
    /// stripe-stateful-mock: a card provider that keeps idempotency keys and refuses to refund more than was charged.
    StatefulCardProvider,
    /// iso8583sim: an acquirer's host that answers by rules.
    Acquirer {
        /// Its rules, as JSON.
        rules: &'a str,
        /// `ascii-binary`, `ascii-hex` or `bcd`.
        layout: &'a str,
        /// `2b`, `4b` or `4a`.
        header: &'a str,
        /// Ten hex digits, or `-`.
        tpdu: &'a str,
    },
}

/// Starts a counterpart with its log in `folder`; `None`, and a word on standard error, where it is not installed.
///
/// # Errors
/// When it is installed and does not start.
pub fn started(which: Which<'_>, folder: &Path) -> Result<Option<Counterpart>> {
    let installed = installed()?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts");
    let python = installed.join("python/bin/python");
    let modules = installed.join("node/node_modules");
    let rules_file = folder.join("rules.json");
    let (program, arguments) = match which {
        Which::CardProvider => (
            python,
            vec![scripts.join("card_provider.py").into_os_string()],
        ),
        Which::StatefulCardProvider => {
            let script = scripts.join("card_provider.js").into_os_string();
            (
                PathBuf::from("node"),
                vec![script, modules.clone().into_os_string()],
            )
        }
        Which::Acquirer {
            rules,
            layout,
            header,
            tpdu,
        } => {
            std::fs::write(&rules_file, rules).context("the rules cannot be written")?;
            let script = scripts.join("acquirer.py").into_os_string();
            let rest = [layout, header, tpdu].map(Into::into);
            let arguments = [script, rules_file.into_os_string()]
                .into_iter()
                .chain(rest);
            (python, arguments.collect())
        }
    };
    let is_there = match which {
        Which::StatefulCardProvider => modules.is_dir(),
        Which::CardProvider | Which::Acquirer { .. } => program.is_file(),
    };
    if !is_there {
        let mut said = std::io::stderr().lock();
        writeln!(
            said,
            "skipped: {which:?} is not installed; ./x counterparts does it"
        )?;
        return Ok(None);
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    let program = Program::start_at(&program, &arguments, &folder.join("counterpart.log"))?;
    let port = program.said("listening ")?;
    let port: u16 = port.trim().parse().context("a port was to be printed")?;
    Ok(Some(Counterpart {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        _program: program,
    }))
}

/// Where `./x counterparts` installs them: beside the profile's folder that the running test lies in.
fn installed() -> Result<PathBuf> {
    let own = std::env::current_exe().context("the running program has no path")?;
    let target = own
        .ancestors()
        .nth(3)
        .context("the test lies in no target folder")?;
    Ok(target.join("counterparts"))
}
