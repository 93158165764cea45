//! The way to one server: its connections, shared by all who send there. In: wishes. Out: leases,
//! each one request's right to a connection. Never: a decision of its own; those are the roster's.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::body::BodyStream;
use super::connect::{Connector, Offer};
use super::exchange::{Version, Wish};
use super::fault::Failure;
use super::origin::Origin;
use super::pool::ServerStats;
use super::roster::{Act, Fate, Roster, Rules};
use super::stream::{Meter, Stream};

/// One server, its connections and its queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) origin: Origin,
    connector: Arc<Connector>,
    state: Mutex<State>,
    tally: Arc<Tally>,
    runtime: Handle,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    links: HashMap<u64, Link>,
    waiting: HashMap<u64, oneshot::Sender<Result<Lease, Failure>>>,
}

/// One connection, from the side that sends on it.
#[derive(Debug)]
struct Link {
    /// Absent while a lease has it, on HTTP/1.1.
    sender: Option<Sender>,
    meter: Arc<Meter>,
    task: AbortHandle,
    served: u64,
    last_used: Instant,
}

/// hyper's handle of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    /// One request at a time.
    H1(http1::SendRequest<BodyStream>),
    /// Streams.
    H2(http2::SendRequest<BodyStream>),
}

#[derive(Debug, Default)]
struct Tally {
    opened: AtomicU64,
    open: AtomicU64,
    h1: AtomicU64,
    h2: AtomicU64,
    bytes: Arc<AtomicU64>,
}

impl Lane {
    pub(super) fn new(origin: Origin, connector: Arc<Connector>, rules: Rules) -> Arc<Self> {
        // HTTP/2 is spoken over TLS only: prior knowledge on plain connections is for servers
        // that one knows.
        let offers_h2 = (origin.scheme == super::Scheme::Http).then_some(false);
        Arc::new(Lane {
            origin,
            connector,
            state: Mutex::new(State {
                roster: Roster::new(rules, offers_h2),
                links: HashMap::new(),
                waiting: HashMap::new(),
            }),
            tally: Arc::default(),
            runtime: Handle::current(),
        })
    }

    /// Waits for a connection that fits `wish`, first come, first served.
    pub(super) async fn lease(self: &Arc<Self>, wish: Wish) -> Result<Lease, Failure> {
        let (grant, granted) = oneshot::channel();
        let place = {
            let mut state = self.state();
            let waiter = state.roster.join(wish);
            state.waiting.insert(waiter, grant);
            Place { lane: self, waiter }
        };
        self.settle();
        let lease = granted
            .await
            .expect("the queue answers everyone before it forgets him");
        drop(place);
        lease
    }

    /// Whether the server takes HTTP/2, as far as it was asked.
    pub(super) fn offers_h2(&self) -> Option<bool> {
        self.state().roster.offers_h2()
    }

    /// Closes every connection that nobody uses, because one of them turned out to be dead.
    pub(super) fn drop_idle(&self) {
        let mut state = self.state();
        for link in state.roster.drop_idle() {
            state.links.remove(&link);
        }
    }

    pub(super) fn answered(&self, version: Version) {
        let counter = match version {
            Version::H1 => &self.tally.h1,
            Version::H2 => &self.tally.h2,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            opened: read(&self.tally.opened),
            open: read(&self.tally.open),
            h1_requests: read(&self.tally.h1),
            h2_requests: read(&self.tally.h2),
            bytes: read(&self.tally.bytes),
        }
    }

    /// On the runtime of whoever asks; on the first one's where a future is dropped outside of any.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        Handle::try_current()
            .unwrap_or_else(|_| self.runtime.clone())
            .spawn(task)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counts that are at worst stale; sending goes on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the roster wants. Grants are told after the lock is gone: a receiver that has
    /// given up drops its lease, and that comes back here.
    fn settle(self: &Arc<Self>) {
        let mut grants = Vec::new();
        let mut state = self.state();
        for act in state.roster.settle(Instant::now()) {
            match act {
                Act::Grant { waiter, link } => grants.extend(self.grant(&mut state, waiter, link)),
                Act::Dial(offer) => drop(self.spawn(Arc::clone(self).dial(offer))),
                Act::Close(link) => drop(state.links.remove(&link)),
            }
        }
        drop(state);
        for (grant, lease) in grants {
            // A refused grant is a lease dropped, which gives it to the next.
            let _ = grant.send(Ok(lease));
        }
    }

