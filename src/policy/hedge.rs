//! The last slices: one that straggles is sent once more, elsewhere. In: how old it is, how long
//! it should take elsewhere, what hedged requests have cost so far. Out: yes or no. Never: more than
//! 2 % of the bytes (one slice is always allowed).

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
    /// Bytes of it that its socket has taken so far.
    pub sent: u64,
    /// The time since its attempt began.
    pub age: Duration,
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

/// At least 1.5 times its expected time old, and a hedged request begun now would overtake it.
fn straggles(slice: &Straggler) -> bool {
    let late = slice.elsewhere.mul_f64(1.5).max(SHORTEST);
    slice.age >= late && remaining(slice) > slice.elsewhere.mul_f64(1.2)
}

/// What is left at the pace so far. A slice that is all sent and not answered could be answered
/// any moment, or never: the longer it is silent, the less likely is soon.
fn remaining(slice: &Straggler) -> Duration {
    if slice.sent >= slice.bytes {
        return slice.age.mul_f64(0.5);
    }
    let sent = slice.sent.max(1) as f64;
    let left = (slice.bytes - slice.sent) as f64;
    Duration::try_from_secs_f64(slice.age.as_secs_f64() * left / sent).unwrap_or(Duration::MAX)
}

/// Hedged requests may cost one byte in fifty.
const ONE_IN: u64 = 50;

/// Below this a straggler costs less than a hedged request's bookkeeping and its handshake.
const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn slow() -> Straggler {
        Straggler {
            bytes: 16 * MIB,
            sent: 4 * MIB,
            age: Duration::from_secs(6),
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
            sent: 15 * MIB,
            ..slow()
        };
        let young = Straggler {
            age: Duration::from_secs(2),
            ..slow()
        };
        let tiny = Straggler {
            age: Duration::from_millis(100),
            elsewhere: Duration::from_millis(10),
            ..slow()
        };
        for straggler in [nearly, young, tiny] {
            assert!(
                !hedge.should(&straggler, Queue::Empty, 1 << 40),
                "{straggler:?}"
            );
        }
    }

    #[test]
    fn an_unanswered_slice_is_late_by_its_silence() {
        let silent = |seconds| Straggler {
            sent: 16 * MIB,
            age: Duration::from_secs(seconds),
            ..slow()
        };
        assert!(!Hedge::new().should(&silent(4), Queue::Empty, 0));
        assert!(Hedge::new().should(&silent(5), Queue::Empty, 0));
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
