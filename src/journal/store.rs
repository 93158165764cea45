//! The database file. In: a folder. Out: connections to a sound database of the present schema in
//! it. Never: a database moved away while another process has it open, or one of a newer panup touched.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::failure::{beside, damage_mark, explain, is_damage};
use crate::error::{Error, Kind, Operation, Result};
use crate::private;
use crate::system::{self, name_bytes, owners_alone, replace_file};

/// A database that this process uses, and says so for as long as the value lives.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    patience: Duration,
    warning: Option<Error>,
    /// Why nothing can be written there; what is there is read.
    refusal: Option<Error>,
    /// The database is in memory, under this name.
    memory: Option<Memory>,
    // A shared lock on a file beside the database. SQLite deletes its `-wal` by name when the
    // last user goes, so a database may be moved away only while it is open nowhere.
    in_use: Option<File>,
}

impl Store {
    /// Makes folder and database where missing, brings the schema up to date, and sets a damaged
    /// database aside.
    ///
    /// # Errors
    /// `State`, see [`super::Journal::open`].
    pub(super) fn open(dir: &Path, patience: Duration) -> Result<Store> {
        private::folder(dir).map_err(|error| state(dir, error))?;
        let path = database(dir);
        for suffix in ["", "-wal", "-shm"] {
            let file = beside(&path, suffix);
            private::seen(&file).map_err(|error| state(&file, error))?;
        }
        let lock_path = dir.join(LOCK);
        let lock = private::lock_file(&lock_path).map_err(|error| state(&lock_path, error))?;
        // A file system without locks works as long as nothing is damaged.
        let in_use = share(&lock, &lock_path, patience)?.then_some(lock);
        let mut store = Store {
            path,
            patience,
            warning: None,
            refusal: None,
            memory: None,
            in_use,
        };
        match store.prepare() {
            Ok(()) => {}
            Err(OpenError::Damaged) => store.begin_anew()?,
            Err(OpenError::Unusable(error)) => return Err(error),
        }
        Ok(store)
    }

    /// Opens a database that cannot be written, such as one on a read-only file system, to read it.
    ///
    /// # Errors
    /// `error`, with which [`open`](Self::open) failed, where that is not the reason or no database is
    /// there; `State`: it cannot be read, or is not of this schema.
    pub(super) fn read_only(dir: &Path, patience: Duration, error: Error) -> Result<Store> {
        let path = database(dir);
        if is_writable(dir) && is_writable(&path) || !is_there(dir)? {
            return Err(error);
        }
        Store::reading(dir, patience)
    }

    /// The database in `dir`, to be read only.
    pub(super) fn reading(dir: &Path, patience: Duration) -> Result<Store> {
        private::trusted(dir).map_err(|error| state(dir, error))?;
        let path = database(dir);
        private::seen(&path).map_err(|error| state(&path, error))?;
        let refused = |message: String| {
            let error = Error::new(Kind::State, Operation::Journal, message);
            error.with_path(&path)
        };
        let refusal =
            "the journal is read-only: what it knows is used, and what this run does is not kept";
        let store = Store {
            refusal: Some(
                refused(refusal.to_owned()).advice("name another folder in `Options::state_dir`"),
            ),
            path: path.clone(),
            patience,
            warning: None,
            memory: None,
            in_use: None,
        };
        let connection = store.connect()?;
        let version = version(&connection).map_err(|error| explain(&path, error))?;
        if version != MIGRATIONS.len() {
            let message =
                format!("the journal is read-only and of another panup (schema {version})");
            return Err(refused(message));
        }
        connection
            .query_row(PROBE, [], |_| Ok(()))
            .map_err(|error| explain(&path, error))?;
        Ok(store)
    }

