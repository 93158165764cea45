//! A rush of requests on one lane. In: what the server is like and what is configured. Out: nothing
//! but an end: every request that is not called off has its connection or its failure, and the lane
//! is empty afterwards. Never: two runs alike.

use std::sync::Arc;
use std::time::Duration;

use hyper::Wire;
use shuttle::future::{JoinHandle, block_on, spawn};

use super::connect::Connector;
use super::connection::Sender;
use super::fault::Failure;
use super::lane::{Common, Lane, Lease};
use super::origin::{Origin, Scheme};
use super::roster::{Fate, Rules};
use super::server::{Page, Server, Speaks};
use super::sockets::Sockets;
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
        let rules = Rules {
            connections: self.connections,
            streams: self.streams,
            idle: Duration::from_secs(30),
        };
        let server = Server::new(self.speaks, rules, self.refusals);
        let connector = Arc::new(Connector(Arc::clone(&server)));
        let scheme = Scheme::Https;
        let common = Common {
            connector,
            sockets: Arc::new(Sockets),
            rules,
            ping: Duration::from_secs(15),
            lanes: Arc::default(),
        };
        let lane = Lane::new(Origin { scheme }, common);
        let place = Place { server, lane };
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
    async fn requests(self, place: &Place) {
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
struct Place {
    server: Arc<Server>,
    lane: Arc<Lane>,
}

impl Place {
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
        let lease = self.lane.lease(preference).await?;
        let loan = Loan::new(lease, &self.server, asked);
        let fits = match preference {
            Preference::Auto => true,
            Preference::H1 => loan.lease().version() == Version::H1,
            Preference::H2 => {
                loan.lease().version() == Version::H2 || self.server.can_offer_h2(false)
            }
        };
        assert!(fits, "{preference:?} was asked for: {loan:?}");
        Ok(loan)
    }

    /// What else befalls a lane: time passes, connections end, one turns out to be
    /// dead, another server wants a socket.
    async fn storm(self) {
        for _ in 0..below(4) {
            linger(4).await;
            match below(4) {
                0 => self.lane.drop_idle(),
                1 => drop(self.lane.close_one_idle()),
                2 => tokio::time::advance(Duration::from_secs(20)),
                _ => drop(self.server.any_wire().map(|wire| wire.cut())),
            }
        }
    }

    /// Nothing was lost on the way: as many leases as ever can be had at once.
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
            self.lane.drop_idle();
            // Says that it waits, so that no schedule makes it wait for ever.
            shuttle::thread::yield_now();
        }
        let stats = self.lane.tally().stats();
        assert_eq!((stats.open, stats.opened), (0, self.server.accepted()));
        let offers_h2 = self.lane.offers_h2();
        assert!(offers_h2.is_none_or(|offers| self.server.can_offer_h2(offers)));
        assert_eq!(Arc::strong_count(&self.lane), 1, "somebody keeps the lane");
        let lane = format!("{:?}", self.lane);
        for empty in [
            "links: []",
            "queue: []",
            "dials: []",
            "links: {}",
            "waiting: {}",
        ] {
            assert!(lane.contains(empty), "{empty} is expected: {lane}");
        }
    }
}

/// A lease, in the server's book.
#[derive(Debug)]
struct Loan {
    lease: Option<Lease>,
    wire: Arc<Wire>,
    server: Arc<Server>,
    fate: Fate,
}

impl Loan {
    fn new(mut lease: Lease, server: &Arc<Server>, asked: Page) -> Self {
        let wire = match lease.sender() {
            Sender::H1(sender) => Arc::clone(sender.wire()),
            Sender::H2(sender) => Arc::clone(sender.wire()),
        };
        assert_eq!(lease.meter().wire, wire.id(), "another connection's meter");
        server.lent(&wire, asked, lease.idle_for());
        Loan {
            lease: Some(lease),
            wire,
            server: Arc::clone(server),
            fate: Fate::Keep,
        }
    }

    fn lease(&self) -> &Lease {
        self.lease
            .as_ref()
            .expect("only dropping the loan takes it")
    }

    /// Sends and receives, as `attempt` does it, but for fates that it seldom chooses.
    async fn spend(mut self) {
        linger(1).await;
        if once_in(6) {
            return;
        }
        let version = self.lease().version();
        if version == Version::H1 {
            // Called off amid a request, the connection is of no use.
            self.end_with(Fate::Close);
            self.wire.send();
        }
        linger(3).await;
        if self.server.is_closed(&self.wire) {
            self.wire.end().await;
        }
        self.end_with(match (self.wire.is_cut(), version) {
            (true, Version::H1) => Fate::Close,
            (true, Version::H2) => Fate::Retire,
            _ => one_of(&[
                Fate::Keep,
                Fate::Keep,
                Fate::Keep,
                Fate::Retire,
                Fate::Close,
            ]),
        });
        self.wire.answer();
    }

    fn end_with(&mut self, fate: Fate) {
        self.fate = fate;
        if let Some(lease) = &mut self.lease {
            lease.end_with(fate);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        others();
        self.server.returning(&self.wire, self.fate);
        drop(self.lease.take());
        if self.fate != Fate::Keep {
            self.server.left(&self.wire);
        }
    }
}

/// Where no maximum is configured, this many are tried.
const UNLIMITED: usize = 4;
