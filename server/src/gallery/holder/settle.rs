//! Putting the gallery in order, step by step: the keyholder proposes, the matcher does, then it counts.

use palm_models::template::{Hand, SearchCode};
use rayon::prelude::*;
use tracing::warn;

use super::{Answered, Holder, HolderError, Session};
use crate::{
    error::Error,
    gallery::{
        OPENED_TOGETHER,
        sealed::{
            RecordId,
            keyholder::{FreshBlock, Keyholder},
            wire::BlockName,
        },
    },
};

/// What the matcher should do next.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Done,
    /// Ask again: templates were opened.
    On,
    /// Write this block, commit it, search it: the block as on disk, and its directory.
    Keep(Vec<u8>, Vec<u8>),
    /// Commit this, then search the block no more and delete it.
    Retire(BlockName),
}

/// A step that the matcher was told and has not committed.
pub(super) enum Pending {
    Keep(FreshBlock),
    Retire(BlockName, Vec<(RecordId, SearchCode)>),
}

impl Pending {
    fn name(&self) -> BlockName {
        match self {
            Self::Keep(fresh) => BlockName::of(fresh.block.header()),
            Self::Retire(name, _) => *name,
        }
    }
}

impl Holder {
    /// What the matcher should do next. Nothing changes for searches until [`Self::commit`].
    ///
    /// # Errors
    /// [`HolderError::Attach`]; [`Error::Store`], [`Error::Corrupt`].
    pub fn settle(&self, session: Session) -> Answered<Step> {
        if self.open_some(session)? {
            return Ok(Step::On);
        }
        let stale = {
            let state = self.read();
            state.must_be(session)?;
            let mut rooms = state.rooms.iter();
            rooms.find_map(|(kind, room)| {
                let (block, live) = room.stale()?;
                let (kind, epoch) = (*kind, room.epoch());
                Some((BlockName { kind, epoch, block }, live))
            })
        };
        if let Some((name, live)) = stale {
            let codes = self.codes_of(name.kind.hand, live)?;
            return self.propose(session, Pending::Retire(name, codes));
        }
        let draft = {
            let mut state = self.write();
            state.must_be(session)?;
            state.rooms.values_mut().find_map(Keyholder::draft)
        };
        match draft {
            None => Ok(Step::Done),
            Some(draft) => {
                let fresh = self.pool().install(|| draft.encrypt(&*self.entropy));
                self.propose(session, Pending::Keep(fresh))
            }
        }
    }

    fn propose(&self, session: Session, pending: Pending) -> Answered<Step> {
        let step = match &pending {
            Pending::Retire(name, _) => Step::Retire(*name),
            Pending::Keep(fresh) => {
                let mut block = Vec::new();
                let written = fresh.block.write_to(&mut block);
                written.map_err(|_| Error::Corrupt("gallery"))?;
                Step::Keep(block, fresh.directory.clone())
            }
        };
        let mut state = self.write();
        state.must_be(session)?;
        state.pending = Some(pending);
        Ok(step)
    }

    fn codes_of(
        &self,
        hand: Hand,
        records: Vec<RecordId>,
    ) -> Result<Vec<(RecordId, SearchCode)>, Error> {
        let open = |record| {
            let template = self.second.templates.one(hand, record)?;
            let code = template.and_then(|template| template.search().cloned());
            Ok(code.map(|code| (record, code)))
        };
        let opened: Result<Vec<_>, Error> = self
            .pool()
            .install(|| records.into_par_iter().map(open).collect());
        Ok(opened?.into_iter().flatten().collect())
    }

    /// Opens some of the templates that are in no block; whether there were any.
    fn open_some(&self, session: Session) -> Answered<bool> {
        // Nobody is forgotten between the look at the store and the change of the state.
        let _alone = self.alone();
        let some: Vec<_> = {
            let state = self.read();
            state.must_be(session)?;
            // A block at a time: what is opened waits in memory in the clear.
            let from = state.unopened.len().saturating_sub(OPENED_TOGETHER);
            let waits = state.rooms.values().any(Keyholder::fills_a_block);
            if waits {
                Vec::new()
            } else {
                state.unopened[from..].to_vec()
            }
        };
        let open = |(hand, record): &(Hand, RecordId)| {
            Ok((*record, self.second.templates.one(*hand, *record)?))
        };
        let opened: Result<Vec<_>, Error> =
            self.pool().install(|| some.par_iter().map(open).collect());
        let opened = opened?;
        let mut state = self.write();
        state.must_be(session)?;
        let left = state.unopened.len() - some.len();
        state.unopened.truncate(left);
        for (record, template) in opened {
            let Some(template) = template else { continue };
            match state.enrol(record, &template) {
                Ok(()) => (),
                Err(Error::TemplateUnknown) => {
                    warn!(
                        "a sample without a search code of a known version is kept, but not found"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!some.is_empty())
    }

    /// The matcher did the step of this block.
    ///
    /// # Errors
    /// [`HolderError::Attach`] when it was not the last step told.
    pub fn commit(&self, session: Session, name: BlockName) -> Answered<()> {
        let mut state = self.write();
        state.must_be(session)?;
        let pending = state.pending.take().filter(|own| own.name() == name);
        let pending = pending.ok_or(HolderError::Attach)?;
        let room = state.rooms.get_mut(&name.kind).ok_or(HolderError::Attach)?;
        match pending {
            Pending::Keep(fresh) => drop(room.publish(fresh)),
            Pending::Retire(name, codes) => room
                .retire(name.block, &codes)
                .map_err(|_| HolderError::Attach)?,
        }
        state.changes += 1;
        Ok(())
    }
}
