//! How many sockets a pool may have, over all its servers. In: connections that begin and end. Out: a
//! right for each, or word that there is none left, and a way to get one from a server that has more.
//! Never: a socket, or a request that fails for want of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The sockets of a pool.
#[derive(Debug)]
pub(super) struct Sockets {
    most: usize,
    /// Whoever has waited longest gets the next one; nobody overtakes him.
    rights: Arc<Semaphore>,
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

impl Sockets {
    /// `most` at once.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Sockets {
            most,
            rights: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            open: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// The right to one more socket, if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Option<Socket> {
        let right = Arc::clone(&self.rights).try_acquire_owned().ok()?;
        Some(Socket::new(self, right))
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether there is none at all that could come back.
    pub(super) fn none_open(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Waits for a socket, but no longer than `pause`: the next connection that becomes free is closed
    /// for it, unless that was done already. The right comes with it where the pool's own maximum was in
    /// the way; otherwise the machine may have more now.
    pub(super) async fn wait(self: &Arc<Self>, pause: Duration, room: Room) -> Option<Socket> {
        if room == Room::Wanted {
            self.wanted.fetch_add(1, Ordering::AcqRel);
        }
        let right = if self.rights.available_permits() > 0 {
            let _ = tokio::time::timeout(pause, self.freed.notified()).await;
            None
        } else {
            let right = Arc::clone(&self.rights).acquire_owned();
            tokio::time::timeout(pause, right).await.ok()
        };
        if room == Room::Wanted {
            self.give_one();
        }
        Some(Socket::new(self, right?.ok()?))
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

/// The right to one socket; it lives as long as the socket does.
#[derive(Debug)]
pub(super) struct Socket {
    sockets: Arc<Sockets>,
    _right: OwnedSemaphorePermit,
}

impl Socket {
    fn new(sockets: &Arc<Sockets>, right: OwnedSemaphorePermit) -> Self {
        sockets.open.fetch_add(1, Ordering::AcqRel);
        Socket {
            sockets: Arc::clone(sockets),
            _right: right,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::AcqRel);
        // Those who begin to wait later are not meant: a dial that fails would wake itself.
        self.sockets.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_kept_and_rights_come_back() {
        let sockets = Sockets::new(2);
        let first = sockets.take().expect("one of two");
        let second = sockets.take().expect("two of two");
        assert!(sockets.take().is_none());
        drop(first);
        assert!(!sockets.none_open() && sockets.take().is_some());
        drop(second);
        assert!(sockets.none_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_want_lasts_as_long_as_somebody_waits() {
        let sockets = Sockets::new(1);
        assert!(!sockets.give_one());
        let waiting = Arc::clone(&sockets);
        let waiting =
            tokio::spawn(async move { waiting.wait(Duration::from_secs(1), Room::Wanted).await });
        tokio::task::yield_now().await;
        assert!(sockets.give_one() && !sockets.give_one());
        waiting.await.expect("no panic");
        sockets.wait(Duration::from_secs(1), Room::Wanted).await;
        assert!(!sockets.give_one(), "nobody waits any more");
    }
}
