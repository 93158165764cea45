//! The retry loop: everything that is said to the service is attempted here until it succeeds or
//! [`crate::policy`] says that it is final. A body gets a permit and a server for each attempt, and a
//! hedged request where it straggles; both are given back while it waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::activity::CallWatch;
use super::cancel::Cancel;
use super::explain::{Attempted, explain};
use super::limiter::Permit;
use super::servers::{Assignment, ServerSet};
use super::signals;
use super::waits::{WaitNote, WaitsFor};
use super::{Scope, Transfer};
use crate::auth::Secret;
use crate::digest::Md5;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::policy::{Attempt, Decision, Pace, Queue, Repeat, RetryBudget, Straggler};
use crate::service::{RequestOptions, Service, SliceCall, TransferStats};
use crate::sync::Mutex;
use crate::wire::{FileFacts, SingleReply};

/// On which terms a call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The run for which it is made.
    pub scope: &'a Scope,
    /// Whether repeating can do harm.
    pub repeat: Repeat,
    /// Repeats left to the file that it is for.
    pub budget: &'a Mutex<RetryBudget>,
    /// Where it is noted what that file waits for.
    pub waits: Option<&'a Arc<WaitNote>>,
    /// Bodies with a higher one set out before.
    pub priority: i8,
}

/// A success.
#[derive(Debug)]
pub struct Answer<T> {
    /// What was answered.
    pub value: T,
    /// The answer to an earlier attempt was lost, so that one may have been carried out as well.
    pub lost_one: bool,
}

/// Something that is said to the service, as the retry loop sees it.
trait Call: Send {
    /// What a success answers.
    type Answer: Send;
    /// Which call it is.
    fn operation(&self) -> Operation;
    /// Waits until an attempt may leave.
    fn ready(&mut self, transfer: &Transfer, watch: &CallWatch) -> impl Future<Output = ()> + Send;
    /// Gives back what [`ready`](Self::ready) has waited for: the attempt does not leave after all.
    fn not_now(&mut self) {}
    /// One attempt.
    fn attempt(
        &mut self,
        transfer: &Transfer,
        scope: &Scope,
        with: (Option<&Secret>, &CallWatch),
    ) -> impl Future<Output = Result<Self::Answer>> + Send;
    /// Whether the attempt was called off: it is neither a success nor a failure, and begins again.
    fn was_called_off(&mut self) -> bool {
        false
    }
    /// After an attempt that failed: whether another one makes sense at all.
    fn check(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
    /// After an attempt that failed: whether there is a server to which this did not go yet.
    fn untried(&self) -> bool {
        false
    }
    /// Before the next attempt, which the decision asked to be made on another server, or with the
    /// MD5 worked out anew.
    fn prepare(&mut self, _next: Next) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// How the next attempt differs from the one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// In nothing.
    Same,
    /// It goes to another server, if there is one.
    Elsewhere,
    /// The MD5 is worked out anew.
    Rehashed,
}

impl Transfer {
    /// A call without content, with a token.
    ///
    /// # Errors
    /// The error that ended the attempts.
    pub async fn call<T, F>(
        &self,
        operation: Operation,
        terms: Terms<'_>,
        once: impl Fn(Secret) -> F + Send,
    ) -> Result<Answer<T>>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let once = move |token: Option<&Secret>| {
            once(token.expect("only a login goes without a token").clone())
        };
        self.repeat(terms, JsonCall { operation, once }).await
    }

    /// The call that fetches a token.
    ///
    /// # Errors
    /// The error that ended the attempts.
    pub(super) async fn login<T, F>(
        &self,
        terms: Terms<'_>,
        once: impl Fn() -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let (operation, once) = (Operation::Login, move |_: Option<&Secret>| once());
        let answer = self.repeat(terms, JsonCall { operation, once }).await?;
        Ok(answer.value)
    }

