//! How many attempts at which call ended how. In: each as it ends. Out: the counts. Never: a decision.

use std::collections::HashMap;

use crate::error::{Kind, Operation};
use crate::sync::Mutex;

/// Attempts so far, by call and by how they ended.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<(Operation, Option<Kind>), u64>>);

/// How many attempts at a call ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCount {
    /// The call.
    pub operation: Operation,
    /// How they failed; `None`: they did not.
    pub failure: Option<Kind>,
    /// How many.
    pub attempts: u64,
}

impl Tally {
    pub(super) fn count(&self, operation: Operation, failure: Option<Kind>) {
        *self.0.lock().entry((operation, failure)).or_default() += 1;
    }

    /// All that there were, in the order of their names.
    #[must_use]
    pub fn counts(&self) -> Vec<CallCount> {
        let counts = self.0.lock();
        let count = |(&(operation, failure), &attempts)| CallCount {
            operation,
            failure,
            attempts,
        };
        let mut counts: Vec<CallCount> = counts.iter().map(count).collect();
        counts.sort_by_key(|count| (count.operation.name(), count.failure.map(Kind::name)));
        counts
    }
}
