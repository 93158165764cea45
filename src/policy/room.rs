//! Room for others on the link, `--yield`. In: what waits in the link's queue, as time, and what arrives a second.
//! Out: how fast bodies may go. Never: less than what gets a body to its end in time, a clock, or a link that is
//! left unused although nobody else is there.
//!
//! The pace is a little less than what the link carries, so that its queue is empty: whatever waits is somebody else's,
//! and is seen while it is small. A flow that begins doubles each round trip, and what it loses then it lacks for long.
//!
//! | phase | pace | until |
//! |---|---|---|
//! | rising | half as much again each round | something waits, or it carries what was known |
//! | draining | less than the link by what waits | a round later |
//! | holding | [`HELD`] of what the link carries | something waits, or it is time to try more |
//! | trying | more than the link carries for [`TRIES_FOR`] | its queue was seen, which tells what the link carries |
//! | checking | [`CHECKS`] of the pace, for a round trip | the queue is gone: it was ours; or has grown: it is not |
//! | giving way | a part of the link | nothing has waited for some rounds |

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pace that leaves room.
#[derive(Debug, Clone)]
pub struct Room {
    phase: Phase,
    /// Bytes per second, without the answer to the present queue.
    steady: f64,
    /// Bytes per second.
    rate: f64,
    /// What the link carries of ours; 0 where it was never full.
    carries: f64,
    /// The most of it for some time.
    best: f64,
    /// What arrived a second at each look of late.
    arrived: VecDeque<(Instant, f64)>,
    /// When more is tried, and by what part.
    tries_at: Option<Instant>,
    more: f64,
    /// How many times as many bodies as usual are to carry the pace.
    spread: f64,
    /// Since when anything waits, and since when far too much.
    queued_since: Option<Instant>,
    crowded_since: Option<Instant>,
    looked: Option<Instant>,
}

/// What the pace does. What waits is in seconds.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Rising,
    Draining {
        until: Instant,
        waited: f64,
        /// What the link carries was not seen of late.
        learns: bool,
    },
    Holding,
    Trying {
        since: Instant,
        most: f64,
    },
    Checking {
        until: Instant,
        waited: f64,
        /// What the link carries is to be learnt.
        learns: bool,
    },
    GivingWay {
        until: Instant,
    },
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

