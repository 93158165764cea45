//! What each kind of error leads to, row by row, and the delays.

use super::*;

fn error(kind: Kind) -> Error {
    Error::new(kind, Operation::Slice, "x")
}

fn decide(error: &Error, attempt: Attempt) -> Decision {
    Retry::default().decide(
        error,
        &attempt,
        Repeat::Safe,
        &mut fastrand::Rng::with_seed(7),
    )
}

fn delay_of(error: &Error, attempt: Attempt, seed: u64) -> Duration {
    let rng = &mut fastrand::Rng::with_seed(seed);
    match Retry::default().decide(error, &attempt, Repeat::Safe, rng) {
        Decision::Again { after, .. } => after,
        other => panic!("{other:?}"),
    }
}

/// What a first failure and a second one of the
/// same kind lead to.
#[test]
fn each_kind_is_repeated_as_the_table_says() {
    use Decision::{GiveUp, Refresh, Rehash};
    let rows = [
        (Kind::Source, GiveUp, GiveUp),
        (Kind::Invalid, GiveUp, GiveUp),
        (Kind::Auth, Refresh, GiveUp),
        (Kind::Rejected, GiveUp, GiveUp),
        (Kind::Expired, GiveUp, GiveUp),
        (Kind::Integrity, Rehash, GiveUp),
        (Kind::State, GiveUp, GiveUp),
        (Kind::Cancelled, GiveUp, GiveUp),
    ];
    for (kind, once, twice) in rows {
        let first = decide(&error(kind), Attempt::first());
        assert_eq!(first, once, "{kind:?}");
        let second = decide(
            &error(kind),
            Attempt::first().next(&error(kind), first, &Retry::default()),
        );
        assert_eq!(second, twice, "{kind:?} twice");
    }
}

#[test]
fn a_whole_file_that_failed_its_check_is_not_completed_again() {
    let refused = Error::new(Kind::Integrity, Operation::Complete, "文件上传失败");
    assert_eq!(decide(&refused, Attempt::first()), Decision::GiveUp);
}

#[test]
fn an_unreadable_reply_is_asked_for_once_more_elsewhere() {
    let first = decide(&error(Kind::Protocol), Attempt::first());
    assert!(
        matches!(
            first,
            Decision::Again {
                elsewhere: true,
                ..
            }
        ),
        "{first:?}"
    );
    let next = Attempt::first().next(&error(Kind::Protocol), first, &Retry::default());
    assert_eq!(decide(&error(Kind::Protocol), next), Decision::GiveUp);
    assert_ne!(decide(&error(Kind::Transport), next), Decision::GiveUp);
}

#[test]
fn the_wire_and_5xx_go_elsewhere_and_the_account_stays() {
    let elsewhere = |error: &Error| match decide(error, Attempt::first()) {
        Decision::Again { elsewhere, .. } => elsewhere,
        other => panic!("{other:?}"),
    };
    assert!(elsewhere(&error(Kind::Transport)));
    assert!(elsewhere(&error(Kind::Throttled).with_status(503)));
    assert!(!elsewhere(&error(Kind::Throttled).with_status(429)));
    assert!(!elsewhere(
        &error(Kind::Throttled).with_status(200).with_code(429)
    ));
}

#[test]
fn the_eighth_attempt_is_the_last() {
    let mut attempt = Attempt::first();
    let mut tries = 1;
    while let again @ Decision::Again { .. } = decide(&error(Kind::Transport), attempt) {
        attempt = attempt.next(&error(Kind::Transport), again, &Retry::default());
        tries += 1;
    }
    assert_eq!(tries, 8);
}

/// The first two failures are no end by time: there may be three servers.
#[test]
fn ten_minutes_end_it_from_the_third_attempt_on() {
    let at = |number, seconds| Attempt {
        number,
        elapsed: Duration::from_secs(seconds),
        ..Attempt::first()
    };
    let reset = error(Kind::Transport);
    for number in 1..8 {
        assert_ne!(decide(&reset, at(number, 500)), Decision::GiveUp);
        let late = decide(&reset, at(number, 601)) == Decision::GiveUp;
        assert_eq!(late, number >= 3, "attempt {number}");
    }
    let asked = error(Kind::Throttled).with_retry_after(Some(Duration::from_secs(30)));
    assert_eq!(
        decide(&asked, at(3, 580)),
        Decision::GiveUp,
        "the wait would pass the end"
    );
}

