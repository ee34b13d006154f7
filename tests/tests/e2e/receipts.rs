//! Shops as receipt rolls.

use anyhow::Result;

use crate::roll::play;

#[test]
fn palm_pays_and_a_stranger_does_not() -> Result<()> {
    play(
        "enrol Seven 7           => done, 1 palm
         enrol Nine 9            => done, 1 palm
         top up Seven 20000      => 20000 left
         top up Nine 5000        => 5000 left
         pay 7 4500              => approved S**, 15500 left
         strange 900 4500        => not_recognised NOT_RECOGNISED
         pay 9 4500              => approved N**, 500 left
         pay 7 15500             => approved S**, 0 left
         books                   => 8 transfers right, 3 approved, 0 declined",
    )
}

#[test]
fn wallet_without_enough_declines_and_keeps_its_money() -> Result<()> {
    play(
        "enrol Seven 7           => done, 1 palm
         pay 7 1                 => declined INSUFFICIENT_FUNDS S**
         top up Seven 4499       => 4499 left
         pay 7 4500              => declined INSUFFICIENT_FUNDS S**
         wallet Seven            => 4499 left
         top up Seven 1          => 4500 left
         pay 7 4500              => approved S**, 0 left
         books                   => 4 transfers right, 1 approved, 2 declined",
    )
}

#[test]
fn palm_enrols_once_and_either_hand_of_a_person_is_another_palm() -> Result<()> {
    play(
        "enrol Seven 7           => done, 1 palm
         enrol Again 7           => refused ALREADY_ENROLLED
         enrol Left 7 L          => done, 1 palm
         top up Left 1000        => 1000 left
         pay 7 L 400             => approved L**, 600 left
         pay 7 400               => declined INSUFFICIENT_FUNDS S**
         books                   => 3 transfers right, 1 approved, 1 declined",
    )
}

#[test]
fn restarts_of_either_side_keep_customers_and_money() -> Result<()> {
    play(
        "enrol Seven 7           => done, 1 palm
         top up Seven 10000      => 10000 left
         restart palmd           => ready
         pay 7 4000              => approved S**, 6000 left
         restart till            => ready
         pay 7 4000              => approved S**, 2000 left
         restart palmd           => ready
         strange 900 100         => not_recognised NOT_RECOGNISED
         wallet Seven            => 2000 left
         books                   => 5 transfers right, 2 approved, 0 declined",
    )
}

#[test]
fn money_in_a_wallet_keeps_its_owner_until_it_is_paid_out() -> Result<()> {
    play(
        "enrol Seven 7           => done, 1 palm
         top up Seven 3000       => 3000 left
         delete Seven            => refused BALANCE_REMAINS
         pay out Seven 3001      => refused INSUFFICIENT_FUNDS
         pay out Seven 3000      => 0 left
         delete Seven            => deleted
         strange 7 100           => not_recognised NOT_RECOGNISED
         enrol Again 7           => done, 1 palm
         books                   => 2 transfers right, 0 approved, 0 declined",
    )
}
