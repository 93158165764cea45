//! The pool.

use std::time::Duration;

use super::exchange::{Outgoing, Reply};
use super::origin::Origin;
use crate::error::{Error, Kind, Result};

/// What a pool may open and whom it trusts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolSettings {
    /// Connections to one server at most; `None` lets the requests in flight decide.
    pub connections_per_server: Option<usize>,
    /// Streams on one HTTP/2 connection at most; the server may allow fewer. `None` is 4.
    pub streams_per_connection: Option<usize>,
    /// Certificates to trust besides the system's: PEM files' contents.
    pub roots: Vec<Vec<u8>>,
    /// Whether the system's certificates are trusted.
    pub system_roots: SystemRoots,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// How long name lookup, TCP, proxy and TLS may take together.
    pub connect: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Whether the environment's proxies are used.
    pub proxies: Proxies,
}

/// Whether the certificates of the operating system are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemRoots {
    /// They are, besides those given.
    Trusted,
    /// Only those given are.
    Ignored,
}

/// Where proxies come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxies {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case. Loopback
    /// addresses are never proxied.
    Environment,
    /// None.
    Off,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            connections_per_server: None,
            streams_per_connection: None,
            roots: Vec::new(),
            system_roots: SystemRoots::Trusted,
            idle: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            user_agent: concat!("panup/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::Environment,
        }
    }
}

/// Connections to every server, shared by all who send. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(());

/// What a pool did with one server so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections opened.
    pub opened: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests answered over HTTP/1.1.
    pub h1_requests: u64,
    /// Requests answered over HTTP/2.
    pub h2_requests: u64,
    /// Bytes given to sockets, TLS and headers included.
    pub bytes: u64,
}

impl Pool {
    /// A pool without connections; the first requests open them.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where `roots` holds no readable certificate, or a setting is zero.
    pub fn new(_settings: PoolSettings) -> Result<Pool> {
        Ok(Pool(()))
    }

    /// Sends one request and reads its reply to the end, on the least busy connection to `origin`.
    ///
    /// Dropping the future gives everything back: the place in the queue, the stream (HTTP/2) or
    /// the connection (HTTP/1.1). Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// [`Kind::Transport`] when no reply came, [`Kind::Protocol`] when it could not be read;
    /// `delivered()` is `Unknown` only if the last byte of the body had been handed over.
    pub async fn send(&self, origin: &Origin, outgoing: Outgoing) -> Result<Reply> {
        Err(Error::new(
            Kind::Transport,
            outgoing.operation,
            format!("{origin}: not connected"),
        ))
    }

    /// What was done so far, by server.
    #[must_use]
    pub fn stats(&self) -> Vec<(Origin, ServerStats)> {
        Vec::new()
    }
}
