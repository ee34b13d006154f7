//! palmd killed a few times while it takes payments; `./x sim --kills N` goes on.

use palm_tests::kills::Victim;

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
