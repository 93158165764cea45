//! The files of a run that took longest, and those that failed. In: each file's end. Out: some hundred of
//! them. Never: all of a hundred thousand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::Duration;

use panup::{Error, Outcome, Status, Step};
use serde_json::{Value, json};

use super::super::screen::text::middle;
use super::super::words::in_words_of_the_command;

/// Files, as far as they are kept.
#[derive(Debug, Default)]
pub struct Files {
    count: u64,
    /// The one that took least is on top.
    longest: BinaryHeap<Reverse<Kept>>,
    failed: Vec<Value>,
    failures: u64,
}

/// A file that ended.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    took: Duration,
    number: u64,
    name: String,
    status: &'static str,
    size: u64,
    sent: u64,
    began: Duration,
    steps: [Duration; 4],
}

impl Files {
    /// One ended `at` so long after the run's begin.
    pub fn ended(&mut self, at: Duration, outcome: &Outcome) {
        self.count += 1;
        if let Status::Failed(error) = &outcome.status {
            self.failed(&outcome.path, error);
        }
        let least = self.longest.peek().map(|Reverse(kept)| kept.took);
        if self.longest.len() >= MOST {
            if least.is_some_and(|least| outcome.elapsed <= least) {
                return;
            }
            self.longest.pop();
        }
        let steps = [Step::Hashing, Step::Queued, Step::Sending, Step::Verifying];
        self.longest.push(Reverse(Kept {
            took: outcome.elapsed,
            number: self.count,
            name: name(&outcome.path),
            status: outcome.status.name(),
            size: outcome.size,
            sent: outcome.sent,
            began: at.saturating_sub(outcome.elapsed),
            steps: steps.map(|step| outcome.times.at(step)),
        }));
    }

    /// One failed.
    pub fn failed(&mut self, path: &Path, error: &Error) {
        self.failures += 1;
        if self.failed.len() < MOST_FAILED {
            let why = error.clone().without_path().to_string();
            let why = in_words_of_the_command(&why).into_owned();
            self.failed.push(json!({
                "name": name(path), "kind": error.kind().name(), "why": middle(&why, LONGEST_NAME),
            }));
        }
    }

    /// Those that took longest in the order of their begin.
    pub fn data(&self) -> Value {
        let mut kept: Vec<&Kept> = self.longest.iter().map(|Reverse(kept)| kept).collect();
        kept.sort_by_key(|kept| (kept.began, kept.number));
        let rows = kept.into_iter().map(|kept| {
            json!({
                "name": kept.name, "status": kept.status, "size": kept.size, "sent": kept.sent,
                "began": seconds(kept.began), "took": seconds(kept.took), "steps": kept.steps.map(seconds),
            })
        });
        json!({
            "count": self.count, "rows": rows.collect::<Vec<_>>(), "failed": self.failed, "failures": self.failures,
        })
    }
}

fn name(path: &Path) -> String {
    middle(&path.to_string_lossy(), LONGEST_NAME)
}

/// To a tenth of a millisecond.
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 1e4
}

/// Files by name.
const MOST: usize = 300;
const MOST_FAILED: usize = 100;
/// Columns of a name, or of what went wrong.
const LONGEST_NAME: usize = 300;
