//! The decision to repeat a failed call. In: the error, what was tried before, whether repeating is
//! safe. Out: one [`Decision`]. Never: a wait or a call of its own, nor an opinion beyond the kind.

use std::time::Duration;

use crate::error::{Delivery, Error, Kind, Operation};

/// How often one call is tried, and how long is waited between: anything between nothing and a
/// bound that triples with each attempt. What the service asks for in `Retry-After` comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Attempts in all, the first one included. Default 8. From the third on, those that go to upload
    /// servers which were not asked yet do not count, fifteen for each attempt at most; with fewer
    /// attempts than the default all of them count.
    pub attempts: u32,
    /// Time that attempts and the waits between them may use before the last one starts. It ends
    /// nothing before the third attempt, and a single attempt counts a quarter of it at most, so that
    /// a machine that was stopped has not retried. Default 10 minutes.
    pub give_up_after: Duration,
    /// The first wait's bound after a failure of the wire. Default 250 ms.
    pub base: Duration,
    /// The same where the service asks for less. Default 1 s, which its queue text asks for.
    pub throttled_base: Duration,
    /// The bound of every wait. Default 30 s.
    pub cap: Duration,
}

/// What was tried before this failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The number of the attempt that just failed, from 1; those that do not count are left out.
    pub number: u32,
    /// Attempts that did not count, since there was a server left that had not been asked.
    pub uncounted: u32,
    /// The time that attempts and waits have used, each as it counts.
    pub elapsed: Duration,
    /// The failed attempt already used a token fetched because of a refusal.
    pub refreshed: bool,
    /// The slice was already hashed again.
    pub rehashed: bool,
    /// A reply of the service that cannot be read was already met.
    pub garbled: bool,
    /// There is a server to which this did not go yet.
    pub untried: bool,
}

/// Whether doing a call twice has the effect of doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Slices, complete, and create or single under `overwrite` and `fail`.
    Safe,
    /// create and single under `keep-both`, where a repeated call makes a second copy.
    Ambiguous,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The same call once more.
    Again {
        /// The wait before it.
        after: Duration,
        /// Prefer another server, or at least another connection.
        elsewhere: bool,
    },
    /// Fetch a new token, then the same call at once.
    Refresh,
    /// Hash the slice again from the file, then the same call at once.
    Rehash,
    /// The error is final.
    GiveUp,
}

impl Retry {
    /// Decides by the error's kind and the attempts so far.
    #[must_use]
    pub fn decide(
        &self,
        error: &Error,
        attempt: &Attempt,
        repeat: Repeat,
        rng: &mut fastrand::Rng,
    ) -> Decision {
        let spent = attempt.number >= self.attempts && !self.has_fresh_server(error, attempt);
        let spent = spent || self.is_late(attempt, Duration::ZERO);
        let may_double = repeat == Repeat::Ambiguous && error.delivery() == Delivery::Unknown;
        let hopeless = error.is_lasting() && attempt.number >= TRIES_ELSEWHERE;
        // Refused credentials are of the run too, but may be renewed.
        let ended = error.is_of_the_run() && error.kind() != Kind::Auth;
        if spent || may_double || hopeless || ended {
            return Decision::GiveUp;
        }
        match error.kind() {
            Kind::Throttled | Kind::Transport => self.again(error, attempt, rng),
            Kind::Protocol if error.is_foreign() => self.again(error, attempt, rng),
            Kind::Protocol if !attempt.garbled => self.again(error, attempt, rng),
            Kind::Auth if !attempt.refreshed => Decision::Refresh,
            // Only a slice has an MD5 of its own; a whole file that was refused stays refused.
            Kind::Integrity if !attempt.rehashed && error.operation() == Operation::Slice => {
                Decision::Rehash
            }
            _ => Decision::GiveUp,
        }
    }

    fn again(&self, error: &Error, attempt: &Attempt, rng: &mut fastrand::Rng) -> Decision {
        let after = if error.is_lasting() {
            Duration::ZERO
        } else if self.has_fresh_server(error, attempt) {
            // A server that was not asked yet had no failure that it would have to recover from.
            self.delay(error, 1, rng)
        } else {
            self.delay(error, attempt.number, rng)
        };
        if self.is_late(attempt, after) {
            return Decision::GiveUp;
        }
        Decision::Again {
            after,
            elsewhere: is_the_servers_own(error),
        }
    }

    /// Of a hundred servers most may be dead: each is asked before all of them are waited for, unless
    /// the caller wants fewer attempts than usual. Three attempts count in any case, which is what a
    /// failure of one's own link costs.
    fn has_fresh_server(&self, error: &Error, attempt: &Attempt) -> bool {
        self.attempts >= USUAL_ATTEMPTS
            && attempt.untried
            && attempt.number >= TRIES_ELSEWHERE
            && attempt.uncounted < self.attempts.saturating_mul(UNCOUNTED_FOR_EACH)
            && is_the_servers_own(error)
    }

    /// What an attempt that took `took` counts. A machine that was stopped meanwhile, or one attempt
    /// that hung, was no retrying: a single one uses up a quarter of the time at most.
    fn counted(&self, took: Duration) -> Duration {
        took.min(self.give_up_after / 4)
    }

    /// Whether the time is up, also for three attempts where there may be so many servers.
    fn is_late(&self, attempt: &Attempt, after: Duration) -> bool {
        let elapsed = attempt.elapsed.saturating_add(after);
        attempt.number >= TRIES_ELSEWHERE && elapsed > self.give_up_after
    }

