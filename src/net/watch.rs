//! When to give up on one request. In: what was seen of it, and the time. Out: wait on, stalled,
//! or unanswered. Never: a clock, a timer, a socket.

use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Limits, Version};

/// What is seen of a request at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Bytes of the body that the connection took.
    pub(super) handed: u64,
    /// Whether they are all of it.
    pub(super) body: Progress,
    /// Bytes that the connection's socket took since the request began, of all its streams.
    pub(super) written: u64,
}

/// Where the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The connection could take more.
    Moving,
    /// It waits for its own pace; silence is nobody's fault.
    Held,
    /// All of it was taken.
    Handed,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then, if nothing happens before.
    WaitUntil(Instant),
    /// The socket took nothing for too long.
    Stalled,
    /// The answer is overdue.
    Unanswered,
}

/// The memory between two looks.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    total: u64,
    version: Version,
    moved: Instant,
    seen: (u64, u64),
    /// Once the body is handed over: up to which count of written bytes some may be its own.
    tail: Option<u64>,
}

impl Watch {
    pub(super) fn new(limits: Limits, total: u64, version: Version, now: Instant) -> Self {
        Watch {
            limits,
            total,
            version,
            moved: now,
            seen: (0, 0),
            tail: None,
        }
    }

    /// Judges what is seen `now`.
    pub(super) fn look(&mut self, sight: Sight, now: Instant) -> Verdict {
        let before = std::mem::replace(&mut self.seen, (sight.handed, sight.written));
        if sight.body == Progress::Handed && self.tail.is_none() {
            self.tail = Some(sight.written.saturating_add(self.queued(sight)));
            self.moved = now;
        }
        let moved = match self.tail {
            Some(tail) => before.1 != sight.written && before.1 < tail,
            None => before != self.seen || sight.body == Progress::Held,
        };
        if moved {
            self.moved = now;
        }
        let (limit, overdue) = match self.tail {
            Some(_) => (self.limits.answer, Verdict::Unanswered),
            None => (self.limits.stall, Verdict::Stalled),
        };
        if now >= self.moved + limit {
            return overdue;
        }
        Verdict::WaitUntil((self.moved + limit).min(now + look_again(limit)))
    }

    /// How many bytes of the body may still lie in buffers when the last one was taken: the rest
    /// on HTTP/1.1, where nothing else is written; what hyper and TLS buffer at most on HTTP/2.
    fn queued(&self, sight: Sight) -> u64 {
        match self.version {
            Version::H1 => self.total.saturating_sub(sight.written),
            Version::H2 => H2_QUEUED,
        }
    }
}

/// Often enough that a limit is kept to an eighth, seldom enough to cost nothing.
fn look_again(limit: Duration) -> Duration {
    (limit / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

/// Four streams with 256 KiB and a chunk of 128 KiB in h2, the 64 KiB that TLS may hold, and a
/// little more.
const H2_QUEUED: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        answer: Duration::from_secs(60),
        stall: Duration::from_secs(20),
    };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn sight(handed: u64, written: u64, body: Progress) -> Sight {
        Sight {
            handed,
            written,
            body,
        }
    }

    fn waits(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::WaitUntil(_))
    }

    #[test]
    fn twenty_seconds_without_a_byte_are_a_stall() {
        let start = Instant::now();
        let mut watch = Watch::new(LIMITS, 1000, Version::H1, start);
        assert!(waits(
            watch.look(sight(10, 0, Progress::Moving), at(start, 15))
        ));
        assert!(waits(
            watch.look(sight(10, 5, Progress::Moving), at(start, 30))
        ));
        assert!(waits(
            watch.look(sight(10, 5, Progress::Moving), at(start, 49))
        ));
        assert_eq!(
            watch.look(sight(10, 5, Progress::Moving), at(start, 50)),
            Verdict::Stalled
        );
    }

    #[test]
    fn a_held_body_does_not_stall() {
        let start = Instant::now();
        let mut watch = Watch::new(LIMITS, 1000, Version::H2, start);
        for seconds in [10, 30, 90] {
            assert!(waits(
                watch.look(sight(10, 5, Progress::Held), at(start, seconds))
            ));
        }
        assert_eq!(
            watch.look(sight(10, 5, Progress::Moving), at(start, 110)),
            Verdict::Stalled
        );
    }

    #[test]
    fn the_answer_is_awaited_from_the_last_byte_that_left() {
        let start = Instant::now();
        let mut watch = Watch::new(LIMITS, 1000, Version::H1, start);
        assert!(waits(
            watch.look(sight(1000, 400, Progress::Handed), at(start, 10))
        ));
        assert!(waits(
            watch.look(sight(1000, 1100, Progress::Handed), at(start, 60))
        ));
        assert!(waits(
            watch.look(sight(1000, 1100, Progress::Handed), at(start, 119))
        ));
        assert_eq!(
            watch.look(sight(1000, 1100, Progress::Handed), at(start, 120)),
            Verdict::Unanswered
        );
    }

    #[test]
    fn other_streams_do_not_prolong_the_wait_for_ever() {
        let start = Instant::now();
        let mut watch = Watch::new(LIMITS, 1000, Version::H2, start);
        assert!(waits(watch.look(sight(1000, 0, Progress::Handed), start)));
        assert!(waits(
            watch.look(sight(1000, H2_QUEUED, Progress::Handed), at(start, 50))
        ));
        assert!(waits(watch.look(
            sight(1000, 2 * H2_QUEUED, Progress::Handed),
            at(start, 100)
        )));
        assert_eq!(
            watch.look(sight(1000, 3 * H2_QUEUED, Progress::Handed), at(start, 110)),
            Verdict::Unanswered
        );
    }

    #[test]
    fn the_next_look_is_never_after_the_limit() {
        let start = Instant::now();
        let mut watch = Watch::new(LIMITS, 1000, Version::H1, start);
        let almost = start + Duration::from_millis(19_900);
        assert_eq!(
            watch.look(sight(0, 0, Progress::Moving), almost),
            Verdict::WaitUntil(at(start, 20))
        );
    }
}
