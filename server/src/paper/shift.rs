//! Closing a shift, and telling what a closed one came to.

use super::{
    Account, AccountId, Books, Closed, Drawer, Error, Format, Language, Outcome, Paper, PaymentId,
    PaymentRow, RequestId, RequestRow, Row, Shift, ShiftRow, State, Table, Tender, TillId,
    Timestamp, Transaction, Transfer, ZReport, requests, rows, tender, written,
};

impl Paper {
    /// Closes the shift: its report gets the next number. The same request gives the same report.
    ///
    /// # Errors
    /// [`Error::IdReused`]; [`Error::BooksDiffer`]; [`Error::Malformed`] for another format than text, ESC/POS, HTML
    /// or CSV.
    pub async fn close_shift(
        &self,
        request: RequestId,
        to: (Language, Format),
    ) -> Result<Closed, Error> {
        let clock = std::sync::Arc::clone(&self.base.clock);
        let closing = self
            .base
            .writer
            .write(move |tx| close(tx, request, clock.now()));
        self.told(closing.await?, to).await
    }

    /// A closed shift's report once more.
    ///
    /// # Errors
    /// [`Error::ReportNotFound`]; as [`Self::close_shift`].
    pub async fn shift(&self, number: u64, to: (Language, Format)) -> Result<Closed, Error> {
        let row = self.base.store.get(&key(number))?;
        let row = Table::Shift.decode(&row.ok_or(Error::ReportNotFound)?)?;
        self.told(row, to).await
    }

    async fn told(&self, row: ShiftRow, to: (Language, Format)) -> Result<Closed, Error> {
        let paper = self.clone();
        let working = tokio::task::spawn_blocking(move || paper.worked_out(row, to));
        working.await.map_err(|_| Error::Stopping)?
    }

    fn worked_out(
        &self,
        row: ShiftRow,
        (language, format): (Language, Format),
    ) -> Result<Closed, Error> {
        let (opened, closed) = (
            Timestamp::from_micros(row.opened_us),
            Timestamp::from_micros(row.closed_us),
        );
        let within = |time: Timestamp| opened <= time && time < closed;
        let mut lines = Vec::new();
        self.each_payment(|id, payment| self.lines_of(id, &payment, &within, &mut lines))?;
        let mut books = Books::default();
        let office = TillId::new("office").map_err(|_| Error::Corrupt("till"))?;
        self.each_posted(|transfer| {
            if !within(transfer.time) {
                return;
            }
            let minor = transfer.amount.minor();
            books.post(account(transfer.debit), account(transfer.credit), minor);
            let Some((outcome, tender)) = office_work(transfer) else {
                return;
            };
            lines.push(Row {
                till: office.clone(),
                time: transfer.time,
                outcome,
                tender,
                minor,
                vat_minor: 0,
            });
        })?;
        // Before the first shift there was none: it begins with what happened first.
        let first = lines.iter().map(|line| line.time).min();
        let opened = match row.opened_us {
            0 => first.unwrap_or(opened),
            _ => opened,
        };
        let has_cash = lines.iter().any(|line| line.tender == Tender::Cash);
        let drawer = has_cash.then_some(Drawer {
            till: office,
            opening_minor: 0,
            put_in_minor: 0,
            taken_out_minor: 0,
            counted_minor: None,
        });
        let shift = Shift {
            shop: self.shop.clone(),
            till: None,
            zone: self.zone,
            currency: self.currency,
            opened,
            closed,
            last_number: row.number.saturating_sub(1),
            rows: lines,
            drawers: drawer.into_iter().collect(),
        };
        let report = ZReport::close(shift, &books).map_err(|error| {
            tracing::error!(%error, number = row.number, "a shift does not add up");
            Error::BooksDiffer
        })?;
        let content = match format {
            Format::Csv => report.csv().into_bytes(),
            Format::Text | Format::EscPos | Format::Html | Format::Camt053 => {
                written(&report.roll(language), language, format)?
            }
        };
        Ok(Closed {
            number: row.number,
            open_time: opened,
            close_time: closed,
            net_sales_minor: i64::try_from(report.net_sales().minor).unwrap_or(i64::MAX),
            content,
        })
    }

