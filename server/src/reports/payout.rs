//! Pay-outs to bank accounts: ISO 20022 pain.001.001.09 to the bank, pain.002 back from it.
//!
//! Sending is idempotent in the message's id: a file is a pure function of its batch, so the same batch sent again is
//! the same bytes under the same `MsgId`, and a bank that has it already answers with reason `DUPL` and pays nobody
//! twice ([`StatusReport::is_duplicate`]).

use std::{collections::BTreeSet, fmt};

use palm_proto::money::{AMOUNT_MAX, Currency};

use super::{
    Day, Reference, Zone,
    money::{decimal, sum},
    xml::{Node, Writer, XmlError, read},
};
use crate::{clock::Timestamp, limits::PAYOUTS_MAX, rail::looks_like_card_number};

/// The message that [`Batch::pain001`] writes.
pub const MESSAGE: &str = "pain.001.001.09";
const REPORTS: [&str; 2] = ["pain.002.001.10", "pain.002.001.03"];
const NAME_LEN_MAX: usize = 140;
/// Numbers of cards have as many digits or more; most banks' own have fewer.
const CARD_DIGITS_MIN: usize = 15;

/// An account at a bank.
#[derive(Clone, PartialEq, Eq)]
pub struct BankAccount(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Iban(String),
    Other(String),
}

/// Its last four characters.
impl fmt::Debug for BankAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Form::Iban(text) | Form::Other(text)) = &self.0;
        let shown = text.len().saturating_sub(4).max(text.len() / 2);
        write!(f, "..{}", text.get(shown..).unwrap_or_default())
    }
}

/// Text that is no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an IBAN with its check digits, or a bank's own number of 1 to 34 letters, digits and dashes"
)]
pub struct BankAccountError;

impl BankAccount {
    /// Whichever the text is: what begins like an IBAN must be a right one. What could be the number of a card is
    /// refused.
    ///
    /// # Errors
    /// [`BankAccountError`] when it is neither.
    pub fn new(text: &str) -> Result<Self, BankAccountError> {
        let text = text.trim();
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        match text.as_bytes() {
            [a, b, c, d, ..]
                if a.is_ascii_alphabetic()
                    && b.is_ascii_alphabetic()
                    && c.is_ascii_digit()
                    && d.is_ascii_digit() =>
            {
                Self::iban(text)
            }
            _ if digits >= CARD_DIGITS_MIN && looks_like_card_number(text) => Err(BankAccountError),
            _ => Self::other(text),
        }
    }

    /// The account as [`Self::new`] reads it.
    pub(crate) fn as_str(&self) -> &str {
        let (Form::Iban(text) | Form::Other(text)) = &self.0;
        text
    }

    /// An IBAN, with or without its spaces; its check digits must be right (ISO 13616, by ISO/IEC 7064 mod 97-10).
    ///
    /// # Errors
    /// [`BankAccountError`] when it is none.
    pub fn iban(text: &str) -> Result<Self, BankAccountError> {
        let text: String = text.chars().filter(|c| *c != ' ').collect();
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let is_formed = (15..=34).contains(&text.len()) && text.bytes().all(upper);
        let head = text.get(..4).map(str::as_bytes);
        let is_headed = matches!(head, Some([a, b, c, d])
            if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit());
        if is_formed && is_headed && remainder_97(&text) == Some(1) {
            Ok(Self(Form::Iban(text)))
        } else {
            Err(BankAccountError)
        }
    }

    /// A number of the bank's own, as in countries without IBANs.
    ///
    /// # Errors
    /// [`BankAccountError`] unless it has 1 to 34 letters, digits and dashes.
    pub fn other(text: &str) -> Result<Self, BankAccountError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=34).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(Form::Other(text.to_owned())))
        } else {
            Err(BankAccountError)
        }
    }

    fn write(&self, writer: &mut Writer) {
        match &self.0 {
            Form::Iban(iban) => writer.path(&["Id", "IBAN"], iban),
            Form::Other(id) => writer.path(&["Id", "Othr", "Id"], id),
        }
    }
}

/// The remainder of the number that is made by moving the first four characters to the end and letters to 10..35.
fn remainder_97(iban: &str) -> Option<u32> {
    let (head, tail) = iban.split_at_checked(4)?;
    tail.chars().chain(head.chars()).try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        let shift = if value > 9 { 100 } else { 10 };
        let next = rest.checked_mul(shift)?.checked_add(value)?;
        Some(next % 97)
    })
}

