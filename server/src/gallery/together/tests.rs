use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

fn doubled(questions: &[usize]) -> Result<Vec<usize>, ()> {
    Ok(questions.iter().map(|question| 2 * question).collect())
}

impl<Q, A> Together<Q, A> {
    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting.len()
    }
}

#[test]
fn a_question_alone_is_run_alone() {
    let all = Together::new(4);
    for question in 0..3 {
        let answer = all.ask(&question, |questions| {
            assert_eq!(questions, [question]);
            doubled(questions)
        });
        assert_eq!(answer, Ok(2 * question));
    }
}

/// Asks 0, and 1 to 5 while that runs; gives how many went together in each run.
fn runs_of_six(
    run: impl Fn(&[usize]) -> Result<Vec<usize>, ()> + Sync,
) -> (Vec<Result<usize, ()>>, Vec<usize>) {
    let all = Together::new(4);
    let (started, sizes) = (Barrier::new(2), Mutex::new(Vec::new()));
    let is_first = AtomicBool::new(true);
    let noted = |questions: &[usize]| {
        sizes.lock().unwrap().push(questions.len());
        if is_first.swap(false, Ordering::Relaxed) {
            started.wait();
            while all.waiting() < 5 {
                thread::yield_now();
            }
        }
        run(questions)
    };
    let answers = thread::scope(|scope| {
        let first = scope.spawn(|| all.ask(&0, noted));
        started.wait();
        let (all, noted) = (&all, &noted);
        let others: Vec<_> = (1..6)
            .map(|question| scope.spawn(move || all.ask(&question, noted)))
            .collect();
        let handles = std::iter::once(first).chain(others);
        handles.map(|handle| handle.join().unwrap()).collect()
    });
    assert!(all.state.lock().unwrap().answers.is_empty());
    (answers, sizes.into_inner().unwrap())
}

#[test]
fn who_comes_while_a_run_goes_on_is_taken_along_by_the_next_up_to_the_bound() {
    let (answers, sizes) = runs_of_six(doubled);
    assert_eq!(answers, (0..6).map(|n| Ok(2 * n)).collect::<Vec<_>>());
    assert_eq!(sizes, [1, 4, 1]);
}

#[test]
fn a_failed_run_fails_nobody_else() {
    // Runs that have 3 among their questions fail.
    let run = |questions: &[usize]| match questions.contains(&3) {
        true => Err(()),
        false => doubled(questions),
    };
    let (answers, _) = runs_of_six(run);
    let wrong = |(n, answer): &(usize, Result<usize, ()>)| *answer != Ok(2 * n);
    let answers: Vec<_> = (0..).zip(answers).filter(wrong).collect();
    assert_eq!(answers, [(3, Err(()))]);
}

#[test]
fn a_panic_leaves_the_others_their_answers() {
    let all = Together::new(4);
    let (started, count) = (Barrier::new(2), AtomicUsize::new(0));
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            all.ask(&0, |_| -> Result<Vec<usize>, ()> {
                started.wait();
                while all.waiting() < 1 {
                    thread::yield_now();
                }
                panic!("a run ends in the middle")
            })
        });
        started.wait();
        let other = scope.spawn(|| {
            all.ask(&1, |questions| {
                count.fetch_add(1, Ordering::Relaxed);
                doubled(questions)
            })
        });
        assert!(first.join().is_err());
        assert_eq!(other.join().unwrap(), Ok(2));
    });
    assert_eq!(count.into_inner(), 1);
}