/// What a look shows, times in seconds.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: Instant,
    /// Since the look before.
    passed: f64,
    waits: f64,
    round_trip: f64,
    /// After which a change of the pace is seen.
    round: f64,
    /// Bytes a second: now, and the most of late.
    arrives: f64,
    arrived: f64,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            phase: Phase::Rising,
            steady: FIRST,
            rate: FIRST,
            carries: 0.0,
            best: 0.0,
            arrived: VecDeque::new(),
            tries_at: None,
            more: TRIES,
            spread: 1.0,
            queued_since: None,
            crowded_since: None,
            looked: None,
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
    /// the link: an eleventh; a quarter where that is `for_two`; more where connections do not carry the pace although
    /// nothing waits, each slow by what it lost.
    #[must_use]
    pub fn bodies_rate(&self, for_two: u64) -> u64 {
        let usual = (self.steady / FEW).max((for_two as f64).min(self.steady / 4.0));
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
        let round_trip = seen.round_trip.as_secs_f64();
        let look = Look {
            now,
            passed,
            waits,
            round_trip,
            round: round_trip + SEEN_AFTER,
            arrives: seen.arrives,
            arrived: self.most_of_late(now, seen.arrives, passed, 2.0 * (round_trip + SEEN_AFTER)),
        };
        let since = |is: bool, before: Option<Instant>| is.then(|| before.unwrap_or(now));
        self.queued_since = since(waits >= SHOWN, self.queued_since);
        self.crowded_since = since(waits >= TOO_MUCH, self.crowded_since);
        self.spread(&look);
        self.go_on(&look);
        self.best = self.carries.max(self.best * (1.0 - passed * FORGETS));
        // Slower bodies would not only be late: with so few bytes on their way nothing is seen any more.
        let least = (seen.least as f64).max(LEAST);
        self.steady = self.steady.clamp(least, MOST);
        self.rate = self.rate.clamp(least, MOST);
    }

    fn go_on(&mut self, look: &Look) {
        let &Look { now, waits, .. } = look;
        let is_queued = waits >= SHOWN;
        match self.phase {
            Phase::Rising => self.rise(look),
            Phase::Draining { waited, learns, .. } if waits > waited + SHOWN => {
                self.check(look, 0.0, learns)
            }
            Phase::Draining { until, .. } if now >= until => {
                self.phase = Phase::Holding;
                self.rate = self.steady;
            }
            Phase::Draining { .. } => {}
            Phase::Holding if is_queued => self.check(look, 0.0, false),
            Phase::Holding if self.tries_at.is_none_or(|at| now >= at) => {
                self.rate = self.carries * (1.0 + self.more);
                self.phase = Phase::Trying {
                    since: now,
                    most: 0.0,
                };
            }
            Phase::Holding => {}
            Phase::Trying { since, most } => self.try_more(look, since, most.max(waits)),
            // It was ours.
            Phase::Checking { learns: true, .. } if !is_queued => {
                self.carries = look.arrived;
                self.drain(look, SOON, false);
            }
            Phase::Checking { .. } if !is_queued => {
                self.carries *= LESS;
                self.steady = self.carries * HELD;
                self.rate = self.steady;
                self.phase = Phase::Holding;
                self.tries_at = Some(now + seconds(look.round + SOON));
            }
            Phase::Checking {
                until,
                waited,
                learns,
            } if now >= until => match waits > waited + GROWN && !learns {
                true => self.give_way(look),
                false => {
                    self.steady = self.rate;
                    self.check(look, 0.0, learns);
                }
            },
            Phase::Checking { .. } => {}
            Phase::GivingWay { .. } if is_queued => self.stay_away(look),
            Phase::GivingWay { until } if now >= until => self.phase = Phase::Rising,
            Phase::GivingWay { .. } => {}
        }
    }

    /// Nothing was seen to wait: faster.
    fn rise(&mut self, look: &Look) {
        let stands = self.queued_since.map_or(0.0, |since| {
            look.now.saturating_duration_since(since).as_secs_f64()
        });
        if look.waits >= SHOWN {
            // The first packets of connections that begin together wait for each other.
            if self.carries > 0.0 || stands >= look.round || look.waits >= TOO_MUCH {
                self.check(look, 0.0, true);
            }
            return;
        }
        // Where something else holds us, a higher pace would be a burst later on.
        if look.arrives >= self.rate * CARRIED {
            self.steady *= f64::powf(1.0 + FASTER, look.passed / look.round);
            self.rate = self.steady;
        }
        if self.carries > 0.0 && self.steady >= self.carries * HELD {
            self.drain(look, SOON, true);
        }
    }

    /// What has waited for what was tried tells what the link carries.
    fn try_more(&mut self, look: &Look, since: Instant, most: f64) {
        self.phase = Phase::Trying { since, most };
        let passed = look.now.saturating_duration_since(since).as_secs_f64();
        if passed >= TRIES_FOR {
            self.rate = self.steady;
        }
        // On a full link, as long as it has been to be seen.
        let ours = (passed - look.round_trip).clamp(0.0, TRIES_FOR) * self.more;
        if look.waits > ours + SHOWN {
            let comes = TRIES_FOR * self.more - ours;
            self.check(look, comes, false);
        } else if passed >= TRIES_FOR + look.round_trip + SEEN_LATER {
            let is_carried = look.arrives > self.steady * CARRIED;
            if is_carried {
                self.carries *= (1.0 + self.more) / (1.0 + most / TRIES_FOR);
            }
            let has_room = is_carried && most < ours * HARDLY;
            let is_less = self.carries < self.best * MUCH_OF_IT;
            if has_room && (is_less || self.more >= MOST_TRIED) {
                (self.carries, self.more) = (0.0, TRIES);
                self.phase = Phase::Rising;
            } else if has_room {
                self.more *= 2.0;
                self.drain(look, 0.0, false);
            } else {
                self.more = TRIES;
                self.drain(look, if is_less { SOON } else { TRIES_AFTER }, false);
            }
        }
    }

    /// Something waits: slower, until it is known whose it is. What was sent `comes` to so many seconds of it more.
    fn check(&mut self, look: &Look, comes: f64, learns: bool) {
        self.rate = self.rate.min(self.steady * CHECKS);
        self.phase = Phase::Checking {
            until: look.now + seconds(look.round_trip + look.waits + SEEN_SOON),
            waited: look.waits + comes,
            learns,
        };
    }

    /// Back to a little less than the link carries, what waits first; `after` so many seconds more is tried.
    fn drain(&mut self, look: &Look, after: f64, learns: bool) {
        self.steady = self.carries * HELD;
        self.rate = self.steady * (1.0 - (look.waits / look.round).min(0.5));
        self.tries_at = Some(look.now + seconds(look.round + after));
        self.phase = Phase::Draining {
            until: look.now + seconds(look.round),
            waited: look.waits,
            learns,
        };
    }

    fn give_way(&mut self, look: &Look) {
        // Others may stay, and a queue of ours may have looked like theirs.
        self.carries *= TAKEN;
        self.steady = self.carries / LEAVES;
        self.rate = self.steady;
        self.stay_away(look);
    }

    fn stay_away(&mut self, look: &Look) {
        let until = look.now + seconds(look.round * AWAY_FOR);
        self.phase = Phase::GivingWay { until };
    }

    /// More bodies where connections do not carry the pace, and fewer again where something waits.
    fn spread(&mut self, look: &Look) {
        if look.waits >= SHOWN || look.arrives >= self.rate * HARDLY_CARRIED {
            self.spread = (self.spread * (1.0 - look.passed * GATHERS)).max(1.0);
        } else if matches!(self.phase, Phase::Rising | Phase::Holding) {
            let more = f64::powf(2.0, look.passed / look.round / SPREADS);
            self.spread = (self.spread * more).min(MOST_SPREAD);
        }
    }

    /// The most that arrived a second in the seconds of `within`, looks' noise apart.
    fn most_of_late(&mut self, now: Instant, arrives: f64, passed: f64, within: f64) -> f64 {
        let before = self.arrived.back().map_or(arrives, |&(_, before)| before);
        let smooth = before + (arrives - before) * (passed / SMOOTH).min(1.0);
        self.arrived.push_back((now, smooth));
        let is_old = |at: Instant| now.saturating_duration_since(at).as_secs_f64() > within;
        while (self.arrived.front()).is_some_and(|&(at, _)| is_old(at)) {
            self.arrived.pop_front();
        }
        let each = self.arrived.iter().map(|&(_, arrives)| arrives);
        each.fold(0.0, f64::max)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Where it begins, in bytes per second. At least a body of 16 MiB and a quarter more, for what it overlaps with the ones
/// before and after it, arrive within 50 of the gateway's 60 s.
const FIRST: f64 = 1e6;
const LEAST: f64 = 425e3;
const MOST: f64 = 1e11;

/// Seconds that wait where somebody else is there, or the link carries less than was known.
const SHOWN: f64 = 0.007;

/// Seconds that are far too much: calls and games notice more than 25 ms.
const TOO_MUCH: f64 = 0.028;

/// A queue of ours is gone by then.
const CROWDED_AFTER: Duration = Duration::from_secs(2);

/// The part of what the link carries that is sent: its queue stays empty.
const HELD: f64 = 0.98;

/// So many seconds after what is found by rising or by a check, and then after each other, more is tried: this part more,
/// and twice as much where hardly anything waits for it, for so long; where the most is carried it rises again. It is seen
/// a round trip and so many seconds later. Where the link carries less than this part of the best, somebody else is there,
/// who may leave: sooner then, and what is tried first is enough. The best is forgotten by this part a second.
const SOON: f64 = 0.6;
const TRIES_AFTER: f64 = 5.0;
const MUCH_OF_IT: f64 = 0.8;
const FORGETS: f64 = 0.01;
const TRIES: f64 = 0.06;
const MOST_TRIED: f64 = 0.12;
const TRIES_FOR: f64 = 0.2;
const SEEN_LATER: f64 = 0.2;
/// The part of the queue that it makes on a full link below which it carries more.
const HARDLY: f64 = 0.5;

/// The part of the pace that is left until it is known whose a queue is: a round trip and so many seconds. Somebody
/// else's has grown by so many seconds meanwhile.
const CHECKS: f64 = 0.3;
const SEEN_SOON: f64 = 0.05;
const GROWN: f64 = 0.003;
/// What is left of what the link was taken to carry where the queue was ours.
const LESS: f64 = 0.99;
/// The same where it was somebody else's.
const TAKEN: f64 = 0.95;

/// Somebody else has all but this part of the link, for so many rounds beyond what waits.
const LEAVES: f64 = 12.0;
const AWAY_FOR: f64 = 4.0;

/// A change of the pace is seen so many seconds later than a round trip.
const SEEN_AFTER: f64 = 0.1;

/// Seconds over which what arrives is smoothed before the most of it is taken.
const SMOOTH: f64 = 0.15;

/// What a round adds where nothing waits, and the share of the pace that has to arrive for that.
const FASTER: f64 = 0.5;
const CARRIED: f64 = 0.7;

/// The share of the pace below which more connections are to carry it, the rounds in which they become twice as many, and
/// the part of them that goes each second above it, also where something waits.
const HARDLY_CARRIED: f64 = 0.55;
const SPREADS: f64 = 3.0;
const GATHERS: f64 = 0.5;

/// Each of them needs its own part of the gateway's time, also where somebody else comes meanwhile.
const MOST_SPREAD: f64 = 3.0;

/// The part of the pace that bodies are counted by: one slow flow beside them has the rest.
const FEW: f64 = 11.0;

#[cfg(test)]
mod tests;
