//! The other books: what a payment out of a wallet is answered and what it moves, written again from the documents,
//! with plain maps. It shares nothing with the service but the names of states.

use std::collections::BTreeMap;

use palm_server::payments::State;

use super::{
    Action, Ask, RAIL_PAYER, What,
    ground::{DAY_MAX, DUPLICATE_S, HOLD_H, PALM_MAX, PEOPLE, STEP_UP_S},
};

const SECOND: u64 = 1_000_000;
/// Payments of a customer among which duplicates are looked for.
const RECENT: usize = 8;
const WRONG_A_PAYMENT: u8 = 3;
const WRONG_IN_A_ROW: u8 = 5;
const REFUNDS: u8 = 100;

/// Something to be given before the money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Pin,
    Word,
}

/// A customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    /// What can be spent.
    pub(super) balance: u64,
    /// Authorised payments that were not undone, by the day on which they were authorised.
    days: BTreeMap<u64, u64>,
    /// The last few payments: number, amount, time.
    recent: Vec<(u32, u64, u64)>,
    wrong: u8,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paid {
    /// Nobody when it was given up before a palm was seen.
    pub(super) person: Option<usize>,
    pub(super) amount: u64,
    is_manual: bool,
    pub(super) state: State,
    pub(super) captured: u64,
    pub(super) refunded: u64,
    made: u64,
    authorised: u64,
    /// What the palm was answered, once that is certain.
    pub(super) answer: Option<String>,
    needs: Vec<Need>,
    given: Vec<Need>,
    wrong: u8,
    refunds: u8,
}

impl Paid {
    pub(super) fn is_of_rail(&self) -> bool {
        self.person == Some(RAIL_PAYER)
    }

    fn again(&self) -> String {
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        match self.state {
            State::StepUp => match self.needs.first() {
                Some(Need::Pin) if self.wrong > 0 => "asked FACTOR_WRONG".to_owned(),
                Some(Need::Pin) => "asked SECOND_FACTOR".to_owned(),
                Some(Need::Word) | None => "asked LIKELY_DUPLICATE".to_owned(),
            },
            State::Expired => "declined EXPIRED".to_owned(),
            State::Cancelled => "refused CANCELLED".to_owned(),
            _ => "refused OUTCOME_UNKNOWN".to_owned(),
        }
    }

    fn decline(&mut self, reason: &str) {
        self.state = State::Declined;
        self.needs.clear();
        self.answer = Some(format!("declined {reason}"));
    }
}

/// Everything that must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) people: [Person; PEOPLE],
    pub(super) paid: BTreeMap<u32, Paid>,
    /// What a request was asked, and answered for good.
    requests: BTreeMap<u32, (Ask, String)>,
    strangers: BTreeMap<u32, u32>,
    pub(super) cash: u64,
}

fn day(time: u64) -> u64 {
    time / (86_400 * SECOND)
}

