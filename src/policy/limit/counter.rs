//! Goodput over any recent span. In: a counter's readings and their times. Out: its slope. Never:
//! more than a few hundred readings.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A counter's recent past.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    readings: VecDeque<(Instant, f64)>,
}

impl Counter {
    /// The counter stood at `count` at `now`. Readings closer than [`GRAIN`] replace each other.
    pub(super) fn push(&mut self, now: Instant, count: f64) {
        let close = |&(then, _): &(Instant, f64)| now.saturating_duration_since(then) < GRAIN;
        // The one before the last decides, or steady readings would push the last one on for ever.
        if self.readings.iter().rev().nth(1).is_some_and(close) {
            self.readings.pop_back();
        }
        self.readings.push_back((now, count));
        if self.readings.len() > MOST {
            self.readings.pop_front();
        }
    }

    /// The slope over the last `span`, per second, or over what has been seen of it.
    pub(super) fn over(&self, span: Duration) -> Option<f64> {
        let &(now, count) = self.readings.back()?;
        self.slope((now, count), now.checked_sub(span)?)
    }

    /// What the counter gained within the last `span`, or since the first reading if that is less.
    pub(super) fn gained(&self, span: Duration) -> f64 {
        let (Some(&(now, count)), Some(&(_, first))) =
            (self.readings.back(), self.readings.front())
        else {
            return 0.0;
        };
        let base = now
            .checked_sub(span)
            .and_then(|start| self.at(start))
            .unwrap_or(first);
        count - base
    }

    /// The slopes over the newer and the older half of the last `span`.
    pub(super) fn halves(&self, span: Duration) -> (f64, f64) {
        let half = span / 2;
        let newer = self.over(half).unwrap_or(0.0);
        let older = || {
            let &(now, _) = self.readings.back()?;
            let middle = now.checked_sub(half)?;
            self.slope((middle, self.at(middle)?), now.checked_sub(span)?)
        };
        (newer, older().unwrap_or(0.0))
    }

    fn slope(&self, (end, count): (Instant, f64), start: Instant) -> Option<f64> {
        let &(first, base) = self.readings.front()?;
        let (start, base) = if start <= first {
            (first, base)
        } else {
            (start, self.at(start)?)
        };
        let passed = end.saturating_duration_since(start);
        (passed >= GRAIN).then(|| (count - base) / passed.as_secs_f64())
    }

    /// The counter at `then`, interpolated.
    fn at(&self, then: Instant) -> Option<f64> {
        let after = self.readings.partition_point(|&(time, _)| time <= then);
        let &(from, low) = self.readings.get(after.checked_sub(1)?)?;
        let Some(&(to, high)) = self.readings.get(after) else {
            return Some(low);
        };
        let share = (then - from).as_secs_f64() / (to - from).as_secs_f64();
        Some(low + (high - low) * share)
    }
}

/// Finer readings than this say nothing that a decision needs.
const GRAIN: Duration = Duration::from_millis(20);

/// Twelve seconds at the finest grain, longer than any span that is asked for.
const MOST: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter that gains 100 a second for two seconds, then 300, read every 5 ms.
    fn read() -> Counter {
        let begin = Instant::now();
        let mut counter = Counter::default();
        let mut count = 0.0;
        for step in 0..800 {
            counter.push(begin + Duration::from_millis(5 * step), count);
            count += if step < 400 { 0.5 } else { 1.5 };
        }
        counter
    }

    #[test]
    fn slopes_are_those_of_the_counter() {
        let counter = read();
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 3.0, "{value}");
        near(counter.over(Duration::from_secs(1)).expect("seen"), 300.0);
        near(counter.over(Duration::from_secs(4)).expect("seen"), 200.0);
        near(
            counter
                .over(Duration::from_secs(60))
                .expect("as much as was seen"),
            200.0,
        );
        let (newer, older) = counter.halves(Duration::from_secs(4));
        near(newer, 300.0);
        near(older, 100.0);
        near(counter.gained(Duration::from_secs(1)), 300.0);
        near(counter.gained(Duration::from_secs(60)), 800.0);
    }

    #[test]
    fn memory_is_bounded_and_an_empty_meter_says_nothing() {
        assert!(read().readings.len() <= 300, "{}", read().readings.len());
        assert_eq!(Counter::default().over(Duration::from_secs(1)), None);
        let (begin, mut counter) = (Instant::now(), Counter::default());
        for step in 0..10_000 {
            counter.push(begin + Duration::from_millis(50 * step), step as f64);
        }
        assert_eq!(counter.readings.len(), MOST);
    }
}
