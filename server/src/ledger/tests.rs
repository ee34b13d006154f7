#![expect(
    clippy::arithmetic_side_effects,
    clippy::too_many_lines,
    reason = "receipt rolls are long, and an overflow in a test is a failure of it"
)]

use proptest::prelude::*;

use super::*;
use crate::store::MemoryStore;

use AccountId::{Cash, Merchant};

fn wallet(number: u8) -> AccountId {
    AccountId::Wallet(CustomerId::from_bytes([number; 16]))
}

fn id(number: u8) -> TransferId {
    TransferId([number; 16])
}

fn transfer(number: u8, kind: Kind, debit: AccountId, credit: AccountId, minor: u64) -> Transfer {
    let amount = Money::balance(minor, Currency::KRW);
    Transfer {
        id: id(number),
        kind,
        debit,
        credit,
        amount,
        time: Timestamp::from_micros(7),
    }
}

/// One row of a receipt roll: a transfer, what came of it, and what the wallet and the merchant have then.
type Line = (Transfer, Result<(), LedgerError>, u64, u64);

fn roll(lines: &[Line]) {
    let (mut books, mut batch) = (Ledger::new(Currency::KRW), Batch::new());
    for (number, (transfer, outcome, wallet_has, merchant_has)) in lines.iter().enumerate() {
        assert_eq!(books.book(transfer, &mut batch), *outcome, "line {number}");
        assert_eq!(
            books.balance(wallet(1)),
            *wallet_has,
            "wallet after line {number}"
        );
        assert_eq!(
            books.balance(Merchant),
            *merchant_has,
            "merchant after line {number}"
        );
    }
    // The same from disk, and the audit agrees.
    let store = MemoryStore::new();
    store.commit(&batch).unwrap();
    let loaded = Ledger::load(&store, Currency::KRW).unwrap();
    assert_eq!(loaded.balance(wallet(1)), books.balance(wallet(1)));
    assert_eq!(loaded.transfers(), books.transfers());
    let audit = audit(&store, Currency::KRW).unwrap();
    assert_eq!(audit.violations, Vec::<String>::new());
    assert_eq!(audit.transfers, books.transfers());
}

#[test]
fn hold_is_posted_whole_in_part_or_voided_once() {
    let (post, void) = (
        |hold| Kind::Post { hold: id(hold) },
        |hold| Kind::Void { hold: id(hold) },
    );
    let w = wallet(1);
    roll(&[
        (
            transfer(1, Kind::Direct, Cash, w, 10_000),
            Ok(()),
            10_000,
            0,
        ),
        (
            transfer(2, Kind::Hold, w, Merchant, 4_500),
            Ok(()),
            5_500,
            0,
        ),
        (
            transfer(3, post(2), w, Merchant, 4_500),
            Ok(()),
            5_500,
            4_500,
        ),
        (
            transfer(4, post(2), w, Merchant, 4_500),
            Err(LedgerError::HoldNotPending),
            5_500,
            4_500,
        ),
        (
            transfer(5, Kind::Hold, w, Merchant, 5_000),
            Ok(()),
            500,
            4_500,
        ),
        (
            transfer(6, post(5), w, Merchant, 5_001),
            Err(LedgerError::HoldAmountDiffers),
            500,
            4_500,
        ),
        (
            transfer(6, post(5), w, Merchant, 3_000),
            Ok(()),
            2_500,
            7_500,
        ),
        (
            transfer(7, Kind::Hold, w, Merchant, 2_500),
            Ok(()),
            0,
            7_500,
        ),
        (
            transfer(8, void(7), w, Merchant, 1),
            Err(LedgerError::HoldAmountDiffers),
            0,
            7_500,
        ),
        (
            transfer(8, void(7), w, Cash, 2_500),
            Err(LedgerError::HoldAccountsDiffer),
            0,
            7_500,
        ),
        (
            transfer(8, void(7), w, Merchant, 2_500),
            Ok(()),
            2_500,
            7_500,
        ),
        (
            transfer(9, void(7), w, Merchant, 2_500),
            Err(LedgerError::HoldNotPending),
            2_500,
            7_500,
        ),
    ]);
}

#[test]
fn same_transfer_again_changes_nothing_and_other_content_is_refused() {
    let w = wallet(1);
    let top_up = transfer(1, Kind::Direct, Cash, w, 1_000);
    let later = Transfer {
        time: Timestamp::from_micros(8),
        ..top_up
    };
    let differs = Err(LedgerError::ExistsWithDifferentContent);
    roll(&[
        (top_up, Ok(()), 1_000, 0),
        (later, Ok(()), 1_000, 0),
        (transfer(1, Kind::Direct, Cash, w, 1_001), differs, 1_000, 0),
        (transfer(1, Kind::Hold, Cash, w, 1_000), differs, 1_000, 0),
        (
            transfer(1, Kind::Direct, Cash, wallet(2), 1_000),
            differs,
            1_000,
            0,
        ),
    ]);
}

