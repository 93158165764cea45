//! One call or one body to its end: permit, server, attempt, hedge, repeat. In: what to say, on which
//! terms. Out: the service's answer, or the error that ended the attempts. Never: a look at a file, a
//! plan or the journal; what it must know of a file it asks through [`Content`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

mod activity;
mod cancel;
mod explain;
mod limiter;
mod links;
mod pause;
mod rates;
mod remote;
mod send;
mod servers;
mod signals;
mod tally;
mod trace;
mod trust;
mod waits;
mod yielding;

pub use activity::{Activity, Left, Steps, Wait};
pub use cancel::Cancel;
pub use explain::MAY_BE_OURS;
pub use limiter::Permit;
pub use links::Lesson;
pub use pause::Pause;
pub use remote::Cursor;
pub use send::{Boxed, Content, Route, SingleCall, Terms};
pub use servers::{Plain, ServerSet};
pub use tally::CallCount;
pub use trace::{AttemptEnd, CallAttempt, Fact};
pub use waits::{WaitNote, WaitsFor};

use crate::auth::{Ask, Credential, Fetched, Fetching, Secret, TokenProvider, Tokens};
use crate::error::{Error, Kind, Operation, Result};
use crate::http::{Preference, Version};
use crate::net::{Congestion, Origin, Pool, PoolSettings, ServerStats, Throttle};
use crate::policy::{
    Bandwidth, CallRates, CongestionSignal, Hedge, Limit, LimitSettings, Queued, Repeat, Retry,
    RetryBudget, Seen, SharedFailure, Steering,
};
use crate::service::Service;
use crate::sync::Mutex;
use crate::wire::{Login, Refresh};

use explain::explain_refresh;
use limiter::{ConcurrencyLimiter, OVERLAP};
use links::Links;
use rates::Rates;
use servers::Servers;
use trust::Trust;
use yielding::Yielding;

/// What all transfers of a client share: connections, token, limits and servers.
#[derive(Debug)]
pub struct Transfer {
    service: Service,
    pool: Pool,
    tokens: TokenProvider,
    limiter: Arc<ConcurrencyLimiter>,
    rates: Rates,
    servers: Arc<Servers>,
    retry: Retry,
    bandwidth: Mutex<Option<Bandwidth>>,
    links: Mutex<Links>,
    /// What is found is the link's, and not what was asked for.
    learns: AtomicBool,
    /// Leaves room for others on the link, if that is asked for.
    yielding: Option<Mutex<Yielding>>,
    /// Body bytes that sockets took, of all runs.
    carried: AtomicU64,
    single: SingleServers,
    /// For logins and other calls that belong to no run.
    own: Scope,
    /// That bodies take too long for the gateway was said.
    slow_told: AtomicBool,
    /// For what goes on when the one that asked is gone.
    me: Weak<Transfer>,
}

/// How a [`Transfer`] works.
#[derive(Debug)]
pub struct Settings {
    /// The API base.
    pub api: Origin,
    /// The HTTP version of the calls without content.
    pub api_version: Preference,
    /// The HTTP version of bodies.
    pub version: Preference,
    /// Whether a server other than loopback may be spoken to without TLS.
    pub plain: Plain,
    /// Suffixes of hosts that may see the token besides the API's own.
    pub trusted_hosts: Vec<String>,
    /// The connections.
    pub pool: PoolSettings,
    /// The rules of repeating.
    pub retry: Retry,
    /// Bodies in flight.
    pub limit: LimitSettings,
    /// Calls per second.
    pub call_rates: CallRates,
    /// Bytes per second of all bodies; `None` is no limit.
    pub limit_rate: Option<u64>,
    /// Whether room is left for others on the link.
    pub yields: bool,
}

/// The run on whose behalf something is sent: how it is told to stop, what it may still repeat, and
/// its counters.
#[derive(Debug)]
pub struct Scope {
    /// How it is told to stop.
    pub cancel: Cancel,
    /// How it is told to begin nothing for a while.
    pub pause: Pause,
    /// Slices left to send that have no permit yet.
    pub waiting: AtomicU64,
    /// Bytes of everything that is to be sent.
    pub bytes: Arc<AtomicU64>,
    /// Content bytes that sockets took, repeats included.
    pub sent: Arc<AtomicU64>,
    /// Attempts that were repeated.
    pub retries: Arc<AtomicU64>,
    /// Its calls that have not ended.
    pub activity: Arc<Activity>,
    budget: Mutex<RetryBudget>,
    /// What ended the run: the next call would meet it as well.
    end: Mutex<Option<Error>>,
    hedge: Mutex<Hedge>,
    /// Sees every chunk of every body: counts it, and slows it to the rate limit.
    throttle: Throttle,
}

