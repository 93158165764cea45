//! How far a run may be ahead of what is printed about it. In: files on their way into the run, and
//! each whose outcome was printed. Out: the same files, held back while thousands wait to be printed,
//! and those that were never tried. Never: a run that fills the memory with outcomes while standard
//! output stands still.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts the files that were handed in and whose outcome is not printed yet.
pub struct Ahead<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State>,
    freed: Condvar,
    items: Mutex<Items<T>>,
    /// What else ends with it.
    at_end: Mutex<Option<Box<dyn Fn() + Send>>>,
}

struct Items<T> {
    all: Box<dyn Iterator<Item = T> + Send>,
    /// Taken, and not let in.
    turned_away: Option<T>,
}

impl<T> Items<T> {
    fn next(&mut self) -> Option<T> {
        self.turned_away.take().or_else(|| self.all.next())
    }
}

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
            items: Mutex::new(Items {
                all: Box::new(items),
                turned_away: None,
            }),
            at_end: Mutex::default(),
        }))
    }

    /// The items, each as soon as less than [`LIMIT`] wait to be printed.
    pub fn items(&self) -> impl Iterator<Item = T> + Send + 'static {
        let ahead = Ahead(Arc::clone(&self.0));
        std::iter::from_fn(move || {
            let item = lock(&ahead.0.items).next()?;
            if ahead.enter() {
                return Some(item);
            }
            lock(&ahead.0.items).turned_away = Some(item);
            None
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
        if let Some(act) = &*lock(&self.0.at_end) {
            act();
        }
    }

    /// What [`end`](Self::end) ends besides.
    pub fn at_end(&self, act: impl Fn() + Send + 'static) {
        *lock(&self.0.at_end) = Some(Box::new(act));
    }

    /// Once the run has ended: tells `each` of the items that it never asked for. They are looked for
    /// until `patience` ends, whatever a folder on the way hangs in; whether those were all.
    pub fn rest(&self, patience: Patience, mut each: impl FnMut(T)) -> bool {
        let (found, items) = sync_channel(1024);
        let shared = Arc::clone(&self.0);
        let look = move || {
            loop {
                let item = lock(&shared.items).next();
                let Some(item) = item else { return };
                if found.send(item).is_err() {
                    return;
                }
            }
        };
        if std::thread::Builder::new().spawn(look).is_err() {
            return false;
        }
        let until = Instant::now() + patience.in_all;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match items.recv_timeout(left.min(patience.for_one)) {
                Ok(item) => each(item),
                Err(why) => return why == RecvTimeoutError::Disconnected,
            }
        }
    }

    /// How many were handed in and have no outcome.
    pub fn unprinted(&self) -> u64 {
        lock(&self.0.state).unprinted as u64
    }

    /// Whether one more may go in; waits until it is known.
    fn enter(&self) -> bool {
        let full = |state: &mut State| state.unprinted >= LIMIT && !state.over;
        let waited = self.0.freed.wait_while(lock(&self.0.state), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let goes_in = !state.over;
        state.unprinted += usize::from(goes_in);
        goes_in
    }
}

/// How long is waited for the files of a list.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For all of them.
    pub in_all: Duration,
    /// For the next one.
    pub for_one: Duration,
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
        assert_eq!(ahead.unprinted(), LIMIT as u64);
        let mut left = Vec::new();
        let patience = Patience {
            in_all: Duration::from_secs(10),
            for_one: Duration::from_secs(10),
        };
        assert!(ahead.rest(patience, |item| left.push(item)));
        assert_eq!(left, (LIMIT + 1..LIMIT + 5).collect::<Vec<_>>());
    }

    #[test]
    fn a_folder_that_hangs_is_not_waited_for() {
        let (_open, never) = channel::<()>();
        let items = (0..9).chain(std::iter::from_fn(move || never.recv().ok().map(|()| 0)));
        let ahead = Ahead::new(items);
        assert_eq!(ahead.items().take(2).count(), 2);
        let mut left = Vec::new();
        let patience = Patience {
            in_all: Duration::from_secs(10),
            for_one: Duration::from_millis(200),
        };
        assert!(!ahead.rest(patience, |item| left.push(item)));
        assert_eq!(left, (2..9).collect::<Vec<_>>());
    }
}
