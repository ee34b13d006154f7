//! What palmctl is told on its command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use palm_proto::id::{
    CardPageId, CustomerId, PaymentId, PayoutFileId, PayoutId, RequestId, TillId,
};

use crate::reports::Day;

/// The operator's tool of an OpenPalm deployment.
#[derive(Debug, Parser)]
#[command(name = "palmctl", version)]
pub struct Arguments {
    /// The deployment's folder, as `palmctl init` made it.
    #[arg(long, global = true, default_value = ".")]
    pub dir: PathBuf,
    /// Where palmd listens, instead of the address in operator.toml: https://HOST:PORT.
    #[arg(long, global = true)]
    pub address: Option<String>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make keys, certificates and configuration of a new deployment in --dir.
    Init(InitArguments),
    /// Give the palms of a deployment, and what opens them, to a keyholder of its own; palmd must not be running. Run
    /// it again if it was stopped.
    Split(KeyholderArguments),
    /// Make new certificates for the link between palmd and its keyholder, which then have to be started again.
    RenewLink {
        /// The keyholder's folder, or a new one whose files are then taken there.
        #[arg(long, value_name = "DIR")]
        keyholder: PathBuf,
    },
    /// The counters and kiosks.
    #[command(subcommand)]
    Till(TillCommand),
    /// The people enrolled.
    #[command(subcommand)]
    Customer(CustomerCommand),
    /// Their balances.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// What was paid.
    #[command(subcommand)]
    Payment(PaymentCommand),
    /// The books.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Receipts, Z reports and statements.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Money of wallets on its way to their owners' bank accounts.
    #[command(subcommand)]
    Payout(PayoutCommand),
    /// The shop's money at its bank, as far as the books know.
    #[command(subcommand)]
    Bank(BankCommand),
    /// Compare the books with the rail's reports and the bank's statements; exit status 1 when breaks are open. Books
    /// what the statements prove.
    Reconcile(ReconcileArguments),
}

/// A new deployment.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Shown on the tills, 1 to 64 characters.
    #[arg(long)]
    pub shop_name: String,
    /// ISO 4217 code of the only currency taken, such as KRW.
    #[arg(long)]
    pub currency: String,
    /// Highest amount of one payment, in minor units.
    #[arg(long, default_value_t = 1_000_000)]
    pub payment_max: u64,
    /// Address that palmd listens on.
    #[arg(long, default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// A name or address by which tills reach palmd, beside localhost; may be given more than once.
    #[arg(long)]
    pub host: Vec<String>,
    /// Whether the keys of the palms lie with a process of their own.
    #[command(flatten)]
    pub keyholder: KeyholderArguments,
}

/// A keyholder of its own.
#[derive(Debug, Args)]
pub struct KeyholderArguments {
    /// Folder to make for a keyholder of its own, which then has the keys of the palms instead of palmd.
    #[arg(long, value_name = "DIR")]
    pub keyholder: Option<PathBuf>,
    /// Address that the keyholder listens on.
    #[arg(long, default_value = "127.0.0.1:7444", requires = "keyholder")]
    pub keyholder_listen: SocketAddr,
    /// Where palmd reaches it, when that is not the address that it listens on: https://HOST:PORT.
    #[arg(long, requires = "keyholder")]
    pub keyholder_address: Option<String>,
}

/// The counters and kiosks.
#[derive(Debug, Subcommand)]
pub enum TillCommand {
    /// Make a certificate and configuration for a till, and let it act as one.
    Enrol {
        /// 1 to 32 of a-z, 0-9 and '-', such as counter-1.
        #[arg(value_parser = TillId::new)]
        id: TillId,
        /// Folder to write the till's files to.
        #[arg(long)]
        out: PathBuf,
        /// Which palm reader it has.
        #[arg(long, value_enum, default_value = "usb")]
        reader: ReaderKind,
    },
    /// All tills.
    List,
    /// Refuse a till's certificate from now on.
    Revoke {
        /// Its id.
        #[arg(value_parser = TillId::new)]
        id: TillId,
    },
}

/// Which palm reader a till has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReaderKind {
    /// Synthetic palms: for trying out.
    Emulated,
    /// The first OpenPalm reader on USB.
    Usb,
}

