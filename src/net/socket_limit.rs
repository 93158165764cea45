//! A pool's maximum of sockets, over all its servers. In: connections that begin and end. Out: a permit
//! for each or none, and a request for one of a server that has more.
//! Never: a socket, or a request that fails for want of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The permits for a pool's sockets.
#[derive(Debug)]
pub(super) struct SocketLimit {
    most: usize,
    /// First come, first served.
    permits: Arc<Semaphore>,
    open: AtomicUsize,
    /// Servers without a connection that wait for a socket of another's.
    wanted: AtomicUsize,
    freed: Notify,
}

/// Whether an unused connection was closed to make room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// One was.
    Made,
    /// There was none.
    Wanted,
}

impl SocketLimit {
    /// `most` at once.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(SocketLimit {
            most,
            permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            open: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// The permit for one more socket, if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Option<SocketPermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(SocketPermit::new(self, permit))
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether there is none at all that could come back.
    pub(super) fn none_open(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Waits for a socket, but no longer than `pause`: the next connection that becomes free is closed
    /// for it, unless that was done already. The permit comes with it where the pool's own maximum was
    /// in the way; otherwise the machine may have more now.
    pub(super) async fn wait(
        self: &Arc<Self>,
        pause: Duration,
        room: Room,
    ) -> Option<SocketPermit> {
        if room == Room::Wanted {
            self.wanted.fetch_add(1, Ordering::AcqRel);
        }
        let permit = if self.permits.available_permits() > 0 {
            let _ = tokio::time::timeout(pause, self.freed.notified()).await;
            None
        } else {
            let permit = Arc::clone(&self.permits).acquire_owned();
            tokio::time::timeout(pause, permit).await.ok()
        };
        if room == Room::Wanted {
            self.give_one();
        }
        Some(SocketPermit::new(self, permit?.ok()?))
    }

    /// Whether a connection that has become free is to be closed for another server's sake.
    pub(super) fn give_one(&self) -> bool {
        let fewer = |wanted: usize| wanted.checked_sub(1);
        let given = self
            .wanted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        given.is_ok()
    }
}

/// The permit for one socket; it lives as long as the socket does.
#[derive(Debug)]
pub(super) struct SocketPermit {
    sockets: Arc<SocketLimit>,
    _permit: OwnedSemaphorePermit,
}

impl SocketPermit {
    fn new(sockets: &Arc<SocketLimit>, permit: OwnedSemaphorePermit) -> Self {
        sockets.open.fetch_add(1, Ordering::AcqRel);
        SocketPermit {
            sockets: Arc::clone(sockets),
            _permit: permit,
        }
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::AcqRel);
        // Only for those that wait already: a dial that fails would wake itself.
        self.sockets.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_kept_and_permits_come_back() {
        let sockets = SocketLimit::new(2);
        let first = sockets.take().expect("one of two");
        let second = sockets.take().expect("two of two");
        assert!(sockets.take().is_none());
        drop(first);
        assert!(!sockets.none_open() && sockets.take().is_some());
        drop(second);
        assert!(sockets.none_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_want_lasts_as_long_as_a_dial_waits() {
        let sockets = SocketLimit::new(1);
        assert!(!sockets.give_one());
        let waiting = Arc::clone(&sockets);
        let waiting =
            tokio::spawn(async move { waiting.wait(Duration::from_secs(1), Room::Wanted).await });
        tokio::task::yield_now().await;
        assert!(sockets.give_one() && !sockets.give_one());
        waiting.await.expect("no panic");
        sockets.wait(Duration::from_secs(1), Room::Wanted).await;
        assert!(!sockets.give_one(), "no dial waits any more");
    }
}
