//! Matcher and keyholder as two processes: what either holds, and what becomes of a shop when one of them stops.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;
use palm_proto::{
    id::CustomerId,
    reason::ReasonCode,
    v1::{
        self, authorise_payment_response::Outcome, keyholder_service_client::KeyholderServiceClient,
    },
};
use palm_server::store::{SledStore, Store};
use palm_tests::{Shop, palms};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::{
    erasure::{bytes_below, contains},
    replay::{Counter, refused, register, won},
};

const ROWS_MAX: usize = 100_000;

/// Whether person 7 pays now.
fn pays(counter: &Counter) -> Result<bool> {
    let answer = counter.till.authorise(counter.request(100)?)?;
    Ok(matches!(answer.outcome, Some(Outcome::Approved(_))))
}

fn enrol(counter: &Counter, person: u64, name: &str) -> Result<(CustomerId, v1::EnrolResponse)> {
    let customer = register(&counter.till, name)?;
    let samples = (0..3).map(|n| palms::template(person, n));
    let samples = samples.collect::<Result<Vec<_>>>()?;
    let request = palms::enrolment(&counter.setup, customer, &samples)?;
    Ok((customer, counter.till.enrol(request)?))
}

fn tables(store: &Path) -> Result<BTreeSet<String>> {
    let rows = SledStore::open(store)?.scan(b"", None, ROWS_MAX)?;
    let table = |key: &[u8]| key.split(|byte| *byte == b'/').next().map(<[u8]>::to_vec);
    let names = rows.iter().filter_map(|(key, _)| table(key));
    Ok(names
        .map(|name| String::from_utf8_lossy(&name).into_owned())
        .collect())
}

#[test]
fn palms_are_enrolled_found_and_deleted_and_either_process_may_stop() -> Result<()> {
    let mut counter = Counter::at(Shop::open_split()?)?;
    assert!(pays(&counter)?);

    // A palm that is somebody's, and one that is nobody's.
    let (_, taken) = enrol(&counter, 7, "Eight")?;
    let Some(v1::enrol_response::Outcome::Refused(taken)) = taken.outcome else {
        anyhow::bail!("{taken:?}")
    };
    assert_eq!(taken.reason(), v1::Reason::AlreadyEnrolled);
    let stranger = palms::template(9, 1)?;
    let stranger = palms::payment(&counter.setup, &stranger, palms::payment_id(), won(100))?;
    let answer = counter.till.authorise(stranger)?;
    assert!(
        matches!(answer.outcome, Some(Outcome::NotRecognised(_))),
        "{answer:?}"
    );

    // Without a keyholder nobody is told "not recognised", and nothing is deleted by half.
    counter.shop.kill_keyholder()?;
    let unanswered = refused(counter.till.authorise(counter.request(100)?));
    assert_eq!(unanswered, Some(ReasonCode::Unavailable));
    let (nine, _) = {
        counter.shop.start_keyholder()?;
        enrol(&counter, 9, "Nine")?
    };
    counter.shop.kill_keyholder()?;
    let name = nine.to_string();
    assert!(counter.shop.ctl(&["customer", "delete", &name]).is_err());
    counter.shop.start_keyholder()?;
    assert_eq!(counter.shop.ctl(&["customer", "show", &name])?["palms"], 1);
    assert!(pays(&counter)?, "found again after the keyholder's restart");

    // palmd stops as in a power cut, then the person leaves.
    counter.shop.kill_palmd()?;
    counter.shop.start_palmd()?;
    counter.till = counter.shop.caller("counter-1")?;
    assert!(pays(&counter)?, "found again after palmd's restart");
    counter.shop.ctl(&["customer", "delete", &name])?;
    assert!(counter.shop.ctl(&["customer", "show", &name]).is_err());
    let gone = palms::template(9, 2)?;
    let gone = palms::payment(&counter.setup, &gone, palms::payment_id(), won(100))?;
    let answer = counter.till.authorise(gone)?;
    assert!(
        matches!(answer.outcome, Some(Outcome::NotRecognised(_))),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn palmd_has_no_palm_and_no_key_of_one_and_the_keyholder_no_money_and_no_name() -> Result<()> {
    let mut counter = Counter::at(Shop::open_split()?)?;
    assert!(pays(&counter)?);
    counter.shop.stop_palmd()?;
    counter.shop.kill_keyholder()?;
    let (palmd, keyholder) = (counter.shop.deployment(), counter.shop.keyholder_folder());
    for key in ["sealing.key", "gallery.key"] {
        assert!(!palmd.join(key).exists(), "{key} is palmd's");
    }
    let at_palmd = bytes_below(&palmd)?;
    for key in ["sealing.key", "gallery.key", "master.key"] {
        let bytes = fs::read(keyholder.join(key))?;
        assert!(
            !contains(&at_palmd, &bytes),
            "the keyholder's {key} is at palmd"
        );
    }
    let own = tables(&palmd.join("store"))?;
    assert!(
        own.contains("payment") && !own.contains("template"),
        "{own:?}"
    );
    let its = tables(&keyholder.join("store"))?;
    let expected = ["customer-key", "request", "template"].map(str::to_owned);
    assert_eq!(its, BTreeSet::from(expected));
    let at_keyholder = bytes_below(&keyholder)?;
    assert!(
        !contains(&at_keyholder, b"Seven"),
        "a name is at the keyholder"
    );
    Ok(())
}

/// Asks the keyholder to forget nobody, with a certificate from palmd's folder.
async fn forget(shop: &Shop, name: &str) -> Result<v1::ForgetResponse> {
    let folder = shop.deployment();
    let read = |file: String| fs::read(folder.join(file));
    let identity = Identity::from_pem(read(format!("{name}.pem"))?, read(format!("{name}.key"))?);
    let ca = Certificate::from_pem(read("link.pem".to_owned())?);
    let tls = ClientTlsConfig::new().ca_certificate(ca).identity(identity);
    let endpoint = Endpoint::from_shared(format!("https://{}", shop.keyholder()?))?
        .tls_config(tls.domain_name("keyholder"))?;
    let mut client = KeyholderServiceClient::new(endpoint.connect().await?);
    let customer = CustomerId::from_bytes([1; 16]).to_string();
    Ok(client
        .forget(v1::ForgetRequest { customer })
        .await?
        .into_inner())
}

#[test]
fn only_palmd_s_certificate_may_call_the_keyholder() -> Result<()> {
    let shop = Shop::open_split()?;
    // The link's CA signed two certificates, and its key is nowhere.
    for folder in [shop.deployment(), shop.keyholder_folder()] {
        assert!(folder.join("link.pem").exists() && !folder.join("link.key").exists());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(forget(&shop, "matcher"))?;
    for stranger in ["operator", "server"] {
        let answer = runtime.block_on(forget(&shop, stranger));
        assert!(answer.is_err(), "{stranger}: {answer:?}");
    }
    Ok(())
}
