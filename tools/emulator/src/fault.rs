//! Faults by ordinal. In come faults and, call by call, which operation on which server begins;
//! out go the faults that are due for that call, counted per fault so that a failing test replays
//! exactly. Nothing is decided by chance or by the clock.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::network::Place;
use crate::operation::Operation;

/// One way in which calls go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation that it waits for; none means any.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// The upload server that it waits on; none means anywhere.
    #[serde(default)]
    pub server: Option<usize>,
    /// Which of the matching calls it is due for, counted from the moment it was injected.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// `action` on every call of `operation`; narrow it with [`Fault::nth`] and the like.
    pub fn on(operation: Operation, action: Action) -> Self {
        Self {
            operation: Some(operation),
            server: None,
            when: When::Always,
            action,
        }
    }

    /// Only the nth matching call, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first `k` matching calls.
    pub fn first(mut self, k: u64) -> Self {
        self.when = When::First(k);
        self
    }

    /// Every kth matching call.
    pub fn every(mut self, k: u64) -> Self {
        self.when = When::Every(k);
        self
    }

    /// The nth matching call and all that follow.
    pub fn from(mut self, n: u64) -> Self {
        self.when = When::From(n);
        self
    }

    /// Only on this upload server.
    pub fn at(mut self, server: usize) -> Self {
        self.server = Some(server);
        self
    }

    fn concerns(&self, operation: Operation, place: Place) -> bool {
        let operation_fits = self.operation.is_none_or(|wanted| wanted == operation);
        operation_fits
            && self
                .server
                .is_none_or(|wanted| place == Place::Server(wanted))
    }
}

/// Which of the matching calls a fault is due for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All.
    #[default]
    Always,
    /// The nth, from 1.
    Nth(u64),
    /// The first k.
    First(u64),
    /// Every kth.
    Every(u64),
    /// The nth and all after it.
    From(u64),
}

impl When {
    fn includes(self, ordinal: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => ordinal == n,
            Self::First(k) => ordinal <= k,
            Self::Every(k) => k > 0 && ordinal.is_multiple_of(k),
            Self::From(n) => ordinal >= n,
        }
    }
}

/// The faults that wait, each with the number of calls it has seen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<(Fault, u64)>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.waiting.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The actions for the call that now begins. Every fault counts it; all that are due are
    /// returned, in the order in which they were injected.
    pub(crate) fn due(&mut self, operation: Operation, place: Place) -> Vec<Action> {
        let mut due = Vec::new();
        for (fault, seen) in &mut self.waiting {
            if !fault.concerns(operation, place) {
                continue;
            }
            *seen += 1;
            if fault.when.includes(*seen) {
                due.push(fault.action.clone());
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Cut;

    fn affected(fault: Fault, calls: u64) -> Vec<u64> {
        let mut faults = Faults::default();
        faults.inject(fault);
        let due = |faults: &mut Faults| faults.due(Operation::Slice, Place::Server(1));
        (1..=calls)
            .filter(|_| !due(&mut faults).is_empty())
            .collect()
    }

    #[test]
    fn ordinals_count_from_one() {
        let fault = || Fault::on(Operation::Slice, Action::TruncatedJson);
        assert_eq!(affected(fault().nth(3), 9), [3]);
        assert_eq!(affected(fault().first(2), 9), [1, 2]);
        assert_eq!(affected(fault().every(4), 9), [4, 8]);
        assert_eq!(affected(fault().from(8), 9), [8, 9]);
        assert_eq!(affected(fault(), 3), [1, 2, 3]);
    }

    #[test]
    fn only_matching_calls_are_counted() {
        let mut faults = Faults::default();
        faults.inject(Fault::on(Operation::Slice, Action::Reset).at(1).nth(2));
        let calls = [
            (Operation::Slice, Place::Server(1)),
            (Operation::Slice, Place::Server(0)),
            (Operation::Create, Place::Api),
            (Operation::Slice, Place::Server(1)),
        ];
        let due: Vec<usize> = calls
            .iter()
            .map(|&(operation, place)| faults.due(operation, place).len())
            .collect();
        assert_eq!(due, [0, 0, 0, 1]);
    }

    #[test]
    fn scripts_are_readable() {
        let text = r#"{"operation":"slice","server":1,"when":{"nth":3},"action":{"close":{"after":4096}}}"#;
        let fault: Fault = serde_json::from_str(text).expect("a script line");
        let wanted = Fault::on(Operation::Slice, Action::Close(Cut::After(4096)));
        assert_eq!(fault, wanted.at(1).nth(3));
        let misspelt = r#"{"operaton":"slice","action":"truncated_json"}"#;
        assert!(serde_json::from_str::<Fault>(misspelt).is_err());
    }
}
