//! `palmctl`, the operator's tool: makes a deployment, enrols tills, and does everything else over gRPC with the
//! operator's certificate, like any other caller.
//!
//! Nothing here is printed: [`run`] gives back what to print.

use std::path::PathBuf;

use palm_proto::{
    id::{RequestId, wallet_name},
    money::{Money, MoneyError},
    reason::ReasonCode,
    v1,
};

use crate::{
    clock::Clock, config::ConfigError, entropy::Entropy, error::Error, files::FileError,
    pki::PkiError, store::StoreError,
};

mod arguments;
mod bank;
mod card;
mod customer;
mod init;
mod link;
mod payment;
mod payout;
mod report;
mod sheet;
mod till;

pub use arguments::{
    Arguments, BankCommand, CardCommand, ChangeArguments, Command, CustomerCommand,
    DocumentArguments, DocumentFormat, GuardArguments, InitArguments, KeyholderArguments,
    LedgerCommand, ListArguments, PaymentCommand, PayoutCommand, ReaderKind, ReconcileArguments,
    ReconcileFormat, ReportCommand, TillCommand, TransferArguments, WalletCommand,
};
use link::Link;
use sheet::{Cell, Sheet};

/// What to print, and whether all was well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// For standard output, with its last newline.
    pub text: String,
    /// `false`: print it all the same and exit with status 1.
    pub is_ok: bool,
}

