//! Room for others on the link, `--yield`. In: what waits in the link's queue, as time, and what arrives a second.
//! Out: how fast bodies may go. Never: less than what gets a body to its end in time, a clock, or a link that is
//! left unused although no queue builds up.
//!
//! | what waits | what is done |
//! |---|---|
//! | less than [`SHOWN`] | the link is not full: faster, round trip by round trip, where the pace is what holds us |
//! | up to [`TOO_MUCH`] | the link is full: the pace that keeps [`TARGET`] of queue |
//! | more | less than what arrives: a queue of ours empties; one of somebody else's does not, and we go down |
//! | more than before, and less of ours arrives | an eighth at once: a flow begins, and is to find its speed before it loses |
//!
//! What arrives while a queue stands is what the link carries of ours, so one that is alone steers around the link's
//! own speed; beside a flow that fills the queue each round trip leaves less of it to us.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pace that leaves room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Bytes per second, without the answer to the present queue.
    steady: f64,
    /// Bytes per second.
    rate: f64,
    /// What arrived a second at each look of the last round.
    arrived: VecDeque<(Instant, f64)>,
    /// What arrived of late while a queue stood.
    full: Option<f64>,
    /// The most of it for some time.
    most: f64,
    /// Since when there is no queue although the pace is about that.
    near_since: Option<Instant>,
    /// How many times as many bodies as usual are to carry the pace.
    spread: f64,
    /// Since when far too much waits.
    crowded_since: Option<Instant>,
    /// What waited at the last look, and what arrived.
    before: Option<(f64, f64)>,
    /// Since when anything waits.
    queued_since: Option<Instant>,
    looked: Option<Instant>,
    /// When the pace is next lowered for a moment, to see the round trip without our own queue.
    quiet_at: Option<Instant>,
}

/// What is seen of the link at a moment.
#[derive(Debug, Clone, Copy)]
pub struct LinkState {
    /// What waits in its queue; `None` where nothing was sent of late.
    pub waits: Option<Duration>,
    /// The round trip without a queue.
    pub round_trip: Duration,
    /// Bytes that arrive a second.
    pub arrives: f64,
    /// Bytes per second that what is under way needs to arrive in time.
    pub least: u64,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            steady: FIRST,
            rate: FIRST,
            arrived: VecDeque::new(),
            full: None,
            most: 0.0,
            near_since: None,
            spread: 1.0,
            crowded_since: None,
            before: None,
            queued_since: None,
            looked: None,
            quiet_at: None,
        }
    }
}