    /// A database in memory, empty and of the present schema, that goes with the last connection. Errors
    /// name `path`; remote places are locked in the folder `locks`, where that is one.
    ///
    /// # Errors
    /// `State`: there is no memory for it.
    pub(super) fn in_memory(
        path: &Path,
        locks: Option<&Path>,
        patience: Duration,
    ) -> Result<(Store, Connection)> {
        let store = Store {
            path: path.to_owned(),
            patience,
            warning: None,
            refusal: None,
            memory: Some(Memory {
                uri: format!("file:/panup-{:016x}?vfs=memdb", fastrand::u64(..)),
                locks: locks.map(Path::to_owned),
            }),
            in_use: None,
        };
        let mut connection = store.connect()?;
        migrate(&mut connection).map_err(|error| explain(path, error))?;
        Ok((store, connection))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file whose bytes stand for remote places; `None` where it cannot be made.
    pub(super) fn places(&self) -> Option<File> {
        let folder = match &self.memory {
            Some(memory) => {
                let folder = memory.locks.as_deref()?;
                private::folder(folder).ok()?;
                folder
            }
            None => self.path.parent()?,
        };
        private::lock_file(&folder.join("targets.lock")).ok()
    }

    /// Why nothing is to be written, where that is so.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.refusal.clone()
    }

    /// What was set aside, if something was.
    pub(super) fn warning(&self) -> Option<Error> {
        self.warning.clone()
    }

    /// A new connection, ready for use.
    ///
    /// # Errors
    /// `State`: the database cannot be opened.
    pub(super) fn connect(&self) -> Result<Connection> {
        if let Some(memory) = &self.memory {
            let connected = connect_to_memory(&memory.uri, self.patience);
            return connected.map_err(|error| explain(&self.path, error));
        }
        let connect = match self.refusal {
            None => connect,
            Some(_) => connect_to_read,
        };
        let connected = insist(self.patience, || connect(&self.path, self.patience));
        connected.map_err(|error| explain(&self.path, error))
    }

    fn prepare(&self) -> Result<(), OpenError> {
        if damage_mark(&self.path).symlink_metadata().is_ok() {
            return Err(OpenError::Damaged);
        }
        create_private(&self.path)
            .map_err(|error| OpenError::Unusable(state(&self.path, error)))?;
        let unfit = |error| match is_damage(&error) {
            true => OpenError::Damaged,
            false => OpenError::Unusable(explain(&self.path, error)),
        };
        let connected = insist(self.patience, || connect(&self.path, self.patience));
        let mut connection = connected.map_err(unfit)?;
        let version = insist(self.patience, || migrate(&mut connection)).map_err(unfit)?;
        if version > MIGRATIONS.len() {
            let message = format!("the journal is of a newer panup (schema {version})");
            let error = Error::new(Kind::State, Operation::Journal, message);
            return Err(OpenError::Unusable(error.with_path(&self.path)));
        }
        // Reads the first page of every table: damage there is better found now.
        let seen = insist(self.patience, || {
            connection.query_row(PROBE, [], |_| Ok(()))
        });
        match seen {
            Err(error) if is_missing_table(&error) => Err(OpenError::Damaged),
            seen => seen.map_err(unfit),
        }?;
        match connection.is_readonly(rusqlite::MAIN_DB).map_err(unfit)? {
            // A number in its header says so, which no SQLite writes.
            true if is_writable(&self.path) => Err(OpenError::Damaged),
            true => {
                let read_only = io::Error::from(ErrorKind::PermissionDenied);
                Err(OpenError::Unusable(state(&self.path, read_only)))
            }
            false => Ok(()),
        }
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.path.with_file_name(LOCK);
        private::lock_file(&path).map_err(|error| state(&path, error))
    }

