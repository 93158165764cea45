//! HTTP. In: an origin and a request whose body is a few `Bytes` views of exactly known length.
//! Out: the bounded reply, or one [`Error`](crate::Error) that says whether the request can have
//! been carried out. Never: a word about the service, a retry that the caller could notice, or a
//! copy of a body but TLS's own.

mod body;
mod exchange;
mod origin;
mod pool;

pub use body::{Body, Pace};
pub use exchange::{Limits, Outgoing, Reply, Version, Wish};
pub use origin::{Origin, Scheme};
pub use pool::{Pool, PoolSettings, Proxies, ServerStats, SystemRoots};
