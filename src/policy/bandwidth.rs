//! The limit of bytes per second over everything, `--limit-rate`. In: how many bytes are about to
//! leave. Out: how long they have to wait first. Never: a byte of its own, nor a refusal.

use std::time::{Duration, Instant};

/// A bucket that sells time: taking bytes pushes the next taker back by their duration.
#[derive(Debug, Clone)]
pub struct Bandwidth {
    bytes_per_second: f64,
    /// When everything sold so far has been sent at exactly the limit.
    sold_until: Option<Instant>,
}

impl Bandwidth {
    /// At most `bytes_per_second`; 0 is taken as 1, since nothing would ever leave.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Bandwidth {
            bytes_per_second: bytes_per_second.max(1) as f64,
            sold_until: None,
        }
    }

    /// Reserves `bytes` and says how long to wait before sending them. Reservations are served in
    /// the order in which they were taken.
    #[must_use = "the bytes may leave only after this time"]
    pub fn take(&mut self, now: Instant, bytes: u64) -> Duration {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = self
            .sold_until
            .map_or(earliest, |until| until.max(earliest));
        let lasts = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        self.sold_until = Some(start + lasts);
        start.saturating_duration_since(now)
    }
}

/// Credit that an idle or late sender may catch up with: timers come up to some milliseconds
/// late, and 100 ms in 10 s is 1 % of the 3 % that are promised.
const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave within `seconds` when `takers` send pieces of `bytes` whenever they may,
    /// each timer `late` behind.
    fn sent_in(seconds: u64, takers: usize, bytes: u64, late: Duration) -> u64 {
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let mut bandwidth = Bandwidth::new(10_000_000);
        let mut ready = vec![start; takers];
        let mut sent = 0;
        loop {
            let next = (0..takers)
                .min_by_key(|&taker| ready[taker])
                .expect("there are takers");
            if ready[next] >= end {
                return sent;
            }
            let wait = bandwidth.take(ready[next], bytes);
            let slept = if wait.is_zero() { wait } else { wait + late };
            ready[next] += slept;
            sent += if ready[next] < end { bytes } else { 0 };
        }
    }

    #[test]
    fn ten_seconds_are_kept_within_three_percent() {
        for takers in [1, 4, 64] {
            for bytes in [1_000, 16_384, 262_144] {
                for late in [Duration::ZERO, Duration::from_millis(2)] {
                    let share = sent_in(10, takers, bytes, late) as f64 / 100_000_000.0;
                    assert!(
                        (0.97..=1.03).contains(&share),
                        "{takers} takers of {bytes}, {late:?} late: {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_idle_minute_buys_no_burst() {
        let start = Instant::now();
        let mut bandwidth = Bandwidth::new(1_000_000);
        assert_eq!(bandwidth.take(start, 1_000_000), Duration::ZERO);
        let later = start + Duration::from_secs(60);
        assert_eq!(bandwidth.take(later, 1_000_000), Duration::ZERO);
        assert_eq!(bandwidth.take(later, 1), Duration::from_millis(900));
    }

    #[test]
    fn reservations_queue_in_order() {
        let now = Instant::now();
        let mut bandwidth = Bandwidth::new(1_000);
        let waits: Vec<_> = (0..4)
            .map(|_| bandwidth.take(now, 1_000).as_millis())
            .collect();
        assert_eq!(waits, [0, 900, 1900, 2900]);
    }
}