    /// Sets the damaged database aside and begins a new one, if no other process has it open.
    fn begin_anew(&mut self) -> Result<()> {
        let damaged = |why: &str| {
            let message = format!("the journal is damaged{why}");
            Error::new(Kind::State, Operation::Journal, message).with_path(&self.path)
        };
        // Two runs that find the damage at once both hold the shared lock: let go, then try. By closing it:
        // a handle of Windows can hold both locks, and the shared one does not take the other's place.
        let alone = match self.in_use.take().map(drop) {
            None => None,
            Some(()) => {
                let lock = self.lock_file()?;
                match lock.try_lock() {
                    Ok(()) => Some(lock),
                    Err(TryLockError::WouldBlock) => {
                        return Err(damaged(" and in use by another panup"));
                    }
                    Err(TryLockError::Error(error)) => return Err(damaged("").caused_by(error)),
                }
            }
        };
        // Another process may have done it while we had let go.
        if let Err(OpenError::Damaged) = self.prepare() {
            let aside = set_aside(&self.path)
                .map_err(|error| damaged(" and cannot be moved away").caused_by(error))?;
            self.warning = Some(damaged(&format!(
                "; it was set aside as {} and a new one begun, unfinished uploads start over",
                aside.display()
            )));
        }
        if alone.map(drop).is_some() {
            let lock = self.lock_file()?;
            self.in_use = share(&lock, &self.path, self.patience)?.then_some(lock);
        }
        self.prepare().map_err(|unfit| match unfit {
            OpenError::Damaged => damaged(" again, at once"),
            OpenError::Unusable(error) => error,
        })
    }
}

