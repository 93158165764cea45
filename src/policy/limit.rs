//! The adaptive gate's brain: how many slices are in flight. In: acknowledgements, bytes that
//! sockets took, troubles, each with its time. Out: a number of permits that follows measured
//! goodput. Never: a clock, a lock, or so many slices that one could not arrive within the
//! gateway's 60 s.
//!
//! Acknowledged bytes are the truth, and slow: on 100 Mbit/s a slice of 16 MiB is acknowledged
//! every 1.3 s, often several at once. Bytes taken by sockets are fast, and run ahead by what the
//! kernel buffers. So the first climb, by doubling, goes by the sockets (`climb`); what is tried
//! later, a quarter up or down, is judged by acknowledgements (`cohort`), unless slices are so slow
//! that these would take minutes (`gauge`); and how many slices arrive in time goes by both,
//! whichever is believable (`evidence`).
//!
//! A link that loses packets is the hard one. Its connections begin fast and lose their pace by and
//! by, each for itself: goodput falls while nothing is wrong with the number but that it is too small.
//! So a fall is answered by a trial upwards; a trial that seems not to pay is held against what the old
//! number carries afterwards as well; and one that gains all that it could is followed by doubling.

mod climb;
mod cohort;
mod evidence;
mod gauge;
mod meter;

use std::time::{Duration, Instant};

use climb::{Direction, Phase, Undone};
use cohort::Cohort;
use evidence::Evidence;
use meter::Meter;

/// The adaptive gate's brain. One for a run, fed by every slice and every small file.
#[derive(Debug, Clone)]
pub struct Limit {
    settings: LimitSettings,
    /// Where the climb stands.
    target: usize,
    /// What is open of it: follows the target one by one, below what arrives in time.
    open: usize,
    opened_at: Instant,
    phase: Phase,
    /// When the phase, or its present measurement, began.
    since: Instant,
    meter: Meter,
    cohort: Cohort,
    evidence: Evidence,
    acked: u64,
    acks: u64,
    progress: Option<u64>,
    in_flight: usize,
    /// When the present burst of acknowledgements began, and how many it has.
    burst: (Instant, usize),
    /// The last time permits lay unused: what is measured then is not the link.
    starved_at: Option<Instant>,
    rtt: Duration,
    /// What the sockets and the acknowledgements said when holding began.
    reference: Option<(f64, f64)>,
    /// The best acknowledged goodput since the link last changed.
    crest: f64,
    next: Direction,
    /// The last trial upwards, until it is known what it stood against.
    undone: Option<Undone>,
    /// Each connection was seen to carry what it carries, whatever the others do.
    own_pace: bool,
    /// How long to hold before the next trial.
    patience: Duration,
    /// Failures of late, each acknowledgement taking a tenth of them away.
    failures: f64,
    cut_at: Option<Instant>,
    /// No trial upwards before this time, after a trouble.
    calm_at: Instant,
    worry: Duration,
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
    /// 8 to begin with: four servers, two each. 256 is where file descriptors and mapped windows
    /// begin to cost; 1 Gbit/s over 200 ms needs 64 if each connection carries 2 MB/s.
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
    /// A gate that nothing has passed yet. Two permits are open until the link has shown that
    /// more arrive in time.
    #[must_use]
    pub fn new(settings: LimitSettings, now: Instant) -> Self {
        let min = settings.min.max(1);
        let settings = LimitSettings {
            min,
            max: settings.max.max(min),
            ..settings
        };
        let target = settings.start.clamp(min, settings.max);
        Limit {
            settings,
            target,
            open: FIRST_OPEN.clamp(min, target),
            opened_at: now,
            phase: Phase::Opening,
            since: now,
            meter: Meter::default(),
            cohort: Cohort::begun(now),
            evidence: Evidence::new(now),
            acked: 0,
            acks: 0,
            progress: None,
            in_flight: 0,
            burst: (now, 0),
            starved_at: None,
            rtt: RTT_ASSUMED,
            reference: None,
            crest: 0.0,
            next: Direction::Up,
            undone: None,
            own_pace: false,
            patience: FIRST_PATIENCE,
            failures: 0.0,
            cut_at: None,
            calm_at: now,
            worry: FIRST_WORRY,
        }
    }

