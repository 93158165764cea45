//! One server's connections and the queue for them. In: requests. Out: pooled connections, each one
//! request's right to a connection. Never: a decision of its own; those are [`state`]'s.

mod dial;
mod pooled;
mod state;
mod task;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::connect::{Alpn, Connector};
use super::connection::{Opened, Sender};
use super::fault::Failure;
use super::metrics::{HostMetrics, OpenCount};
use super::origin::{Origin, Scheme};
use super::socket_limit::{Room, SocketLimit, SocketPermit};
use super::stream::ConnectionMeter;
use crate::http::Preference;
use crate::sync::{Mutex, MutexGuard};

use dial::Dial;
pub(super) use pooled::PooledConnection;
use state::{Action, HostState};
pub(super) use state::{HostLimits, Reuse};

/// One server, its connections and its queue.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) origin: Origin,
    context: HostContext,
    inner: Mutex<Inner>,
    metrics: Arc<HostMetrics>,
    runtime: Handle,
}

/// What all hosts of a pool have in common.
#[derive(Debug, Clone)]
pub(super) struct HostContext {
    pub(super) connector: Arc<Connector>,
    pub(super) sockets: Arc<SocketLimit>,
    pub(super) limits: HostLimits,
    /// As in [`Opened::new`].
    pub(super) ping: Duration,
    /// All of them: an unused connection of one gives way to another.
    pub(super) hosts: Arc<Mutex<Vec<Weak<Host>>>>,
}

#[derive(Debug)]
struct Inner {
    state: HostState,
    links: HashMap<u64, OpenConnection>,
    waiting: HashMap<u64, oneshot::Sender<Result<PooledConnection, Failure>>>,
}

/// One connection, from the side that sends on it.
#[derive(Debug)]
struct OpenConnection {
    /// Absent while a request has it, on HTTP/1.1.
    sender: Option<Sender>,
    meter: Arc<ConnectionMeter>,
    task: AbortHandle,
    served: u64,
    last_used: Instant,
}

impl Host {
    pub(super) fn new(origin: Origin, context: HostContext) -> Arc<Self> {
        // HTTP/2 is spoken over TLS only: prior knowledge on plain connections is for servers
        // that one knows.
        let offers_h2 = (origin.scheme == Scheme::Http).then_some(false);
        let host = Arc::new(Host {
            origin,
            inner: Mutex::new(Inner {
                state: HostState::new(context.limits, offers_h2),
                links: HashMap::new(),
                waiting: HashMap::new(),
            }),
            metrics: Arc::default(),
            runtime: Handle::current(),
            context,
        });
        host.context.hosts.lock().push(Arc::downgrade(&host));
        host
    }

    /// It gets files' content from now on, not calls only, over a path of that round trip.
    pub(super) fn carries_bodies(&self, round_trip: Option<Duration>) {
        self.inner().state.carries_bodies(round_trip);
    }

