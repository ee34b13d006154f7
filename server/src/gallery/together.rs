//! Searches that wait for one another go together: who comes while a scan runs is taken along by the next one.
//!
//! Whoever finds no scan running runs one, for everybody who waits, and hands out the answers. So a search that is
//! alone starts at once, and of many at once each but the first waits for one scan and shares the next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Questions that are answered several at a time.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    most: usize,
    state: Mutex<State<Q, A>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<Q, A> {
    next: u64,
    is_running: bool,
    waiting: VecDeque<(u64, Q)>,
    /// `None` for a question whose run failed: who asked runs it alone.
    answers: BTreeMap<u64, Option<A>>,
}

impl<Q: Clone, A> Together<Q, A> {
    /// Runs answer at most `most` questions, 1 or more.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::new(State {
                next: 0,
                is_running: false,
                waiting: VecDeque::new(),
                answers: BTreeMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    // No code of a caller runs under the lock: nothing panics there.
    fn state(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a question. `run` gives one answer for each of several questions, in their order; whether it is
    /// this caller's that runs, or another's, does not matter.
    ///
    /// # Errors
    /// Those of `run`; never because of another's question.
    pub(super) fn ask<E>(
        &self,
        question: &Q,
        run: impl Fn(&[Q]) -> Result<Vec<A>, E>,
    ) -> Result<A, E> {
        let answer = match self.turn(question) {
            Turn::Answered(answer) => answer,
            Turn::Run(together) => {
                let (tickets, questions): (Vec<_>, Vec<_>) = together.into_iter().unzip();
                // The others are told even when `run` fails or panics.
                let mut answering = Answering { tickets, all: self };
                match run(&questions) {
                    Ok(answers) => answering.tell(answers),
                    Err(error) if questions.len() == 1 => return Err(error),
                    Err(_) => None,
                }
            }
        };
        answer.map_or_else(|| alone(question, run), Ok)
    }

    /// Waits for the answer, or for the turn to run; the caller's own question comes first then.
    fn turn(&self, question: &Q) -> Turn<Q, A> {
        let mut state = self.state();
        let own = state.next;
        state.next += 1;
        state.waiting.push_back((own, question.clone()));
        loop {
            if let Some(answer) = state.answers.remove(&own) {
                return Turn::Answered(answer);
            }
            if !state.is_running {
                break;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.is_running = true;
        let place = state.waiting.iter().position(|(other, _)| *other == own);
        let mine = place.and_then(|place| state.waiting.remove(place));
        let mine = mine.expect("invariant: who is not answered and in no run waits");
        let others = state.waiting.len().min(self.most - 1);
        let others = state.waiting.drain(..others);
        Turn::Run([mine].into_iter().chain(others).collect())
    }
}

fn alone<Q: Clone, A, E>(question: &Q, run: impl Fn(&[Q]) -> Result<Vec<A>, E>) -> Result<A, E> {
    let mut answers = run(std::slice::from_ref(question))?;
    Ok(answers.pop().expect("invariant: one answer a question"))
}

enum Turn<Q, A> {
    Answered(Option<A>),
    Run(Vec<(u64, Q)>),
}

/// A run for several, of whom the first runs it.
struct Answering<'a, Q: Clone, A> {
    tickets: Vec<u64>,
    all: &'a Together<Q, A>,
}

impl<Q: Clone, A> Answering<'_, Q, A> {
    /// Tells the others their answers, and gives the first.
    fn tell(&mut self, answers: Vec<A>) -> Option<A> {
        let mut answers = answers.into_iter();
        let own = answers.next();
        let others = self.tickets.drain(..).skip(1);
        let told = others.map(|ticket| (ticket, answers.next()));
        self.all.state().answers.extend(told);
        own
    }
}

impl<Q: Clone, A> Drop for Answering<'_, Q, A> {
    fn drop(&mut self) {
        self.tell(Vec::new());
        self.all.state().is_running = false;
        self.all.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
