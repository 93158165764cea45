//! How many slices are in flight.

use std::time::{Duration, Instant};

/// The adaptive gate's brain.
#[derive(Debug, Clone)]
pub struct Limit {
    settings: LimitSettings,
}

/// Bounds of a [`Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// `--concurrency N`: exactly that many, whatever happens.
    pub fixed: Option<usize>,
    /// Never fewer.
    pub min: usize,
    /// Never more.
    pub max: usize,
    /// How many to begin with, once the link has shown that it carries them in time.
    pub start: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings {
            fixed: None,
            min: 1,
            max: 256,
            start: 8,
        }
    }
}

/// What went wrong with a slice, as far as the gate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 429 or 5xx: the service asks for less.
    Throttled,
    /// Refused, reset, GOAWAY.
    Failed,
    /// The gateway's 60 s, or ours: too many shared the link.
    TimedOut,
    /// No progress on the connection.
    Stalled,
}

impl Limit {
    /// A gate that nothing has passed yet.
    #[must_use]
    pub fn new(settings: LimitSettings, _now: Instant) -> Self {
        Limit { settings }
    }

    /// A slice of `bytes` was acknowledged `took` after it began; `in_flight` slices remain.
    pub fn on_ack(&mut self, _now: Instant, _bytes: u64, _took: Duration, _in_flight: usize) {}

    /// `total` bytes of bodies were taken by sockets since the start. Call it ten times a second
    /// or so; see [`Limit::permits`].
    pub fn on_progress(&mut self, _now: Instant, _total: u64) {}

    /// A slice failed.
    pub fn on_trouble(&mut self, _now: Instant, _trouble: Trouble) {}

    /// How many slices may be in flight. It changes within any of the `on_` calls.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.settings.fixed.unwrap_or(self.settings.start)
    }
}
