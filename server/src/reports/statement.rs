//! A statement: an account's movements over some days, for a customer or for the shop, as CSV and as ISO 20022
//! camt.053.001.08.
//!
//! The message has what the schema asks for and no bank's codes: our movements are no bank's transactions, so each is
//! coded as a proprietary one (`BkTxCd/Prtry`, issuer `OpenPalm`) and the account is named by our own id.

use palm_proto::money::Currency;

use super::{
    Day, Reference, Side, Zone,
    money::{decimal, sum},
    table::Table,
    xml::Writer,
};
use crate::clock::Timestamp;

/// The message that [`Statement::camt053`] writes.
pub const MESSAGE: &str = "camt.053.001.08";
const ISSUER: &str = "OpenPalm";

/// Why an account's balance moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// A payment was captured.
    Capture,
    /// A payment went back.
    Refund,
    /// Money was put in.
    TopUp,
    /// Money was paid out.
    PayOut,
    /// A pay-out came back.
    Return,
    /// Cash was paid in at the bank.
    Deposit,
    /// A rail settled with the shop.
    Settlement,
}

impl Movement {
    /// For machines: `CAPTURE`, `REFUND`, `TOPUP`, `PAYOUT`, `RETURN`, `DEPOSIT`, `SETTLEMENT`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Capture => "CAPTURE",
            Self::Refund => "REFUND",
            Self::TopUp => "TOPUP",
            Self::PayOut => "PAYOUT",
            Self::Return => "RETURN",
            Self::Deposit => "DEPOSIT",
            Self::Settlement => "SETTLEMENT",
        }
    }
}

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id in the books.
    pub reference: Reference,
    /// The payment or order it belongs to.
    pub payment: Reference,
    /// When it was booked.
    pub time: Timestamp,
    /// Into the account or out of it.
    pub side: Side,
    /// How much, in minor units.
    pub minor: u64,
    /// Why.
    pub movement: Movement,
    /// In words, for people; may be empty.
    pub note: String,
}

/// A statement, before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its id; the same statement again has the same.
    pub id: Reference,
    /// Its number for this account: one more than the last.
    pub number: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From this moment on.
    pub from: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
    /// Where times are read.
    pub zone: Zone,
    /// The account; at most 34 characters are written.
    pub account: Reference,
    /// Whose it is.
    pub owner: String,
    /// Of every amount.
    pub currency: Currency,
    /// What was in it at the beginning, in minor units; negative for a debt.
    pub opening_minor: i128,
    /// What moved, in order of time.
    pub entries: Vec<Entry>,
}

/// Why a statement cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// An entry lies outside the time of the statement, or before the one ahead of it.
    #[error(
        "an entry is outside the statement's time or out of order: give the entries of that time, sorted"
    )]
    Time,
    /// Two entries have one reference.
    #[error("two entries have one reference: a movement is stated once")]
    Twice,
}

impl Statement {
    /// Looks whether the entries belong to it.
    ///
    /// # Errors
    /// [`StatementError`] when they do not.
    pub fn check(&self) -> Result<(), StatementError> {
        let mut earliest = self.from;
        let mut seen = std::collections::BTreeSet::new();
        for entry in &self.entries {
            if entry.time < earliest || entry.time >= self.until {
                return Err(StatementError::Time);
            }
            earliest = entry.time;
            if !seen.insert(&entry.reference) {
                return Err(StatementError::Twice);
            }
        }
        Ok(())
    }

    /// What is in the account at the end, in minor units.
    #[must_use]
    pub fn closing_minor(&self) -> i128 {
        let entries = self.entries.iter();
        let moved = entries.map(|entry| entry.side.signed(entry.minor));
        sum([self.opening_minor].into_iter().chain(moved))
    }

    /// As a table: one row an entry with the balance after it, a first row with the opening balance and a last one with
    /// the closing balance.
    ///
    /// # Errors
    /// As [`Statement::check`].
    pub fn csv(&self) -> Result<String, StatementError> {
        self.check()?;
        let mut table = Table::new(&[
            "time",
            "reference",
            "payment",
            "movement",
            "amount",
            "balance",
            "currency",
            "note",
        ]);
        let mut row = |time: &str, names: [&str; 3], amounts: [String; 2], note: &str| {
            let [reference, payment, movement] = names;
            let [amount, balance] = &amounts;
            let currency = self.currency.code();
            table.row(&[
                time, reference, payment, movement, amount, balance, currency, note,
            ]);
        };
        let written = |minor| decimal(minor, self.currency);
        let mut balance = self.opening_minor;
        let from = self.zone.iso(self.from);
        row(
            &from,
            ["", "", "OPENING"],
            [String::new(), written(balance)],
            "",
        );
        for entry in &self.entries {
            let moved = entry.side.signed(entry.minor);
            balance = balance.saturating_add(moved);
            let names = [
                entry.reference.as_str(),
                entry.payment.as_str(),
                entry.movement.code(),
            ];
            let time = self.zone.iso(entry.time);
            row(
                &time,
                names,
                [written(moved), written(balance)],
                &entry.note,
            );
        }
        assert_eq!(
            balance,
            self.closing_minor(),
            "balances run to the closing one"
        );
        let until = self.zone.iso(self.until);
        row(
            &until,
            ["", "", "CLOSING"],
            [String::new(), written(balance)],
            "",
        );
        Ok(table.finish())
    }

