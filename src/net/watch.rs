//! When to give up on one request. In: what was seen of it, and the time. Out: wait on, stalled,
//! too slow, or unanswered. Never: a clock, a timer, a socket, or anything that moves without the
//! request: a connection pings, acknowledges and carries others while this one stands still.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::Timeouts;

/// What is seen of a request at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Bytes of its own body that were written.
    pub(super) written: u64,
    /// Whether they are all of it.
    pub(super) body: Progress,
}

/// Where the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The connection could take more.
    Moving,
    /// It waits for its own pace; silence is nobody's fault.
    Held,
    /// All of it was written.
    Written,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then, if nothing happens before.
    WaitUntil(Instant),
    /// Too little of the body was taken for too long.
    Stalled,
    /// The body trickled, and has had so much time in all.
    TooSlow(Duration),
    /// The answer is overdue.
    Unanswered,
}

/// The memory between two looks.
#[derive(Debug)]
pub(super) struct Watch {
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

impl Watch {
    /// The watch over a body of `total` bytes, from `now` on.
    pub(super) fn new(timeouts: Timeouts, total: u64, now: Instant) -> Self {
        let least = (timeouts.stall.as_secs_f64() * STALLED_BELOW).max(1.0);
        Watch {
            timeouts,
            least: least as u64,
            whole: timeouts.answer * ANSWERS + Duration::from_secs(total / SLOWEST),
            used: Duration::ZERO,
            looked: now,
            moved: (now, 0),
            written: None,
        }
    }

    /// Judges what is seen `now`.
    pub(super) fn look(&mut self, sight: Sight, now: Instant) -> Verdict {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        if sight.body == Progress::Written {
            let written = *self.written.get_or_insert(now);
            return judge((written, self.timeouts.answer), now, Verdict::Unanswered);
        }
        if sight.body != Progress::Held {
            self.used += passed;
        }
        if sight.body == Progress::Held || sight.written >= self.moved.1 + self.least {
            self.moved = (now, sight.written);
        }
        if self.used >= self.whole {
            return Verdict::TooSlow(self.used);
        }
        judge((self.moved.0, self.timeouts.stall), now, Verdict::Stalled)
    }
}

fn judge((since, limit): (Instant, Duration), now: Instant, overdue: Verdict) -> Verdict {
    let end = since + limit;
    if now >= end {
        return overdue;
    }
    Verdict::WaitUntil(end.min(now + look_again(limit)))
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

    fn sight(written: u64, body: Progress) -> Sight {
        Sight { written, body }
    }

    fn waits(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::WaitUntil(_))
    }

    /// Looks each second at a body of which `rate` bytes a second are written, until it ends.
    fn ends(total: u64, rate: u64) -> (u64, Verdict) {
        let start = Instant::now();
        let mut watch = Watch::new(TIMEOUTS, total, start);
        for second in 0.. {
            let written = (second * rate).min(total);
            let body = if written == total {
                Progress::Written
            } else {
                Progress::Moving
            };
            let verdict = watch.look(sight(written, body), at(start, second));
            if !waits(verdict) {
                return (second, verdict);
            }
        }
        unreachable!("every request ends")
    }

    #[test]
    fn twenty_seconds_without_movement_are_a_stall() {
        let start = Instant::now();
        let mut watch = Watch::new(TIMEOUTS, 1 << 20, start);
        for (seconds, written) in [(15, 0), (19, 30_000), (38, 30_000)] {
            let verdict = watch.look(sight(written, Progress::Moving), at(start, seconds));
            assert!(waits(verdict), "{seconds}");
        }
        assert_eq!(
            watch.look(sight(30_000, Progress::Moving), at(start, 39)),
            Verdict::Stalled
        );
    }

    #[test]
    fn a_trickle_ends_however_steady_it_is() {
        assert_eq!(ends(200, 0), (20, Verdict::Stalled));
        assert_eq!(ends(16 << 20, 1), (20, Verdict::Stalled));
        assert_eq!(ends(16 << 20, 1000), (20, Verdict::Stalled));
        let whole = 600 + 512;
        let slow = Verdict::TooSlow(Duration::from_secs(whole));
        assert_eq!(ends(16 << 20, 2000), (whole, slow));
        assert_eq!(ends(16 << 20, 15_000), (whole, slow));
    }

    #[test]
    fn a_slow_link_is_let_finish() {
        for (rate, took) in [(16_000, 1049), (100_000, 168), (280_000, 60)] {
            assert_eq!(
                ends(16 << 20, rate),
                (took + 60, Verdict::Unanswered),
                "{rate}"
            );
        }
    }

    #[test]
    fn a_held_body_neither_stalls_nor_uses_up_its_time() {
        let start = Instant::now();
        let mut watch = Watch::new(TIMEOUTS, 1000, start);
        for seconds in (0..5000).step_by(10) {
            assert!(waits(
                watch.look(sight(10, Progress::Held), at(start, seconds))
            ));
        }
        assert!(waits(
            watch.look(sight(10, Progress::Moving), at(start, 5000))
        ));
        assert_eq!(
            watch.look(sight(10, Progress::Moving), at(start, 5010)),
            Verdict::Stalled
        );
    }

    #[test]
    fn the_answer_is_awaited_from_the_last_byte_and_nothing_prolongs_it() {
        let start = Instant::now();
        let mut watch = Watch::new(TIMEOUTS, 100_000, start);
        assert!(waits(
            watch.look(sight(99_999, Progress::Moving), at(start, 19))
        ));
        for seconds in [25, 50, 84] {
            assert!(waits(
                watch.look(sight(100_000, Progress::Written), at(start, seconds))
            ));
        }
        assert_eq!(
            watch.look(sight(100_000, Progress::Written), at(start, 85)),
            Verdict::Unanswered
        );
    }

    #[test]
    fn the_next_look_is_never_after_the_limit() {
        let start = Instant::now();
        let mut watch = Watch::new(TIMEOUTS, 1000, start);
        let almost = start + Duration::from_millis(19_900);
        assert_eq!(
            watch.look(sight(0, Progress::Moving), almost),
            Verdict::WaitUntil(at(start, 20))
        );
    }
}
