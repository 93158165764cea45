//! The climb: what is tried next, and what is kept. In: the gate's meters. Out: a new target.
//! Never: a step that was not measured before and after.

use std::time::{Duration, Instant};

use super::gauge::GULP;
use super::{ARRIVES_WITHIN, FIRST_PATIENCE, FIRST_WORRY, Limit, OWN_PACE_WITHIN};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// The first permits are opened as the link shows that it carries them.
    Opening,
    /// Twice as many as `from`, which carried `was` by the sockets' count.
    Doubling { from: usize, was: f64 },
    /// Nothing is tried; the references are measured and the link watched for a change.
    Holding,
    /// A quarter more or fewer than `from`, which carried `was` as [`Limit::measured`] has it.
    Trying {
        from: usize,
        was: f64,
        /// The same by the sockets' count.
        sockets: f64,
        direction: Direction,
    },
}

/// A trial upwards that did not seem to pay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undone {
    to: usize,
    goodput: f64,
    was: f64,
}

impl Undone {
    /// Whether all became slower meanwhile, and the trial less than the rest: `after` is what the old
    /// number carries now, and half-way between that and what it carried is what the trial stood
    /// against.
    fn paid_after_all(self, after: f64) -> bool {
        after < self.was && self.goodput >= PAYS_ROUGHLY * (self.was * after).sqrt()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Limit {
    /// One look at the meters; most looks decide nothing.
    pub(super) fn climb(&mut self, now: Instant) {
        if !self.has_opened() {
            return;
        }
        match self.phase {
            Phase::Opening if self.is_level(now) => {
                self.double(now, self.quick());
            }
            Phase::Doubling { from, was } => self.judge_doubling(now, from, was),
            Phase::Holding => self.watch(now),
            Phase::Trying {
                from,
                was,
                sockets,
                direction,
            } => {
                if direction == Direction::Up
                    && self.may_show_pace(from)
                    && self.rises(now, from, sockets, PROPORTIONAL)
                {
                    self.each_has_its_own_pace(now);
                } else if let Some(goodput) = self.measured(now) {
                    self.judge_trial(now, (from, direction), was.max(1.0), goodput);
                }
            }
            Phase::Opening => {}
        }
    }

    /// Whether as many are in flight as are wanted, or as arrive in time. Before slices were
    /// acknowledged the latter says little: a slow start looks like a slow link.
    fn has_opened(&self) -> bool {
        let known = self.acks >= 2 * self.open as u64;
        let most = if known {
            self.target.min(self.in_time())
        } else {
            self.target
        };
        self.open >= most && self.in_flight <= self.open
    }

    /// Holds what is open now.
    pub(super) fn hold(&mut self, now: Instant) {
        self.reference = None;
        self.enter(now, Phase::Holding);
    }

    /// Begins the present measurement anew.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
        // New connections are up to speed some round trips later; their first slices do not count.
        self.cohort.restart(now + self.rtt * 6);
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.restart(now);
    }

    /// Twice as many, if more than now arrive in time. `was` is what the present ones carry.
    fn double(&mut self, now: Instant, was: f64) {
        let from = self.open;
        self.enter(now, Phase::Doubling { from, was });
        self.target = self.bounded(from * 2);
        let known = self.acks >= 2 * from as u64;
        if self.target == from || (known && self.in_time() <= from) {
            self.target = from;
            self.hold(now);
        }
    }

    fn judge_doubling(&mut self, now: Instant, from: usize, was: f64) {
        let goodput = self.quick();
        let gain = goodput / was.max(1.0);
        if gain >= CLEARLY_BETTER && self.is_no_gulp(now, from, was, GULP) {
            // Not waited for: the next doubling follows at once, and is measured against the
            // whole gain that this one promises, so that one false step is not followed by more.
            return self.double(now, was * self.open as f64 / from as f64);
        }
        if !self.is_level(now) {
            return;
        }
        if gain >= DOUBLE_AGAIN {
            return self.double(now, goodput);
        }
        if gain < DOUBLE_STAYS {
            self.target = from;
        }
        self.next = if gain < DOUBLE_STAYS {
            Direction::Up
        } else {
            Direction::Down
        };
        self.hold(now);
    }

    /// Whether a trial upwards from so many can tell each connection's own pace from chance.
    fn may_show_pace(&self, from: usize) -> bool {
        from >= FEW && self.is_stream()
    }

    /// Each connection carries what it carries: the number of them is all that counts.
    fn each_has_its_own_pace(&mut self, now: Instant) {
        self.own_pace = true;
        self.patience = Duration::ZERO;
        self.next = Direction::Up;
        self.double(now, self.steady().max(self.quick()));
    }

    fn judge_trial(&mut self, now: Instant, tried: (usize, Direction), was: f64, goodput: f64) {
        let (from, direction) = tried;
        let gain = goodput / was;
        let (pays, costs_nothing) = if self.slices_are_slow() {
            (PAYS_ROUGHLY, COSTS_LITTLE)
        } else {
            (PAYS, COSTS_NOTHING)
        };
        let kept = match direction {
            // Fewer are worth having for their own sake, down to where we began; but small losses
            // must not add up, so the best of this link is the measure as well.
            Direction::Down if from > self.settings.start => {
                gain >= costs_nothing && goodput >= self.crest * NEAR_CREST
            }
            Direction::Up | Direction::Down => gain >= pays,
        };
        self.crest *= CREST_FADES;
        if !kept {
            if direction == Direction::Up {
                let to = self.open;
                self.undone = Some(Undone { to, goodput, was });
            }
            self.target = from;
            self.patience = (self.patience * 2).clamp(FIRST_PATIENCE, LONGEST_PATIENCE);
            self.next = opposite(direction);
            return self.hold(now);
        }
        self.patience = Duration::ZERO;
        self.next = direction;
        if direction == Direction::Up && self.may_show_pace(from) && gain >= PROPORTIONAL {
            return self.each_has_its_own_pace(now);
        }
        self.hold(now);
    }

    /// Holding: keeps the references, notices a changed link, and tries something now and then.
    fn watch(&mut self, now: Instant) {
        let span = self.steady_span();
        if now < self.since + span + self.rtt * 6 {
            return;
        }
        let sockets = self.steady();
        let truth = self.evidence.truth();
        let (was, truth_then) = *self.reference.get_or_insert((sockets, truth));
        if let Some(direction) = changed(sockets / was.max(1.0), truth / truth_then.max(1.0)) {
            return self.follow(now, direction, sockets);
        }
        let Some(goodput) = self.measured(now) else {
            return;
        };
        self.crest = self.crest.max(goodput);
        if let Some(undone) = self.undone.take()
            && undone.paid_after_all(goodput)
        {
            self.target = self.bounded(undone.to);
            self.patience = Duration::ZERO;
            self.next = Direction::Up;
            return self.hold(now);
        }
        if now >= self.since + span + self.patience {
            self.try_next(now, goodput);
        }
    }

    /// The link is another one now.
    fn follow(&mut self, now: Instant, direction: Direction, sockets: f64) {
        self.patience = FIRST_PATIENCE;
        self.crest = 0.0;
        self.undone = None;
        self.own_pace = false;
        // Whether the link carries less now, or each connection: only the latter is worth a trial.
        self.next = Direction::Up;
        match direction {
            Direction::Up => self.double(now, sockets),
            Direction::Down => self.hold(now),
        }
    }

    fn try_next(&mut self, now: Instant, was: f64) {
        let from = self.open;
        let step = (from / 4).max(1);
        let worried = now < self.calm_at;
        if !worried {
            self.worry = FIRST_WORRY;
        }
        let direction = if worried { Direction::Down } else { self.next };
        let to = match direction {
            Direction::Up => {
                // One more where few are in flight is half as long again for each.
                let seconds = if from < FEW {
                    ARRIVES_WITHIN
                } else {
                    OWN_PACE_WITHIN
                };
                (from + step).min(self.within(seconds).max(from))
            }
            Direction::Down if from > self.settings.start => {
                from.saturating_sub(step).max(self.settings.start)
            }
            Direction::Down => from.saturating_sub(step),
        };
        let to = self.bounded(to);
        self.next = opposite(direction);
        if to != from {
            self.target = to;
            self.enter(
                now,
                Phase::Trying {
                    from,
                    was,
                    sockets: self.steady(),
                    direction,
                },
            );
        }
    }
}

/// Both signals have to say so: sockets alone swallow a burst whenever slices end together.
fn changed(sockets: f64, truth: f64) -> Option<Direction> {
    if sockets > CHANGED_UP && truth > TRUTH_UP {
        return Some(Direction::Up);
    }
    (sockets < CHANGED_DOWN && truth < 1.0).then_some(Direction::Down)
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    }
}

