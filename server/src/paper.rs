//! Receipts, Z reports and statements out of what is stored: fills in the plain structs of [`crate::reports`].
//!
//! A shift is closed in the single writer: everything that was booked before belongs to it, everything after to the
//! next. What a closed shift came to is worked out from the rows and from the ledger, each by itself, and told only
//! where both agree. These look at every payment and transfer there is, beside payments and not before them.

use std::{collections::BTreeMap, sync::Arc};

use palm_proto::{
    id::{CustomerId, PaymentId, RequestId, TillId},
    money::{Currency, Money},
    reason::ReasonCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    base::Base,
    clock::Timestamp,
    config::ReceiptConfig,
    error::Error,
    ledger::{AccountId, Kind, Ledger, LoadError, Transfer, TransferId},
    limits,
    payments::{
        Asker, RefundStanding, State,
        record::{PaymentRow, RefundRow, Source},
    },
    reports::{
        Language, Reference, Side, Vat, Zone,
        escpos::{self, Charset},
        money::Tender,
        receipt::{self, Receipt},
        roll::{Columns, Roll},
        statement::{Entry, Movement, Statement},
        zreport::{Account, Books, Drawer, Outcome, Row, Shift, ZReport},
    },
    requests::{self, RequestRow},
    rows::{self, Table},
    writer::Transaction,
};

mod shift;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for 42 columns.
    Text,
    /// Bytes for a receipt printer.
    EscPos,
    /// A fragment of a page.
    Html,
    /// RFC 4180.
    Csv,
    /// ISO 20022.
    Camt053,
}

/// A closed shift, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// From 1, without gaps.
    pub number: u64,
    /// Since when.
    pub open_time: Timestamp,
    /// Until when.
    pub close_time: Timestamp,
    /// Captured less refunded.
    pub net_sales_minor: i64,
    /// As it was asked for.
    pub content: Vec<u8>,
}

/// Whose movements a statement tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// What lies at the shop's bank, as far as the books know.
    Bank,
    /// What the shop has sold.
    Shop,
    /// A customer's wallet.
    Customer(CustomerId),
}

/// A shift that was closed, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShiftRow {
    pub(crate) number: u64,
    opened_us: u64,
    closed_us: u64,
}

/// Prints.
#[derive(Debug, Clone)]
pub struct Paper {
    base: Arc<Base>,
    shop: receipt::Shop,
    zone: Zone,
    vat: Option<Vat>,
    currency: Currency,
}

impl Paper {
    pub(crate) fn new(
        base: Arc<Base>,
        shop_name: &str,
        config: &ReceiptConfig,
        utc_offset_min: i32,
        currency: Currency,
    ) -> Self {
        let ReceiptConfig {
            business_number,
            representative,
            address,
            phone,
            vat_rate_bp,
        } = config.clone();
        let vat = Vat {
            rate_bp: vat_rate_bp,
        };
        Self {
            base,
            shop: receipt::Shop {
                name: shop_name.to_owned(),
                business_number,
                representative,
                address,
                phone,
            },
            zone: Zone::east(utc_offset_min).unwrap_or(Zone::UTC),
            vat: (vat_rate_bp > 0).then_some(vat),
            currency,
        }
    }