    fn grant(
        self: &Arc<Self>,
        state: &mut State,
        waiter: u64,
        link: u64,
    ) -> Option<(oneshot::Sender<Result<Lease, Failure>>, Lease)> {
        let grant = state.waiting.remove(&waiter)?;
        let id = link;
        let link = state.links.get_mut(&id)?;
        let sender = match link.sender.as_ref()? {
            Sender::H1(_) => link.sender.take()?,
            Sender::H2(sender) => Sender::H2(sender.clone()),
        };
        let lease = Lease {
            lane: Arc::clone(self),
            link: id,
            sender: Some(sender),
            meter: Arc::clone(&link.meter),
            task: link.task.clone(),
            idle_for: (link.served > 0).then(|| link.last_used.elapsed()),
            fate: Fate::Keep,
        };
        link.served += 1;
        Some((grant, lease))
    }

    async fn dial(self: Arc<Self>, offer: Offer) {
        match self.open(offer).await {
            Ok(opened) => self.opened(offer, opened),
            Err(failure) => self.dial_failed(offer, &failure),
        }
        self.settle();
    }

    async fn open(&self, offer: Offer) -> Result<Opened, Failure> {
        let stream = self.connector.connect(&self.origin, offer).await?;
        let stream = stream.counted_into(Arc::clone(&self.tally.bytes));
        let (version, meter) = (stream.version(), stream.meter());
        let failed = |error| Failure::exchange(&self.origin, error);
        let (sender, driver) = match version {
            Version::H1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(failed)?;
                (Sender::H1(sender), Driver::H1(Box::new(connection)))
            }
            Version::H2 => {
                let (sender, connection) = h2_settings().handshake(stream).await.map_err(failed)?;
                (Sender::H2(sender), Driver::H2(Box::new(connection)))
            }
        };
        Ok(Opened {
            version,
            sender,
            driver,
            meter,
        })
    }

    fn opened(self: &Arc<Self>, offer: Offer, opened: Opened) {
        let now = Instant::now();
        let mut state = self.state();
        let id = state.roster.opened(offer, opened.version, now);
        let count = OpenCount::new(&self.tally);
        let drive = drive(
            opened.driver,
            Arc::downgrade(self),
            id,
            Arc::clone(&opened.meter),
        );
        let task = self.spawn(async {
            let _count = count;
            drive.await;
        });
        let link = Link {
            sender: Some(opened.sender),
            meter: opened.meter,
            task: task.abort_handle(),
            served: 0,
            last_used: now,
        };
        state.links.insert(id, link);
    }

    fn dial_failed(&self, offer: Offer, failure: &Failure) {
        let mut state = self.state();
        let failed = state.roster.dial_failed(offer, Instant::now());
        let told: Vec<_> = failed
            .iter()
            .filter_map(|waiter| state.waiting.remove(waiter))
            .collect();
        drop(state);
        for grant in told {
            // Whoever no longer listens does not mind.
            let _ = grant.send(Err(failure.clone()));
        }
    }

    fn released(self: &Arc<Self>, link: u64, fate: Fate, sender: Option<Sender>) {
        let mut state = self.state();
        state.roster.released(link, fate, Instant::now());
        if fate != Fate::Keep {
            state.links.remove(&link);
        } else if let Some(link) = state.links.get_mut(&link) {
            link.last_used = Instant::now();
            if let Some(sender @ Sender::H1(_)) = sender {
                link.sender = Some(sender);
            }
        }
        drop(state);
        self.settle();
    }

    /// The peer's settings were read.
    fn allows(self: &Arc<Self>, link: u64, streams: usize) {
        self.state().roster.allows(link, streams);
        self.settle();
    }

    fn ended(self: &Arc<Self>, link: u64) {
        let mut state = self.state();
        state.roster.ended(link);
        state.links.remove(&link);
        drop(state);
        self.settle();
    }

    /// Closes a connection that has been idle for too long. Answers when to ask again, and
    /// nothing once the connection is not this lane's any more.
    fn close_if_idle(&self, link: u64) -> Option<Duration> {
        let mut state = self.state();
        let left = state.roster.idle_left(link, Instant::now())?;
        if !left.is_zero() {
            return Some(left);
        }
        state.roster.ended(link);
        state.links.remove(&link);
        None
    }
}

/// A place in the queue; whoever leaves it early is forgotten.
struct Place<'a> {
    lane: &'a Arc<Lane>,
    waiter: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.roster.leave(self.waiter);
        let forgotten = state.waiting.remove(&self.waiter);
        drop(state);
        drop(forgotten);
    }
}