    /// Sends one slice to one of `servers`, the first time with `permit`.
    ///
    /// # Errors
    /// The error that ended the attempts; of kind [`Kind::Source`] where its bytes do not arrive
    /// unchanged.
    pub async fn slice(
        &self,
        terms: Terms<'_>,
        slice: SliceCall,
        (route, permit): (&Route<'_>, Permit),
    ) -> Result<()> {
        let call = BodyCall::new(slice, route, (terms.priority, Some(permit)));
        self.repeat(terms, call).await.map(|answer| answer.value)
    }

    /// Sends a whole small file.
    ///
    /// # Errors
    /// The error that ended the attempts.
    pub async fn single(
        &self,
        terms: Terms<'_>,
        single: SingleCall,
        route: &Route<'_>,
    ) -> Result<Answer<SingleReply>> {
        let call = BodyCall::new(single, route, (terms.priority, None));
        self.repeat(terms, call).await
    }

    async fn repeat<C: Call>(&self, terms: Terms<'_>, mut call: C) -> Result<Answer<C::Answer>> {
        let Terms { scope, .. } = terms;
        let operation = call.operation();
        let mut attempts = Attempts::new(self, terms, operation);
        loop {
            attempts.watch.rests();
            tokio::select! {
                () = self.may_leave(&mut call, scope, &attempts.watch) => {}
                () = scope.cancel.cancelled() => return Err(Cancel::error()),
            }
            let token = attempts.begin(operation).await?;
            let with = (token.as_ref(), &attempts.watch);
            let attempted = call.attempt(self, scope, with).await;
            if call.was_called_off() {
                continue;
            }
            let failure = attempted.as_ref().err().map(Error::kind);
            scope.activity.tally.count(operation, failure);
            let error = match attempted {
                Ok(value) => {
                    attempts.ended(None);
                    attempts.succeeded(operation);
                    let lost_one = attempts.lost_one;
                    return Ok(Answer { value, lost_one });
                }
                Err(error) => error,
            };
            attempts.ended(Some(&error));
            // Refused credentials say nothing of the content, and end the run before more is sent.
            if error.kind() != Kind::Auth {
                call.check().await?;
            }
            attempts.attempt.untried = call.untried();
            let next = attempts.failed(error).await?;
            call.prepare(next).await?;
        }
    }

    /// Waits until an attempt may leave, which none does while its run is paused.
    async fn may_leave<C: Call>(&self, call: &mut C, scope: &Scope, watch: &CallWatch) {
        loop {
            if scope.pause.is_on() {
                watch.waits(WaitsFor::Pause);
                scope.pause.over().await;
            }
            call.ready(self, watch).await;
            if !scope.pause.is_on() {
                return;
            }
            call.not_now();
        }
    }
}

/// What was tried, and what may still be tried.
struct Attempts<'a> {
    transfer: &'a Transfer,
    terms: Terms<'a>,
    attempt: Attempt,
    began: Instant,
    /// What the last attempt went with.
    token: Option<Secret>,
    lost_one: bool,
    /// Shows what it waits for.
    watch: CallWatch,
}

