//! What is at rest about a person, and what is left when they are deleted.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use palm_proto::v1::authorise_payment_response::Outcome;
use palm_server::store::{SledStore, Store};
use palm_tests::{Shop, palms};

use crate::replay::{Counter, won};

/// Length of the piece of a template that is looked for: far too long to be there by chance.
const PIECE: usize = 16;
const ROWS_MAX: usize = 100_000;

pub(crate) fn bytes_below(folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        all.extend(if path.is_dir() {
            bytes_below(&path)?
        } else {
            fs::read(&path)?
        });
    }
    Ok(all)
}

pub(crate) fn contains(whole: &[u8], piece: &[u8]) -> bool {
    whole.windows(piece.len()).any(|window| window == piece)
}

/// Names of the tables with a row about this customer. palmd must be down.
fn tables_about(shop: &Shop, customer: &[u8; 16], written: &str) -> Result<Vec<String>> {
    let store = SledStore::open(&shop.deployment().join("store"))?;
    let rows = store.scan(b"", None, ROWS_MAX)?;
    let about = |key: &[u8], value: &[u8]| {
        contains(key, customer) || contains(value, customer) || contains(value, written.as_bytes())
    };
    let keys = rows
        .iter()
        .filter(|(key, value)| about(key, value))
        .map(|(key, _)| key);
    let mut tables: Vec<String> = keys
        .map(|key| key.split(|byte| *byte == b'/').next().unwrap_or_default())
        .map(|table| String::from_utf8_lossy(table).into_owned())
        .collect();
    tables.dedup();
    Ok(tables)
}

#[test]
fn neither_template_nor_name_is_at_rest_in_the_clear() -> Result<()> {
    let mut counter = Counter::open()?;
    counter.till.authorise(counter.request(100)?)?;
    counter.shop.stop_palmd()?;
    let at_rest = bytes_below(&counter.shop.deployment().join("store"))?;
    assert!(at_rest.len() > 1_000, "the store was found");
    assert!(
        !contains(&at_rest, b"Seven"),
        "the name is at rest in the clear"
    );
    for sample in [0, 1, 2, 20] {
        let template = palms::template(7, sample)?.to_bytes();
        // The head is the same for everybody; a run of equal bytes could be anything.
        let pieces = template[64..].chunks_exact(PIECE).filter(|piece| {
            piece
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                > PIECE / 2
        });
        for piece in pieces {
            assert!(
                !contains(&at_rest, piece),
                "sample {sample} is at rest in the clear"
            );
        }
    }
    let log = fs::read_to_string(counter.shop.folder().join("palmd.log"))?;
    assert!(!log.contains("Seven"), "the log names a person");
    assert!(
        !log.contains(&counter.customer.to_string()),
        "the log has a customer's id"
    );
    Ok(())
}

#[test]
fn deleted_customer_is_not_recognised_and_their_keys_and_templates_are_gone() -> Result<()> {
    let mut counter = Counter::open()?;
    let name = counter.customer.to_string();
    counter.till.authorise(counter.request(100)?)?;
    let balance = counter.shop.balance("Seven")?.to_string();
    counter.shop.ctl(&["wallet", "pay-out", &name, &balance])?;
    counter.shop.ctl(&["customer", "delete", &name])?;
    let answer = counter.till.authorise(counter.request(100)?)?;
    assert!(
        matches!(answer.outcome, Some(Outcome::NotRecognised(_))),
        "{answer:?}"
    );
    assert!(counter.shop.ctl(&["customer", "show", &name]).is_err());
    let payments = counter.operator.payments()?;
    let payment = payments.first().context("the payment stays in the books")?;
    assert_eq!(
        (payment.customer.as_str(), payment.masked_name.as_str()),
        (name.as_str(), "")
    );

    counter.shop.stop_palmd()?;
    let written = name.trim_start_matches("customers/").to_owned();
    let tables = tables_about(&counter.shop, &counter.customer.to_bytes(), &written)?;
    for gone in [
        "customer",
        "customer-key",
        "customer-name",
        "customer-order",
        "template",
    ] {
        assert!(
            !tables.iter().any(|table| table == gone),
            "{gone} is left: {tables:?}"
        );
    }
    counter.shop.start_palmd()?;
    let till = counter.shop.caller("counter-1")?;
    let again = palms::template(7, 40)?;
    let again = palms::payment(&counter.setup, &again, palms::payment_id(), won(100))?;
    let answer = till.authorise(again)?;
    assert!(
        matches!(answer.outcome, Some(Outcome::NotRecognised(_))),
        "{answer:?}"
    );
    Ok(())
}
