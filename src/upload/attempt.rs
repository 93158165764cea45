//! The one place where repeating, the gate, the fleet, events and cancellation meet. A call is
//! attempted until it succeeds or [`crate::policy`] says that it is final; its permit is given
//! back while it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::event::Progress;
use super::fleet::{Booking, Crew};
use super::gate::Permit;
use super::run::Shared;
use crate::auth::Secret;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::policy::{Allowance, Attempt, CongestionSignal, Decision, Queue, Repeat, Straggler};
use crate::service::{Carriage, Travelled};
use crate::sync::Mutex;
use crate::wire;

/// Attempts at one thing: what was tried, and what may still be tried.
#[derive(Debug)]
pub struct Attempts<'a> {
    shared: &'a Shared,
    terms: Terms<'a>,
    attempt: Attempt,
    /// When the attempt under way began.
    began: Option<Instant>,
    /// What the last attempt went with.
    token: Option<Secret>,
    /// An answer was lost on the way, so an earlier attempt may have been carried out.
    lost: bool,
}

/// On which terms a call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Whether repeating can do harm.
    pub repeat: Repeat,
    /// Repeats left to the file that it is for.
    pub allowance: &'a Mutex<Allowance>,
}

/// What to do after a failure that is not final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same once more.
    Again {
        /// On another server, if there is one.
        elsewhere: bool,
    },
    /// Once more, with the MD5 worked out anew.
    Rehash,
}

impl<'a> Attempts<'a> {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(shared: &'a Shared, terms: Terms<'a>) -> Attempts<'a> {
        Attempts {
            shared,
            terms,
            attempt: Attempt::first(),
            began: None,
            token: None,
            lost: false,
        }
    }

    /// The token for the next attempt, which begins with it. To be asked for last: one that was got
    /// before a long wait may have been refused meanwhile.
    ///
    /// # Errors
    /// Where there is no token to be had.
    pub async fn token(&mut self) -> Result<Secret> {
        let token = self.shared.core.keyring.token().await?;
        self.token = Some(token.clone());
        self.began = Some(Instant::now());
        Ok(token)
    }

    /// Whether an answer was lost on the way.
    #[must_use]
    pub fn lost_an_answer(&self) -> bool {
        self.lost
    }

    /// A call of `operation` was answered with success.
    pub fn succeeded(&self, operation: Operation) {
        self.shared.core.rates.answered(operation, Instant::now());
        self.shared.core.keyring.proven();
        for allowance in self.allowances() {
            allowance.lock().earn();
        }
    }

    /// Decides about `error`, and waits where the decision is to wait.
    ///
    /// # Errors
    /// `error` itself, with what the user can do, where it is final.
    pub async fn failed(&mut self, error: Error) -> Result<Next> {
        self.lost |= error.delivery() == Delivery::Unknown;
        self.tell_limits(&error);
        if self.shared.is_draining() {
            return Err(Shared::cancelled().with_delivery(error.delivery()));
        }
        let took = self.began.take().map(|began| began.elapsed());
        let rules = &self.shared.core.retry;
        self.attempt = self.attempt.used(took.unwrap_or_default(), rules);
        let decision = self.shared.core.retry.decide(
            &error,
            &self.attempt,
            self.terms.repeat,
            &mut fastrand::Rng::new(),
        );
        tracing::debug!(%error, attempt = self.attempt.number, ?decision, "attempt failed");
        self.attempt = self.attempt.next(&error, decision);
        let next = match decision {
            Decision::Again { after, elsewhere } => {
                if !self.spend() {
                    return Err(self.last_words(error));
                }
                self.wait(after).await?;
                Next::Again { elsewhere }
            }
            Decision::Refresh => {
                let refused = self.token.take().ok_or_else(|| error.clone())?;
                self.shared.core.keyring.renew(&refused, &error).await?;
                Next::Again { elsewhere: false }
            }
            Decision::Rehash => Next::Rehash,
            Decision::Restart | Decision::GiveUp => {
                if error.kind() == Kind::Auth {
                    self.shared.core.keyring.give_up(&error);
                }
                return Err(self.last_words(error));
            }
        };
        Progress::add(&self.shared.progress.retries, 1);
        Ok(next)
    }

    fn spend(&self) -> bool {
        self.allowances()
            .into_iter()
            .all(|allowance| allowance.lock().spend())
    }

    /// The file's first: one file that goes wrong for ever shall not use up the run's.
    fn allowances(&self) -> [&Mutex<Allowance>; 2] {
        [self.terms.allowance, &self.shared.allowance]
    }

    async fn wait(&self, delay: Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            () = self.shared.draining() => Err(Shared::cancelled()),
        }
    }

    fn tell_limits(&self, error: &Error) {
        let now = Instant::now();
        self.tell_who_answered(error, now);
        let carries = matches!(error.operation(), Operation::Slice | Operation::Single);
        // A server in trouble, whether it says so by status or by code, is no rate that was exceeded.
        let in_trouble = matches!(error.code(), Some(500..=599));
        let too_fast = error.status() == Some(429)
            || error.kind() == Kind::Throttled && error.status().is_none() && !in_trouble;
        if too_fast {
            self.shared
                .core
                .rates
                .throttled(error.operation(), error.retry_after(), now);
        }
        if !carries {
            return;
        }
        let trouble = match error.kind() {
            _ if error.is_timeout() && error.kind() == Kind::Transport => CongestionSignal::Stalled,
            _ if error.is_timeout() => CongestionSignal::TimedOut,
            Kind::Throttled => CongestionSignal::Throttled,
            Kind::Transport => CongestionSignal::Failed,
            Kind::Protocol if error.is_foreign() => CongestionSignal::Failed,
            _ => return,
        };
        self.shared.core.gate.troubled(now, trouble);
    }

    /// Whether it was the service that answered. A refusal of what was asked for is an answer like
    /// success: neither the rate nor the token was refused.
    fn tell_who_answered(&self, error: &Error, now: Instant) {
        let core = &self.shared.core;
        if error.is_foreign() {
            return core.rates.foreign(now);
        }
        if error.code().is_none() {
            return;
        }
        core.rates.heard();
        if matches!(
            error.kind(),
            Kind::Rejected | Kind::Expired | Kind::Integrity
        ) {
            core.rates.answered(error.operation(), now);
            core.keyring.proven();
        }
    }

    fn last_words(&self, error: Error) -> Error {
        // Whoever reads this error has to know that one of the attempts may have been carried out.
        let error = if self.lost {
            error.with_delivery(Delivery::Unknown)
        } else {
            error
        };
        let unknown =
            self.terms.repeat == Repeat::Ambiguous && error.delivery() == Delivery::Unknown;
        if unknown {
            let unsure = if wire::is_queued(&error) {
                "the service took the file into its queue: it may have arrived, and sending it again would keep both"
            } else {
                "the answer was lost: the file may have arrived, and sending it again would keep both"
            };
            return error
                .context(unsure)
                .advice("check whether the file exists before retrying");
        }
        if self.lost && error.kind() == Kind::Rejected {
            return error.advice(MAY_BE_OURS);
        }
        let error = if wire::is_queued(&error) {
            error.advice("the service took the file into its queue, so it may yet appear by itself")
        } else {
            error
        };
        if self.attempt.number > 2 {
            return error.context(format_args!("after {} attempts", self.attempt.number - 1));
        }
        error
    }
}

