//! Files of pay-outs for the bank: pain.001.001.09.

use palm_proto::{
    id::{PayoutFileId, PayoutId, RequestId},
    money::Money,
};

use super::{
    BankAccount, BankRefusal, Error, Event, Payouts, Reference, RequestRow, Table, Timestamp,
    Transaction,
    record::{self, FileRow, PayoutRow},
    requests, rows,
};
use crate::{
    limits,
    reports::{Day, Zone, payout},
};

/// A file of pay-outs.
#[derive(Clone, PartialEq, Eq)]
pub struct PayoutFile {
    /// Its id; `MsgId` is the same without dashes.
    pub id: PayoutFileId,
    /// When it was made.
    pub create_time: Timestamp,
    /// How many pay-outs are in it.
    pub payouts: u32,
    /// What they come to.
    pub total: Money,
    /// pain.001.001.09, with names and accounts.
    pub content: Vec<u8>,
}

/// Without its content.
impl std::fmt::Debug for PayoutFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayoutFile")
            .field("id", &self.id)
            .field("payouts", &self.payouts)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl Payouts {
    /// Puts what is ordered, oldest first and at most [`limits::PAYOUTS_A_FILE`], into a file. The same request gives
    /// the same bytes.
    ///
    /// # Errors
    /// [`BankRefusal::AccountMissing`], [`BankRefusal::NothingOrdered`], [`Error::IdReused`]; as [`Self::file`].
    pub async fn make_file(
        &self,
        request: RequestId,
        day: Option<Day>,
    ) -> Result<PayoutFile, Error> {
        let (account, payer) = self.payer.clone().ok_or(BankRefusal::AccountMissing)?;
        let now = self.base.clock.now();
        let file = PayoutFileId::from_random(self.base.random());
        let today = self.zone().day(now);
        let row = FileRow {
            create_us: now.micros(),
            utc_offset_min: self.utc_offset_min,
            payer,
            account: account.as_str().to_owned(),
            day: day.unwrap_or(today).to_string(),
            payouts: 0,
            total_minor: 0,
        };
        let asked = day.map(|day| day.to_string());
        let writing = self
            .base
            .writer
            .write(move |tx| fill(tx, request, (file, row), asked));
        let file = writing.await?;
        self.file(file).await
    }

    /// A file once more: the same bytes.
    ///
    /// # Errors
    /// [`BankRefusal::FileNotFound`]; [`BankRefusal::FileGone`] when a customer in it was deleted, which is possible
    /// only after the bank has answered for them.
    pub async fn file(&self, id: PayoutFileId) -> Result<PayoutFile, Error> {
        let payouts = self.clone();
        let working = tokio::task::spawn_blocking(move || payouts.written(id));
        working.await.map_err(|_| Error::Stopping)?
    }

    fn zone(&self) -> Zone {
        Zone::east(self.utc_offset_min).unwrap_or(Zone::UTC)
    }

    fn written(&self, id: PayoutFileId) -> Result<PayoutFile, Error> {
        let corrupt = || Error::Corrupt(Table::PayoutFile.name());
        let row = self.base.store.get(&record::file_key(id))?;
        let row: FileRow = Table::PayoutFile.decode(&row.ok_or(BankRefusal::FileNotFound)?)?;
        let prefix = Table::PayoutInFile.key(&[&id.to_bytes()]);
        let keys = self
            .base
            .store
            .keys(&prefix, None, limits::PAYOUTS_A_FILE)?;
        let mut payouts = Vec::with_capacity(keys.len());
        for key in keys {
            let payout = rows::id_at(Table::PayoutInFile, &key, prefix.len())?;
            payouts.push(self.line(PayoutId::from_bytes(payout))?);
        }
        let batch = payout::Batch {
            id: Reference::of_id(id.to_bytes()),
            created: Timestamp::from_micros(row.create_us),
            zone: Zone::east(row.utc_offset_min).ok_or_else(corrupt)?,
            payer: row.payer,
            account: BankAccount::new(&row.account).map_err(|_| corrupt())?,
            currency: self.currency,
            day: row.day.parse().map_err(|_| corrupt())?,
            payouts,
        };
        Ok(PayoutFile {
            id,
            create_time: batch.created,
            payouts: row.payouts,
            total: Money::balance(row.total_minor, self.currency),
            content: batch.pain001().map_err(|_| corrupt())?.into_bytes(),
        })
    }

    fn line(&self, id: PayoutId) -> Result<payout::Payout, Error> {
        let row = self.row(id)?;
        let destination = self
            .destination(row.customer, id)?
            .ok_or(BankRefusal::FileGone)?;
        let account = BankAccount::new(&destination.account);
        Ok(payout::Payout {
            reference: Reference::of_id(id.to_bytes()),
            minor: row.amount().minor(),
            name: destination.name,
            account: account.map_err(|_| Error::Corrupt(Table::PayoutAccount.name()))?,
            note: String::new(),
        })
    }
}

/// Moves what waits into a new file, unless the request was answered before: then the file of that time.
fn fill(
    tx: &mut Transaction<'_>,
    request: RequestId,
    (file, mut row): (PayoutFileId, FileRow),
    asked: Option<String>,
) -> Result<PayoutFileId, Error> {
    match requests::answered(tx, request)? {
        Some(RequestRow::PayoutFile { file, day }) if day == asked => return Ok(file),
        Some(_) => return Err(Error::IdReused),
        None => {}
    }
    let table = Table::PayoutWaiting;
    let prefix = table.key(&[]);
    let waiting = tx.scan(&prefix, None, limits::PAYOUTS_A_FILE)?;
    if waiting.is_empty() {
        return Err(BankRefusal::NothingOrdered.into());
    }
    for (key, _) in waiting {
        // Creation time, then the id.
        let id = PayoutId::from_bytes(rows::id_at(table, &key, prefix.len().saturating_add(8))?);
        let mut payout: PayoutRow = record::row_of(tx, id)?;
        payout.state = payout
            .state
            .after(Event::Send)
            .ok_or(BankRefusal::PayoutSent)?;
        payout.file = Some(file.to_bytes());
        row.payouts = row.payouts.saturating_add(1);
        // A thousand amounts of twelve digits fit.
        row.total_minor = row.total_minor.saturating_add(payout.amount().minor());
        tx.put(record::key(id), rows::encode(&payout));
        tx.put(record::in_file_key(file, id), Vec::new());
        tx.delete(key);
    }
    tx.put(record::file_key(file), rows::encode(&row));
    let answer = RequestRow::PayoutFile { file, day: asked };
    requests::keep(tx, request, &answer);
    Ok(file)
}
