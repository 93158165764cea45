//! Whether a failed call is repeated. In: the error, what was tried before, whether repeating is
//! safe. Out: one [`Decision`]. Never: a wait or a call of its own, nor an opinion beyond the kind.

use std::time::Duration;

use crate::error::{Delivery, Error, Kind};

/// The rules of repeating: budgets and delays. One value serves a whole run.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How often, and for how long, one call is tried.
    pub budget: Budget,
    /// The first delay's upper bound after a failure of the wire; each next bound is three times
    /// the last.
    pub base: Duration,
    /// The same where the service asked for less. Its queue text asks for a second at least.
    pub throttled_base: Duration,
    /// The upper bound of every delay that we choose ourselves.
    pub cap: Duration,
}

/// How much trying one call is worth: whichever runs out first ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// Time from the start of the first attempt to the start of the last.
    pub elapsed: Duration,
}

/// What was tried before this failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The number of the attempt that just failed, from 1.
    pub number: u32,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// The failed attempt already used a token fetched because of a refusal.
    pub refreshed: bool,
    /// The slice was already hashed again.
    pub rehashed: bool,
    /// The upload was already begun again from create.
    pub restarted: bool,
    /// An unreadable reply was already met.
    pub garbled: bool,
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
    /// Begin again from create.
    Restart,
    /// The error is final.
    GiveUp,
}

impl Retry {
    /// Decides by the error's kind, as the table in DESIGN.md says.
    #[must_use]
    pub fn decide(
        &self,
        error: &Error,
        attempt: &Attempt,
        repeat: Repeat,
        rng: &mut fastrand::Rng,
    ) -> Decision {
        let spent = attempt.number >= self.budget.attempts || attempt.elapsed > self.budget.elapsed;
        let may_double = repeat == Repeat::Ambiguous && error.delivered() == Delivery::Unknown;
        if spent || may_double {
            return Decision::GiveUp;
        }
        match error.kind() {
            Kind::Throttled | Kind::Transport => self.again(error, attempt, rng),
            Kind::Protocol if !attempt.garbled => self.again(error, attempt, rng),
            Kind::Auth if !attempt.refreshed => Decision::Refresh,
            Kind::Integrity if !attempt.rehashed => Decision::Rehash,
            Kind::Expired if !attempt.restarted => Decision::Restart,
            _ => Decision::GiveUp,
        }
    }

    fn again(&self, error: &Error, attempt: &Attempt, rng: &mut fastrand::Rng) -> Decision {
        let after = self.delay(error, attempt.number, rng);
        if attempt.elapsed.saturating_add(after) > self.budget.elapsed {
            return Decision::GiveUp;
        }
        Decision::Again {
            after,
            elsewhere: is_the_servers_own(error),
        }
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
            .wait()
            .filter(|&wait| wait <= LONGEST_RETRY_AFTER)
            .unwrap_or_default();
        let floor = if is_queue_full(error) {
            self.throttled_base
        } else {
            Duration::ZERO
        };
        match asked.max(floor) {
            Duration::ZERO => jittered,
            // Everybody was told the same time; a tenth of it spreads them.
            least => least + least.mul_f64(0.1 * rng.f64()),
        }
        .max(jittered.min(self.cap))
    }
}

impl Default for Retry {
    /// The field notes' decision 9: 8 attempts or 10 minutes. The delays between 8 attempts add
    /// up to 45 s on average, which outlives a router's restart.
    fn default() -> Self {
        Retry {
            budget: Budget {
                attempts: 8,
                elapsed: Duration::from_secs(600),
            },
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
            elapsed: Duration::ZERO,
            refreshed: false,
            rehashed: false,
            restarted: false,
            garbled: false,
        }
    }

    /// The attempt that follows `decision` about a failure of `kind`.
    #[must_use]
    pub fn next(self, kind: Kind, decision: Decision) -> Self {
        Attempt {
            number: self.number + 1,
            refreshed: self.refreshed || decision == Decision::Refresh,
            rehashed: self.rehashed || decision == Decision::Rehash,
            restarted: self.restarted || decision == Decision::Restart,
            garbled: self.garbled || kind == Kind::Protocol,
            ..self
        }
    }
}

