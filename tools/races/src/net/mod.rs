//! A pool's host among stand-ins. In: what a rush is like. Out: its end. Never: a socket; the host,
//! its parts are the library's own files, and all that they touch is made up.

mod body;
mod connect;
mod connection;
mod fault;
#[allow(dead_code, reason = "the pool asks more of it than a rush does")]
#[path = "../../../../src/net/host/mod.rs"]
mod host;
mod metrics;
mod origin;
mod rush;
mod server;
mod socket_limit;
mod stream;

pub use crate::http::Preference;
pub use rush::Rush;
pub use server::Speaks;
