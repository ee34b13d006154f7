//! palmd, and a card provider, killed a few times while payments are taken; `./x sim --kills N` goes on.

use palm_tests::kills::{Victim, rail::CardVictim};

const KILLS: u64 = 15;

#[test]
fn palmd_killed_while_several_pay_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let mut victim = Victim::open()?;
    for kill in 0..KILLS {
        victim.round(kill)?;
    }
    victim.audit()?;
    assert!(victim.payers().acknowledged >= KILLS, "hardly anybody paid");
    Ok(())
}

#[test]
fn palmd_and_provider_killed_while_several_pay_by_card_lose_and_double_nothing()
-> anyhow::Result<()> {
    let mut victim = CardVictim::open()?;
    for kill in 0..KILLS {
        victim.round(kill)?;
    }
    victim.audit()?;
    assert!(victim.payers().acknowledged >= KILLS, "hardly anybody paid");
    Ok(())
}