impl<'a> Attempts<'a> {
    fn new(transfer: &'a Transfer, terms: Terms<'a>, operation: Operation) -> Attempts<'a> {
        let activity = &terms.scope.activity;
        Attempts {
            transfer,
            watch: activity.call(operation, transfer.retry.attempts, terms.waits.cloned()),
            terms,
            attempt: Attempt::first(),
            began: Instant::now(),
            token: None,
            lost_one: false,
        }
    }

    /// The token of the attempt that begins. It is asked for last: one that was got before a long wait
    /// may have been refused meanwhile.
    async fn begin(&mut self, operation: Operation) -> Result<Option<Secret>> {
        let scope = self.terms.scope;
        scope.goes_on()?;
        if operation != Operation::Login {
            let token = self.transfer.token().await;
            self.token = Some(token.inspect_err(|error| scope.note(error))?);
        }
        self.began = Instant::now();
        self.watch.leaves(self.number(), self.began);
        Ok(self.token.clone())
    }

    /// Which attempt this is, those that do not count included.
    fn number(&self) -> u32 {
        self.attempt.number + self.attempt.uncounted
    }

    /// The attempt has ended, however.
    fn ended(&self, error: Option<&Error>) {
        self.watch.ended(self.number(), self.began, error);
    }

    fn succeeded(&self, operation: Operation) {
        self.transfer.rates.answered(operation, Instant::now());
        if operation != Operation::Login {
            self.transfer.tokens.proven();
        }
        for budget in self.budgets() {
            budget.lock().earn();
        }
    }

    /// Decides about `error`, and waits where the decision is to wait.
    async fn failed(&mut self, error: Error) -> Result<Next> {
        self.lost_one |= error.delivery() == Delivery::Unknown;
        self.transfer.signal(&error, Instant::now());
        if self.terms.scope.cancel.is_cancelled() {
            return Err(Cancel::after(&error));
        }
        if self.is_forbidden(&error) {
            return Err(error);
        }
        let retry = &self.transfer.retry;
        self.attempt = self.attempt.used(self.began.elapsed(), retry);
        let chance = &mut fastrand::Rng::new();
        let decision = retry.decide(&error, &self.attempt, self.terms.repeat, chance);
        let tried = self.number();
        tracing::debug!(%error, attempt = tried, ?decision, "attempt failed");
        self.attempt = self.attempt.next(&error, decision, retry);
        let next = match decision {
            Decision::Again { after, elsewhere } if self.spend() => {
                self.watch.pauses(tried + 1, after, &error);
                if elsewhere {
                    tracing::info!(
                        "attempt {tried} failed, the next one goes to another server: {error}"
                    );
                }
                self.wait(after, &error).await?;
                if elsewhere {
                    Next::Elsewhere
                } else {
                    Next::Same
                }
            }
            Decision::Refresh if self.token.is_some() => {
                self.renew(&error).await?;
                Next::Same
            }
            Decision::Rehash => Next::Rehashed,
            Decision::Again { .. } | Decision::Refresh | Decision::GiveUp => {
                if error.kind() == Kind::Auth && self.token.is_some() {
                    self.transfer.tokens.give_up(&error);
                }
                let attempted = Attempted {
                    repeat: self.terms.repeat,
                    lost_one: self.lost_one,
                    count: tried,
                };
                return Err(self.gives_up(explain(error, attempted)));
            }
        };
        self.terms.scope.retries.fetch_add(1, Ordering::Relaxed);
        Ok(next)
    }

    /// What an account may lack the right to: then the token, which is good for uploads, is not given
    /// up. One that nothing has shown to be good yet is renewed, once.
    fn is_forbidden(&self, error: &Error) -> bool {
        let tokens = &self.transfer.tokens;
        let good = tokens.is_proven() || self.attempt.refreshed || !tokens.can_renew();
        error.kind() == Kind::Auth && signals::is_optional(error.operation()) && good
    }

    /// What the attempts end with. Without the API there is nothing that a run can do; an upload server
    /// has others beside it.
    fn gives_up(&self, error: Error) -> Error {
        let carries = matches!(error.operation(), Operation::Slice | Operation::Single);
        let error = match error.is_unreachable() && !carries {
            true => error.of_the_run(),
            false => error,
        };
        // The login is one for all runs, each of which is told how it ended.
        if error.operation() != Operation::Login {
            self.terms.scope.note(&error);
        }
        error
    }

    async fn renew(&mut self, error: &Error) -> Result<()> {
        if let Some(refused) = self.token.take() {
            self.transfer.renew(&refused, error).await?;
        }
        Ok(())
    }

    fn spend(&self) -> bool {
        self.budgets()
            .into_iter()
            .all(|budget| budget.lock().spend())
    }

    /// The file's first: one file that goes wrong for ever shall not use up the run's.
    fn budgets(&self) -> [&Mutex<RetryBudget>; 2] {
        [self.terms.budget, &self.terms.scope.budget]
    }

    async fn wait(&self, delay: Duration, failed: &Error) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            () = self.terms.scope.cancel.cancelled() => Err(Cancel::after(failed)),
        }
    }
}

impl Transfer {
    /// A failed attempt, for those who decide how many at once and how often.
    fn signal(&self, error: &Error, now: Instant) {
        if error.is_foreign() {
            self.rates.foreign(now);
        } else if error.code().is_some() {
            self.rates.service_answered();
        }
        // A refusal of what was asked for is an answer like success: neither the rate nor the token
        // was refused.
        if signals::is_refusal_on_merit(error) {
            self.rates.answered(error.operation(), now);
            self.tokens.proven();
        }
        if signals::is_too_fast(error) {
            self.rates
                .throttled(error.operation(), error.retry_after(), now);
        }
        if let Some(signal) = signals::congestion(error) {
            self.limiter.congested(now, signal);
        }
    }
}

