//! What a page may ask for. JSON in, one command out, or the field that is wrong and what to send instead.
//!
//! The only parser of what pages send. It decides nothing: whether a command fits the moment is for the application.

use std::ops::RangeInclusive;

use palm_proto::{
    digits::{Digits, PHONE_DIGITS, PIN_DIGITS},
    money::AMOUNT_MAX,
    request::{Confirmation, Factor},
};
use serde_json::{Map, Value};

use crate::enrolment::{DisplayName, Language};

/// One command of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take a payment of so many minor units of the shop's currency.
    Charge {
        /// 1 to [`AMOUNT_MAX`].
        amount_minor: u64,
    },
    /// What the payment waits for.
    Give(Confirmation),
    /// Stop what is under way.
    Cancel,
    /// Back to the start screen.
    New,
    /// Once more.
    Retry,
    /// Begin an enrolment.
    EnrolStart {
        /// Language of the pages.
        language: Language,
    },
    /// Consent to a notice.
    EnrolConsent {
        /// The version that was shown.
        notice_version: String,
    },
    /// The name of who enrols.
    EnrolName {
        /// As typed.
        display_name: DisplayName,
    },
    /// Enrol with the palms captured so far.
    EnrolFinish,
    /// Capture the other hand, too.
    EnrolOtherHand,
    /// More time.
    EnrolStay,
}

/// Why bytes are not a command: `error` is a stable code, `field` the key, `remedy` a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The key that is wrong; empty when it is the whole body.
    pub field: &'static str,
    /// What to send instead.
    pub remedy: &'static str,
}

type Parsed<T> = Result<T, Malformed>;

const COMMANDS: &str = "send one of: charge, give_pin, give_phone_digits, not_a_duplicate, cancel, new, retry, \
                        enrol_start, enrol_consent, enrol_name, enrol_finish, enrol_other_hand, enrol_stay";

/// Reads the body of one command.
///
/// # Errors
/// [`Malformed`] names the first field that is wrong.
pub fn parse(body: &[u8]) -> Parsed<Command> {
    let remedy = "send a JSON object such as {\"command\":\"charge\",\"amount_minor\":4500}";
    let wrong = Malformed { field: "", remedy };
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return Err(wrong);
    };
    let Some(Value::String(name)) = fields.remove("command") else {
        return Err(Malformed {
            field: "command",
            remedy: COMMANDS,
        });
    };
    let command = command(&name, &mut fields)?;
    if fields.is_empty() {
        Ok(command)
    } else {
        Err(Malformed {
            field: "",
            remedy: "leave out the keys that this command does not have",
        })
    }
}

fn command(name: &str, fields: &mut Map<String, Value>) -> Parsed<Command> {
    Ok(match name {
        "charge" => Command::Charge {
            amount_minor: amount(fields)?,
        },
        "give_pin" => {
            let pin = digits(fields, "pin", PIN_DIGITS, "send 4 to 12 digits")?;
            Command::Give(Confirmation::Factor(Factor::Pin(pin)))
        }
        "give_phone_digits" => {
            let remedy = "send the last 4 digits of the telephone number";
            let last = digits(fields, "digits", PHONE_DIGITS, remedy)?;
            Command::Give(Confirmation::Factor(Factor::PhoneDigits(last)))
        }
        "not_a_duplicate" => Command::Give(Confirmation::NotADuplicate),
        "cancel" => Command::Cancel,
        "new" => Command::New,
        "retry" => Command::Retry,
        "enrol_start" => Command::EnrolStart {
            language: language(fields)?,
        },
        "enrol_consent" => Command::EnrolConsent {
            notice_version: notice(fields)?,
        },
        "enrol_name" => Command::EnrolName {
            display_name: display_name(fields)?,
        },
        "enrol_finish" => Command::EnrolFinish,
        "enrol_other_hand" => Command::EnrolOtherHand,
        "enrol_stay" => Command::EnrolStay,
        _ => {
            return Err(Malformed {
                field: "command",
                remedy: COMMANDS,
            });
        }
    })
}

fn amount(fields: &mut Map<String, Value>) -> Parsed<u64> {
    let amount = fields
        .remove("amount_minor")
        .and_then(|value| value.as_u64());
    amount
        .filter(|minor| (1..=AMOUNT_MAX).contains(minor))
        .ok_or(Malformed {
            field: "amount_minor",
            remedy: "send a whole number of minor units, 1 to 999999999999",
        })
}

fn language(fields: &mut Map<String, Value>) -> Parsed<Language> {
    let tag = text(fields, "language");
    Language::ALL
        .into_iter()
        .find(|language| tag.as_deref() == Some(language.tag()))
        .ok_or(Malformed {
            field: "language",
            remedy: "send \"ko\" or \"en\"",
        })
}

fn notice(fields: &mut Map<String, Value>) -> Parsed<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    text(fields, "notice_version")
        .filter(|version| (1..=32).contains(&version.len()) && version.chars().all(known))
        .ok_or(Malformed {
            field: "notice_version",
            remedy: "send the version of the notice that was shown, such as \"2026-11\"",
        })
}

