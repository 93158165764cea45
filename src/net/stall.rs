//! The decision to give up on one request. In: what was observed of it, and the time. Out: wait on,
//! stalled, too slow, or unanswered. Never: a clock, a timer, a socket, or anything that moves without
//! the request: a connection pings, acknowledges and carries others while this one stands still.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::Timeouts;

/// What is observed of a request at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    /// Bytes of its own body that were written.
    pub(super) written: u64,
    /// Whether they are all of it.
    pub(super) body: BodyState,
}

/// Where the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyState {
    /// The connection could take more.
    Moving,
    /// It waits for its own throttle; silence is no stall.
    Held,
    /// All of it was written.
    Written,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StallCheck {
    /// Check again then, if nothing happens before.
    WaitUntil(Instant),
    /// Too little of the body was taken for too long.
    Stalled,
    /// The body trickled, and has had so much time in all.
    TooSlow(Duration),
    /// The answer is overdue.
    Unanswered,
}

/// The memory between two checks.
#[derive(Debug)]
pub(super) struct StallDetector {
    timeouts: Timeouts,
    /// What has to move within the stall limit to count as movement.
    least: u64,
    /// How long the whole body may take.
    whole: Duration,
    /// How much of that is used: all the time in which the body was not held.
    used: Duration,
    looked: Instant,
    /// When the body last moved enough, and how far it was then.
    moved: (Instant, u64),
    /// When all of it was written.
    written: Option<Instant>,
}

impl StallDetector {
    /// Watches a body of `total` bytes, from `now` on.
    pub(super) fn new(timeouts: Timeouts, total: u64, now: Instant) -> Self {
        let least = (timeouts.stall.as_secs_f64() * STALLED_BELOW).max(1.0);
        StallDetector {
            timeouts,
            least: least as u64,
            whole: timeouts.answer * ANSWERS + Duration::from_secs(total / SLOWEST),
            used: Duration::ZERO,
            looked: now,
            moved: (now, 0),
            written: None,
        }
    }

    /// Judges what is observed `now`.
    pub(super) fn check(&mut self, observation: Observation, now: Instant) -> StallCheck {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        if observation.body == BodyState::Written {
            let written = *self.written.get_or_insert(now);
            return judge((written, self.timeouts.answer), now, StallCheck::Unanswered);
        }
        if observation.body != BodyState::Held {
            self.used += passed;
        }
        if observation.body == BodyState::Held || observation.written >= self.moved.1 + self.least {
            self.moved = (now, observation.written);
        }
        if self.used >= self.whole {
            return StallCheck::TooSlow(self.used);
        }
        judge(
            (self.moved.0, self.timeouts.stall),
            now,
            StallCheck::Stalled,
        )
    }
}

fn judge((since, limit): (Instant, Duration), now: Instant, overdue: StallCheck) -> StallCheck {
    let end = since + limit;
    if now >= end {
        return overdue;
    }
    StallCheck::WaitUntil(end.min(now + look_again(limit)))
}

/// Often enough that a limit is kept to an eighth, seldom enough to cost nothing.
fn look_again(limit: Duration) -> Duration {
    (limit / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

/// Bytes a second below which a body stands still. A peer that opens its window byte by byte moves
/// something all the time; a link that carries anything to its end is above this many times.
const STALLED_BELOW: f64 = 1024.0;

/// A body may take so many times the limit of an answer, ten minutes by default, and a second for
/// this many bytes: 16 MiB have 18 minutes, where the gateway's own limit is one.
const ANSWERS: u32 = 10;
const SLOWEST: u64 = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(60),
        stall: Duration::from_secs(20),
    };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn observation(written: u64, body: BodyState) -> Observation {
        Observation { written, body }
    }

    fn waits(verdict: StallCheck) -> bool {
        matches!(verdict, StallCheck::WaitUntil(_))
    }

    /// Checks each second a body of which `rate` bytes a second are written, until it ends.
    fn ends(total: u64, rate: u64) -> (u64, StallCheck) {
        let start = Instant::now();
        let mut detector = StallDetector::new(TIMEOUTS, total, start);
        for second in 0.. {
            let written = (second * rate).min(total);
            let body = if written == total {
                BodyState::Written
            } else {
                BodyState::Moving
            };
            let verdict = detector.check(observation(written, body), at(start, second));
            if !waits(verdict) {
                return (second, verdict);
            }
        }
        unreachable!("every request ends")
    }

    #[test]
    fn twenty_seconds_without_movement_are_a_stall() {
        let start = Instant::now();
        let mut detector = StallDetector::new(TIMEOUTS, 1 << 20, start);
        for (seconds, written) in [(15, 0), (19, 30_000), (38, 30_000)] {
            let verdict =
                detector.check(observation(written, BodyState::Moving), at(start, seconds));
            assert!(waits(verdict), "{seconds}");
        }
        assert_eq!(
            detector.check(observation(30_000, BodyState::Moving), at(start, 39)),
            StallCheck::Stalled
        );
    }

    #[test]
    fn a_trickle_ends_however_steady_it_is() {
        assert_eq!(ends(200, 0), (20, StallCheck::Stalled));
        assert_eq!(ends(16 << 20, 1), (20, StallCheck::Stalled));
        assert_eq!(ends(16 << 20, 1000), (20, StallCheck::Stalled));
        let whole = 600 + 512;
        let slow = StallCheck::TooSlow(Duration::from_secs(whole));
        assert_eq!(ends(16 << 20, 2000), (whole, slow));
        assert_eq!(ends(16 << 20, 15_000), (whole, slow));
    }

    #[test]
    fn a_slow_link_is_let_finish() {
        for (rate, took) in [(16_000, 1049), (100_000, 168), (280_000, 60)] {
            assert_eq!(
                ends(16 << 20, rate),
                (took + 60, StallCheck::Unanswered),
                "{rate}"
            );
        }
    }

    #[test]
    fn a_held_body_neither_stalls_nor_uses_up_its_time() {
        let start = Instant::now();
        let mut detector = StallDetector::new(TIMEOUTS, 1000, start);
        for seconds in (0..5000).step_by(10) {
            assert!(waits(
                detector.check(observation(10, BodyState::Held), at(start, seconds))
            ));
        }
        assert!(waits(
            detector.check(observation(10, BodyState::Moving), at(start, 5000))
        ));
        assert_eq!(
            detector.check(observation(10, BodyState::Moving), at(start, 5010)),
            StallCheck::Stalled
        );
    }

    #[test]
    fn the_answer_is_awaited_from_the_last_byte_and_nothing_prolongs_it() {
        let start = Instant::now();
        let mut detector = StallDetector::new(TIMEOUTS, 100_000, start);
        assert!(waits(
            detector.check(observation(99_999, BodyState::Moving), at(start, 19))
        ));
        for seconds in [25, 50, 84] {
            assert!(waits(detector.check(
                observation(100_000, BodyState::Written),
                at(start, seconds)
            )));
        }
        assert_eq!(
            detector.check(observation(100_000, BodyState::Written), at(start, 85)),
            StallCheck::Unanswered
        );
    }

    #[test]
    fn the_next_look_is_never_after_the_limit() {
        let start = Instant::now();
        let mut detector = StallDetector::new(TIMEOUTS, 1000, start);
        let almost = start + Duration::from_millis(19_900);
        assert_eq!(
            detector.check(observation(0, BodyState::Moving), almost),
            StallCheck::WaitUntil(at(start, 20))
        );
    }
}