impl Transfer {
    /// The gateway gives each body its time. The first that takes longer, of `length` bytes, is told,
    /// and what helps: the file may fail only minutes later.
    fn advise_if_slow(&self, error: &Error, length: u64) {
        let cut = error.is_timeout() && error.status().is_some();
        if !cut || self.slow_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let needed = length.div_ceil(GATEWAY.as_secs() * 1000);
        let message = format!(
            "the gateway ended a body of {length} bytes that had not arrived in time: within its {} s each body in flight \
             needs {needed} kB/s of this link",
            GATEWAY.as_secs()
        );
        let warning = Error::new(Kind::Throttled, Operation::Upload, message);
        let advice = "the fewer at once, the more each has: `Options::concurrency`, down to 1";
        self.servers.tell(warning.advice(advice));
    }
}

/// What the gateway gives a body.
const GATEWAY: Duration = Duration::from_secs(60);

/// A call without content.
struct JsonCall<O> {
    operation: Operation,
    once: O,
}

impl<T, O, F> Call for JsonCall<O>
where
    T: Send,
    O: Fn(Option<&Secret>) -> F + Send,
    F: Future<Output = Result<T>> + Send,
{
    type Answer = T;

    fn operation(&self) -> Operation {
        self.operation
    }

    async fn ready(&mut self, transfer: &Transfer, watch: &CallWatch) {
        let _turn = watch.turn();
        transfer.rates.turn(self.operation).await;
    }

    fn attempt(
        &mut self,
        _: &Transfer,
        _: &Scope,
        (token, _): (Option<&Secret>, &CallWatch),
    ) -> impl Future<Output = Result<T>> + Send {
        (self.once)(token)
    }
}

/// Where a body may go, and the file that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The servers that take it.
    pub servers: &'a ServerSet,
    /// Content bytes that went over the wire for its file.
    pub sent: &'a AtomicU64,
    /// The file.
    pub content: &'a dyn Content,
}

/// A future whose type is not named.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The file behind a body, as its owner knows it.
pub trait Content: std::fmt::Debug + Send + Sync {
    /// An attempt is about to leave, unless that fails.
    fn leaving(&self) -> Boxed<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
    /// Whether the bytes are still those that were hashed.
    fn check(&self, operation: Operation) -> Boxed<'_, Result<()>>;
    /// The MD5 of `slice` worked out anew, after the service refused the one that it has. Content that
    /// goes without slices is never asked.
    fn rehash(&self, slice: SliceCall) -> Boxed<'_, Result<Md5>> {
        Box::pin(std::future::ready(Ok(slice.md5)))
    }
}

/// A whole small file.
#[derive(Debug, Clone)]
pub struct SingleCall {
    /// What is said of it.
    pub facts: FileFacts,
    /// Its bytes.
    pub content: Bytes,
}

/// What carries content: a slice or a whole small file.
trait Payload: Clone + Send + Sync {
    type Answer: Send;
    const OPERATION: Operation;
    fn len(&self) -> u64;
    fn send(
        &self,
        service: &Service,
        token: &str,
        options: &RequestOptions,
    ) -> impl Future<Output = Result<(Self::Answer, Option<TransferStats>)>> + Send;
    fn rehash(&mut self, content: &dyn Content) -> impl Future<Output = Result<()>> + Send;
}

impl Payload for SliceCall {
    type Answer = ();
    const OPERATION: Operation = Operation::Slice;

    fn len(&self) -> u64 {
        self.content.len() as u64
    }

    async fn send(
        &self,
        service: &Service,
        token: &str,
        options: &RequestOptions,
    ) -> Result<((), Option<TransferStats>)> {
        let stats = service.slice(token, self, options).await?;
        Ok(((), Some(stats)))
    }

    async fn rehash(&mut self, content: &dyn Content) -> Result<()> {
        self.md5 = content.rehash(self.clone()).await?;
        Ok(())
    }
}

impl Payload for SingleCall {
    type Answer = SingleReply;
    const OPERATION: Operation = Operation::Single;

    fn len(&self) -> u64 {
        self.content.len() as u64
    }

    async fn send(
        &self,
        service: &Service,
        token: &str,
        options: &RequestOptions,
    ) -> Result<(SingleReply, Option<TransferStats>)> {
        let content = self.content.clone();
        service.single(token, &self.facts, content, options).await
    }

    async fn rehash(&mut self, _: &dyn Content) -> Result<()> {
        Ok(())
    }
}

/// A body on its way through its attempts.
struct BodyCall<'a, B> {
    body: B,
    route: &'a Route<'a>,
    priority: i8,
    permit: Option<Permit>,
    /// Where the last attempt went.
    server: Option<usize>,
    /// Servers that failed it, until all of them have.
    avoid: Vec<usize>,
    /// All of them have.
    all_failed: bool,
    /// The attempt was called off.
    called_off: bool,
}

