//! Results in the order in which their inputs came. In: results as they become known. Out: the first
//! one that was not given out yet. Never: more places than the bound.

use std::collections::VecDeque;
use std::time::Duration;

use super::condvar::Condvar;
use crate::sync::{Mutex, MutexGuard};

/// A queue of places that are taken first and filled later.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    state: Mutex<OrderState<T>>,
    most: usize,
    changed: Condvar,
}

#[derive(Debug)]
struct OrderState<T> {
    places: VecDeque<Option<T>>,
    /// The number of the first place.
    first: u64,
    /// No more places are taken: there is nothing left, or there is no reader.
    is_closed: bool,
}

impl<T> InOrder<T> {
    /// No places yet, and never more than `most`.
    pub(super) fn new(most: usize) -> InOrder<T> {
        InOrder {
            state: Mutex::new(OrderState {
                places: VecDeque::new(),
                first: 0,
                is_closed: false,
            }),
            most,
            changed: Condvar::default(),
        }
    }

    /// The number of the next place, once there is room; `None` where it was closed.
    pub(super) fn take_place(&self) -> Option<u64> {
        let is_full =
            |state: &mut OrderState<T>| !state.is_closed && state.places.len() >= self.most;
        let mut state = self.changed.wait_while(self.state.lock(), is_full);
        if state.is_closed {
            return None;
        }
        state.places.push_back(None);
        Some(state.first + state.places.len() as u64 - 1)
    }

    /// Fills a place that was taken.
    pub(super) fn fill(&self, number: u64, result: T) {
        let mut state = self.state.lock();
        let index = number
            .checked_sub(state.first)
            .and_then(|n| usize::try_from(n).ok());
        if let Some(place) = index.and_then(|index| state.places.get_mut(index)) {
            *place = Some(result);
        }
        drop(state);
        if index == Some(0) {
            self.changed.notify_all();
        }
    }

    /// Moves to `ready` what was put into the first places, once the first one is known; nothing where
    /// they are closed and empty. Where few are known, the others are given a moment: to be woken for
    /// each costs more than to hash a small file.
    pub(super) fn take_ready(&self, ready: &mut VecDeque<T>) {
        let is_waiting = |state: &mut OrderState<T>| match state.places.front() {
            Some(first) => first.is_none(),
            None => !state.is_closed,
        };
        let state = self.changed.wait_while(self.state.lock(), is_waiting);
        if self.take_known(state, ready) && ready.len() < WORTH_WAKING {
            std::thread::sleep(MOMENT);
            self.take_known(self.state.lock(), ready);
        }
    }

    /// Moves what is known now; whether more can come.
    fn take_known(
        &self,
        mut state: MutexGuard<'_, OrderState<T>>,
        ready: &mut VecDeque<T>,
    ) -> bool {
        let was_full = state.places.len() >= self.most;
        while let Some(Some(_)) = state.places.front() {
            ready.extend(state.places.pop_front().flatten());
            state.first += 1;
        }
        let is_open = !state.is_closed || !state.places.is_empty();
        drop(state);
        if was_full {
            self.changed.notify_all();
        }
        is_open
    }

    /// Takes no more places; those that were taken are still waited for.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }
}

/// So many results are worth a reader's while.
const WORTH_WAKING: usize = 64;

/// How long the reader waits for more of them.
const MOMENT: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_places() {
        let results = Arc::new(InOrder::new(2));
        let places = [results.take_place(), results.take_place()].map(|place| place.expect("open"));
        results.fill(places[1], "second");
        let third = std::thread::spawn({
            let results = Arc::clone(&results);
            move || {
                results
                    .take_place()
                    .inspect(|place| results.fill(*place, "third"))
            }
        });
        results.fill(places[0], "first");
        let mut ready = VecDeque::new();
        while ready.len() < 3 {
            results.take_ready(&mut ready);
        }
        assert_eq!(ready, ["first", "second", "third"]);
        assert_eq!(third.join().expect("no panic"), Some(2));
        results.close();
        ready.clear();
        results.take_ready(&mut ready);
        assert_eq!((ready.len(), results.take_place()), (0, None));
    }
}
