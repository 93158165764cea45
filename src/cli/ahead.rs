//! How far a run may be ahead of what is printed about it. In: files on their way into the run, and
//! each whose outcome was printed. Out: the same files, held back while thousands wait to be printed,
//! and how many were never tried. Never: a run that fills the memory with outcomes while standard
//! output stands still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts the files that were handed in and whose outcome is not printed yet.
pub struct Ahead<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State>,
    freed: Condvar,
    items: Mutex<Items<T>>,
}

type Items<T> = Box<dyn Iterator<Item = T> + Send>;

#[derive(Default)]
struct State {
    unprinted: usize,
    over: bool,
}

impl<T: Send + 'static> Ahead<T> {
    /// Nothing of `items` was handed in yet.
    pub fn new(items: impl Iterator<Item = T> + Send + 'static) -> Ahead<T> {
        Ahead(Arc::new(Shared {
            state: Mutex::default(),
            freed: Condvar::new(),
            items: Mutex::new(Box::new(items)),
        }))
    }

    /// The items, each as soon as less than [`LIMIT`] wait to be printed.
    pub fn items(&self) -> impl Iterator<Item = T> + Send + 'static {
        let ahead = Ahead(Arc::clone(&self.0));
        std::iter::from_fn(move || {
            let item = lock(&ahead.0.items).next()?;
            ahead.enter().then_some(item)
        })
    }

    /// The outcome of one was printed.
    pub fn printed(&self) {
        let mut state = lock(&self.0.state);
        state.unprinted = state.unprinted.saturating_sub(1);
        self.0.freed.notify_one();
    }

    /// No more are let in.
    pub fn end(&self) {
        lock(&self.0.state).over = true;
        self.0.freed.notify_all();
    }

    /// Once the run has ended: how many files have no outcome, those that it never asked for included.
    /// They are looked for in `time` at most, whatever a folder on the way hangs in.
    pub fn untried(&self, time: Duration) -> u64 {
        let found = Arc::new(AtomicU64::new(0));
        let (done, all) = channel::<()>();
        let (shared, count) = (Arc::clone(&self.0), Arc::clone(&found));
        let look = move || {
            while lock(&shared.items).next().is_some() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            drop(done);
        };
        if std::thread::Builder::new().spawn(look).is_ok() {
            // Nothing is sent: the other end goes when all are counted.
            let _: Result<(), _> = all.recv_timeout(time);
        }
        lock(&self.0.state).unprinted as u64 + found.load(Ordering::Relaxed)
    }

    /// Whether one more may go in; waits until it is known.
    fn enter(&self) -> bool {
        let full = |state: &mut State| state.unprinted >= LIMIT && !state.over;
        let waited = self.0.freed.wait_while(lock(&self.0.state), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.unprinted += 1;
        !state.over
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than a run holds by itself, so that it never waits while its outcomes are printed; some MB.
const LIMIT: usize = 32_768;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_waits_for_what_is_printed() {
        let ahead = Ahead::new(0..LIMIT + 5);
        let mut items = ahead.items();
        assert_eq!(items.by_ref().take(LIMIT).count(), LIMIT);
        let (out, taken) = channel();
        let rest =
            std::thread::spawn(move || items.for_each(|item| out.send(item).expect("heard")));
        let brief = Duration::from_millis(50);
        assert_eq!(taken.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        ahead.printed();
        assert_eq!(taken.recv(), Ok(LIMIT));
        assert_eq!(taken.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        ahead.end();
        rest.join().expect("no panic");
        assert!(taken.recv().is_err(), "after the end nothing is let in");
        let untried = ahead.untried(Duration::from_secs(10));
        assert_eq!(
            untried,
            LIMIT as u64 + 4,
            "all but the one that was printed"
        );
    }

    #[test]
    fn a_folder_that_hangs_is_not_waited_for() {
        let (_open, never) = channel::<()>();
        let items = (0..9).chain(std::iter::from_fn(move || never.recv().ok().map(|()| 0)));
        let ahead = Ahead::new(items);
        assert_eq!(ahead.items().take(2).count(), 2);
        assert_eq!(ahead.untried(Duration::from_millis(200)), 9);
    }
}
