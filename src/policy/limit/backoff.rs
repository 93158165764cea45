//! Failures that ask for fewer at once. In: signals of congestion and acknowledgements. Out: what a
//! cut leaves, and until when there is no probe upwards. Never: two cuts for what failed together.

use std::time::{Duration, Instant};

use super::CongestionSignal;

/// What failed of late, and what it led to.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    /// Failures of late, each acknowledgement taking a tenth of them away.
    failures: f64,
    cut_at: Option<Instant>,
    /// How often it cut, and for what the last time.
    cuts: u64,
    cut_for: Option<CongestionSignal>,
    no_probe_until: Instant,
}

impl Backoff {
    pub(super) fn new(now: Instant) -> Self {
        Backoff {
            failures: 0.0,
            cut_at: None,
            cuts: 0,
            cut_for: None,
            no_probe_until: now,
        }
    }

    /// A slice was acknowledged.
    pub(super) fn on_ack(&mut self) {
        self.failures *= 0.9;
    }

    /// A slice failed: the share of the permits that a cut leaves, if one is due. What was in flight
    /// together fails together, so one cut answers for all failures within its cooldown.
    pub(super) fn on_signal(&mut self, now: Instant, signal: CongestionSignal) -> Option<f64> {
        let (weight, share, cooldown) = match signal {
            // They come as late as a minute, and apart.
            CongestionSignal::TimedOut => (CUTS, 0.5, 5 * SECOND),
            CongestionSignal::Throttled => (CUTS, 0.7, SECOND),
            // One reset in fifty is usual, and a dead server's are its own: a cut follows only
            // when one in four fails, and is small.
            CongestionSignal::Failed | CongestionSignal::Stalled => (1.0, 0.85, 2 * SECOND),
        };
        self.failures += weight;
        let answered = self
            .cut_at
            .is_some_and(|at| now.saturating_duration_since(at) < cooldown);
        if answered || self.failures < CUTS {
            return None;
        }
        self.cut_at = Some(now);
        (self.cuts, self.cut_for) = (self.cuts + 1, Some(signal));
        self.no_probe_until = now + THROTTLE_BACKOFF;
        Some(share)
    }

    /// How often it cut, and for what the last time.
    pub(super) fn cuts(&self) -> (u64, Option<CongestionSignal>) {
        (self.cuts, self.cut_for)
    }

    /// Whether the last cut is long enough ago for a probe upwards.
    pub(super) fn allows_more(&self, now: Instant) -> bool {
        now >= self.no_probe_until
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// So many failures of late are answered by a cut.
const CUTS: f64 = 3.0;

/// No probe upwards so long after a cut.
const THROTTLE_BACKOFF: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_together_is_answered_once() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        assert_eq!(
            backoff.on_signal(now, CongestionSignal::Throttled),
            Some(0.7)
        );
        assert!(!backoff.allows_more(now + SECOND));
        let soon = now + SECOND / 2;
        assert_eq!(backoff.on_signal(soon, CongestionSignal::Throttled), None);
        let later = now + 2 * SECOND;
        assert_eq!(
            backoff.on_signal(later, CongestionSignal::TimedOut),
            None,
            "within a time-out's cooldown"
        );
        assert!(backoff.allows_more(now + THROTTLE_BACKOFF));
    }

    #[test]
    fn single_resets_cut_nothing() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        for _ in 0..100 {
            assert_eq!(backoff.on_signal(now, CongestionSignal::Failed), None);
            (0..10).for_each(|_| backoff.on_ack());
        }
    }
}
