use super::*;
use crate::eval::protocol::Protocol;

fn report() -> SetReport {
    let impostor: Vec<f32> = (0..10_000u16).map(|n| f32::from(n) / 20_000.0).collect();
    let genuine = vec![0.9, 0.8, 0.7, 0.4999];
    let outcome = Outcome {
        protocol: Protocol::CrossSession,
        scores: Scores::new(genuine, impostor),
        rank1: Rate { hits: 3, of: 4 },
        short_list: Rate { hits: 4, of: 4 },
        rank1_one_reference: Some(Rate { hits: 2, of: 4 }),
    };
    let failure = |image: &str, reason: &str| Failure {
        image: image.into(),
        reason: reason.into(),
    };
    SetReport {
        set: "made_up".to_owned(),
        hands: 2,
        images: 20,
        failures: vec![
            failure("a", "blurred"),
            failure("b", "blurred"),
            failure("c", "no palm"),
        ],
        ms_per_image: 2.5,
        outcomes: vec![(Matcher::Fused, outcome)],
    }
}

#[test]
fn json_has_the_agreed_fields_and_null_where_not_measurable() {
    let text = report().json_lines().unwrap();
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["set"], "made_up");
    assert_eq!(line["protocol"], "cross_session");
    assert_eq!(line["matcher"], "fused");
    assert_eq!(line["hands"], 2);
    assert_eq!(line["images"], 20);
    assert_eq!(line["fta"], 0.15);
    assert_eq!(line["genuine"], 4);
    assert_eq!(line["impostor"], 10_000);
    assert_eq!(line["tar_at_far"]["1e-3"], 1.0);
    assert_eq!(line["tar_at_far"]["1e-4"], 0.75);
    assert!(line["tar_at_far"]["1e-5"].is_null());
    assert!(line["tar_at_far"]["1e-6"].is_null());
    assert!(line["eer"].is_number());
    assert_eq!(line["rank1"], 0.75);
    assert_eq!(line["rank32"], 1.0);
    assert_eq!(line["ms_per_image"], 2.5);
}

#[test]
fn table_says_what_cannot_be_measured_and_bounds_what_was_not_seen() {
    let text = report().table();
    assert!(text.contains("TAR at FAR 1e-6     not measurable: 10000 of 1000000 comparisons"));
    assert!(text.contains("FAR below 3.0e-4 at 95 %"), "{text}");
    assert!(text.contains("2 x blurred"));
    assert!(
        text.contains("75.000 % [30.064, 95.441] (3 of 4)"),
        "{text}"
    );
}

#[test]
fn refusals_are_counted_by_reason() {
    let report = report();
    let line: serde_json::Value = serde_json::from_str(&report.refusal_json().unwrap()).unwrap();
    assert_eq!(
        (&line["refused"], &line["accepted"]),
        (&3.into(), &17.into())
    );
    assert_eq!(line["reasons"]["blurred"], 2);
    assert!(report.refusal_table().contains("accepted 17"));
    assert!(report.failure_list().contains("c: no palm"));
}
