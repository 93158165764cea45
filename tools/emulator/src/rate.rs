//! Call rates of operations. In come the operation and the time, out goes whether the call is one
//! too many.

use std::collections::HashMap;
use std::time::Instant;

use crate::config::{Limits, TooFast};
use crate::operation::Operation;

/// What each operation has left.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    left: HashMap<Operation, (f64, Instant)>,
}

impl Rates {
    /// Counts a call; how to refuse it when it is one too many. A refused call costs nothing.
    pub(crate) fn admit(
        &mut self,
        operation: Operation,
        limits: &Limits,
        now: Instant,
    ) -> Option<TooFast> {
        let rate = limits.rates.get(&operation)?;
        let burst = rate.burst.max(1.0);
        let (left, since) = self.left.entry(operation).or_insert((burst, now));
        let earned = now.saturating_duration_since(*since).as_secs_f64() * rate.per_second;
        *left = (*left + earned).min(burst);
        *since = now;
        if *left < 1.0 {
            return Some(rate.answer);
        }
        *left -= 1.0;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Rate;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate {
            per_second: 5.0,
            burst: 3.0,
            answer: TooFast::Http,
        };
        let limits = Limits {
            rates: [(Operation::Create, rate)].into(),
            ..Limits::default()
        };
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut call =
            |operation, ms| rates.admit(operation, &limits, start + Duration::from_millis(ms));
        let refused = (0..4).filter(|_| call(Operation::Create, 0).is_some());
        assert_eq!(refused.count(), 1);
        assert_eq!(call(Operation::Create, 100), Some(TooFast::Http));
        assert_eq!(call(Operation::Create, 210), None);
        assert_eq!(call(Operation::Create, 220), Some(TooFast::Http));
        assert_eq!(call(Operation::Slice, 220), None);
    }
}
