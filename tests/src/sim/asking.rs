//! Numbers made into requests, and answers into words.

use std::sync::Arc;

use anyhow::{Context, Result};
use palm_proto::{
    digits::Digits,
    envelope::Binding,
    fault,
    id::RequestId,
    request::{
        AuthorisePayment, CancelPayment, CaptureMode, ChangePayment, ConfirmPayment, Confirmation,
        Factor, WalletTransfer,
    },
};
use palm_server::{
    checkout::Outcome,
    error::Error,
    payments::{Asker, RefundStanding},
    service::Service,
};

use super::{
    Action, Ask, PIN, Run, What,
    ground::{krw, till},
};

impl Run<'_> {
    fn pay(
        &mut self,
        id: u32,
        (palm, nonce): (usize, u32),
        (amount, is_manual): (u64, bool),
    ) -> Result<Request> {
        let (payment, amount) = (self.payment_id(id), krw(amount)?);
        let binding = Binding::Payment {
            till: till()?,
            payment,
            amount,
        };
        if !self.sealed.contains_key(&id) {
            let nonce = self.bytes(3, nonce);
            let sample = self.machine()?.seal(&self.palms[palm], &binding, nonce)?;
            self.sealed.insert(id, sample);
        }
        Ok(Request::Pay(AuthorisePayment {
            payment,
            amount,
            sample: self.sealed[&id].clone(),
            capture_mode: if is_manual {
                CaptureMode::Manual
            } else {
                CaptureMode::Automatic
            },
            accepted_offline: false,
        }))
    }

    pub(super) fn request(&mut self, ask: &Ask) -> Result<Request> {
        let request_of = |number| RequestId::from_random(self.bytes(2, number));
        Ok(match *ask {
            Ask::Pay {
                id,
                palm,
                amount,
                is_manual,
                nonce,
            } => self.pay(id, (palm, nonce), (amount, is_manual))?,
            Ask::Confirm { request, id, what } => {
                let pin = |digits: &str| {
                    let digits = Digits::new(digits.to_owned(), 4..=12).context("a PIN")?;
                    Ok::<_, anyhow::Error>(Confirmation::Factor(Factor::Pin(digits)))
                };
                Request::Confirm(ConfirmPayment {
                    request_id: request_of(request),
                    payment: self.payment_id(id),
                    what: match what {
                        What::Word => Confirmation::NotADuplicate,
                        What::RightPin => pin(PIN)?,
                        What::WrongPin => pin("0000")?,
                    },
                })
            }
            Ask::Cancel { id, amount } => Request::Cancel(CancelPayment {
                payment: self.payment_id(id),
                amount: krw(amount)?,
            }),
            Ask::Change {
                request,
                id,
                action,
                amount,
            } => {
                let change = ChangePayment {
                    request_id: request_of(request),
                    payment: self.payment_id(id),
                    amount: amount.map(krw).transpose()?,
                };
                Request::Change(change, action)
            }
            Ask::Transfer {
                request,
                person,
                amount,
                is_in,
            } => {
                let transfer = WalletTransfer {
                    request_id: request_of(request),
                    customer: self.opening.people[person],
                    amount: krw(amount)?,
                };
                Request::Transfer(transfer, is_in)
            }
        })
    }
}

/// What the service is asked.
pub(super) enum Request {
    Pay(AuthorisePayment),
    Confirm(ConfirmPayment),
    Cancel(CancelPayment),
    Change(ChangePayment, Action),
    Transfer(WalletTransfer, bool),
}

/// Asks and gives the answer in words.
pub(super) async fn answered(service: Arc<Service>, request: Request) -> String {
    let told = tell(&service, request).await;
    told.unwrap_or_else(|error| {
        let reason = fault::reason_of(&tonic::Status::from(error));
        format!("refused {}", reason.map_or("?", |reason| reason.as_str()))
    })
}

async fn tell(service: &Service, request: Request) -> Result<String, Error> {
    let till = till().map_err(|_| Error::TillNotFound)?;
    let payments = &service.payments;
    Ok(match request {
        Request::Pay(request) => words(&service.checkout.authorise(till, request).await?.0),
        Request::Confirm(request) => words(&service.checkout.confirm(till, request).await?),
        Request::Cancel(request) => {
            let paid = payments.cancel(till, request).await?;
            format!("{:?}", paid.state)
        }
        Request::Change(request, Action::Refund) => {
            let refund = payments.refund(request, Asker(None)).await?;
            match refund.standing {
                RefundStanding::Done => format!("Done {}", refund.amount.minor()),
                standing => format!("{standing:?}"),
            }
        }
        Request::Change(request, action) => {
            let paid = match action {
                Action::Capture => payments.capture(request, Asker(None)).await?,
                Action::Void | Action::Refund => payments.void(request, Asker(None)).await?,
            };
            let (captured, refunded) = (paid.captured.minor(), paid.refunded.minor());
            format!("{:?} {captured}-{refunded}", paid.state)
        }
        Request::Transfer(request, is_in) => {
            let balance = if is_in {
                service.wallets.top_up(request).await?
            } else {
                service.wallets.pay_out(request).await?
            };
            format!("balance {}", balance.minor())
        }
    })
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Approved { balance, .. } => match balance {
            Some(left) => format!("approved left {}", left.minor()),
            None => "approved".to_owned(),
        },
        Outcome::Declined { reason, .. } => format!("declined {}", reason.as_str()),
        Outcome::NotRecognised { reason } => format!("nobody {}", reason.as_str()),
        Outcome::StepUp { reason, .. } => format!("asked {}", reason.as_str()),
    }
}
