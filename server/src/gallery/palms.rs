//! The enrolled palms as checkout and enrolment see them, whoever holds the keys: this process, or a keyholder of its
//! own. In one process samples are opened, searched and kept here; in two, this one passes envelopes on and never sees
//! what is in them.

use palm_models::template::Template;
use palm_proto::{
    envelope::{Binding, OpeningKey, SealedTemplate, SealingKey},
    id::CustomerId,
    reason::ReasonCode,
};

use super::{
    Gallery, Identity,
    holder::Kept,
    remote::{self, Remote},
};
use crate::error::Error;

/// The enrolled palms. Every call may block.
#[derive(Debug)]
pub enum Palms {
    /// Matcher and keyholder in this process.
    Here {
        /// Both of them.
        gallery: Box<Gallery>,
        /// Opens what tills seal.
        opening_key: OpeningKey,
    },
    /// The matcher here, the keyholder in another process.
    There(Box<Remote>),
}

/// Samples that a till sealed, opened.
#[derive(Debug)]
pub enum Opened {
    /// In this process.
    Here(Vec<Template>),
    /// At the keyholder.
    There(Box<remote::Asked>),
}

/// What becomes of samples that are to be enrolled.
#[derive(Debug)]
pub enum Judged {
    /// They are not enrolled, and why.
    Refused(ReasonCode),
    /// They may be: keep them.
    ToKeep(Vec<Template>),
    /// The keyholder keeps them, on its disk.
    Kept(Kept),
}

impl Palms {
    /// What tills seal templates to.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        match self {
            Self::Here { opening_key, .. } => opening_key.sealing_key(),
            Self::There(remote) => remote.sealing_key(),
        }
    }

    /// Opens samples that were sealed for this use; for an enrolment, those that can be searched.
    ///
    /// # Errors
    /// [`Error::SealBroken`], [`Error::TemplateUnknown`]; of a keyholder, [`Error::KeyholderAway`],
    /// [`Error::CaptureReplayed`], [`Error::TooManySearches`], [`Error::IdReused`], [`Error::CustomerNotFound`].
    pub fn open(&self, binding: &Binding, samples: &[SealedTemplate]) -> Result<Opened, Error> {
        let (gallery, opening_key) = match self {
            Self::Here {
                gallery,
                opening_key,
            } => (gallery, opening_key),
            Self::There(remote) => {
                let asked = remote.ask(binding, samples)?;
                return Ok(Opened::There(Box::new(asked)));
            }
        };
        let open = |sealed| {
            let plain = opening_key.open(sealed, binding);
            let plain = plain.map_err(|_| Error::SealBroken)?;
            let sample = Template::from_bytes(&plain).map_err(|_| Error::TemplateUnknown)?;
            if matches!(binding, Binding::Enrolment { .. }) {
                gallery.refuse_unsearchable(&sample)?;
            }
            Ok(sample)
        };
        let opened: Result<_, Error> = samples.iter().map(open).collect();
        Ok(Opened::Here(opened?))
    }

    /// Whose palm the only sample is of.
    ///
    /// # Errors
    /// [`Error::TemplateUnknown`], [`Error::Store`], [`Error::Corrupt`], [`Error::KeyholderAway`].
    pub fn identify(&self, opened: Opened) -> Result<Identity, Error> {
        match (self, opened) {
            (Self::Here { gallery, .. }, Opened::Here(samples)) => match samples.as_slice() {
                [probe] => gallery.identify(probe),
                _ => Err(Error::TemplateUnknown),
            },
            (Self::There(remote), Opened::There(asked)) => remote.identify(*asked),
            (Self::Here { .. }, Opened::There(_)) | (Self::There(_), Opened::Here(_)) => {
                Err(Error::KeyholderAway)
            }
        }
    }

    /// Whether samples may be enrolled for this customer. A keyholder of its own keeps them at once, under the request
    /// that they came with: the same request keeps them once.
    ///
    /// # Errors
    /// [`Error::GalleryFull`], [`Error::SamplesFull`]; as [`Self::identify`].
    pub fn judge(&self, opened: Opened, customer: CustomerId) -> Result<Judged, Error> {
        match (self, opened) {
            (Self::Here { gallery, .. }, Opened::Here(samples)) => {
                let refused = gallery.judge(customer, &samples)?;
                Ok(refused.map_or(Judged::ToKeep(samples), Judged::Refused))
            }
            (Self::There(remote), Opened::There(asked)) => {
                let kept = remote.enrol(*asked)?;
                Ok(kept.map_or_else(Judged::Refused, Judged::Kept))
            }
            (Self::Here { .. }, Opened::There(_)) | (Self::There(_), Opened::Here(_)) => {
                Err(Error::KeyholderAway)
            }
        }
    }

    /// Adds a sample that this process keeps: as [`Gallery::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add(&self, customer: CustomerId, number: u8, sample: &Template) -> Result<(), Error> {
        match self {
            Self::Here { gallery, .. } => gallery.add(customer, number, sample),
            Self::There(_) => Err(Error::KeyholderAway),
        }
    }

    /// Before a customer is erased from the store: a keyholder of its own destroys their key and samples.
    ///
    /// # Errors
    /// [`Error::KeyholderAway`]: nothing is to be erased yet.
    pub fn forget(&self, customer: CustomerId) -> Result<(), Error> {
        match self {
            Self::Here { .. } => Ok(()),
            Self::There(remote) => remote.forget(customer),
        }
    }

    /// After a customer was erased from the store: no search finds them any more.
    pub fn remove(&self, customer: CustomerId) {
        match self {
            Self::Here { gallery, .. } => gallery.remove(customer),
            // It forgot them before.
            Self::There(_) => {}
        }
    }

    /// Puts what changed in order; when another thread is at it, it returns at once.
    pub fn settle(&self) {
        match self {
            Self::Here { gallery, .. } => gallery.settle(),
            Self::There(remote) => remote.settle(),
        }
    }
}

#[cfg(test)]
impl Palms {
    /// Number of samples that a search in this process can find.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Here { gallery, .. } => gallery.len(),
            Self::There(_) => panic!("the keyholder knows"),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