impl<'a, B: Payload> BodyCall<'a, B> {
    fn new(body: B, route: &'a Route<'a>, (priority, permit): (i8, Option<Permit>)) -> Self {
        BodyCall {
            body,
            route,
            priority,
            permit,
            server: None,
            avoid: Vec::new(),
            all_failed: false,
            called_off: false,
        }
    }
}

impl<B: Payload> Call for BodyCall<'_, B> {
    type Answer = B::Answer;

    fn operation(&self) -> Operation {
        B::OPERATION
    }

    async fn ready(&mut self, transfer: &Transfer, watch: &CallWatch) {
        if self.permit.is_none() {
            let turn = watch.turn();
            transfer.rates.turn(B::OPERATION).await;
            drop(turn);
            watch.waits(WaitsFor::Permit);
            self.permit = Some(transfer.limiter.acquire(self.priority).await);
        }
        // The permit is kept meanwhile: while every call pauses, no further body sets out.
        transfer.rates.calm().await;
    }

    fn not_now(&mut self) {
        self.permit = None;
    }

    async fn attempt(
        &mut self,
        transfer: &Transfer,
        scope: &Scope,
        (token, watch): (Option<&Secret>, &CallWatch),
    ) -> Result<B::Answer> {
        let (Some(mut permit), Some(token)) = (self.permit.take(), token) else {
            unreachable!("ready() has waited for a permit, and only a login has no token");
        };
        let length = self.body.len();
        transfer.limiter.started(length);
        let Route { servers, .. } = self.route;
        // Waiting for a server is not being in flight: after an interrupt nothing sets out any more.
        let assignment = tokio::select! {
            biased;
            () = scope.cancel.cancelled() => return Err(Cancel::error()),
            assignment = transfer.servers.assign(servers, &self.avoid, length) => assignment,
        };
        self.server = Some(assignment.server());
        let means = Means {
            transfer,
            scope,
            token,
            watch,
        };
        if B::OPERATION == Operation::Single {
            // Sent again, it could be there twice: it is not called off.
            let sent = self.request(means, assignment, permit).await;
            return sent.inspect_err(|error| transfer.advise_if_slow(error, length));
        }
        let called_off = permit.called_off();
        let sent = tokio::select! {
            biased;
            sent = self.hedged(means, (assignment, permit)) => sent,
            () = called_off => {
                self.called_off = true;
                return Err(Cancel::error());
            }
        };
        sent.inspect_err(|error| transfer.advise_if_slow(error, length))
    }

    fn was_called_off(&mut self) -> bool {
        std::mem::take(&mut self.called_off)
    }

    async fn check(&self) -> Result<()> {
        self.route.content.check(B::OPERATION).await
    }

    fn untried(&self) -> bool {
        // What is avoided is of the route, and the server of this attempt comes to it.
        !self.all_failed && self.avoid.len() + 1 < self.route.servers.len()
    }

    async fn prepare(&mut self, next: Next) -> Result<()> {
        match (next, self.server) {
            (Next::Elsewhere, Some(server)) => {
                if !self.avoid.contains(&server) {
                    self.avoid.push(server);
                }
                if self.avoid.len() >= self.route.servers.len() {
                    self.avoid.clear();
                    self.all_failed = true;
                }
                Ok(())
            }
            (Next::Rehashed, _) => self.body.rehash(self.route.content).await,
            _ => Ok(()),
        }
    }
}

/// What an attempt is made with.
#[derive(Clone, Copy)]
struct Means<'a> {
    transfer: &'a Transfer,
    scope: &'a Scope,
    token: &'a Secret,
    watch: &'a CallWatch,
}