/// The servers for single/create, asked for once.
#[derive(Debug, Default)]
struct SingleServers {
    known: tokio::sync::Mutex<Option<ServerSet>>,
    failure: Mutex<SharedFailure>,
}

impl Transfer {
    /// Nothing has been said to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where certificates, proxies or trusted hosts cannot be read.
    pub fn new(settings: Settings, tokens: Tokens) -> Result<Arc<Transfer>> {
        let learns = settings.limit.fixed.is_none()
            && settings.pool.congestion == Congestion::Auto
            && settings.limit_rate.is_none()
            && !settings.yields;
        let pool = Pool::new(settings.pool)?;
        let trust = Trust::new(&settings.api, &settings.trusted_hosts)?;
        let scheme = settings.api.scheme;
        let service = Service::new(pool.clone(), settings.api, settings.api_version);
        let limit = Limit::new(settings.limit, Instant::now());
        let bandwidth = Mutex::new(settings.limit_rate.map(Bandwidth::new));
        let yielding = settings.yields.then(|| Yielding::new(Instant::now()));
        // No more at first than the pace carries.
        let paced = (yielding.as_ref()).and_then(|yielding| yielding.bodies_rate(0));
        let bodies_rate = [paced, settings.limit_rate].into_iter().flatten().min();
        Ok(Arc::new_cyclic(|me| Transfer {
            service,
            pool,
            tokens: TokenProvider::new(tokens),
            limiter: ConcurrencyLimiter::new(limit, bodies_rate),
            rates: Rates::new(&settings.call_rates),
            servers: Servers::new((trust, settings.plain), scheme, settings.version),
            retry: settings.retry,
            bandwidth,
            links: Mutex::default(),
            learns: AtomicBool::new(learns),
            yielding: yielding.map(Mutex::new),
            carried: AtomicU64::new(0),
            single: SingleServers::default(),
            own: Scope::with_throttle(Throttle::new(|_| Duration::ZERO), Arc::default()),
            slow_told: AtomicBool::new(false),
            me: me.clone(),
        }))
    }