    /// What a payment was in a shift: its own end, and what went back.
    fn lines_of(
        &self,
        id: PaymentId,
        payment: &PaymentRow,
        within: &impl Fn(Timestamp) -> bool,
        lines: &mut Vec<Row>,
    ) -> Result<(), Error> {
        let whole = palm_proto::money::Money::from(payment.amount).minor();
        let line = |time, outcome, minor, vat_minor| Row {
            till: payment.till.clone(),
            time,
            outcome,
            tender: tender(payment),
            minor,
            vat_minor,
        };
        let vat_in = |minor| self.vat.map_or(0, |vat| vat.included(minor));
        if let Some(time) = payment
            .settle_us
            .map(Timestamp::from_micros)
            .filter(|at| within(*at))
        {
            let captured = payment.captured_minor;
            lines.extend(match payment.state {
                State::Captured | State::Refunding => {
                    Some(line(time, Outcome::Captured, captured, vat_in(captured)))
                }
                State::Voided => Some(line(time, Outcome::Voided, whole, 0)),
                State::Declined => Some(line(time, Outcome::Declined, whole, 0)),
                State::Expired if payment.hold.is_some() => {
                    Some(line(time, Outcome::Expired, whole, 0))
                }
                _ => None,
            });
        }
        let created = Timestamp::from_micros(payment.create_us);
        if payment.state.is_in_doubt() && within(created) {
            lines.push(line(created, Outcome::Unresolved, whole, 0));
        }
        if payment.refunds == 0 {
            return Ok(());
        }
        let mut before = payment.captured_minor;
        for refund in self.refunds(id)? {
            let minor = refund.minor;
            let vat = self.vat.map_or(0, |vat| vat.taken_back(before, minor));
            before = before.saturating_sub(minor);
            let time = refund.settle_us.map(Timestamp::from_micros);
            if let Some(time) = time.filter(|at| within(*at)) {
                lines.push(line(time, Outcome::Refunded, minor, vat));
            }
        }
        Ok(())
    }
}

fn key(number: u64) -> Vec<u8> {
    Table::Shift.key(&[&number.to_be_bytes()])
}

/// Ends the shift now: what is booked after this command belongs to the next.
fn close(tx: &mut Transaction<'_>, request: RequestId, now: Timestamp) -> Result<ShiftRow, Error> {
    match requests::answered(tx, request)? {
        Some(RequestRow::CloseShift { number }) => {
            let row = tx.get(&key(number))?.ok_or(Error::ReportNotFound)?;
            return Table::Shift.decode(&row);
        }
        Some(_) => return Err(Error::IdReused),
        None => {}
    }
    let last = tx.get(&Table::ShiftLast.key(&[]))?;
    let last: Option<ShiftRow> = last.map(|row| Table::ShiftLast.decode(&row)).transpose()?;
    let (number, opened_us) = last.map_or((0, 0), |last| (last.number, last.closed_us));
    let row = ShiftRow {
        number: number.saturating_add(1),
        opened_us,
        // What is booked at this very moment belongs to the next, whether before or after this command.
        closed_us: now.micros().max(opened_us.saturating_add(1)),
    };
    tx.put(key(row.number), rows::encode(&row));
    tx.put(Table::ShiftLast.key(&[]), rows::encode(&row));
    requests::keep(tx, request, &RequestRow::CloseShift { number: row.number });
    Ok(row)
}

/// What the operator did or the bank reported; `None` for what payments have rows of their own for.
fn office_work(transfer: &Transfer) -> Option<(Outcome, Tender)> {
    match (transfer.debit, transfer.credit) {
        (AccountId::Cash, AccountId::Wallet(_)) => Some((Outcome::ToppedUp, Tender::Cash)),
        (AccountId::Wallet(_), AccountId::Cash) => Some((Outcome::PaidOut, Tender::Cash)),
        (AccountId::Wallet(_), AccountId::Bank) => Some((Outcome::PaidOut, Tender::Bank)),
        (AccountId::Bank, AccountId::Wallet(_)) => Some((Outcome::CameBack, Tender::Bank)),
        (AccountId::Bank, AccountId::Cash) => Some((Outcome::Banked, Tender::Cash)),
        (AccountId::Bank, AccountId::Rail) => Some((Outcome::Banked, Tender::Card)),
        (AccountId::Rail, AccountId::Bank) => Some((Outcome::RailRepaid, Tender::Card)),
        (AccountId::Fees, AccountId::Rail) => Some((Outcome::Fee, Tender::Card)),
        _ => None,
    }
}

fn account(account: AccountId) -> Account {
    match account {
        AccountId::Bank => Account::Bank,
        AccountId::Fees => Account::Fees,
        AccountId::Cash => Account::Cash,
        AccountId::Merchant => Account::Merchant,
        AccountId::Rail => Account::Rail,
        AccountId::Wallet(_) => Account::Wallets,
    }
}
