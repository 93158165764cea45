//! What to try with a budget. In: bytes, and the settings that were asked for. Out: settings with
//! their shares. Never: shares that add up to more than the budget.

use std::fmt;

/// One setting to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Bodies in flight; `None` is auto.
    pub concurrency: Option<usize>,
    /// Bytes to send under it.
    pub bytes: u64,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.concurrency {
            Some(count) => write!(f, "{count}"),
            None => f.write_str("auto"),
        }
    }
}

/// The settings that `budget` bytes suffice for, auto last; `None` where it suffices for nothing.
/// Settings that were `asked` for are all tried; without any, as many doublings as get a slice for
/// each body that is in flight.
pub fn plan(budget: u64, asked: &[u16]) -> Option<Vec<Trial>> {
    let spendable = budget / 100 * SPENDABLE;
    let mut settings: Vec<usize> = asked.iter().copied().map(usize::from).collect();
    if asked.is_empty() {
        settings = DOUBLINGS.to_vec();
        while settings.len() > 2 && spendable / slices(&settings) < SLICE {
            settings.pop();
        }
    }
    let unit = spendable / slices(&settings);
    if unit * LEAST < SMALLEST_FILE {
        return None;
    }
    let fixed = settings.iter().map(|&count| (Some(count), weight(count)));
    let auto = (None, weight_of_auto(&settings));
    let trial = |(concurrency, weight)| Trial {
        concurrency,
        bytes: unit * weight,
    };
    Some(fixed.chain([auto]).map(trial).collect())
}

/// The slices of a whole table.
fn slices(settings: &[usize]) -> u64 {
    let fixed: u64 = settings.iter().map(|&count| weight(count)).sum();
    fixed + weight_of_auto(settings)
}

/// A slice for each body in flight, so that all of them are in flight for most of the time.
fn weight(count: usize) -> u64 {
    (count as u64).max(LEAST)
}

/// Auto begins with few and has to climb: it gets what the largest gets.
fn weight_of_auto(settings: &[usize]) -> u64 {
    let largest = settings.iter().map(|&count| weight(count)).max();
    largest.unwrap_or(LEAST).max(2 * LEAST)
}

/// Percent; the rest is for slices that have to be sent again, and for what is around them.
const SPENDABLE: u64 = 95;

/// Slices of a setting: with fewer, the first and the last would be all of the measurement.
const LEAST: u64 = 4;

/// `sliceSize` in every observation of the service.
const SLICE: u64 = 16 << 20;

/// Below this nothing is measured but the calls around it.
const SMALLEST_FILE: u64 = 64 << 10;

/// What is tried where nothing is asked for. Beyond 64 nothing was ever seen to gain.
const DOUBLINGS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(budget: u64, asked: &[u16]) -> Vec<Option<usize>> {
        let trials = plan(budget, asked).expect("enough");
        trials.iter().map(|trial| trial.concurrency).collect()
    }

    #[test]
    fn a_budget_says_how_far_the_doublings_go() {
        let some = |counts: &[usize]| {
            let fixed = counts.iter().copied().map(Some);
            fixed.chain([None]).collect::<Vec<_>>()
        };
        assert_eq!(settings(1 << 20, &[]), some(&[1, 2]));
        assert_eq!(settings(512 << 20, &[]), some(&[1, 2, 4, 8]));
        assert_eq!(settings(1 << 30, &[]), some(&[1, 2, 4, 8, 16]));
        assert_eq!(settings(4 << 30, &[]), some(&DOUBLINGS));
        assert_eq!(settings(4 << 20, &[3, 50]), some(&[3, 50]));
    }

    #[test]
    fn shares_stay_below_the_budget_and_use_it() {
        for budget in [1 << 20, 100 << 20, 512 << 20, 1 << 30, 10 << 30, 1 << 40] {
            let trials = plan(budget, &[]).expect("enough");
            let total: u64 = trials.iter().map(|trial| trial.bytes).sum();
            assert!(total <= budget / 100 * 95, "{total} of {budget}");
            assert!(total >= budget / 100 * 90, "{total} of {budget}");
        }
    }

    #[test]
    fn each_body_in_flight_has_a_slice_of_its_own() {
        for trial in plan(1 << 30, &[]).expect("enough") {
            assert!(
                trial.bytes / SLICE >= trial.concurrency.unwrap_or(0) as u64,
                "{trial:?}"
            );
        }
    }

    #[test]
    fn next_to_nothing_measures_nothing() {
        assert_eq!(plan(0, &[]), None);
        assert_eq!(plan(200 << 10, &[]), None);
        assert_eq!(plan(1 << 20, &[4000]), None);
    }
}
