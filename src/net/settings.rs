//! A pool's settings and statistics. In, out: plain values. Never: a connection.

use std::time::Duration;

use super::lookup::Lookup;

/// What a pool may open and whom it trusts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolSettings {
    /// Connections to one server at most; `None` lets the requests in flight decide.
    pub connections_per_server: Option<usize>,
    /// Connections to all servers together at most, the number of files that may be left for them;
    /// unlimited by default. At the maximum requests wait for connections that are in use, and unused
    /// ones of other servers are closed.
    pub connections: usize,
    /// Streams on one HTTP/2 connection at most; the server may allow fewer. `None` is 4 where files'
    /// content goes, and 100 where only calls do.
    pub streams_per_connection: Option<usize>,
    /// Certificates to trust besides the system's: PEM files' contents.
    pub roots: Vec<Vec<u8>>,
    /// Whether the system's certificates are trusted.
    pub system_roots: SystemRoots,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// An HTTP/2 connection with a request under way whose peer is silent for so long is pinged.
    pub ping: Duration,
    /// After which silence a connection or a request is given up.
    pub timeouts: Timeouts,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Whether the environment's proxies are used.
    pub proxies: Proxies,
    /// Who paces the sockets.
    pub congestion: Congestion,
    /// Whether the link's queue is watched, for [`Pool::link`](super::Pool::link).
    pub watches_queue: bool,
    /// Who finds the addresses of names; `None` is the system.
    pub lookup: Option<Lookup>,
}

/// TCP's congestion control. Where the kernel lacks the one that is asked for, or does not allow it, its own
/// choice stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Congestion {
    /// The system's, and BBR as soon as the link is seen to lose packets although no queue builds up; or for a
    /// connection that the last seconds of a run leave behind. Uploads that leave room for others take it for BBR.
    #[default]
    Auto,
    /// The system's.
    System,
    /// BBR, which goes by what arrives.
    Bbr,
    /// CUBIC, which goes by what is lost.
    Cubic,
}

/// Whether the certificates of the operating system are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemRoots {
    /// They are, besides those given.
    Trusted,
    /// Only those given are.
    #[cfg_attr(
        not(feature = "internals"),
        allow(dead_code, reason = "for tests and benches")
    )]
    Ignored,
}

/// Where proxies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxies {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case. Loopback
    /// addresses are never proxied.
    Environment,
    /// This one for every server but loopback addresses, as `http://user:password@host:port`.
    Named(String),
    /// None.
    Off,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            connections_per_server: None,
            connections: usize::MAX,
            streams_per_connection: None,
            roots: Vec::new(),
            system_roots: SystemRoots::Trusted,
            idle: Duration::from_secs(30),
            ping: Duration::from_secs(15),
            timeouts: Timeouts::default(),
            user_agent: concat!("panup/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::Environment,
            congestion: Congestion::Auto,
            watches_queue: false,
            lookup: None,
        }
    }
}

/// How long silence lasts before a call is given up, to be repeated elsewhere.
///
/// Only what the request itself moves counts: not the connection's pings and acknowledgements, and
/// not other streams. Time spent waiting for a connection does not count. Behind the limits of
/// silence stand absolute ones, so that a trickle ends too: a body has ten times `answer` and a second
/// for each 32 KiB, without the time that its own pace held it back; the head of the reply has
/// `answer` from the body's last byte, its body `answer` from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Name lookup, TCP, proxy and TLS together. Default 10 s.
    pub connect: Duration,
    /// From the last byte of a body to the head of the reply, and from there to its end. Default
    /// 60 s, the gateway's own limit.
    pub answer: Duration,
    /// While a body is sent: with less than 1 KiB/s of it accepted by the peer. Default 20 s.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(20),
        }
    }
}

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
