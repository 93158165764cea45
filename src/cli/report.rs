//! What a run prints: a line or a JSON object for each file, and a summary.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use panup::{Error, Item, Kind, Operation, Outcome, Status, Summary};
use serde_json::json;

use super::args::Output;
use super::left_out::LeftOut;
use super::screen::Screen;
use super::size::human;
use super::walk::{News, Refused};
use super::{complain, say, say_object};

/// The lines of one run.
pub struct Report {
    output: Output,
    screen: Screen,
    /// Bars take the place of lines, where both are on one terminal.
    shows_lines: bool,
    summary: Summary,
    /// Files of the summary that the run never asked for.
    unstarted: u64,
    /// What ended the run, where that was no interrupt.
    stopped_by: Option<Error>,
    /// What the last attempt of a file had failed with that was interrupted.
    last_failure: Option<Error>,
    started: Instant,
}

impl Report {
    /// An empty report.
    pub fn new(output: Output, screen: Screen) -> Report {
        Report {
            output,
            shows_lines: !screen.is_live() || !std::io::stdout().is_terminal(),
            screen,
            summary: Summary::default(),
            unstarted: 0,
            stopped_by: None,
            last_failure: None,
            started: Instant::now(),
        }
    }

    /// A file ended.
    pub fn file(&mut self, outcome: &Outcome) {
        self.summary.count(outcome);
        if self.output.json {
            return self.screen.hidden(|| say_object(&json_line(outcome)));
        }
        match &outcome.status {
            // What ended the run was told once, and what was interrupted is counted.
            Status::Failed(error) if self.stopped_by.is_some() && error.is_of_the_run() => {}
            Status::Interrupted(error) => self.keep_failure(error),
            Status::Failed(error) => self
                .screen
                .hidden(|| complain(&format!("failed    {error}"))),
            status if !self.output.quiet && self.shows_lines => {
                let id = status
                    .file_id()
                    .map(|id| format!(", id {id}"))
                    .unwrap_or_default();
                let path = outcome.path.display();
                say(&format!(
                    "{:<9} {path} -> {} ({}{id})",
                    status.name(),
                    outcome.remote,
                    human(outcome.size)
                ));
            }
            _ => {}
        }
    }

    fn keep_failure(&mut self, interrupted: &Error) {
        let failure = std::error::Error::source(interrupted);
        let failure = failure.and_then(|error| error.downcast_ref::<Error>());
        self.last_failure = failure.cloned().or(self.last_failure.take());
    }

    /// Something ended the run.
    pub fn stopped(&mut self, error: &Error) {
        if !self.output.json {
            self.screen
                .hidden(|| complain(&format!("failed    {error}")));
        }
        self.stopped_by = Some(error.clone());
    }

    /// The run ended before this file.
    pub fn untried(&mut self, item: &Item) {
        self.unstarted += 1;
        self.summary.files += 1;
        let (status, error) = match &self.stopped_by {
            Some(end) => {
                self.summary.failed += 1;
                ("failed", end.cuts_off(&item.path))
            }
            None => {
                self.summary.interrupted += 1;
                let message = "interrupted before its turn";
                let error = Error::new(Kind::Cancelled, Operation::Upload, message);
                ("interrupted", error.with_path(&item.path))
            }
        };
        if self.output.json {
            let mut line = failure(&item.path, &item.remote, 0, &error);
            line["status"] = json!(status);
            say_object(&line);
        }
    }

    /// What the walk said.
    pub fn news(&mut self, news: &News) {
        match news {
            News::Refused(refused) => self.refused(refused),
            News::Warning(error) => self.warning(error),
        }
    }

    fn refused(&mut self, refused: &Refused) {
        self.summary.files += 1;
        self.summary.failed += 1;
        if self.output.json {
            return say_object(&failure(&refused.path, "", 0, &refused.error));
        }
        self.screen
            .hidden(|| complain(&format!("failed    {}", refused.error)));
    }