/// A failure of this server or this connection, as opposed to one of the account.
fn is_the_servers_own(error: &Error) -> bool {
    match error.kind() {
        Kind::Transport | Kind::Protocol => true,
        _ => error.http_status().is_some_and(|status| status >= 500),
    }
}

/// Code 1 counts as throttling only with the instant-upload queue's text.
fn is_queue_full(error: &Error) -> bool {
    error.kind() == Kind::Throttled && error.service_code() == Some(1)
}

/// Repeats that a file, or a run, may still make. A dead service then costs a run of 10,000 files
/// a bounded number of calls, not eight for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    left: f64,
    most: f64,
}

impl Allowance {
    /// Room for `repeats`, which is also the most that successes can restore.
    #[must_use]
    pub fn new(repeats: u32) -> Self {
        Allowance {
            left: f64::from(repeats),
            most: f64::from(repeats),
        }
    }

    /// For one file: 64 lets every slice of a full gate fail a few times.
    #[must_use]
    pub fn of_a_file() -> Self {
        Allowance::new(64)
    }

    /// For one run: 1,024, four for each permit of the widest gate.
    #[must_use]
    pub fn of_a_run() -> Self {
        Allowance::new(1024)
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

/// Above this a `Retry-After` is taken for a mistake (or a ban that no waiting will lift).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Operation;

    fn error(kind: Kind) -> Error {
        Error::new(kind, Operation::Slice, "x")
    }

    fn decide(error: &Error, attempt: Attempt) -> Decision {
        Retry::default().decide(
            error,
            &attempt,
            Repeat::Safe,
            &mut fastrand::Rng::with_seed(7),
        )
    }

    fn delay_of(error: &Error, attempt: Attempt, seed: u64) -> Duration {
        let rng = &mut fastrand::Rng::with_seed(seed);
        match Retry::default().decide(error, &attempt, Repeat::Safe, rng) {
            Decision::Again { after, .. } => after,
            other => panic!("{other:?}"),
        }
    }

    /// The last column of the table in DESIGN.md: what a first failure and a second one of the
    /// same kind lead to.
    #[test]
    fn each_kind_is_repeated_as_the_table_says() {
        use Decision::{GiveUp, Refresh, Rehash, Restart};
        let rows = [
            (Kind::Source, GiveUp, GiveUp),
            (Kind::Invalid, GiveUp, GiveUp),
            (Kind::Auth, Refresh, GiveUp),
            (Kind::Rejected, GiveUp, GiveUp),
            (Kind::Expired, Restart, GiveUp),
            (Kind::Integrity, Rehash, GiveUp),
            (Kind::State, GiveUp, GiveUp),
            (Kind::Cancelled, GiveUp, GiveUp),
        ];
        for (kind, once, twice) in rows {
            let first = decide(&error(kind), Attempt::first());
            assert_eq!(first, once, "{kind:?}");
            let second = decide(&error(kind), Attempt::first().next(kind, first));
            assert_eq!(second, twice, "{kind:?} twice");
        }
    }

    #[test]
    fn an_unreadable_reply_is_asked_for_once_more_elsewhere() {
        let first = decide(&error(Kind::Protocol), Attempt::first());
        assert!(
            matches!(
                first,
                Decision::Again {
                    elsewhere: true,
                    ..
                }
            ),
            "{first:?}"
        );
        let next = Attempt::first().next(Kind::Protocol, first);
        assert_eq!(decide(&error(Kind::Protocol), next), Decision::GiveUp);
        assert_ne!(decide(&error(Kind::Transport), next), Decision::GiveUp);
    }

    #[test]
    fn the_wire_and_5xx_go_elsewhere_and_the_account_stays() {
        let elsewhere = |error: &Error| match decide(error, Attempt::first()) {
            Decision::Again { elsewhere, .. } => elsewhere,
            other => panic!("{other:?}"),
        };
        assert!(elsewhere(&error(Kind::Transport)));
        assert!(elsewhere(&error(Kind::Throttled).status(503)));
        assert!(!elsewhere(&error(Kind::Throttled).status(429)));
        assert!(!elsewhere(&error(Kind::Throttled).status(200).code(429)));
    }

    #[test]
    fn the_eighth_attempt_is_the_last() {
        let mut attempt = Attempt::first();
        let mut tries = 1;
        while let again @ Decision::Again { .. } = decide(&error(Kind::Transport), attempt) {
            attempt = attempt.next(Kind::Transport, again);
            tries += 1;
        }
        assert_eq!(tries, 8);
    }

    #[test]
    fn ten_minutes_end_it_whatever_the_number() {
        let at = |seconds| Attempt {
            elapsed: Duration::from_secs(seconds),
            ..Attempt::first()
        };
        assert_ne!(decide(&error(Kind::Transport), at(599)), Decision::GiveUp);
        assert_eq!(decide(&error(Kind::Transport), at(601)), Decision::GiveUp);
        let told = error(Kind::Throttled).retry_after(Some(Duration::from_secs(30)));
        assert_eq!(
            decide(&told, at(580)),
            Decision::GiveUp,
            "the wait would pass the end"
        );
    }

    #[test]
    fn keep_both_is_not_repeated_when_it_may_have_arrived() {
        let ask = |error: &Error, repeat| {
            let rng = &mut fastrand::Rng::with_seed(1);
            Retry::default().decide(error, &Attempt::first(), repeat, rng)
        };
        for kind in [Kind::Transport, Kind::Throttled, Kind::Protocol] {
            let lost = error(kind).delivery(Delivery::Unknown);
            assert_eq!(ask(&lost, Repeat::Ambiguous), Decision::GiveUp, "{kind:?}");
            assert_ne!(ask(&lost, Repeat::Safe), Decision::GiveUp, "{kind:?}");
            assert_ne!(
                ask(&error(kind), Repeat::Ambiguous),
                Decision::GiveUp,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn jitter_is_full_and_its_bound_triples_up_to_the_cap() {
        let bounds = [0.25, 0.75, 2.25, 6.75, 20.25, 30.0, 30.0];
        for (number, bound) in (1..).zip(bounds) {
            let attempt = Attempt {
                number,
                ..Attempt::first()
            };
            let delays: Vec<f64> = (0..400)
                .map(|seed| delay_of(&error(Kind::Transport), attempt, seed).as_secs_f64())
                .collect();
            let mean = delays.iter().sum::<f64>() / 400.0;
            assert!(
                delays.iter().all(|&delay| delay <= bound),
                "attempt {number}"
            );
            assert!(
                (0.45..0.55).contains(&(mean / bound)),
                "attempt {number}: mean {mean}"
            );
        }
    }

    #[test]
    fn a_full_queue_waits_a_second_at_least() {
        let queue = error(Kind::Throttled).status(200).code(1);
        for seed in 0..200 {
            let delay = delay_of(&queue, Attempt::first(), seed);
            assert!((1.0..=1.1).contains(&delay.as_secs_f64()), "{delay:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_minute_and_ignored_above() {
        let told = |seconds| {
            let error = error(Kind::Throttled).retry_after(Some(Duration::from_secs(seconds)));
            delay_of(&error, Attempt::first(), 3).as_secs_f64()
        };
        assert!((5.0..=5.5).contains(&told(5)));
        assert!((60.0..=66.0).contains(&told(60)));
        assert!(told(61) <= 1.0);
        assert!(told(86_400) <= 1.0);
        assert!(told(0) <= 1.0);
    }

    #[test]
    fn an_allowance_ends_and_successes_restore_it() {
        let mut allowance = Allowance::new(3);
        let granted = (0..10).filter(|_| allowance.spend()).count();
        assert_eq!(granted, 3);
        allowance.earn();
        assert!(!allowance.spend());
        allowance.earn();
        assert!(allowance.spend());
        (0..100).for_each(|_| allowance.earn());
        assert_eq!((0..10).filter(|_| allowance.spend()).count(), 3);
    }
}
