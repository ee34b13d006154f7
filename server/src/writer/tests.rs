use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use palm_proto::{
    id::CustomerId,
    money::{Currency, Money},
};

use super::*;
use crate::{
    clock::Timestamp,
    ledger::{AccountId, Kind, LedgerError, Transfer, TransferId},
    store::{MemoryStore, Row},
};

const WALLET: AccountId = AccountId::Wallet(CustomerId::from_bytes([1; 16]));

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Ledger(LedgerError),
    Told,
    Write(WriteError),
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

fn top_up(id: u8, minor: u64) -> Transfer {
    Transfer {
        id: TransferId([id; 16]),
        kind: Kind::Direct,
        debit: AccountId::Cash,
        credit: WALLET,
        amount: Money::balance(minor, Currency::KRW),
        time: Timestamp::from_micros(1),
    }
}

fn start(store: Arc<dyn Store>) -> (Writer, WriterThread) {
    Writer::spawn(store, Ledger::new(Currency::KRW), |error| panic!("{error}"))
}

#[tokio::test]
async fn command_sees_what_earlier_ones_wrote() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (writer, thread) = start(Arc::clone(&store));
    let mut waiting = Vec::new();
    for index in 0..100_u8 {
        let writer = writer.clone();
        waiting.push(tokio::spawn(async move {
            let counted = writer.write(move |tx| {
                let count = tx.scan(b"n/", None, 1000).map_err(|_| Refused::Told)?.len();
                tx.put([b"n/".as_slice(), &[index]].concat(), [index]);
                Ok::<_, Refused>(count)
            });
            counted.await.unwrap()
        }));
    }
    let mut counts = Vec::new();
    for waiting in waiting {
        counts.push(waiting.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (0..100).collect::<Vec<_>>());
    thread.stop();
    assert_eq!(store.scan(b"n/", None, 1000).unwrap().len(), 100);
}

#[tokio::test]
async fn failed_command_leaves_neither_writes_nor_books() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (writer, thread) = start(Arc::clone(&store));
    let refused = writer.write(|tx| {
        tx.put("key", "value");
        tx.post(&[top_up(1, 500)]).map_err(Refused::Ledger)?;
        assert_eq!(tx.ledger().balance(WALLET), 500);
        Err::<(), _>(Refused::Told)
    });
    assert_eq!(refused.await, Err(Refused::Told));
    let after = writer.write(|tx| {
        Ok::<_, Refused>((
            tx.get(b"key").unwrap(),
            tx.ledger().balance(WALLET),
            tx.ledger().transfers(),
        ))
    });
    assert_eq!(after.await.unwrap(), (None, 0, 0));
    thread.stop();
    assert!(store.scan(b"", None, 10).unwrap().is_empty());
}

#[tokio::test]
async fn transfers_of_one_post_are_booked_together_or_not() {
    let (writer, thread) = start(Arc::new(MemoryStore::new()));
    let posted = writer.write(|tx| {
        let zero = Transfer {
            amount: Money::balance(0, Currency::KRW),
            ..top_up(2, 1)
        };
        let refused = tx.post(&[top_up(1, 500), zero]).unwrap_err();
        Ok::<_, Refused>((refused, tx.ledger().balance(WALLET)))
    });
    assert_eq!(posted.await.unwrap(), (LedgerError::AmountZero, 0));
    thread.stop();
}

/// Records commits; fails them when told to.
#[derive(Debug, Default)]
struct Watched {
    inner: MemoryStore,
    commits: Mutex<Vec<usize>>,
    broken: AtomicBool,
}

impl Store for Watched {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Failed("write", "disk full".into()));
        }
        self.commits.lock().unwrap().push(batch.len());
        self.inner.commit(batch)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }
}

#[tokio::test]
async fn waiting_commands_share_one_commit_and_nobody_is_answered_before_it() {
    let store = Arc::new(Watched::default());
    let (writer, thread) = start(Arc::clone(&store) as Arc<dyn Store>);
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let first = tokio::spawn({
        let writer = writer.clone();
        async move {
            writer
                .write(move |tx| {
                    gate.recv().unwrap();
                    tx.put("0", "");
                    Ok::<_, Refused>(())
                })
                .await
        }
    });
    tokio::task::yield_now().await;
    let mut others = Vec::new();
    for index in 1..=5_u8 {
        let (writer, store) = (writer.clone(), Arc::clone(&store));
        others.push(tokio::spawn(async move {
            writer
                .write(move |tx| {
                    tx.put([index], "");
                    Ok::<_, Refused>(())
                })
                .await
                .unwrap();
            assert!(
                store.get(&[index]).unwrap().is_some(),
                "answered before the commit"
            );
        }));
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    open.send(()).unwrap();
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap();
    }
    thread.stop();
    assert_eq!(store.commits.lock().unwrap().iter().sum::<usize>(), 6);
    assert_eq!(store.commits.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn failed_commit_is_told_and_nothing_more_is_taken() {
    let store = Arc::new(Watched::default());
    let (told, failure) = std::sync::mpsc::channel();
    let books = Ledger::new(Currency::KRW);
    let (writer, thread) =
        Writer::spawn(Arc::clone(&store) as Arc<dyn Store>, books, move |error| {
            told.send(error.to_string()).unwrap();
        });
    store.broken.store(true, Ordering::SeqCst);
    let put = |tx: &mut Transaction<'_>| {
        tx.put("key", "value");
        Ok::<_, Refused>(())
    };
    assert_eq!(
        writer.write(put).await,
        Err(Refused::Write(WriteError::Failed))
    );
    assert!(failure.recv().unwrap().contains("failed to write"));
    store.broken.store(false, Ordering::SeqCst);
    thread.stop();
    assert_eq!(
        writer.write(put).await,
        Err(Refused::Write(WriteError::Stopped))
    );
    assert_eq!(store.get(b"key").unwrap(), None);
}

#[tokio::test]
async fn books_on_disk_are_those_in_memory() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (writer, thread) = start(Arc::clone(&store));
    for id in 1..=3 {
        writer
            .write(move |tx| tx.post(&[top_up(id, 500)]).map_err(Refused::Ledger))
            .await
            .unwrap();
    }
    thread.stop();
    let books = Ledger::load(&*store, Currency::KRW).unwrap();
    assert_eq!((books.balance(WALLET), books.transfers()), (1_500, 3));
}
