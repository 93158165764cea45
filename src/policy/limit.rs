//! The adaptive gate's brain: how many slices are in flight. In: acknowledgements, bytes that
//! sockets took, troubles, each with its time. Out: a number of permits that follows measured
//! goodput. Never: a clock, a lock, or so many slices that one could not arrive within the
//! gateway's 60 s.
//!
//! It climbs: doubling at first, as long as that pays, then a quarter up or down from time to
//! time, kept when goodput says so. Acknowledged bytes are the truth; bytes taken by sockets run
//! ahead of it by what the kernel buffers, but come ten times a second, where 16 MiB slices on
//! 100 Mbit/s are acknowledged every 1.3 s and often several at once.

mod meter;

use std::time::{Duration, Instant};

use meter::Meter;

/// The adaptive gate's brain. One for a run, fed by every slice and every small file.
#[derive(Debug, Clone)]
pub struct Limit {
    settings: LimitSettings,
    /// Where the climb stands.
    target: usize,
    /// What is open of it: it follows the target one by one, and stays below the deadline's cap.
    open: usize,
    opened_at: Instant,
    phase: Phase,
    /// When the phase, or its present measurement, began.
    since: Instant,
    acks_since: usize,
    meter: Meter,
    acked: u64,
    acks: u64,
    progress: Option<u64>,
    in_flight: usize,
    /// When the present burst of acknowledgements began, and how many it has.
    burst: (Instant, usize),
    /// The last time a permit lay unused: what is measured then is not the link.
    starved_at: Option<Instant>,
    /// The largest body of late, and how long one takes.
    slice: Option<f64>,
    took: f64,
    rtt: Duration,
    /// The goodput that the deadline's cap relies on: the best of late.
    evidence: f64,
    evidence_at: Instant,
    /// What acknowledgements say: slices in flight × bytes ÷ the time that each took.
    truth: f64,
    acked_at: Instant,
    /// The goodput at the present target, and the best since the link last changed.
    reference: Option<f64>,
    /// What was acknowledged when the reference was taken.
    truth_then: f64,
    crest: f64,
    /// Where the next trial goes, and how long to hold before it.
    next: Direction,
    patience: Duration,
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

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The first permits are opened as the link shows that it carries them.
    Opening,
    /// Twice as many as `from`, which carried `was`.
    Doubling { from: usize, was: f64 },
    /// Nothing is tried; the reference is measured and the link watched for a change.
    Holding,
    /// A quarter more or fewer than `from`, which carried `was`.
    Trying {
        from: usize,
        was: f64,
        direction: Direction,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Limit {
    /// A gate that nothing has passed yet. One permit is open until the link has shown that more
    /// arrive in time.
    #[must_use]
    pub fn new(settings: LimitSettings, now: Instant) -> Self {
        let min = settings.min.max(1);
        let settings = LimitSettings {
            min,
            max: settings.max.max(min),
            ..settings
        };
        Limit {
            settings,
            target: settings.start.clamp(min, settings.max),
            open: min.max(FIRST_OPEN).min(settings.max),
            opened_at: now,
            phase: Phase::Opening,
            since: now,
            acks_since: 0,
            meter: Meter::new(now),
            acked: 0,
            acks: 0,
            progress: None,
            in_flight: 0,
            burst: (now, 0),
            starved_at: None,
            slice: None,
            took: 0.0,
            rtt: RTT_ASSUMED,
            evidence: 0.0,
            evidence_at: now,
            truth: 0.0,
            acked_at: now,
            reference: None,
            truth_then: 0.0,
            crest: 0.0,
            next: Direction::Up,
            patience: FIRST_PATIENCE,
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

    /// A slice of `bytes` was acknowledged `took` after it began; `in_flight` slices remain.
    pub fn on_ack(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        self.acked += bytes;
        self.acks += 1;
        self.acks_since += 1;
        self.slice = Some(self.slice.map_or(0.0, |old| old * 0.98).max(bytes as f64));
        self.took += (took.as_secs_f64() - self.took) * if self.acks == 1 { 1.0 } else { 0.2 };
        self.in_flight = in_flight;
        let carried = (in_flight + 1) as f64 * bytes as f64 / took.as_secs_f64().max(1e-6);
        self.truth += (carried - self.truth) * if self.acks == 1 { 1.0 } else { 0.2 };
        self.acked_at = now;
        self.note_starvation(now);
        self.advance(now);
    }

    /// `total` bytes of bodies were taken by sockets since the start of the run. Call it about
    /// ten times a second while anything is in flight.
    pub fn on_progress(&mut self, now: Instant, total: u64) {
        if self.progress.is_none() {
            self.meter = Meter::new(now);
        }
        self.progress = Some(self.progress.map_or(total, |old| old.max(total)));
        self.advance(now);
    }

    /// A new connection's handshake needed `rtt` for a round trip. The shortest one counts; it
    /// says how long a new connection needs to get up to speed.
    pub fn on_rtt(&mut self, rtt: Duration) {
        self.rtt = if self.rtt == RTT_ASSUMED {
            rtt
        } else {
            self.rtt.min(rtt)
        };
    }

    /// A slice failed. What was in flight together fails together: one cut answers for all that
    /// comes within a second (five for time-outs, which come as late as a minute).
    pub fn on_trouble(&mut self, now: Instant, trouble: Trouble) {
        let (share, deaf) = match trouble {
            Trouble::TimedOut => (0.5, Duration::from_secs(5)),
            Trouble::Throttled | Trouble::Stalled => (0.7, SECOND),
            // One of four servers dies: what is in flight there is a quarter, and the rest is well.
            Trouble::Failed => (0.85, Duration::from_secs(2)),
        };
        if self
            .cut_at
            .is_some_and(|at| now.saturating_duration_since(at) < deaf)
        {
            return;
        }
        self.cut_at = Some(now);
        self.calm_at = now + self.worry;
        self.worry = (self.worry * 2).min(LONGEST_WORRY);
        self.target = self.bounded((self.open as f64 * share) as usize);
        self.open = self.open.min(self.target);
        self.hold(now);
        self.next = Direction::Up;
    }

    fn advance(&mut self, now: Instant) {
        let body = self.progress.unwrap_or(self.acked) as f64;
        self.meter.push(now, body + self.acks as f64 * REQUEST);
        self.gather_evidence(now);
        self.open_more(now);
        if self.starved_at.is_some_and(|at| at >= self.since) {
            self.restart(now);
        }
        if self.is_clearly_better(now) {
            return;
        }
        if !self.has_settled(now) {
            return;
        }
        match self.phase {
            Phase::Opening => {
                let was = self.measured();
                self.double(now, was);
            }
            Phase::Doubling { from, was } => self.judge_doubling(now, from, was),
            Phase::Holding => self.watch(now),
            Phase::Trying {
                from,
                was,
                direction,
            } => {
                self.judge_trial(now, from, was, direction);
            }
        }
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
        let apart = Duration::from_secs_f64((self.took.min(1.0) / self.target as f64).min(0.1));
        let apart = if self.acks == 0 { FIRST_APART } else { apart };
        while self.open < most && now >= self.opened_at + apart {
            self.open += 1;
            self.opened_at = (self.opened_at + apart).max(now - FIRST_APART.min(now - self.since));
        }
    }

    /// How many bodies the link carries so that each arrives well within the gateway's 60 s.
    fn in_time(&self) -> usize {
        let slice = self.slice.unwrap_or(SLICE_ASSUMED);
        let seconds = if self.phase == Phase::Opening {
            OPENS_WITHIN
        } else {
            ARRIVES_WITHIN
        };
        self.bounded((self.evidence * seconds / slice) as usize)
    }

    /// The best goodput of late, forgotten by a fifth each second, so that a pause in the source
    /// or a gap between slices is not taken for a slow link.
    fn gather_evidence(&mut self, now: Instant) {
        let passed = now
            .saturating_duration_since(self.evidence_at)
            .as_secs_f64();
        self.evidence_at = now;
        let starving = self.starved_at.is_some_and(|at| at + SECOND > now);
        if !starving {
            self.evidence *= (1.0 - 0.2 * passed).max(0.0);
        }
        // New slices fill empty sockets at memory speed; what is acknowledged keeps that honest.
        let believable = if self.acks == 0 {
            f64::INFINITY
        } else {
            2.0 * self.truth
        };
        let lately = self
            .meter
            .over(EVIDENCE_SPAN)
            .unwrap_or(0.0)
            .min(believable);
        self.evidence = self.evidence.max(lately).max(self.truth_by(now));
    }

    /// The acknowledged goodput, which fades when acknowledgements are overdue. It carries the
    /// evidence through times when full sockets take nothing.
    fn truth_by(&self, now: Instant) -> f64 {
        let silent = now.saturating_duration_since(self.acked_at).as_secs_f64();
        self.truth * (self.took / silent.max(1e-6)).min(1.0)
    }

    /// Whether what the meter shows is the present target's doing: permits open and used, the new
    /// connections up to speed, goodput no longer rising.
    fn has_settled(&self, now: Instant) -> bool {
        let span = self.span();
        let elapsed = now.saturating_duration_since(self.since);
        let opened = self.open >= self.target.min(self.in_time()) && self.in_flight <= self.open;
        if !opened || elapsed < span {
            return false;
        }
        if self.progress.is_none() && self.acks_since < 2 * self.open {
            return false;
        }
        let (now_half, then_half) = self.meter.halves(span);
        let steady = matches!(self.phase, Phase::Holding | Phase::Trying { .. });
        if steady {
            return elapsed >= span + self.rtt * 6;
        }
        elapsed >= span * 4 || now_half <= then_half * STILL_RISING
    }

    /// How long one measurement takes: some round trips for a slow start to end.
    fn span(&self) -> Duration {
        match self.phase {
            Phase::Opening | Phase::Doubling { .. } => {
                (self.rtt * 6).clamp(SHORTEST_SPAN, LONGEST_SPAN)
            }
            Phase::Holding | Phase::Trying { .. } => {
                let cycle = Duration::from_secs_f64(self.took.min(60.0));
                (self.rtt * 12).max(cycle).clamp(STEADY_SPAN, LONGEST_SPAN)
            }
        }
    }

    fn measured(&self) -> f64 {
        let span = match self.phase {
            Phase::Opening | Phase::Doubling { .. } => self.span() / 2,
            Phase::Holding | Phase::Trying { .. } => self.span(),
        };
        self.meter.over(span).unwrap_or(0.0)
    }

    /// A doubling that has gained half already is not waited for: the next one follows at once,
    /// and is measured against the whole gain, so that one false step is not followed by another.
    fn is_clearly_better(&mut self, now: Instant) -> bool {
        let Phase::Doubling { from, was } = self.phase else {
            return false;
        };
        let early = self.since + self.span() * 3 / 4;
        let gain = self.measured() / was.max(1.0);
        if now < early || self.open < self.target || gain < CLEARLY_BETTER {
            return false;
        }
        self.double(now, was * self.open as f64 / from as f64);
        true
    }

    fn double(&mut self, now: Instant, was: f64) {
        let from = self.open;
        let more = self.bounded(from * 2).min(self.in_time_after_opening());
        if more <= from {
            self.target = from;
            self.hold(now);
            return;
        }
        self.target = more;
        self.enter(now, Phase::Doubling { from, was });
    }

    fn in_time_after_opening(&self) -> usize {
        let slice = self.slice.unwrap_or(SLICE_ASSUMED);
        self.bounded((self.evidence * ARRIVES_WITHIN / slice) as usize)
    }

    fn judge_doubling(&mut self, now: Instant, from: usize, was: f64) {
        let goodput = self.measured();
        let gain = goodput / was.max(1.0);
        if gain >= DOUBLE_AGAIN {
            self.double(now, goodput);
        } else {
            if gain < DOUBLE_STAYS {
                self.target = from;
            }
            self.crest = self.crest.max(self.measured());
            self.hold(now);
        }
    }

    fn judge_trial(&mut self, now: Instant, from: usize, was: f64, direction: Direction) {
        let goodput = self.measured();
        let gain = goodput / was.max(1.0);
        let kept = match direction {
            Direction::Up => gain >= PAYS,
            // Fewer are worth having for their own sake, down to where we began; but small losses
            // must not add up, so the best of this link is the measure as well.
            Direction::Down if from > self.settings.start => {
                gain >= COSTS_NOTHING && goodput >= self.crest * NEAR_CREST
            }
            Direction::Down => gain >= PAYS,
        };
        self.patience = if kept {
            FIRST_PATIENCE
        } else {
            (self.patience * 2).min(LONGEST_PATIENCE)
        };
        if !kept {
            self.target = from;
        }
        self.next = match (direction, kept) {
            (Direction::Up, true) | (Direction::Down, false) => Direction::Up,
            (Direction::Down, true) | (Direction::Up, false) => Direction::Down,
        };
        self.hold(now);
    }

    /// Holding: keeps the reference, notices a changed link, and tries something now and then.
    fn watch(&mut self, now: Instant) {
        let goodput = self.measured();
        let Some(reference) = self.reference else {
            self.reference = Some(goodput);
            self.truth_then = self.truth;
            self.crest = self.crest.max(goodput);
            return;
        };
        if let Some(direction) = self.link_changed(goodput / reference.max(1.0)) {
            self.patience = FIRST_PATIENCE;
            self.crest = goodput;
            match direction {
                Direction::Up => self.double(now, goodput),
                Direction::Down => self.hold(now),
            }
            self.next = direction;
            return;
        }
        self.reference = Some(reference + (goodput - reference) * 0.1);
        self.crest = self.crest.max(goodput.min(reference));
        if now >= self.since + self.span() + self.patience {
            self.try_next(now, goodput);
        }
    }

    /// Both signals have to say so: sockets alone swallow a burst whenever slices end together.
    fn link_changed(&self, ratio: f64) -> Option<Direction> {
        let truth_ratio = self.truth / self.truth_then.max(1.0);
        if ratio > CHANGED_UP && truth_ratio > TRUTH_UP {
            return Some(Direction::Up);
        }
        (ratio < CHANGED_DOWN && truth_ratio < 1.0).then_some(Direction::Down)
    }

    fn try_next(&mut self, now: Instant, was: f64) {
        let from = self.open;
        let step = (from / 4).max(1);
        let worried = now < self.calm_at;
        if !worried {
            self.worry = FIRST_WORRY;
        }
        let (direction, to) = match self.next {
            Direction::Up if !worried => (Direction::Up, from + step),
            _ => (Direction::Down, from.saturating_sub(step)),
        };
        let to = self.bounded(to).min(self.in_time().max(from));
        if to == from {
            self.next = opposite(direction);
            return;
        }
        self.target = to;
        self.enter(
            now,
            Phase::Trying {
                from,
                was,
                direction,
            },
        );
    }

    fn hold(&mut self, now: Instant) {
        self.enter(now, Phase::Holding);
        self.reference = None;
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acks_since = 0;
    }

    fn bounded(&self, permits: usize) -> usize {
        permits.clamp(self.settings.min, self.settings.max)
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Slices are to arrive in this many seconds, so that a link that halves under them still
/// delivers within the gateway's 60 s.
const ARRIVES_WITHIN: f64 = 25.0;

/// While the first permits open, goodput is still rising and the bound is nearer to the 60 s.
const OPENS_WITHIN: f64 = 45.0;

/// What the service has always answered; known exactly after the first acknowledgement.
const SLICE_ASSUMED: f64 = 16_777_216.0;

/// A request's cost in bytes: with small files goodput is requests rather than bytes.
const REQUEST: f64 = 32_768.0;

/// Open at once: two arrive in time above 4.5 Mbit/s.
const FIRST_OPEN: usize = 2;

const RTT_ASSUMED: Duration = Duration::from_millis(100);
const EVIDENCE_SPAN: Duration = Duration::from_millis(400);
const FIRST_APART: Duration = Duration::from_millis(30);

/// A permit that was just opened is not unused yet.
const SETTLES: Duration = Duration::from_millis(300);

/// Acknowledgements this close together are one burst.
const BURST: Duration = Duration::from_millis(100);

const SHORTEST_SPAN: Duration = Duration::from_millis(400);
const STEADY_SPAN: Duration = Duration::from_millis(1500);
const LONGEST_SPAN: Duration = Duration::from_secs(8);

const STILL_RISING: f64 = 1.05;
const DOUBLE_AGAIN: f64 = 1.15;
const DOUBLE_STAYS: f64 = 1.08;
const CLEARLY_BETTER: f64 = 1.5;
const PAYS: f64 = 1.03;
const COSTS_NOTHING: f64 = 0.98;
const NEAR_CREST: f64 = 0.96;
const CHANGED_DOWN: f64 = 0.7;
const CHANGED_UP: f64 = 1.3;
const TRUTH_UP: f64 = 1.2;

const FIRST_PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
const FIRST_WORRY: Duration = Duration::from_secs(5);
const LONGEST_WORRY: Duration = Duration::from_secs(60);
#[cfg(test)]
mod tests;
