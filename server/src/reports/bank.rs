//! The bank's statement (ISO 20022 camt.053, versions .02 and .08), read for reconciliation.
//!
//! Read are the account, the opening and closing balances and the booked entries; what else a bank writes is passed
//! over. An entry that books several payments together is split when the bank says each one's amount and they add up.

use std::fmt;

use palm_proto::money::Currency;

use super::{
    Day, Side,
    money::sum,
    xml::{Node, XmlError, read},
};

const MESSAGES: [&str; 2] = ["camt.053.001.08", "camt.053.001.02"];
/// What ISO 20022 writes in place of a reference that nobody gave.
const NO_REFERENCE: &str = "NOTPROVIDED";

/// An account's day, as the bank has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankStatement {
    /// The bank's id of the statement.
    pub id: String,
    /// The account: its IBAN, or the bank's own number.
    pub account: String,
    /// Of every amount.
    pub currency: Currency,
    /// What was in it at the beginning, in minor units; none when the bank does not say.
    pub opening_minor: Option<i128>,
    /// What is in it at the end.
    pub closing_minor: Option<i128>,
    /// What was booked.
    pub entries: Vec<BankEntry>,
}

/// One booking.
#[derive(Clone, PartialEq, Eq)]
pub struct BankEntry {
    /// Into the account or out of it.
    pub side: Side,
    /// How much, in minor units.
    pub minor: u64,
    /// The day it was booked.
    pub day: Day,
    /// The reference that the payer gave, from end to end.
    pub reference: Option<String>,
    /// The bank's own reference.
    pub bank_reference: Option<String>,
    /// What the payer wrote.
    pub note: String,
    /// Whether it takes back an earlier booking.
    pub is_return: bool,
}

impl BankStatement {
    /// What the entries lack between the opening and the closing balance: 0 when the statement is whole, none when the
    /// bank did not say both.
    #[must_use]
    pub fn gap_minor(&self) -> Option<i128> {
        let moved = self
            .entries
            .iter()
            .map(|entry| entry.side.signed(entry.minor));
        let expected = sum([self.opening_minor?].into_iter().chain(moved));
        Some(self.closing_minor?.saturating_sub(expected))
    }
}

/// Without what the payer wrote: it may name people.
impl fmt::Debug for BankEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BankEntry")
            .field("side", &self.side)
            .field("minor", &self.minor)
            .field("day", &self.day)
            .field("reference", &self.reference)
            .field("is_return", &self.is_return)
            .finish_non_exhaustive()
    }
}

/// Reads every statement of a message.
///
/// # Errors
/// [`XmlError`] when it is no camt.053 of a version that is read, is beyond the limits, or lacks what it must have; an
/// amount in another currency than the account's is an error.
pub fn read_bank_statements(bytes: &[u8]) -> Result<Vec<BankStatement>, XmlError> {
    let document = read(bytes, &MESSAGES)?;
    let message = document
        .child("BkToCstmrStmt")
        .ok_or(XmlError::Element("BkToCstmrStmt"))?;
    message.all("Stmt").map(statement).collect()
}

fn statement(node: &Node) -> Result<BankStatement, XmlError> {
    let id = node.text_at(&["Id"]).ok_or(XmlError::Element("Stmt/Id"))?;
    let account = node
        .text_at(&["Acct", "Id", "IBAN"])
        .or_else(|| node.text_at(&["Acct", "Id", "Othr", "Id"]))
        .ok_or(XmlError::Element("Acct/Id"))?;
    // A version .02 may leave the account's currency out; then the balances tell.
    let currency = match node.text_at(&["Acct", "Ccy"]) {
        Some(code) => code.parse().ok(),
        None => node.money_at(&["Bal", "Amt"]).map(|(_, currency)| currency),
    };
    let currency = currency.ok_or(XmlError::Element("Acct/Ccy"))?;
    let mut statement = BankStatement {
        id: id.to_owned(),
        account: account.to_owned(),
        currency,
        opening_minor: None,
        closing_minor: None,
        entries: Vec::new(),
    };
    for balance in node.all("Bal") {
        let code = balance.text_at(&["Tp", "CdOrPrtry", "Cd"]);
        let minor = || signed(balance, currency).ok_or(XmlError::Element("Bal/Amt"));
        match code {
            Some("OPBD" | "PRCD") => statement.opening_minor = Some(minor()?),
            Some("CLBD") => statement.closing_minor = Some(minor()?),
            _ => {}
        }
    }
    for entry in node.all("Ntry") {
        // .08 has a code inside, .02 the code itself.
        let status = entry
            .text_at(&["Sts", "Cd"])
            .or_else(|| entry.text_at(&["Sts"]));
        if status == Some("BOOK") {
            statement.entries.extend(bookings(entry, currency)?);
        }
    }
    Ok(statement)
}

