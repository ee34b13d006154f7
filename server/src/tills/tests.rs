use super::*;
use crate::fixture::{Shop, refusal, till};

fn of(shop: &Shop, certificate: u8) -> Option<TillId> {
    shop.service
        .tills
        .of_certificate(Fingerprint::from_bytes([certificate; 32]))
        .unwrap()
}

async fn create(shop: &Shop, id: &str, certificate: u8) -> String {
    shop.create_till(id, certificate)
        .await
        .map_or_else(refusal, |()| "ok".to_owned())
}

#[tokio::test]
async fn certificate_acts_for_its_till_until_revoked() {
    let shop = Shop::open();
    assert_eq!(of(&shop, 2), None);
    assert_eq!(create(&shop, "counter-1", 2).await, "ok");
    assert_eq!(
        create(&shop, "counter-1", 2).await,
        "ok",
        "the same again changes nothing"
    );
    assert_eq!(of(&shop, 2), Some(till("counter-1")));
    assert_eq!(create(&shop, "counter-1", 3).await, "refused ID_REUSED");
    assert_eq!(create(&shop, "counter-2", 2).await, "refused ID_REUSED");
    assert!(
        shop.service
            .tills
            .revoke(till("counter-1"))
            .await
            .unwrap()
            .is_revoked
    );
    assert_eq!(of(&shop, 2), None);
    assert_eq!(create(&shop, "counter-1", 2).await, "refused ID_REUSED");
    // A new certificate for the same counter.
    assert_eq!(create(&shop, "counter-1", 3).await, "ok");
    assert_eq!(
        (of(&shop, 2), of(&shop, 3)),
        (None, Some(till("counter-1")))
    );
    let unknown = shop
        .service
        .tills
        .revoke(till("counter-9"))
        .await
        .unwrap_err();
    assert_eq!(refusal(unknown), "refused NOT_FOUND");
}

#[tokio::test]
async fn list_is_by_name_in_parts_with_the_reader_as_last_told() {
    let shop = Shop::open();
    for (n, id) in ["c", "a", "counter-1", "b"].into_iter().enumerate() {
        shop.create_till(id, 10 + u8::try_from(n).unwrap())
            .await
            .unwrap();
    }
    let report = ReportReader {
        state: State::Ready,
        serial: "E-1".to_owned(),
    };
    shop.service
        .tills
        .report_reader(till("b"), report)
        .await
        .unwrap();
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let page = Page::parse(3, token).unwrap();
        let (tills, next) = shop.service.tills.list(&page).unwrap();
        seen.extend(
            tills
                .into_iter()
                .map(|t| (t.id, t.reader.map(|reader| reader.serial))),
        );
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let reader = |id: &str| (id == "b").then(|| "E-1".to_owned());
    assert_eq!(
        seen,
        ["a", "b", "c", "counter-1"].map(|id| (till(id), reader(id)))
    );
}
