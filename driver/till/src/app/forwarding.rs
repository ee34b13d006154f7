//! Payments without the service: taken here, sent once it is back.

use palm_proto::v1;

use super::{App, Link, Reply};
use crate::checkout::{Answer, Lookup, Sale, State};

/// What came of sending a payment that was accepted without the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarded {
    Paid,
    Declined,
    /// No certain answer: it is sent again.
    Open,
}

impl App {
    /// What an answer means once payments may be taken without the service.
    pub(super) fn or_offline(&mut self, sale: Sale, answer: Answer) -> Answer {
        let is_first_send = matches!(
            self.checkout.state(),
            State::Authorising {
                cancel_asked: false,
                ..
            }
        );
        let now = self.clock.now();
        let (Some(offline), Some(probe)) = (&mut self.offline, &self.probe) else {
            return answer;
        };
        match (&answer, &self.request) {
            (
                Answer::Approved {
                    customer: Some(customer),
                    masked_name,
                    ..
                },
                _,
            ) => offline.remember(*customer, probe.clone(), masked_name.clone(), now),
            (Answer::Nothing(crate::checkout::Trouble::Unreachable), Some(request))
                if is_first_send && self.confirmation.is_none() =>
            {
                match offline.accept(sale, probe, request, now) {
                    Ok(Some(masked_name)) => return Answer::AcceptedOffline { masked_name },
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "payment not accepted offline"),
                }
            }
            _ => {}
        }
        answer
    }

    /// Sends the next payment that was accepted without the service, once it is back.
    pub(super) fn forward(&mut self) {
        if self.link != Link::Ready {
            return;
        }
        let Some((sale, request)) = self
            .offline
            .as_mut()
            .and_then(|offline| offline.take_next())
        else {
            return;
        };
        let service = self.service.clone();
        self.spawn(async move {
            let forwarded = forward(&service, sale, request).await;
            Reply::Forwarded { sale, forwarded }
        });
    }

    pub(super) fn forwarded(&mut self, sale: Sale, forwarded: Forwarded) {
        let Some(offline) = &mut self.offline else {
            return;
        };
        let noted = match forwarded {
            Forwarded::Paid => offline.answered(sale, true),
            Forwarded::Declined => {
                tracing::warn!(payment = %sale.payment, "accepted offline, and now declined");
                offline.answered(sale, false)
            }
            Forwarded::Open => {
                offline.not_sent();
                self.doubt();
                Ok(())
            }
        };
        if let Err(error) = noted {
            tracing::error!(%error, "it will be sent once more, which charges nothing twice");
        }
    }
}

async fn forward(
    service: &crate::service::Service,
    sale: Sale,
    request: v1::AuthorisePaymentRequest,
) -> Forwarded {
    let (answer, _) = service.authorise(sale, request).await;
    match answer {
        Answer::Approved { .. } => Forwarded::Paid,
        Answer::Declined { .. } => Forwarded::Declined,
        Answer::Nothing(crate::checkout::Trouble::Unreachable)
        | Answer::AcceptedOffline { .. }
        | Answer::Unknown => Forwarded::Open,
        // Nobody is there to be asked, or to hold out a hand again. Only what is certain is told as a loss.
        Answer::NotRecognised(_) | Answer::StepUp(_) | Answer::Nothing(_) => {
            match service.resolve(sale).await {
                Lookup::Approved { .. } => Forwarded::Paid,
                Lookup::Declined { .. } | Lookup::Cancelled => Forwarded::Declined,
                Lookup::Unknown => Forwarded::Open,
            }
        }
    }
}
