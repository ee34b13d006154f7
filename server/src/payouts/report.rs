//! The bank's answer to a file: pain.002.

use std::{collections::BTreeMap, sync::Arc};

use palm_proto::id::{PayoutFileId, PayoutId};

use super::{
    BankRefusal, Effect, Error, Event, Payout, Payouts, Reference, Table, Transaction, record, rows,
};
use crate::{
    clock::Timestamp,
    entropy::Entropy,
    limits,
    reports::payout::{Status, StatusReport},
};

/// Longest reason of a bank that is kept: ISO 20022's codes have 4 characters, a bank's own at most 35.
const REASON_MAX: usize = 35;

/// What a report did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The file that it answers.
    pub file: PayoutFileId,
    /// The bank had the file already: its first answer holds.
    pub is_duplicate: bool,
    /// The pay-outs that it speaks of, as they stand now.
    pub payouts: Vec<(Payout, ReportedEffect)>,
    /// How many it speaks of that are not in the file.
    pub unknown: u32,
}

/// What a report did to one pay-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedEffect {
    /// It moved on.
    Changed,
    /// The report says what was known.
    Unchanged,
    /// The report says what cannot be any more: nothing was changed.
    Contradicted,
}

impl Payouts {
    /// Takes the bank's answer to a file. The same answer again changes nothing.
    ///
    /// # Errors
    /// [`BankRefusal::FileNotFound`] when it answers no file of ours.
    pub async fn report(&self, report: StatusReport) -> Result<Reported, Error> {
        let file = Reference::id(&report.batch).ok_or(BankRefusal::FileNotFound)?;
        let file = PayoutFileId::from_bytes(file);
        let (entropy, now) = (Arc::clone(&self.base.entropy), self.base.clock.now());
        let writing = self
            .base
            .writer
            .write(move |tx| take(tx, file, &report, now, &*entropy));
        writing.await
    }
}

fn take(
    tx: &mut Transaction<'_>,
    file: PayoutFileId,
    report: &StatusReport,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Reported, Error> {
    tx.get(&record::file_key(file))?
        .ok_or(BankRefusal::FileNotFound)?;
    let mut reported = Reported {
        file,
        is_duplicate: report.is_duplicate(),
        payouts: Vec::new(),
        unknown: 0,
    };
    if reported.is_duplicate {
        return Ok(reported);
    }
    let mut said: BTreeMap<&str, (Status, Option<&str>)> = BTreeMap::new();
    for payout in &report.payouts {
        let answer = (payout.status, payout.reason.as_deref());
        said.insert(&payout.reference, answer);
    }
    let prefix = Table::PayoutInFile.key(&[&file.to_bytes()]);
    for (key, _) in tx.scan(&prefix, None, limits::PAYOUTS_A_FILE)? {
        let id = rows::id_at(Table::PayoutInFile, &key, prefix.len())?;
        let own = said.remove(Reference::of_id(id).as_str());
        // What the bank says of the whole holds for each that it does not name.
        let whole = report
            .status
            .map(|status| (status, report.reason.as_deref()));
        let Some((event, reason)) = own.or(whole).and_then(event) else {
            continue;
        };
        let id = PayoutId::from_bytes(id);
        let (mut row, effect) = match record::happen(tx, id, event, now, entropy) {
            Ok(Effect::Changed(row)) => (row, ReportedEffect::Changed),
            Ok(Effect::Unchanged(row)) => (row, ReportedEffect::Unchanged),
            Ok(Effect::Refused(row)) => (row, ReportedEffect::Contradicted),
            // Refused after it was accepted, and its owner was deleted since.
            Err(Error::CustomerNotFound) => (record::row_of(tx, id)?, ReportedEffect::Contradicted),
            Err(error) => return Err(error),
        };
        if effect == ReportedEffect::Changed && event == Event::Reject {
            row.bank_reason = reason.map(kept_reason);
            tx.put(record::key(id), rows::encode(&row));
        }
        reported.payouts.push((row.told(id), effect));
    }
    reported.unknown = u32::try_from(said.len()).unwrap_or(u32::MAX);
    Ok(reported)
}

/// What a status is for a pay-out; `None` while the bank has not decided.
fn event((status, reason): (Status, Option<&str>)) -> Option<(Event, Option<&str>)> {
    let event = match status {
        Status::Accepted => Event::Accept,
        Status::Settled => Event::Settle,
        Status::Rejected => Event::Reject,
        Status::Partly | Status::Pending => return None,
    };
    Some((event, reason))
}

fn kept_reason(text: &str) -> String {
    let printable = text.chars().filter(char::is_ascii_graphic);
    printable.take(REASON_MAX).collect()
}