fn display_name(fields: &mut Map<String, Value>) -> Parsed<DisplayName> {
    text(fields, "display_name")
        .and_then(|name| DisplayName::parse(&name))
        .ok_or(Malformed {
            field: "display_name",
            remedy: "send a name of 1 to 64 characters without control characters",
        })
}

fn digits(
    fields: &mut Map<String, Value>,
    field: &'static str,
    lengths: RangeInclusive<usize>,
    remedy: &'static str,
) -> Parsed<Digits> {
    text(fields, field)
        .and_then(|text| Digits::new(text, lengths))
        .ok_or(Malformed { field, remedy })
}

fn text(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.remove(key) {
        Some(Value::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// Reads arbitrary bytes as a command; must not panic.
#[doc(hidden)]
pub fn fuzz_command(bytes: &[u8]) {
    if let Ok(Command::Charge { amount_minor }) = parse(bytes) {
        assert!(
            (1..=AMOUNT_MAX).contains(&amount_minor),
            "what was read is in range"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_reads() {
        let charge = parse(br#"{"command":"charge","amount_minor":4500}"#);
        assert_eq!(
            charge,
            Ok(Command::Charge {
                amount_minor: 4_500
            })
        );
        let start = parse(br#"{"command":"enrol_start","language":"ko"}"#);
        assert_eq!(
            start,
            Ok(Command::EnrolStart {
                language: Language::Korean
            })
        );
        let consent = parse(br#"{"command":"enrol_consent","notice_version":"2026-11"}"#);
        assert!(matches!(consent, Ok(Command::EnrolConsent { .. })));
        let name = parse("{\"command\":\"enrol_name\",\"display_name\":\"김민수\"}".as_bytes());
        assert!(matches!(name, Ok(Command::EnrolName { .. })));
        let pin = parse(br#"{"command":"give_pin","pin":"0427"}"#);
        assert!(matches!(
            pin,
            Ok(Command::Give(Confirmation::Factor(Factor::Pin(_))))
        ));
        let last = parse(br#"{"command":"give_phone_digits","digits":"5678"}"#);
        assert!(matches!(
            last,
            Ok(Command::Give(Confirmation::Factor(Factor::PhoneDigits(_))))
        ));
        for (name, command) in [
            (
                "not_a_duplicate",
                Command::Give(Confirmation::NotADuplicate),
            ),
            ("cancel", Command::Cancel),
            ("new", Command::New),
            ("retry", Command::Retry),
            ("enrol_finish", Command::EnrolFinish),
            ("enrol_other_hand", Command::EnrolOtherHand),
            ("enrol_stay", Command::EnrolStay),
        ] {
            assert_eq!(
                parse(format!("{{\"command\":\"{name}\"}}").as_bytes()),
                Ok(command)
            );
        }
    }

    #[test]
    fn malformed_commands_name_the_field() {
        for (body, field) in [
            ("", ""),
            ("[]", ""),
            ("null", ""),
            ("{\"command\":\"charge\",\"amount_minor\":1}trailing", ""),
            ("{}", "command"),
            (r#"{"command":7}"#, "command"),
            (r#"{"command":"refund"}"#, "command"),
            (r#"{"command":"charge"}"#, "amount_minor"),
            (r#"{"command":"charge","amount_minor":0}"#, "amount_minor"),
            (r#"{"command":"charge","amount_minor":-1}"#, "amount_minor"),
            (r#"{"command":"charge","amount_minor":1.5}"#, "amount_minor"),
            (
                r#"{"command":"charge","amount_minor":"4500"}"#,
                "amount_minor",
            ),
            (
                r#"{"command":"charge","amount_minor":1000000000000}"#,
                "amount_minor",
            ),
            (
                r#"{"command":"charge","amount_minor":18446744073709551616}"#,
                "amount_minor",
            ),
            (r#"{"command":"charge","amount_minor":1e3}"#, "amount_minor"),
            (
                r#"{"command":"charge","amount_minor":1,"currency":"USD"}"#,
                "",
            ),
            (r#"{"command":"give_pin","pin":"12"}"#, "pin"),
            (r#"{"command":"give_pin","pin":1234}"#, "pin"),
            (
                r#"{"command":"give_phone_digits","digits":"12345"}"#,
                "digits",
            ),
            (r#"{"command":"enrol_start","language":"xx"}"#, "language"),
            (r#"{"command":"enrol_start"}"#, "language"),
            (
                r#"{"command":"enrol_consent","notice_version":"a b"}"#,
                "notice_version",
            ),
            (
                r#"{"command":"enrol_name","display_name":"  "}"#,
                "display_name",
            ),
            (
                r#"{"command":"enrol_name","display_name":["x"]}"#,
                "display_name",
            ),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().field, field, "{body}");
        }
    }

    #[test]
    fn seeded_bytes_never_panic() {
        let valid = br#"{"command":"charge","amount_minor":4500}"#;
        let mut state = 3_u32;
        for _ in 0..5_000 {
            let mut bytes = valid.to_vec();
            for _ in 0..2 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = usize::try_from(state >> 8).unwrap() % bytes.len();
                bytes[at] = u8::try_from(state >> 24).unwrap();
            }
            fuzz_command(&bytes);
        }
    }
}