/// Attempts that take `took` each and fail, until it is over: how many there were.
fn attempts_of(took: impl Fn(u32) -> Duration) -> u32 {
    let rules = Retry::default();
    let reset = error(Kind::Transport);
    let mut attempt = Attempt::first();
    loop {
        attempt = attempt.used(took(attempt.number), &rules);
        let rng = &mut fastrand::Rng::with_seed(3);
        match rules.decide(&reset, &attempt, Repeat::Safe, rng) {
            Decision::GiveUp => return attempt.number,
            decision => attempt = attempt.next(&reset, decision, &Retry::default()),
        }
    }
}

#[test]
fn a_machine_that_was_stopped_has_not_retried() {
    let night = Duration::from_secs(8 * 3600);
    for stopped in 1..8 {
        let took = |number| {
            if number == stopped {
                night
            } else {
                Duration::from_secs(1)
            }
        };
        assert_eq!(attempts_of(took), 8, "stopped in attempt {stopped}");
    }
    assert_eq!(attempts_of(|_| Duration::from_secs(60)), 8);
    let slow = attempts_of(|_| Duration::from_secs(140));
    assert_eq!(slow, 5, "ten minutes of attempts are ten minutes");
    assert_eq!(attempts_of(|_| night), 4, "a stop in each attempt");
}

#[test]
fn patience_counts_steps_and_not_the_night_between_two() {
    let minute = Duration::from_secs(60);
    let mut patience = Patience::new(15 * minute);
    assert!(patience.spend(500 * minute));
    let mut steps = 0;
    while patience.spend(Duration::from_secs(1)) {
        steps += 1;
    }
    assert_eq!(steps, 13 * 60 + 29);
}

#[test]
fn a_foreign_answer_is_repeated_elsewhere_as_often_as_a_reset() {
    let page = error(Kind::Protocol).with_status(403).foreign();
    let mut attempt = Attempt::first();
    while let again @ Decision::Again { elsewhere, .. } = decide(&page, attempt) {
        assert!(elsewhere);
        attempt = attempt.next(&page, again, &Retry::default());
    }
    assert_eq!(attempt.number, 8);
    assert!(!attempt.garbled, "the service has said nothing yet");
    let too_large = page.lasting();
    let third = Attempt {
        number: 3,
        ..Attempt::first()
    };
    assert_eq!(decide(&too_large, third), Decision::GiveUp);
}

#[test]
fn keep_both_is_not_repeated_when_it_may_have_arrived() {
    let ask = |error: &Error, repeat| {
        let rng = &mut fastrand::Rng::with_seed(1);
        Retry::default().decide(error, &Attempt::first(), repeat, rng)
    };
    for kind in [Kind::Transport, Kind::Throttled, Kind::Protocol] {
        let lost = error(kind).with_delivery(Delivery::Unknown);
        assert_eq!(ask(&lost, Repeat::Ambiguous), Decision::GiveUp, "{kind:?}");
        assert_ne!(ask(&lost, Repeat::Safe), Decision::GiveUp, "{kind:?}");
        assert_ne!(
            ask(&error(kind), Repeat::Ambiguous),
            Decision::GiveUp,
            "{kind:?}"
        );
    }
}

#[test]
fn jitter_is_full_and_its_bound_triples_up_to_the_cap() {
    let bounds = [0.25, 0.75, 2.25, 6.75, 20.25, 30.0, 30.0];
    for (number, bound) in (1..).zip(bounds) {
        let attempt = Attempt {
            number,
            ..Attempt::first()
        };
        let delays: Vec<f64> = (0..400)
            .map(|seed| delay_of(&error(Kind::Transport), attempt, seed).as_secs_f64())
            .collect();
        let mean = delays.iter().sum::<f64>() / 400.0;
        assert!(
            delays.iter().all(|&delay| delay <= bound),
            "attempt {number}"
        );
        assert!(
            (0.45..0.55).contains(&(mean / bound)),
            "attempt {number}: mean {mean}"
        );
    }
}

#[test]
fn a_full_queue_waits_a_second_at_least() {
    let queue = error(Kind::Throttled).with_status(200).with_code(1);
    for seed in 0..200 {
        let delay = delay_of(&queue, Attempt::first(), seed);
        assert!((1.0..=1.1).contains(&delay.as_secs_f64()), "{delay:?}");
    }
}

