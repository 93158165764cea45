//! A rush of requests on one host. In: what the server is like and what is configured. Out: nothing
//! but an end: every request that is not called off has its connection or its failure, and the host
//! is empty afterwards. Never: two runs alike.

use std::sync::Arc;
use std::time::Duration;

use hyper::Wire;
use shuttle::future::{JoinHandle, block_on, spawn};

use super::connect::Connector;
use super::connection::Sender;
use super::fault::Failure;
use super::host::{Host, HostContext, HostLimits, PooledConnection, Reuse};
use super::origin::{Origin, Scheme};
use super::server::{Page, Server, Speaks};
use super::socket_limit::SocketLimit;
use crate::chance::{below, linger, once_in, one_of, others};
use crate::http::{Preference, Version};

/// What a rush is like.
#[derive(Debug, Clone, Copy)]
pub struct Rush {
    /// What the server speaks.
    pub speaks: Speaks,
    /// What requests ask for.
    pub preferences: &'static [Preference],
    /// Connections at most.
    pub connections: Option<usize>,
    /// Streams on one at most.
    pub streams: usize,
    /// One dial in so many is refused, and one handshake in so many fails; 0 is none.
    pub refusals: usize,
    /// How many requests there are at once.
    pub requests: usize,
}

impl Rush {
    /// Plays it once.
    pub fn play(self) {
        let limits = HostLimits {
            connections: self.connections,
            streams: self.streams,
            calls: self.streams,
            idle: Duration::from_secs(30),
        };
        let server = Server::new(self.speaks, limits, self.refusals);
        let connector = Arc::new(Connector(Arc::clone(&server)));
        let scheme = Scheme::Https;
        let context = HostContext {
            connector,
            sockets: Arc::new(SocketLimit),
            limits,
            ping: Duration::from_secs(15),
            hosts: Arc::default(),
        };
        let host = Host::new(Origin { scheme }, context);
        let place = Scene { server, host };
        block_on(async {
            let storm = spawn(place.clone().storm());
            self.requests(&place).await;
            storm.await.expect("nobody calls it off");
        });
        place.server.calm_down();
        place.clear();
        block_on(place.all_that_is_allowed(self));
        place.clear();
    }

    /// Sends the requests, calls some of them off and waits for the others.
    async fn requests(self, place: &Scene) {
        let requests: Vec<JoinHandle<()>> = (0..self.requests)
            .map(|_| spawn(place.clone().requests(self.preferences)))
            .collect();
        let mut called_off = Vec::new();
        for request in &requests {
            called_off.push(once_in(4));
            if called_off.last() == Some(&true) {
                linger(3).await;
                request.abort();
            }
        }
        for (request, called_off) in requests.into_iter().zip(called_off) {
            assert!(request.await.is_ok() || called_off, "a request broke off");
        }
    }
}

/// Where it happens.
#[derive(Debug, Clone)]
struct Scene {
    server: Arc<Server>,
    host: Arc<Host>,
}

impl Scene {
    /// One request, or two, one after the other.
    async fn requests(self, preferences: &[Preference]) {
        for _ in 0..=below(2) {
            // A failure is an end as well.
            if let Ok(loan) = self.borrow(one_of(preferences)).await {
                loan.spend().await;
            }
        }
    }

    async fn borrow(&self, preference: Preference) -> Result<Loan, Failure> {
        let asked = self.server.page();
        let pooled = self.host.acquire(preference).await?;
        let loan = Loan::new(pooled, &self.server, asked);
        let fits = match preference {
            Preference::Auto => true,
            Preference::H1 => loan.acquire().version() == Version::H1,
            Preference::H2 => {
                loan.acquire().version() == Version::H2 || self.server.can_offer_h2(false)
            }
        };
        assert!(fits, "{preference:?} was asked for: {loan:?}");
        Ok(loan)
    }

    /// What else befalls a host: time passes, connections end, one turns out to be
    /// dead, another server wants a socket.
    async fn storm(self) {
        for _ in 0..below(4) {
            linger(4).await;
            match below(4) {
                0 => self.host.drop_idle(),
                1 => drop(self.host.close_one_idle()),
                2 => tokio::time::advance(Duration::from_secs(20)),
                _ => drop(self.server.any_wire().map(|wire| wire.cut())),
            }
        }
    }

