//! In: errors of the database. Out: one warning each, and whether reading and writing still make
//! sense. Never: a retry; whoever comes next starts with a fresh look.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::ErrorCode;

use super::store::damage_mark;
use crate::error::{Error, Kind, Operation};
use crate::private;

/// The journal's state of health, shared by reader and writer.
#[derive(Debug)]
pub(super) struct Health {
    database: PathBuf,
    unreadable: OnceLock<Error>,
    unwritable: OnceLock<Error>,
    lockless: OnceLock<()>,
    news: Mutex<Vec<Error>>,
}

impl Health {
    pub(super) fn new(database: &Path) -> Health {
        Health {
            database: database.to_owned(),
            unreadable: OnceLock::new(),
            unwritable: OnceLock::new(),
            lockless: OnceLock::new(),
            news: Mutex::default(),
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

    /// Reading failed: nothing is known from here on. A disk that is full still reads, so
    /// writing has a state of its own.
    pub(super) fn unreadable(&self, error: rusqlite::Error) {
        let error = self.explain(error);
        if self.unreadable.set(error.clone()).is_ok() {
            self.warn(error);
        }
    }

    /// Writing failed: nothing is kept from here on.
    pub(super) fn unwritable(&self, error: rusqlite::Error) -> Error {
        let error = self.explain(error);
        if self.unwritable.set(error.clone()).is_ok() {
            self.warn(error.clone());
        }
        error
    }

    /// The file system has no locks: told once.
    pub(super) fn lockless(&self, error: &std::io::Error) {
        if self.lockless.set(()).is_ok() {
            let message = format!(
                "no locks there ({error}): two panups at once may send a file twice; \
                 a state folder on a local disk has them"
            );
            self.warn(Error::new(Kind::State, Operation::Journal, message).path(&self.database));
        }
    }

    pub(super) fn warn(&self, warning: Error) {
        self.news
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(warning);
    }

    /// The oldest warning that nobody has had yet.
    pub(super) fn news(&self) -> Option<Error> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        (!news.is_empty()).then(|| news.remove(0))
    }

    /// The error in the house's terms. Damage leaves a mark, for which the next run sets the
    /// database aside: it must not be moved while this run, or another, has it open.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        if is_damage(&error) {
            let _ = private::mark(&damage_mark(&self.database));
        }
        explain(&self.database, error)
    }
}

/// The error in the house's terms.
pub(super) fn explain(database: &Path, error: rusqlite::Error) -> Error {
    let message = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly) => "the journal is read-only".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps the journal locked".to_owned()
        }
        _ if is_damage(&error) => {
            "the journal is damaged; the next run begins a new one".to_owned()
        }
        _ => error.to_string(),
    };
    Error::new(Kind::State, Operation::Journal, message)
        .path(database)
        .caused_by(error)
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}