    /// The scope of a run that begins.
    #[must_use]
    pub fn scope(self: &Arc<Self>) -> Scope {
        let (transfer, sent) = (Arc::clone(self), Arc::<AtomicU64>::default());
        let counted = Arc::clone(&sent);
        let throttle = Throttle::new(move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            transfer.carried.fetch_add(bytes, Ordering::Relaxed);
            let room = transfer.make_room(bytes);
            let mut limit = transfer.bandwidth.lock();
            let limit = limit.as_mut();
            room.max(limit.map_or(Duration::ZERO, |limit| limit.take(Instant::now(), bytes)))
        });
        Scope::with_throttle(throttle, sent)
    }

    /// The calls of the service, one attempt each.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Asks for the right to have one more body in flight, which is granted by `priority` and in order of
    /// asking; the future waits for it.
    pub fn permit(&self, priority: i8) -> impl Future<Output = Permit> + Send + use<> {
        self.limiter.acquire(priority)
    }

    /// The servers of these names.
    ///
    /// # Errors
    /// Where no name of the list can be read, or none may see the access token.
    pub fn servers(&self, names: &[String], scope: &Scope) -> Result<ServerSet> {
        let set = self.servers.set_of(names);
        let set = set.inspect_err(|error| scope.note(error))?;
        self.sets_out(&self.servers.origins(&set));
        Ok(set)
    }

    /// The servers for single/create, asked for once.
    ///
    /// # Errors
    /// As the call fails.
    pub async fn single_servers(&self, terms: Terms<'_>) -> Result<ServerSet> {
        let failed = self.single.failure.lock().count();
        let mut known = self.single.known.lock().await;
        if let Some(servers) = &*known {
            return Ok(Arc::clone(servers));
        }
        self.single.failure.lock().since(failed)?;
        let terms = Terms {
            repeat: Repeat::Safe,
            ..terms
        };
        let service = &self.service;
        let once = |token: Secret| async move { service.domain(token.expose()).await };
        let names = self.call(Operation::Domain, terms, once).await;
        let names = names.inspect_err(|error| self.single.failure.lock().note(error))?;
        let servers = self.servers.set_of(&names.value);
        let servers = servers.inspect_err(|error| terms.scope.note(error))?;
        *known = Some(Arc::clone(&servers));
        Ok(servers)
    }

    /// A token that should be good.
    ///
    /// # Errors
    /// As the login fails, or where the credentials were refused before.
    pub async fn token(&self) -> Result<Secret> {
        self.tokens.token(&|ask| self.fetch(ask)).await
    }

    /// Waits until no refresh is under way, whose answer would be lost with the process.
    pub async fn settled(&self) {
        self.tokens.settled().await;
    }

    /// Whether a call has succeeded with the present token.
    #[must_use]
    pub fn has_good_token(&self) -> bool {
        self.tokens.is_proven()
    }

    /// A token other than `refused`, which failed with `why`.
    async fn renew(&self, refused: &Secret, why: &Error) -> Result<Secret> {
        let fetch = |ask| self.fetch(ask);
        self.tokens.renew(refused, why, &fetch).await
    }

    /// A new token. It is fetched to the end also where the one that asked is gone.
    fn fetch(&self, ask: Ask) -> Fetching {
        let me = self.me.upgrade();
        Box::pin(async move {
            let me = me.ok_or_else(Cancel::error)?;
            match me.tokens.credential() {
                Credential::Token(_) => unreachable!("a pasted token is always found"),
                Credential::Client { id, secret } => me.log_in(id, secret).await.map(Fetched::from),
                Credential::OAuth { id, secret, .. } => me.refresh((id, secret), &ask).await,
                Credential::Source(source) => source.fetch(ask.refused).await,
            }
        })
    }

    /// Repeated like every other call. A lost answer may cost one of the three tokens that live at
    /// once; the process with the oldest then meets a 401 and renews.
    async fn log_in(&self, id: &str, secret: &Secret) -> Result<Login> {
        let once = || self.service.login(id, secret.expose());
        self.login(self.own_terms(&of_one()), once).await
    }

    /// Repeated like every other call, also after a lost answer: the refresh token may be used up then,
    /// and is so whether it is sent again or not. Sent again it works if it never arrived.
    async fn refresh(&self, (id, secret): (&str, &Secret), ask: &Ask) -> Result<Fetched> {
        let Some(refresh_token) = &ask.refresh else {
            unreachable!("the turn has the refresh token")
        };
        let call = Refresh {
            client_id: id,
            client_secret: secret.expose(),
            refresh_token: refresh_token.expose(),
        };
        let once = || self.service.refresh(call);
        let refreshed = self.login(self.own_terms(&of_one()), once).await;
        let refreshed = refreshed.map_err(|error| explain_refresh(error, ask.lost).of_the_run())?;
        let lasts = refreshed.seconds.map(Duration::from_secs);
        Ok(Fetched {
            token: Secret::new(&refreshed.token),
            expires: lasts.and_then(|lasts| SystemTime::now().checked_add(lasts)),
            refresh: refreshed.refresh_token.as_deref().map(Secret::new),
        })
    }

    fn own_terms<'a>(&'a self, budget: &'a Mutex<RetryBudget>) -> Terms<'a> {
        Terms {
            scope: &self.own,
            repeat: Repeat::Safe,
            budget,
            waits: None,
            priority: 0,
        }
    }

    /// The scope of calls that belong to no run.
    #[must_use]
    pub fn own_scope(&self) -> &Scope {
        &self.own
    }

    /// The oldest warning about the token cache, a login that is waited for, or a server, that was not
    /// taken yet.
    pub fn take_warning(&self) -> Option<Error> {
        let warning = self.tokens.take_warning();
        warning.or_else(|| self.servers.take_warning())
    }

    /// Tells the limiter how far the servers are and what sockets have taken: the finer signal between
    /// acknowledgements. The run that asks for it has `left` to send, as far as that is known.
    pub fn sample(&self, now: Instant, left: Option<u64>) {
        if let Some(rtt) = self.servers.round_trip(&self.pool) {
            self.limiter.round_trip(rtt);
        }
        self.recall();
        if self.pool.uses_bbr() {
            self.limiter.connections_share();
        }
        let server = self.servers.first();
        let is_full = server.is_some_and(|server| self.pool.is_full(&server));
        self.limiter.queue_is(match () {
            () if is_full => Queued::Common,
            () if self.pool.is_queued() => Queued::Seen,
            () if self.pool.is_losing() => Queued::Losing,
            () => Queued::Not,
        });
        let carried = match self.pool.arrived() {
            Some(bytes) => (bytes, Seen::Arrived),
            None => (self.carried.load(Ordering::Relaxed), Seen::Taken),
        };
        self.limiter.progressed(now, carried, left);
        self.servers.connections_pay(self.limiter.connections_pay());
        let rate = self.bodies_rate();
        // Below a rate the link is to have room.
        let ends_soon = self.limiter.ends_soon() && rate.is_none();
        self.pool.expect_end(ends_soon);
        if self.yielding.is_some() {
            self.limiter.set_rate(rate);
        }
    }

    /// Of a body of `length` bytes the last so many, while which the next one begins: where room is left for others few
    /// bodies share the link, and a connection needs some round trips until it carries its part. Below a limit the
    /// rate would not do for both.
    pub(super) fn overlap(&self, length: u64) -> u64 {
        match self.yielding.is_some() && self.limit_rate().is_none() {
            true => length / OVERLAP,
            false => 0,
        }
    }

    /// How long `bytes` wait so that room is left for others.
    fn make_room(&self, bytes: u64) -> Duration {
        let Some(yielding) = &self.yielding else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let link = || (self.pool.link(now), self.limiter.needs().0);
        let mut yielding = yielding.lock();
        let (was_blind, wait) = (yielding.is_blind(), yielding.take(now, bytes, link));
        if yielding.is_blind() && !was_blind {
            self.servers.tell(blind());
        }
        wait
    }

    /// Whether this gives way to somebody else who fills the link.
    #[must_use]
    pub fn gives_way(&self) -> bool {
        let yielding = self.yielding.as_ref();
        yielding.is_some_and(|yielding| yielding.lock().gives_way())
    }

    /// The rate of which bodies in flight are counted.
    fn bodies_rate(&self) -> Option<u64> {
        let (_, for_two) = self.limiter.needs();
        let yielding = self.yielding.as_ref();
        let room = yielding.and_then(|yielding| yielding.lock().bodies_rate(for_two));
        [room, self.limit_rate()].into_iter().flatten().min()
    }

    /// Bytes of content a second that all bodies share, if that is limited.
    #[must_use]
    pub fn limit_rate(&self) -> Option<u64> {
        self.bandwidth.lock().as_ref().map(Bandwidth::rate)
    }

    /// Changes that.
    pub fn set_limit_rate(&self, rate: Option<u64>, now: Instant) {
        if rate.is_some() {
            self.learns.store(false, Ordering::Relaxed);
        }
        let mut bandwidth = self.bandwidth.lock();
        match (&mut *bandwidth, rate) {
            (Some(limit), Some(rate)) => limit.change(rate, now),
            (limit, rate) => *limit = rate.map(Bandwidth::new),
        }
        drop(bandwidth);
        self.limiter.set_rate(self.bodies_rate());
    }

    /// Bodies in flight, and how many there may be.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.limiter.load()
    }

    /// Bodies that wait for a permit.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.limiter.queued()
    }

    /// Calls of this sort that may be made in a second, as far as is known now; `None` where they are not
    /// limited.
    #[must_use]
    pub fn call_rate(&self, operation: Operation) -> Option<f64> {
        self.rates.per_second(operation)
    }

    /// What steers the number of bodies in flight, how often it was cut, and by what the last time.
    #[must_use]
    pub fn steering(&self) -> (Steering, u64, Option<CongestionSignal>) {
        self.limiter.steering()
    }

    /// Calls per second that are granted now, by call.
    #[must_use]
    pub fn call_rates(&self) -> Vec<(Operation, f64)> {
        self.rates.all_per_second()
    }

    /// Connections and requests so far, by server.
    #[must_use]
    pub fn stats(&self) -> Vec<(Origin, ServerStats)> {
        self.pool.stats()
    }

    /// The HTTP version that was found faster, by server; `None` where it is not known yet.
    #[must_use]
    pub fn versions(&self) -> Vec<(Origin, Option<Version>)> {
        self.servers.versions()
    }
}