/// A call without content, attempted until it succeeds or is final. `operation` names its limiter.
///
/// # Errors
/// The error that ended the attempts.
pub async fn call<T, F>(
    shared: &Shared,
    operation: Operation,
    terms: Terms<'_>,
    once: impl Fn(Secret) -> F,
) -> Result<(T, bool)>
where
    F: Future<Output = Result<T>>,
{
    let mut attempts = Attempts::new(shared, terms);
    loop {
        tokio::select! {
            () = shared.core.rates.turn(operation) => {}
            () = shared.draining() => return Err(Shared::cancelled()),
        }
        let token = attempts.token().await?;
        match once(token).await {
            Ok(answer) => {
                attempts.succeeded(operation);
                return Ok((answer, attempts.lost_an_answer()));
            }
            Err(error) => drop(attempts.failed(error).await?),
        }
    }
}

/// A body to carry: where it may go, how large it is, where its bytes are counted.
#[derive(Debug)]
pub struct Load {
    /// The servers that take it.
    pub crew: Crew,
    /// Bytes of content.
    pub bytes: u64,
    /// Content bytes that went over the wire for its file.
    pub sent: Arc<AtomicU64>,
}

impl Load {
    /// The place for the next try, not on the servers to `avoid` if there is another; the gate hears
    /// of the body's size.
    pub async fn berth(&self, shared: &Shared, avoid: &[usize]) -> Booking {
        shared.core.gate.started(self.bytes);
        let fleet = &shared.core.fleet;
        fleet.berth(&self.crew, avoid, self.bytes).await
    }
}

