//! The network of one place: how good its link is and whether the server is up. In come
//! [`NetworkConditions`] and the bytes that were read there, out goes how long a reader has to
//! wait; the waiting itself is done by the link.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One of the places that listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The API base.
    Api,
    /// An upload server, counted from 0.
    Server(usize),
}

/// The network at one place. By default there is no limit and no delay, and the server is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConditions {
    /// Bytes per second that all connections of the place share, upwards. None is no limit.
    pub bandwidth: Option<u64>,
    /// Milliseconds that are added to every answer and to setting up a connection: the round
    /// trip, roughly.
    pub latency_ms: u64,
    /// At most so many milliseconds more on an answer, differing from one to the next.
    pub jitter_ms: u64,
    /// Whether the server is up.
    pub service: Service,
}

/// Whether a place is in service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// It is.
    #[default]
    Up,
    /// Connections are refused, and those that were open are reset.
    Dead,
    /// Connections are accepted and stay open, but nothing is read and nothing answered.
    BlackHole,
}

/// A place's network as its connections share it.
#[derive(Debug)]
pub(crate) struct Network {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    conditions: NetworkConditions,
    /// When the shared link has carried all that was read so far.
    carried: Option<Instant>,
    answers: u64,
    /// Links that wait for the conditions to change.
    waiting: Vec<Waker>,
}

impl Network {
    pub(crate) fn new(conditions: NetworkConditions) -> Self {
        let inner = Inner {
            conditions,
            carried: None,
            answers: 0,
            waiting: Vec::new(),
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    pub(crate) fn conditions(&self) -> NetworkConditions {
        self.lock().conditions
    }

    pub(crate) fn change(&self, conditions: NetworkConditions) {
        let mut inner = self.lock();
        inner.conditions = conditions;
        inner.carried = None;
        inner.waiting.drain(..).for_each(Waker::wake);
    }

    /// Has `waker` woken at the next change.
    pub(crate) fn on_change(&self, waker: &Waker) {
        let mut inner = self.lock();
        if !inner.waiting.iter().any(|known| known.will_wake(waker)) {
            inner.waiting.push(waker.clone());
        }
    }

    /// Books `bytes` that were just read, and says until when their reader has to wait before it
    /// reads more. First come, first served: the first reader waits least.
    pub(crate) fn book(&self, bytes: usize, now: Instant) -> Option<Instant> {
        let mut inner = self.lock();
        let bandwidth = inner.conditions.bandwidth?;
        let busy_until = carried(inner.carried, bytes as u64, bandwidth, now);
        inner.carried = Some(busy_until);
        (busy_until > now).then_some(busy_until)
    }

    /// The most that one read may take, so that no connection holds the link for long.
    pub(crate) fn largest_read(&self) -> Option<usize> {
        let bandwidth = self.lock().conditions.bandwidth?;
        let portion = (bandwidth / PORTIONS_PER_SECOND).clamp(1024, 256 << 10);
        Some(usize::try_from(portion).unwrap_or(usize::MAX))
    }

    /// How long the next answer is on its way.
    pub(crate) fn delay(&self) -> Duration {
        let mut inner = self.lock();
        inner.answers += 1;
        let NetworkConditions {
            latency_ms,
            jitter_ms,
            ..
        } = inner.conditions;
        Duration::from_millis(latency_ms + scattered(inner.answers, jitter_ms))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a link of `bandwidth` that is busy until `before` has carried `bytes` more. An idle link
/// may catch up for [`CREDIT`], because timers are late by about a millisecond.
fn carried(before: Option<Instant>, bytes: u64, bandwidth: u64, now: Instant) -> Instant {
    let earliest = now.checked_sub(CREDIT).unwrap_or(now);
    let free = before.unwrap_or(now).max(earliest);
    free + Duration::from_secs_f64(bytes as f64 / bandwidth.max(1) as f64)
}

/// The same sequence in every run: a test that fails by jitter fails again.
fn scattered(n: u64, limit: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    mixed % (limit + 1)
}

/// 5 ms of the link per read: below what a user of the link notices, above a timer's grain.
const PORTIONS_PER_SECOND: u64 = 200;

/// What an idle link may catch up.
const CREDIT: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_carries_its_bandwidth_and_no_more() {
        let start = Instant::now();
        let mut now = start;
        let mut busy = None;
        for _ in 0..1000 {
            let done = carried(busy, 64 << 10, 10 << 20, now);
            busy = Some(done);
            now = now.max(done);
        }
        let seconds = (now - start).as_secs_f64();
        let wanted = 1000.0 * f64::from(64 << 10) / f64::from(10 << 20);
        assert!((seconds - wanted).abs() < 0.02, "{seconds} for {wanted}");
    }

    #[test]
    fn an_idle_link_saves_nothing_up() {
        let start = Instant::now();
        let later = start + Duration::from_secs(60);
        let done = carried(Some(start), 10 << 20, 10 << 20, later);
        assert_eq!(done, later - CREDIT + Duration::from_secs(1));
    }

    #[test]
    fn jitter_stays_within_its_limit_and_differs() {
        let drawn: Vec<u64> = (1..100).map(|n| scattered(n, 9)).collect();
        assert!(drawn.iter().all(|&ms| ms <= 9));
        assert!((0..=9).all(|ms| drawn.contains(&ms)), "{drawn:?}");
        assert_eq!(scattered(7, 0), 0);
    }
}
