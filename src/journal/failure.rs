//! The database's errors: what passes, what is damage, and how they are put.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::error::{Error, Kind, Operation};

/// What another moment may mend: another program's lock, a full disk, a disk that fails for a moment, a mount
/// that is read-only for a while. What is left is damage, or a mistake of ours.
pub(super) fn passing(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code().filter(|code| {
        matches!(
            code,
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    })
}

/// Converts to an [`Error`] that names the database.
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
        .with_path(database)
        .caused_by(error)
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || error.to_string().contains(FOREIGN_FORMAT)
}

/// What SQLite says of a number in the header that no version of it has written for twenty years.
const FOREIGN_FORMAT: &str = "unsupported file format";

/// A file whose presence says that a run met damage in the database beside it.
pub(super) fn damage_mark(database: &Path) -> PathBuf {
    beside(database, ".damaged")
}

/// The file whose name is the database's with `suffix`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