/// One try at carrying a body: booked, sent, settled.
///
/// # Errors
/// As the call fails.
pub async fn carry<T, F>(
    shared: &Shared,
    load: &Load,
    berth: (Booking, Permit),
    once: &impl Fn(Carriage) -> F,
) -> Result<T>
where
    F: Future<Output = Result<(T, Option<Travelled>)>>,
{
    let (booking, _permit) = berth;
    let meter = Meter {
        taken: Arc::clone(&booking.taken),
        load,
    };
    let carriage = Carriage {
        server: booking.origin.clone(),
        version: booking.preference(),
        sent: Arc::clone(&meter.taken),
        pace: shared.pace.clone(),
    };
    let started = Instant::now();
    match once(carriage).await {
        Ok((answer, travelled)) => {
            let now = Instant::now();
            booking.acked(travelled, now);
            shared.core.gate.acked(now, load.bytes, now - started);
            Ok(answer)
        }
        Err(error) => {
            booking.failed(&error, Instant::now());
            Err(error)
        }
    }
}

/// As [`carry`], with a hedged request to another server if it straggles when nothing else is left to send. The first
/// answer counts, and the other try is dropped.
///
/// # Errors
/// As the last of the two fails.
pub async fn carry_hedged<T, F>(
    shared: &Shared,
    load: &Load,
    berth: (Booking, Permit),
    once: &impl Fn(Carriage) -> F,
) -> Result<T>
where
    F: Future<Output = Result<(T, Option<Travelled>)>>,
{
    let watched = (berth.0.server(), Arc::clone(&berth.0.taken));
    let mut first = std::pin::pin!(carry(shared, load, berth, once));
    let twin = tokio::select! {
        biased;
        outcome = &mut first => return outcome,
        twin = overdue(shared, load, watched) => twin,
    };
    tracing::debug!(server = %twin.0.origin, bytes = load.bytes, "a slice straggles and is sent once more");
    let mut second = std::pin::pin!(carry(shared, load, twin, once));
    let (mut failed_first, mut failed_second) = (None, None);
    loop {
        tokio::select! {
            outcome = &mut first, if failed_first.is_none() => match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => failed_first = Some(error),
            },
            outcome = &mut second, if failed_second.is_none() => match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => failed_second = Some(error),
            },
            else => unreachable!("both ended, which returns below"),
        }
        if let (Some(first), Some(_)) = (&failed_first, &failed_second) {
            return Err(first.clone());
        }
    }
}

/// Waits until a twin of this slice would pay, and books it.
async fn overdue(
    shared: &Shared,
    load: &Load,
    watched: (usize, Arc<AtomicU64>),
) -> (Booking, Permit) {
    let (avoid, taken) = watched;
    let started = Instant::now();
    loop {
        tokio::time::sleep(HEDGE_LOOK).await;
        let Some(elsewhere) = shared.core.fleet.expected(&load.crew, avoid, load.bytes) else {
            continue;
        };
        let queue = if shared.backlog.load(Ordering::Relaxed) == 0 {
            Queue::Empty
        } else {
            Queue::Waiting
        };
        let straggler = Straggler {
            bytes: load.bytes,
            sent: taken.load(Ordering::Relaxed),
            age: started.elapsed(),
            elsewhere,
        };
        let total = shared.progress.bytes.load(Ordering::Relaxed);
        let mut hedge = shared.hedge.lock();
        if !hedge.should(&straggler, queue, total) {
            continue;
        }
        let Some(permit) = shared.core.gate.try_enter() else {
            continue;
        };
        hedge.sent(load.bytes);
        let booking = shared
            .core
            .fleet
            .book(&load.crew, &[avoid], load.bytes, Instant::now());
        return (booking, permit);
    }
}

/// Said where a name is taken after an answer was lost.
pub const MAY_BE_OURS: &str =
    "the answer to an earlier attempt was lost or unclear, so it may be this file that is there";

/// How often a slice in flight is looked at: well below the half second from which a twin pays.
const HEDGE_LOOK: Duration = Duration::from_millis(250);

/// Adds what a try put on the wire to its file's account, also where the try is dropped.
struct Meter<'a> {
    taken: Arc<AtomicU64>,
    load: &'a Load,
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        // The framing is some hundred bytes; a body that was sent in full counts its content exactly.
        let content = self.taken.load(Ordering::Relaxed).min(self.load.bytes);
        self.load.sent.fetch_add(content, Ordering::Relaxed);
    }
}
