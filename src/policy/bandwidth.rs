//! The limit of bytes per second over everything, `--limit-rate`. In: how many bytes are about to
//! leave. Out: how long they have to wait first. Never: a byte of its own, nor a limit under which a
//! body could not arrive.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Operation, Result};

/// A bucket that sells time: taking bytes pushes the next taker back by their duration.
#[derive(Debug, Clone)]
pub struct Bandwidth {
    bytes_per_second: f64,
    /// When everything sold so far has been sent at exactly the limit.
    sold_until: Option<Instant>,
    /// What an idle or late sender may catch up with.
    credit: Duration,
}

impl Bandwidth {
    /// At most `bytes_per_second`; 0 is taken as 1, since nothing would ever leave.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Bandwidth::with_credit(bytes_per_second, BURST)
    }

    /// The same, where an idle or late sender may catch up with `credit`.
    #[must_use]
    pub fn with_credit(bytes_per_second: u64, credit: Duration) -> Self {
        Bandwidth {
            bytes_per_second: bytes_per_second.max(1) as f64,
            sold_until: None,
            credit,
        }
    }

    /// Bytes per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.bytes_per_second as u64
    }

    /// Another limit from `now` on, as [`Bandwidth::new`] has it. What was sold ahead at the old one is sold at the
    /// new one.
    pub fn change(&mut self, bytes_per_second: u64, now: Instant) {
        let other = Bandwidth::new(bytes_per_second);
        let ratio = self.bytes_per_second / other.bytes_per_second;
        let rest = |until: Instant| now + until.saturating_duration_since(now).mul_f64(ratio);
        self.sold_until = self.sold_until.map(rest);
        self.bytes_per_second = other.bytes_per_second;
    }

    /// Reserves `bytes` and says how long to wait before sending them. Reservations are served in
    /// the order in which they were taken.
    #[must_use = "the bytes may leave only after this time"]
    pub fn take(&mut self, now: Instant, bytes: u64) -> Duration {
        let earliest = now.checked_sub(self.credit).unwrap_or(now);
        let start = self
            .sold_until
            .map_or(earliest, |until| until.max(earliest));
        let lasts = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        self.sold_until = Some(start + lasts);
        start.saturating_duration_since(now)
    }
}

/// Sees that a body of `bytes`, which `what` names, arrives in time at `bytes_per_second`.
///
/// # Errors
/// [`Kind::Invalid`], with the arithmetic.
pub fn check_rate(bytes_per_second: u64, what: &str, bytes: u64) -> Result<()> {
    let least = bytes.div_ceil(IN_TIME);
    if bytes_per_second >= least {
        return Ok(());
    }
    let takes = bytes / bytes_per_second.max(1);
    let message = format!(
        "at the rate limit of {bytes_per_second} bytes/s {what} of {bytes} bytes takes {takes} s, and the service's \
         gateway ends a body after {GATEWAY} s"
    );
    let advice = format!(
        "limit the rate to {}K ({bytes} bytes in {IN_TIME} s) or more, or not at all",
        least.div_ceil(1024)
    );
    Err(Error::new(Kind::Invalid, Operation::Configure, message).advice(advice))
}

/// How many bodies of `bytes` at once arrive in time where they share `bytes_per_second`; at least
/// one.
#[must_use]
pub fn bodies_in_time(bytes_per_second: u64, bytes: u64) -> usize {
    let bodies = bytes_per_second.saturating_mul(IN_TIME) / bytes.max(1);
    usize::try_from(bodies).unwrap_or(usize::MAX).max(1)
}

/// The bytes a second at which so many bodies of `bytes` at once arrive in time.
#[must_use]
pub fn rate_in_time(bodies: usize, bytes: u64) -> u64 {
    (bodies as u64).saturating_mul(bytes) / IN_TIME
}

/// The size of a slice in everything that the service has answered, in bytes.
pub const USUAL_SLICE: u64 = 16 << 20;

/// Seconds after which the service's gateway ends a body that has not arrived.
const GATEWAY: u64 = 60;

/// Seconds that a body may take at the limit: a sixth of the gateway's is left for the way there and
/// back.
const IN_TIME: u64 = 50;

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

    /// A rate that changes each ten seconds, as a timetable's does: each ten have their own share.
    #[test]
    fn each_rate_is_kept_from_when_it_begins() {
        let start = Instant::now();
        for (takers, bytes) in [(1, 16_384), (4, 16_384), (1, 65_536)] {
            let mut bandwidth = Bandwidth::new(10_000_000);
            let mut ready = vec![start; takers];
            let mut sent = [0_u64; 4];
            let mut at_rate = 0;
            loop {
                let next = (0..takers).min_by_key(|&taker| ready[taker]).expect("some");
                let tens = (ready[next] - start).as_secs() as usize / 10;
                if tens >= 4 {
                    break;
                }
                if tens > at_rate {
                    at_rate = tens;
                    bandwidth.change(RATES[tens], start + Duration::from_secs(10) * tens as u32);
                }
                sent[tens] += bytes;
                let now = ready[next];
                ready[next] += bandwidth.take(now, bytes);
            }
            for (sent, rate) in sent.iter().zip(RATES) {
                let share = *sent as f64 / (rate * 10) as f64;
                assert!(
                    (0.97..=1.03).contains(&share),
                    "{takers} of {bytes}, {rate}: {share}"
                );
            }
        }
    }

    const RATES: [u64; 4] = [10_000_000, 500_000, 80_000_000, 2_000_000];

    #[test]
    fn a_limit_is_refused_from_where_a_body_arrives_too_late() {
        let check = |rate| check_rate(rate, "a slice", USUAL_SLICE);
        assert!(check(335_545).is_ok());
        let error = check(335_544).expect_err("a byte a second too few");
        assert_eq!(error.kind(), Kind::Invalid);
        let message = check(100 << 10).expect_err("too slow").to_string();
        for part in ["102400 bytes/s", "16777216 bytes", "163 s", "60 s", "328K"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(check_rate(1, "a file", 50).is_ok());
        assert!(check_rate(0, "a file", 50).is_err());
    }

    #[test]
    fn bodies_share_the_limit_so_that_all_arrive_in_time() {
        assert_eq!(bodies_in_time(400 << 10, USUAL_SLICE), 1);
        assert_eq!(bodies_in_time(1 << 20, USUAL_SLICE), 3);
        assert_eq!(bodies_in_time(1, USUAL_SLICE), 1);
        assert_eq!(bodies_in_time(u64::MAX, 0), usize::MAX);
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