/// One request's right to one connection. Dropped, it gives the right back.
#[derive(Debug)]
pub(super) struct Lease {
    lane: Arc<Lane>,
    link: u64,
    sender: Option<Sender>,
    meter: Arc<Meter>,
    task: AbortHandle,
    idle_for: Option<Duration>,
    fate: Fate,
}

impl Lease {
    pub(super) fn sender(&mut self) -> &mut Sender {
        self.sender
            .as_mut()
            .expect("only dropping the lease takes the sender")
    }

    pub(super) fn version(&self) -> Version {
        match self.sender {
            Some(Sender::H2(_)) => Version::H2,
            _ => Version::H1,
        }
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How long the connection was unused before; `None` for its first request.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.idle_for
    }

    /// What becomes of the connection when the lease ends.
    pub(super) fn end_with(&mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let sender = self.sender.take();
        match (self.fate, sender) {
            (Fate::Keep, Some(Sender::H1(sender))) if !sender.is_ready() => {
                self.return_later(sender)
            }
            (fate, sender) => {
                if fate == Fate::Close {
                    self.task.abort();
                }
                self.lane.released(self.link, fate, sender);
            }
        }
    }
}

impl Lease {
    /// hyper is ready for the next request a moment after the last byte of a reply was read.
    fn return_later(&self, mut sender: http1::SendRequest<BodyStream>) {
        let (lane, link) = (Arc::clone(&self.lane), self.link);
        self.lane.spawn(async move {
            let fate = if sender.ready().await.is_ok() {
                Fate::Keep
            } else {
                Fate::Close
            };
            lane.released(link, fate, Some(Sender::H1(sender)));
        });
    }
}

struct Opened {
    version: Version,
    sender: Sender,
    driver: Driver,
    meter: Arc<Meter>,
}

/// hyper's side of a connection, which somebody has to poll. It ends when the connection does.
enum Driver {
    H1(Box<http1::Connection<Stream, BodyStream>>),
    H2(Box<http2::Connection<Stream, BodyStream, TokioExecutor>>),
}

impl Driver {
    /// How many streams the peer allows at once, as far as it has said.
    fn streams(&self) -> usize {
        match self {
            Driver::H1(_) => 1,
            Driver::H2(connection) => connection.current_max_send_streams(),
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // How a connection ends is told to its requests, by hyper.
        match self.get_mut() {
            Driver::H1(connection) => Pin::new(connection).poll(cx).map(drop),
            Driver::H2(connection) => Pin::new(connection).poll(cx).map(drop),
        }
    }
}

/// Drives one connection to its end; tells the lane what the peer allows once that is known, and
/// lets the connection go when it was idle for too long.
async fn drive(mut driver: Driver, lane: Weak<Lane>, link: u64, meter: Arc<Meter>) {
    let mut greeting = Greeting::Awaited;
    let mut look = Some(Instant::now());
    loop {
        let due = look.unwrap_or_else(Instant::now);
        tokio::select! {
            () = &mut driver => break,
            () = meter.greeted(), if greeting == Greeting::Awaited => {
                greeting = Greeting::Heard;
                if let Some(lane) = lane.upgrade() {
                    lane.allows(link, driver.streams());
                }
            }
            () = tokio::time::sleep_until(due), if look.is_some() => {
                let left = lane.upgrade().and_then(|lane| lane.close_if_idle(link));
                look = left.map(|left| Instant::now() + left);
            }
        }
    }
    if let Some(lane) = lane.upgrade() {
        lane.ended(link);
    }
}

#[derive(PartialEq, Eq)]
enum Greeting {
    Awaited,
    Heard,
}

/// Counts a connection as open until its task is gone, however it ends.
struct OpenCount(Arc<Tally>);

impl OpenCount {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.opened.fetch_add(1, Ordering::Relaxed);
        tally.open.fetch_add(1, Ordering::Relaxed);
        OpenCount(Arc::clone(tally))
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn h2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        // Until its settings are read the peer may allow one stream only.
        .initial_max_send_streams(1)
        // Replies are small; these are for the peer's sake, not ours.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 22)
        .max_send_buf_size(H2_SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    settings
}

/// What one stream may have queued inside h2: two chunks, so that the next one is ready when a
/// window opens.
const H2_SEND_BUFFER: usize = 256 << 10;

/// A connection whose peer vanished is noticed within twice this.
const PING_EVERY: Duration = Duration::from_secs(15);