    /// So many files did not end in time after an interrupt.
    pub fn unended(&mut self, files: u64) {
        self.summary.files += files;
        self.summary.interrupted += files;
        self.note(&format!(
            "{files} files did not end in time: a disk, a network folder or another program does not answer"
        ));
    }

    /// Something to know that stops nothing.
    pub fn warning(&self, error: &Error) {
        self.screen
            .hidden(|| complain(&format!("warning   {error}")));
    }

    /// Prints a note.
    pub fn note(&self, text: &str) {
        self.screen.hidden(|| complain(text));
    }

    /// Redraws.
    pub fn beat(&self) {
        self.screen.draw();
    }

    /// The last line; returns what it says.
    pub fn summary(mut self, left_out: &LeftOut) -> Summary {
        self.summary.elapsed = self.started.elapsed();
        self.screen.clear();
        let Summary {
            files,
            uploaded,
            reused,
            skipped,
            failed,
            interrupted,
            bytes,
            sent,
            ..
        } = self.summary;
        let seconds = self.summary.elapsed.as_secs_f64();
        if self.output.json {
            let line = json!({
                "event": "summary", "files": files, "uploaded": uploaded, "reused": reused, "skipped": skipped,
                "failed": failed, "interrupted": interrupted, "bytes": bytes, "sent": sent,
                "seconds": rounded(seconds), "unstarted": self.unstarted, "links": left_out.links(),
                "special": left_out.special(),
            });
            say_object(&line);
            return self.summary;
        }
        self.ends();
        if !self.output.quiet {
            let interrupted = match interrupted {
                0 => String::new(),
                _ => format!(", {interrupted} interrupted"),
            };
            let pace = human((sent as f64 / seconds.max(0.001)) as u64);
            say(&format!(
                "{files} files: {uploaded} uploaded, {reused} reused, {skipped} skipped, {failed} failed{interrupted}; \
                 {} in {seconds:.1} s, {} sent ({pace}/s)",
                human(bytes),
                human(sent)
            ));
        }
        self.summary
    }

    /// One line for all files that the run's end came before.
    fn ends(&self) {
        let Summary {
            files,
            uploaded,
            reused,
            skipped,
            failed,
            interrupted,
            ..
        } = self.summary;
        if self.stopped_by.is_some() {
            complain(&format!(
                "the run ended with that: {failed} of {files} files failed or were not tried"
            ));
        }
        if interrupted > 0 {
            let done = uploaded + reused + skipped;
            let failure = match &self.last_failure {
                Some(error) => format!("; the last attempt failed: {error}"),
                None => String::new(),
            };
            complain(&format!(
                "interrupted: {done} done, {interrupted} to go; the same command goes on there{failure}"
            ));
        }
    }
}

fn json_line(outcome: &Outcome) -> serde_json::Value {
    if let Some(error) = outcome.status.error() {
        let mut line = failure(&outcome.path, &outcome.remote, outcome.size, error);
        line["status"] = json!(outcome.status.name());
        line["sent"] = json!(outcome.sent);
        line["seconds"] = json!(rounded(outcome.elapsed.as_secs_f64()));
        return line;
    }
    json!({
        "event": "file", "path": outcome.path.to_string_lossy(), "remote": outcome.remote,
        "status": outcome.status.name(), "file_id": outcome.status.file_id(),
        "md5": outcome.md5.map(|md5| md5.to_string()), "size": outcome.size, "sent": outcome.sent,
        "seconds": rounded(outcome.elapsed.as_secs_f64()),
    })
}

/// The object of a file that failed before it was sent.
pub fn failure(path: &Path, remote: &str, size: u64, error: &Error) -> serde_json::Value {
    json!({
        "event": "file", "path": path.to_string_lossy(), "remote": remote, "status": "failed", "size": size,
        "sent": 0, "seconds": 0.0,
        "error": {
            "kind": error.kind().name(), "message": error.to_string(), "call": error.operation().name(),
            "code": error.code(), "http_status": error.status(), "slice": error.slice(),
            "trace_id": error.trace_id(),
        },
    })
}

/// Milliseconds are all that a script can use.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
