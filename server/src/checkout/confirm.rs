//! What is given before the money moves: a second factor, or the cashier's word.

use palm_proto::{
    id::{CustomerId, TillId},
    reason::ReasonCode,
    request::{ConfirmPayment, Confirmation, Factor},
};

use super::{AskRow, Booking, Checkout, Need, Outcome, PaymentRow, State, rule};
use crate::{
    error::Error,
    limits,
    payments::Asker,
    requests::{self, ConfirmRow, RequestRow},
    safeguards,
};

impl Checkout {
    /// Gives what a payment waits for. After the last thing the money moves.
    ///
    /// A wrong factor is an answer, the same whatever was wrong: the payment waits on, until three were given for it
    /// or the customer's five in a row are used up.
    ///
    /// # Errors
    /// [`Error::PaymentNotFound`]; [`Error::PermissionDenied`] when it is another till's; [`Error::IdReused`];
    /// [`Error::StateRefuses`] when it waits for something else; [`Error::Cancelled`]; [`Error::OutcomeUnknown`].
    pub async fn confirm(&self, till: TillId, request: ConfirmPayment) -> Result<Outcome, Error> {
        let ConfirmPayment {
            request_id,
            payment,
            what,
        } = request;
        let row = self.payments.row(payment)?.ok_or(Error::PaymentNotFound)?;
        Asker(Some(&till)).may_ask_about(&row)?;
        let is_factor = matches!(what, Confirmation::Factor(_));
        // Only what is waited for is looked at: nothing is learnt from a factor that nobody asked for.
        let owner = match (what, waits_for(&row)) {
            (Confirmation::Factor(factor), Some((ask, Need::Factor | Need::FactorOfTwo))) => {
                self.owner(&ask.candidates, factor).await?
            }
            _ => None,
        };
        let writing = self.payments.write(payment, move |before, work| {
            let row = before.ok_or(Error::PaymentNotFound)?;
            if let Some(answered) = requests::answered(work.tx, request_id)? {
                let is_same = matches!(answered, RequestRow::Confirm(first)
                    if first.payment == payment && first.is_factor == is_factor);
                return is_same.then_some((row, false)).ok_or(Error::IdReused);
            }
            let Some((_, need)) = waits_for(&row) else {
                return Ok((row, false));
            };
            if is_factor == (need == Need::Word) {
                return Err(Error::StateRefuses);
            }
            let mut booking = work.on(Some(row.clone()), row);
            let kept = RequestRow::Confirm(ConfirmRow { payment, is_factor });
            requests::keep(booking.tx, request_id, &kept);
            given(&mut booking, need, owner)?;
            Ok((booking.put(), true))
        });
        let (row, is_begun) = writing.await?;
        let row = if is_begun {
            self.payments.drive(payment, row).await?
        } else {
            row
        };
        self.again(payment, &row)
    }

    /// Whose factor this is, of one or two. Each is tried, whatever the others gave; nobody when it fits two.
    async fn owner(
        &self,
        candidates: &[[u8; 16]],
        factor: Factor,
    ) -> Result<Option<CustomerId>, Error> {
        let mut owners = Vec::new();
        for candidate in candidates {
            let candidate = CustomerId::from_bytes(*candidate);
            if self.safeguards.is_right(candidate, factor.clone()).await? {
                owners.push(candidate);
            }
        }
        Ok(match owners.as_slice() {
            [owner] => Some(*owner),
            _ => None,
        })
    }
}

fn waits_for(row: &PaymentRow) -> Option<(&AskRow, Need)> {
    let ask = row.ask.as_ref().filter(|_| row.state == State::StepUp)?;
    let need = ask.needs.first().copied()?;
    Some((ask, need))
}

/// Takes what was given for the first need: `owner` is whose second factor it was, when it was one.
fn given(
    booking: &mut Booking<'_, '_>,
    need: Need,
    owner: Option<CustomerId>,
) -> Result<(), Error> {
    let Some(mut ask) = booking.row.ask.take() else {
        return Ok(());
    };
    let candidates: Vec<_> = ask
        .candidates
        .iter()
        .map(|own| CustomerId::from_bytes(*own))
        .collect();
    let customer = match need {
        Need::Word => booking.row.customer,
        Need::Factor | Need::FactorOfTwo => match unlocked(booking, owner)? {
            Some(owner) => {
                safeguards::count(booking.tx, owner, true)?;
                Some(owner)
            }
            None => return wrong(booking, ask, &candidates),
        },
    };
    let customer = customer.ok_or(Error::Corrupt("payment"))?;
    ask.needs.remove(0);
    ask.given.push(need);
    let given = ask.given.clone();
    booking.row.ask = Some(ask);
    rule(booking, customer, &given)
}

/// Somebody whose factors are used up has none.
fn unlocked(
    booking: &Booking<'_, '_>,
    owner: Option<CustomerId>,
) -> Result<Option<CustomerId>, Error> {
    let Some(owner) = owner else { return Ok(None) };
    let own = safeguards::row_of(booking.tx, owner)?;
    Ok((!own.is_locked()).then_some(owner))
}

/// Counts a wrong factor against the payment and whoever it may have been.
fn wrong(
    booking: &mut Booking<'_, '_>,
    mut ask: AskRow,
    candidates: &[CustomerId],
) -> Result<(), Error> {
    ask.wrong = ask.wrong.saturating_add(1);
    let mut is_locked = true;
    for candidate in candidates {
        is_locked &= safeguards::count(booking.tx, *candidate, false)?.is_locked();
    }
    let wrong = ask.wrong;
    booking.row.ask = Some(ask);
    if is_locked {
        booking.declined(ReasonCode::FactorLocked)
    } else if wrong >= limits::WRONG_FACTORS_A_PAYMENT {
        booking.declined(ReasonCode::FactorWrong)
    } else {
        Ok(())
    }
}
