//! The stream under HTTP. In: a version. Out: the same, and which connection it became. Never: a byte.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::server::Dialling;
use super::socket_limit::SocketPermit;
use crate::http::Version;

/// Says which connection a pooled connection is for, and so whether it came with the right one's handle.
#[derive(Debug)]
pub(super) struct ConnectionMeter {
    pub(super) wire: usize,
}

/// A connection before HTTP.
pub(super) struct Stream {
    pub(super) version: Version,
    pub(super) dialling: Dialling,
}

impl Stream {
    /// The same: the right to a socket is not counted here.
    pub(super) fn holding(self, _socket: SocketPermit) -> Self {
        self
    }

    /// The same: no byte is written here.
    pub(super) fn counted_into(self, _total: Arc<AtomicU64>) -> Self {
        self
    }
}