#[test]
fn refusals_come_in_their_documented_order() {
    let w = wallet(1);
    let euro = Transfer {
        amount: Money::balance(0, "EUR".parse().unwrap()),
        ..transfer(2, Kind::Direct, w, w, 0)
    };
    let lost = Kind::Post { hold: id(9) };
    roll(&[
        (transfer(1, Kind::Direct, Cash, w, 1_000), Ok(()), 1_000, 0),
        (euro, Err(LedgerError::CurrencyDiffers), 1_000, 0),
        (
            transfer(2, Kind::Direct, w, w, 0),
            Err(LedgerError::AmountZero),
            1_000,
            0,
        ),
        (
            transfer(2, Kind::Direct, w, w, 9_999),
            Err(LedgerError::AccountsSame),
            1_000,
            0,
        ),
        (
            transfer(2, lost, w, Merchant, 9_999),
            Err(LedgerError::HoldNotPending),
            1_000,
            0,
        ),
        (
            transfer(2, Kind::Direct, w, Merchant, 1_001),
            Err(LedgerError::InsufficientFunds),
            1_000,
            0,
        ),
        (
            transfer(2, Kind::Direct, wallet(2), Cash, 1),
            Err(LedgerError::InsufficientFunds),
            1_000,
            0,
        ),
        (
            transfer(2, Kind::Direct, Cash, w, u64::MAX),
            Err(LedgerError::Overflow),
            1_000,
            0,
        ),
        (
            transfer(2, Kind::Direct, w, Merchant, 1_000),
            Ok(()),
            0,
            1_000,
        ),
    ]);
}

#[test]
fn the_rail_alone_may_be_owed_and_the_audit_agrees() {
    use AccountId::{Bank, Fees, Rail};
    let (mut books, mut batch) = (Ledger::new(Currency::KRW), Batch::new());
    let mut book = |number, debit, credit, minor| {
        books.book(
            &transfer(number, Kind::Direct, debit, credit, minor),
            &mut batch,
        )
    };
    assert_eq!(book(1, Rail, Merchant, 1_000), Ok(()));
    assert_eq!(book(2, Bank, Rail, 970), Ok(()));
    assert_eq!(book(3, Fees, Rail, 30), Ok(()));
    assert_eq!(
        book(4, Merchant, Rail, 400),
        Ok(()),
        "a refund after the settlement"
    );
    for (debit, credit) in [
        (Merchant, Bank),
        (wallet(1), Bank),
        (Rail, Bank),
        (Bank, Cash),
    ] {
        let refused = book(5, debit, credit, 971);
        assert_eq!(
            refused,
            Err(LedgerError::InsufficientFunds),
            "{debit:?} {credit:?}"
        );
    }
    assert_eq!(books.net(Rail), -400);
    assert_eq!(
        [Bank, Fees, Rail].map(|account| books.balance(account)),
        [970, 30, 0]
    );
    let store = MemoryStore::new();
    store.commit(&batch).unwrap();
    assert_eq!(Ledger::load(&store, Currency::KRW).unwrap().net(Rail), -400);
    let audit = audit(&store, Currency::KRW).unwrap();
    assert_eq!((audit.accounts, audit.violations), (4, Vec::new()));
}

#[test]
fn records_of_every_account_read_as_they_were_written() {
    let accounts = [
        (Cash, 0),
        (Merchant, 1),
        (wallet(1), 2),
        (AccountId::Rail, 3),
        (AccountId::Bank, 4),
        (AccountId::Fees, 5),
    ];
    for (account, tag) in accounts {
        let other = if account == Cash { Merchant } else { Cash };
        let transfer = transfer(1, Kind::Direct, account, other, 5);
        let bytes = record::encode(&transfer);
        assert_eq!(bytes[34], tag, "{account:?}");
        assert_eq!(record::decode(&bytes), Ok(transfer));
    }
}

#[test]
fn what_is_rolled_back_never_was() {
    let (mut books, mut batch) = (Ledger::new(Currency::KRW), Batch::new());
    books
        .book(&transfer(1, Kind::Direct, Cash, wallet(1), 900), &mut batch)
        .unwrap();
    books
        .book(
            &transfer(2, Kind::Hold, wallet(1), Merchant, 500),
            &mut batch,
        )
        .unwrap();
    let mark = books.mark();
    let post = transfer(3, Kind::Post { hold: id(2) }, wallet(1), Merchant, 500);
    books.book(&post, &mut batch).unwrap();
    books
        .book(
            &transfer(4, Kind::Hold, wallet(1), Merchant, 100),
            &mut batch,
        )
        .unwrap();
    books.roll_back(mark);
    assert_eq!(
        (
            books.balance(wallet(1)),
            books.balance(Merchant),
            books.transfers()
        ),
        (400, 0, 2)
    );
    assert_eq!(
        books.book(&post, &mut batch),
        Ok(()),
        "the hold is pending again"
    );
}

