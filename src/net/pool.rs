//! The pool of connections to all servers. In: origins and requests. Out: responses, or errors that
//! say whether the request can have been carried out. Never: a second attempt that the server could
//! notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use tokio::task::JoinSet;

use super::connect::Connector;
use super::exchange::{self, ExchangeError, Processed, RequestDefaults};
use super::host::{Host, HostContext, HostLimits};
use super::origin::Origin;
use super::queueing::LinkQueue;
use super::request::{Request, Response};
use super::settings::{PoolSettings, ServerStats};
use super::socket_limit::SocketLimit;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::http::Preference;
use crate::sync::{Mutex, MutexGuard};

/// Connections to every server, shared by all who send. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<PoolInner>);

#[derive(Debug)]
struct PoolInner {
    context: HostContext,
    defaults: RequestDefaults,
    hosts: Mutex<Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    by_origin: HashMap<Origin, Arc<Host>>,
    /// The number of them at which those out of use are looked for.
    swept_at: usize,
}

impl Pool {
    /// A pool without connections; the first requests open them.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where `roots` holds no readable certificate, a limit is zero, or the user
    /// agent is no header value.
    pub fn new(settings: PoolSettings) -> Result<Pool> {
        let refuse = |why: &str| Error::new(Kind::Invalid, Operation::Configure, why);
        let streams = settings.streams_per_connection.unwrap_or(STREAMS);
        if settings.connections_per_server == Some(0) || settings.connections == 0 || streams == 0 {
            return Err(refuse("at least one connection and one stream are needed"));
        }
        let user_agent = HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| refuse("the user agent has characters that a header cannot carry"))?;
        Ok(Pool(Arc::new(PoolInner {
            context: HostContext {
                connector: Arc::new(Connector::new(&settings)?),
                sockets: SocketLimit::new(settings.connections),
                limits: HostLimits {
                    connections: settings.connections_per_server,
                    streams,
                    calls: settings.streams_per_connection.unwrap_or(CALLS),
                    idle: settings.idle,
                },
                ping: settings.ping,
                hosts: Arc::default(),
            },
            defaults: RequestDefaults {
                user_agent,
                timeouts: settings.timeouts,
            },
            hosts: Mutex::default(),
        })))
    }

    /// Sends one request and reads its response to the end, on the least busy connection to `origin`.
    ///
    /// A request that its server did not look at, because the connection was already closing, or
    /// that it wants over HTTP/1.1, is sent once more without a word. Dropping the future gives everything back: the place in the
    /// queue, the stream (HTTP/2) or the connection (HTTP/1.1). Needs a tokio runtime with time
    /// and I/O.
    ///
    /// # Errors
    /// [`Kind::Transport`] when no response came, [`Kind::Protocol`] when it could not be read;
    /// `delivered()` is `Unknown` only if the last byte of the body had been handed over.
    pub async fn send(&self, origin: &Origin, request: Request) -> Result<Response> {
        let host = self.0.host(origin);
        if matches!(request.operation, Operation::Slice | Operation::Single) {
            host.carries_bodies(self.0.round_trip(&host));
        }
        let mut silent = 0;
        loop {
            let pooled = host.acquire(request.version).await;
            let pooled =
                pooled.map_err(|failure| failure.of(request.operation, Delivery::NotDone))?;
            let error = match exchange::exchange(pooled, origin, &request, &self.0.defaults).await {
                Ok(response) => {
                    host.metrics().answered(response.version);
                    return Ok(Response {
                        offers_h2: host.offers_h2(),
                        ..response
                    });
                }
                Err(error) => error,
            };
            let ExchangeError {
                failure,
                processed,
                delivery,
            } = error;
            if processed == Processed::Maybe || silent == SILENT_REPEATS {
                return Err(failure.of(request.operation, delivery));
            }
            silent += 1;
            match processed {
                Processed::ConnectionWasDead => host.drop_idle(),
                Processed::WantsH1 => host.require_h1(),
                Processed::Never | Processed::Maybe => {}
            }
        }
    }

    /// Opens as many connections to `origin` as so many bodies' `requests` at once will need, which are not made yet. Where
    /// one cannot be opened it is the first request that fails.
    pub async fn warm(&self, origin: &Origin, version: Preference, requests: usize) {
        let host = self.0.host(origin);
        host.carries_bodies(self.0.round_trip(&host));
        let mut opening = JoinSet::new();
        for _ in 0..requests {
            let host = Arc::clone(&host);
            opening.spawn(async move { host.acquire(version).await });
        }
        // None is given back before all are open: another request would get it.
        drop(opening.join_all().await);
    }

    /// By which proxy `origin` is reached, and which variable says so; `None` where by none.
    #[must_use]
    pub fn proxy(&self, origin: &Origin) -> Option<String> {
        self.0.context.connector.proxy(origin)
    }

    /// A round trip to `origin`, as far as the handshakes of its connections tell: the shortest, which
    /// neither a name lookup nor a busy moment made longer. `None` before the first.
    #[must_use]
    pub fn round_trip(&self, origin: &Origin) -> Option<Duration> {
        let hosts = self.0.hosts();
        hosts.by_origin.get(origin)?.metrics().round_trip()
    }

    /// The queue of the link ahead, as connections see it; `None` where it is not watched.
    #[must_use]
    pub fn link(&self, now: Instant) -> Option<LinkQueue> {
        self.0.context.connector.link(now)
    }

    /// The network through which servers are reached: this machine's address on the last connection, without
    /// what tells machines of one network apart. `None` before the first, and for loopback.
    #[must_use]
    pub fn network(&self) -> Option<String> {
        self.0.context.connector.network()
    }

    /// The link is known to lose packets: BBR from now on, where that is left to panup.
    pub fn expect_losses(&self) {
        self.0.context.connector.expect_losses();
    }

    /// Whether all is sent within a few seconds: a connection that is left behind then uses BBR, where that is left to
    /// panup.
    pub fn expect_end(&self, soon: bool) {
        self.0.context.connector.expect_end(soon);
    }

    /// Whether BBR is used because the link loses packets, and it does lose them.
    #[must_use]
    pub fn loses(&self) -> bool {
        self.0.context.connector.loses()
    }

    /// Whether sockets use BBR: connections then share what the link carries, however much it loses.
    #[must_use]
    pub fn uses_bbr(&self) -> bool {
        self.0.context.connector.uses_bbr()
    }

    /// Whether the link is full: most of the time packets wait in its queue, ours or another's. Never where the
    /// system does not tell. Now and then a connection to `origin` is opened for that, and closed again.
    #[must_use]
    pub fn is_full(&self, origin: &Origin) -> bool {
        self.0.context.connector.is_full(origin)
    }

    /// Whether packets wait in a queue, before it is known whether all connections share it.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.0.context.connector.is_queued()
    }

    /// Whether packets are lost although nothing waits in a queue, and connections slow down for that.
    #[must_use]
    pub fn is_losing(&self) -> bool {
        self.0.context.connector.is_losing()
    }

    /// Bytes that servers have acknowledged, a tenth of a second ago; `None` where the system does not tell.
    #[must_use]
    pub fn arrived(&self) -> Option<u64> {
        self.0.context.connector.arrived()
    }

    /// What was done so far, by server. Of servers that are out of use only the last some hundred are
    /// known.
    #[must_use]
    pub fn stats(&self) -> Vec<(Origin, ServerStats)> {
        let hosts: Vec<_> = self.0.hosts().by_origin.values().cloned().collect();
        let mut stats: Vec<_> = hosts
            .iter()
            .map(|host| (host.origin.clone(), host.metrics().stats()))
            .collect();
        stats.sort_by(|(left, _), (right, _)| left.cmp(right));
        stats
    }
}