    /// A payment's receipt. There is one for what was captured or voided.
    ///
    /// # Errors
    /// [`Error::PaymentNotFound`], [`Error::PermissionDenied`]; [`Error::StateRefuses`] for a payment that never moved
    /// money; [`Error::Malformed`] for a format that receipts do not have.
    pub fn receipt(
        &self,
        id: PaymentId,
        masked_name: String,
        asker: Asker<'_>,
        (language, format): (Language, Format),
    ) -> Result<Vec<u8>, Error> {
        let row = self.base.store.get(&crate::payments::record::key(id))?;
        let row = row.ok_or(Error::PaymentNotFound)?;
        let row: PaymentRow = Table::Payment.decode(&row)?;
        asker.may_ask_about(&row)?;
        let settled = row.settle_us.map(Timestamp::from_micros);
        let (total_minor, voided) = match row.state {
            State::Captured | State::Refunding => (row.captured_minor, None),
            State::Voided => (Money::from(row.amount).minor(), settled),
            State::Created
            | State::StepUp
            | State::Authorising
            | State::Authorised
            | State::Capturing
            | State::Voiding
            | State::Expiring
            | State::Declined
            | State::Cancelled
            | State::Expired => return Err(Error::StateRefuses),
        };
        let refunds = self.refunds(id)?.into_iter().filter_map(|refund| {
            Some(receipt::Refund {
                time: Timestamp::from_micros(refund.settle_us?),
                minor: refund.minor,
            })
        });
        let facts = receipt::Facts {
            shop: self.shop.clone(),
            till: row.till.as_str().to_owned(),
            payment: id,
            time: settled.unwrap_or_else(|| Timestamp::from_micros(row.create_us)),
            zone: self.zone,
            currency: self.currency,
            items: Vec::new(),
            total_minor,
            tip_minor: 0,
            vat: self.vat,
            tender: tender(&row),
            masked_name,
            approval: row.reference.clone().unwrap_or_default(),
            voided,
            refunds: refunds.collect(),
        };
        let receipt = Receipt::new(facts).map_err(|_| Error::Corrupt(Table::Refund.name()))?;
        written(&receipt.roll(language), language, format)
    }

    /// Refunds of a payment that were done.
    pub(crate) fn refunds(&self, id: PaymentId) -> Result<Vec<RefundRow>, Error> {
        let prefix = Table::Refund.key(&[&id.to_bytes()]);
        let stored = self.base.store.scan(&prefix, None, usize::from(u8::MAX))?;
        let refunds = stored
            .into_iter()
            .map(|(_, row)| Table::Refund.decode(&row));
        let refunds: Result<Vec<RefundRow>, Error> = refunds.collect();
        let done = |row: &RefundRow| row.standing == RefundStanding::Done;
        Ok(refunds?.into_iter().filter(done).collect())
    }

    /// Movements of an account, from the ledger.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`]; [`Error::Malformed`] for another format than CSV or camt.053, and for times that
    /// are the wrong way round; [`Error::Corrupt`].
    pub fn statement(
        &self,
        owner: Owner,
        (from, until): (Timestamp, Timestamp),
        format: Format,
    ) -> Result<Vec<u8>, Error> {
        let wrong = |field, remedy| palm_proto::fault::Malformed::new(field, remedy);
        if from >= until {
            return Err(wrong("from_time", "send a time before until_time").into());
        }
        let (account, reference, name) = match owner {
            Owner::Bank => (AccountId::Bank, "bank".to_owned(), self.shop.name.clone()),
            Owner::Shop => (
                AccountId::Merchant,
                "shop".to_owned(),
                self.shop.name.clone(),
            ),
            Owner::Customer(customer) => {
                let known = self
                    .base
                    .store
                    .get(&crate::customers::customer_key(customer))?;
                known.ok_or(Error::CustomerNotFound)?;
                let id = Reference::of_id(customer.to_bytes());
                (
                    AccountId::Wallet(customer),
                    id.as_str().to_owned(),
                    String::new(),
                )
            }
        };
        let payments = self.payments_by_hold()?;
        let (mut opening, mut entries) = (0_i128, Vec::new());
        self.each_posted(|transfer| {
            // What lies at the bank is ours: there, a debit of the books is money in.
            let (into, out_of) = match account {
                AccountId::Bank => (transfer.debit, transfer.credit),
                _ => (transfer.credit, transfer.debit),
            };
            let side = match account {
                own if own == into => Side::Credit,
                own if own == out_of => Side::Debit,
                _ => return,
            };
            if transfer.time < from {
                opening += side.signed(transfer.amount.minor());
            } else if transfer.time < until {
                entries.push(entry(transfer, side, &payments));
            }
        })?;
        entries.sort_by_key(|entry| entry.time);
        let corrupt = |_| Error::Corrupt("ledger");
        let span = format!(
            "{}-{}",
            from.micros() / 1_000_000,
            until.micros() / 1_000_000
        );
        let statement = Statement {
            id: Reference::new(&format!("S{span}")).map_err(|_| Error::Corrupt("statement"))?,
            number: 1,
            created: self.base.clock.now(),
            from,
            until,
            zone: self.zone,
            account: Reference::new(&reference).map_err(|_| Error::Corrupt("statement"))?,
            owner: name,
            currency: self.currency,
            opening_minor: opening,
            entries,
        };
        match format {
            Format::Csv => Ok(statement.csv().map_err(corrupt)?.into_bytes()),
            Format::Camt053 => Ok(statement.camt053().map_err(corrupt)?.into_bytes()),
            Format::Text | Format::EscPos | Format::Html => {
                Err(wrong("format", "send CSV or CAMT_053").into())
            }
        }
    }

