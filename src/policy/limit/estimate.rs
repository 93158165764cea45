//! An estimate of what the link carries, for the bound that the deadline sets. In: readings of the
//! counter, acknowledgements, body sizes. Out: how many bodies arrive within a given time. Never: a
//! belief in what only filled sockets.

use std::time::{Duration, Instant};

use super::counter::Counter;

/// The goodput that the deadline's bound relies on.
#[derive(Debug, Clone)]
pub(super) struct BandwidthEstimate {
    /// The best of late, fading.
    best: f64,
    read_at: Instant,
    acked_at: Option<Instant>,
    /// Bytes and seconds of a slice, and how many were in flight, of late. All three lag alike:
    /// with the present number of permits, opening more would itself look like goodput.
    bytes: f64,
    seconds: f64,
    in_flight: f64,
    /// The largest body so far, once one was begun.
    slice: Option<f64>,
}

impl BandwidthEstimate {
    pub(super) fn new(now: Instant) -> Self {
        BandwidthEstimate {
            best: 0.0,
            read_at: now,
            acked_at: None,
            bytes: 0.0,
            seconds: 0.0,
            in_flight: 0.0,
            slice: None,
        }
    }

    /// Forgets what was carried so far.
    pub(super) fn forget(&mut self) {
        *self = BandwidthEstimate {
            slice: self.slice,
            ..BandwidthEstimate::new(self.read_at)
        };
    }

    pub(super) fn on_start(&mut self, bytes: u64) {
        self.slice = Some(self.slice.unwrap_or(0.0).max(bytes as f64));
    }

    /// A slice of `bytes` was acknowledged with `in_flight` in flight, itself included.
    pub(super) fn on_ack(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        // Three times as slow is another link: means over both would be neither's.
        let other = took.as_secs_f64() > 3.0 * self.seconds;
        let weight = if other { 1.0 } else { 0.2 };
        self.bytes += (bytes as f64 - self.bytes) * weight;
        self.seconds += (took.as_secs_f64() - self.seconds) * weight;
        self.in_flight += (in_flight as f64 - self.in_flight) * weight;
        self.on_start(bytes);
        self.acked_at = Some(now);
    }

    /// Reads the counter, of which sockets can hold `held` bytes; where they hold none it says what arrives. What is known
    /// fades by a fifth each second.
    pub(super) fn read(&mut self, now: Instant, counter: &Counter, held: f64) {
        let arrives = match held > 0.0 {
            true => f64::INFINITY,
            false => counter.over(ARRIVES_OVER).unwrap_or(0.0) * RISES,
        };
        let passed = now.saturating_duration_since(self.read_at).as_secs_f64();
        self.read_at = now;
        self.best *= (1.0 - 0.2 * passed).max(0.0);
        let seen = match self.acked_at {
            None => certain(counter, held),
            Some(at) if self.is_overdue(now, at) => 0.0,
            Some(_) => self.acked_goodput().min(arrives),
        };
        self.best = self.best.max(seen);
    }

    /// A slice's time of late, in seconds; 0 before the first.
    pub(super) fn slice_seconds(&self) -> f64 {
        self.seconds
    }

    /// Whether a body has begun.
    pub(super) fn knows_bodies(&self) -> bool {
        self.slice.is_some()
    }

    /// A body's bytes of late; 0 before the first.
    pub(super) fn body_bytes(&self) -> f64 {
        self.bytes
    }

    /// How many bodies of the largest size arrive within `seconds` of each other.
    pub(super) fn carries_within(&self, seconds: f64) -> usize {
        self.within(seconds, self.best)
    }

    /// How many of them arrive within the gateway's 60 s where `bytes_per_second` are carried.
    pub(super) fn in_time_at(&self, bytes_per_second: u64) -> usize {
        self.within(60.0, bytes_per_second as f64)
    }

    /// Bodies of the largest size that arrive in a second.
    pub(super) fn bodies_a_second(&self) -> f64 {
        self.best / self.slice.unwrap_or(SLICE_ASSUMED)
    }

    fn within(&self, seconds: f64, rate: f64) -> usize {
        (rate * seconds / self.slice.unwrap_or(SLICE_ASSUMED)) as usize
    }

    /// Slices in flight × a slice's pace.
    fn acked_goodput(&self) -> f64 {
        self.in_flight * self.bytes / self.seconds.max(1e-6)
    }

    /// Whether the next acknowledgement should have come: then the link may have broken down.
    fn is_overdue(&self, now: Instant, acked_at: Instant) -> bool {
        let silent = now.saturating_duration_since(acked_at).as_secs_f64();
        silent > 1.5 * self.seconds + 1.0
    }
}

/// What has certainly left before the first acknowledgement: what sockets took, less what they
/// can hold, over whichever span proves most. A fast link proves itself within a moment, a slow
/// one in some seconds.
fn certain(counter: &Counter, held: f64) -> f64 {
    let lower_bound =
        |seconds: f64| (counter.gained(Duration::from_secs_f64(seconds)) - held) / seconds;
    [0.5, 1.0, 2.0, 4.0, 8.0]
        .into_iter()
        .map(lower_bound)
        .fold(0.0, f64::max)
}

/// What arrives over so long, and so much more, is carried at most: just after many more were opened, slices that ended
/// before say more.
const ARRIVES_OVER: Duration = Duration::from_secs(4);
const RISES: f64 = 1.3;

/// What the service has always answered; known exactly once the first slice begins.
const SLICE_ASSUMED: f64 = 16_777_216.0;
