//! The pool's lane among stand-ins. In: what a rush is like. Out: its end. Never: a socket; the lane,
//! its leases and its roster are the library's own files, and all that they touch is made up.

mod body;
mod connect;
mod connection;
mod fault;
#[path = "../../../../src/net/lane/mod.rs"]
mod lane;
mod origin;
#[path = "../../../../src/net/roster.rs"]
mod roster;
mod rush;
mod server;
mod sockets;
mod stream;
mod tally;

pub use crate::http::Preference;
pub use rush::Rush;
pub use server::Speaks;