impl<B: Payload> BodyCall<'_, B> {
    /// One request, and a second one to another server where the first straggles and no other body
    /// waits. The first answer counts, and the other request is dropped.
    async fn hedged(
        &self,
        means: Means<'_>,
        (assignment, permit): (Assignment, Permit),
    ) -> Result<B::Answer> {
        let (server, taken) = (assignment.server(), Arc::clone(&assignment.taken));
        let mut first = std::pin::pin!(self.request(means, assignment, permit));
        let (assignment, permit) = tokio::select! {
            biased;
            outcome = &mut first => return outcome,
            second = self.overdue(means, server, &taken) => second,
        };
        tracing::debug!(server = %assignment.origin, bytes = self.body.len(), "a slice straggles and is sent once more");
        let mut second = std::pin::pin!(self.request(means, assignment, permit));
        tokio::select! {
            outcome = &mut first => match outcome {
                Ok(answer) => Ok(answer),
                Err(error) => second.await.map_err(|_| error),
            },
            outcome = &mut second => match outcome {
                Ok(answer) => Ok(answer),
                Err(_) => first.await,
            },
        }
    }

    async fn request(
        &self,
        means: Means<'_>,
        assignment: Assignment,
        mut permit: Permit,
    ) -> Result<B::Answer> {
        let length = self.body.len();
        let _sent = CountsOnDrop {
            taken: Arc::clone(&assignment.taken),
            length,
            sent: self.route.sent,
        };
        let flight = means
            .watch
            .flies(&assignment.origin, &assignment.taken, length);
        let options = RequestOptions {
            server: assignment.origin.clone(),
            version: assignment.preference(),
            sent: Arc::clone(&assignment.taken),
            throttle: means.scope.throttle.clone(),
        };
        self.route.content.leaving().await?;
        let (transfer, started) = (means.transfer, Instant::now());
        let sent = self
            .body
            .send(&transfer.service, means.token.expose(), &options);
        let mut sent = std::pin::pin!(sent);
        let sent = loop {
            let is_awaited = permit.is_awaited();
            tokio::select! {
                biased;
                sent = &mut sent => break sent,
                () = flight.cut() => return Err(Cancel::error()),
                () = tokio::time::sleep(SENT_LOOK), if is_awaited => {
                    let taken = assignment.taken.load(Ordering::Relaxed);
                    if taken + transfer.overlap(length) >= length {
                        permit.sent();
                    }
                }
            }
        };
        match sent {
            Ok((answer, stats)) => {
                let now = Instant::now();
                flight.ended(None);
                assignment.acked(stats, now);
                transfer.limiter.acked(now, length, now - started);
                Ok(answer)
            }
            Err(error) => {
                flight.ended(Some(&error));
                assignment.failed(&error, Instant::now());
                Err(error)
            }
        }
    }

    /// Waits until a second request would pay, and assigns it.
    async fn overdue(
        &self,
        means: Means<'_>,
        server: usize,
        taken: &AtomicU64,
    ) -> (Assignment, Permit) {
        let (started, length) = (Instant::now(), self.body.len());
        let (servers, set) = (&means.transfer.servers, self.route.servers);
        let mut pace = Pace::default();
        loop {
            tokio::time::sleep(HEDGE_LOOK).await;
            let age = started.elapsed();
            let remaining = pace.remaining(age, taken.load(Ordering::Relaxed), length);
            let Some(elsewhere) = servers.expected(set, server, length) else {
                continue;
            };
            let queue = match means.scope.waiting.load(Ordering::Relaxed) {
                0 => Queue::Empty,
                _ => Queue::Waiting,
            };
            let straggler = Straggler {
                bytes: length,
                age,
                remaining,
                elsewhere,
            };
            let total = means.scope.bytes.load(Ordering::Relaxed);
            let mut hedge = means.scope.hedge.lock();
            if !hedge.should(&straggler, queue, total) {
                continue;
            }
            let Some(permit) = means.transfer.limiter.acquire_for_hedge() else {
                continue;
            };
            hedge.sent(length);
            let assignment = servers.assign_now(set, &[server], length, Instant::now());
            return (assignment, permit);
        }
    }
}

/// How often a slice in flight is looked at: well below the half second from which a second request pays.
const HEDGE_LOOK: Duration = Duration::from_millis(250);

/// How often a body is looked at that others wait for until the socket has all of it, or nearly so.
const SENT_LOOK: Duration = Duration::from_millis(50);

/// Adds what a request put on the wire to its file's count, also where it is dropped.
struct CountsOnDrop<'a> {
    taken: Arc<AtomicU64>,
    length: u64,
    sent: &'a AtomicU64,
}

impl Drop for CountsOnDrop<'_> {
    fn drop(&mut self) {
        // The framing is some hundred bytes; a body that was sent in full counts its content exactly.
        let content = self.taken.load(Ordering::Relaxed).min(self.length);
        self.sent.fetch_add(content, Ordering::Relaxed);
    }
}