    /// Waits for a connection that fits `preference`, first come, first served.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        preference: Preference,
    ) -> Result<PooledConnection, Failure> {
        let (grant, granted) = oneshot::channel();
        let place = {
            let mut inner = self.inner();
            let waiter = inner.state.join(preference);
            inner.waiting.insert(waiter, grant);
            QueuePlace { host: self, waiter }
        };
        self.settle();
        let pooled = granted.await;
        drop(place);
        // A grant that came to nothing, since its connection was gone in the same moment.
        pooled.unwrap_or_else(|_| Err(Failure::given_up(&self.origin)))
    }

    /// Whether the server takes HTTP/2, as far as it was asked.
    pub(super) fn offers_h2(&self) -> Option<bool> {
        self.inner().state.offers_h2()
    }

    /// Whether it has a connection, in use or not.
    pub(super) fn is_connected(&self) -> bool {
        !self.inner().links.is_empty()
    }

    /// Closes every unused connection, because one of them turned out to be dead.
    pub(super) fn drop_idle(&self) {
        let mut inner = self.inner();
        for link in inner.state.drop_idle() {
            inner.links.remove(&link);
        }
    }

    /// From now on HTTP/1.1 only: the server says so. Requests on other connections may end there.
    pub(super) fn require_h1(&self) {
        let mut inner = self.inner();
        for link in inner.state.require_h1() {
            inner.links.remove(&link);
        }
    }

    /// Closes one unused connection, so that another server gets its socket.
    pub(super) fn close_one_idle(&self) -> bool {
        let mut inner = self.inner();
        let idle = inner.state.drop_one_idle();
        let link = idle.and_then(|link| inner.links.remove(&link));
        link.is_some()
    }

    /// Waits for a socket, but no longer than `pause`: an unused connection of any server is closed, or
    /// the next that becomes free is. Only a server without any connection asks.
    async fn wait_for_socket(&self, pause: Duration) -> Option<SocketPermit> {
        let hosts = self.context.hosts.lock().clone();
        let mut hosts = hosts.iter().filter_map(Weak::upgrade);
        let room = if hosts.any(|host| host.close_one_idle()) {
            Room::Made
        } else {
            Room::Wanted
        };
        self.context.sockets.wait(pause, room).await
    }

    fn sockets(&self) -> &Arc<SocketLimit> {
        &self.context.sockets
    }

    pub(super) fn metrics(&self) -> &HostMetrics {
        &self.metrics
    }

    /// On the caller's runtime; on the first one where a future is dropped outside of any.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        Handle::try_current()
            .unwrap_or_else(|_| self.runtime.clone())
            .spawn(task)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves counts that are at worst stale; sending goes on.
        self.inner.lock()
    }

    /// Does what the state decides. Grants are sent after the lock is gone: a receiver that has given
    /// up drops its connection, and that comes back here. So does a dial that a runtime on its way out
    /// drops at once.
    fn settle(self: &Arc<Self>) {
        let (mut grants, mut dials) = (Vec::new(), Vec::new());
        let mut inner = self.inner();
        for action in inner.state.settle(Instant::now()) {
            match action {
                Action::Grant { waiter, link } => {
                    grants.extend(self.grant(&mut inner, waiter, link))
                }
                Action::Dial(alpn) => dials.push(Dial::new(self, alpn)),
                Action::Close(link) => drop(inner.links.remove(&link)),
            }
        }
        drop(inner);
        for (grant, pooled) in grants {
            // A refused grant drops the connection, which gives it to the next request.
            let _ = grant.send(Ok(pooled));
        }
        dials.into_iter().for_each(Dial::start);
    }

    fn grant(
        self: &Arc<Self>,
        inner: &mut Inner,
        waiter: u64,
        link: u64,
    ) -> Option<(
        oneshot::Sender<Result<PooledConnection, Failure>>,
        PooledConnection,
    )> {
        let grant = inner.waiting.remove(&waiter)?;
        let id = link;
        let link = inner.links.get_mut(&id)?;
        let sender = match link.sender.as_ref()? {
            Sender::H1(_) => link.sender.take()?,
            Sender::H2(sender) => Sender::H2(sender.clone()),
        };
        let pooled = PooledConnection::new(
            (Arc::clone(self), id),
            sender,
            (Arc::clone(&link.meter), link.task.clone()),
            (link.served > 0).then(|| link.last_used.elapsed()),
        );
        link.served += 1;
        Some((grant, pooled))
    }

    /// Opens one connection, with the right to a `socket` if it has that already, and begins HTTP on it.
    async fn open(&self, alpn: Alpn, socket: Option<SocketPermit>) -> Result<Opened, Failure> {
        let sockets = &self.context.sockets;
        let socket = socket.or_else(|| sockets.take());
        let socket = socket.ok_or_else(|| Failure::no_socket(&self.origin, sockets.most()))?;
        let began = Instant::now();
        let never = self.metrics.stats().opened == 0;
        if never && let Some(proxy) = self.context.connector.proxy(&self.origin) {
            tracing::info!(server = %self.origin, %proxy, "connecting through a proxy");
        }
        let connecting = self.context.connector.connect(&self.origin, alpn).await;
        if connecting.is_ok() {
            // TCP's handshake, and TLS's.
            let times = if self.origin.scheme == Scheme::Https {
                2
            } else {
                1
            };
            self.metrics.opened_within(began.elapsed(), times);
        }
        // A name that was never found is a mistyped one, or there is no network: no waiting helps.
        // One that was found before is a resolver's bad hour, which ends.
        let stream = connecting.map_err(|failure| failure.hopeless_if_unnamed(never))?;
        let stream = stream.counted_into(self.metrics.bytes()).holding(socket);
        let opened = Opened::new(stream, self.context.ping).await;
        opened.map_err(|error| Failure::exchange(&self.origin, error))
    }

    fn opened(self: &Arc<Self>, alpn: Alpn, opened: Opened) {
        let now = Instant::now();
        let mut inner = self.inner();
        let id = inner.state.opened(alpn, opened.version, now);
        let count = OpenCount::new(&self.metrics);
        let task = self.spawn(task::run(opened.driver, Arc::downgrade(self), id, count));
        let link = OpenConnection {
            sender: Some(opened.sender),
            meter: opened.meter,
            task: task.abort_handle(),
            served: 0,
            last_used: now,
        };
        inner.links.insert(id, link);
    }

    /// Whether a dial that finds no socket has to go on trying; if not, it is over.
    fn is_needed(&self, alpn: Alpn) -> bool {
        self.inner().state.starves(alpn, Instant::now())
    }

    /// The next dial that fails is the failure of all requests that wait.
    fn fail_all_with_the_next(&self) {
        self.inner().state.fail_all_with_the_next();
    }

    fn dial_failed(&self, alpn: Alpn, failure: &Failure) {
        let mut inner = self.inner();
        let failed = inner.state.dial_failed(alpn, Instant::now());
        let grants: Vec<_> = failed
            .iter()
            .filter_map(|waiter| inner.waiting.remove(waiter))
            .collect();
        drop(inner);
        for grant in grants {
            // A request that was dropped meanwhile needs no answer.
            let _ = grant.send(Err(failure.clone()));
        }
    }

    fn released(self: &Arc<Self>, link: u64, reuse: Reuse, sender: Option<Sender>) {
        // A server without a connection waits for one of the others' to become free.
        let reuse = if reuse == Reuse::Keep && self.context.sockets.give_one() {
            Reuse::Retire
        } else {
            reuse
        };
        let mut inner = self.inner();
        inner.state.released(link, reuse, Instant::now());
        if reuse != Reuse::Keep {
            inner.links.remove(&link);
        } else if let Some(link) = inner.links.get_mut(&link) {
            link.last_used = Instant::now();
            if let Some(sender @ Sender::H1(_)) = sender {
                link.sender = Some(sender);
            }
        }
        drop(inner);
        self.settle();
    }

    /// The peer's settings were read.
    fn allows(self: &Arc<Self>, link: u64, streams: usize) {
        self.inner().state.allows(link, streams);
        self.settle();
    }

    fn ended(self: &Arc<Self>, link: u64) {
        let mut inner = self.inner();
        inner.state.ended(link);
        inner.links.remove(&link);
        drop(inner);
        self.settle();
    }

    /// Closes a connection that has been idle for too long. Answers when to ask again, and
    /// nothing once the connection is not this host's any more.
    fn close_if_idle(&self, link: u64) -> Option<Duration> {
        let mut inner = self.inner();
        let left = inner.state.idle_left(link, Instant::now())?;
        if !left.is_zero() {
            return Some(left);
        }
        inner.state.ended(link);
        inner.links.remove(&link);
        None
    }
}

/// A request's place in the queue, given up when dropped.
struct QueuePlace<'a> {
    host: &'a Arc<Host>,
    waiter: u64,
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let mut inner = self.host.inner();
        inner.state.leave(self.waiter);
        let forgotten = inner.waiting.remove(&self.waiter);
        drop(inner);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests;
