//! Callers who are not who they should be.

use std::{fs, path::Path};

use anyhow::Result;
use palm_proto::{id::TillId, reason::ReasonCode, v1};
use palm_server::{
    clock::{Clock, SystemClock},
    pki::Authority,
};
use palm_tests::{Caller, Shop, caller::Credential};
use tonic::Code;

use crate::{
    books::Standing,
    replay::{Counter, refused},
};

/// Puts a till's certificate by this CA, which nobody enrolled, into `folder`.
fn forge(deployment: &Path, folder: &Path) -> Result<()> {
    let read = |name: &str| fs::read_to_string(deployment.join(name));
    let authority = Authority::read(&read("ca.pem")?, &read("ca.key")?)?;
    let made = authority.till(&TillId::new("counter-9")?, SystemClock.now())?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("till.pem"), made.certificate)?;
    fs::write(folder.join("till.key"), made.key.as_bytes())?;
    Ok(())
}

#[test]
fn certificate_of_another_ca_opens_no_connection() -> Result<()> {
    let (counter, other) = (Counter::open()?, Shop::open()?);
    let before = Standing::of(&counter.operator)?;
    let folder = counter.shop.folder().join("foreign");
    forge(&other.deployment(), &folder)?;
    let ca = counter.shop.deployment().join("ca.pem");
    let foreign = Credential {
        folder: &folder,
        name: "till",
        ca: &ca,
    };
    let foreign = Caller::new(counter.shop.palmd()?, foreign)?;
    assert_eq!(
        refused(foreign.till_setup()),
        None,
        "refused by TLS, before any answer"
    );
    assert_eq!(refused(foreign.authorise(counter.request(100)?)), None);
    // The other way round: a till does not talk to a service of another CA.
    let own = counter.shop.till_folder("counter-1");
    let other_ca = other.deployment().join("ca.pem");
    let deceived = Credential {
        folder: &own,
        name: "till",
        ca: &other_ca,
    };
    let deceived = Caller::new(counter.shop.palmd()?, deceived)?;
    assert_eq!(refused(deceived.till_setup()), None);
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn certificate_that_nobody_enrolled_may_do_nothing() -> Result<()> {
    let counter = Counter::open()?;
    let before = Standing::of(&counter.operator)?;
    let folder = counter.shop.folder().join("unenrolled");
    forge(&counter.shop.deployment(), &folder)?;
    let ca = counter.shop.deployment().join("ca.pem");
    let unenrolled = Credential {
        folder: &folder,
        name: "till",
        ca: &ca,
    };
    let unenrolled = Caller::new(counter.shop.palmd()?, unenrolled)?;
    let denied = Some(ReasonCode::PermissionDenied);
    assert_eq!(refused(unenrolled.till_setup()), denied);
    assert_eq!(refused(unenrolled.authorise(counter.request(100)?)), denied);
    assert_eq!(refused(unenrolled.customers()), denied);
    // A service's own certificate is no caller's.
    let deployment = counter.shop.deployment();
    let server = Credential {
        folder: &deployment,
        name: "server",
        ca: &ca,
    };
    let server = Caller::new(counter.shop.palmd()?, server)?;
    assert!(server.till_setup().is_err());
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn roles_keep_to_their_calls() -> Result<()> {
    let counter = Counter::open()?;
    let before = Standing::of(&counter.operator)?;
    let denied = Some(ReasonCode::PermissionDenied);
    let Counter { till, operator, .. } = &counter;
    assert_eq!(refused(till.customers()), denied);
    assert_eq!(refused(till.audit()), denied);
    let gift = v1::TopUpRequest {
        request_id: palm_tests::palms::request_id().to_string(),
        wallet: palm_proto::id::wallet_name(counter.customer),
        amount: Some(crate::replay::won(1_000_000).into()),
    };
    assert_eq!(refused(till.top_up(gift)), denied);
    assert_eq!(refused(operator.authorise(counter.request(100)?)), denied);
    assert_eq!(refused(operator.till_setup()), denied);
    let denial = operator.till_setup().expect_err("a refusal");
    assert_eq!(denial.code(), Code::PermissionDenied);
    assert!(!denial.message().is_empty(), "a remedy is told");
    assert_eq!(Standing::of(&counter.operator)?, before);
    Ok(())
}

#[test]
fn revoked_till_is_refused_from_then_on_and_its_screen_says_so() -> Result<()> {
    let (shop, till, mut page) = Shop::with_till()?;
    let caller = shop.caller("counter-1")?;
    assert!(caller.till_setup().is_ok());
    shop.ctl(&["till", "revoke", "counter-1"])?;
    assert_eq!(
        refused(caller.till_setup()),
        Some(ReasonCode::PermissionDenied)
    );
    page.until("word of it", |seen| seen.service.state == "refused")?;
    let (status, _) = page.post(
        "/commands",
        &serde_json::json!({"command": "charge", "amount_minor": 100}),
    )?;
    assert_ne!(status, 200, "a till that is refused takes no payment");
    assert!(till.stop()?.success());
    let tills = shop.ctl(&["till", "list"])?;
    assert_eq!(tills[0]["revoked"], true);
    Ok(())
}