/// The people enrolled.
#[derive(Debug, Subcommand)]
pub enum CustomerCommand {
    /// In order of creation.
    List(ListArguments),
    /// One of them.
    Show {
        /// customers/{uuid}
        name: CustomerId,
    },
    /// Destroy a customer's key, and with it their name and palms.
    Delete {
        /// customers/{uuid}
        name: CustomerId,
    },
    /// How a customer guards their money.
    Safeguards {
        /// customers/{uuid}
        name: CustomerId,
    },
    /// Change how a customer guards their money; what is not named stays.
    Guard(GuardArguments),
    /// Let a customer save a card on the provider's page.
    #[command(subcommand)]
    Card(CardCommand),
    /// Keep the token of a customer's card or account at the shop's outside rail: they then pay from there.
    Instrument {
        /// customers/{uuid}
        name: CustomerId,
        /// What the rail's own page gave; never a card number. Left out: they pay from their wallet again.
        token: Option<String>,
    },
}

/// A customer's card.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Open a page: show its url as a QR code, and the customer types the card on their own phone.
    Open {
        /// customers/{uuid}
        customer: CustomerId,
        /// Of an earlier try whose outcome is not known: the same one gives the same page.
        #[arg(long)]
        request_id: Option<RequestId>,
    },
    /// Ask how it went.
    Check {
        /// customers/{uuid}/cardPages/{uuid}
        page: CardPageId,
    },
    /// Forget the card here and at the provider: the customer pays from their wallet again.
    Forget {
        /// customers/{uuid}
        customer: CustomerId,
    },
}

/// How a customer guards their money.
#[derive(Debug, Args)]
pub struct GuardArguments {
    /// customers/{uuid}
    pub name: CustomerId,
    /// Read a new PIN (4 to 12 digits) from a line of standard input; an empty line takes it away. It unlocks.
    #[arg(long)]
    pub pin_from_stdin: bool,
    /// The last 4 digits of their telephone number; empty takes them away.
    #[arg(long)]
    pub phone_digits: Option<String>,
    /// Whether every payment needs the second factor.
    #[arg(long)]
    pub always_second_factor: Option<bool>,
    /// Whether no payment by palm is taken.
    #[arg(long)]
    pub frozen: Option<bool>,
    /// Highest amount of one payment in minor units; 0: the shop's limit alone.
    #[arg(long)]
    pub payment_max: Option<u64>,
    /// Highest sum of one day in minor units; 0: the shop's limit alone.
    #[arg(long)]
    pub day_max: Option<u64>,
}

/// Balances.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Cash taken at the counter goes into the wallet.
    TopUp(TransferArguments),
    /// Money goes out of the wallet to its owner.
    PayOut(TransferArguments),
    /// The balance.
    Show {
        /// customers/{uuid}
        customer: CustomerId,
    },
}

/// Money into or out of a wallet.
#[derive(Debug, Args)]
pub struct TransferArguments {
    /// customers/{uuid}
    pub customer: CustomerId,
    /// In minor units of the shop's currency.
    pub amount_minor: u64,
    /// Of an earlier try whose outcome is not known: the same one moves money once.
    #[arg(long)]
    pub request_id: Option<RequestId>,
}

/// What was paid.
#[derive(Debug, Subcommand)]
pub enum PaymentCommand {
    /// Newest first.
    List(ListArguments),
    /// One of them.
    Show {
        /// payments/{uuid}
        name: PaymentId,
    },
    /// Take what is held, wholly or in part; the rest is freed.
    Capture(ChangeArguments),
    /// Free what is held.
    Void(ChangeArguments),
    /// Give back what was taken, wholly or in part.
    Refund(ChangeArguments),
    /// Every refund of a payment.
    Refunds {
        /// payments/{uuid}
        name: PaymentId,
    },
}

/// A change of a payment.
#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// payments/{uuid}
    pub name: PaymentId,
    /// In minor units of the shop's currency; left out: all there is. A void takes none.
    pub amount_minor: Option<u64>,
    /// Of an earlier try whose outcome is not known: the same one moves money once.
    #[arg(long)]
    pub request_id: Option<RequestId>,
}

/// How much of a list.
#[derive(Debug, Clone, Copy, Args)]
pub struct ListArguments {
    /// Rows at most.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// The books.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Replay every transfer and compare; exit status 1 when something does not fit.
    Audit,
}