#[test]
fn damaged_books_are_named() {
    let (mut books, mut batch) = (Ledger::new(Currency::KRW), Batch::new());
    for number in 1..=3 {
        books
            .book(
                &transfer(number, Kind::Direct, Cash, wallet(1), 100),
                &mut batch,
            )
            .unwrap();
    }
    let damaged = |change: fn(&mut Batch)| {
        let store = MemoryStore::new();
        let mut batch = batch.clone();
        change(&mut batch);
        store.commit(&batch).unwrap();
        let violations = audit(&store, Currency::KRW).unwrap().violations;
        assert!(!violations.is_empty());
        Ledger::load(&store, Currency::KRW).unwrap_err()
    };
    assert!(matches!(
        damaged(|batch| batch.delete(record::key(1))),
        LoadError::Gap(1)
    ));
    assert!(matches!(
        damaged(|batch| batch.put(record::key(1), "short")),
        LoadError::Record(_)
    ));
    let twice = |batch: &mut Batch| {
        let first = batch.get(&record::key(0)).unwrap().unwrap().to_vec();
        batch.put(record::key(1), first);
    };
    assert!(matches!(damaged(twice), LoadError::Gap(1)));
}

/// Books kept by plain addition, to hold the ledger's against.
#[derive(Default)]
struct Oracle {
    posted: BTreeMap<AccountId, i64>,
    held: BTreeMap<u8, (u8, i64)>,
}

impl Oracle {
    fn has(&self, number: u8) -> i64 {
        let held: i64 = self
            .held
            .values()
            .filter(|(owner, _)| *owner == number)
            .map(|(_, sum)| sum)
            .sum();
        self.posted.get(&wallet(number)).copied().unwrap_or(0) - held
    }

    fn move_to_merchant(&mut self, number: u8, minor: i64) {
        *self.posted.entry(wallet(number)).or_default() -= minor;
        *self.posted.entry(Merchant).or_default() += minor;
    }
}

proptest! {
    #[test]
    fn any_run_of_operations_keeps_the_oracle_s_books(
        operations in prop::collection::vec((0u8..5, 0u8..3, 1u16..2_000, 0u8..60), 1..60),
    ) {
        let (mut books, mut batch, mut oracle) = (Ledger::new(Currency::KRW), Batch::new(), Oracle::default());
        for (step, (what, who, minor, which)) in operations.into_iter().enumerate() {
            let step = u8::try_from(step).unwrap();
            let (sum, mark) = (i64::from(minor), books.mark());
            let held = oracle.held.get(&which).copied();
            let (kind, debit, credit, minor, expected) = match what {
                0 => (Kind::Direct, Cash, wallet(who), u64::from(minor), true),
                1 => (Kind::Direct, wallet(who), Merchant, u64::from(minor), oracle.has(who) >= sum),
                2 => (Kind::Hold, wallet(who), Merchant, u64::from(minor), oracle.has(who) >= sum),
                _ => {
                    let owner = held.map_or(who, |(owner, _)| owner);
                    let whole = held.map_or(sum, |(_, held)| held);
                    let minor = if what == 3 { sum.min(whole) } else { whole };
                    let hold = id(which + 100);
                    let kind = if what == 3 { Kind::Post { hold } } else { Kind::Void { hold } };
                    (kind, wallet(owner), Merchant, u64::try_from(minor).unwrap(), held.is_some())
                }
            };
            let number = if what == 2 { step + 100 } else { step };
            let done = books.book(&transfer(number, kind, debit, credit, minor), &mut batch).is_ok();
            prop_assert_eq!(done, expected);
            if done {
                match what {
                    0 => *oracle.posted.entry(credit).or_default() += sum,
                    1 => oracle.move_to_merchant(who, sum),
                    2 => drop(oracle.held.insert(step, (who, sum))),
                    _ => {
                        let (owner, _) = oracle.held.remove(&which).unwrap();
                        if what == 3 {
                            oracle.move_to_merchant(owner, i64::try_from(minor).unwrap());
                        }
                    }
                }
            } else {
                prop_assert_eq!(books.mark(), mark);
            }
            for who in 0..3 {
                prop_assert_eq!(i64::try_from(books.balance(wallet(who))).unwrap(), oracle.has(who));
            }
        }
        let store = MemoryStore::new();
        store.commit(&batch).unwrap();
        prop_assert!(audit(&store, Currency::KRW).unwrap().violations.is_empty());
    }

    #[test]
    fn no_bytes_crash_the_record_parser(
        bytes in prop::collection::vec(any::<u8>(), 80..95),
        flip in any::<prop::sample::Index>(),
    ) {
        fuzz_record(&bytes);
        let mut good = record::encode(&transfer(1, Kind::Hold, Cash, wallet(1), 5));
        let at = flip.index(good.len());
        good[at] ^= bytes[0];
        fuzz_record(&good);
    }
}