    /// Nothing was lost on the way: as many connections as ever can be had at once.
    async fn all_that_is_allowed(&self, rush: Rush) {
        // Whatever ceiling a refusal left.
        tokio::time::advance(Duration::from_secs(10));
        let connections = rush.connections.unwrap_or(UNLIMITED);
        self.at_once(Preference::H1, connections).await;
        if rush.speaks == Speaks::H2 {
            self.at_once(Preference::H2, connections * rush.streams)
                .await;
        }
    }

    async fn at_once(&self, preference: Preference, most: usize) {
        let mut loans = Vec::new();
        while loans.len() < most {
            loans.push(self.borrow(preference).await.expect("no dial fails"));
        }
    }

    /// Nothing stays: no request, no connection, no task.
    fn clear(&self) {
        while tokio::runtime::under_way() > 0 {
            self.host.drop_idle();
            // Says that it waits, so that no schedule makes it wait for ever.
            shuttle::thread::yield_now();
        }
        let stats = self.host.metrics().stats();
        assert_eq!((stats.open, stats.opened), (0, self.server.accepted()));
        let offers_h2 = self.host.offers_h2();
        assert!(offers_h2.is_none_or(|offers| self.server.can_offer_h2(offers)));
        assert_eq!(Arc::strong_count(&self.host), 1, "somebody keeps the host");
        let host = format!("{:?}", self.host);
        for empty in [
            "links: []",
            "queue: []",
            "dials: []",
            "links: {}",
            "waiting: {}",
        ] {
            assert!(host.contains(empty), "{empty} is expected: {host}");
        }
    }
}

/// A pooled connection, in the server's book.
#[derive(Debug)]
struct Loan {
    pooled: Option<PooledConnection>,
    wire: Arc<Wire>,
    server: Arc<Server>,
    reuse: Reuse,
}

impl Loan {
    fn new(mut pooled: PooledConnection, server: &Arc<Server>, asked: Page) -> Self {
        let wire = match pooled.sender() {
            Sender::H1(sender) => Arc::clone(sender.wire()),
            Sender::H2(sender) => Arc::clone(sender.wire()),
        };
        assert_eq!(pooled.meter().wire, wire.id(), "another connection's meter");
        server.lent(&wire, asked, pooled.idle_for());
        Loan {
            pooled: Some(pooled),
            wire,
            server: Arc::clone(server),
            reuse: Reuse::Keep,
        }
    }

    fn acquire(&self) -> &PooledConnection {
        self.pooled
            .as_ref()
            .expect("only dropping the loan takes it")
    }

    /// Sends and receives, as `attempt` does it, but for reuses that it seldom chooses.
    async fn spend(mut self) {
        linger(1).await;
        if once_in(6) {
            return;
        }
        let version = self.acquire().version();
        if version == Version::H1 {
            // Called off amid a request, the connection is of no use.
            self.end_with(Reuse::Close);
            self.wire.send();
        }
        linger(3).await;
        if self.server.is_closed(&self.wire) {
            self.wire.end().await;
        }
        self.end_with(match (self.wire.is_cut(), version) {
            (true, Version::H1) => Reuse::Close,
            (true, Version::H2) => Reuse::Retire,
            _ => one_of(&[
                Reuse::Keep,
                Reuse::Keep,
                Reuse::Keep,
                Reuse::Retire,
                Reuse::Close,
            ]),
        });
        self.wire.answer();
    }

    fn end_with(&mut self, reuse: Reuse) {
        self.reuse = reuse;
        if let Some(pooled) = &mut self.pooled {
            pooled.end_with(reuse);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        others();
        self.server.returning(&self.wire, self.reuse);
        drop(self.pooled.take());
        if self.reuse != Reuse::Keep {
            self.server.left(&self.wire);
        }
    }
}

/// Where no maximum is configured, this many are tried.
const UNLIMITED: usize = 4;
