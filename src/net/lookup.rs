//! Names and their addresses. In: a host's name. Out: its addresses, as the system has them or a caller's own
//! function. Never: an answer that outlives the dial that asked.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tokio::task::JoinSet;
use tower_service::Service;

/// A function that finds the addresses of a host, in the place of the system's lookup.
///
/// It is asked for each new connection to a host that is called by a name: the API, the upload servers and
/// proxies. What lies behind a proxy is looked up by that. The addresses are tried in their order, IPv6 and
/// IPv4 side by side. What takes longer than [`Timeouts::connect`](crate::Timeouts::connect), fails, panics
/// or gives no address is a connection that failed ([`Kind::Transport`](crate::Kind::Transport)).
///
/// ```
/// use std::io;
/// use std::net::{IpAddr, Ipv4Addr};
/// use panup::{Credential, Lookup, Options, Secret};
///
/// let mut options = Options::new(Credential::Token(Secret::new("token")));
/// options.lookup = Some(Lookup::new(|host| async move {
///     match host.as_str() {
///         "open-api.123pan.com" => Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]),
///         _ => Err(io::Error::other("not one of ours")),
///     }
/// }));
/// ```
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> Answer + Send + Sync>);

type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

impl Lookup {
    /// Addresses come from `find`, which gets the host's name.
    #[must_use]
    pub fn new<F, T>(find: F) -> Lookup
    where
        F: Fn(String) -> T + Send + Sync + 'static,
        T: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Lookup(Arc::new(move |host| Box::pin(find(host))))
    }

    /// What the function gives. It runs as a task of its own, which ends with the dial: one that blocks its
    /// thread is given up all the same, and one that panics is an error.
    async fn find(self, host: String) -> io::Result<Vec<SocketAddr>> {
        let mut task = JoinSet::new();
        task.spawn(async move { (self.0)(host).await });
        let found = match task.join_next().await {
            Some(Ok(found)) => found?,
            Some(Err(ended)) if ended.is_panic() => return Err(io::Error::other("it panicked")),
            _ => return Err(io::Error::other("it was cut off")),
        };
        if found.is_empty() {
            return Err(io::Error::other("it gave no address"));
        }
        // The port is that of whoever asks.
        let address = |address| SocketAddr::new(address, 0);
        Ok(found.into_iter().map(address).collect())
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// The caller's lookup failed.
#[derive(Debug)]
pub(super) struct LookupError(io::Error);

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lookup in `Options::lookup`: {}", self.0)
    }
}

impl std::error::Error for LookupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Finds addresses for a dialer: by the caller's function, or as the system does.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolver(pub(super) Option<Lookup>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let own = self.0.clone();
        Box::pin(async move {
            let found = match own {
                Some(own) => own
                    .find(name.as_str().to_owned())
                    .await
                    .map_err(LookupError)?,
                None => GaiResolver::new().call(name).await?.collect(),
            };
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(lookup: Lookup) -> Result<Vec<SocketAddr>, String> {
        let name = "a.test".parse().expect("a name");
        let found = Resolver(Some(lookup)).call(name).await;
        found
            .map(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_the_caller_says_counts() {
        let given = Lookup::new(|host| async move {
            assert_eq!(host, "a.test");
            Ok(vec![IpAddr::from([192, 0, 2, 7])])
        });
        let found = asked(given).await.expect("an address");
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 7], 0))]);
        for (lookup, why) in [
            (
                Lookup::new(|_| async { Err(io::Error::other("the zone is gone")) }),
                "the zone is gone",
            ),
            (Lookup::new(|_| async { Ok(Vec::new()) }), "no address"),
            (Lookup::new(|_| async { panic!("on purpose") }), "panicked"),
        ] {
            let error = asked(lookup).await.expect_err(why);
            assert!(
                error.contains(why) && error.contains("the lookup in `Options::lookup`"),
                "{error}"
            );
        }
        let at_once = Lookup::new(|_| -> std::future::Ready<io::Result<Vec<IpAddr>>> {
            panic!("on purpose")
        });
        assert!(
            asked(at_once)
                .await
                .expect_err("no address")
                .contains("panicked")
        );
    }
}
