//! A condition variable for changes that are frequent and waits that are rare: telling costs no system
//! call where no thread waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::sync::{MutexGuard, unpoisoned};

/// As [`std::sync::Condvar`]. What is waited for must be changed with the mutex held, and told after that.
#[derive(Debug, Default)]
pub(super) struct Condvar {
    inner: std::sync::Condvar,
    /// Raised with the mutex held: who changes something after that sees it.
    waiting: AtomicUsize,
}

impl Condvar {
    /// Waits as long as `condition` holds.
    pub(super) fn wait_while<'g, T>(
        &self,
        guard: MutexGuard<'g, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'g, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = unpoisoned(self.inner.wait_while(guard, condition));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Waits until it is told, for so long at most.
    pub(super) fn wait_timeout<'g, T>(
        &self,
        guard: MutexGuard<'g, T>,
        longest: Duration,
    ) -> MutexGuard<'g, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (guard, _) = unpoisoned(self.inner.wait_timeout(guard, longest));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Tells all that wait.
    pub(super) fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.inner.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sync::Mutex;

    #[test]
    fn no_waiter_is_missed() {
        let shared = Arc::new((Mutex::new(0_u32), Condvar::default()));
        let other = Arc::clone(&shared);
        let turns = 20_000;
        let take_turns = move |shared: &(Mutex<u32>, Condvar), mine: u32| {
            for _ in 0..turns {
                let mut turn = shared.1.wait_while(shared.0.lock(), |turn| *turn != mine);
                *turn = 1 - mine;
                drop(turn);
                shared.1.notify_all();
            }
        };
        let thread = std::thread::spawn(move || take_turns(&other, 1));
        take_turns(&shared, 0);
        thread.join().expect("no panic");
        assert_eq!(*shared.0.lock(), 0);
    }
}
