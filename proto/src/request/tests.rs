use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::{
    id::{PaymentId, safeguards_name},
    money::Currency,
};

fn authorise() -> v1::AuthorisePaymentRequest {
    v1::AuthorisePaymentRequest {
        payment: PaymentId::from_random([1; 16]).to_string(),
        amount: Some(v1::Money {
            amount_minor: 4_500,
            currency_code: "KRW".to_owned(),
        }),
        sample: Some(v1::SealedTemplate {
            key_id: 1,
            encapsulated_key: vec![1; 32],
            ciphertext: vec![2; 532],
            capture_nonce: vec![3; 16],
        }),
        capture_mode: v1::payment::CaptureMode::Manual.into(),
        accepted_offline: false,
    }
}

#[test]
fn an_order_names_its_wrong_field_and_tells_no_account() {
    let order = || v1::OrderPayoutRequest {
        request_id: "9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11".to_owned(),
        wallet: "customers/9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11/wallet".to_owned(),
        amount: authorise().amount,
        account: "DE89370400440532013000".to_owned(),
        holder: " Kim ".to_owned(),
    };
    let read = OrderPayout::try_from(order()).unwrap();
    assert_eq!(read.holder.as_deref(), Some("Kim"));
    assert!(!format!("{read:?}").contains("DE89"));
    type Spoil = fn(&mut v1::OrderPayoutRequest);
    let table: [(&str, Spoil); 6] = [
        ("request_id", |r| r.request_id.clear()),
        ("wallet", |r| r.wallet = "customers/1".to_owned()),
        ("amount", |r| r.amount = None),
        ("account", |r| r.account.clear()),
        ("account", |r| r.account = "1".repeat(65)),
        ("holder", |r| r.holder = "K\n".repeat(2)),
    ];
    for (field, spoil) in table {
        let mut wire = order();
        spoil(&mut wire);
        assert_eq!(OrderPayout::try_from(wire).unwrap_err().field, field);
    }
    let close = |note: &str| {
        let note = note.to_owned();
        CloseBreak::try_from(v1::CloseBreakRequest { number: 1, note })
    };
    assert_eq!(close(" a ").unwrap().note, "a");
    for note in ["", " ", "a\u{1b}b", &"x".repeat(201)] {
        assert_eq!(close(note).unwrap_err().field, "note");
    }
}

#[test]
fn payment_reads_back_as_written() {
    let parsed = AuthorisePayment::try_from(authorise()).unwrap();
    assert_eq!(parsed.amount, Money::amount(4_500, Currency::KRW).unwrap());
    assert_eq!(v1::AuthorisePaymentRequest::from(parsed), authorise());
}

#[test]
fn each_wrong_field_of_a_payment_is_named() {
    type Spoil = fn(&mut v1::AuthorisePaymentRequest);
    let table: [(&str, Spoil); 10] = [
        ("capture_mode", |r| r.capture_mode = 7),
        ("payment", |r| r.payment = "payments/1".to_owned()),
        ("amount", |r| r.amount = None),
        ("amount.amount_minor", |r| {
            r.amount.as_mut().unwrap().amount_minor = 0
        }),
        ("amount.amount_minor", |r| {
            r.amount.as_mut().unwrap().amount_minor = u64::MAX
        }),
        ("amount.currency_code", |r| {
            r.amount.as_mut().unwrap().currency_code = "WON".to_owned()
        }),
        ("sample", |r| r.sample = None),
        ("sample.encapsulated_key", |r| {
            r.sample.as_mut().unwrap().encapsulated_key.clear()
        }),
        ("sample.ciphertext", |r| {
            r.sample.as_mut().unwrap().ciphertext = vec![0; 1_025]
        }),
        ("sample.capture_nonce", |r| {
            r.sample.as_mut().unwrap().capture_nonce.push(0)
        }),
    ];
    for (field, spoil) in table {
        let mut request = authorise();
        spoil(&mut request);
        assert_eq!(
            AuthorisePayment::try_from(request).unwrap_err().field,
            field
        );
    }
}

#[test]
fn customer_needs_consent_and_a_printable_name() {
    let good = v1::CreateCustomerRequest {
        request_id: RequestId::from_random([1; 16]).to_string(),
        display_name: " 김하늘 ".to_owned(),
        consent: Some(v1::Consent {
            notice_version: "2026-11".to_owned(),
            language: "ko".to_owned(),
            grant_time: None,
        }),
    };
    assert_eq!(
        CreateCustomer::try_from(good.clone()).unwrap().display_name,
        "김하늘"
    );
    let without = v1::CreateCustomerRequest {
        consent: None,
        ..good.clone()
    };
    assert_eq!(
        CreateCustomer::try_from(without).unwrap_err().reason,
        ReasonCode::ConsentMissing
    );
    for name in [String::new(), "a\nb".to_owned(), "x".repeat(65)] {
        let request = v1::CreateCustomerRequest {
            display_name: name,
            ..good.clone()
        };
        assert_eq!(
            CreateCustomer::try_from(request).unwrap_err().field,
            "display_name"
        );
    }
}

