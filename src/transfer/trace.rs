//! What was said to the service, attempt by attempt, for a reader that asked for it. In: attempts, pauses and
//! turns, as they end. Out: each of them once. Never: anything before it was asked for, or more than the reader
//! takes in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Operation};
use crate::sync::Mutex;

/// Something that happened in a run, for pictures of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fact {
    /// An attempt at a call has ended.
    Attempt(CallAttempt),
    /// A call waited for its turn at the call rate.
    Turn {
        /// Which call.
        operation: Operation,
        /// For how long.
        waited: Duration,
    },
    /// A call failed and is tried again.
    Again {
        /// Which call.
        operation: Operation,
        /// The pause before it.
        after: Duration,
    },
}

/// One attempt at a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallAttempt {
    /// Which call.
    pub operation: Operation,
    /// The upload server that it went to; `None` is the API.
    pub server: Option<String>,
    /// Which attempt; the first is 1.
    pub number: u32,
    /// When it left.
    pub began: Instant,
    /// Until it ended.
    pub took: Duration,
    /// Bytes of its body.
    pub bytes: u64,
    /// Those of them that a socket took.
    pub sent: u64,
    /// How it ended.
    pub end: AttemptEnd,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// With an answer that says yes.
    Answered,
    /// Not so.
    Failed(Error),
    /// It was not waited for: another one was faster, or the run ended.
    Dropped,
}

/// What was not taken yet.
#[derive(Debug, Default)]
pub struct Trace {
    is_on: AtomicBool,
    facts: Mutex<Vec<Fact>>,
}

impl Trace {
    /// From now on facts are kept.
    pub fn start(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Whether anybody wants to know.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Keeps what `fact` makes, where it is asked for.
    pub(super) fn note(&self, fact: impl FnOnce() -> Fact) {
        if !self.is_on() {
            return;
        }
        let fact = fact();
        let mut facts = self.facts.lock();
        if facts.len() < MOST {
            facts.push(fact);
        }
    }

    /// What happened since it was asked last.
    pub fn take(&self) -> Vec<Fact> {
        std::mem::take(&mut *self.facts.lock())
    }
}

/// Facts that wait for the reader: seconds of the smallest files.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Fact {
        Fact::Turn {
            operation: Operation::Create,
            waited: Duration::ZERO,
        }
    }

    #[test]
    fn nothing_is_kept_before_it_is_asked_for_nor_without_end() {
        let trace = Trace::default();
        trace.note(|| unreachable!("nobody wants to know"));
        trace.start();
        trace.note(turn);
        assert_eq!((trace.take().len(), trace.take().len()), (1, 0));
        (0..MOST + 9).for_each(|_| trace.note(turn));
        assert_eq!(trace.take().len(), MOST);
    }
}