#[test]
fn retry_after_is_honoured_up_to_a_minute_and_ignored_above() {
    let asked = |seconds| {
        let error = error(Kind::Throttled).with_retry_after(Some(Duration::from_secs(seconds)));
        delay_of(&error, Attempt::first(), 3).as_secs_f64()
    };
    assert!((5.0..=5.5).contains(&asked(5)));
    assert!((60.0..=66.0).contains(&asked(60)));
    assert!(asked(61) <= 1.0);
    assert!(asked(86_400) <= 1.0);
    assert!(asked(0) <= 1.0);
}

#[test]
fn a_budget_ends_and_successes_restore_it() {
    let mut budget = RetryBudget::new(3);
    let granted = (0..10).filter(|_| budget.spend()).count();
    assert_eq!(granted, 3);
    budget.earn();
    assert!(!budget.spend());
    budget.earn();
    assert!(budget.spend());
    (0..100).for_each(|_| budget.earn());
    assert_eq!((0..10).filter(|_| budget.spend()).count(), 3);
}

#[test]
fn what_waiting_does_not_mend_is_tried_elsewhere_at_once_and_then_given_up() {
    let distrust = error(Kind::Transport).lasting();
    let mut attempt = Attempt::first();
    for _ in 1..TRIES_ELSEWHERE {
        let decision = decide(&distrust, attempt);
        let at_once = Decision::Again {
            after: Duration::ZERO,
            elsewhere: true,
        };
        assert_eq!(decision, at_once);
        attempt = attempt.next(&distrust, decision, &Retry::default());
    }
    assert_eq!(decide(&distrust, attempt), Decision::GiveUp);
}

/// Of a hundred servers that refuse, each is asked soon, and only then all of them are waited for.
#[test]
fn servers_that_were_not_asked_are_asked_before_all_are_waited_for() {
    let retry = Retry::default();
    let dead = Error::new(Kind::Transport, Operation::Slice, "refused");
    let (attempts, waits) = attempts_on(100, &retry, &dead);
    // Three that count, one for each server after them, and the five that are left.
    assert_eq!(attempts, 3 + 97 + 5);
    let fresh = &waits[2..99];
    assert!(fresh.iter().all(|&wait| wait <= retry.base), "{fresh:?}");
    assert!(waits[100..].iter().any(|&wait| wait > retry.base));
    // No more than the attempts allow, however many there are.
    assert_eq!(attempts_on(1_000, &retry, &dead).0, 8 + 8 * 15);
    // Two servers are what there usually is.
    assert_eq!(attempts_on(2, &retry, &dead).0, 8);
    // The account is the same at every server.
    let busy = Error::new(Kind::Throttled, Operation::Slice, "429").with_status(429);
    assert_eq!(attempts_on(100, &retry, &busy).0, 8);
}

/// How many attempts a call has where each of `servers` answers with `error`, and the waits between.
fn attempts_on(servers: u32, retry: &Retry, error: &Error) -> (u32, Vec<Duration>) {
    let rng = &mut fastrand::Rng::with_seed(7);
    let mut waits = Vec::new();
    let mut attempt = Attempt::first();
    for made in 1.. {
        attempt.untried = made < servers;
        let decision = retry.decide(error, &attempt, Repeat::Safe, rng);
        let Decision::Again { after, .. } = decision else {
            return (made, waits);
        };
        waits.push(after);
        attempt = attempt.next(error, decision, retry);
    }
    unreachable!("it ends")
}

/// `--retries 0` means what it says, however many servers there are.
#[test]
fn fewer_attempts_than_usual_are_no_more_for_many_servers() {
    let error = error(Kind::Transport);
    for (attempts, number, repeated) in [(1, 1, false), (3, 3, false), (8, 8, true)] {
        let retry = Retry {
            attempts,
            ..Retry::default()
        };
        let attempt = Attempt {
            number,
            untried: true,
            ..Attempt::first()
        };
        let rng = &mut fastrand::Rng::with_seed(1);
        let decision = retry.decide(&error, &attempt, Repeat::Safe, rng);
        let again = matches!(decision, Decision::Again { .. });
        assert_eq!(again, repeated, "{attempts} {number}");
    }
}
