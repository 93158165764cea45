//! The last slices: one that straggles is sent once more, elsewhere. In: how old it is, what its socket
//! took and when, how long it should take elsewhere, what hedged requests have cost so far. Out: yes or
//! no. Never: more than 2 % of the bytes (one slice is always allowed).

use std::time::Duration;

/// What sending twice has cost so far, against its bound.
#[derive(Debug, Clone, Default)]
pub struct Hedge {
    spent: u64,
}

/// A slice in flight, seen near the end.
#[derive(Debug, Clone, Copy)]
pub struct Straggler {
    /// The slice's bytes: what a hedged request costs.
    pub bytes: u64,
    /// The time since its attempt began.
    pub age: Duration,
    /// How long it still takes, as [`Pace`] has it.
    pub remaining: Duration,
    /// How long the same slice is expected to take elsewhere, begun now.
    pub elsewhere: Duration,
}

/// Whether anything else is left to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Slices wait for a permit: a hedged request would take their place.
    Waiting,
    /// No slice waits: a free permit has no other use.
    Empty,
}

impl Hedge {
    /// Nothing spent yet.
    #[must_use]
    pub fn new() -> Self {
        Hedge::default()
    }

    /// Whether a hedged request pays and is within bounds; `total` is the bytes of everything to be
    /// sent. The caller asks once for each slice and says [`Hedge::sent`] when it did.
    #[must_use]
    pub fn should(&self, straggler: &Straggler, queue: Queue, total: u64) -> bool {
        queue == Queue::Empty && self.affords(straggler.bytes, total) && straggles(straggler)
    }

    /// A hedged request of `bytes` was sent.
    pub fn sent(&mut self, bytes: u64) {
        self.spent += bytes;
    }

    /// Bytes spent on hedged requests.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    fn affords(&self, bytes: u64, total: u64) -> bool {
        self.spent == 0 || self.spent + bytes <= total / ONE_IN
    }
}

/// It takes twice its expected time in all, and a hedged request begun now would overtake it.
fn straggles(slice: &Straggler) -> bool {
    let takes = slice.age.saturating_add(slice.remaining);
    slice.age >= SHORTEST
        && takes >= slice.elsewhere * 2
        && slice.remaining > slice.elsewhere.mul_f64(1.2)
}

/// How fast a slice arrives, by what its socket takes. That is ahead of what has arrived by what the
/// system buffers, megabytes on a slow link: so the pace is the one at which more is taken, once the
/// buffers are full.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// Age and bytes when the buffers were taken to be full.
    filled: Option<(Duration, u64)>,
    /// The age at which the last byte arrives.
    arrives: Option<Duration>,
}

impl Pace {
    /// Of `bytes` of a slice the socket had taken `sent` at this `age`; answers how long it still takes.
    pub fn remaining(&mut self, age: Duration, sent: u64, bytes: u64) -> Duration {
        match self.filled {
            None if age >= FILLS => self.filled = Some((age, sent)),
            Some((since, before)) if sent < bytes && age > since => {
                let per_second = (sent - before) as f64 / (age - since).as_secs_f64();
                let arrives = Duration::try_from_secs_f64(bytes as f64 / per_second);
                self.arrives = Some(arrives.unwrap_or(Duration::MAX));
            }
            _ => {}
        }
        let left = self.arrives.unwrap_or(age).saturating_sub(age);
        // One that should be there and is not answered could be answered any moment, or never: the
        // longer it is silent, the less likely is soon.
        let silent = if sent >= bytes {
            age.mul_f64(0.5)
        } else {
            Duration::ZERO
        };
        left.max(silent)
    }
}

/// Hedged requests may cost one byte in fifty.
const ONE_IN: u64 = 50;

/// By then a new connection has filled the buffers on its way, or will take seconds to.
const FILLS: Duration = Duration::from_millis(750);

