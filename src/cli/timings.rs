//! `--timings`: a run as a picture, one page of HTML that needs nothing else. In: the run's counters and facts
//! as it goes on. Out: the page, in one piece, at the run's end. Never: more memory than a run of any size is
//! worth.

mod bodies;
mod calls;
mod files;
mod page;
mod permits;
mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use panup::{
    AttemptEnd, CallAttempt, Client, Error, Fact, Held, Operation, Outcome, Progress, Summary,
};
use serde_json::{Value, json};

use bodies::Bodies;
use calls::Calls;
use files::Files;
pub use page::{Page, Place, stamp};
use permits::Permits;
use series::{Sample, Series};

/// A run, as far as it has come.
pub struct Timings {
    place: Place,
    progress: Arc<Progress>,
    client: Client,
    started: Instant,
    at: SystemTime,
    /// Upload servers, and calls, by their numbers everywhere else.
    servers: Names<String>,
    operations: Names<Operation>,
    series: Series,
    files: Files,
    bodies: Bodies,
    calls: Calls,
    permits: Permits,
    rated: Instant,
}

impl Timings {
    /// Of a run that begins.
    pub fn new(place: Place, progress: &Arc<Progress>, client: &Client) -> Timings {
        progress.keep_facts();
        let now = Instant::now();
        Timings {
            place,
            progress: Arc::clone(progress),
            client: client.clone(),
            started: now,
            at: SystemTime::now(),
            servers: Names::new(series::SERVERS - 1),
            operations: Names::new(series::CALLS - 1),
            series: Series::default(),
            files: Files::default(),
            bodies: Bodies::default(),
            calls: Calls::default(),
            permits: Permits::default(),
            rated: now,
        }
    }

    /// A file ended.
    pub fn file(&mut self, outcome: &Outcome) {
        self.files.ended(self.started.elapsed(), outcome);
    }

    /// A file failed before it was handed in.
    pub fn refused(&mut self, path: &Path, error: &Error) {
        self.files.failed(path, error);
    }

    /// Looks at the run: ten times a second is often enough.
    pub fn beat(&mut self) {
        let now = self.progress.snapshot();
        let at = self.started.elapsed();
        self.permits.look(at, &now);
        self.series.sample(at, &Sample::of(&now));
        self.facts();
        if self.rated.elapsed() >= RATED {
            self.rated = Instant::now();
            for (operation, rate) in self.client.call_rates() {
                // One that was never made says nothing.
                if let Some(call) = self.operations.known(&operation) {
                    self.series.granted(at, call, rate);
                }
            }
        }
    }

    fn facts(&mut self) {
        for fact in self.progress.take_facts() {
            match fact {
                Fact::Attempt(attempt) => self.attempt(&attempt),
                Fact::Turn { operation, waited } => {
                    let call = self.operations.number(&operation);
                    self.calls.waited(call, waited);
                }
                Fact::Again { operation, after } => {
                    let call = self.operations.number(&operation);
                    self.calls.paused(call, after);
                }
                _ => {}
            }
        }
    }

    fn attempt(&mut self, attempt: &CallAttempt) {
        let call = self.operations.number(&attempt.operation);
        let began = attempt.began.saturating_duration_since(self.started);
        let span = (began, began + attempt.took);
        self.calls.attempt(call, span, attempt);
        let failed = matches!(attempt.end, AttemptEnd::Failed(_));
        self.series.call(span.1, call, failed);
        if let Some(server) = &attempt.server {
            let server = self.servers.number(server);
            if let AttemptEnd::Answered = attempt.end {
                self.series.carried(span, server, attempt.bytes);
            }
            self.bodies.ended(server, span, attempt);
        }
    }

    /// Writes the page; where it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(
        mut self,
        summary: &Summary,
        spent: &[(Held, Duration)],
    ) -> Result<PathBuf, Error> {
        self.beat();
        let data = self.data(summary, spent);
        self.place.write(Page::Run, &data)?;
        Ok(self.place.into_path())
    }

    fn data(&self, summary: &Summary, spent: &[(Held, Duration)]) -> Value {
        let end = self.progress.snapshot();
        let spent = spent.iter().map(|(held, time)| {
            json!({"name": held.to_string(), "key": key(*held), "seconds": time.as_secs_f64()})
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "at": stamp(self.at),
            "seconds": self.started.elapsed().as_secs_f64(),
            "summary": {
                "files": summary.files, "uploaded": summary.uploaded, "reused": summary.reused,
                "skipped": summary.skipped, "failed": summary.failed, "interrupted": summary.interrupted,
                "bytes": summary.bytes, "sent": summary.sent, "resumed": end.resumed, "retries": end.retries,
            },
            "spent": spent.collect::<Vec<_>>(),
            "held": Held::ALL.map(|held| json!({"name": held.to_string(), "key": key(held)})),
            "servers": self.servers.all.iter().map(String::as_str).chain(self.servers.others("other servers")).collect::<Vec<_>>(),
            "operations": self.operations.all.iter().map(|call| call.name()).chain(self.operations.others("other calls")).collect::<Vec<_>>(),
            "series": self.series.data(),
            "permits": self.permits.data(),
            "files": self.files.data(),
            "bodies": self.bodies.data(),
            "calls": self.calls.data(),
        })
    }
}

/// One colour each.
fn key(held: Held) -> &'static str {
    match held {
        Held::Verifying => "verify",
        Held::Waiting => "fail",
        held => held.name(),
    }
}

/// Things that get numbers in the order of their coming; what comes after the first `most` is one.
struct Names<T> {
    all: Vec<T>,
    most: usize,
    has_others: bool,
}

impl<T: PartialEq + Clone> Names<T> {
    fn new(most: usize) -> Names<T> {
        Names {
            all: Vec::new(),
            most,
            has_others: false,
        }
    }

    fn known(&self, name: &T) -> Option<usize> {
        self.all.iter().position(|known| known == name)
    }

    fn number(&mut self, name: &T) -> usize {
        if let Some(number) = self.known(name) {
            return number;
        }
        if self.all.len() < self.most {
            self.all.push(name.clone());
            return self.all.len() - 1;
        }
        self.has_others = true;
        self.most
    }

    fn others(&self, name: &'static str) -> Option<&'static str> {
        self.has_others.then_some(name)
    }
}

/// Between two looks at the call rates.
const RATED: Duration = Duration::from_millis(500);
