use super::*;

const DAY: u64 = DAY_US;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn step(number: u8) -> StepId {
    StepId([number; 16])
}

fn number(book: &TraceBook, id: u8, role: Role, micros: u64) -> (u32, bool) {
    let trace = book.trace(step(id), role, at(micros)).unwrap();
    (trace.number, trace.is_repeat)
}

#[test]
fn a_step_keeps_its_number_and_a_reversal_has_its_own_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.book");
    let book = TraceBook::open(&path, at(DAY)).unwrap();
    assert_eq!(number(&book, 1, Role::Step, DAY), (1, false));
    assert_eq!(number(&book, 2, Role::Step, DAY + 1), (2, false));
    assert_eq!(number(&book, 1, Role::Reversal, DAY + 2), (3, false));
    assert_eq!(number(&book, 1, Role::Step, DAY + 3), (1, true));
    drop(book);
    let book = TraceBook::open(&path, at(DAY + 4)).unwrap();
    assert_eq!(number(&book, 1, Role::Step, DAY + 5), (1, true));
    assert_eq!(number(&book, 1, Role::Reversal, DAY + 5), (3, true));
    assert_eq!(number(&book, 3, Role::Step, DAY + 5), (4, false));
    assert_eq!(book.find(step(2)), Some(2));
    assert_eq!(book.find(step(9)), None);
    assert_eq!(book.since_us(), DAY);
}

#[test]
fn what_was_torn_at_the_end_is_dropped_and_its_number_given_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.book");
    let book = TraceBook::open(&path, at(DAY)).unwrap();
    assert_eq!(number(&book, 1, Role::Step, DAY), (1, false));
    assert_eq!(number(&book, 2, Role::Step, DAY), (2, false));
    drop(book);
    let whole = fs::read(&path).unwrap();
    for cut in 1..RECORD {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let book = TraceBook::open(&path, at(DAY)).unwrap();
        assert_eq!(book.find(step(1)), Some(1), "cut by {cut}");
        assert_eq!(book.find(step(2)), None, "cut by {cut}");
        assert_eq!(number(&book, 3, Role::Step, DAY), (2, false));
    }
}

#[test]
fn old_steps_are_forgotten_and_the_book_says_since_when_it_knows_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.book");
    let book = TraceBook::open(&path, at(DAY)).unwrap();
    assert_eq!(number(&book, 1, Role::Step, DAY), (1, false));
    assert_eq!(number(&book, 2, Role::Step, 5 * DAY), (2, false));
    drop(book);
    let book = TraceBook::open(&path, at(10 * DAY)).unwrap();
    assert_eq!(book.find(step(1)), None);
    assert_eq!(book.find(step(2)), Some(2));
    assert_eq!(book.since_us(), 2 * DAY);
    assert_eq!(number(&book, 3, Role::Step, 10 * DAY), (3, false));
}

#[test]
fn a_number_does_not_come_twice_in_a_day_and_goes_round() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.book");
    let book = TraceBook::open(&path, at(DAY)).unwrap();
    book.pages().last = TRACE_MAX - 1;
    assert_eq!(number(&book, 1, Role::Step, DAY), (TRACE_MAX, false));
    assert_eq!(number(&book, 2, Role::Step, DAY), (1, false));
    book.pages().last = TRACE_MAX - 1;
    assert_eq!(number(&book, 3, Role::Step, DAY + 1), (2, false));
    book.pages().last = TRACE_MAX - 1;
    assert_eq!(number(&book, 4, Role::Step, 2 * DAY), (TRACE_MAX, false));
}

#[test]
fn after_a_write_that_failed_the_book_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.book");
    let book = TraceBook::open(&path, at(DAY)).unwrap();
    assert_eq!(number(&book, 1, Role::Step, DAY), (1, false));
    // A file that takes no writing, with half a record behind what was known.
    book.pages().file = File::open(&path).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[7; RECORD / 2]).unwrap();
    let failed = book.trace(step(2), Role::Step, at(DAY + 1));
    assert!(matches!(failed, Err(BookError::File { .. })));
    assert_eq!(book.find(step(2)), None);
    assert_eq!(number(&book, 3, Role::Step, DAY + 2), (2, false));
    drop(book);
    let book = TraceBook::open(&path, at(DAY + 3)).unwrap();
    assert_eq!((book.find(step(1)), book.find(step(3))), (Some(1), Some(2)));
}