/// Half of what twice as many could gain: no need to wait for the rest.
const CLEARLY_BETTER: f64 = 1.5;

/// Twice as many for less than this is the end of the first climb,
const DOUBLE_AGAIN: f64 = 1.15;

/// and for less than this is not worth keeping: a quarter up will be tried anyway.
const DOUBLE_STAYS: f64 = 1.08;

/// A quarter more gains a quarter on a link with room; measurements waver by one or two percent.
const PAYS: f64 = 1.02;

/// Of a quarter more, this is most of what can be gained.
const PROPORTIONAL: f64 = 1.15;

/// And a quarter fewer may cost no more than the measurement's wavering.
const COSTS_NOTHING: f64 = 0.99;

/// The same by the sockets, which waver by what they hold.
const PAYS_ROUGHLY: f64 = 1.1;
const COSTS_LITTLE: f64 = 0.97;

/// Below this one more is half as many again.
const FEW: usize = 4;

/// Several losses of two percent may not come to more than this.
const NEAR_CREST: f64 = 0.98;

/// An old crest is an old truth.
const CREST_FADES: f64 = 0.995;

/// A quarter's trial never gains as much, nor does noise over a whole span.
const CHANGED_UP: f64 = 1.3;

/// Acknowledgements lag, so they need to confirm only the direction and some of the size.
const TRUTH_UP: f64 = 1.2;

/// The same downwards: less than this is more than a trial costs.
const CHANGED_DOWN: f64 = 0.7;

/// A failed trial costs a few percent for a few seconds; at this distance nobody sees it.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
