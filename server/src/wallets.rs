//! Balances of our own: cash in at the counter, money out to its owner, and the books behind them.

use std::sync::Arc;

use palm_proto::{
    fault::Malformed,
    id::{CustomerId, RequestId},
    money::{Currency, Money},
    reason::ReasonCode,
    request::WalletTransfer,
};

use crate::{
    base::Base,
    customers::customer_key,
    error::Error,
    ledger::{self, Audit, LoadError},
    rail::wallet,
    requests::{self, RequestRow, TransferRow},
    writer::Transaction,
};

/// The wallets of all customers.
#[derive(Debug, Clone)]
pub struct Wallets {
    base: Arc<Base>,
    currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

impl Wallets {
    pub(crate) fn new(base: Arc<Base>, currency: Currency) -> Self {
        Self { base, currency }
    }

    /// Cash goes into a wallet; gives the balance after it. The same request moves money once.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`], [`Error::IdReused`], [`Error::AmountOverflow`], [`Error::Malformed`] (currency).
    pub async fn top_up(&self, request: WalletTransfer) -> Result<Money, Error> {
        self.transfer(request, Direction::In).await
    }

    /// Money goes out of a wallet; gives the balance after it. The same request moves money once.
    ///
    /// # Errors
    /// As [`Wallets::top_up`], and [`Error::InsufficientFunds`].
    pub async fn pay_out(&self, request: WalletTransfer) -> Result<Money, Error> {
        self.transfer(request, Direction::Out).await
    }

    async fn transfer(
        &self,
        request: WalletTransfer,
        direction: Direction,
    ) -> Result<Money, Error> {
        let WalletTransfer {
            request_id,
            customer,
            amount,
        } = request;
        if amount.currency() != self.currency {
            let remedy = "send the shop's currency, as palmd.toml names it";
            let malformed = Malformed::new("amount.currency_code", remedy);
            return Err(malformed.with_reason(ReasonCode::AmountInvalid).into());
        }
        let draft = wallet::Draft::draw(&*self.base.entropy, self.base.clock.now());
        let writing = self.base.writer.write(move |tx| {
            if let Some(row) = requests::answered(tx, request_id)? {
                return repeated(row, direction, customer, amount);
            }
            if tx.get(&customer_key(customer))?.is_none() {
                return Err(Error::CustomerNotFound);
            }
            let balance = match direction {
                Direction::In => wallet::cash_in(tx, draft, customer, amount)?,
                Direction::Out => wallet::cash_out(tx, draft, customer, amount)?,
            };
            keep(
                tx,
                request_id,
                direction,
                TransferRow::new(customer, amount, balance),
            );
            Ok(balance)
        });
        writing.await
    }

    /// The balance of a customer's wallet.
    ///
    /// # Errors
    /// [`Error::CustomerNotFound`].
    pub async fn balance(&self, customer: CustomerId) -> Result<Money, Error> {
        let currency = self.currency;
        let reading = self.base.writer.write(move |tx| {
            if tx.get(&customer_key(customer))?.is_none() {
                return Err(Error::CustomerNotFound);
            }
            Ok(wallet::balance(tx, customer, currency))
        });
        reading.await
    }

    /// Replays every transfer on disk and compares. Runs beside payments.
    ///
    /// # Errors
    /// When the store cannot be read; damage is a violation, not an error.
    pub async fn audit(&self) -> Result<Audit, Error> {
        let (base, currency) = (Arc::clone(&self.base), self.currency);
        let auditing = tokio::task::spawn_blocking(move || ledger::audit(&*base.store, currency));
        let audit = auditing.await.map_err(|_| Error::Stopping)?;
        audit.map_err(|error| match error {
            LoadError::Store(error) => Error::Store(error),
            LoadError::Gap(_) | LoadError::Record(_) | LoadError::Unsound(..) => {
                Error::Corrupt("ledger")
            }
        })
    }
}

/// The answer to the same request before.
fn repeated(
    row: RequestRow,
    direction: Direction,
    customer: CustomerId,
    amount: Money,
) -> Result<Money, Error> {
    let row = match (row, direction) {
        (RequestRow::TopUp(row), Direction::In) | (RequestRow::PayOut(row), Direction::Out) => row,
        (_, Direction::In | Direction::Out) => return Err(Error::IdReused),
    };
    if row.customer == customer && Money::from(row.amount) == amount {
        Ok(row.balance.into())
    } else {
        Err(Error::IdReused)
    }
}

fn keep(tx: &mut Transaction<'_>, id: RequestId, direction: Direction, row: TransferRow) {
    let row = match direction {
        Direction::In => RequestRow::TopUp(row),
        Direction::Out => RequestRow::PayOut(row),
    };
    requests::keep(tx, id, &row);
}

#[cfg(test)]
mod tests;