impl PoolInner {
    /// The round trip to `host`, the shortest to any server where it was not connected to yet, by which bodies are
    /// spread over connections. `None` where few are better: without BBR one of many may be left behind.
    fn round_trip(&self, host: &Host) -> Option<Duration> {
        if !self.context.connector.catches_up() {
            return None;
        }
        host.metrics().round_trip().or_else(|| {
            let hosts = self.hosts();
            let trips = hosts.by_origin.values();
            trips.filter_map(|host| host.metrics().round_trip()).min()
        })
    }

    fn host(&self, origin: &Origin) -> Arc<Host> {
        let mut hosts = self.hosts();
        if let Some(host) = hosts.by_origin.get(origin) {
            return Arc::clone(host);
        }
        if hosts.by_origin.len() >= hosts.swept_at {
            self.forget_unused(&mut hosts);
        }
        let host = Host::new(origin.clone(), self.context.clone());
        hosts.by_origin.insert(origin.clone(), Arc::clone(&host));
        host
    }

    /// A service may name ever new servers: those without a connection, a dial or a request are let go,
    /// where there are many.
    fn forget_unused(&self, hosts: &mut Hosts) {
        if hosts.by_origin.len() >= MANY_HOSTS {
            // Whoever works with one holds it; no one else can take it while the map is locked.
            let is_used = |host: &Arc<Host>| Arc::strong_count(host) > 1 || host.is_connected();
            hosts.by_origin.retain(|_, host| is_used(host));
            self.context
                .hosts
                .lock()
                .retain(|host| host.strong_count() > 0);
        }
        hosts.swept_at = (hosts.by_origin.len() * 2).max(MANY_HOSTS);
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        // The map is whole at every moment that could panic.
        self.hosts.lock()
    }
}

/// Servers that are kept, in use or not: what is known of one is some kilobytes.
const MANY_HOSTS: usize = 256;

/// Streams on one HTTP/2 connection by default: few, so that one TCP connection and one
/// flow-control window are not the ceiling.
const STREAMS: usize = 4;

/// The same for calls: what servers allow by default.
const CALLS: usize = 100;

/// A server that refuses to look at a request this often is not just closing connections.
const SILENT_REPEATS: u32 = 5;
