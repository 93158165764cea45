//! How much the link certainly carries. In: readings of the meter, acknowledgements, body sizes.
//! Out: how many bodies arrive within a given time. Never: a belief in what only filled sockets.

use std::time::{Duration, Instant};

use super::meter::Meter;

/// The goodput that the deadline's bound relies on.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// The best of late, fading.
    best: f64,
    read_at: Instant,
    acked_at: Option<Instant>,
    /// Bytes and seconds of a slice, and how many were in flight, of late. All three lag alike:
    /// with the present number of permits, opening more would itself look like goodput.
    bytes: f64,
    seconds: f64,
    in_flight: f64,
    /// The largest body of late.
    slice: Option<f64>,
}

impl Evidence {
    pub(super) fn new(now: Instant) -> Self {
        Evidence {
            best: 0.0,
            read_at: now,
            acked_at: None,
            bytes: 0.0,
            seconds: 0.0,
            in_flight: 0.0,
            slice: None,
        }
    }

    pub(super) fn started(&mut self, bytes: u64) {
        self.slice = Some(self.slice.map_or(0.0, |old| old * 0.98).max(bytes as f64));
    }

    /// A slice of `bytes` was acknowledged with `in_flight` in flight, itself included.
    pub(super) fn acked(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        // Three times as slow is another link: means over both would be neither's.
        let other = took.as_secs_f64() > 3.0 * self.seconds;
        let weight = if other { 1.0 } else { 0.2 };
        self.bytes += (bytes as f64 - self.bytes) * weight;
        self.seconds += (took.as_secs_f64() - self.seconds) * weight;
        self.in_flight += (in_flight as f64 - self.in_flight) * weight;
        self.slice = Some(self.slice.unwrap_or(0.0).max(bytes as f64));
        self.acked_at = Some(now);
    }

    /// Takes in what the meter shows with `open` in flight. What is known fades by a fifth each
    /// second, but not while the source is what is slow.
    pub(super) fn read(&mut self, now: Instant, meter: &Meter, open: usize, starving: bool) {
        let passed = now.saturating_duration_since(self.read_at).as_secs_f64();
        self.read_at = now;
        if !starving {
            self.best *= (1.0 - 0.2 * passed).max(0.0);
        }
        let seen = match self.acked_at {
            None => certain(meter, open),
            // New slices fill empty sockets at memory speed; the truth keeps that honest.
            Some(_) => meter.over(LATELY).unwrap_or(0.0).min(1.25 * self.truth()),
        };
        self.best = self.best.max(seen).max(self.present_truth(now));
    }

    /// Goodput by acknowledgements: slices in flight × a slice's pace.
    pub(super) fn truth(&self) -> f64 {
        self.in_flight * self.bytes / self.seconds.max(1e-6)
    }

    /// A slice's time of late, in seconds; 0 before the first.
    pub(super) fn took(&self) -> f64 {
        self.seconds
    }

    pub(super) fn goodput(&self) -> f64 {
        self.best
    }

    /// How many bodies of the largest size of late arrive within `seconds` of each other.
    pub(super) fn carries_within(&self, seconds: f64) -> usize {
        (self.best * seconds / self.slice.unwrap_or(SLICE_ASSUMED)) as usize
    }

    /// The truth, as long as acknowledgements are not overdue: then the link may have broken
    /// down, and only what moves counts.
    fn present_truth(&self, now: Instant) -> f64 {
        let Some(at) = self.acked_at else { return 0.0 };
        let silent = now.saturating_duration_since(at).as_secs_f64();
        if silent > 1.5 * self.seconds + 1.0 {
            0.0
        } else {
            self.truth()
        }
    }
}

/// What has certainly left before the first acknowledgement: what sockets took, less what they
/// can hold, over whichever span proves most. A fast link proves itself within a moment, a slow
/// one in some seconds.
fn certain(meter: &Meter, open: usize) -> f64 {
    let held = open as f64 * SOCKET;
    let lower_bound =
        |seconds: f64| (meter.gained(Duration::from_secs_f64(seconds)) - held) / seconds;
    [0.5, 1.0, 2.0, 4.0, 8.0]
        .into_iter()
        .map(lower_bound)
        .fold(0.0, f64::max)
}

/// What one socket is taken to hold, on its way or not: twice a full queue of a home uplink.
const SOCKET: f64 = 2_097_152.0;

/// What the service has always answered; known exactly once the first slice begins.
const SLICE_ASSUMED: f64 = 16_777_216.0;

/// Four readings of the sockets.
const LATELY: Duration = Duration::from_millis(400);