/// Below this a straggler costs less than a hedged request's bookkeeping and its handshake.
const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn slow() -> Straggler {
        Straggler {
            bytes: 16 * MIB,
            age: Duration::from_secs(6),
            remaining: Duration::from_secs(18),
            elsewhere: Duration::from_secs(2),
        }
    }

    #[test]
    fn a_straggler_is_sent_twice_only_when_nothing_else_waits() {
        let hedge = Hedge::new();
        assert!(hedge.should(&slow(), Queue::Empty, 1 << 40));
        assert!(!hedge.should(&slow(), Queue::Waiting, 1 << 40));
    }

    #[test]
    fn a_slice_that_is_nearly_there_or_young_is_left_alone() {
        let hedge = Hedge::new();
        let nearly = Straggler {
            remaining: Duration::from_millis(400),
            ..slow()
        };
        let young = Straggler {
            age: Duration::from_millis(400),
            ..slow()
        };
        let usual = Straggler {
            remaining: Duration::from_secs(6),
            elsewhere: Duration::from_millis(5900),
            ..slow()
        };
        let tiny = Straggler {
            age: Duration::from_millis(100),
            remaining: Duration::from_millis(300),
            elsewhere: Duration::from_millis(10),
            ..slow()
        };
        for straggler in [nearly, young, usual, tiny] {
            assert!(
                !hedge.should(&straggler, Queue::Empty, 1 << 40),
                "{straggler:?}"
            );
        }
    }

    /// What is left of a slice after looks at these milliseconds, when its socket had taken so much.
    fn remaining(looks: &[(u64, u64)]) -> f64 {
        let mut pace = Pace::default();
        let mut left = Duration::ZERO;
        for &(age, sent) in looks {
            left = pace.remaining(Duration::from_millis(age), sent, 16 * MIB);
        }
        left.as_secs_f64()
    }

    #[test]
    fn an_unanswered_slice_is_late_by_its_silence() {
        assert_eq!(remaining(&[(250, 16 * MIB)]), 0.125);
        assert_eq!(remaining(&[(750, 16 * MIB), (6000, 16 * MIB)]), 3.0);
    }

    /// Of 1 MiB/s four MiB are ahead in buffers: 11 s are left after five, where the share that was taken
    /// says four.
    #[test]
    fn what_buffers_hold_has_not_arrived() {
        let slow: Vec<_> = (1..=20)
            .map(|look| (look * 250, 4 * MIB + look * MIB / 4))
            .collect();
        assert!(
            (remaining(&slow) - 11.0).abs() < 0.1,
            "{}",
            remaining(&slow)
        );
        let all_taken: Vec<_> = (1..=60)
            .map(|look| (look * 250, (4 * MIB + look * MIB / 4).min(16 * MIB)))
            .collect();
        assert!(
            (remaining(&all_taken[..52]) - 6.5).abs() < 0.1,
            "silent since a second"
        );
        assert!((remaining(&all_taken) - 7.5).abs() < 0.1);
    }

    #[test]
    fn a_slice_of_which_no_more_is_taken_never_ends() {
        assert_eq!(remaining(&[(500, MIB)]), 0.0, "not known yet");
        assert!(remaining(&[(750, MIB), (1000, MIB)]) > 1e9);
        assert_eq!(remaining(&[(750, MIB), (750, MIB)]), 0.0);
    }

    #[test]
    fn hedged_requests_cost_two_percent_at_most_and_one_is_always_allowed() {
        let total = 100 * 16 * MIB;
        let mut hedge = Hedge::new();
        let mut hedged = 0;
        while hedge.should(&slow(), Queue::Empty, total) {
            hedge.sent(16 * MIB);
            hedged += 1;
        }
        assert_eq!((hedged, hedge.spent()), (2, total / 50));

        let mut hedge = Hedge::new();
        assert!(
            hedge.should(&slow(), Queue::Empty, 16 * MIB),
            "one is always allowed"
        );
        hedge.sent(16 * MIB);
        assert!(!hedge.should(&slow(), Queue::Empty, 16 * MIB));
    }
}