fn side(node: &Node) -> Option<Side> {
    match node.text_at(&["CdtDbtInd"])? {
        "CRDT" => Some(Side::Credit),
        "DBIT" => Some(Side::Debit),
        _ => None,
    }
}

/// An amount of the account's currency.
fn minor_at(node: &Node, path: &[&str], currency: Currency) -> Option<u64> {
    let (minor, own) = node.money_at(path)?;
    (own == currency).then_some(minor)
}

fn signed(node: &Node, currency: Currency) -> Option<i128> {
    Some(side(node)?.signed(minor_at(node, &["Amt"], currency)?))
}

/// The bookings of an entry: one, or one for each payment that was booked with it.
fn bookings(entry: &Node, currency: Currency) -> Result<Vec<BankEntry>, XmlError> {
    let side = side(entry).ok_or(XmlError::Element("Ntry/CdtDbtInd"))?;
    let minor = minor_at(entry, &["Amt"], currency).ok_or(XmlError::Element("Ntry/Amt"))?;
    let day = day(entry).ok_or(XmlError::Element("Ntry/BookgDt"))?;
    let details: Vec<&Node> = entry
        .all("NtryDtls")
        .flat_map(|details| details.all("TxDtls"))
        .collect();
    let parts: Option<Vec<u64>> = details
        .iter()
        .map(|part| amount_of(part, currency))
        .collect();
    let adds_up =
        |parts: &Vec<u64>| sum(parts.iter().map(|part| i128::from(*part))) == i128::from(minor);
    let booking = |details: Option<&Node>, minor| BankEntry {
        side,
        minor,
        day,
        reference: details.and_then(reference).map(ToOwned::to_owned),
        bank_reference: entry.text_at(&["AcctSvcrRef"]).map(ToOwned::to_owned),
        note: details.map(note).unwrap_or_default(),
        is_return: matches!(entry.text_at(&["RvslInd"]), Some("true" | "1"))
            || details.is_some_and(|details| details.child("RtrInf").is_some()),
    };
    Ok(match (details.as_slice(), parts) {
        ([one], _) => vec![booking(Some(*one), minor)],
        (_, Some(parts)) if details.len() > 1 && adds_up(&parts) => details
            .iter()
            .zip(parts)
            .map(|(details, minor)| booking(Some(*details), minor))
            .collect(),
        _ => vec![booking(None, minor)],
    })
}

fn amount_of(details: &Node, currency: Currency) -> Option<u64> {
    minor_at(details, &["Amt"], currency)
        .or_else(|| minor_at(details, &["AmtDtls", "TxAmt", "Amt"], currency))
}

/// The day of booking, else of value.
fn day(entry: &Node) -> Option<Day> {
    ["BookgDt", "ValDt"].iter().find_map(|name| {
        let text = entry
            .text_at(&[name, "Dt"])
            .or_else(|| entry.text_at(&[name, "DtTm"]))?;
        // A day may carry a zone behind it, a moment its time: neither changes the bank's day.
        text.get(..10)?.parse().ok()
    })
}

fn reference(details: &Node) -> Option<&str> {
    let paths: [&[&str]; 2] = [
        &["Refs", "EndToEndId"],
        &["RmtInf", "Strd", "CdtrRefInf", "Ref"],
    ];
    paths
        .iter()
        .filter_map(|path| details.text_at(path))
        .find(|text| *text != NO_REFERENCE)
}

fn note(details: &Node) -> String {
    let Some(remittance) = details.child("RmtInf") else {
        return String::new();
    };
    let lines: Vec<&str> = remittance.all("Ustrd").map(Node::own_text).collect();
    lines.join(" ")
}

/// Reads any bytes as a bank's statement; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_bank_statement(bytes: &[u8]) {
    for statement in read_bank_statements(bytes).unwrap_or_default() {
        let _whole = statement.gap_minor();
    }
}

#[cfg(test)]
mod tests;