/// One pay-out.
#[derive(Clone, PartialEq, Eq)]
pub struct Payout {
    /// Its reference, from end to end: it comes back in the bank's report and on its statement.
    pub reference: Reference,
    /// How much, in minor units.
    pub minor: u64,
    /// Who gets it.
    pub name: String,
    /// Where.
    pub account: BankAccount,
    /// In words, for the one who gets it; may be empty.
    pub note: String,
}

/// Without the name and the words.
impl fmt::Debug for Payout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payout")
            .field("reference", &self.reference)
            .field("minor", &self.minor)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Pay-outs that go to the bank together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The message's id: made once for the batch and kept before the first byte is sent.
    pub id: Reference,
    /// When the batch was made; not when it is sent.
    pub created: Timestamp,
    /// Where times are read.
    pub zone: Zone,
    /// Who pays.
    pub payer: String,
    /// From where.
    pub account: BankAccount,
    /// Of every amount.
    pub currency: Currency,
    /// The day the bank should pay.
    pub day: Day,
    /// Who gets what.
    pub payouts: Vec<Payout>,
}

/// Why a batch cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Nothing, or more than [`PAYOUTS_MAX`].
    #[error("a batch has 1 to {PAYOUTS_MAX} pay-outs")]
    Count,
    /// Nothing, or more than the highest amount.
    #[error("a pay-out is of 1 to {AMOUNT_MAX} minor units")]
    Amount,
    /// A payer or receiver without a name.
    #[error("the payer and everyone who is paid have a name")]
    Name,
    /// Two pay-outs have one reference.
    #[error("two pay-outs have one reference: pay each once")]
    Twice,
}

impl Batch {
    /// Looks whether it can be sent.
    ///
    /// # Errors
    /// [`BatchError`] when it cannot.
    pub fn check(&self) -> Result<(), BatchError> {
        let references: BTreeSet<_> = self
            .payouts
            .iter()
            .map(|payout| &payout.reference)
            .collect();
        let names = self.payouts.iter().map(|payout| &payout.name);
        let is_named = |name: &String| name.chars().any(char::is_alphanumeric);
        if !(1..=PAYOUTS_MAX).contains(&self.payouts.len()) {
            Err(BatchError::Count)
        } else if references.len() != self.payouts.len() {
            Err(BatchError::Twice)
        } else if self
            .payouts
            .iter()
            .any(|payout| !(1..=AMOUNT_MAX).contains(&payout.minor))
        {
            Err(BatchError::Amount)
        } else if !names.chain([&self.payer]).all(is_named) {
            Err(BatchError::Name)
        } else {
            Ok(())
        }
    }

    /// The customer credit transfer initiation, pain.001.001.09, in UTF-8.
    ///
    /// # Errors
    /// As [`Batch::check`].
    pub fn pain001(&self) -> Result<String, BatchError> {
        self.check()?;
        let mut writer = Writer::new(MESSAGE);
        writer.within("CstmrCdtTrfInitn", |writer| {
            writer.within("GrpHdr", |writer| {
                writer.leaf("MsgId", self.id.as_str());
                writer.leaf("CreDtTm", &self.zone.iso(self.created));
                self.totals(writer);
                writer.within("InitgPty", |writer| {
                    writer.words("Nm", &self.payer, NAME_LEN_MAX)
                });
            });
            writer.within("PmtInf", |writer| {
                writer.leaf("PmtInfId", self.id.as_str());
                writer.leaf("PmtMtd", "TRF");
                self.totals(writer);
                writer.path(&["ReqdExctnDt", "Dt"], &self.day.to_string());
                writer.within("Dbtr", |writer| {
                    writer.words("Nm", &self.payer, NAME_LEN_MAX)
                });
                writer.within("DbtrAcct", |writer| {
                    self.account.write(writer);
                    writer.leaf("Ccy", self.currency.code());
                });
                writer.path(&["DbtrAgt", "FinInstnId", "Othr", "Id"], "NOTPROVIDED");
                writer.leaf("ChrgBr", "SLEV");
                for payout in &self.payouts {
                    writer.within("CdtTrfTxInf", |writer| self.payout(writer, payout));
                }
            });
        });
        Ok(writer.finish())
    }

    fn totals(&self, writer: &mut Writer) {
        let total = sum(self.payouts.iter().map(|payout| payout.minor.into()));
        writer.leaf("NbOfTxs", &self.payouts.len().to_string());
        writer.leaf("CtrlSum", &decimal(total, self.currency));
    }