/// The database in the folder `dir`.
pub(super) fn database(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Whether there is a database in the folder `dir`.
///
/// # Errors
/// `State`: `dir` is no folder, or cannot be looked into.
pub(super) fn is_there(dir: &Path) -> Result<bool> {
    let no_folder = || state(dir, io::Error::other("this is no folder"));
    match database(dir).try_exists() {
        // Windows says of what would be below a file that it is not there.
        Ok(false) if is_below_a_file(dir) => Err(no_folder()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(no_folder()),
        there => there.map_err(|error| state(dir, error)),
    }
}

/// Whether what is there of a path is no folder.
fn is_below_a_file(path: &Path) -> bool {
    let there = path.ancestors().find_map(|above| fs::metadata(above).ok());
    there.is_some_and(|facts| !facts.is_dir())
}

/// Whether we may write in this folder or file, and its file system lets us.
#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether it is marked as not to be written. What an access list refuses is met when it is written.
#[cfg(windows)]
fn is_writable(path: &Path) -> bool {
    let facts = fs::metadata(path);
    facts.is_ok_and(|facts| facts.is_dir() || !facts.permissions().readonly())
}

/// A database that is in no file.
#[derive(Debug)]
struct Memory {
    uri: String,
    locks: Option<PathBuf>,
}

/// Why a database cannot be used as it is.
enum OpenError {
    Damaged,
    Unusable(Error),
}

fn connect(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(real(path), flags)?;
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(32);
    if version(&connection)? == 0 {
        // Only an empty database takes it, and each time it is said it is written.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(connection)
}

fn connect_to_memory(uri: &str, patience: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(32);
    if version(&connection)? == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(connection)
}

/// Where nothing waits in the log, the database is read as a file that does not change: SQLite would
/// make files beside it otherwise.
fn connect_to_read(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let logged = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let immutable = if logged { "" } else { "?immutable=1" };
    // No slashes before it: what follows two is the name of a machine, and paths of Windows begin otherwise.
    let uri = format!("file:{}{immutable}", escaped(&real(path)));
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // A reader that ends leaves the log to whoever writes it: a handle of Windows that only reads can lock, and the
    // last one to close would empty it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Links on the way to the folder are the user's; the database itself is none.
fn real(path: &Path) -> PathBuf {
    let real = path.parent().and_then(|dir| fs::canonicalize(dir).ok());
    let real = real.zip(path.file_name()).map(|(dir, name)| dir.join(name));
    real.unwrap_or_else(|| path.to_owned())
}

/// A path as a URI has it.
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    for &byte in name_bytes(path.as_os_str()).iter() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A disk that fails for a moment is asked again for a moment: a run whose journal cannot be opened
/// knows nothing, and sends everything again. So is a database that another process opens first or closes last,
/// for as long as `patience`: SQLite does not wait there, whatever its own patience.
fn insist<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let began = Instant::now();
    loop {
        let ended = attempt();
        let error = ended.as_ref().err();
        let limit = match error.and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::SystemIoFailure) => MOMENT,
            Some(ErrorCode::DatabaseBusy) => patience,
            _ => return ended,
        };
        if began.elapsed() >= limit {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the migrations that the database lacks; the version that it has then. A version beyond
/// ours is returned untouched.
fn migrate(connection: &mut Connection) -> rusqlite::Result<usize> {
    let found = version(connection)?;
    if found >= MIGRATIONS.len() {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again: another process may have been first.
    let found = version(&transaction)?;
    for (from, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", from as u32 + 1)?;
    }
    transaction.commit()?;
    Ok(found.max(MIGRATIONS.len()))
}

/// The schema's version; 0 for a new database.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version as usize)
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown)
}

/// SQLite gives its other files the permissions of this one. Only ever created here: opening and
/// closing an existing database beside SQLite would drop the process's locks on it (POSIX).
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let made = owners_alone(options.write(true).create_new(true)).open(path);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Locks `lock` together with others that use the database; `false` where the file system has no
/// locks. A process that sets a damaged one aside has it alone for a moment.
///
/// # Errors
/// `State`: it was not to be had for as long as `patience`.
fn share(lock: &File, path: &Path, patience: Duration) -> Result<bool> {
    let until = Instant::now() + patience;
    loop {
        match lock.try_lock_shared() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(_)) => return Ok(false),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let held = io::Error::other("another program keeps journal.lock locked");
                return Err(state(path, held));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn state(path: &Path, error: io::Error) -> Error {
    Error::new(Kind::State, Operation::Journal, error.to_string())
        .with_path(path)
        .caused_by(error)
}

/// Renames database, log and index to the first `….corrupt-N` that is free.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1..).map(|number| beside(path, &format!(".corrupt-{number}")));
    let aside = free
        .into_iter()
        .find(|aside| aside.symlink_metadata().is_err())
        .expect("an unbounded range");
    // The database last: a log without its database is never replayed into a new one.
    for suffix in ["-wal", "-shm", ""] {
        match replace_file(&beside(path, suffix), &beside(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match system::insist(|| fs::remove_file(damage_mark(path))) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(aside),
    }
}

/// Beside the database, what says that it is in use.
const LOCK: &str = "journal.lock";

/// What the log shrinks to after a burst: the size at which SQLite folds it into the database.
const WAL_LIMIT: u32 = 4 << 20;

/// Script `n` takes the schema from version `n` to `n + 1`. Never edited, only added to.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
];

/// For how long a failing disk is asked again before the run goes on without a journal.
const MOMENT: Duration = Duration::from_secs(1);

const PROBE: &str = "SELECT (SELECT max(id) FROM place), (SELECT max(id) FROM file), \
    (SELECT max(id) FROM finished), (SELECT max(id) FROM upload), (SELECT at FROM pruned), \
    (SELECT max(at) FROM link)";

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn fails(code: i32) -> rusqlite::Result<u32> {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn a_disk_that_fails_for_a_moment_is_asked_again() {
        let mut attempts = 0;
        let opened = insist(Duration::ZERO, || {
            attempts += 1;
            match attempts {
                1..10 => fails(ffi::SQLITE_IOERR_WRITE),
                _ => Ok(attempts),
            }
        });
        assert_eq!(opened.expect("it passed"), 10);
    }

    #[test]
    fn a_disk_that_stays_broken_and_other_errors_are_not_waited_for() {
        assert!(insist(Duration::ZERO, || fails(ffi::SQLITE_IOERR_READ)).is_err());
        let mut attempts = 0;
        let damaged = insist(Duration::ZERO, || {
            attempts += 1;
            fails(ffi::SQLITE_CORRUPT)
        });
        assert!(damaged.is_err());
        assert_eq!(attempts, 1);
    }
}
