//! Counts of a server's connections. In: each that begins or ends. Out: the numbers. Never: a byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What happened on one server's connections.
#[derive(Debug, Default)]
pub(super) struct HostMetrics {
    opened: AtomicU64,
    open: AtomicU64,
}

/// The numbers of a metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) opened: u64,
    pub(super) open: u64,
}

impl HostMetrics {
    /// The count of bytes given to sockets, which are none.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// How far the server is, which is no distance here.
    pub(super) fn opened_within(&self, _took: Duration, _times: u32) {}

    pub(super) fn stats(&self) -> Stats {
        Stats {
            opened: self.opened.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
        }
    }
}

/// Counts a connection as open until its task is gone, however it ends.
pub(super) struct OpenCount(Arc<HostMetrics>);

impl OpenCount {
    pub(super) fn new(metrics: &Arc<HostMetrics>) -> Self {
        metrics.opened.fetch_add(1, Ordering::Relaxed);
        metrics.open.fetch_add(1, Ordering::Relaxed);
        OpenCount(Arc::clone(metrics))
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
