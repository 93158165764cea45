//! The search for the number of permits: what is tried next, and what is kept. In: goodputs of the
//! present number. Out: how many are wanted. Never: a step that was not measured before and after.

use std::time::Duration;

use super::goodput::Goodput;
use super::{Found, LimitSettings, Queued, Steering};

/// How many permits are wanted, and how that is being found out.
#[derive(Debug, Clone)]
pub(super) struct Search {
    settings: LimitSettings,
    target: usize,
    phase: Phase,
    /// Where the next probe goes.
    next: Direction,
    /// How long to hold before it.
    probe_interval: Duration,
    /// Each connection was seen to carry what it carries, whatever the others do.
    own_pace: bool,
    /// None does: they share what the link carries.
    shared: bool,
    /// What was found last; at first by an earlier search.
    found: Option<Found>,
    /// Connections are expected to share.
    will_share: bool,
    /// What is in flight was seen to arrive in time, or is no more than does.
    proven: bool,
    /// How many of those in flight arrive in time, where that turned out to be fewer.
    surplus_above: Option<usize>,
    /// Half of what was wanted before the first of the last cuts.
    back_to: usize,
    /// Bytes that are left to send, as far as that is known.
    left: Option<u64>,
    /// Packets wait in the link's queue.
    full: bool,
    /// They wait in one that may be the link's.
    may_be_full: bool,
    /// None wait, and they are lost all the same.
    loses: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The first permits are opened as the link shows that it carries them.
    Opening,
    /// Twice as many as there were.
    Doubling { from: usize, was: f64 },
    /// Nothing is tried; what the present number carries is measured.
    Holding,
    /// A quarter more or fewer than there were.
    Probing(Probe),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Probe {
    from: usize,
    direction: Direction,
    /// What `from` carried, as [`Goodput::settled`] has it.
    was: f64,
    /// The same by the sockets' count.
    sockets: f64,
    /// The link is full: fewer are worth it if it stays so.
    gives_way: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Search {
    /// Begins with `settings.start`, which is within its bounds.
    pub(super) fn new(settings: LimitSettings) -> Self {
        Search {
            settings,
            target: settings.start,
            phase: Phase::Opening,
            next: Direction::Up,
            probe_interval: FIRST_INTERVAL,
            own_pace: false,
            shared: false,
            found: None,
            will_share: false,
            proven: false,
            surplus_above: None,
            back_to: 0,
            left: None,
            full: false,
            may_be_full: false,
            loses: false,
        }
    }

    /// Begins with what was found before, unless it has begun.
    pub(super) fn begin_with(&mut self, goodput: &mut Goodput, found: Found, will_share: bool) {
        if self.phase == Phase::Opening {
            (self.found, self.will_share) = (Some(found), will_share);
            self.on_rtt(goodput.rtt().unwrap_or_default());
            goodput.restart();
        }
    }

    /// So many bytes are left to send; `None` where that is not known.
    pub(super) fn on_left(&mut self, left: Option<u64>) {
        self.left = left;
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    /// What is seen of the link's queue: where it is full more connections only take from others.
    pub(super) fn on_queue(&mut self, queued: Queued) {
        self.full = queued == Queued::Common;
        self.may_be_full = queued == Queued::Seen;
        self.loses = queued == Queued::Losing;
    }

    /// Takes how many of those in flight arrive in time, where that turned out to be fewer.
    pub(super) fn take_surplus(&mut self) -> Option<usize> {
        self.surplus_above.take()
    }

    /// What was found, on this link or by an earlier search that was not seen to be wrong.
    pub(super) fn found(&self) -> Option<Found> {
        self.found
    }

    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// What it does now.
    pub(super) fn steering(&self) -> Steering {
        match self.phase {
            Phase::Opening => Steering::Opening,
            Phase::Doubling { .. } => Steering::Doubling,
            Phase::Holding => Steering::Holding,
            Phase::Probing(probe) => match probe.direction {
                Direction::Up => Steering::TryingMore,
                Direction::Down => Steering::TryingFewer,
            },
        }
    }

    /// A long path needs more on its way and each doubling takes longer there, so the search begins
    /// up to four times as high. Where it is known how much is on its way, it begins with so many connections that
    /// each is soon up to its share: later fewer may do. Of those that share, few fill the link, and many overfill
    /// it before they have found their pace.
    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        if self.phase != Phase::Opening {
            return;
        }
        let higher = (rtt.as_secs_f64() / LONG_PATH).powi(2).clamp(1.0, 4.0);
        let usual = (self.settings.start as f64 * higher) as usize;
        let first = match self.found {
            Some(found) if self.will_share => found.permits.min(usual * FIRST_SHARED),
            Some(found) => {
                let on_its_way = found.bytes_per_second as f64 * rtt.as_secs_f64();
                found.permits.max((on_its_way / SOON_ON_ITS_WAY) as usize)
            }
            None => usual,
        };
        self.target = self.bounded(first);
    }

    /// Connections share what the link carries from now on, and what was found before says nothing of it.
    /// Whether that is new.
    pub(super) fn share(&mut self) -> bool {
        let new = !std::mem::replace(&mut self.shared, true);
        if new {
            self.own_pace = false;
            if self.found.is_some() && self.phase == Phase::Opening {
                return new;
            }
            self.target = self.bounded(self.settings.start * SHARED);
            let permits = self.target;
            self.found = self.found.map(|found| Found { permits, ..found });
            self.next = Direction::Up;
            self.probe_interval = FIRST_INTERVAL;
            self.phase = Phase::Holding;
        }
        new
    }

    /// No more than `target` from now on, within the bounds; returns it.
    pub(super) fn cut(&mut self, target: usize) -> usize {
        self.back_to = self.back_to.max(self.target / 2);
        self.target = self.bounded(target);
        self.next = Direction::Up;
        self.phase = Phase::Holding;
        self.target
    }

    /// How many permits may be open: their bodies arrive well within the gateway's 60 s.
    pub(super) fn in_time(&self, goodput: &Goodput) -> usize {
        let probes_up =
            matches!(self.phase, Phase::Probing(probe) if probe.direction == Direction::Up);
        let seconds = match self.phase {
            Phase::Opening => OPENS_WITHIN,
            _ if self.own_pace || probes_up => OWN_PACE_WITHIN,
            _ => ARRIVES_WITHIN,
        };
        let trusted = match (self.phase, self.found) {
            (Phase::Opening, Some(found)) if !self.proven => {
                goodput.in_time_at(found.bytes_per_second / TRUSTED)
            }
            (Phase::Opening, None) if !self.proven => self.target,
            _ => 0,
        };
        // Where the deadline alone decides, whoever carries more would have more bodies, and so carry more.
        let in_time = goodput.carries_within(seconds);
        if self.full && !self.shared && !self.relies() && in_time < self.settings.start {
            return self
                .enough(goodput)
                .min(self.bounded(goodput.carries_within(OPENS_WITHIN)));
        }
        // Fewer would be no quicker where each connection has a pace of its own, and that is not always seen.
        let kept = goodput.carries_within(OPENS_WITHIN).min(goodput.open());
        self.bounded(in_time.max(trusted).max(kept))
    }

    /// The most time between two permits that open: the first ones open within a moment.
    pub(super) fn spacing(&self) -> Duration {
        match self.phase {
            Phase::Opening if !self.proven => OPENS_ALL_WITHIN / self.target.max(1) as u32,
            _ => Duration::MAX,
        }
    }

    /// One look at what was measured; most looks decide nothing. There is no probe upwards unless
    /// `more` are allowed.
    pub(super) fn step(&mut self, goodput: &mut Goodput, more: bool) {
        self.doubt(goodput);
        if more {
            // The cuts are over. Many of them went deeper than any of them would have.
            self.target = self.target.max(std::mem::take(&mut self.back_to));
        }
        if self.full && !self.shared && !self.relies() {
            // As many as fill it, and of more than that no more than there are.
            let enough = self.enough(goodput);
            self.target = self.target.clamp(enough, enough.max(goodput.open()));
        }
        if !self.has_opened(goodput) {
            return;
        }
        match self.phase {
            Phase::Opening if self.waits_for_queue(goodput) => {}
            Phase::Opening if goodput.has_levelled() => self.judge_opening(goodput),
            Phase::Opening => {}
            Phase::Doubling { from, was } => self.judge_doubling(goodput, from, was),
            Phase::Holding if self.gives_way(goodput) => {
                if goodput.lasts() >= self.probe_interval {
                    self.probe(goodput, goodput.steady(), false);
                }
            }
            Phase::Holding if more && self.has_room() => {
                if goodput.is_level() {
                    let carried = goodput.quick();
                    self.find(goodput.open(), carried);
                    self.double(goodput, carried);
                }
            }
            // More would take from others, or wait.
            Phase::Holding if self.next == Direction::Up && self.has_enough(goodput) => {}
            Phase::Holding => {
                let span = goodput.warm_up().max(self.probe_interval) + goodput.steady_span();
                if goodput.lasts() >= span
                    && let Some(was) = goodput.settled()
                {
                    let more = more && self.pays(goodput, was);
                    self.probe(goodput, was, more);
                }
            }
            Phase::Probing(probe) if probe.gives_way => {
                if goodput.lasts() >= SHOWS_QUEUE_WITHIN.max(goodput.warm_up() * 2) {
                    self.keep_if(self.full, probe);
                    self.enter(goodput, Phase::Holding);
                }
            }
            Phase::Probing(probe) => {
                if self.shows_own_pace(probe) && goodput.rises(probe.sockets, PROPORTIONAL) {
                    self.follow_own_pace(goodput);
                } else if let Some(settled) = goodput.settled() {
                    self.judge_probe(goodput, probe, settled);
                }
            }
        }
    }

    /// Whether it is about to be known whether the link is full: over a long path the first ones are many, and twice
    /// as many would overfill it, where a short one that loses packets needs them at once.
    fn waits_for_queue(&self, goodput: &Goodput) -> bool {
        self.may_be_full && self.target > self.settings.start && !goodput.has_lasted()
    }

    /// Whether the link was seen to have room: what more connections gain there is hidden by what all lose meanwhile.
    fn has_room(&self) -> bool {
        self.loses && !self.shared
    }

    /// Whether the link is full, and fewer would fill it as well: what they leave others take, or nobody.
    fn gives_way(&self, goodput: &Goodput) -> bool {
        self.full && !self.shared && goodput.open() > self.enough(goodput)
    }

    /// Whether more are not even tried: the link is full, or was of late with as many as fill it.
    fn has_enough(&self, goodput: &Goodput) -> bool {
        let fill_it = self.may_be_full && !self.shared && goodput.open() >= self.enough(goodput);
        self.full || fill_it
    }

    /// As many as fill a full link.
    fn enough(&self, goodput: &Goodput) -> usize {
        self.bounded(goodput.fill())
    }

    /// Whether more may be in flight than is known to arrive in time: the first permits, until the link has shown.
    fn relies(&self) -> bool {
        self.phase == Phase::Opening && !self.proven
    }

    /// Sees, once, whether the link carries what was relied on: that what is in flight arrives in time, and what
    /// was found before. Where it does not, the newest bodies are called off, before they have sent much.
    fn doubt(&mut self, goodput: &mut Goodput) {
        if !self.relies() || !goodput.has_begun() || !has_proven_itself(goodput) {
            return;
        }
        self.proven = true;
        let carried = goodput.over(PROVES_ITSELF_WITHIN / 2);
        let less = |found: Found| carried < found.bytes_per_second / TRUSTED;
        if self.found.is_some_and(less) {
            self.found = None;
            self.target = self.settings.start;
        }
        if goodput.in_time_at(carried * 3 / 4) < goodput.open() {
            // Sockets still fill, and some of the minute has gone.
            self.surplus_above = Some(self.bounded(goodput.in_time_at(carried / 2)));
            goodput.forget();
        }
    }

    /// How many bodies arrive in time where `carried` is carried, as far as the link has shown by now.
    fn in_time_at(&self, goodput: &Goodput, carried: f64) -> usize {
        goodput
            .in_time_at(carried as u64)
            .min(goodput.carries_within(OPENS_WITHIN))
    }

    /// Whether as many are in flight as are wanted, or as arrive in time, once that is known.
    fn has_opened(&self, goodput: &Goodput) -> bool {
        let most = if goodput.knows_slices() {
            self.target.min(self.in_time(goodput))
        } else {
            self.target
        };
        goodput.open() >= most && goodput.in_flight() <= goodput.open()
    }

    fn enter(&mut self, goodput: &mut Goodput, phase: Phase) {
        self.phase = phase;
        goodput.restart();
    }

    /// Twice as many, unless as many as were found before carry as much as they did, or less. What sockets take
    /// in the first moments says little of that.
    fn judge_opening(&mut self, goodput: &mut Goodput) {
        let carried = goodput.quick();
        let times = self
            .found
            .map(|found| carried / found.bytes_per_second.max(1) as f64);
        match times {
            Some(times) if (1.0 / SAME..=SAME).contains(&times) => {}
            Some(_) if !self.proven => return,
            None if !self.proven && self.in_time_at(goodput, carried) < goodput.open() => return,
            _ => self.found = None,
        }
        if times.is_none_or(|times| times > SAME) && !self.shared {
            return self.double(goodput, carried);
        }
        self.target = goodput.open();
        self.enter(goodput, Phase::Holding);
    }

    /// So much is carried by `permits`.
    fn find(&mut self, permits: usize, carried: f64) {
        self.found = Some(Found {
            permits,
            bytes_per_second: carried as u64,
        });
    }

    /// Whether more connections pay where so much is carried: each is slow at first, and one that begins on a full
    /// link stays so for seconds. What is nearly sent is sent sooner by those that there are.
    pub(super) fn pays(&self, goodput: &Goodput, carried: f64) -> bool {
        let seconds = self.left.map(|left| left as f64 / carried.max(1.0));
        goodput.is_of_small_bodies() || seconds.is_none_or(|seconds| seconds > PAYS_AFTER)
    }

    /// Twice as many, if that pays and more than now arrive in time. `was` is what the present ones carry.
    fn double(&mut self, goodput: &mut Goodput, was: f64) {
        let from = goodput.open();
        let pays = self.pays(goodput, was);
        self.enter(goodput, Phase::Doubling { from, was });
        self.target = self.bounded(from * 2);
        if !pays
            || self.full
            || self.target == from
            || (goodput.knows_slices() && self.in_time(goodput) <= from)
        {
            self.target = from;
            self.phase = Phase::Holding;
        }
    }

    fn judge_doubling(&mut self, goodput: &mut Goodput, from: usize, was: f64) {
        let quick = goodput.quick();
        let gain = quick / was.max(1.0);
        if gain >= CLEARLY_BETTER && goodput.exceeds_socket_fill(from, was) {
            // Not waited for: the next doubling follows at once, and is measured against the
            // whole gain that this one promises, so that one false step is not followed by more.
            return self.double(goodput, was * goodput.open() as f64 / from as f64);
        }
        if !goodput.is_level() {
            return;
        }
        if gain >= DOUBLE_AGAIN || self.has_room() {
            return self.double(goodput, quick);
        }
        self.next = Direction::Down;
        if gain < DOUBLE_STAYS {
            self.target = from;
            self.next = Direction::Up;
        }
        self.enter(goodput, Phase::Holding);
    }

    /// Whether a probe can tell each connection's own pace from chance.
    fn shows_own_pace(&self, probe: Probe) -> bool {
        probe.direction == Direction::Up && !self.shared
    }

    /// Each connection carries what it carries: the number of them is all that counts.
    fn follow_own_pace(&mut self, goodput: &mut Goodput) {
        self.own_pace = true;
        self.probe_interval = Duration::ZERO;
        self.next = Direction::Up;
        self.double(goodput, goodput.steady().max(goodput.quick()));
    }

    fn judge_probe(&mut self, goodput: &mut Goodput, probe: Probe, settled: f64) {
        let gain = settled / probe.was.max(1.0);
        // Fewer are worth having for their own sake, down to where the search began.
        let least = match probe.direction {
            Direction::Down if probe.from > self.settings.start => COSTS_NOTHING,
            Direction::Up if self.shared => PAYS_SHARED,
            Direction::Up | Direction::Down => PAYS,
        };
        self.keep_if(gain >= least, probe);
        if gain >= least {
            self.find(goodput.open(), settled);
            if self.shows_own_pace(probe) && gain >= PROPORTIONAL {
                return self.follow_own_pace(goodput);
            }
        }
        self.enter(goodput, Phase::Holding);
    }

    /// Goes on the same way at once where `probe` was worth it, and the other way later where it was not.
    fn keep_if(&mut self, worth: bool, probe: Probe) {
        if worth {
            self.probe_interval = Duration::ZERO;
            self.next = probe.direction;
        } else {
            self.target = probe.from;
            self.probe_interval = (self.probe_interval * 2).clamp(FIRST_INTERVAL, LONGEST_INTERVAL);
            self.next = opposite(probe.direction);
        }
    }

    fn probe(&mut self, goodput: &mut Goodput, was: f64, more: bool) {
        self.find(goodput.open(), was);
        let from = goodput.open();
        let step = (from / 4).max(1);
        let direction = if more { self.next } else { Direction::Down };
        let gives_way = !more && self.gives_way(goodput);
        let to = self.bounded(match direction {
            Direction::Up => (from + step).min(goodput.carries_within(OWN_PACE_WITHIN).max(from)),
            Direction::Down if gives_way => from.saturating_sub(step).max(self.enough(goodput)),
            Direction::Down => from.saturating_sub(step),
        });
        self.next = opposite(direction);
        if to != from {
            self.target = to;
            let sockets = goodput.steady();
            let probe = Probe {
                from,
                direction,
                was,
                sockets,
                gives_way,
            };
            self.enter(goodput, Phase::Probing(probe));
        }
    }

    fn bounded(&self, permits: usize) -> usize {
        permits.clamp(self.settings.min, self.settings.max)
    }
}

/// Whether the link has had the time to show what it carries.
fn has_proven_itself(goodput: &Goodput) -> bool {
    goodput.lasts() >= PROVES_ITSELF_WITHIN.max(goodput.warm_up() * 2)
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    }
}

/// Seconds of a round trip from which the search begins higher.
const LONG_PATH: f64 = 0.1;

/// What a new connection has on its way after some four round trips, in bytes.
const SOON_ON_ITS_WAY: f64 = 262_144.0;

/// Slices are to arrive in this many seconds, so that a link that halves under them still
/// delivers within the gateway's 60 s.
const ARRIVES_WITHIN: f64 = 25.0;

/// Where each connection has a pace of its own, slices do not come sooner for being fewer.
const OWN_PACE_WITHIN: f64 = 45.0;

/// While the first permits open, goodput is still rising and the bound is nearer to the 60 s.
const OPENS_WITHIN: f64 = 40.0;

/// Seconds of sending in which more connections come up to speed and make good what their begin has cost.
const PAYS_AFTER: f64 = 10.0;

/// Half of what twice as many could gain: no need to wait for the rest.
const CLEARLY_BETTER: f64 = 1.5;

/// One part in so many of what was carried before is relied on at once.
const TRUSTED: u64 = 8;

/// Within this time as many open as the search begins with.
const OPENS_ALL_WITHIN: Duration = Duration::from_millis(500);

/// Within this time a link shows that it carries that; what does not arrive in time has sent little by then.
const PROVES_ITSELF_WITHIN: Duration = Duration::from_secs(4);

/// Within this time it is seen whether a queue still stands: three times what it is seen over.
const SHOWS_QUEUE_WITHIN: Duration = Duration::from_secs(3);

/// Within so many times what was carried before, up or down, a link is the same.
const SAME: f64 = 1.25;

/// Twice as many that gain less than this end the doubling.
const DOUBLE_AGAIN: f64 = 1.15;

/// Twice as many that gain less than this are reverted: a quarter up will be tried anyway.
const DOUBLE_STAYS: f64 = 1.08;

/// A quarter more gains a quarter on a link with room; measurements waver by one or two percent.
const PAYS: f64 = 1.02;

/// Where connections share what the link carries, a quarter more gains a quarter if their windows hold them,
/// and nothing otherwise.
const PAYS_SHARED: f64 = 1.05;

/// Of a quarter more, this is most of what can be gained.
const PROPORTIONAL: f64 = 1.15;

/// A quarter fewer may cost no more than the measurement's wavering.
const COSTS_NOTHING: f64 = 0.99;

/// Times the number to begin with, where connections share what the link carries: of 1 Gbit/s over 80 and
/// 200 ms with losses, 32 with BBR carry 87 to 99 %, 16 as few as 81 %, and 64 no more.
const SHARED: usize = 4;

/// The same in the first moments of a link on which connections will share: of 1 Gbit/s, 80 ms and one packet in
/// 1,000 lost 16 carry 95 % in their first 20 s, 32 and more 75 to 89 %.
const FIRST_SHARED: usize = 2;

/// Holding this long costs little when the next probe fails; each failure doubles it.
const FIRST_INTERVAL: Duration = Duration::from_secs(2);

/// A failed probe costs a few percent for a few seconds; at this distance that is nothing.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);
