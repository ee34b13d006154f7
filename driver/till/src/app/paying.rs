//! What the checkout asks for: sealing, journalling, sending, looking up.

use std::time::Duration;

use palm_proto::{
    envelope::Binding,
    money::Money,
    request::{AuthorisePayment, CaptureMode, Confirmation},
    v1,
};
use zeroize::Zeroizing;

use super::{App, Purpose, Refused, Reply};
use crate::{
    checkout::{Answer, Effect, Event, Lookup, Refusal, Sale, State, Trouble},
    enrolment,
    reader::Capture,
    service::{Setup, StageTimes},
    snapshot::ms,
};

impl App {
    pub(super) fn charge(&mut self, amount_minor: u64) -> Result<(), Refused> {
        self.may_charge()?;
        let amount = self.amount(amount_minor)?;
        let payment = crate::entropy::payment_id(&mut self.entropy);
        self.pay(Event::Charge(Sale { payment, amount }))?;
        if self.is_over() {
            self.enrol_or_log(enrolment::Event::Cancel);
        }
        self.without_reader()
    }

    /// An open outcome comes before everything else that may be in the way: it is what must not be missed.
    fn may_charge(&self) -> Result<(), Refusal> {
        if !self.recovered.is_empty() || matches!(self.checkout.state(), State::Checking(_)) {
            return Err(Refusal::Unresolved);
        }
        if self.checkout.is_busy() || self.enrolment.is_busy() {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    fn amount(&self, amount_minor: u64) -> Result<Money, Refused> {
        let wrong = |remedy| Refused {
            status: 422,
            error: "AMOUNT_INVALID",
            field: "amount_minor",
            remedy,
        };
        let setup = self.connected()?;
        if amount_minor > setup.payment_max.minor() {
            return Err(wrong(
                "more than this shop takes at once: split it, or take another way to pay",
            ));
        }
        Money::amount(amount_minor, setup.currency)
            .map_err(|_| wrong("send 1 to 999999999999 minor units"))
    }

    pub(super) fn pay(&mut self, event: Event) -> Result<(), Refused> {
        let now = self.clock.now();
        let mut effects = self.checkout.on(event, now)?;
        while !effects.is_empty() {
            let answers: Vec<Answer> = effects
                .drain(..)
                .filter_map(|effect| self.perform(effect))
                .collect();
            for answer in answers {
                effects.extend(self.checkout.on(Event::Answered(answer), now)?);
            }
        }
        Ok(())
    }

    /// For events that are no commands: the machine ignores what does not fit.
    pub(super) fn pay_or_log(&mut self, event: Event) {
        if let Err(refused) = self.pay(event) {
            tracing::error!(
                error = refused.error,
                "an event was refused as if it were a command"
            );
        }
    }

    /// Does one thing; gives the answer when it is known without asking the service.
    fn perform(&mut self, effect: Effect) -> Option<Answer> {
        match effect {
            Effect::Arm => self.arm(Purpose::Payment),
            Effect::Disarm => self.disarm(),
            Effect::Signal(signal) => self.signal(signal),
            Effect::Authorise(sale) => return self.authorise(sale).err().map(Answer::Nothing),
            Effect::Confirm(payment) => self.confirm(payment),
            Effect::Resend(payment) if self.confirmation.is_some() => self.confirm(payment),
            Effect::Resend(_) => match self.request.clone() {
                Some(request) => self.send(request),
                None => return Some(Answer::Unknown),
            },
            Effect::Resolve(payment) => {
                if let Some(sale) = self.sale_in_flight(payment) {
                    let service = self.service.clone();
                    self.spawn(async move {
                        Reply::Found {
                            sale,
                            lookup: service.resolve(sale).await,
                        }
                    });
                }
            }
            Effect::Settle(payment) => {
                self.request = None;
                self.confirmation = None;
                self.probe = None;
                if let Err(error) = self.journal.resolved(payment) {
                    tracing::warn!(%error, "the payment will be looked up once more at the next start");
                }
            }
        }
        None
    }

    /// Keeps what a payment waited for and sends it.
    pub(super) fn give(&mut self, what: Confirmation) -> Result<(), Refused> {
        let State::StepUp { sale, .. } = self.checkout.state() else {
            return Err(Refusal::NotNow.into());
        };
        let request = crate::entropy::request_id(&mut self.entropy);
        self.confirmation = Some(v1::ConfirmPaymentRequest {
            request_id: request.to_string(),
            payment: sale.payment.to_string(),
            what: Some(what.into()),
        });
        self.pay(Event::Give)
    }

    fn confirm(&self, payment: palm_proto::id::PaymentId) {
        let (Some(sale), Some(request)) = (self.sale_in_flight(payment), self.confirmation.clone())
        else {
            return tracing::error!("nothing was given for this payment");
        };
        let (service, clock) = (self.service.clone(), self.clock.clone());
        self.spawn(async move {
            let began = clock.now();
            let answer = service.confirm(sale, request).await;
            let took = clock.now().saturating_sub(began);
            Reply::Answered {
                sale,
                answer,
                stages: None,
                took,
            }
        });
    }

    fn sale_in_flight(&self, payment: palm_proto::id::PaymentId) -> Option<Sale> {
        self.journal
            .unresolved()
            .into_iter()
            .find(|sale| sale.payment == payment)
    }

    fn authorise(&mut self, sale: Sale) -> Result<(), Trouble> {
        let began = self.clock.now();
        let capture = self.capture.take().ok_or(Trouble::SealingKey)?;
        let setup = self.setup.as_ref().ok_or(Trouble::Unreachable)?;
        let request = seal(&capture, sale, setup, &mut *self.entropy)?;
        self.probe = self.offline.is_some().then(|| capture.probe.clone());
        drop(capture);
        // Synced here and now: not one byte of a payment is sent before this returns.
        if let Err(error) = self.journal.sent(sale) {
            tracing::error!(%error, "payment not sent");
            return Err(Trouble::Journal);
        }
        if let Some(timings) = &mut self.timings {
            timings.prepare_ms = ms(self.clock.now().saturating_sub(began));
        }
        self.request = Some(request.clone());
        self.send(request);
        Ok(())
    }

    fn send(&self, request: v1::AuthorisePaymentRequest) {
        let Some(sale) = request
            .payment
            .parse()
            .ok()
            .and_then(|id| self.sale_in_flight(id))
        else {
            return tracing::error!("a payment that is not in the journal is not sent");
        };
        let (service, clock) = (self.service.clone(), self.clock.clone());
        self.spawn(async move {
            let began = clock.now();
            let (answer, stages) = service.authorise(sale, request).await;
            let took = clock.now().saturating_sub(began);
            Reply::Answered {
                sale,
                answer,
                stages,
                took,
            }
        });
    }

    pub(super) fn answered(
        &mut self,
        sale: Sale,
        answer: Answer,
        stages: Option<StageTimes>,
        took: Duration,
    ) {
        if self.sale_in_flight(sale.payment).is_none() {
            return;
        }
        let answer = self.or_offline(sale, answer);
        match &answer {
            Answer::AcceptedOffline { .. } => {
                tracing::warn!(payment = %sale.payment, "accepted offline");
                self.doubt();
            }
            Answer::Approved { .. }
            | Answer::Declined { .. }
            | Answer::NotRecognised(_)
            | Answer::StepUp(_) => {
                let total = self.clock.now().saturating_sub(self.last_frame_at);
                if let Some(timings) = &mut self.timings {
                    timings.answered(took, total, stages);
                }
            }
            Answer::Nothing(trouble) => {
                tracing::warn!(reason = trouble.as_str(), "payment not booked");
                self.doubt();
            }
            Answer::Unknown => {
                tracing::warn!(payment = %sale.payment, "outcome unknown: looking it up");
                self.doubt();
            }
        }
        self.pay_or_log(Event::Answered(answer));
    }

    pub(super) fn found(&mut self, sale: Sale, lookup: Lookup) {
        if self.sale_in_flight(sale.payment).is_some() {
            self.pay_or_log(Event::Found(lookup));
        }
    }
}

fn seal(
    capture: &Capture,
    sale: Sale,
    setup: &Setup,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<v1::AuthorisePaymentRequest, Trouble> {
    let Sale { payment, amount } = sale;
    let binding = Binding::Payment {
        till: setup.till.clone(),
        payment,
        amount,
    };
    let template = Zeroizing::new(capture.probe.to_bytes());
    let sample = setup
        .sealing_key
        .seal(&*template, &binding, capture.nonce, entropy)
        .map_err(|_| Trouble::SealingKey)?;
    Ok(AuthorisePayment {
        payment,
        amount,
        sample,
        capture_mode: CaptureMode::Automatic,
        accepted_offline: false,
    }
    .into())
}