#[test]
fn enrolment_needs_samples_and_not_too_many() {
    let sample = authorise().sample.unwrap();
    for count in [0, SAMPLES_MAX + 1] {
        let request = v1::EnrolRequest {
            request_id: RequestId::from_random([1; 16]).to_string(),
            customer: CustomerId::from_random([1; 16]).to_string(),
            samples: vec![sample.clone(); count],
        };
        assert_eq!(Enrol::try_from(request).unwrap_err().field, "samples");
    }
}

#[test]
fn pages_have_bounds() {
    assert_eq!(Page::parse(0, String::new()).unwrap().size, 100);
    assert_eq!(
        Page::parse(1_001, String::new()).unwrap_err().field,
        "page_size"
    );
    assert_eq!(
        Page::parse(1, "../x".to_owned()).unwrap_err().field,
        "page_token"
    );
}

#[test]
fn certificate_digest_is_64_lower_case_hex_digits() {
    let create = |digest: &str| {
        CreateTill::try_from(v1::CreateTillRequest {
            name: "tills/counter-1".to_owned(),
            certificate_sha256: digest.to_owned(),
        })
    };
    assert_eq!(
        create(&"0f".repeat(32)).unwrap().certificate_sha256,
        [15; 32]
    );
    for digest in [
        "",
        "0F",
        &"0F".repeat(32),
        &"0g".repeat(32),
        &"0".repeat(65),
    ] {
        assert_eq!(create(digest).unwrap_err().field, "certificate_sha256");
    }
}

#[test]
fn confirmation_is_read_and_what_is_wrong_is_named() {
    use v1::confirm_payment_request::What;
    let confirm = |what| {
        ConfirmPayment::try_from(v1::ConfirmPaymentRequest {
            request_id: "9b2f3c1e-0f7a-4c57-9a86-7d2f0c1f4f11".to_owned(),
            payment: PaymentId::from_random([1; 16]).to_string(),
            what,
        })
    };
    for what in [
        What::Pin("0427".to_owned()),
        What::PhoneDigits("5678".to_owned()),
        What::NotADuplicate(true),
    ] {
        let read = confirm(Some(what.clone())).unwrap();
        assert_eq!(What::from(read.what), what);
    }
    for (what, field) in [
        (None, "what"),
        (Some(What::NotADuplicate(false)), "what"),
        (Some(What::Pin("12".to_owned())), "pin"),
        (Some(What::PhoneDigits("123".to_owned())), "phone_digits"),
    ] {
        assert_eq!(confirm(what).unwrap_err().field, field);
    }
}

/// A test number of a card scheme, which belongs to nobody.
const NUMBER: &str = "4242424242424242";

#[test]
fn card_page_is_asked_for_by_ids_and_a_pin_alone() {
    type Spoil = fn(&mut v1::OpenCardPageRequest);
    let wire = v1::OpenCardPageRequest {
        request_id: RequestId::from_random([1; 16]).to_string(),
        customer: CustomerId::from_random([2; 16]).to_string(),
        current_pin: Some("2468".to_owned()),
    };
    let read = OpenCardPage::try_from(wire.clone()).unwrap();
    assert_eq!(read.customer.to_string(), wire.customer);
    assert!(read.current_pin.is_some());
    let spoilt = |spoil: Spoil| {
        let mut wire = wire.clone();
        spoil(&mut wire);
        OpenCardPage::try_from(wire).unwrap_err().field
    };
    let table: [(&str, Spoil); 3] = [
        ("request_id", |r| r.request_id = NUMBER.to_owned()),
        ("customer", |r| r.customer = NUMBER.to_owned()),
        ("current_pin", |r| r.current_pin = Some(NUMBER.to_owned())),
    ];
    for (field, spoil) in table {
        assert_eq!(spoilt(spoil), field);
    }
    let forget = v1::ForgetCardRequest {
        customer: wire.customer.clone(),
        current_pin: None,
    };
    assert_eq!(ForgetCard::try_from(forget).unwrap().current_pin, None);
}

#[test]
fn change_of_safeguards_tells_what_is_given_from_what_is_taken_away() {
    let wire = v1::UpdateSafeguardsRequest {
        name: safeguards_name(CustomerId::from_bytes([1; 16])),
        pin: Some("0427".to_owned()),
        phone_digits: Some(String::new()),
        ..v1::UpdateSafeguardsRequest::default()
    };
    let read = UpdateSafeguards::try_from(wire.clone()).unwrap();
    assert!(matches!(
        (&read.pin, &read.phone_digits, &read.current_pin),
        (Some(Some(_)), Some(None), None)
    ));
    let spoilt = |spoil: fn(&mut v1::UpdateSafeguardsRequest)| {
        let mut wire = wire.clone();
        spoil(&mut wire);
        UpdateSafeguards::try_from(wire).unwrap_err().field
    };
    assert_eq!(spoilt(|w| w.name.clear()), "name");
    assert_eq!(spoilt(|w| w.pin = Some("1".to_owned())), "pin");
    assert_eq!(
        spoilt(|w| w.day_max_minor = Some(u64::MAX)),
        "day_max_minor"
    );
}

proptest! {
    #[test]
    fn no_bytes_crash_the_parsers(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        fuzz_requests(&noise);
        let mut bytes = authorise().encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        fuzz_requests(&bytes);
    }
}
