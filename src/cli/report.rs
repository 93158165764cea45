//! What a run prints: a line or a JSON object for each file, and a summary.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use panup::{Error, Outcome, Status, Summary};
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
        self.summary.failed += files;
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

    /// The last line; returns how many files failed. `untried` were found, and the run ended before
    /// them.
    pub fn summary(mut self, left_out: &LeftOut, untried: u64) -> u64 {
        self.summary.elapsed = self.started.elapsed();
        self.screen.clear();
        let Summary {
            files,
            uploaded,
            reused,
            skipped,
            failed,
            bytes,
            sent,
            ..
        } = self.summary;
        let seconds = self.summary.elapsed.as_secs_f64();
        if self.output.json {
            let line = json!({
                "event": "summary", "files": files, "uploaded": uploaded, "reused": reused, "skipped": skipped,
                "failed": failed, "bytes": bytes, "sent": sent, "seconds": rounded(seconds),
                "unstarted": untried, "links": left_out.links(), "special": left_out.special(),
            });
            say_object(&line);
        } else if !self.output.quiet {
            let unstarted = match untried {
                0 => String::new(),
                _ => format!(", {untried} more not started"),
            };
            let pace = human((sent as f64 / seconds.max(0.001)) as u64);
            say(&format!(
                "{files} files: {uploaded} uploaded, {reused} reused, {skipped} skipped, {failed} failed{unstarted}; \
                 {} in {seconds:.1} s, {} sent ({pace}/s)",
                human(bytes),
                human(sent)
            ));
        }
        failed
    }
}

fn json_line(outcome: &Outcome) -> serde_json::Value {
    if let Status::Failed(error) = &outcome.status {
        let mut line = failure(&outcome.path, &outcome.remote, outcome.size, error);
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
