//! How a transfer stands in the store: 87 bytes under `ledger/t/` and its sequence number, big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind: 0 direct, 1 hold, 2 post, 3 void, 4 expire |
//! | 16 | transfer id |
//! | 16 | the hold's id; zero for direct and hold |
//! | 17, 17 | account debited, credited: 0 cash, 1 merchant, 2 wallet, 3 rail, 4 bank, 5 fees; then the customer's id or zero |
//! | 8 | amount in minor units, big-endian |
//! | 3 | ISO 4217 code |
//! | 8 | microseconds since 1970, big-endian |

use std::sync::mpsc::{SyncSender, sync_channel};

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
};

use super::{AccountId, Kind, LoadError, Transfer, TransferId};
use crate::{
    clock::Timestamp,
    store::{Row, Store, StoreError},
};

const VERSION: u8 = 1;
const BYTES: usize = 87;
const PREFIX: &[u8] = b"ledger/t/";
const SCAN_ROWS: usize = 4096;
/// Pages of so many rows that are read ahead.
const PAGES_AHEAD: usize = 4;

/// Why a record is not a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a transfer's record is damaged or of a newer version ({0}): restore a backup, or start the version that wrote it"
)]
pub struct RecordError(
    /// The field that is wrong.
    pub &'static str,
);

pub(super) fn key(sequence: u64) -> Vec<u8> {
    [PREFIX, &sequence.to_be_bytes()].concat()
}

pub(super) fn encode(transfer: &Transfer) -> Vec<u8> {
    let none = TransferId([0; 16]);
    let (kind, hold) = match transfer.kind {
        Kind::Direct => (0, none),
        Kind::Hold => (1, none),
        Kind::Post { hold } => (2, hold),
        Kind::Void { hold } => (3, hold),
        Kind::Expire { hold } => (4, hold),
    };
    let mut out = vec![VERSION, kind];
    out.extend_from_slice(&transfer.id.0);
    out.extend_from_slice(&hold.0);
    for account in [transfer.debit, transfer.credit] {
        let (tag, customer) = match account {
            AccountId::Cash => (0, [0; 16]),
            AccountId::Merchant => (1, [0; 16]),
            AccountId::Wallet(customer) => (2, customer.to_bytes()),
            AccountId::Rail => (3, [0; 16]),
            AccountId::Bank => (4, [0; 16]),
            AccountId::Fees => (5, [0; 16]),
        };
        out.push(tag);
        out.extend_from_slice(&customer);
    }
    out.extend_from_slice(&transfer.amount.minor().to_be_bytes());
    out.extend_from_slice(transfer.amount.currency().code().as_bytes());
    out.extend_from_slice(&transfer.time.micros().to_be_bytes());
    assert_eq!(out.len(), BYTES, "a record has a fixed length");
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Transfer, RecordError> {
    if bytes.len() != BYTES {
        return Err(RecordError("length"));
    }
    let mut rest = Fields(bytes);
    let [version, kind] = rest.take()?;
    if version != VERSION {
        return Err(RecordError("version"));
    }
    let (id, hold) = (TransferId(rest.take()?), TransferId(rest.take()?));
    let kind = match kind {
        0 => Kind::Direct,
        1 => Kind::Hold,
        2 => Kind::Post { hold },
        3 => Kind::Void { hold },
        4 => Kind::Expire { hold },
        _ => return Err(RecordError("kind")),
    };
    let (debit, credit) = (rest.account()?, rest.account()?);
    let minor = u64::from_be_bytes(rest.take()?);
    let code = rest.take::<3>()?;
    let currency: Option<Currency> = std::str::from_utf8(&code)
        .ok()
        .and_then(|code| code.parse().ok());
    let amount = Money::balance(minor, currency.ok_or(RecordError("currency"))?);
    let time = Timestamp::from_micros(u64::from_be_bytes(rest.take()?));
    Ok(Transfer {
        id,
        kind,
        debit,
        credit,
        amount,
        time,
    })
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (field, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(RecordError("length"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn account(&mut self) -> Result<AccountId, RecordError> {
        let [tag] = self.take()?;
        let customer = CustomerId::from_bytes(self.take()?);
        match tag {
            0 => Ok(AccountId::Cash),
            1 => Ok(AccountId::Merchant),
            2 => Ok(AccountId::Wallet(customer)),
            3 => Ok(AccountId::Rail),
            4 => Ok(AccountId::Bank),
            5 => Ok(AccountId::Fees),
            _ => Err(RecordError("account")),
        }
    }
}

/// Gives every record with its sequence number, in order. The next ones are read from the store meanwhile.
pub(super) fn each(
    store: &dyn Store,
    mut visit: impl FnMut(u64, Result<Transfer, RecordError>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    std::thread::scope(|scope| {
        let (give, pages) = sync_channel(PAGES_AHEAD);
        scope.spawn(move || read(store, &give));
        for page in pages {
            for (key, value) in page? {
                let sequence = key
                    .strip_prefix(PREFIX)
                    .and_then(|rest| rest.try_into().ok());
                let sequence = u64::from_be_bytes(sequence.ok_or(RecordError("key"))?);
                visit(sequence, decode(&value))?;
            }
        }
        Ok(())
    })
}

/// Reads every row, until nobody takes them any more.
fn read(store: &dyn Store, give: &SyncSender<Result<Vec<Row>, StoreError>>) {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(PREFIX, after.as_deref(), SCAN_ROWS);
        after = page
            .as_ref()
            .ok()
            .and_then(|rows| rows.last())
            .map(|(last, _)| last.clone());
        if give.send(page).is_err() || after.is_none() {
            break;
        }
    }
}

/// Reads any bytes as a record; nothing may panic, whatever they are.
#[doc(hidden)]
pub fn fuzz_record(bytes: &[u8]) {
    if let Ok(transfer) = decode(bytes) {
        assert!(
            decode(&encode(&transfer)).is_ok(),
            "what reads must write and read"
        );
    }
}
