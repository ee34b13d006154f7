//! Steps of an outside rail: sent, answered, and found out about when no answer came.
//!
//! | what was asked | the rail has no trace of it | nobody can say |
//! |---|---|---|
//! | authorise | reversed all the same, as it may be late; then undone | reversed until that is acknowledged, then undone |
//! | capture, void | sent again, under the same id | sent again, under the same id |
//! | refund | sent again, under the same id | reversed until that is acknowledged, then undone |
//!
//! While a step's first send may still be on its way, nobody looks it up: the rail could hear of it after saying that
//! it had not. For the same reason only whoever began a step sends it first: of two sends at once, one that did not
//! reach the rail would say nothing of the other. An authorisation without an answer is never sent again by itself:
//! whoever stood at the counter may have left.

use std::sync::Arc;

use palm_proto::{id::PaymentId, money::Money};
use tracing::{info, warn};

use super::{PaymentRow, Payments, State, life::Event};
use crate::{
    error::Error,
    limits,
    rail::{Action, Answer, Rail, Step},
    rows::{self, Table},
};

/// What was found out about a step.
enum Found {
    Answered(Answer),
    Undone,
}

impl Payments {
    /// Sends what the caller began, for the first time, and what follows from its answer. Gives the row after it.
    ///
    /// A task of its own goes on when the caller hangs up: what the rail answers must be booked.
    pub(crate) async fn drive(&self, id: PaymentId, row: PaymentRow) -> Result<PaymentRow, Error> {
        if !row.state.is_in_doubt() {
            return Ok(row);
        }
        let payments = self.clone();
        let driving = tokio::spawn(async move {
            let mut row = row;
            while let Some((step, false)) = row.step(id)? {
                let answer = payments.rail()?.send(&step).await;
                let is_own;
                (row, is_own) = payments.settle(id, &step, Found::Answered(answer)).await?;
                if !is_own {
                    break;
                }
            }
            Ok(row)
        });
        driving.await.map_err(|_| Error::Stopping)?
    }

    fn rail(&self) -> Result<Arc<dyn Rail>, Error> {
        self.rail.clone().ok_or(Error::RailMissing)
    }

    /// Finds out what became of a pending step, once.
    pub(crate) async fn find_out(&self, id: PaymentId) -> Result<(), Error> {
        let Some(row) = self.row(id)? else {
            return Ok(());
        };
        let Some((step, _)) = row.step(id)? else {
            return Ok(());
        };
        let found = found_out(&*self.rail()?, &step).await;
        let (row, is_own) = self.settle(id, &step, found).await?;
        if !is_own {
            return Ok(());
        }
        info!(payment = %id, state = ?row.state, "a rail's outcome was looked up");
        // What follows from it, such as the capture of what is held.
        self.drive(id, row).await.map(drop)
    }

    /// A rail told that something happened to a payment: finds out what is in doubt. Whose first send is still on its
    /// way is left alone; its own answer comes, or its time. Says whether nothing is left to be told again.
    pub(crate) async fn look_again(&self, id: PaymentId) -> Result<bool, Error> {
        let is_in_doubt = |row: &PaymentRow| {
            row.state.is_in_doubt() && row.pending.as_ref().is_some_and(|step| step.unknown > 0)
        };
        if self.row(id)?.is_some_and(|row| is_in_doubt(&row)) {
            self.find_out(id).await?;
        }
        Ok(!self.row(id)?.is_some_and(|row| is_in_doubt(&row)))
    }

    /// Books what became of a step, unless another has booked it meanwhile; says whether it did.
    async fn settle(
        &self,
        id: PaymentId,
        step: &Step,
        found: Found,
    ) -> Result<(PaymentRow, bool), Error> {
        let step = step.id;
        let writing = self.write(id, move |before, work| {
            let row = before.ok_or(Error::PaymentNotFound)?;
            let pending = row.pending.as_ref();
            if pending.is_none_or(|pending| pending.step != step.0) {
                return Ok((row, false));
            }
            let mut booking = work.on(Some(row.clone()), row);
            match found {
                Found::Answered(answer) => booking.answered(answer)?,
                Found::Undone => booking.undone()?,
            }
            Ok((booking.put(), true))
        });
        writing.await
    }

    /// Takes up payments whose time has come: gives up what nobody confirmed or captured, and finds out what is in
    /// doubt. `at_start`: everything that is in doubt, whatever its time. Says how many it took up.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn sweep(&self, at_start: bool) -> Result<usize, Error> {
        let due = self.due(at_start)?;
        for id in &due {
            self.take_up(*id, at_start).await?;
        }
        Ok(due.len())
    }

    /// Whose time has come; at the start, whoever has one. Read before anything is done: what is taken up may get
    /// another time, and would come again.
    fn due(&self, at_start: bool) -> Result<Vec<PaymentId>, Error> {
        let table = Table::PaymentDeadline;
        let now = self.base.clock.now().micros();
        let prefix = table.key(&[]);
        let (mut after, mut due) = (None::<Vec<u8>>, Vec::new());
        loop {
            let store = &self.base.store;
            let part = store.scan(&prefix, after.as_deref(), limits::SCAN_ROWS)?;
            let Some((last, _)) = part.last() else {
                return Ok(due);
            };
            after = Some(last.clone());
            for (key, _) in part {
                let rest = &key[prefix.len()..];
                let at = u64::from_be_bytes(rows::id_at(table, rest, 0)?);
                if at > now && !at_start {
                    return Ok(due);
                }
                due.push(PaymentId::from_bytes(rows::id_at(table, rest, 8)?));
            }
        }
    }

    async fn take_up(&self, id: PaymentId, at_start: bool) -> Result<(), Error> {
        let writing = self.write(id, move |before, work| {
            let Some(row) = before else { return Ok(false) };
            let now = work.now.micros();
            if row.deadline_us.is_none_or(|at| at > now) {
                return Ok(at_start && row.state.is_in_doubt());
            }
            let mut booking = work.on(Some(row.clone()), row);
            match booking.row.state {
                State::Created | State::StepUp => {
                    booking.row.advance(Event::Expire)?;
                    booking.row.ask = None;
                }
                State::Authorised => {
                    let held = Money::from(booking.row.amount).minor();
                    booking.begin(Event::Expire, held, None)?;
                }
                _ => return Ok(booking.row.state.is_in_doubt()),
            }
            Ok(booking.put().state.is_in_doubt())
        });
        // What was begun just now was never sent: looking it up says so, and sends it.
        if writing.await? {
            self.find_out_or_warn(id).await;
        }
        Ok(())
    }

    async fn find_out_or_warn(&self, id: PaymentId) {
        if let Err(error) = self.find_out(id).await {
            let error = &error as &dyn std::error::Error;
            warn!(payment = %id, error, "a payment stays in doubt: it will be looked up again");
        }
    }
}

async fn found_out(rail: &dyn Rail, step: &Step) -> Found {
    match (rail.look_up(step).await, step.action) {
        (Answer::NotSent, Action::Capture | Action::Void | Action::Refund)
        | (Answer::Unknown, Action::Capture | Action::Void) => {
            Found::Answered(rail.send(step).await)
        }
        (Answer::NotSent, Action::Authorise)
        | (Answer::Unknown, Action::Authorise | Action::Refund) => match rail.reverse(step).await {
            Answer::Approved { .. } => Found::Undone,
            Answer::Declined(_) | Answer::NotSent | Answer::Unknown => {
                Found::Answered(Answer::Unknown)
            }
        },
        (answer @ (Answer::Approved { .. } | Answer::Declined(_)), _) => Found::Answered(answer),
    }
}
