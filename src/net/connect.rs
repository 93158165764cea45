//! Opening of a stream to an origin. In: where to, and whether HTTP/2 may be offered. Out: a
//! stream with its version settled, through a proxy where the environment names one. Never: HTTP,
//! but the proxy's CONNECT.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tower_service::Service;

use super::congestion::CongestionControl;
use super::counting_stream::CountingStream;
use super::fault::Failure;
use super::lookup::Resolver;
use super::origin::{Origin, Scheme};
use super::proxy::{self, ProxyRules};
use super::queueing::{LinkQueue, Queueing};
use super::settings::{PoolSettings, Proxies, SystemRoots};
use super::stream::Stream;
use super::tls;
use crate::error;
use crate::sync::Mutex;

/// Whether TLS offers HTTP/2 beside HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    /// HTTP/1.1 alone.
    H1,
    /// Both; the server prefers.
    Both,
}

/// Opens connections.
#[derive(Debug)]
pub(super) struct Connector {
    dialer: Dialer,
    limit: Duration,
    roots: tls::Given,
    system: SystemRoots,
    tls: OnceCell<Tls>,
    /// So many dials find no descriptor.
    #[cfg(test)]
    short: std::sync::atomic::AtomicUsize,
}

#[derive(Debug)]
struct Tls {
    h1: HttpsConnector<Dialer>,
    both: HttpsConnector<Dialer>,
}

impl Connector {
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the given roots, or the settings of proxies, cannot be
    /// read.
    pub(super) fn new(settings: &PoolSettings) -> error::Result<Self> {
        Ok(Connector {
            dialer: Dialer::new(settings)?,
            limit: settings.timeouts.connect,
            roots: tls::given_roots(&settings.roots)?,
            system: settings.system_roots,
            tls: OnceCell::new(),
            #[cfg(test)]
            short: Default::default(),
        })
    }

    /// The link's queue, as connections see it; `None` where it is not watched.
    pub(super) fn link(&self, now: Instant) -> Option<LinkQueue> {
        let queueing = self.dialer.queueing.as_ref()?;
        Some(queueing.link(now))
    }

