//! What must stand in the books, whatever happened.

use anyhow::Result;
use palm_proto::v1::{self, payment::State};
use palm_tests::{Caller, Shop};

/// The books hold exactly these payments, in any order; this customer has so much left; every transfer is right.
pub(crate) fn expect(
    shop: &Shop,
    payments: &[(&str, State)],
    customer: &str,
    left: u64,
) -> Result<()> {
    let mut booked: Vec<(String, State)> = shop
        .operator()?
        .payments()?
        .into_iter()
        .map(|p| (p.name.clone(), p.state()))
        .collect();
    booked.sort();
    let mut wanted: Vec<(String, State)> = payments
        .iter()
        .map(|(name, state)| ((*name).to_owned(), *state))
        .collect();
    wanted.sort();
    assert_eq!(booked, wanted);
    assert_eq!(shop.balance(customer)?, left);
    audit(shop)
}

/// Every transfer is right.
pub(crate) fn audit(shop: &Shop) -> Result<()> {
    let audit = shop.operator()?.audit()?;
    assert_eq!(audit.violations, Vec::<String>::new());
    Ok(())
}

/// Everything that an operator sees, for "nothing was stored".
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    customers: Vec<v1::Customer>,
    payments: Vec<v1::Payment>,
    audit: v1::AuditLedgerResponse,
}

impl Standing {
    pub(crate) fn of(operator: &Caller) -> Result<Self> {
        let (customers, payments) = (operator.customers()?, operator.payments()?);
        Ok(Self {
            customers,
            payments,
            audit: operator.audit()?,
        })
    }
}