impl Room {
    /// Bytes per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate as u64
    }

    /// The rate of which bodies in flight are counted, so that they still arrive in time where another takes most of
    /// the link: a tenth; a quarter where that is `for_two`; more where connections do not carry the pace although
    /// nothing waits, each slow by what it lost.
    #[must_use]
    pub fn bodies_rate(&self, for_two: u64) -> u64 {
        // A pace that is tried is not yet carried.
        let carried = match self.full {
            Some(_) => self.steady.min(self.most),
            None => self.steady,
        };
        let usual = (carried / FEW).max((for_two as f64).min(carried / 4.0));
        (usual * self.spread).min(self.steady) as u64
    }

    /// Far too much waits, and has for a while.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let since = self.crowded_since.zip(self.looked);
        since.is_some_and(|(since, now)| now.saturating_duration_since(since) >= CROWDED_AFTER)
    }

    /// Takes in what is seen `now`. Call it some twenty times a second.
    pub fn look(&mut self, now: Instant, seen: &LinkState) {
        let passed = self.looked.replace(now).map_or(0.0, |then| {
            now.saturating_duration_since(then).as_secs_f64().min(0.3)
        });
        let Some(waits) = seen.waits.map(|waits| waits.as_secs_f64()) else {
            return;
        };
        if waits < TOO_MUCH {
            self.crowded_since = None;
        } else {
            self.crowded_since.get_or_insert(now);
        }
        let round = (seen.round_trip + SEEN_AFTER).as_secs_f64();
        let carried = self.carried(now, seen.arrives, (passed, round));
        if waits < SHOWN {
            self.queued_since = None;
            self.rise(now, seen.arrives, (passed, round));
        } else {
            self.answer(now, (waits, seen.arrives, carried), (passed, round));
        }
        self.be_quiet(now);
        // Slower bodies would not only be late: with so few bytes on their way nothing is seen any more.
        let least = (seen.least as f64).max(LEAST);
        self.steady = self.steady.clamp(least, MOST);
        self.rate = self.rate.clamp(least, MOST);
    }

    /// Something waits: no faster than the link, and less where that is too much.
    fn answer(
        &mut self,
        now: Instant,
        (waits, arrives, carried): (f64, f64, f64),
        (passed, round): (f64, f64),
    ) {
        if waits > TARGET {
            self.spread = (self.spread * (1.0 - passed * GATHERS)).max(1.0);
        }
        self.near_since = None;
        let since = *self.queued_since.get_or_insert(now);
        let stands = now.saturating_duration_since(since).as_secs_f64();
        // The first packets of connections that begin together wait for each other.
        if stands >= round {
            let known = self.full.get_or_insert(arrives);
            *known += (arrives - *known) * (passed / REMEMBERS).min(1.0);
            self.most = known.max(self.most * (1.0 - passed * FORGETS));
        }
        let before = self.before.replace((waits, arrives));
        let before = before.filter(|_| passed < LOOKS_APART && stands >= WINDOW);
        if before.is_some_and(|before| self.is_taken(before, (waits, arrives))) {
            self.steady = self.most / LEAVES;
            self.rate = self.steady;
        }
        // What arrives lags behind a pace that has just grown.
        let left = f64::powf(1.0 - LARGEST_CUT, passed / round);
        if waits < TOO_MUCH {
            if waits > TARGET {
                let most = (carried * OVERSHOT).max(self.steady * left);
                self.steady = self.steady.min(most);
            }
            self.steer(waits, (passed, round));
        } else {
            let less = (ANSWER / round * (waits - TARGET)).clamp(LEAST_CUT, LARGEST_CUT);
            let steady = self.steady.min(carried);
            self.steady = steady.max(self.steady * left);
            let rate = (arrives * (1.0 - less)).max(self.rate * left);
            self.rate = rate.min(self.steady);
        }
    }

    /// The most that arrived a second in the last `round`, looks' noise apart: less of it, with a queue, is a body that
    /// ends before the next one has its pace, and not a link that carries less.
    fn carried(&mut self, now: Instant, arrives: f64, (passed, round): (f64, f64)) -> f64 {
        let before = self.arrived.back().map_or(arrives, |&(_, before)| before);
        let smooth = before + (arrives - before) * (passed / SMOOTH).min(1.0);
        self.arrived.push_back((now, smooth));
        let is_old = |at: Instant| now.saturating_duration_since(at).as_secs_f64() > round;
        while (self.arrived.front()).is_some_and(|&(at, _)| is_old(at)) {
            self.arrived.pop_front();
        }
        let each = self.arrived.iter().map(|&(_, arrives)| arrives);
        each.fold(0.0, f64::max)
    }

    /// Somebody else begins: at a pace that is the link's own the queue grows although less of ours arrives, or much
    /// less arrives although there is a queue, of which nothing new is known where no acknowledgements come.
    fn is_taken(&self, (waited, arrived): (f64, f64), (waits, arrives): (f64, f64)) -> bool {
        let own = self.most * NEAR..self.most * (1.0 + AHEAD);
        let share = (arrived + arrives) / 2.0 / self.most;
        let grows = waits > GROWN.max(waited * GROWS) && share < TAKEN;
        own.contains(&self.steady) && (grows || waits > TARGET && share < MOSTLY_TAKEN)
    }

    /// The pace that brings what waits to [`TARGET`].
    fn steer(&mut self, waits: f64, (passed, round): (f64, f64)) {
        let answer = ANSWER / round;
        self.steady *= 1.0 + answer * answer * DRIFT * (TARGET - waits) * passed;
        self.rate = self.steady * (1.0 + answer * (TARGET - waits));
    }

    /// Nothing waits: faster, little by little where the link was full a moment ago.
    fn rise(&mut self, now: Instant, arrives: f64, (passed, round): (f64, f64)) {
        let is_near = self.most > 0.0 && self.steady > self.most * NEAR;
        let since = self.near_since.unwrap_or(now);
        self.near_since = is_near.then_some(since);
        let rounds = now.saturating_duration_since(since).as_secs_f64() / round;
        if is_near && rounds < AHEAD_FOR {
            return self.steer(0.0, (passed, round));
        }
        // Where something else holds us, a higher pace would be a burst later on.
        if arrives >= self.rate * HELD {
            let (gain, ahead) = match is_near {
                true => {
                    let more = f64::powf(2.0, (rounds - AHEAD_FOR) / CAREFUL_FOR);
                    let (gain, ahead) = (CAREFUL * more, AHEAD * more);
                    (gain.min(FASTER), ahead)
                }
                false => (FASTER, f64::INFINITY),
            };
            let mut faster = self.steady * f64::powf(1.0 + gain, passed / round);
            // Quickly until it is near, and no further.
            if !is_near && self.most > 0.0 {
                faster = faster.min(self.most * (NEAR + 0.02));
            }
            let carried = arrives * (1.0 + ahead);
            self.steady = faster.min(carried).max(self.steady);
        } else if arrives < self.rate * CARRIED {
            let more = f64::powf(2.0, passed / round / SPREADS);
            self.spread = (self.spread * more).min(MOST_SPREAD);
        }
        self.rate = self.steady;
    }

    /// For a moment now and then our own queue empties.
    fn be_quiet(&mut self, now: Instant) {
        let at = *self.quiet_at.get_or_insert(now + QUIET_EVERY);
        if now >= at {
            self.rate *= QUIET;
            if now >= at + QUIET_FOR {
                self.quiet_at = Some(now + QUIET_EVERY);
            }
        }
    }
}

