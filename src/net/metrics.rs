//! Counts of what happened on one server's connections. In: each event. Out: the numbers. Never: a
//! decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::settings::ServerStats;
use crate::http::Version;
use crate::sync::{Mutex, MutexGuard};

/// What happened on one server's connections.
#[derive(Debug, Default)]
pub(super) struct HostMetrics {
    opened: AtomicU64,
    open: AtomicU64,
    h1: AtomicU64,
    h2: AtomicU64,
    bytes: Arc<AtomicU64>,
    round_trip: Mutex<Option<Duration>>,
}

impl HostMetrics {
    /// A connection was opened within `took`, for which its packets went there and back `times`.
    pub(super) fn opened_within(&self, took: Duration, times: u32) {
        let (mut shortest, trip) = (self.shortest(), took / times);
        *shortest = Some(shortest.map_or(trip, |known| known.min(trip)));
    }

    /// The shortest way there and back that was seen, as far as handshakes tell.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        *self.shortest()
    }

    fn shortest(&self) -> MutexGuard<'_, Option<Duration>> {
        self.round_trip.lock()
    }

    /// The count of bytes given to sockets.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    pub(super) fn answered(&self, version: Version) {
        let counter = match version {
            Version::H1 => &self.h1,
            Version::H2 => &self.h2,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            opened: read(&self.opened),
            open: read(&self.open),
            h1_requests: read(&self.h1),
            h2_requests: read(&self.h2),
            bytes: read(&self.bytes),
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