impl Books {
    /// Whether what is asked touches an outside rail, whose answers cannot be foreseen.
    pub(super) fn is_about_rail(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Pay { id, palm, .. } => match self.paid.get(id) {
                Some(paid) => paid.is_of_rail(),
                None => *palm == RAIL_PAYER,
            },
            Ask::Confirm { id, .. } | Ask::Cancel { id, .. } | Ask::Change { id, .. } => {
                self.paid.get(id).is_some_and(Paid::is_of_rail)
            }
            Ask::Transfer { .. } => false,
        }
    }

    /// Does what is asked and gives the answer.
    pub(super) fn ask(&mut self, ask: &Ask, now: u64) -> String {
        match *ask {
            Ask::Pay {
                id,
                palm,
                amount,
                is_manual,
                nonce,
            } => self.pay(id, (palm, nonce), (amount, is_manual), now),
            Ask::Confirm { request, id, what } => {
                let Some(paid) = self.paid.get(&id) else {
                    return "refused NOT_FOUND".to_owned();
                };
                let again = paid.again();
                if let Some((first, _)) = self.requests.get(&request) {
                    let is_same = matches!(first, Ask::Confirm { id: own, what: given, .. }
                        if *own == id && (*given == What::Word) == (what == What::Word));
                    return if is_same {
                        again
                    } else {
                        "refused ID_REUSED".to_owned()
                    };
                }
                self.confirm(ask, id, what, now)
            }
            Ask::Cancel { id, amount } => self.cancel(id, amount, now),
            Ask::Change {
                request,
                id,
                action,
                amount,
            } => {
                if !self.paid.contains_key(&id) {
                    return "refused NOT_FOUND".to_owned();
                }
                self.once(request, ask, |books| books.change(id, action, amount))
            }
            Ask::Transfer {
                request,
                person,
                amount,
                is_in,
            } => self.once(request, ask, |books| books.transfer(person, amount, is_in)),
        }
    }

    /// A request that was done is answered alike for ever; one that was refused may be done later.
    fn once(&mut self, request: u32, ask: &Ask, work: impl FnOnce(&mut Self) -> String) -> String {
        if let Some((first, answer)) = self.requests.get(&request) {
            return if first == ask {
                answer.clone()
            } else {
                "refused ID_REUSED".to_owned()
            };
        }
        let answer = work(self);
        if !answer.starts_with("refused") {
            let kept = (ask.clone(), answer.clone());
            self.requests.insert(request, kept);
        }
        answer
    }

    fn pay(
        &mut self,
        id: u32,
        (palm, nonce): (usize, u32),
        (amount, is_manual): (u64, bool),
        now: u64,
    ) -> String {
        if let Some(paid) = self.paid.get(&id) {
            return if (paid.amount, paid.is_manual) == (amount, is_manual) {
                paid.again()
            } else {
                "refused ID_REUSED".to_owned()
            };
        }
        if palm >= PEOPLE {
            return match self.strangers.insert(nonce, id) {
                Some(other) if other != id => "refused CAPTURE_REPLAYED".to_owned(),
                _ => "nobody NOT_RECOGNISED".to_owned(),
            };
        }
        let paid = Paid {
            person: Some(palm),
            amount,
            is_manual,
            state: State::Created,
            captured: 0,
            refunded: 0,
            made: now,
            authorised: 0,
            answer: None,
            needs: Vec::new(),
            given: Vec::new(),
            wrong: 0,
            refunds: 0,
        };
        self.paid.insert(id, paid);
        self.rule(id, now)
    }

    fn of(&mut self, id: u32) -> (&mut Paid, &mut Person) {
        let paid = self.paid.get_mut(&id).expect("it was looked for before");
        let person = paid.person.expect("somebody paid it");
        (paid, &mut self.people[person])
    }

    fn rule(&mut self, id: u32, now: u64) -> String {
        let (paid, person) = self.of(id);
        let today = person.days.get(&day(now)).copied().unwrap_or_default();
        if today + paid.amount > DAY_MAX {
            paid.decline("OVER_LIMIT");
            return paid.again();
        }
        let is_near = |time: u64| now.saturating_sub(time) < DUPLICATE_S * SECOND;
        let is_like =
            |(_, amount, time): &(u32, u64, u64)| *amount == paid.amount && is_near(*time);
        let mut needs = Vec::new();
        if paid.amount > PALM_MAX {
            needs.push(Need::Pin);
        }
        if person.recent.iter().any(is_like) {
            needs.push(Need::Word);
        }
        needs.retain(|need| !paid.given.contains(need));
        if needs.contains(&Need::Pin) && person.wrong >= WRONG_IN_A_ROW {
            paid.decline("FACTOR_LOCKED");
            return paid.again();
        }
        if !needs.is_empty() {
            paid.state = State::StepUp;
            paid.needs = needs;
            paid.wrong = 0;
            return paid.again();
        }
        paid.needs.clear();
        if person.balance < paid.amount {
            // It was counted and taken back: the oldest of the last few was forgotten for it.
            if person.recent.len() >= RECENT {
                person.recent.remove(0);
            }
            paid.decline("INSUFFICIENT_FUNDS");
            return paid.again();
        }
        person.balance -= paid.amount;
        *person.days.entry(day(now)).or_default() += paid.amount;
        if person.recent.len() >= RECENT {
            person.recent.remove(0);
        }
        person.recent.push((id, paid.amount, now));
        paid.authorised = now;
        paid.answer = Some(format!("approved left {}", person.balance));
        paid.state = State::Authorised;
        if !paid.is_manual {
            paid.state = State::Captured;
            paid.captured = paid.amount;
        }
        paid.again()
    }

    fn confirm(&mut self, ask: &Ask, id: u32, what: What, now: u64) -> String {
        let Ask::Confirm { request, .. } = *ask else {
            return String::new();
        };
        let paid = &self.paid[&id];
        let need = match (paid.state, paid.needs.first()) {
            (State::StepUp, Some(need)) => *need,
            _ => return paid.again(),
        };
        if (what == What::Word) != (need == Need::Word) {
            return "refused STATE_REFUSES".to_owned();
        }
        self.requests.insert(request, (ask.clone(), String::new()));
        let (paid, person) = self.of(id);
        let is_locked = person.wrong >= WRONG_IN_A_ROW;
        match what {
            What::Word => {}
            What::RightPin if !is_locked => person.wrong = 0,
            What::RightPin | What::WrongPin => {
                person.wrong = person.wrong.saturating_add(1);
                paid.wrong += 1;
                if person.wrong >= WRONG_IN_A_ROW {
                    paid.decline("FACTOR_LOCKED");
                } else if paid.wrong >= WRONG_A_PAYMENT {
                    paid.decline("FACTOR_WRONG");
                }
                return paid.again();
            }
        }
        paid.needs.remove(0);
        paid.given.push(need);
        self.rule(id, now)
    }

    fn cancel(&mut self, id: u32, amount: u64, now: u64) -> String {
        let paid = self.paid.entry(id).or_insert_with(|| Paid {
            person: None,
            amount,
            is_manual: false,
            state: State::Created,
            captured: 0,
            refunded: 0,
            made: now,
            authorised: 0,
            answer: None,
            needs: Vec::new(),
            given: Vec::new(),
            wrong: 0,
            refunds: 0,
        });
        if paid.amount != amount {
            return "refused ID_REUSED".to_owned();
        }
        if matches!(paid.state, State::Created | State::StepUp) {
            paid.state = State::Cancelled;
            paid.needs.clear();
        }
        format!("{:?}", paid.state)
    }

    fn change(&mut self, id: u32, action: Action, asked: Option<u64>) -> String {
        let refuses = || "refused STATE_REFUSES".to_owned();
        let paid = &self.paid[&id];
        let there_is = match action {
            Action::Refund => paid.captured - paid.refunded,
            Action::Capture | Action::Void => paid.amount,
        };
        let Some(minor) = asked.or_else(|| (there_is > 0).then_some(there_is)) else {
            return refuses();
        };
        if minor > there_is {
            return "refused AMOUNT_TOO_LARGE".to_owned();
        }
        if paid.person.is_none() {
            return refuses();
        }
        let (paid, person) = self.of(id);
        match (action, paid.state) {
            (Action::Capture, State::Authorised) => {
                paid.captured = minor;
                person.balance += paid.amount - minor;
                paid.state = State::Captured;
            }
            (Action::Void, State::Authorised) => {
                Self::undo(id, paid, person, State::Voided);
            }
            (Action::Refund, State::Captured) => {
                if paid.refunds >= REFUNDS {
                    return "refused LIMIT_REACHED".to_owned();
                }
                paid.refunds += 1;
                paid.refunded += minor;
                person.balance += minor;
                return format!("Done {minor}");
            }
            _ => return refuses(),
        }
        format!("{:?} {}-{}", paid.state, paid.captured, paid.refunded)
    }

    fn undo(id: u32, paid: &mut Paid, person: &mut Person, state: State) {
        person.balance += paid.amount;
        if let Some(sum) = person.days.get_mut(&day(paid.authorised)) {
            *sum -= paid.amount;
        }
        person.recent.retain(|(own, ..)| *own != id);
        paid.state = state;
    }

    fn transfer(&mut self, person: usize, amount: u64, is_in: bool) -> String {
        let person = &mut self.people[person];
        if is_in {
            person.balance += amount;
            self.cash += amount;
        } else if person.balance < amount {
            return "refused INSUFFICIENT_FUNDS".to_owned();
        } else {
            person.balance -= amount;
            self.cash -= amount;
        }
        format!("balance {}", person.balance)
    }

    /// What a look at the clock does to payments out of wallets.
    pub(super) fn tick(&mut self, now: u64) {
        for (id, paid) in &mut self.paid {
            let (Some(number), false) = (paid.person, paid.is_of_rail()) else {
                continue;
            };
            match paid.state {
                State::StepUp if now >= paid.made + STEP_UP_S * SECOND => {
                    paid.state = State::Expired;
                    paid.needs.clear();
                }
                State::Authorised if now >= paid.made + HOLD_H * 3_600 * SECOND => {
                    Self::undo(*id, paid, &mut self.people[number], State::Expired);
                }
                _ => {}
            }
        }
    }

    /// Takes down how a payment at the outside rail stands; says what must not be.
    pub(super) fn take_down(
        &mut self,
        ask: &Ask,
        seen: Option<(State, u64, u64)>,
    ) -> Result<(), String> {
        let id = match *ask {
            Ask::Pay { id, .. }
            | Ask::Confirm { id, .. }
            | Ask::Cancel { id, .. }
            | Ask::Change { id, .. } => id,
            Ask::Transfer { .. } => return Ok(()),
        };
        let Some((state, captured, refunded)) = seen else {
            return match self.paid.get(&id) {
                Some(paid) => Err(format!("payment {id} is lost: it was {paid:?}")),
                None => Ok(()),
            };
        };
        if let (
            None,
            Ask::Pay {
                amount, is_manual, ..
            },
        ) = (self.paid.get(&id), ask)
        {
            let paid = Paid {
                person: Some(RAIL_PAYER),
                amount: *amount,
                is_manual: *is_manual,
                state,
                captured,
                refunded,
                made: 0,
                authorised: 0,
                answer: None,
                needs: Vec::new(),
                given: Vec::new(),
                wrong: 0,
                refunds: 0,
            };
            self.paid.insert(id, paid);
        }
        self.look_at(id, (state, captured, refunded))
    }

    /// How a payment at the outside rail may go on.
    pub(super) fn look_at(
        &mut self,
        id: u32,
        (state, captured, refunded): (State, u64, u64),
    ) -> Result<(), String> {
        let Some(paid) = self.paid.get_mut(&id) else {
            return Ok(());
        };
        let is_end = matches!(
            paid.state,
            State::Declined | State::Cancelled | State::Voided | State::Expired
        );
        let was_taken = matches!(paid.state, State::Captured | State::Refunding);
        let is_taken = matches!(state, State::Captured | State::Refunding);
        let was_approved = paid
            .answer
            .as_deref()
            .is_some_and(|answer| answer == "approved");
        let is_unpaid = matches!(
            state,
            State::Created
                | State::StepUp
                | State::Authorising
                | State::Declined
                | State::Cancelled
        );
        let is_wrong = (is_end && state != paid.state)
            || (was_taken && (!is_taken || captured != paid.captured || refunded < paid.refunded))
            || (was_approved && is_unpaid)
            || refunded > captured
            || captured > paid.amount
            || (is_taken && captured == 0);
        if is_wrong {
            return Err(format!(
                "payment {id} went from {paid:?} to {state:?} {captured}-{refunded}"
            ));
        }
        (paid.state, paid.captured, paid.refunded) = (state, captured, refunded);
        Ok(())
    }

    /// An answer about a payment at the outside rail: what is certain stays.
    pub(super) fn hear(&mut self, ask: &Ask, answer: &str) -> Result<(), String> {
        let Ask::Pay { id, .. } = *ask else {
            return Ok(());
        };
        let is_certain = answer == "approved" || answer.starts_with("declined");
        let Some(paid) = self.paid.get_mut(&id).filter(|_| is_certain) else {
            return Ok(());
        };
        match &paid.answer {
            Some(first) if first != answer => {
                Err(format!("payment {id} was answered {first}, then {answer}"))
            }
            Some(_) => Ok(()),
            None => {
                paid.answer = Some(answer.to_owned());
                Ok(())
            }
        }
    }
}
