//! A pool's maximum of sockets. In: requests. Out: a permit for each. Never: a shortage; what the host
//! does in one is tested with real sockets.

use std::sync::Arc;
use std::time::Duration;

/// As many as anybody likes.
#[derive(Debug)]
pub(super) struct SocketLimit;

/// The right to one.
#[derive(Debug)]
pub(super) struct SocketPermit;

/// As the library's.
#[derive(Debug)]
pub(super) enum Room {
    /// One was closed.
    Made,
    /// None was.
    Wanted,
}

impl SocketLimit {
    pub(super) fn take(self: &Arc<Self>) -> Option<SocketPermit> {
        Some(SocketPermit)
    }

    pub(super) fn most(&self) -> usize {
        usize::MAX
    }

    pub(super) fn none_open(&self) -> bool {
        false
    }

    pub(super) async fn wait(
        self: &Arc<Self>,
        _pause: Duration,
        _room: Room,
    ) -> Option<SocketPermit> {
        Some(SocketPermit)
    }

    pub(super) fn give_one(&self) -> bool {
        false
    }
}