    /// The next `dials` find no descriptor, as it seems.
    #[cfg(test)]
    pub(super) fn short_for(&self, dials: usize) {
        self.short.store(dials, std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(test)]
    fn is_short(&self) -> bool {
        use std::sync::atomic::Ordering::SeqCst;
        let fewer = |left: usize| left.checked_sub(1);
        self.short.fetch_update(SeqCst, SeqCst, fewer).is_ok()
    }

    /// Whether sockets use BBR.
    pub(super) fn uses_bbr(&self) -> bool {
        self.dialer.congestion.is_bbr()
    }

    /// Whether a connection that is left behind catches up, by BBR.
    pub(super) fn catches_up(&self) -> bool {
        self.dialer.congestion.catches_up()
    }

    /// See [`super::Pool::is_full`].
    pub(super) fn is_full(&self, origin: &Origin) -> bool {
        if self.dialer.congestion.asks()
            && let Some(target) = uri(origin)
        {
            let opening = tokio::time::timeout(self.limit, self.dialer.clone().call(target));
            tokio::spawn(async { drop(opening.await) });
        }
        self.dialer.congestion.is_full()
    }

    /// See [`super::Pool::is_queued`].
    pub(super) fn is_queued(&self) -> bool {
        self.dialer.congestion.is_queued()
    }

    /// See [`super::Pool::is_losing`].
    pub(super) fn is_losing(&self) -> bool {
        self.dialer.congestion.is_losing()
    }

    /// See [`super::Pool::arrived`].
    pub(super) fn arrived(&self) -> Option<u64> {
        self.dialer.congestion.arrived()
    }

    /// See [`super::Pool::network`].
    pub(super) fn network(&self) -> Option<String> {
        let address = (*self.dialer.address.lock())?;
        (!address.is_loopback()).then(|| network(address))
    }

    /// See [`super::Pool::expect_losses`].
    pub(super) fn expect_losses(&self) {
        self.dialer.congestion.expect_losses();
    }

    /// See [`super::Pool::expect_end`].
    pub(super) fn expect_end(&self, soon: bool) {
        self.dialer.congestion.expect_end(soon);
    }

    /// See [`super::Pool::loses`].
    pub(super) fn loses(&self) -> bool {
        self.dialer.congestion.loses()
    }

    /// By which proxy `origin` is reached, where by one.
    pub(super) fn proxy(&self, origin: &Origin) -> Option<String> {
        let proxy = self.dialer.proxies.proxy(origin);
        proxy.map(|proxy| format!("{} ({})", proxy.name(), proxy.variable))
    }

    /// Opens one connection, all of it within the limit.
    pub(super) async fn connect(&self, origin: &Origin, alpn: Alpn) -> Result<Stream, Failure> {
        let opened = tokio::time::timeout(self.limit, self.open(origin, alpn)).await;
        opened.unwrap_or_else(|_| Err(Failure::connect_timed_out(origin, self.limit)))
    }

    async fn open(&self, origin: &Origin, alpn: Alpn) -> Result<Stream, Failure> {
        #[cfg(test)]
        if self.is_short() {
            let error = io::Error::from_raw_os_error(crate::system::TOO_MANY_FILES);
            return Err(Failure::connect(origin, error.into()));
        }
        let target = uri(origin).ok_or_else(|| Failure::no_address(origin))?;
        let io = match origin.scheme {
            Scheme::Http => self
                .dialer
                .clone()
                .call(target)
                .await
                .map(MaybeHttpsStream::Http),
            Scheme::Https => {
                let tls = self
                    .tls()
                    .await
                    .map_err(|error| Failure::connect(origin, error.into()))?;
                let connector = if alpn == Alpn::H1 { &tls.h1 } else { &tls.both };
                connector.clone().call(target).await
            }
        };
        io.map(Stream::new)
            .map_err(|error| Failure::connect(origin, error))
    }

    /// Reading the system's certificates takes milliseconds of disk and parsing, so it happens
    /// with the first TLS connection, and not on a runtime worker.
    async fn tls(&self) -> io::Result<&Tls> {
        let load = || async {
            let (roots, system) = (self.roots.clone(), self.system);
            let loading = tokio::task::spawn_blocking(move || tls::client_config(roots, system));
            let config = loading.await.map_err(io::Error::other)??;
            let builder = || HttpsConnectorBuilder::new().with_tls_config(config.clone());
            let dialer = || self.dialer.clone();
            Ok(Tls {
                h1: builder()
                    .https_only()
                    .enable_http1()
                    .wrap_connector(dialer()),
                both: builder()
                    .https_only()
                    .enable_http1()
                    .enable_http2()
                    .wrap_connector(dialer()),
            })
        };
        self.tls.get_or_try_init(load).await
    }
}

/// The network of an address: 24 bits of IPv4 and 64 of IPv6, as most networks have it.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// An origin that was parsed has one; its fields are public, so others may not.
fn uri(origin: &Origin) -> Option<Uri> {
    let host = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    format!("{}://{host}:{}/", origin.scheme.name(), origin.port)
        .parse()
        .ok()
}

/// TCP, straight or through a proxy's tunnel.
#[derive(Debug, Clone)]
struct Dialer {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<ProxyRules>,
    congestion: Arc<CongestionControl>,
    queueing: Option<Arc<Queueing>>,
    /// This machine's, on the last connection.
    address: Arc<Mutex<Option<IpAddr>>>,
}

impl Dialer {
    fn new(settings: &PoolSettings) -> error::Result<Self> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(settings.lookup.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among a name's addresses, so that a dead first one leaves time for the second.
        tcp.set_connect_timeout(Some(settings.timeouts.connect));
        let proxies = match &settings.proxies {
            Proxies::Environment => ProxyRules::from_environment()?,
            Proxies::Named(proxy) => ProxyRules::named(proxy)?,
            Proxies::Off => ProxyRules::default(),
        };
        let proxies = Arc::new(proxies);
        Ok(Dialer {
            tcp,
            proxies,
            congestion: CongestionControl::new(settings.congestion),
            queueing: settings.watches_queue.then(Arc::default),
            address: Arc::default(),
        })
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Dialer {
    type Response = CountingStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<CountingStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let origin = Origin::parse(&target.to_string(), Scheme::Http);
        let proxy = origin.ok().and_then(|origin| self.proxies.proxy(&origin));
        let (congestion, queueing) = (Arc::clone(&self.congestion), self.queueing.clone());
        let own = Arc::clone(&self.address);
        let counted = move |socket: TokioIo<TcpStream>| {
            let address = socket.inner().local_addr();
            *own.lock() = address.ok().map(|address| address.ip());
            Ok(CountingStream::new(socket, &congestion, queueing.as_ref()))
        };
        let Some(proxy) = proxy.cloned() else {
            let connecting = self.tcp.call(target);
            return Box::pin(async move { counted(connecting.await?) });
        };
        let tcp = self.tcp.clone();
        Box::pin(async move { counted(proxy::open(&proxy, tcp, &target).await?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_one_network_have_the_same_one() {
        for (address, expected) in [
            ("192.168.1.7", "192.168.1.0/24"),
            ("::ffff:192.168.1.8", "192.168.1.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("fd00::2", "fd00:0:0:0::/64"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(network(address), expected);
        }
    }
}