    /// As a bank-to-customer statement, camt.053.001.08, in UTF-8.
    ///
    /// # Errors
    /// As [`Statement::check`].
    pub fn camt053(&self) -> Result<String, StatementError> {
        self.check()?;
        let created = self.zone.iso(self.created);
        let mut writer = Writer::new(MESSAGE);
        writer.within("BkToCstmrStmt", |writer| {
            writer.within("GrpHdr", |writer| {
                writer.leaf("MsgId", self.id.as_str());
                writer.leaf("CreDtTm", &created);
            });
            writer.within("Stmt", |writer| {
                writer.leaf("Id", self.id.as_str());
                writer.leaf("ElctrncSeqNb", &self.number.to_string());
                writer.leaf("CreDtTm", &created);
                writer.within("FrToDt", |writer| {
                    writer.leaf("FrDtTm", &self.zone.iso(self.from));
                    writer.leaf("ToDtTm", &self.zone.iso(self.until));
                });
                self.account_element(writer);
                self.balance(writer, "OPBD", self.opening_minor, self.zone.day(self.from));
                let last = Timestamp::from_micros(self.until.micros().saturating_sub(1));
                self.balance(writer, "CLBD", self.closing_minor(), self.zone.day(last));
                self.summary(writer);
                for entry in &self.entries {
                    writer.within("Ntry", |writer| self.entry(writer, entry));
                }
            });
        });
        Ok(writer.finish())
    }

    fn account_element(&self, writer: &mut Writer) {
        const ID_LEN_MAX: usize = 34;
        let id: String = self.account.as_str().chars().take(ID_LEN_MAX).collect();
        writer.within("Acct", |writer| {
            writer.path(&["Id", "Othr", "Id"], &id);
            writer.leaf("Ccy", self.currency.code());
            if !self.owner.trim().is_empty() {
                writer.within("Ownr", |writer| writer.words("Nm", &self.owner, 140));
            }
        });
    }

    fn balance(&self, writer: &mut Writer, code: &str, minor: i128, day: Day) {
        writer.within("Bal", |writer| {
            writer.path(&["Tp", "CdOrPrtry", "Cd"], code);
            self.sided(writer, minor);
            writer.path(&["Dt", "Dt"], &day.to_string());
        });
    }

    fn sided(&self, writer: &mut Writer, minor: i128) {
        let (side, size) = Side::of(minor);
        let size = i128::try_from(size).unwrap_or(i128::MAX);
        writer.money("Amt", size, self.currency);
        writer.leaf("CdtDbtInd", side.code());
    }

    fn summary(&self, writer: &mut Writer) {
        let total = |side: Option<Side>| {
            let of_side = |entry: &&Entry| side.is_none_or(|side| side == entry.side);
            let entries = self.entries.iter().filter(of_side);
            let count = entries.clone().count().to_string();
            let minor = sum(entries.map(|entry| i128::from(entry.minor)));
            (count, decimal(minor, self.currency))
        };
        writer.within("TxsSummry", |writer| {
            for (name, side) in [
                ("TtlNtries", None),
                ("TtlCdtNtries", Some(Side::Credit)),
                ("TtlDbtNtries", Some(Side::Debit)),
            ] {
                let (count, minor) = total(side);
                writer.within(name, |writer| {
                    writer.leaf("NbOfNtries", &count);
                    writer.leaf("Sum", &minor);
                });
            }
        });
    }

    fn entry(&self, writer: &mut Writer, entry: &Entry) {
        let signed = entry.side.signed(entry.minor);
        writer.leaf("NtryRef", entry.reference.as_str());
        self.sided(writer, signed);
        writer.path(&["Sts", "Cd"], "BOOK");
        writer.path(&["BookgDt", "DtTm"], &self.zone.iso(entry.time));
        writer.path(&["ValDt", "Dt"], &self.zone.day(entry.time).to_string());
        writer.leaf("AcctSvcrRef", entry.reference.as_str());
        writer.within("BkTxCd", |writer| {
            writer.within("Prtry", |writer| {
                writer.leaf("Cd", entry.movement.code());
                writer.leaf("Issr", ISSUER);
            });
        });
        writer.within("NtryDtls", |writer| {
            writer.within("TxDtls", |writer| {
                writer.path(&["Refs", "EndToEndId"], entry.payment.as_str());
                self.sided(writer, signed);
            });
        });
        writer.words("AddtlNtryInf", &entry.note, 500);
    }
}

#[cfg(test)]
mod tests;
