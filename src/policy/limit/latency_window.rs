//! The goodput of a number of permits by acknowledgements alone. In: acknowledgements. Out: a
//! goodput that neither bursts nor full sockets disturb. Ignores slices that began under another
//! number of permits.

use std::time::{Duration, Instant};

/// The slices that began after a given time, and what became of them.
///
/// With `n` always in flight, goodput is `n` × bytes ÷ the time that each took (Little's law):
/// exact however the acknowledgements are bunched, where counting them over a second is not.
#[derive(Debug, Clone)]
pub(super) struct LatencyWindow {
    after: Instant,
    slices: usize,
    work: f64,
    seconds: f64,
}

impl LatencyWindow {
    /// The slices that begin from `after` on.
    pub(super) fn new(after: Instant) -> Self {
        LatencyWindow {
            after,
            slices: 0,
            work: 0.0,
            seconds: 0.0,
        }
    }

    /// A slice was acknowledged at `now`; it counts if it began within the window.
    pub(super) fn on_ack(&mut self, now: Instant, work: f64, took: Duration) {
        if now < self.after + took {
            return;
        }
        self.slices += 1;
        self.work += work;
        self.seconds += took.as_secs_f64();
    }

    /// Whether enough is known: as many slices as permits, since the first to come are the
    /// fastest; and sixteen at least, unless they are slow to come.
    pub(super) fn is_whole(&self, permits: usize, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.after) > LONG;
        let least = if waited { 4 } else { 16 };
        self.slices >= permits.max(least)
    }

    /// Work per second with `permits` in flight.
    pub(super) fn goodput(&self, permits: usize) -> f64 {
        permits as f64 * self.work / self.seconds.max(1e-6)
    }
}

/// After this, fewer slices have to do.
const LONG: Duration = Duration::from_secs(4);
