//! The cash in the drawers: what should be there, and what was counted.

use std::collections::{BTreeMap, BTreeSet};

use palm_proto::id::TillId;

use super::{CloseError, Outcome, Shift, Tallies, Tender};
use crate::reports::money::sum;

/// What people say about a drawer. These amounts are in no account: the float is the shop's own money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawer {
    /// Its till.
    pub till: TillId,
    /// What was in it at the opening.
    pub opening_minor: u64,
    /// Put in besides payments, such as change fetched from the bank.
    pub put_in_minor: u64,
    /// Taken out besides payments, such as notes brought to the safe.
    pub taken_out_minor: u64,
    /// What was counted at the close; none when nobody counted.
    pub counted_minor: Option<u64>,
}

/// A drawer at the close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawerTally {
    /// What was said.
    pub drawer: Drawer,
    /// What should be in it, in minor units; negative when more went out than there can have been.
    pub expected_minor: i128,
    /// Counted less expected; none when nobody counted.
    pub difference_minor: Option<i128>,
}

pub(super) fn tally(
    shift: &Shift,
    tills: &BTreeMap<TillId, Tallies>,
) -> Result<Vec<DrawerTally>, CloseError> {
    let known: BTreeSet<_> = shift.drawers.iter().map(|drawer| &drawer.till).collect();
    let is_other = |till: &&TillId| shift.till.as_ref().is_some_and(|own| *own != **till);
    let takes_cash = |tallies: &Tallies| tallies.keys().any(|key| moves_cash(*key).is_some());
    let lacks = |(till, tallies): (&TillId, &Tallies)| takes_cash(tallies) && !known.contains(till);
    if known.len() != shift.drawers.len() || known.iter().any(is_other) || tills.iter().any(lacks) {
        return Err(CloseError::Drawers);
    }
    let none = Tallies::new();
    let tally = |drawer: &Drawer| {
        let cash = cash(tills.get(&drawer.till).unwrap_or(&none));
        let expected_minor = sum([
            drawer.opening_minor.into(),
            drawer.put_in_minor.into(),
            i128::from(drawer.taken_out_minor).saturating_neg(),
            cash,
        ]);
        let counted = drawer.counted_minor.map(i128::from);
        DrawerTally {
            drawer: drawer.clone(),
            expected_minor,
            difference_minor: counted.map(|counted| counted.saturating_sub(expected_minor)),
        }
    };
    Ok(shift.drawers.iter().map(tally).collect())
}

/// Cash that came in less what went out.
pub(super) fn cash(tallies: &Tallies) -> i128 {
    sum(tallies.iter().filter_map(|(key, tally)| {
        Some(match moves_cash(*key)? {
            Way::In => tally.minor,
            Way::Out => tally.minor.saturating_neg(),
        })
    }))
}

enum Way {
    In,
    Out,
}

fn moves_cash((outcome, tender): (Outcome, Tender)) -> Option<Way> {
    match (tender, outcome) {
        (Tender::Cash, Outcome::Captured | Outcome::ToppedUp) => Some(Way::In),
        (Tender::Cash, Outcome::Refunded | Outcome::PaidOut | Outcome::Banked) => Some(Way::Out),
        (
            Tender::Cash,
            Outcome::Voided
            | Outcome::Declined
            | Outcome::Expired
            | Outcome::Unresolved
            | Outcome::CameBack
            | Outcome::RailRepaid
            | Outcome::Fee,
        )
        | (Tender::Bank | Tender::Card | Tender::Wallet, _) => None,
    }
}
