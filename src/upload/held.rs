//! What holds a run back. In: what its calls, bodies and threads do at one moment. Out: the one thing
//! that would have to be faster for the run to be faster. Never: a clock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::transfer::Steps;

/// What a run is held back by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// Reading files, and finding them.
    Disk,
    /// Working out MD5s.
    Hash,
    /// Sending: the network, or the servers' speed.
    Link,
    /// Sending: the rate limit that was asked for.
    Limit,
    /// Sending: others fill the link, and [`Options::yields`](crate::Options::yields) leaves it to them.
    Others,
    /// Answers of the service.
    Service,
    /// Calls per second that the service grants.
    CallRate,
    /// The service works out the MD5 of what it has.
    Verifying,
    /// Something failed, and is tried again after a pause; or a server takes nothing.
    Waiting,
}

impl Held {
    /// All of them.
    pub const ALL: [Held; 9] = [
        Held::Disk,
        Held::Hash,
        Held::Link,
        Held::Limit,
        Held::Others,
        Held::Service,
        Held::CallRate,
        Held::Verifying,
        Held::Waiting,
    ];

    /// In the words of `--json`, which has fewer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Held::Disk => "disk",
            Held::Hash => "hash",
            Held::Link => "link",
            Held::Limit | Held::Others => "limit",
            Held::CallRate => "calls",
            Held::Service | Held::Verifying | Held::Waiting => "service",
        }
    }
}

/// One moment of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Its calls.
    pub steps: Steps,
    /// Bodies that are ready and wait for a permit.
    pub queued: usize,
    /// Files that the service verifies.
    pub verifying: usize,
    /// Whether a body's bytes moved just now, or one was answered.
    pub moves: bool,
    /// Bytes go out as fast as the limit allows.
    pub at_limit: bool,
    /// Others on the link are left most of it.
    pub gives_way: bool,
    /// Processors that were in use.
    pub processors: f64,
}

impl Moment {
    /// The narrowest place. A free permit is no bottleneck, so calls that wait for their turn are, where
    /// not every permit is taken.
    #[must_use]
    pub fn held(&self) -> Held {
        let Steps {
            turns,
            sending,
            unanswered,
            calling,
            pausing,
            ..
        } = self.steps;
        let bodies = sending + unanswered > 0;
        let sent = match () {
            () if self.gives_way => Held::Others,
            () if self.at_limit => Held::Limit,
            () if self.moves => Held::Link,
            () if sending > 0 => Held::Waiting,
            () => Held::Service,
        };
        match () {
            () if self.queued > 0 && bodies => sent,
            () if turns > 0 => Held::CallRate,
            () if bodies => sent,
            () if calling > 0 && self.verifying == 0 => Held::Service,
            () if self.verifying > 0 => Held::Verifying,
            () if pausing > 0 => Held::Waiting,
            () if self.processors >= BUSY => Held::Hash,
            () => Held::Disk,
        }
    }
}

/// How long a run was held by what.
#[derive(Debug, Default)]
pub struct TimeSpent([AtomicU64; Held::ALL.len()]);

impl TimeSpent {
    /// For `time` it was `held`.
    pub fn add(&self, held: Held, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0[held as usize].fetch_add(micros, Ordering::Relaxed);
    }

    /// For how long it was held by each, the longest first; what did not hold it is left out.
    #[must_use]
    pub fn shares(&self) -> Vec<(Held, Duration)> {
        let time =
            |held: Held| Duration::from_micros(self.0[held as usize].load(Ordering::Relaxed));
        let mut shares: Vec<_> = Held::ALL.map(|held| (held, time(held))).into();
        shares.retain(|(_, time)| !time.is_zero());
        shares.sort_by_key(|&(_, time)| std::cmp::Reverse(time));
        shares
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Held::Disk => "the disk",
            Held::Hash => "hashing",
            Held::Link => "the link",
            Held::Limit => "the rate limit",
            Held::Others => "others on the link",
            Held::Service => "the service's answers",
            Held::CallRate => "the service's call rate",
            Held::Verifying => "the service's verifying",
            Held::Waiting => "failures",
        })
    }
}

/// One hashing thread that never waits for the disk uses a whole processor, or the half that others leave it.
const BUSY: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steps: Steps) -> Moment {
        Moment {
            steps,
            ..Moment::default()
        }
    }

    #[test]
    fn the_narrowest_place_holds_it() {
        let sending = Steps {
            sending: 4,
            ..Steps::default()
        };
        let turns = Steps {
            turns: 30,
            ..Steps::default()
        };
        let moving = Moment {
            moves: true,
            ..at(sending)
        };
        let both = Steps {
            turns: 30,
            sending: 4,
            ..Steps::default()
        };
        let unanswered = Steps {
            unanswered: 4,
            ..Steps::default()
        };
        let cases = [
            ("bodies move", moving, Held::Link),
            ("nothing moves", at(sending), Held::Waiting),
            ("sent, no answers", at(unanswered), Held::Service),
            ("turns", at(turns), Held::CallRate),
            (
                "turns, and permits are free",
                Moment {
                    steps: both,
                    ..moving
                },
                Held::CallRate,
            ),
            (
                "turns, and no permit is free",
                Moment {
                    steps: both,
                    queued: 1,
                    ..moving
                },
                Held::Link,
            ),
            (
                "as fast as allowed",
                Moment {
                    at_limit: true,
                    ..moving
                },
                Held::Limit,
            ),
            (
                "others are there",
                Moment {
                    gives_way: true,
                    ..moving
                },
                Held::Others,
            ),
            (
                "verified, and asked about",
                Moment {
                    verifying: 2,
                    ..at(Steps {
                        calling: 1,
                        ..Steps::default()
                    })
                },
                Held::Verifying,
            ),
            (
                "a pause",
                at(Steps {
                    pausing: 1,
                    ..Steps::default()
                }),
                Held::Waiting,
            ),
            (
                "a thread hashes",
                Moment {
                    processors: 0.97,
                    ..Moment::default()
                },
                Held::Hash,
            ),
            ("nothing but reading is left", Moment::default(), Held::Disk),
        ];
        for (case, moment, held) in cases {
            assert_eq!(moment.held(), held, "{case}");
        }
    }

    #[test]
    fn time_is_kept_by_what_held_it() {
        let spent = TimeSpent::default();
        let second = Duration::from_secs(1);
        spent.add(Held::Link, second);
        spent.add(Held::Waiting, 3 * second);
        spent.add(Held::Link, second);
        let shares = spent.shares();
        assert_eq!(
            shares,
            [(Held::Waiting, 3 * second), (Held::Link, 2 * second)]
        );
        for held in Held::ALL {
            assert_eq!(Held::ALL[held as usize], held);
        }
    }
}
