//! A connection's own task. In: an open stream. Out: the handle to send on it, and what the lane is
//! told about it: its streams, its idle time, its end, each when chance has it. Never: a byte.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper::{Turn, Wire};

use crate::http::Version;
use super::lane::Lane;
use super::lease::Sender;
use super::server::Server;
use super::stream::{Meter, Stream};
use crate::chance::{below, linger, once_in, one_of};

/// A connection ready to send, and the side of it that has to be driven.
pub(super) struct Opened {
    pub(super) version: Version,
    pub(super) sender: Sender,
    pub(super) driver: Driver,
    pub(super) meter: Arc<Meter>,
}

/// The side of a connection that somebody has to drive. Dropped, it ends the connection.
pub(super) struct Driver {
    wire: Arc<Wire>,
    server: Arc<Server>,
}

impl Opened {
    /// Begins HTTP on `stream`.
    pub(super) async fn new(stream: Stream, _ping: Duration) -> Result<Self, hyper::Error> {
        linger(1).await;
        let (version, server) = (stream.version, stream.dialling.server());
        if server.refuses() {
            return Err(hyper::Error);
        }
        let wire = server.accept(version);
        let sender = match version {
            Version::H1 => Sender::H1(http1::SendRequest::new(Arc::clone(&wire))),
            Version::H2 => Sender::H2(http2::SendRequest::new(Arc::clone(&wire))),
        };
        Ok(Opened {
            version,
            sender,
            meter: Arc::new(Meter { wire: wire.id() }),
            driver: Driver { wire, server },
        })
    }
}

impl Driver {
    /// Drives the connection to its end.
    pub(super) async fn drive(self, lane: Weak<Lane>, link: u64, _: (Arc<Meter>, OpenCount)) {
        linger(2).await;
        let mut silent = self.server.waits_for_a_request(&self.wire);
        if !silent {
            self.greet(&lane, link);
        }
        self.pass_time(&lane, link).await;
        while self.wire.turn().await == Turn::Answered {
            linger(1).await;
            self.wire.turn_over();
            if std::mem::take(&mut silent) {
                self.greet(&lane, link);
            }
        }
        self.wire.cut();
        if let Some(lane) = lane.upgrade() {
            lane.ended(link);
        }
        self.server.left(&self.wire);
    }

    fn greet(&self, lane: &Weak<Lane>, link: u64) {
        if let Some(lane) = lane.upgrade() {
            lane.allows(link, self.server.streams(&self.wire));
        }
    }

    /// Looks whether the connection has been idle for too long, and may see it end.
    async fn pass_time(&self, lane: &Weak<Lane>, link: u64) {
        for _ in 0..below(4) {
            linger(2).await;
            tokio::time::advance(one_of(&[0, 10, 40]) * SECOND);
            let lane = lane.upgrade();
            if lane.is_some_and(|lane| lane.close_if_idle(link).is_none()) {
                return;
            }
            if self.server.is_moody() && once_in(4) {
                self.wire.cut();
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.wire.cut();
    }
}

/// What happened on one server's connections.
#[derive(Debug, Default)]
pub(super) struct Tally {
    opened: AtomicU64,
    open: AtomicU64,
}

/// The numbers of a tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) opened: u64,
    pub(super) open: u64,
}

impl Tally {
    /// The count of bytes given to sockets, which are none.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// How far the server is, which is no distance here.
    pub(super) fn opened_within(&self, _took: Duration, _times: u32) {}

    pub(super) fn stats(&self) -> Stats {
        Stats {
            opened: self.opened.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
        }
    }
}

/// Counts a connection as open until its task is gone, however it ends.
pub(super) struct OpenCount(Arc<Tally>);

impl OpenCount {
    pub(super) fn new(tally: &Arc<Tally>) -> Self {
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

const SECOND: Duration = Duration::from_secs(1);
