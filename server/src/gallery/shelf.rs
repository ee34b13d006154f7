//! Samples in memory, a shelf for each hand, so that a search runs over one slice.

use std::collections::BTreeMap;

use palm_models::template::{Hand, Template};
use palm_proto::id::CustomerId;

/// A shelf is rewritten once more than one in this many of its places is empty.
const EMPTY_SHARE: usize = 8;

/// One sample.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) customer: CustomerId,
    pub(super) template: Template,
}

/// The samples of one hand; those of one person that came together lie together.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    places: Vec<Option<Sample>>,
    empty: usize,
}

impl Shelf {
    pub(super) fn add(&mut self, customer: CustomerId, template: &Template) {
        self.places.push(Some(Sample {
            customer,
            template: template.clone(),
        }));
    }

    pub(super) fn places(&self) -> &[Option<Sample>] {
        &self.places
    }

    pub(super) fn samples_of(&self, customer: CustomerId) -> impl Iterator<Item = &Template> {
        let samples = self.places.iter().flatten();
        samples
            .filter(move |sample| sample.customer == customer)
            .map(|sample| &sample.template)
    }

    fn len(&self) -> usize {
        self.places.len() - self.empty
    }

    fn remove(&mut self, customer: CustomerId) {
        for place in &mut self.places {
            if place
                .as_ref()
                .is_some_and(|sample| sample.customer == customer)
            {
                // Dropping a template wipes it.
                *place = None;
                self.empty += 1;
            }
        }
        if self.empty * EMPTY_SHARE > self.places.len() {
            self.places.retain(Option::is_some);
            self.empty = 0;
        }
    }
}

/// Every shelf.
#[derive(Debug, Default)]
pub(super) struct Shelves(BTreeMap<Hand, Shelf>);

impl Shelves {
    pub(super) fn of(&self, sample: &Template) -> Option<&Shelf> {
        self.0.get(&sample.hand())
    }

    pub(super) fn of_mut(&mut self, sample: &Template) -> &mut Shelf {
        self.0.entry(sample.hand()).or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(Shelf::len).sum()
    }

    pub(super) fn remove(&mut self, customer: CustomerId) {
        self.0.values_mut().for_each(|shelf| shelf.remove(customer));
    }
}