    /// Full jitter: anything between nothing and the bound, so that a hundred slices that failed
    /// together do not come back together.
    fn delay(&self, error: &Error, number: u32, rng: &mut fastrand::Rng) -> Duration {
        let throttled = error.kind() == Kind::Throttled;
        let base = if throttled {
            self.throttled_base
        } else {
            self.base
        };
        let bound = base.saturating_mul(GROWTH.saturating_pow(number.saturating_sub(1)));
        let jittered = bound.min(self.cap).mul_f64(rng.f64());
        let asked = error
            .retry_after()
            .filter(|&wait| wait <= LONGEST_RETRY_AFTER)
            .unwrap_or_default();
        let floor = if is_queue_full(error) {
            self.throttled_base
        } else {
            Duration::ZERO
        };
        match asked.max(floor) {
            Duration::ZERO => jittered,
            // All calls are asked for the same wait; a tenth of it spreads them.
            least => least + least.mul_f64(0.1 * rng.f64()),
        }
        .max(jittered.min(self.cap))
    }
}

impl Default for Retry {
    /// 8 attempts or 10 minutes. The delays between 8 attempts add
    /// up to 45 s on average, which outlives a router's restart.
    fn default() -> Self {
        Retry {
            attempts: USUAL_ATTEMPTS,
            give_up_after: Duration::from_secs(600),
            base: Duration::from_millis(250),
            throttled_base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        }
    }
}

impl Attempt {
    /// The first attempt of a call, at the moment it failed.
    #[must_use]
    pub fn first() -> Self {
        Attempt {
            number: 1,
            uncounted: 0,
            elapsed: Duration::ZERO,
            refreshed: false,
            rehashed: false,
            garbled: false,
            untried: false,
        }
    }

    /// The same, having used what `took` counts by `rules`.
    #[must_use]
    pub fn used(self, took: Duration, rules: &Retry) -> Self {
        let elapsed = self.elapsed.saturating_add(rules.counted(took));
        Attempt { elapsed, ..self }
    }

    /// The attempt that follows `decision` about `error` by `rules`.
    #[must_use]
    pub fn next(self, error: &Error, decision: Decision, rules: &Retry) -> Self {
        let free = u32::from(rules.has_fresh_server(error, &self));
        let wait = match decision {
            Decision::Again { after, .. } => after,
            _ => Duration::ZERO,
        };
        Attempt {
            number: self.number + 1 - free,
            uncounted: self.uncounted + free,
            elapsed: self.elapsed.saturating_add(wait),
            refreshed: self.refreshed || decision == Decision::Refresh,
            rehashed: self.rehashed || decision == Decision::Rehash,
            garbled: self.garbled || error.kind() == Kind::Protocol && !error.is_foreign(),
            untried: false,
        }
    }
}

/// How long something is asked for again and again, counted step by step: a step during which the
/// machine was stopped counts a tenth of the whole at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    left: Duration,
    longest_step: Duration,
}

impl Patience {
    /// Patience for `most`.
    #[must_use]
    pub fn new(most: Duration) -> Self {
        Patience {
            left: most,
            longest_step: most / 10,
        }
    }

    /// A step took `took`; whether there is patience for another.
    #[must_use]
    pub fn spend(&mut self, took: Duration) -> bool {
        self.left = self.left.saturating_sub(took.min(self.longest_step));
        !self.left.is_zero()
    }
}

/// A failure of this server or this connection, as opposed to one of the account.
fn is_the_servers_own(error: &Error) -> bool {
    match error.kind() {
        Kind::Transport | Kind::Protocol => true,
        _ => error.status().is_some_and(|status| status >= 500),
    }
}

/// Code 1 counts as throttling only with the instant-upload queue's text.
fn is_queue_full(error: &Error) -> bool {
    error.kind() == Kind::Throttled && error.code() == Some(1)
}

/// Repeats that a file, or a run, may still make. A dead service then costs a run of 10,000 files
/// a bounded number of calls, not eight for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudget {
    left: f64,
    most: f64,
}

impl RetryBudget {
    /// Room for `repeats`, which is also the most that successes can restore.
    #[must_use]
    pub fn new(repeats: u32) -> Self {
        RetryBudget {
            left: f64::from(repeats),
            most: f64::from(repeats),
        }
    }

    /// For one file: 512, half as many again as 64 slices in flight can spend on eight
    /// attempts each, and an eighth of the run's.
    #[must_use]
    pub fn of_a_file() -> Self {
        RetryBudget::new(512)
    }

    /// For one run: 4,096. The 384 files that may be under way at once can all use their eight
    /// attempts, so that a break of half a minute in the line costs no file.
    #[must_use]
    pub fn of_a_run() -> Self {
        RetryBudget::new(4096)
    }

    /// Takes one repeat; `false` says that none is left and the error is final.
    #[must_use]
    pub fn spend(&mut self) -> bool {
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }

    /// A call succeeded. Each success pays for half a repeat: with one in three calls failing a
    /// run still goes on for ever.
    pub fn earn(&mut self) {
        self.left = (self.left + 0.5).min(self.most);
    }
}

/// The bound triples, so that the first repeat is quick and the eight together last long.
const GROWTH: u32 = 3;

/// Where waiting does not help, or time is up, other servers may help: three fresh ones where there
/// are so many.
const TRIES_ELSEWHERE: u32 = 3;

/// Attempts by default. The delays between them add up to 45 s on average.
const USUAL_ATTEMPTS: u32 = 8;

/// Attempts on servers that were not asked yet which a call may have for each one that counts.
const UNCOUNTED_FOR_EACH: u32 = 15;

/// Above this a `Retry-After` is taken for a mistake (or a ban that no waiting will lift).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
