//! Measurements under the present number of permits. In: the sockets' count,
//! acknowledgements, round trips. Out: goodputs that can be held against each other. Never: a
//! decision.
//!
//! Acknowledgements of slices begun under the present permits are exact and slow; the sockets'
//! count is quick, and runs ahead by what the kernel buffers, unless it is of what has arrived. Which one to believe depends on how
//! long a slice takes.

use std::time::{Duration, Instant};

use super::Seen;
use super::counter::Counter;
use super::estimate::BandwidthEstimate;
use super::latency_window::LatencyWindow;

/// All that was measured, up to the last reading.
#[derive(Debug, Clone)]
pub(super) struct Goodput {
    counter: Counter,
    window: LatencyWindow,
    estimate: BandwidthEstimate,
    /// When the counter was last read.
    now: Instant,
    /// When the present measurement began.
    since: Instant,
    /// Permits, and slices in flight.
    open: usize,
    in_flight: usize,
    acked: u64,
    acks: u64,
    /// What arrived or what sockets took, once that is reported.
    progress: Option<u64>,
    seen: Seen,
    rtt: Option<Duration>,
}

impl Goodput {
    pub(super) fn new(now: Instant, open: usize) -> Self {
        Goodput {
            counter: Counter::default(),
            window: LatencyWindow::new(now),
            estimate: BandwidthEstimate::new(now),
            now,
            since: now,
            open,
            in_flight: 0,
            acked: 0,
            acks: 0,
            progress: None,
            seen: Seen::Taken,
            rtt: None,
        }
    }

    pub(super) fn on_start(&mut self, bytes: u64) {
        // What came before the first body says nothing.
        if !self.has_begun() {
            self.since = self.now;
        }
        self.estimate.on_start(bytes);
    }

    /// A slice was acknowledged; `in_flight` remain.
    pub(super) fn on_ack(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        self.acked += bytes;
        self.acks += 1;
        self.in_flight = in_flight;
        self.estimate.on_ack(now, bytes, took, in_flight + 1);
        self.window.on_ack(now, bytes as f64 + REQUEST, took);
    }

    pub(super) fn on_progress(&mut self, total: u64, seen: Seen) {
        if self.progress.is_none() || seen != self.seen {
            (self.counter, self.progress) = (Counter::default(), None);
        }
        self.seen = seen;
        self.progress = Some(self.progress.map_or(total, |old| old.max(total)));
    }

    /// Keeps the shortest round trip, and returns it.
    pub(super) fn on_rtt(&mut self, rtt: Duration) -> Duration {
        let shortest = self.rtt.map_or(rtt, |old| old.min(rtt));
        self.rtt = Some(shortest);
        shortest
    }

    /// Whether a body has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.estimate.knows_bodies()
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// So many permits are open at `now`.
    pub(super) fn on_open(&mut self, now: Instant, open: usize) {
        self.now = now;
        self.open = open;
    }

    /// Reads the counter.
    pub(super) fn read(&mut self, now: Instant) {
        self.now = now;
        let body = self.progress.unwrap_or(self.acked) as f64;
        self.counter.push(now, body + self.acks as f64 * REQUEST);
        let held = self.held(self.open, SOCKET_HOLDS);
        self.estimate.read(now, &self.counter, held);
    }

    /// Begins the present measurement anew.
    pub(super) fn restart(&mut self) {
        self.since = self.now;
        self.window = LatencyWindow::new(self.now + self.warm_up());
    }

