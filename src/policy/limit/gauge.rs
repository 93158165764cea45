//! What the meters say of the present number of permits. In: the sockets' count, acknowledgements,
//! and how long slices take. Out: goodputs that can be held against each other. Never: a decision.
//!
//! Acknowledgements of slices begun under the present permits are exact and slow; the sockets' count
//! is quick, and runs ahead by what the kernel swallows. Which one to believe depends on how long a
//! slice takes.

use std::time::{Duration, Instant};

use super::Limit;

impl Limit {
    /// Whether the sockets took `gain` times what they took before, when `was` was measured under
    /// `from` permits: with long slices they say so long before the acknowledgements do.
    pub(super) fn rises(&self, now: Instant, from: usize, was: f64, gain: f64) -> bool {
        let (elapsed, rate) = self.since_then(now);
        elapsed >= STEADY_SPAN && rate >= was * gain && self.is_no_gulp(now, from, was, SOCKET)
    }

    /// Whether more was sent than the new connections' sockets can have swallowed, `each` at most.
    pub(super) fn is_no_gulp(&self, now: Instant, from: usize, was: f64, each: f64) -> bool {
        let (elapsed, rate) = self.since_then(now);
        let gulp = (self.open - from.min(self.open)) as f64 * each;
        elapsed >= self.quick_span() * 3 / 4 && (rate - was) * elapsed.as_secs_f64() > gulp
    }

    /// How long the present measurement has gone on, and goodput in it by the sockets.
    fn since_then(&self, now: Instant) -> (Duration, f64) {
        let elapsed = now.saturating_duration_since(self.since);
        (elapsed, self.meter.over(elapsed).unwrap_or(0.0))
    }

    /// Whether new connections are up to speed and goodput rises no more.
    pub(super) fn is_level(&self, now: Instant) -> bool {
        let span = self.quick_span();
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < span || (self.progress.is_none() && !self.cohort.is_whole(self.open, now)) {
            return false;
        }
        let (newer, older) = self.meter.halves(span);
        elapsed >= span * 4 || newer <= older * STILL_RISING
    }

    /// Goodput of the last moments, by the sockets.
    pub(super) fn quick(&self) -> f64 {
        let span = match self.progress {
            Some(_) => self.quick_span() / 2,
            None => return self.steady(),
        };
        self.meter.over(span).unwrap_or(0.0)
    }

    /// The same over a slice's time.
    pub(super) fn steady(&self) -> f64 {
        self.meter.over(self.steady_span()).unwrap_or(0.0)
    }

    /// Goodput of the present permits: by acknowledgements of slices that began under them, or, where
    /// slices are so slow that these would take minutes, by the sockets over a long span.
    pub(super) fn measured(&self, now: Instant) -> Option<f64> {
        let begun = self.since + self.rtt * 6;
        let span = now.saturating_duration_since(begun);
        let sockets = self.progress.and_then(|_| self.meter.over(span));
        if self.slices_are_slow() {
            return sockets.filter(|_| span >= LONGEST_SPAN);
        }
        let whole = self.cohort.is_whole(self.open, now) && now >= self.since + STEADY_SPAN;
        let goodput = self.cohort.goodput(self.open);
        // Within a few slices' time, of unequal connections the fast ones are heard of oftener.
        let soon = span.as_secs_f64() < self.evidence.took() * 4.0;
        let biased = sockets.filter(|sockets| soon && goodput > sockets * BIASED);
        whole.then(|| biased.unwrap_or(goodput))
    }

    /// Whether bodies are long enough for their bytes to be a stream: small ones come in bursts.
    pub(super) fn is_stream(&self) -> bool {
        self.progress.is_some() && self.evidence.took() > STREAM
    }

    pub(super) fn slices_are_slow(&self) -> bool {
        self.progress.is_some() && self.evidence.took() > SLOW
    }

    /// Six round trips bring a new connection up to speed. Small bodies come in step at first,
    /// and some of their cycles have to be seen.
    fn quick_span(&self) -> Duration {
        let cycles = Duration::from_secs_f64(4.0 * self.evidence.took().min(0.3));
        let cycles = if self.evidence.took() > 0.3 {
            Duration::ZERO
        } else {
            cycles
        };
        (self.rtt * 6)
            .max(cycles)
            .clamp(SHORTEST_SPAN, LONGEST_SPAN)
    }

    /// A slice's time is the period in which sockets are filled and drained.
    pub(super) fn steady_span(&self) -> Duration {
        let cycle = Duration::from_secs_f64(self.evidence.took().min(60.0));
        (self.rtt * 12).max(cycle).clamp(STEADY_SPAN, LONGEST_SPAN)
    }
}

/// Four readings of the sockets; with fewer a slope is chance.
const SHORTEST_SPAN: Duration = Duration::from_millis(400);

/// A trial that is kept or undone in less would follow the weather rather than the link.
const STEADY_SPAN: Duration = Duration::from_millis(1500);

/// A changed link is to be noticed within a slice's time on 100 Mbit/s.
const LONGEST_SPAN: Duration = Duration::from_secs(8);

/// Slow start doubles each round trip; below this from half a span to the next it is over.
const STILL_RISING: f64 = 1.05;

/// What a new connection's socket takes without having sent it.
pub(super) const GULP: f64 = 1_048_576.0;

/// The most that one swallows in the end: Linux' `tcp_wmem`.
const SOCKET: f64 = 4_194_304.0;

/// Acknowledgements that tell of so much more than sockets took are those of the fast connections.
const BIASED: f64 = 1.2;

/// Seconds of a body from which the sockets' count over a second or two is smooth.
const STREAM: f64 = 0.5;

/// Seconds of a slice from which on trials are judged by the sockets.
const SLOW: f64 = 4.0;
