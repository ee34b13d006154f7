//! What the card provider is still to do for us: forget a card, or a customer who was erased here. Each is on disk,
//! put there by the same commit that forgot or erased here, before the provider is asked; it goes when the provider
//! has confirmed, and is asked for again until then, also after a restart.
//!
//! A chore names the provider's ids in the clear: the key that they were sealed under may be gone.

use palm_proto::id::CustomerId;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::Cards;
use crate::{
    base::Base,
    clock::Timestamp,
    error::Error,
    limits,
    rail::{
        Instrument,
        stripe::{CustomerRef, SaveError, Stripe},
    },
    rows::{self, Table},
    writer::Transaction,
};

/// One thing to do.
#[derive(Clone, Serialize, Deserialize)]
struct ChoreRow {
    what: What,
    /// Times that it was asked for in vain.
    tries: u32,
    next_us: u64,
}

#[derive(Clone, Serialize, Deserialize)]
enum What {
    ForgetCard {
        token: String,
    },
    /// The provider's customer, with all cards.
    Delete {
        customer: String,
    },
    /// The provider may have made a customer, and we did not hear of it.
    DeleteUnheard {
        since_us: u64,
    },
}

/// A card is to be forgotten at the provider.
pub(super) fn put_forget(
    tx: &mut Transaction<'_>,
    base: &Base,
    customer: CustomerId,
    token: String,
) {
    put(tx, base, customer, What::ForgetCard { token });
}

/// A customer is to be deleted at the provider; `None`: it may have made one since then.
pub(super) fn put_delete(
    tx: &mut Transaction<'_>,
    base: &Base,
    customer: CustomerId,
    (named, since_us): (Option<String>, u64),
) {
    let what = match named {
        Some(customer) => What::Delete { customer },
        None => What::DeleteUnheard { since_us },
    };
    put(tx, base, customer, what);
}

fn put(tx: &mut Transaction<'_>, base: &Base, customer: CustomerId, what: What) {
    let key = Table::CardChore.key(&[&customer.to_bytes(), &base.random()]);
    let chore = ChoreRow {
        what,
        tries: 0,
        next_us: base.clock.now().micros(),
    };
    tx.put(key, rows::encode(&chore));
}

impl Cards {
    /// Does what the provider is still to do and whose time has come; says how much of it was confirmed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn sweep(&self) -> Result<usize, Error> {
        self.sweep_below(&Table::CardChore.key(&[])).await
    }

    /// As [`Self::sweep`], for one customer; says whether nothing is left to do.
    pub(super) async fn sweep_of(&self, customer: CustomerId) -> Result<bool, Error> {
        let prefix = Table::CardChore.key(&[&customer.to_bytes()]);
        self.sweep_below(&prefix).await?;
        Ok(self.base.store.scan(&prefix, None, 1)?.is_empty())
    }

    async fn sweep_below(&self, prefix: &[u8]) -> Result<usize, Error> {
        let Some(provider) = self.provider() else {
            return Ok(0);
        };
        let (mut after, mut done) = (None::<Vec<u8>>, 0);
        loop {
            let store = &self.base.store;
            let part = store.scan(prefix, after.as_deref(), limits::SCAN_ROWS)?;
            let Some((last, _)) = part.last() else {
                return Ok(done);
            };
            after = Some(last.clone());
            for (key, value) in part {
                let chore: ChoreRow = Table::CardChore.decode(&value)?;
                if chore.next_us <= self.base.clock.now().micros() {
                    done += usize::from(self.try_chore(provider, key, chore).await?);
                }
            }
        }
    }

    /// Asks the provider once, and notes what came of it.
    async fn try_chore(
        &self,
        provider: &Stripe,
        key: Vec<u8>,
        mut chore: ChoreRow,
    ) -> Result<bool, Error> {
        let rest = &key[Table::CardChore.key(&[]).len()..];
        let customer = CustomerId::from_bytes(rows::id_at(Table::CardChore, rest, 0)?);
        let outcome = asked(provider, customer, &chore.what).await;
        let is_done = outcome.is_ok();
        match outcome {
            Ok(()) => info!(%customer, "the card provider has forgotten what it was to forget"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(%customer, error, "the card provider is asked again to forget");
            }
        }
        let now = self.base.clock.now();
        chore.tries = chore.tries.saturating_add(1);
        chore.next_us = now.after(limits::rail_pause(chore.tries)).micros();
        let noting = self.base.writer.write(move |tx| {
            if tx.get(&key)?.is_some() {
                if is_done {
                    tx.delete(key);
                } else {
                    tx.put(key, rows::encode(&chore));
                }
            }
            Ok::<_, Error>(is_done)
        });
        noting.await
    }

    /// Says at the start what cannot be done, for want of a provider.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn warn_of_orphans(&self) -> Result<(), Error> {
        let prefix = Table::CardChore.key(&[]);
        let is_orphan =
            self.provider().is_none() && !self.base.store.scan(&prefix, None, 1)?.is_empty();
        if is_orphan {
            warn!(
                "a card provider is still to forget customers or cards: configure [rails.stripe] until it has"
            );
        }
        Ok(())
    }
}

async fn asked(provider: &Stripe, customer: CustomerId, what: &What) -> Result<(), SaveError> {
    match what {
        What::ForgetCard { token } => {
            provider
                .forget_card(&Instrument::new(token.as_str())?)
                .await
        }
        What::Delete { customer } => {
            let customer = CustomerRef::new(customer.as_str())?;
            provider.delete_customer(&customer).await
        }
        What::DeleteUnheard { since_us } => {
            let since = Timestamp::from_micros(*since_us);
            let made = provider.create_customer(customer, since).await?;
            provider.delete_customer(&made).await
        }
    }
}
