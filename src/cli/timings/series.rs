//! What a run did over time, in a few hundred intervals of the same length, however long it takes. In: samples,
//! and what happened between two moments. Out: a column of numbers for each thing. Never: more intervals.

use std::time::Duration;

use panup::{Held, Snapshot};
use serde_json::{Value, json};

/// Intervals, the first of which begins with the run.
#[derive(Debug)]
pub struct Series {
    /// Of each, in seconds.
    width: f64,
    intervals: Vec<Interval>,
    last: Sample,
}

impl Default for Series {
    fn default() -> Series {
        Series {
            width: FIRST,
            intervals: Vec::new(),
            last: Sample::default(),
        }
    }
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    sent: u64,
    hashed: u64,
    files_done: u64,
    retries: u64,
    in_flight: usize,
    permits: usize,
    /// Files that are hashed, wait, are sent and verified.
    steps: [usize; 4],
    held: Option<Held>,
}

impl Sample {
    /// Those of a run.
    pub fn of(now: &Snapshot) -> Sample {
        Sample {
            sent: now.sent,
            hashed: now.hashed,
            files_done: now.files_done,
            retries: now.retries,
            in_flight: now.in_flight,
            permits: now.permits,
            steps: [now.hashing, now.queued, now.sending, now.verifying],
            held: now.held,
        }
    }
}

/// Sums over one interval; what is sampled is summed up too, and divided by the number of samples in the end.
#[derive(Debug, Clone, Copy, Default)]
struct Interval {
    samples: f64,
    sent: f64,
    hashed: f64,
    files_done: f64,
    retries: f64,
    in_flight: f64,
    permits: f64,
    steps: [f64; 4],
    held: [f64; Held::ALL.len()],
    /// Bytes acknowledged, by server.
    carried: [f64; SERVERS],
    calls: [f64; CALLS],
    failed: [f64; CALLS],
    /// The highest rate, by call.
    granted: [f64; CALLS],
}

impl Interval {
    fn add(&mut self, other: &Interval) {
        let numbers = |interval: &Interval| {
            let Interval {
                samples,
                sent,
                hashed,
                files_done,
                retries,
                in_flight,
                permits,
                ..
            } = *interval;
            [
                samples, sent, hashed, files_done, retries, in_flight, permits,
            ]
        };
        let [
            samples,
            sent,
            hashed,
            files_done,
            retries,
            in_flight,
            permits,
        ] = numbers(other);
        self.samples += samples;
        self.sent += sent;
        self.hashed += hashed;
        self.files_done += files_done;
        self.retries += retries;
        self.in_flight += in_flight;
        self.permits += permits;
        add(&mut self.steps, &other.steps);
        add(&mut self.held, &other.held);
        add(&mut self.carried, &other.carried);
        add(&mut self.calls, &other.calls);
        add(&mut self.failed, &other.failed);
        for (granted, other) in self.granted.iter_mut().zip(other.granted) {
            *granted = granted.max(other);
        }
    }
}

fn add(sums: &mut [f64], others: &[f64]) {
    sums.iter_mut()
        .zip(others)
        .for_each(|(sum, other)| *sum += other);
}

impl Series {
    /// The counters as they are `at` so long after the begin. What grew since the last sample is spread over the
    /// time between.
    pub fn sample(&mut self, at: Duration, now: &Sample) {
        let interval = self.at(at);
        interval.samples += 1.0;
        interval.in_flight += now.in_flight as f64;
        interval.permits += now.permits as f64;
        for (sum, files) in interval.steps.iter_mut().zip(now.steps) {
            *sum += files as f64;
        }
        if let Some(held) = now.held {
            interval.held[held as usize] += 1.0;
        }
        let last = self.last;
        let interval = self.at(at);
        let grown = |now: u64, last: u64| now.saturating_sub(last) as f64;
        interval.sent += grown(now.sent, last.sent);
        interval.hashed += grown(now.hashed, last.hashed);
        interval.files_done += grown(now.files_done, last.files_done);
        interval.retries += grown(now.retries, last.retries);
        self.last = *now;
    }

    /// `bytes` were on their way for so long, and arrived.
    pub fn carried(&mut self, (began, ended): (Duration, Duration), server: usize, bytes: u64) {
        self.at(ended);
        let (began, ended) = (began.as_secs_f64(), ended.as_secs_f64());
        let (first, last) = ((began / self.width) as usize, (ended / self.width) as usize);
        let took = (ended - began).max(1e-6);
        for number in first..=last {
            let from = began.max(number as f64 * self.width);
            let to = ended.min((number + 1) as f64 * self.width);
            let share = if first == last {
                1.0
            } else {
                (to - from).max(0.0) / took
            };
            self.intervals[number].carried[server] += share * bytes as f64;
        }
    }

    /// A call ended.
    pub fn call(&mut self, at: Duration, call: usize, failed: bool) {
        let interval = self.at(at);
        interval.calls[call] += 1.0;
        interval.failed[call] += f64::from(u8::from(failed));
    }

