use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One row: seconds since the row before, what happens, what the screen says, what is to be done.
type Row = (u64, Event, &'static str, &'static [&'static str]);

fn screen(enrolment: &Enrolment) -> String {
    match enrolment.state() {
        State::Idle => "idle".to_owned(),
        State::Consent { .. } => "consent".to_owned(),
        State::Name { .. } => "name".to_owned(),
        State::Capturing {
            progress,
            reading,
            hint,
            reader_lost,
            ..
        } => {
            let hand = match progress.hand {
                None => "any",
                Some(Hand::Right) => "right",
                Some(Hand::Left) => "left",
            };
            let now = match (reader_lost, reading, hint) {
                (true, _, _) => "reader lost",
                (false, true, _) => "reading",
                (false, false, Some(hint)) => hint.as_str(),
                (false, false, None) => "show",
            };
            format!("{hand} {}: {now}", progress.taken)
        }
        State::Offer { hand, .. } => format!("offer after {hand:?}"),
        State::Sending { attempt, .. } => format!("sending {attempt}"),
        State::Over { outcome, .. } => format!("{outcome:?}"),
    }
}

fn words(effects: &[Effect]) -> Vec<&'static str> {
    let word = |effect: &Effect| match effect {
        Effect::Arm => "arm",
        Effect::Disarm => "disarm",
        Effect::Keep => "keep",
        Effect::Forget => "forget",
        Effect::Send => "send",
        Effect::Signal(Signal::Accepted) => "accepted",
        Effect::Signal(Signal::Refused) => "refused",
    };
    effects.iter().map(word).collect()
}

fn play(rows: &[Row]) -> Enrolment {
    let mut enrolment = Enrolment::default();
    let mut now = 100 * SECOND;
    for (index, (seconds, event, expected, effects)) in rows.iter().enumerate() {
        now += SECOND * u32::try_from(*seconds).unwrap();
        let done = match enrolment.on(event.clone(), now) {
            Ok(done) => words(&done),
            Err(Refusal::Busy) => vec!["busy"],
            Err(Refusal::NotNow) => vec!["not now"],
            Err(Refusal::Unresolved) => vec!["unresolved"],
        };
        let seen = screen(&enrolment);
        assert_eq!(
            (seen.as_str(), done),
            (*expected, effects.to_vec()),
            "row {index}"
        );
    }
    enrolment
}

fn name() -> Event {
    Event::Name(DisplayName::parse(" Kim ").unwrap())
}

fn consent() -> Event {
    Event::Consent {
        notice_version: "2026-11".to_owned(),
    }
}

fn opening() -> Vec<Row> {
    vec![
        (0, Event::Start(Language::Korean), "consent", &["forget"]),
        (0, consent(), "name", &[]),
        (0, name(), "any 0: show", &["arm"]),
    ]
}

fn one_palm() -> Vec<Row> {
    let mut rows = opening();
    rows.extend([
        (0, Event::Reading, "any 0: reading", &[] as &[_]),
        (
            1,
            Event::Captured(Hand::Right),
            "right 1: lift_hand",
            &["keep", "arm"],
        ),
        (
            1,
            Event::Captured(Hand::Right),
            "right 2: lift_hand",
            &["keep", "arm"],
        ),
        (
            1,
            Event::Captured(Hand::Right),
            "offer after Right",
            &["keep", "disarm"],
        ),
    ]);
    rows
}

#[test]
fn one_palm_in_three_captures_is_enrolled() {
    let mut rows = one_palm();
    rows.extend([
        (0, Event::Finish, "sending 1", &["send"] as &[_]),
        (0, Event::Cancel, "sending 1", &["busy"]),
        (
            0,
            Event::Answered(Answer::Enrolled { palms: 1 }),
            "Done { palms: 1 }",
            &["forget", "accepted"],
        ),
        (0, Event::Retry, "Done { palms: 1 }", &["not now"]),
        (75, Event::Tick, "idle", &["disarm", "forget"]),
    ]);
    play(&rows);
}

#[test]
fn second_palm_must_be_the_other_hand() {
    let mut rows = one_palm();
    rows.extend([
        (0, Event::OtherHand, "left 0: other_hand", &["arm"] as &[_]),
        (
            0,
            Event::Captured(Hand::Right),
            "left 0: other_hand",
            &["arm"],
        ),
        (
            0,
            Event::Captured(Hand::Left),
            "left 1: lift_hand",
            &["keep", "arm"],
        ),
        (
            0,
            Event::Captured(Hand::Right),
            "left 1: same_hand",
            &["arm"],
        ),
        (
            0,
            Event::Captured(Hand::Left),
            "left 2: lift_hand",
            &["keep", "arm"],
        ),
        (
            0,
            Event::Captured(Hand::Left),
            "sending 1",
            &["keep", "disarm", "send"],
        ),
    ]);
    play(&rows);
}

#[test]
fn steps_out_of_order_are_refused_and_change_nothing() {
    play(&[
        (0, consent(), "idle", &["not now"]),
        (0, name(), "idle", &["not now"]),
        (0, Event::Finish, "idle", &["not now"]),
        (0, Event::OtherHand, "idle", &["not now"]),
        (0, Event::Cancel, "idle", &["not now"]),
        (0, Event::Stay, "idle", &["not now"]),
        (0, Event::Start(Language::English), "consent", &["forget"]),
        (0, Event::Start(Language::English), "consent", &["busy"]),
        (0, name(), "consent", &["not now"]),
        (0, Event::Captured(Hand::Right), "consent", &[]),
        (0, Event::Retry, "consent", &["not now"]),
    ]);
}

#[test]
fn leaving_and_silence_wipe_what_was_captured() {
    let mut rows = one_palm();
    rows.push((0, Event::Cancel, "idle", &["disarm", "forget"]));
    play(&rows);
    let mut rows = opening();
    rows.push((74, Event::Tick, "any 0: show", &[]));
    rows.push((
        0,
        Event::Guide(Guidance::ONCE_MORE),
        "any 0: once_more",
        &[],
    ));
    rows.push((74, Event::Stay, "any 0: once_more", &[]));
    rows.push((74, Event::Tick, "any 0: once_more", &[]));
    rows.push((1, Event::Tick, "idle", &["disarm", "forget"]));
    play(&rows);
}

#[test]
fn unplugged_reader_keeps_the_captures_and_goes_on() {
    let mut rows = opening();
    rows.extend([
        (
            0,
            Event::Captured(Hand::Left),
            "left 1: lift_hand",
            &["keep", "arm"] as &[_],
        ),
        (0, Event::ReaderLost, "left 1: reader lost", &[]),
        (9, Event::ReaderBack, "left 1: lift_hand", &["arm"]),
    ]);
    play(&rows);
}

#[test]
fn lost_answer_sends_the_same_again_then_tells() {
    let mut rows = one_palm();
    rows.extend([
        (0, Event::Finish, "sending 1", &["send"] as &[_]),
        (0, Event::Answered(Answer::Unknown), "sending 1", &[]),
        (0, Event::Tick, "sending 1", &[]),
        (1, Event::Tick, "sending 2", &["send"]),
        (
            0,
            Event::Answered(Answer::Nothing(Trouble::Unreachable)),
            "sending 2",
            &[],
        ),
        (1, Event::Tick, "sending 3", &["send"]),
        (
            0,
            Event::Answered(Answer::Unknown),
            "Failed(Unreachable)",
            &["forget", "refused"],
        ),
        (0, Event::Retry, "consent", &["forget"]),
    ]);
    play(&rows);
}

#[test]
fn refusal_of_the_service_is_told_with_its_reason() {
    let mut rows = one_palm();
    let reason = Some(ReasonCode::AlreadyEnrolled);
    rows.extend([
        (0, Event::Finish, "sending 1", &["send"] as &[_]),
        (
            0,
            Event::Answered(Answer::Refused(reason)),
            "Refused(Some(AlreadyEnrolled))",
            &["forget", "refused"],
        ),
    ]);
    play(&rows);
}

#[test]
fn name_is_trimmed_bounded_and_not_shown_by_debug() {
    assert_eq!(DisplayName::parse("  김민수 ").unwrap().as_str(), "김민수");
    for text in ["", "   ", "a\nb", &"x".repeat(65)] {
        assert_eq!(DisplayName::parse(text), None);
    }
    let shown = format!("{:?}", DisplayName::parse("Kim").unwrap());
    assert_eq!(shown, "DisplayName(3 characters)");
}
