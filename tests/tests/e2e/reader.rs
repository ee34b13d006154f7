//! A reader that is unplugged, stalls, or damages what it sends, in the middle of a payment.

use anyhow::Result;
use palm_proto::v1::payment::State;
use palm_tests::Shop;

use crate::books;

const PRICE: u64 = 100;
const TOP_UP: u64 = 20_000;

#[test]
fn unplug_in_the_capture_then_replug_pays_once() -> Result<()> {
    let (shop, _till, mut page) = Shop::with_till()?;
    assert_eq!(page.enrol("Seven", "PALM 7")?.screen, "done");
    shop.top_up("Seven", TOP_UP)?;
    page.charge(PRICE)?;
    let payment = page
        .checkout("waiting_for_hand")?
        .payment
        .unwrap_or_default();
    page.reader(&["UNPLUG 6", "PALM 7"])?;
    page.checkout("reader_lost")?;
    assert_eq!(page.seen().reader.state, "absent");
    books::expect(&shop, &[], "Seven", TOP_UP)?;
    page.reader(&["PLUG", "PALM 7"])?;
    assert_eq!(page.payment_over()?.screen, "approved");
    books::expect(
        &shop,
        &[(payment.as_str(), State::Captured)],
        "Seven",
        TOP_UP - PRICE,
    )
}

/// Each fault, then the hand; the payment may ask for the hand again, and in the end is made once.
const FAULTS: [&str; 8] = [
    "CORRUPT 1",
    "CORRUPT 3",
    "DROP 2",
    "DUPLICATE 2",
    "STALL 2",
    "STALL 5",
    "NAK busy",
    "SLEEP 300",
];

#[test]
fn damaged_lost_and_late_messages_cost_time_but_never_money() -> Result<()> {
    let (shop, _till, mut page) = Shop::with_till()?;
    assert_eq!(page.enrol("Seven", "PALM 7")?.screen, "done");
    shop.top_up("Seven", TOP_UP)?;
    let mut left = TOP_UP;
    for fault in FAULTS {
        page.charge(PRICE)?;
        page.checkout("waiting_for_hand")?;
        page.reader(&[fault, "PALM 7"])?;
        let end = page.payment_over()?;
        assert_eq!(end.screen, "approved", "{fault}: {end:?}");
        left -= PRICE;
        assert_eq!(end.balance_minor, Some(left), "{fault}");
        page.ready()?;
    }
    assert_eq!(shop.operator()?.payments()?.len(), FAULTS.len());
    assert_eq!(shop.balance("Seven")?, left);
    books::audit(&shop)
}
