//! Calls by endpoint, and what went wrong with them. In: attempts, waits and pauses. Out: a row for each call,
//! and one for each way to fail. Never: more rows than a page has room for.

use std::time::Duration;

use panup::{AttemptEnd, CallAttempt, Error, Kind};
use serde_json::{Value, json};

use super::super::screen::text::middle;
use super::super::words::in_words_of_the_command;
use super::files::seconds;

/// Calls so far, by their numbers.
#[derive(Debug, Default)]
pub struct Calls {
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    count: u64,
    failed: u64,
    dropped: u64,
    took: Duration,
    longest: Duration,
    waited: Duration,
    longest_wait: Duration,
    pauses: u64,
    paused: Duration,
}

/// A way to fail.
#[derive(Debug)]
struct Failure {
    call: usize,
    server: Option<String>,
    kind: Kind,
    code: Option<i64>,
    status: Option<u16>,
    count: u64,
    first: Duration,
    last: Duration,
    /// What the first one said.
    why: String,
}

impl Calls {
    /// An attempt ended.
    pub fn attempt(&mut self, call: usize, span: (Duration, Duration), attempt: &CallAttempt) {
        let row = self.row(call);
        row.count += 1;
        row.took += attempt.took;
        row.longest = row.longest.max(attempt.took);
        match &attempt.end {
            AttemptEnd::Answered => {}
            AttemptEnd::Failed(error) => {
                row.failed += 1;
                self.failure(call, span.1, attempt.server.as_deref(), error);
            }
            _ => row.dropped += 1,
        }
    }

    /// A call waited for its turn.
    pub fn waited(&mut self, call: usize, time: Duration) {
        let row = self.row(call);
        row.waited += time;
        row.longest_wait = row.longest_wait.max(time);
    }

    /// A call paused before its next attempt.
    pub fn paused(&mut self, call: usize, time: Duration) {
        let row = self.row(call);
        row.pauses += 1;
        row.paused += time;
    }

    fn row(&mut self, call: usize) -> &mut Row {
        if self.rows.len() <= call {
            self.rows.resize(call + 1, Row::default());
        }
        &mut self.rows[call]
    }

    fn failure(&mut self, call: usize, at: Duration, server: Option<&str>, error: &Error) {
        let same = |known: &&mut Failure| {
            known.call == call
                && known.server.as_deref() == server
                && (known.kind, known.code, known.status)
                    == (error.kind(), error.code(), error.status())
        };
        if let Some(known) = self.failures.iter_mut().find(same) {
            known.count += 1;
            (known.first, known.last) = (known.first.min(at), known.last.max(at));
        } else if self.failures.len() < MOST {
            let why = in_words_of_the_command(error.message()).into_owned();
            self.failures.push(Failure {
                call,
                server: server.map(str::to_owned),
                kind: error.kind(),
                code: error.code(),
                status: error.status(),
                count: 1,
                first: at,
                last: at,
                why: middle(&why, LONGEST),
            });
        }
    }

    /// The calls in the order of their numbers, and the failures, the most frequent first.
    pub fn data(&self) -> Value {
        let rows = self.rows.iter().enumerate().map(|(call, row)| {
            json!({
                "call": call, "count": row.count, "failed": row.failed, "dropped": row.dropped,
                "mean": seconds(row.took) / row.count.max(1) as f64, "longest": seconds(row.longest),
                "waited": seconds(row.waited), "longest_wait": seconds(row.longest_wait),
                "pauses": row.pauses, "paused": seconds(row.paused),
            })
        });
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        let failures = failures.into_iter().map(|failure| {
            json!({
                "call": failure.call, "server": failure.server, "kind": failure.kind.name(), "code": failure.code,
                "status": failure.status, "count": failure.count, "first": seconds(failure.first),
                "last": seconds(failure.last), "why": failure.why,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "failures": failures.collect::<Vec<_>>() })
    }
}

/// Ways to fail that are told apart; there are fewer.
const MOST: usize = 64;
/// Columns of what went wrong.
const LONGEST: usize = 300;
