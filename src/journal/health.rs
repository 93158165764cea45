//! The journal's state of health. In: errors of the database. Out: one warning of each sort, and
//! whether reading and writing still make sense. Never: a passing error that is taken for a lasting one.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::ErrorCode;

use super::failure::{damage_mark, explain, is_damage, passing};
use crate::error::{Error, Kind, Operation};
use crate::private;
use crate::sync::Mutex;

/// The journal's state of health, shared by reader and writer.
#[derive(Debug)]
pub(super) struct Health {
    database: PathBuf,
    unreadable: OnceLock<Error>,
    unwritable: OnceLock<Error>,
    superseded: OnceLock<Error>,
    /// Facts that are not written yet, and that never will be.
    waiting: AtomicU64,
    lost: AtomicU64,
    commits: AtomicU64,
    given: Mutex<Vec<Warning>>,
    warnings: Mutex<Vec<Error>>,
}

/// A warning that is given once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warning {
    Lockless,
    Overflow,
    Passing(ErrorCode),
    File,
}

impl Health {
    pub(super) fn new(database: &Path) -> Health {
        Health {
            database: database.to_owned(),
            unreadable: OnceLock::new(),
            unwritable: OnceLock::new(),
            superseded: OnceLock::new(),
            waiting: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            given: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.unreadable.get().is_none()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.unwritable.get().is_none()
    }

    /// Why nothing is written any more.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.unwritable.get().cloned()
    }

    /// Nothing is to be written, for `reason`.
    pub(super) fn refuse(&self, reason: Error) {
        if self.unwritable.set(reason.clone()).is_ok() {
            self.warn(reason);
        }
    }

    /// Nothing is to be written, as was asked: there is nothing to say of it.
    pub(super) fn leave_untouched(&self) {
        let reason = "this journal is only read";
        let reason = Error::new(Kind::State, Operation::Journal, reason);
        drop(self.unwritable.set(reason.with_path(&self.database)));
    }

    /// Reading failed. Where that is for good, nothing is known from here on. A disk that is full
    /// still reads, so writing has a state of its own.
    pub(super) fn unreadable(&self, error: rusqlite::Error) {
        if let Some(code) = passing(&error) {
            self.warn_once(Warning::Passing(code), || self.explain(error));
            return;
        }
        let error = self.explain(error);
        if self.unreadable.set(error.clone()).is_ok() {
            self.warn(error);
        }
    }

    /// Writing failed: for now, or, where no second try can help, for good.
    pub(super) fn failed(&self, error: rusqlite::Error) -> Error {
        let code = passing(&error);
        let error = self.explain(error);
        match code {
            Some(code) => self.warn_once(Warning::Passing(code), || error.clone()),
            None => self.refuse(error.clone()),
        }
        error
    }

    /// The checkpoint cannot be written for now.
    pub(super) fn held_up(&self, error: Error) -> Error {
        self.warn_once(Warning::File, || error.clone());
        error
    }

    /// The checkpoint is another run's: nothing is written any more, and this run is to end.
    pub(super) fn superseded(&self, error: Error) -> Error {
        drop(self.unwritable.set(error.clone()));
        drop(self.superseded.set(error.clone()));
        error
    }

    /// Why this run is to end, where another has taken over.
    pub(super) fn successor(&self) -> Option<Error> {
        self.superseded.get().cloned()
    }

    /// More than `most` bytes wait for the disk.
    pub(super) fn overflow(&self, most: usize) {
        self.warn_once(Warning::Overflow, || {
            let most = most >> 20;
            let message = format!(
                "{most} MiB wait to be written: what is done from now on is not kept until they are"
            );
            self.word(message)
        });
    }

    /// The file system has no locks.
    pub(super) fn lockless(&self, error: &std::io::Error) {
        self.warn_once(Warning::Lockless, || {
            self.word(format!(
                "no locks there ({error}): two panups at once may send a file twice; \
                 a state folder on a local disk has them"
            ))
        });
    }

    /// Rows were dropped on purpose.
    pub(super) fn dropped(&self, what: std::fmt::Arguments<'_>) {
        self.warn(self.word(what.to_string()));
    }

    /// The disk has not answered for so long.
    pub(super) fn silent(&self, waited: Duration) -> Error {
        let seconds = waited.as_secs();
        self.word(format!(
            "the disk has not answered for {seconds} s; what was done last may not be kept"
        ))
    }

    /// So many facts wait to be written.
    pub(super) fn waits(&self, facts: u64) {
        self.waiting.store(facts, Ordering::Relaxed);
    }

    /// So many facts more will never be written.
    pub(super) fn lost(&self, facts: u64) {
        self.lost.fetch_add(facts, Ordering::Relaxed);
    }

    /// A group of facts was written.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// How many groups were.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Facts that are not on disk.
    pub(super) fn unkept(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn warn(&self, warning: Error) {
        self.warnings.lock().push(warning);
    }

    fn warn_once(&self, sort: Warning, warning: impl FnOnce() -> Error) {
        let mut given = self.given.lock();
        if !given.contains(&sort) {
            given.push(sort);
            self.warn(warning());
        }
    }

    fn word(&self, message: String) -> Error {
        Error::new(Kind::State, Operation::Journal, message).with_path(&self.database)
    }

    /// The oldest warning that was not handed out yet.
    pub(super) fn next_warning(&self) -> Option<Error> {
        let mut warnings = self.warnings.lock();
        (!warnings.is_empty()).then(|| warnings.remove(0))
    }

    /// Converts to an [`Error`]. Damage leaves a mark, for which the next run sets the
    /// database aside: it must not be moved while this run, or another, has it open.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        if is_damage(&error) {
            let _ = private::mark(&damage_mark(&self.database));
        }
        explain(&self.database, error)
    }
}