    /// So many calls per second are granted.
    pub fn granted(&mut self, at: Duration, call: usize, rate: f64) {
        let granted = &mut self.at(at).granted[call];
        *granted = granted.max(rate);
    }

    /// The interval of a moment; two become one where there would be too many.
    fn at(&mut self, at: Duration) -> &mut Interval {
        let at = at.as_secs_f64();
        while (at / self.width) as usize >= MOST {
            self.width *= 2.0;
            let pairs = self.intervals.chunks(2).map(|pair| {
                let mut sum = pair[0];
                pair.iter().skip(1).for_each(|next| sum.add(next));
                sum
            });
            self.intervals = pairs.collect();
        }
        let number = (at / self.width) as usize;
        if self.intervals.len() <= number {
            self.intervals.resize(number + 1, Interval::default());
        }
        &mut self.intervals[number]
    }

    /// What was granted, which stays so until it is looked at again.
    fn granted_of(&self, call: usize) -> Vec<f64> {
        let mut last = 0.0;
        let granted = self.intervals.iter().map(|interval| {
            if interval.granted[call] > 0.0 {
                last = interval.granted[call];
            }
            short(last)
        });
        granted.collect()
    }

    /// Columns: rates per second, and means of what was sampled.
    pub fn data(&self) -> Value {
        let column = |value: &dyn Fn(&Interval) -> f64| -> Vec<f64> {
            self.intervals
                .iter()
                .map(|interval| short(value(interval)))
                .collect()
        };
        let rate =
            |value: &dyn Fn(&Interval) -> f64| column(&|interval| value(interval) / self.width);
        let mean = |value: &dyn Fn(&Interval) -> f64| {
            column(&|interval| value(interval) / interval.samples.max(1.0))
        };
        let used = |value: &dyn Fn(&Interval, usize) -> f64, most: usize| {
            (0..most)
                .map(|at| rate(&|interval| value(interval, at)))
                .collect::<Vec<_>>()
        };
        let held = self.intervals.iter().map(|interval| {
            let times = interval.held.iter().enumerate();
            let most = times
                .max_by(|a, b| a.1.total_cmp(b.1))
                .filter(|(_, time)| **time > 0.0);
            most.map(|(held, _)| held)
        });
        json!({
            "width": self.width,
            "sent": rate(&|interval| interval.sent),
            "hashed": rate(&|interval| interval.hashed),
            "done": rate(&|interval| interval.files_done),
            "retries": column(&|interval| interval.retries),
            "flight": mean(&|interval| interval.in_flight),
            "permits": mean(&|interval| interval.permits),
            "steps": (0..4).map(|step| mean(&|interval| interval.steps[step])).collect::<Vec<_>>(),
            "held": held.collect::<Vec<_>>(),
            "carried": used(&|interval, at| interval.carried[at], SERVERS),
            "calls": used(&|interval, at| interval.calls[at], CALLS),
            "failed": used(&|interval, at| interval.failed[at], CALLS),
            "granted": (0..CALLS).map(|at| self.granted_of(at)).collect::<Vec<_>>(),
        })
    }
}

/// Three or four digits are all that can be seen.
fn short(number: f64) -> f64 {
    match number {
        100.0.. => number.round(),
        _ => (number * 100.0).round() / 100.0,
    }
}

/// Upload servers that are told apart, and one for the others.
pub const SERVERS: usize = 9;
/// The same of calls.
pub const CALLS: usize = 14;
/// Intervals at most: a pixel or two each.
const MOST: usize = 480;
/// Of the first intervals, in seconds.
const FIRST: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    fn total(series: &Series, value: impl Fn(&Interval) -> f64) -> f64 {
        series.intervals.iter().map(value).sum()
    }

    #[test]
    fn a_long_run_has_no_more_intervals_and_loses_nothing() {
        let mut series = Series::default();
        let second = Duration::from_secs(1);
        for at in 0..36_000 {
            let now = Sample {
                sent: u64::from(at) * 1000,
                files_done: u64::from(at),
                ..Sample::default()
            };
            series.sample(at * second, &now);
            series.carried((at * second, (at + 3) * second), 1, 500);
        }
        assert!(series.intervals.len() <= MOST && series.intervals.len() > MOST / 2);
        assert_eq!(total(&series, |interval| interval.files_done), 35_999.0);
        assert_eq!(total(&series, |interval| interval.sent), 35_999_000.0);
        let carried = total(&series, |interval| interval.carried[1]);
        assert!((carried - 18e6).abs() < 1.0, "{carried}");
    }

    #[test]
    fn bytes_are_spread_over_the_time_that_they_took() {
        let mut series = Series::default();
        series.carried(
            (Duration::from_millis(50), Duration::from_millis(250)),
            0,
            400,
        );
        let carried: Vec<f64> = series
            .intervals
            .iter()
            .map(|interval| interval.carried[0].round())
            .collect();
        assert_eq!(carried, [100.0, 200.0, 100.0]);
    }
}
