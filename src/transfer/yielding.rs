//! The pace that leaves room for others on the link, and the bodies that it allows. In: what the pool sees
//! of the link's queue. Out: how long bytes wait, and the rate of which bodies are counted. Never: a sleep.

use std::time::{Duration, Instant};

use crate::net::LinkQueue;
use crate::policy::{Bandwidth, LinkState, Room};

/// `--yield` at work.
#[derive(Debug)]
pub(super) struct Yielding {
    room: Room,
    pace: Bandwidth,
    stand: Stand,
    looked: Instant,
    /// Bytes that went.
    taken: u64,
}

/// What is known of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Nothing yet.
    Unknown,
    /// It is seen.
    Seen,
    /// The kernel does not tell.
    Blind,
}

impl Yielding {
    pub(super) fn new(now: Instant) -> Yielding {
        let room = Room::default();
        Yielding {
            pace: Bandwidth::with_credit(room.rate(), CREDIT),
            room,
            stand: Stand::Unknown,
            looked: now,
            taken: 0,
        }
    }

    /// How long `bytes` wait; `link` and what is under way are asked some times a second.
    pub(super) fn take(
        &mut self,
        now: Instant,
        bytes: u64,
        link: impl FnOnce() -> (Option<LinkQueue>, u64),
    ) -> Duration {
        if now.saturating_duration_since(self.looked) >= LOOK_AFTER {
            self.looked = now;
            let (queue, least) = link();
            self.look(now, queue, least);
        }
        self.taken += bytes;
        match self.stand {
            Stand::Blind => Duration::ZERO,
            Stand::Unknown | Stand::Seen => self.pace.take(now, bytes),
        }
    }

    /// What is under way needs `least` bytes a second.
    fn look(&mut self, now: Instant, queue: Option<LinkQueue>, least: u64) {
        let Some(queue) = queue.filter(|_| self.stand != Stand::Blind) else {
            return;
        };
        match (self.stand, queue.waits) {
            (_, Some(_)) => self.stand = Stand::Seen,
            (Stand::Unknown, None) if self.taken > BLIND_AFTER => {
                self.stand = Stand::Blind;
                return;
            }
            _ => {}
        }
        let state = LinkState {
            waits: queue.waits,
            round_trip: queue.round_trip,
            arrives: queue.arrives,
            least,
        };
        let before = self.room.rate();
        self.room.look(now, &state);
        if self.room.rate() != before {
            self.pace.change(self.room.rate(), now);
        }
        tracing::trace!(?state, rate = self.room.rate(), "room");
    }

    /// The rate of which bodies in flight are counted, as [`Room::bodies_rate`] has it.
    pub(super) fn bodies_rate(&self, for_two: u64) -> Option<u64> {
        (self.stand != Stand::Blind).then(|| self.room.bodies_rate(for_two))
    }

    /// The kernel does not tell, so that nothing is paced.
    pub(super) fn is_blind(&self) -> bool {
        self.stand == Stand::Blind
    }

    /// Somebody else fills the link.
    pub(super) fn gives_way(&self) -> bool {
        self.stand == Stand::Seen && self.room.is_crowded()
    }
}

/// Between two looks at the link.
const LOOK_AFTER: Duration = Duration::from_millis(25);

/// What a late timer may catch up with: more would be a burst into the queue.
const CREDIT: Duration = Duration::from_millis(5);

/// Bytes after which a kernel that tells anything has told.
const BLIND_AFTER: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waits: Option<u64>, arrives: f64) -> Option<LinkQueue> {
        Some(LinkQueue {
            waits: waits.map(Duration::from_millis),
            round_trip: Duration::from_millis(80),
            arrives,
        })
    }

    #[test]
    fn a_kernel_that_tells_nothing_slows_nothing() {
        let (mut yielding, mut now) = (Yielding::new(Instant::now()), Instant::now());
        let _ = yielding.take(now, 4 << 20, || (None, 0));
        let waits = yielding.take(now, 5 << 20, || (None, 0));
        assert!(
            waits > Duration::from_secs(3),
            "it begins slowly: {waits:?}"
        );
        assert!(yielding.bodies_rate(0).is_some() && !yielding.is_blind());
        now += LOOK_AFTER;
        assert_eq!(
            yielding.take(now, 1 << 30, || (queue(None, 0.0), 0)),
            Duration::ZERO
        );
        assert_eq!(yielding.bodies_rate(0), None);
        assert!(yielding.is_blind() && !yielding.gives_way());
    }

    #[test]
    fn a_queue_slows_and_none_hurries() {
        let mut yielding = Yielding::new(Instant::now());
        let begin = yielding.looked;
        let mut arrives = 1e6;
        for look in 1..80 {
            let now = begin + LOOK_AFTER * look;
            let _ = yielding.take(now, 1, || (queue(Some(0), arrives), 0));
            arrives = yielding.room.rate() as f64;
        }
        let fast = yielding.bodies_rate(600_000).expect("it sees");
        assert!(fast > 1_000_000 && !yielding.gives_way(), "{fast}");
        for look in 80..300 {
            let now = begin + LOOK_AFTER * look;
            let _ = yielding.take(now, 1, || (queue(Some(200), arrives), 400_000));
            arrives = yielding.room.rate() as f64;
        }
        assert_eq!(yielding.bodies_rate(600_000), Some(106_250));
        assert!(yielding.gives_way());
    }
}
