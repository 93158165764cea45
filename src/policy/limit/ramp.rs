//! Permits that open one by one. In: how many are wanted, and a slice's time. Out: how many are
//! open. Never: more than is wanted, or a step of many at once.

use std::time::{Duration, Instant};

/// The permits that are open, on their way to as many as are wanted.
#[derive(Debug, Clone)]
pub(super) struct Ramp {
    open: usize,
    opened_at: Instant,
}

impl Ramp {
    pub(super) fn new(now: Instant, open: usize) -> Self {
        Ramp {
            open,
            opened_at: now,
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// No more than `most` from now on.
    pub(super) fn cut(&mut self, most: usize) {
        self.open = self.open.min(most);
    }

    /// Opens up to `most`, `apart` from each other: slices that begin together end together, and
    /// the link lies idle for a round trip each time.
    pub(super) fn approach(&mut self, now: Instant, most: usize, apart: Duration) {
        if self.open >= most {
            self.open = most;
            return;
        }
        // What a late call has missed is caught up with, but never more than one tick's worth.
        self.opened_at = self.opened_at.max(now.checked_sub(TICK).unwrap_or(now));
        while self.open < most && now >= self.opened_at + apart {
            self.open += 1;
            self.opened_at += apart;
        }
    }
}

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_open_one_by_one_and_close_at_once() {
        let begin = Instant::now();
        let mut ramp = Ramp::new(begin, 2);
        let apart = Duration::from_millis(30);
        ramp.approach(begin, 8, apart);
        assert_eq!(ramp.open(), 2);
        ramp.approach(begin + apart, 8, apart);
        assert_eq!(ramp.open(), 3);
        ramp.approach(begin + 100 * apart, 8, apart);
        assert_eq!(ramp.open(), 6, "a late call opens one tick's worth");
        ramp.approach(begin + 100 * apart, 4, apart);
        assert_eq!(ramp.open(), 4);
    }
}
