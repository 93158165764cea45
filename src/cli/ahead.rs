//! How far a run may be ahead of what is printed about it. In: files on their way into the run, and
//! each that was told of. Out: the same files, held back while thousands wait to be told. Never: a
//! run that fills the memory with news while standard output stands still.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the files that were handed in and not yet told of.
#[derive(Clone)]
pub struct Ahead(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    untold: usize,
    over: bool,
}

impl Ahead {
    /// Nothing was handed in yet.
    pub fn new() -> Ahead {
        Ahead(Arc::default())
    }

    /// `items`, each as soon as less than [`LIMIT`] wait to be told.
    pub fn keep<T>(
        &self,
        items: impl Iterator<Item = T> + Send + 'static,
    ) -> impl Iterator<Item = T> + Send + 'static {
        let ahead = self.clone();
        items.take_while(move |_| ahead.enter())
    }

    /// One was told of.
    pub fn told(&self) {
        let mut state = self.state();
        state.untold = state.untold.saturating_sub(1);
        self.0.1.notify_one();
    }

    /// No more are let in.
    pub fn end(&self) {
        self.state().over = true;
        self.0.1.notify_all();
    }

    /// Whether one more may go in; waits until it is known.
    fn enter(&self) -> bool {
        let full = |state: &mut State| state.untold >= LIMIT && !state.over;
        let waited = self.0.1.wait_while(self.state(), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        !state.over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than a run holds by itself, so that it never waits while what it says is printed; some MB.
const LIMIT: usize = 32_768;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_waits_for_what_is_printed() {
        let ahead = Ahead::new();
        let mut items = ahead.keep(0..LIMIT + 2);
        assert_eq!(items.by_ref().take(LIMIT).count(), LIMIT);
        let (out, taken) = channel();
        let rest =
            std::thread::spawn(move || items.for_each(|item| out.send(item).expect("heard")));
        let brief = Duration::from_millis(50);
        assert_eq!(taken.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        ahead.told();
        assert_eq!(taken.recv(), Ok(LIMIT));
        assert_eq!(taken.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        ahead.end();
        rest.join().expect("no panic");
        assert!(taken.recv().is_err(), "after the end nothing is let in");
    }
}