    fn payout(&self, writer: &mut Writer, payout: &Payout) {
        writer.path(&["PmtId", "EndToEndId"], payout.reference.as_str());
        writer.within("Amt", |writer| {
            writer.money("InstdAmt", payout.minor.into(), self.currency);
        });
        writer.within("Cdtr", |writer| {
            writer.words("Nm", &payout.name, NAME_LEN_MAX)
        });
        writer.within("CdtrAcct", |writer| payout.account.write(writer));
        if payout.note.chars().any(char::is_alphanumeric) {
            writer.within("RmtInf", |writer| writer.words("Ustrd", &payout.note, 140));
        }
    }
}

/// How far the bank is with a batch or a pay-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Taken on (`ACCP`, `ACTC`, `ACSP`, `ACWC`, `ACWP`, `ACFC`): it will be paid, and the statement shows when.
    Accepted,
    /// Of a batch: some are, some are not (`PART`).
    Partly,
    /// Not decided, or a code that is not known here: ask again.
    Pending,
    /// Refused (`RJCT`, `CANC`): nothing is paid.
    Rejected,
    /// Paid (`ACSC`, `ACCC`).
    Settled,
}

impl Status {
    fn of(code: &str) -> Self {
        match code {
            "ACCP" | "ACTC" | "ACSP" | "ACWC" | "ACWP" | "ACFC" => Self::Accepted,
            "ACSC" | "ACCC" => Self::Settled,
            "PART" => Self::Partly,
            "RJCT" | "CANC" => Self::Rejected,
            _ => Self::Pending,
        }
    }
}

/// What the bank says about one pay-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutStatus {
    /// The pay-out's reference.
    pub reference: String,
    /// How far it is.
    pub status: Status,
    /// ISO 20022's code of the reason, such as `AC04`, where it was refused.
    pub reason: Option<String>,
}

/// The bank's answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The id of the batch it answers.
    pub batch: String,
    /// How far the whole is; none when the bank speaks of the pay-outs only.
    pub status: Option<Status>,
    /// ISO 20022's code of the reason, where the whole was refused.
    pub reason: Option<String>,
    /// The pay-outs that it speaks of.
    pub payouts: Vec<PayoutStatus>,
}

impl StatusReport {
    /// Whether the bank had the batch already: its first answer holds, and nobody is to be paid again.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.status == Some(Status::Rejected) && self.reason.as_deref() == Some("DUPL")
    }
}

/// Reads a customer payment status report: pain.002.001.03 or .10.
///
/// # Errors
/// [`XmlError`] when it is none, is beyond the limits, or lacks what it must have.
pub fn read_status_report(bytes: &[u8]) -> Result<StatusReport, XmlError> {
    let document = read(bytes, &REPORTS)?;
    let report = document
        .child("CstmrPmtStsRpt")
        .ok_or(XmlError::Element("CstmrPmtStsRpt"))?;
    let group = report
        .child("OrgnlGrpInfAndSts")
        .ok_or(XmlError::Element("OrgnlGrpInfAndSts"))?;
    let batch = group
        .text_at(&["OrgnlMsgId"])
        .ok_or(XmlError::Element("OrgnlMsgId"))?;
    let payouts = report
        .all("OrgnlPmtInfAndSts")
        .flat_map(|payments| payments.all("TxInfAndSts"));
    // A batch has one payment information, so that its status is the whole's.
    let payments = report.child("OrgnlPmtInfAndSts");
    let of_payments = payments.and_then(|payments| payments.text_at(&["PmtInfSts"]));
    let status = group.text_at(&["GrpSts"]).or(of_payments);
    Ok(StatusReport {
        batch: batch.to_owned(),
        status: status.map(Status::of),
        reason: reason(group).or_else(|| payments.and_then(reason)),
        payouts: payouts.map(payout_status).collect::<Result<_, _>>()?,
    })
}

fn payout_status(node: &Node) -> Result<PayoutStatus, XmlError> {
    let reference = node
        .text_at(&["OrgnlEndToEndId"])
        .ok_or(XmlError::Element("OrgnlEndToEndId"))?;
    let status = node.text_at(&["TxSts"]).ok_or(XmlError::Element("TxSts"))?;
    Ok(PayoutStatus {
        reference: reference.to_owned(),
        status: Status::of(status),
        reason: reason(node),
    })
}

fn reason(node: &Node) -> Option<String> {
    node.text_at(&["StsRsnInf", "Rsn", "Cd"])
        .or_else(|| node.text_at(&["StsRsnInf", "Rsn", "Prtry"]))
        .map(ToOwned::to_owned)
}

/// Reads any bytes as a status report; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_status_report(bytes: &[u8]) {
    let _had = read_status_report(bytes).is_ok_and(|report| report.is_duplicate());
}

#[cfg(test)]
mod tests;