    /// How many slices may be in flight. It changes within any of the `on_` calls, so whoever
    /// waits for a permit is woken after each.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.settings.fixed.unwrap_or(self.open)
    }

    /// The best believable goodput of late, in bytes per second; 0 while nothing is known.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.evidence.goodput()
    }

    /// A slice of `bytes` is about to begin: how large bodies are decides how many arrive in time.
    pub fn on_start(&mut self, bytes: u64) {
        self.evidence.started(bytes);
    }

    /// A slice of `bytes` was acknowledged `took` after it began; `in_flight` slices remain.
    pub fn on_ack(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        self.acked += bytes;
        self.acks += 1;
        self.in_flight = in_flight;
        self.failures *= 0.9;
        self.evidence.acked(now, bytes, took, in_flight + 1);
        self.cohort.acked(now, bytes as f64 + REQUEST, took);
        self.note_starvation(now);
        self.advance(now);
    }

    /// `total` bytes of bodies were taken by sockets since the start of the run. Call it about
    /// ten times a second while anything is in flight.
    pub fn on_progress(&mut self, now: Instant, total: u64) {
        if self.progress.is_none() {
            self.meter = Meter::default();
        }
        self.progress = Some(self.progress.map_or(total, |old| old.max(total)));
        self.advance(now);
    }

    /// A new connection's handshake needed `rtt` for a round trip. The shortest one counts; it
    /// says how long a new connection needs to get up to speed. A long path needs more on its way
    /// and each doubling takes longer there, so the climb begins up to twice as high.
    pub fn on_rtt(&mut self, rtt: Duration) {
        self.rtt = if self.rtt == RTT_ASSUMED {
            rtt
        } else {
            self.rtt.min(rtt)
        };
        if self.phase == Phase::Opening {
            let higher = (self.rtt.as_secs_f64() / LONG_PATH).clamp(1.0, 2.0);
            self.target = self.bounded((self.settings.start as f64 * higher) as usize);
        }
    }

    /// A slice failed. What was in flight together fails together: one cut answers for all that
    /// comes within a second or two (five for time-outs, which come as late as a minute).
    pub fn on_trouble(&mut self, now: Instant, trouble: Trouble) {
        let (weight, share, deaf) = match trouble {
            Trouble::TimedOut => (3.0, 0.5, 5 * SECOND),
            Trouble::Throttled => (3.0, 0.7, SECOND),
            // One reset in fifty is weather, and a dead server's are its own: a cut follows only
            // when one in four fails, and is small.
            Trouble::Failed | Trouble::Stalled => (1.0, 0.85, 2 * SECOND),
        };
        self.failures += weight;
        let answered = self
            .cut_at
            .is_some_and(|at| now.saturating_duration_since(at) < deaf);
        if answered || self.failures < 3.0 {
            return;
        }
        self.cut_at = Some(now);
        self.own_pace = false;
        self.calm_at = now + self.worry;
        if weight > 1.0 {
            self.worry = (self.worry * 2).min(LONGEST_WORRY);
        }
        self.target = self.bounded((self.open as f64 * share) as usize);
        self.open = self.open.min(self.target);
        self.next = Direction::Up;
        self.hold(now);
    }

    fn advance(&mut self, now: Instant) {
        let body = self.progress.unwrap_or(self.acked) as f64;
        self.meter.push(now, body + self.acks as f64 * REQUEST);
        let starving = self.starved_at.is_some_and(|at| at + SECOND > now);
        self.evidence.read(now, &self.meter, self.open, starving);
        self.open_more(now);
        if self.starved_at.is_some_and(|at| at >= self.since) {
            self.restart(now);
        }
        self.climb(now);
    }

    /// Whether permits lie unused. Acknowledgements come in bursts, faster than their places are
    /// taken again, so those of the last moment count as if they were.
    fn note_starvation(&mut self, now: Instant) {
        if now.saturating_duration_since(self.burst.0) > BURST {
            self.burst = (now, 0);
        }
        self.burst.1 += 1;
        let used = self.in_flight + self.burst.1;
        if used * 5 < self.open * 4 && now > self.opened_at + SETTLES {
            self.starved_at = Some(now);
        }
    }

    /// Opens permits one by one, spread over a slice's time (100 ms at most between two): slices
    /// that begin together end together, and the link lies idle for a round trip each time.
    fn open_more(&mut self, now: Instant) {
        let most = self.target.min(self.in_time());
        if self.open >= most {
            self.open = most;
            return;
        }
        let apart = (self.evidence.took().min(1.0) / self.target as f64).min(0.1);
        let apart = if self.acks == 0 {
            FIRST_APART
        } else {
            Duration::from_secs_f64(apart)
        };
        // What a late call has missed is caught up with, but never more than one tick's worth.
        self.opened_at = self.opened_at.max(now.checked_sub(TICK).unwrap_or(now));
        while self.open < most && now >= self.opened_at + apart {
            self.open += 1;
            self.opened_at += apart;
        }
    }

    /// How many bodies arrive well within the gateway's 60 s.
    fn in_time(&self) -> usize {
        let tried = matches!(
            self.phase,
            Phase::Trying {
                direction: Direction::Up,
                ..
            }
        );
        self.within(match self.phase {
            Phase::Opening => OPENS_WITHIN,
            _ if self.own_pace || tried => OWN_PACE_WITHIN,
            _ => ARRIVES_WITHIN,
        })
    }

    fn within(&self, seconds: f64) -> usize {
        self.bounded(self.evidence.carries_within(seconds))
    }

    fn bounded(&self, permits: usize) -> usize {
        permits.clamp(self.settings.min, self.settings.max)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Slices are to arrive in this many seconds, so that a link that halves under them still
/// delivers within the gateway's 60 s.
const ARRIVES_WITHIN: f64 = 25.0;

/// Where each connection has a pace of its own, slices do not come sooner for being fewer.
const OWN_PACE_WITHIN: f64 = 45.0;

/// While the first permits open, goodput is still rising and the bound is nearer to the 60 s.
const OPENS_WITHIN: f64 = 40.0;

/// A request's cost in bytes: with small files goodput is requests rather than bytes.
const REQUEST: f64 = 32_768.0;

/// Open at once: two slices of 16 MiB arrive in time above 4.5 Mbit/s.
const FIRST_OPEN: usize = 2;

/// Until a handshake has said.
const RTT_ASSUMED: Duration = Duration::from_millis(100);

/// Seconds of a round trip from which on the climb begins higher.
const LONG_PATH: f64 = 0.1;

/// Between the first permits, before any slice has told how long one takes.
const FIRST_APART: Duration = Duration::from_millis(30);

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// A permit that was just opened is not unused yet.
const SETTLES: Duration = Duration::from_millis(300);

/// Acknowledgements this close together are one burst.
const BURST: Duration = Duration::from_millis(100);

/// Holding this long costs little when the next trial fails; each failure doubles it.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// No trial upwards so long after the service asked for less; doubled each time it asks again.
const FIRST_WORRY: Duration = Duration::from_secs(5);

/// A service that keeps asking is asked again once a minute.
const LONGEST_WORRY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