    /// Forgets what sockets took so far: most of it they hold, and some of them are closed.
    pub(super) fn forget(&mut self) {
        self.counter = Counter::default();
        self.estimate.forget();
        self.restart();
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How long the present measurement has gone on.
    pub(super) fn lasts(&self) -> Duration {
        self.now.saturating_duration_since(self.since)
    }

    /// How long a new connection needs to be up to speed: six round trips.
    pub(super) fn warm_up(&self) -> Duration {
        self.rtt.unwrap_or(RTT_ASSUMED) * 6
    }

    /// Whether it is known how long slices take: before, a slow start looks like a slow link.
    pub(super) fn knows_slices(&self) -> bool {
        self.acks >= 2 * self.open as u64
    }

    /// How many bodies arrive within `seconds` of each other.
    pub(super) fn carries_within(&self, seconds: f64) -> usize {
        self.estimate.carries_within(seconds)
    }

    /// How many bodies arrive in time where `bytes_per_second` are carried.
    pub(super) fn in_time_at(&self, bytes_per_second: u64) -> usize {
        self.estimate.in_time_at(bytes_per_second)
    }

    /// How many bodies fill the link where others share it: with the square root of what is carried, so that whoever
    /// has less goes up and whoever has more goes down until all have the same.
    pub(super) fn fill(&self) -> usize {
        (self.estimate.bodies_a_second() * FILLS).sqrt().round() as usize
    }

    /// The time between two permits that open, on the way to `target`.
    pub(super) fn spacing(&self, target: usize) -> Duration {
        if self.acks == 0 {
            return FIRST_APART;
        }
        let apart = (self.estimate.slice_seconds().min(1.0) / target as f64).min(0.1);
        Duration::from_secs_f64(apart)
    }

    /// Whether the sockets take `gain` times what they took before: where slices are long they say
    /// so long before the acknowledgements do.
    pub(super) fn rises(&self, before: f64, gain: f64) -> bool {
        let least = STEADY_SPAN.max(self.quick_span() * 3 / 4);
        self.lasts() >= least && self.by_sockets() >= before * gain
    }

    /// Whether more was sent than the sockets of new connections can have taken in, where `from`
    /// permits carried `was`.
    pub(super) fn exceeds_socket_fill(&self, from: usize, was: f64) -> bool {
        let fill = self.held(self.open.saturating_sub(from), SOCKET_FILL);
        let more = (self.by_sockets() - was) * self.lasts().as_secs_f64();
        self.lasts() >= self.quick_span() * 3 / 4 && more > fill
    }

    /// What so many `sockets` hold of what was counted, where each holds `bytes`.
    fn held(&self, sockets: usize, bytes: f64) -> f64 {
        match self.seen {
            Seen::Taken => sockets as f64 * bytes,
            Seen::Arrived => 0.0,
        }
    }

    /// Goodput in the present measurement by the sockets.
    fn by_sockets(&self) -> f64 {
        self.counter.over(self.lasts()).unwrap_or(0.0)
    }

    /// Whether new connections are up to speed and goodput rises no more.
    pub(super) fn is_level(&self) -> bool {
        let span = self.quick_span();
        let seen = self.progress.is_some() || self.window.is_whole(self.open, self.now);
        if self.lasts() < span || !seen {
            return false;
        }
        let (newer, older) = self.counter.halves(span);
        self.has_lasted() || newer <= older * STILL_RISING
    }

    /// Whether the present measurement has gone on for so long that it is not waited for more.
    pub(super) fn has_lasted(&self) -> bool {
        self.lasts() >= self.quick_span() * 4
    }

    /// The same for connections that are all new: what their sockets took at once is not taken for a pace.
    pub(super) fn has_levelled(&self) -> bool {
        self.lasts() >= self.quick_span() * 2 && self.is_level()
    }

    /// Goodput of the last moments, by the sockets.
    pub(super) fn quick(&self) -> f64 {
        let span = match self.progress {
            Some(_) => self.quick_span() / 2,
            None => return self.steady(),
        };
        self.counter.over(span).unwrap_or(0.0)
    }

    /// Goodput of the last `span`, in bytes a second.
    pub(super) fn over(&self, span: Duration) -> u64 {
        self.counter.over(span).unwrap_or(0.0) as u64
    }

    /// Goodput over a slice's time.
    pub(super) fn steady(&self) -> f64 {
        self.counter.over(self.steady_span()).unwrap_or(0.0)
    }

    /// Goodput of the present permits: by acknowledgements of slices that began under them, or, where
    /// slices are so slow that these would take minutes, by the sockets over a long span.
    pub(super) fn settled(&self) -> Option<f64> {
        if self.progress.is_some() && self.estimate.slice_seconds() > SLOW {
            let span = self.lasts().saturating_sub(self.warm_up());
            return self.counter.over(span).filter(|_| span >= LONGEST_SPAN);
        }
        let whole = self.window.is_whole(self.open, self.now) && self.lasts() >= STEADY_SPAN;
        whole.then(|| self.window.goodput(self.open))
    }

    /// Whether bodies of late were small files rather than slices; not before the first has arrived.
    pub(super) fn is_of_small_bodies(&self) -> bool {
        self.acks > 0 && self.estimate.body_bytes() < SLICE
    }

    /// Small bodies come in step at first, and some of their cycles have to be seen.
    fn quick_span(&self) -> Duration {
        let seconds = self.estimate.slice_seconds();
        let cycles = if seconds > SMALL { 0.0 } else { 4.0 * seconds };
        self.warm_up()
            .max(Duration::from_secs_f64(cycles))
            .clamp(SHORTEST_SPAN, LONGEST_SPAN)
    }

    /// A slice's time is the period in which sockets are filled and drained.
    pub(super) fn steady_span(&self) -> Duration {
        let cycle = Duration::from_secs_f64(self.estimate.slice_seconds().min(60.0));
        (self.warm_up() * 2)
            .max(cycle)
            .clamp(STEADY_SPAN, LONGEST_SPAN)
    }
}

/// Seconds of what is carried of which so many bodies as their root fill a link: 8 on 100 Mbit/s, 26 on 1 Gbit/s.
const FILLS: f64 = 90.0;

/// A request's cost in bytes: with small files goodput is requests rather than bytes.
const REQUEST: f64 = 32_768.0;

/// A round trip, before the first handshake.
const RTT_ASSUMED: Duration = Duration::from_millis(100);

/// Between the first permits, before any slice has shown how long one takes.
const FIRST_APART: Duration = Duration::from_millis(30);

/// Four readings of the sockets; with fewer a slope is chance.
const SHORTEST_SPAN: Duration = Duration::from_millis(400);

/// A probe that is kept or reverted in less would follow chance rather than the link.
const STEADY_SPAN: Duration = Duration::from_millis(1500);

/// A changed link is to be noticed within a slice's time on 100 Mbit/s.
const LONGEST_SPAN: Duration = Duration::from_secs(8);

/// Slow start doubles each round trip; below this from half a span to the next it is over.
const STILL_RISING: f64 = 1.05;

/// What a new connection's socket takes without having sent it.
const SOCKET_FILL: f64 = 1_048_576.0;

/// What one socket is taken to hold, on its way or not: twice a full queue of a home uplink.
const SOCKET_HOLDS: f64 = 2_097_152.0;

/// Seconds of a body up to which it is small: a few round trips.
const SMALL: f64 = 0.3;

/// Bytes of a body from which its request costs nothing beside it.
const SLICE: f64 = 1_048_576.0;

/// Seconds of a slice from which probes are judged by the sockets.
const SLOW: f64 = 4.0;
