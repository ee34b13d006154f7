//! What the enrolment asks for: keeping captures, then registering the person and sending the palms.

use palm_proto::{
    envelope::{Binding, SealedTemplate},
    id::{CustomerId, RequestId},
    request::SAMPLES_MAX,
    v1,
};
use zeroize::Zeroizing;

use super::{App, Purpose, Refused, Reply};
use crate::{
    checkout::{Refusal, Trouble},
    enrolment::{Answer, Effect, Event, Form, Language, State},
    entropy, pages,
    reader::{Capture, Entropy},
    service::{Service, Setup},
};

/// The captures of one enrolment, then the requests made of them: the same bytes each time they are sent.
pub(super) struct Batch {
    create_id: RequestId,
    enrol_id: RequestId,
    captures: Vec<Capture>,
    create: Option<v1::CreateCustomerRequest>,
    request: Option<v1::EnrolRequest>,
}

impl Batch {
    fn new(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let (create_id, enrol_id) = (entropy::request_id(fill), entropy::request_id(fill));
        Self {
            create_id,
            enrol_id,
            captures: Vec::new(),
            create: None,
            request: None,
        }
    }

    fn describe(&mut self, form: &Form) {
        let consent = v1::Consent {
            notice_version: form.notice_version.clone(),
            language: form.language.tag().to_owned(),
            grant_time: None,
        };
        self.create = Some(v1::CreateCustomerRequest {
            request_id: self.create_id.to_string(),
            display_name: form.display_name.as_str().to_owned(),
            consent: Some(consent),
        });
    }

    /// Registers the person, seals the captures to them, sends the palms.
    async fn send(&mut self, service: &Service, setup: &Setup) -> Answer {
        if self.request.is_none() {
            let Some(create) = self.create.clone() else {
                return Answer::Unknown;
            };
            let customer = match service.create_customer(create).await {
                Ok(customer) => customer,
                Err(answer) => return answer,
            };
            let Ok(samples) = self.seal(customer, setup) else {
                return Answer::Nothing(Trouble::SealingKey);
            };
            self.request = Some(v1::EnrolRequest {
                request_id: self.enrol_id.to_string(),
                customer: customer.to_string(),
                samples: samples.into_iter().map(Into::into).collect(),
            });
            self.captures.clear();
        }
        match self.request.clone() {
            Some(request) => service.enrol(request).await,
            None => Answer::Unknown,
        }
    }

    fn seal(&self, customer: CustomerId, setup: &Setup) -> Result<Vec<SealedTemplate>, Trouble> {
        let mut fill: Entropy = Box::new(entropy::system);
        let binding = Binding::Enrolment {
            till: setup.till.clone(),
            customer,
            request: self.enrol_id,
        };
        let seal = |capture: &Capture| {
            let template = Zeroizing::new(capture.reference.to_bytes());
            setup
                .sealing_key
                .seal(&*template, &binding, capture.nonce, &mut *fill)
        };
        self.captures
            .iter()
            .map(seal)
            .collect::<Result<_, _>>()
            .map_err(|_| Trouble::SealingKey)
    }
}

impl App {
    pub(super) fn enrol_start(&mut self, language: Language) -> Result<(), Refused> {
        self.connected()?;
        if self.checkout.is_busy() || !self.recovered.is_empty() {
            return Err(Refusal::Busy.into());
        }
        self.enrol(Event::Start(language))?;
        self.pay(crate::checkout::Event::Clear)
    }

    pub(super) fn enrol_consent(&mut self, notice_version: String) -> Result<(), Refused> {
        if notice_version != pages::NOTICE_VERSION {
            let remedy = "the notice has changed: reload the page, show it, and ask again";
            let (error, field) = ("NOTICE_OUTDATED", "notice_version");
            return Err(Refused {
                status: 422,
                error,
                field,
                remedy,
            });
        }
        self.enrol(Event::Consent { notice_version })
    }

    pub(super) fn enrol(&mut self, event: Event) -> Result<(), Refused> {
        self.enrol_with(event, None)
    }

    /// One event, and the capture that it is about: wiped unless the machine counts it.
    fn enrol_with(
        &mut self,
        event: Event,
        mut capture: Option<Box<Capture>>,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        for effect in self.enrolment.on(event, now)? {
            match effect {
                Effect::Arm => self.arm(Purpose::Enrolment),
                Effect::Disarm => self.disarm(),
                Effect::Keep => self.keep(capture.take()),
                Effect::Forget => self.batch = None,
                Effect::Send => self.send_batch(),
                Effect::Signal(signal) => self.signal(signal),
            }
        }
        Ok(())
    }

    /// For events that are no commands: the machine ignores what does not fit.
    pub(super) fn enrol_or_log(&mut self, event: Event) {
        if let Err(refused) = self.enrol(event) {
            tracing::error!(
                error = refused.error,
                "an event was refused as if it were a command"
            );
        }
    }

    pub(super) fn sample(&mut self, capture: Box<Capture>) {
        let event = Event::Captured(capture.reference.hand());
        if let Err(refused) = self.enrol_with(event, Some(capture)) {
            tracing::error!(
                error = refused.error,
                "an event was refused as if it were a command"
            );
        }
    }

    fn batch(&mut self) -> &mut Batch {
        let fill = &mut *self.entropy;
        self.batch.get_or_insert_with(|| Box::new(Batch::new(fill)))
    }

    /// The enrolment that the samples now taken belong to.
    pub(super) fn enrolment_id(&mut self) -> RequestId {
        self.batch().enrol_id
    }

    fn keep(&mut self, capture: Option<Box<Capture>>) {
        let batch = self.batch();
        if batch.captures.len() < SAMPLES_MAX {
            batch.captures.extend(capture.map(|capture| *capture));
        }
    }

    fn send_batch(&mut self) {
        let (State::Sending { form, .. }, Some(mut batch), Some(setup)) = (
            self.enrolment.state(),
            self.batch.take(),
            self.setup.clone(),
        ) else {
            tracing::error!("an enrolment without captures or setup is not sent");
            return self.enrol_or_log(Event::Answered(Answer::Nothing(Trouble::SealingKey)));
        };
        batch.describe(form);
        let service = self.service.clone();
        self.spawn(async move {
            let answer = batch.send(&service, &setup).await;
            Reply::Enrolled { batch, answer }
        });
    }

    pub(super) fn enrolled(&mut self, batch: Box<Batch>, answer: Answer) {
        match answer {
            Answer::Enrolled { .. } | Answer::Refused(_) => {}
            Answer::Nothing(_) | Answer::Unknown => {
                tracing::warn!("enrolment not answered or refused");
                self.doubt();
            }
        }
        self.batch = Some(batch);
        self.enrol_or_log(Event::Answered(answer));
    }
}