/// What is said once where nothing is known of the link's queue.
fn blind() -> Error {
    let message = "this system does not tell how long packets wait, so no room is left for others on the link";
    let error = Error::new(Kind::Invalid, Operation::Configure, message.to_owned());
    error.advice("`Options::limit_rate` leaves some")
}

fn of_one() -> Mutex<RetryBudget> {
    Mutex::new(RetryBudget::of_a_file())
}

impl Scope {
    fn with_throttle(throttle: Throttle, sent: Arc<AtomicU64>) -> Scope {
        Scope {
            cancel: Cancel::default(),
            pause: Pause::default(),
            waiting: AtomicU64::new(0),
            bytes: Arc::default(),
            sent,
            retries: Arc::default(),
            activity: Arc::default(),
            budget: Mutex::new(RetryBudget::of_a_run()),
            end: Mutex::default(),
            hedge: Mutex::new(Hedge::new()),
            throttle,
        }
    }

    /// Sees that nothing has ended the run.
    ///
    /// # Errors
    /// What has.
    fn goes_on(&self) -> Result<()> {
        self.end.lock().clone().map_or(Ok(()), Err)
    }

    /// Keeps `error` if it ends the run. Refused credentials are the token's affair.
    fn note(&self, error: &Error) {
        if error.is_of_the_run() && error.kind() != Kind::Auth {
            self.end.lock().get_or_insert_with(|| error.clone());
        }
    }
}
