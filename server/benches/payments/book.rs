//! What is written for a payment.

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
};
use palm_server::{
    clock::Timestamp,
    ledger::{AccountId, Kind, Ledger, Transfer, TransferId},
    writer::{WriteError, Writer},
};

use super::Result;

/// Customers, each with a wallet of their own. A client pays from one of them.
pub(crate) const WALLETS: u64 = 64;
const FILLED_MINOR: u64 = 1 << 40;
const MINOR: u64 = 1;
/// Later than it all.
const TIME_US: u64 = 1_800_000_000_000_000;

/// One payment: who pays, and which of theirs it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payment {
    client: u64,
    number: u64,
}

impl Payment {
    pub(crate) const fn new(client: u64, number: u64) -> Self {
        Self { client, number }
    }

    /// Ids look random: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
    fn id(self, kind: u64) -> [u8; 16] {
        let mix = |z: u64| {
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let high = mix(self.client << 48 ^ self.number << 8 ^ kind);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&high.to_be_bytes());
        id[8..].copy_from_slice(&mix(!high).to_be_bytes());
        id
    }
}

fn customer(client: u64) -> CustomerId {
    CustomerId::from_random([u8::try_from(client % WALLETS).unwrap_or(0); 16])
}

fn transfer(
    id: [u8; 16],
    kind: Kind,
    (debit, credit): (AccountId, AccountId),
    minor: u64,
) -> Transfer {
    Transfer {
        id: TransferId(id),
        kind,
        debit,
        credit,
        amount: Money::balance(minor, Currency::KRW),
        time: Timestamp::from_micros(TIME_US),
    }
}

/// Gives every customer more than they will spend.
pub(crate) async fn open_wallets(writer: &Writer) -> Result<()> {
    let top_ups: Vec<Transfer> = (0..WALLETS)
        .map(|client| {
            let accounts = (AccountId::Cash, AccountId::Wallet(customer(client)));
            let id = Payment::new(client, u64::MAX >> 16).id(0);
            transfer(id, Kind::Direct, accounts, FILLED_MINOR)
        })
        .collect();
    let writing = writer.write(move |tx| {
        tx.post(&top_ups)
            .expect("invariant: the first transfers of empty books");
        Ok::<_, WriteError>(())
    });
    Ok(writing.await?)
}

/// Does a payment: it is on disk afterwards.
pub(crate) async fn write(writer: &Writer, payment: Payment) -> Result<()> {
    let writing = writer.write(move |tx| {
        let id = payment.id(1);
        let key = |table: &[u8], rest: &[&[u8]]| [table, &rest.concat()].concat();
        let own = key(b"bench/payment/", &[&id]);
        assert_eq!(tx.get(&own).ok().flatten(), None, "a payment is done once");
        let payer = customer(payment.client);
        let accounts = (AccountId::Wallet(payer), AccountId::Merchant);
        let hold = transfer(payment.id(2), Kind::Hold, accounts, MINOR);
        let kind = Kind::Post { hold: hold.id };
        let post = transfer(payment.id(3), kind, accounts, MINOR);
        tx.post(&[hold, post])
            .expect("invariant: the wallets are full");
        let (payer, order) = (payer.to_bytes(), payment.number.to_be_bytes());
        tx.put(key(b"bench/list/", &[&order, &id]), Vec::new());
        tx.put(key(b"bench/till/counter-1/", &[&order, &id]), Vec::new());
        tx.put(key(b"bench/customer/", &[&payer, &order, &id]), Vec::new());
        tx.put(key(b"bench/day/", &[&payer]), vec![b'0'; 220]);
        tx.put(key(b"bench/nonce/", &[&payment.id(4)]), id.to_vec());
        tx.put(own, vec![b'0'; 420]);
        Ok::<_, WriteError>(())
    });
    Ok(writing.await?)
}

/// How many payments these books have.
pub(crate) fn payments(ledger: &Ledger) -> f64 {
    let two_each = ledger.transfers().saturating_sub(WALLETS) / 2;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let payments = two_each as f64;
    payments
}