/// What is printed and sent on.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// A payment's receipt.
    Receipt {
        /// payments/{uuid}
        payment: PaymentId,
        /// How it is written.
        #[command(flatten)]
        to: DocumentArguments,
    },
    /// Close the shop's shift: everything since the last close becomes the next Z report.
    CloseShift {
        /// Of an earlier try whose outcome is not known: the same one closes once.
        #[arg(long)]
        request_id: Option<RequestId>,
        /// How it is written.
        #[command(flatten)]
        to: DocumentArguments,
    },
    /// A Z report once more.
    Shift {
        /// From 1.
        number: u64,
        /// How it is written.
        #[command(flatten)]
        to: DocumentArguments,
    },
    /// An account's movements up to now.
    Statement {
        /// `shop`, `bank`, or customers/{uuid}/wallet
        account: String,
        /// How it is written: csv or camt053.
        #[command(flatten)]
        to: DocumentArguments,
    },
}

/// Pay-outs to bank accounts.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Set money of a wallet aside for its owner's bank account. The account, an IBAN or the bank's own number, is one
    /// line of standard input.
    Order {
        /// Whose wallet, and how much.
        #[command(flatten)]
        transfer: TransferArguments,
        /// In whose name the account is, when that is not the customer's.
        #[arg(long)]
        holder: Option<String>,
    },
    /// Free what an order set aside, before it is in a file.
    Cancel {
        /// payouts/{uuid}
        name: PayoutId,
    },
    /// Newest first.
    List(ListArguments),
    /// One of them.
    Show {
        /// payouts/{uuid}
        name: PayoutId,
    },
    /// Put what is ordered into a new file for the bank (pain.001), or write an earlier file once more.
    File {
        /// Where to; a new file, readable for its owner only.
        #[arg(long)]
        out: PathBuf,
        /// The day the bank should pay, instead of today.
        #[arg(long)]
        day: Option<Day>,
        /// Of an earlier try whose outcome is not known: the same file again.
        #[arg(long)]
        request_id: Option<RequestId>,
        /// An earlier file, payout-files/{uuid}: the same bytes.
        #[arg(long, conflicts_with_all = ["day", "request_id"])]
        again: Option<PayoutFileId>,
    },
    /// Take the bank's answer to a file (pain.002); exit status 1 when it says what cannot be.
    Report {
        /// The answer.
        file: PathBuf,
    },
}

/// The shop's bank.
#[derive(Debug, Subcommand)]
pub enum BankCommand {
    /// What the books know of.
    Show,
    /// Cash was paid in at the bank.
    Deposit {
        /// In minor units of the shop's currency.
        amount_minor: u64,
        /// What the bank's statement will call it, such as the number of the slip; each is booked once.
        #[arg(long)]
        reference: Option<String>,
        /// Of an earlier try whose outcome is not known: the same one moves money once.
        #[arg(long)]
        request_id: Option<RequestId>,
    },
    /// A break that `palmctl reconcile` told was looked at and explained: it is not told again.
    CloseBreak {
        /// As it was told, without the '#'.
        number: u64,
        /// What it was, 1 to 200 characters.
        #[arg(long)]
        note: String,
    },
}

/// What is compared with the books.
#[derive(Debug, Args)]
pub struct ReconcileArguments {
    /// A report of the rail: CSV with the columns reference, movement (capture or refund), amount, fee, currency, day
    /// and settlement; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub rail: Vec<PathBuf>,
    /// A statement of the bank (camt.053); may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub bank: Vec<PathBuf>,
    /// Movements of ours from this day on, instead of the first day in the files.
    #[arg(long, value_name = "DAY")]
    pub from: Option<Day>,
    /// The last day that the rail's reports cover, instead of the last day in them.
    #[arg(long, value_name = "DAY")]
    pub rail_until: Option<Day>,
    /// Its form.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReconcileFormat,
    /// A new file for it, instead of standard output.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Forms of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReconcileFormat {
    /// A summary, and each open break.
    Text,
    /// Everything that was laid side by side, RFC 4180.
    Csv,
}

/// How a document is written, and where to.
#[derive(Debug, Args)]
pub struct DocumentArguments {
    /// Its form.
    #[arg(long, value_enum, default_value = "text")]
    pub format: DocumentFormat,
    /// `ko` or `en`.
    #[arg(long, default_value = "en")]
    pub language: String,
    /// A new file for it, instead of standard output; a receipt printer's bytes need one.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Forms of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DocumentFormat {
    /// For 42 columns.
    Text,
    /// Bytes for a receipt printer.
    EscPos,
    /// A fragment of a page.
    Html,
    /// RFC 4180.
    Csv,
    /// ISO 20022 camt.053.001.08.
    Camt053,
}