/// Where it begins, in bytes per second: a body of 16 MiB and the gateway's 60 s want 335 kB/s.
const FIRST: f64 = 1e6;
const LEAST: f64 = 340e3;
const MOST: f64 = 1e11;

/// Seconds that wait where the link is not full: jitter.
const SHOWN: f64 = 0.006;

/// Seconds that may wait: calls and games notice more than 25 ms.
const TARGET: f64 = 0.015;

/// Seconds from which on there is somebody else, or we went much too fast.
const TOO_MUCH: f64 = 0.028;

/// Somebody else begins where so many seconds wait, more than at the look before, and no more than this part of what
/// the link carries arrives of ours, at a pace that was the link's: a flow that begins doubles each round trip, and is
/// left all but a part of it, before it has filled the queue and lost.
const GROWN: f64 = 0.022;
const GROWS: f64 = 1.03;
const TAKEN: f64 = 0.88;
const MOSTLY_TAKEN: f64 = 0.6;
const LEAVES: f64 = 8.0;

/// Seconds over which what arrives is counted: a queue that is younger may be that of a body that begins.
const WINDOW: f64 = 0.2;

/// Seconds between two looks of which one follows the other.
const LOOKS_APART: f64 = 0.1;

/// A queue of ours is gone by then.
const CROWDED_AFTER: Duration = Duration::from_secs(2);

/// A change of the pace is seen this much later than a round trip.
const SEEN_AFTER: Duration = Duration::from_millis(100);

/// How much of what waits too long is to go within a round: more would swing.
const ANSWER: f64 = 0.4;

/// The part of the answer that stays, relative to the square of it.
const DRIFT: f64 = 0.45;

/// What is taken off what arrives where far too much waits.
const LEAST_CUT: f64 = 0.05;
const LARGEST_CUT: f64 = 0.5;

/// Seconds over which what arrives is smoothed before the most of a round is taken.
const SMOOTH: f64 = 0.15;

/// A pace that is higher than what arrives by more was never carried.
const OVERSHOT: f64 = 1.1;

/// Gains of a round without a queue: from a share of the most that was carried of late on they begin small, and
/// double after some rounds.
const FASTER: f64 = 0.5;
const NEAR: f64 = 0.9;
const CAREFUL: f64 = 0.04;
const CAREFUL_FOR: f64 = 3.0;

/// There the pace is for so many rounds what it would be with a little of a queue: a body that ends leaves none for a
/// moment. Longer without one, it is ahead of what arrives by no more than this, and by twice as much after some more
/// of them.
const AHEAD: f64 = 0.08;
const AHEAD_FOR: f64 = 3.0;

/// The part of the most that is forgotten each second.
const FORGETS: f64 = 0.01;

/// The share of the pace from which on it is the pace that holds us.
const HELD: f64 = 0.7;

/// The share of the pace below which more connections are to carry it, the rounds in which they become twice as
/// many, and the part of them that goes each second where enough waits.
const CARRIED: f64 = 0.45;
const SPREADS: f64 = 3.0;
const GATHERS: f64 = 0.5;

/// Each of them needs its own part of the gateway's time, also where somebody else comes meanwhile.
const MOST_SPREAD: f64 = 3.0;

/// The part of the pace that bodies are counted by: one slow flow beside them has the rest.
const FEW: f64 = 10.0;

/// Seconds over which it is known what a full link carries.
const REMEMBERS: f64 = 1.0;

/// The moments in which our own queue empties.
const QUIET_EVERY: Duration = Duration::from_secs(20);
const QUIET_FOR: Duration = Duration::from_millis(60);
const QUIET: f64 = 0.4;

#[cfg(test)]
mod tests;
