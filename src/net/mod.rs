//! HTTP over a pool of connections. In: an origin and a request whose body is a few `Bytes` views of
//! exactly known length. Out: the bounded reply, or one [`Error`](crate::Error) that says whether the
//! request can have been carried out. Never: a word about the service, a retry that the caller could
//! notice, or a copy of a body but TLS's own.

mod body;
mod congestion;
mod connect;
mod connection;
mod counting_stream;
mod exchange;
mod fault;
mod full_link;
mod handshake;
mod host;
mod lookup;
mod losses;
mod metrics;
mod origin;
mod path;
mod pool;
mod proxy;
mod queueing;
mod request;
mod settings;
mod shortage;
mod socket_limit;
mod stall;
mod stream;
#[allow(unsafe_code)]
mod tcp_info;
#[cfg(test)]
mod tests;
mod tls;

pub use body::{Body, Throttle};
pub use lookup::Lookup;
pub use origin::{Origin, Scheme};
pub use pool::Pool;
pub use queueing::LinkQueue;
pub use request::{Request, Response};
#[cfg(feature = "internals")]
pub use settings::SystemRoots;
pub use settings::{Congestion, PoolSettings, Proxies, ServerStats, Timeouts};