/// Why nothing was done, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CtlError {
    /// An argument that cannot be used.
    #[error("{argument}: {remedy}")]
    Argument {
        /// Which.
        argument: &'static str,
        /// What to give instead.
        remedy: &'static str,
    },
    /// An amount that cannot be used.
    #[error("amount")]
    Amount(#[from] MoneyError),
    /// The configuration would not be one that palmd takes.
    #[error("--shop-name, --currency or --payment-max")]
    Config(#[source] ConfigError),
    /// The deployment's configuration cannot be used.
    #[error("the deployment's configuration")]
    Deployment(#[source] ConfigError),
    /// palmd does not answer.
    #[error("palmd does not answer at {address}: start it with `palmd --config {config}`")]
    Connect {
        /// Where it was looked for.
        address: String,
        /// The configuration to start it with.
        config: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// A file cannot be read.
    #[error("the deployment's files: run `palmctl init` first, or name its folder with --dir")]
    File(#[from] FileError),
    /// A file that was named cannot be read.
    #[error("a file that was named")]
    Input(#[source] FileError),
    /// The files of a deployment or a till cannot be made.
    #[error("the files cannot be made")]
    Make(#[source] FileError),
    /// A file of pay-outs was made at palmd, and could not be written here.
    #[error("{name} was made but not written: run `palmctl payout file --again {name} --out FILE`")]
    NotWritten {
        /// The file, at palmd.
        name: String,
        /// Why.
        #[source]
        source: FileError,
    },
    /// operator.toml is not what `palmctl init` wrote.
    #[error("{path}: {message}")]
    Operator {
        /// The file.
        path: PathBuf,
        /// Line, key and what was expected.
        message: String,
    },
    /// The palms cannot be read or sealed anew.
    #[error("the palms stay where they are")]
    Palms(#[source] Error),
    /// A certificate could not be made.
    #[error("certificates")]
    Pki(#[from] PkiError),
    /// palmd refused.
    #[error("palmd refused: {} ({})", .0.message(), reason(.0))]
    Refused(Box<tonic::Status>),
    /// A store cannot be used.
    #[error("palmd must not be running meanwhile")]
    Store(#[source] StoreError),
    /// Nobody knows whether the money was moved.
    #[error(
        "no answer; do not repeat this blindly, but with --request-id {request_id}: it moves the money once"
    )]
    Unknown {
        /// What to send again.
        request_id: RequestId,
        /// What was seen.
        #[source]
        source: Box<tonic::Status>,
    },
}

impl From<tonic::Status> for CtlError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

fn reason(status: &tonic::Status) -> &'static str {
    palm_proto::fault::reason_of(status).map_or("no reason given", ReasonCode::as_str)
}

/// Does what the arguments say.
///
/// # Errors
/// [`CtlError`], with the remedy.
pub async fn run(
    arguments: Arguments,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Output, CtlError> {
    let Arguments {
        dir,
        address,
        json,
        command,
    } = arguments;
    if let Command::Init(init) = &command {
        let text = init::run(&dir, init, clock, entropy)?;
        return Ok(Output { text, is_ok: true });
    }
    if let Command::Split(keyholder) = &command {
        let text = init::convert::run(&dir, keyholder, clock, entropy)?;
        return Ok(Output { text, is_ok: true });
    }
    if let Command::RenewLink { keyholder } = &command {
        let text = init::renew::run(&dir, keyholder, clock)?;
        return Ok(Output { text, is_ok: true });
    }
    let link = Link::open(&dir, address).await?;
    let command = match command {
        Command::Report(command) => {
            let text = report::run(&link, command, entropy).await?;
            return Ok(Output { text, is_ok: true });
        }
        Command::Reconcile(arguments) => return bank::reconcile(&link, &arguments).await,
        other => other,
    };
    let (sheet, is_ok) = match command {
        Command::Init(_)
        | Command::Split(_)
        | Command::RenewLink { .. }
        | Command::Report(_)
        | Command::Reconcile(_) => {
            unreachable!("invariant: handled above")
        }
        Command::Till(TillCommand::Enrol { id, out, reader }) => (
            till::enrol(&dir, &link, &id, &out, reader, clock).await?,
            true,
        ),
        Command::Till(TillCommand::List) => (till::list(&link).await?, true),
        Command::Till(TillCommand::Revoke { id }) => (till::revoke(&link, &id).await?, true),
        Command::Customer(command) => (customer::run(&link, command, entropy).await?, true),
        Command::Wallet(command) => (wallet(&link, command, entropy).await?, true),
        Command::Payment(command) => (payment::run(&link, command, entropy).await?, true),
        Command::Payout(command) => payout::run(&link, command, entropy).await?,
        Command::Bank(command) => (bank::run(&link, command, entropy).await?, true),
        Command::Ledger(LedgerCommand::Audit) => audit(&link).await?,
    };
    Ok(Output {
        text: if json {
            sheet.to_json()
        } else {
            sheet.to_table()
        },
        is_ok,
    })
}

async fn wallet(
    link: &Link,
    command: WalletCommand,
    entropy: &dyn Entropy,
) -> Result<Sheet, CtlError> {
    let currency = link.currency();
    let mut client = link.wallets();
    let answer = match command {
        WalletCommand::TopUp(arguments) => {
            let (id, wallet, amount) = transfer(&arguments, currency, entropy)?;
            let request_id = id.to_string();
            let request = v1::TopUpRequest {
                request_id,
                wallet,
                amount: Some(amount.into()),
            };
            client
                .top_up(request)
                .await
                .map_err(|status| moved(status, id))?
        }
        WalletCommand::PayOut(arguments) => {
            let (id, wallet, amount) = transfer(&arguments, currency, entropy)?;
            let request_id = id.to_string();
            let request = v1::PayOutRequest {
                request_id,
                wallet,
                amount: Some(amount.into()),
            };
            client
                .pay_out(request)
                .await
                .map_err(|status| moved(status, id))?
        }
        WalletCommand::Show { customer } => {
            client
                .get_wallet(v1::GetWalletRequest {
                    name: wallet_name(customer),
                })
                .await?
        }
    };
    let wallet = answer.into_inner();
    Ok(Sheet::one(
        &["name", "balance"],
        vec![Cell::Text(wallet.name), Cell::money(wallet.balance)],
    ))
}

fn transfer(
    arguments: &TransferArguments,
    currency: palm_proto::money::Currency,
    entropy: &dyn Entropy,
) -> Result<(RequestId, String, Money), CtlError> {
    let id = request_id(arguments.request_id, entropy);
    let amount = Money::amount(arguments.amount_minor, currency)?;
    Ok((id, wallet_name(arguments.customer), amount))
}

/// The id of an earlier try, or a new one.
fn request_id(given: Option<RequestId>, entropy: &dyn Entropy) -> RequestId {
    given.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        RequestId::from_random(bytes)
    })
}

/// A status with a reason of ours is an answer; any other leaves the outcome open.
fn moved(status: tonic::Status, request_id: RequestId) -> CtlError {
    let source = Box::new(status);
    match palm_proto::fault::reason_of(&source) {
        Some(reason) if reason != ReasonCode::Unavailable => CtlError::Refused(source),
        Some(_) | None => CtlError::Unknown { request_id, source },
    }
}

async fn audit(link: &Link) -> Result<(Sheet, bool), CtlError> {
    let audit = link
        .wallets()
        .audit_ledger(v1::AuditLedgerRequest {})
        .await?
        .into_inner();
    let is_ok = audit.violations.is_empty();
    let row = vec![
        Cell::Number(audit.transfers),
        Cell::Number(audit.accounts),
        Cell::List(audit.violations),
    ];
    Ok((
        Sheet::one(&["transfers", "accounts", "violations"], row),
        is_ok,
    ))
}

#[cfg(test)]
mod tests;
