//! Goodput of one setting. In: counters as they were seen. Out: bytes per second, without what came
//! before the first byte left. Never: a look at the run itself.

use std::time::{Duration, Instant};

/// The counters of one run, as they were seen now and then.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    sights: Vec<Sight>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    at: Duration,
    sent: u64,
    acked: u64,
}

impl Meter {
    /// Nothing seen yet.
    pub fn new() -> Meter {
        Meter {
            began: Instant::now(),
            sights: vec![Sight {
                at: Duration::ZERO,
                sent: 0,
                acked: 0,
            }],
        }
    }

    /// The counters now.
    pub fn see(&mut self, sent: u64, acked: u64) {
        let at = self.began.elapsed();
        self.note(Sight { at, sent, acked });
    }

    /// Drops samples equal to the previous two, keeps the newest.
    fn note(&mut self, sight: Sight) {
        let same = |known: &Sight| (known.sent, known.acked) == (sight.sent, sight.acked);
        let repeated = self
            .sights
            .iter()
            .rev()
            .take(2)
            .filter(|known| same(known))
            .count()
            == 2;
        if repeated {
            self.sights.pop();
        }
        self.sights.push(sight);
    }

    /// From the beginning until now.
    pub fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// Content bytes that left.
    pub fn sent(&self) -> u64 {
        self.last().sent
    }

    /// From the first byte that left to the last sight.
    pub fn sending(&self) -> Duration {
        self.last().at.saturating_sub(self.first().at)
    }

    /// From the first byte that left to the last acknowledgement; the calls after it do not count.
    pub fn until_acked(&self) -> Duration {
        let acked = self.last().acked;
        let end = self.sights.iter().find(|sight| sight.acked == acked);
        end.map_or(Duration::ZERO, |end| end.at.saturating_sub(self.first().at))
    }

    /// Acknowledged bytes per second in that time: of a run that ended.
    pub fn whole(&self) -> f64 {
        per_second(self.last().acked, self.until_acked())
    }

    /// Bytes per second that left in the last three quarters: of a run that was ended early, whose
    /// last slices are never acknowledged, and whose first bytes only filled the kernel's buffers.
    pub fn later_part(&self) -> f64 {
        let from = self.first().at + self.sending() / 4;
        let start = self.sights.iter().find(|sight| sight.at >= from);
        let (start, end) = (start.copied().unwrap_or(self.first()), self.last());
        per_second(end.sent - start.sent, end.at.saturating_sub(start.at))
    }

    /// Bytes per second that left, in steps of this many seconds from the first byte on.
    pub fn way(&self, step: f64) -> Vec<f64> {
        let (first, last) = (self.first(), self.last());
        let span = last.at.saturating_sub(first.at).as_secs_f64();
        let steps = ((span / step).floor() as usize).min(MOST_STEPS);
        let mut sights = self.sights.iter().peekable();
        let mut sent_by = |time: Duration| {
            let mut sent = 0;
            while let Some(sight) = sights.next_if(|sight| sight.at <= time) {
                sent = sight.sent;
            }
            sent
        };
        let mut before = sent_by(first.at);
        let rates = (1..=steps).map(|number| {
            let now = sent_by(first.at + Duration::from_secs_f64(number as f64 * step));
            let now = now.max(before);
            (now - std::mem::replace(&mut before, now)) as f64 / step
        });
        rates.collect()
    }

    /// The last sight before a byte had left.
    fn first(&self) -> Sight {
        let before = self.sights.iter().rev().find(|sight| sight.sent == 0);
        before.copied().unwrap_or(self.sights[0])
    }

    /// There is always one.
    fn last(&self) -> Sight {
        self.sights[self.sights.len() - 1]
    }
}

/// Steps of a way: a setting takes a minute or so.
const MOST_STEPS: usize = 2_000;

fn per_second(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(sights: &[(u64, u64, u64)]) -> Meter {
        let mut meter = Meter::new();
        for &(ms, sent, acked) in sights {
            meter.note(Sight {
                at: Duration::from_millis(ms),
                sent,
                acked,
            });
        }
        meter
    }

    #[test]
    fn what_came_before_the_first_byte_and_after_the_last_ack_does_not_count() {
        let meter = meter(&[
            (1000, 0, 0),
            (3000, 0, 0),
            (3500, 500, 0),
            (4000, 1000, 500),
            (5000, 1000, 1000),
            (6000, 1000, 1000),
            (9000, 1000, 1000),
        ]);
        assert_eq!(meter.whole(), 500.0);
        assert_eq!(meter.until_acked(), Duration::from_secs(2));
        assert_eq!(meter.sending(), Duration::from_secs(6));
        assert_eq!(meter.sights.len(), 6, "idle sights are dropped");
    }

    #[test]
    fn a_run_that_was_ended_is_judged_by_what_left_later() {
        let filled = [(1000, 0, 0), (1100, 8000, 0), (2000, 9000, 0)];
        let steady = (3..=9).map(|s| (s * 1000, 7000 + s * 1000, 0));
        let sights: Vec<_> = filled.into_iter().chain(steady).collect();
        assert_eq!(meter(&sights).later_part(), 1000.0);
    }

    #[test]
    fn the_way_begins_with_the_first_byte_and_loses_nothing() {
        let sights = (0..=20).map(|at| (1000 + at * 100, at * 10, 0));
        let sights: Vec<_> = [(500, 0, 0)].into_iter().chain(sights).collect();
        let way = meter(&sights).way(0.5);
        assert_eq!(way, [100.0; 4]);
        assert_eq!(meter(&[(1000, 0, 0)]).way(0.5), Vec::<f64>::new());
    }

    #[test]
    fn nothing_sent_is_no_goodput() {
        let meter = meter(&[(1000, 0, 0), (2000, 0, 0)]);
        assert_eq!((meter.whole(), meter.later_part()), (0.0, 0.0));
    }
}
