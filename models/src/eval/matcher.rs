//! What is compared, and how.

use crate::compare::{Probe, fused};
use crate::extract::Extraction;
use crate::network::Embedding;
use crate::template::Template;

/// What a cosine of embeddings is multiplied by to stand for a similarity of search codes: the ratio of their means
/// over mated comparisons (synthetic).
const EMBEDDING_FOR_SEARCH: f32 = 1.2;

/// All that a sample can be compared by.
#[derive(Debug, Clone)]
pub struct Codes {
    reference: Template,
    probe: Template,
    embedding: Embedding,
}

impl From<Extraction> for Codes {
    fn from(extraction: Extraction) -> Self {
        Self {
            reference: extraction.reference,
            probe: extraction.probe,
            embedding: extraction.embedding,
        }
    }
}

impl Codes {
    /// What enrolment keeps of the sample.
    #[must_use]
    pub fn reference(&self) -> &Template {
        &self.reference
    }
}

/// A way to compare two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matcher {
    /// The product's: the search codes and the orientation codes together.
    Fused,
    /// The same with embeddings in place of search codes: what the sparse codes cost.
    FusedUnprotected,
    /// The orientation codes alone.
    Orientation,
    /// The inner products of the search codes alone, as the encrypted gallery searches.
    Search,
    /// The embeddings alone.
    Embedding,
}

impl Matcher {
    /// The name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::FusedUnprotected => "fused_unprotected",
            Self::Orientation => "orientation",
            Self::Search => "search",
            Self::Embedding => "embedding",
        }
    }

    /// Makes a probe ready to be compared with references.
    pub fn prepared(self, probe: &Codes) -> impl Fn(&Codes) -> f32 + use<> {
        let embedding = probe.embedding.clone();
        let search = probe.probe.search().cloned();
        let by_lines = match self {
            Self::Search | Self::Embedding => None,
            Self::Fused | Self::FusedUnprotected | Self::Orientation => {
                Some(Probe::new(probe.probe.orientation()))
            }
        };
        move |reference| {
            let codes = search.as_ref().zip(reference.reference.search());
            let similarity = || codes.map_or(0.0, |(own, other)| own.similarity(other));
            let dot = || codes.map_or(0.0, |(own, other)| f32::from(own.dot(other)));
            let embedding = || embedding.cosine(&reference.embedding);
            let Some(lines) = &by_lines else {
                return match self {
                    Self::Embedding => embedding(),
                    _ => dot(),
                };
            };
            let lines = lines.compare(reference.reference.orientation());
            match self {
                Self::Fused => fused(similarity(), lines).value(),
                Self::FusedUnprotected => fused(EMBEDDING_FOR_SEARCH * embedding(), lines).value(),
                _ => lines.value(),
            }
        }
    }
}
