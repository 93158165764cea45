//! What a run tells: rare facts as events, and counters that a reader samples at its own pace.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::digest::Md5;
use crate::error::Error;
use crate::transfer::Scope;

/// How one file ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The local file.
    pub path: PathBuf,
    /// The remote path below the parent folder.
    pub remote: String,
    /// Uploaded, reused, skipped, failed or interrupted.
    pub status: Status,
    /// The file's size in bytes; 0 where it could not be told.
    pub size: u64,
    /// The whole file's MD5, where it is known.
    pub md5: Option<Md5>,
    /// Content bytes that went over the wire for this file, resends included.
    pub sent: u64,
    /// From the file's turn to its end.
    pub elapsed: Duration,
    /// The item's tag, as it was handed in.
    pub tag: Option<Arc<str>>,
}

/// The ways for a file to end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// Sent and completed; the id that the service gave.
    Uploaded(i64),
    /// The service had these bytes already; the file's id, where it was said.
    Reused(Option<i64>),
    /// The journal knows it as finished, and neither file nor destination changed; or the same file
    /// was handed in for the same place before, in the same run (without an id then).
    Skipped(Option<i64>),
    /// Why not.
    Failed(Error),
    /// The run was [interrupted](super::Run::interrupt) before the file's end; the next one goes on
    /// there. The error says what its last attempt had failed with, if it had.
    Interrupted(Error),
}

impl Status {
    /// The status as `--json` spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Status::Uploaded(_) => "uploaded",
            Status::Reused(_) => "reused",
            Status::Skipped(_) => "skipped",
            Status::Failed(_) => "failed",
            Status::Interrupted(_) => "interrupted",
        }
    }

    /// Why the file is not there; `None` where it is.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Status::Failed(error) | Status::Interrupted(error) => Some(error),
            Status::Uploaded(_) | Status::Reused(_) | Status::Skipped(_) => None,
        }
    }

    /// The service's id for the file; `None` where it failed or was not told.
    #[must_use]
    pub fn file_id(&self) -> Option<i64> {
        match self {
            Status::Uploaded(id) => Some(*id),
            Status::Reused(id) | Status::Skipped(id) => *id,
            Status::Failed(_) | Status::Interrupted(_) => None,
        }
    }
}

/// A rare fact of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A file ended.
    File(Outcome),
    /// Something that the user should know and that stops nothing.
    Warning(Error),
    /// What ended the run, told once: it concerns every file. Those that were not done by then fail
    /// with an error of which [`Error::is_of_the_run`] is true.
    Stopped(Error),
}

/// Counters of a run. They are sampled, by [`Progress::snapshot`]; nothing is pushed.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) files: AtomicU64,
    pub(super) files_done: AtomicU64,
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) hashed: Arc<AtomicU64>,
    pub(super) acked: AtomicU64,
    sent: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    pub(super) in_flight: AtomicUsize,
    pub(super) permits: AtomicUsize,
}

/// What a [`Progress`] says at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Files that were handed in so far.
    pub files: u64,
    /// Files that ended, in any way.
    pub files_done: u64,
    /// Bytes of the files handed in so far.
    pub bytes: u64,
    /// Bytes hashed, whole-file chains only.
    pub hashed: u64,
    /// Bytes that the service has: acknowledged, reused or skipped. Counted once, whatever the retries.
    pub acked: u64,
    /// Content bytes handed to sockets, resends included.
    pub sent: u64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// Bodies in flight.
    pub in_flight: usize,
    /// Bodies that may be in flight at once, as the limiter sees it now.
    pub permits: usize,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            files: read(&self.files),
            files_done: read(&self.files_done),
            bytes: read(&self.bytes),
            hashed: read(&self.hashed),
            acked: read(&self.acked),
            sent: read(&self.sent),
            retries: read(&self.retries),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            permits: self.permits.load(Ordering::Relaxed),
        }
    }

    /// Counters of the run of `scope`, which counts what is sent.
    pub(super) fn of(scope: &Scope) -> Progress {
        Progress {
            bytes: Arc::clone(&scope.bytes),
            sent: Arc::clone(&scope.sent),
            retries: Arc::clone(&scope.retries),
            ..Progress::default()
        }
    }

    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn sub(counter: &AtomicU64, amount: u64) {
        counter.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files handed in.
    pub files: u64,
    /// Files sent and completed.
    pub uploaded: u64,
    /// Files that the service had already.
    pub reused: u64,
    /// Files that the journal knew as finished, or that were handed in twice.
    pub skipped: u64,
    /// Files that failed.
    pub failed: u64,
    /// Files that an interrupt came before.
    pub interrupted: u64,
    /// Sizes of the files uploaded, reused or skipped.
    pub bytes: u64,
    /// Content bytes that went over the wire, resends included.
    pub sent: u64,
    /// The whole run.
    pub elapsed: Duration,
}

impl Summary {
    /// Counts one more file.
    pub fn count(&mut self, outcome: &Outcome) {
        self.files += 1;
        self.sent += outcome.sent;
        match outcome.status {
            Status::Uploaded(_) => self.uploaded += 1,
            Status::Reused(_) => self.reused += 1,
            Status::Skipped(_) => self.skipped += 1,
            Status::Failed(_) => self.failed += 1,
            Status::Interrupted(_) => self.interrupted += 1,
        }
        if outcome.status.error().is_none() {
            self.bytes += outcome.size;
        }
    }
}
