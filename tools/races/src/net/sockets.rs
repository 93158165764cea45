//! The sockets of a pool. In: requests. Out: a right for each. Never: a shortage; what the lane does in one
//! is tested with real sockets.

use std::sync::Arc;
use std::time::Duration;

/// As many as anybody likes.
#[derive(Debug)]
pub(super) struct Sockets;

/// The right to one.
#[derive(Debug)]
pub(super) struct Socket;

/// As the library's.
#[derive(Debug)]
pub(super) enum Room {
    /// One was closed.
    Made,
    /// None was.
    Wanted,
}

impl Sockets {
    pub(super) fn take(self: &Arc<Self>) -> Option<Socket> {
        Some(Socket)
    }

    pub(super) fn most(&self) -> usize {
        usize::MAX
    }

    pub(super) fn none_open(&self) -> bool {
        false
    }

    pub(super) async fn wait(self: &Arc<Self>, _pause: Duration, _room: Room) -> Option<Socket> {
        Some(Socket)
    }

    pub(super) fn give_one(&self) -> bool {
        false
    }
}