    fn payments_by_hold(&self) -> Result<BTreeMap<TransferId, PaymentId>, Error> {
        let mut payments = BTreeMap::new();
        self.each_payment(|id, row| {
            if let Some(hold) = row.hold {
                payments.insert(TransferId(hold), id);
            }
            Ok(())
        })?;
        Ok(payments)
    }

    pub(crate) fn each_payment(
        &self,
        mut visit: impl FnMut(PaymentId, PaymentRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefix = Table::Payment.key(&[]);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let part = self
                .base
                .store
                .scan(&prefix, after.as_deref(), limits::SCAN_ROWS)?;
            let Some((last, _)) = part.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, row) in part {
                let id = rows::id_at(Table::Payment, &key[prefix.len()..], 0)?;
                visit(PaymentId::from_bytes(id), Table::Payment.decode(&row)?)?;
            }
        }
    }

    /// Transfers that moved money.
    fn each_posted(&self, mut visit: impl FnMut(&Transfer)) -> Result<(), Error> {
        let read = Ledger::each(&*self.base.store, |transfer| match transfer.kind {
            Kind::Direct | Kind::Post { .. } => visit(transfer),
            Kind::Hold | Kind::Void { .. } | Kind::Expire { .. } => {}
        });
        read.map_err(|error| match error {
            LoadError::Store(error) => Error::Store(error),
            LoadError::Gap(_) | LoadError::Record(_) | LoadError::Unsound(..) => {
                Error::Corrupt("ledger")
            }
        })
    }
}

fn tender(row: &PaymentRow) -> Tender {
    match row.source {
        Source::Wallet => Tender::Wallet,
        Source::Rail => Tender::Card,
    }
}

fn entry(transfer: &Transfer, side: Side, payments: &BTreeMap<TransferId, PaymentId>) -> Entry {
    let payment = match transfer.kind {
        // A pay-out's hold has the pay-out's id.
        Kind::Post { hold } => Some(payments.get(&hold).map_or(hold.0, |id| id.to_bytes())),
        Kind::Direct | Kind::Hold | Kind::Void { .. } | Kind::Expire { .. } => None,
    };
    let movement = match (transfer.debit, transfer.credit) {
        (AccountId::Merchant, _) => Movement::Refund,
        (_, AccountId::Merchant) => Movement::Capture,
        (AccountId::Bank, AccountId::Wallet(_)) => Movement::Return,
        (_, AccountId::Wallet(_)) => Movement::TopUp,
        (AccountId::Bank, AccountId::Cash) => Movement::Deposit,
        (AccountId::Bank | AccountId::Fees, AccountId::Rail)
        | (AccountId::Rail, AccountId::Bank) => Movement::Settlement,
        (_, AccountId::Bank | AccountId::Cash | AccountId::Fees | AccountId::Rail) => {
            Movement::PayOut
        }
    };
    Entry {
        reference: Reference::of_id(transfer.id.0),
        payment: Reference::of_id(payment.unwrap_or(transfer.id.0)),
        time: transfer.time,
        side,
        minor: transfer.amount.minor(),
        movement,
        note: String::new(),
    }
}

fn written(roll: &Roll, language: Language, format: Format) -> Result<Vec<u8>, Error> {
    match format {
        Format::Text => Ok(roll.text(Columns::C42).into_bytes()),
        Format::EscPos => Ok(escpos::print(roll, Columns::C42, Charset::Cp949)),
        Format::Html => Ok(roll.page(language).into_bytes()),
        Format::Csv | Format::Camt053 => {
            let remedy = "send TEXT, ESC_POS or HTML";
            let malformed = palm_proto::fault::Malformed::new("format", remedy);
            Err(malformed.with_reason(ReasonCode::Malformed).into())
        }
    }
}

#[cfg(test)]
mod tests;
