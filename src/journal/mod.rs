//! In: facts about uploads (a preuploadID, an [`Ack`], MD5s, a finished file). Out: the same facts
//! in a later run, or in another process, for a file that has not changed. Never: a guess (only a
//! parsed success makes an `Ack`), a stop (what cannot be kept is a warning), a secret.
//!
//! Reads are direct, some microseconds each. Writes are posted to one thread that commits them in
//! groups; losing the newest acks costs sending those slices again, nothing else.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::source::Identity;
use crate::wire::Created;

mod cell;
mod entry;
mod health;
mod read;
mod store;
mod write;
mod writer;

pub use entry::{
    Account, Ack, Counts, Finished, FinishedFile, Forget, Hashes, Md5, SliceHashes, Task,
    Unfinished, Upload, UploadId,
};

use health::Health;
use store::Store;
use writer::{Write, Writer};

/// What panup remembers between runs. Cloning is one `Arc`; the last clone to go writes what is
/// still queued. Several processes may have one open at once.
#[derive(Debug, Clone)]
pub struct Journal(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    reader: Mutex<Connection>,
    writer: Writer,
    health: Arc<Health>,
    // Declared, and so dropped, last: it says that the database is in use.
    _store: Store,
}

impl Journal {
    /// Opens the journal in the folder `dir`, making both where they are missing (0700, 0600). A
    /// damaged database is set aside as `journal.db.corrupt-N`, with a word in
    /// [`trouble`](Self::trouble), and a new one begun.
    ///
    /// # Errors
    /// `State`: the folder or the database cannot be made, read or written, or comes from a newer
    /// panup. The upload then goes on with [`Journal::off`].
    pub fn open(dir: &Path) -> Result<Journal> {
        let store = Store::open(dir)?;
        let health = Arc::new(Health::new(store.path()));
        store
            .warning()
            .into_iter()
            .for_each(|warning| health.warn(warning));
        let reader = Mutex::new(store.connect()?);
        let writer = Writer::start(store.connect()?, Arc::clone(&health))?;
        Ok(Journal(Some(Arc::new(Open {
            reader,
            writer,
            health,
            _store: store,
        }))))
    }

    /// Whether there is a journal in the folder `dir`, in whatever condition.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        store::database(dir).exists()
    }

    /// A journal that knows nothing and keeps nothing.
    #[must_use]
    pub fn off() -> Journal {
        Journal(None)
    }

    /// The MD5s of the file at `path`, if they were remembered for exactly this identity.
    #[must_use]
    pub fn hashes(&self, path: &Path, identity: &Identity) -> Option<Hashes> {
        self.read(|connection| read::hashes(connection, path, identity))
    }

    /// Remembers the MD5s of the file at `path`. Slice MD5s known from before stay if `hashes`
    /// brings none. Dropped if the disk lags thousands of entries behind.
    pub fn remember(&self, path: &Path, identity: &Identity, hashes: Hashes) {
        self.offer(|| Write::Hashes(path.to_owned(), *identity, hashes));
    }

    /// The earlier upload of exactly this file to exactly this place, if there was one and the
    /// journal knows of no other file that took the place since.
    #[must_use]
    pub fn finished(&self, task: &Task) -> Option<Finished> {
        self.read(|connection| read::finished(connection, task))
    }

    /// The upload of this file that was begun and not finished, to go on with.
    #[must_use]
    pub fn resume(&self, task: &Task, md5: &Md5) -> Option<Upload> {
        self.read(|connection| read::resume(connection, task, md5))
    }

    /// Remembers what `create` answered, in the place of any earlier upload of the same path to
    /// the same place. On disk within a quarter of a second; waits only if the disk lags far.
    pub fn begin(&self, task: &Task, md5: Md5, created: &Created) -> UploadId {
        let id = UploadId::new();
        self.post(|| Write::Begin(id, Box::new(task.clone()), md5, created.clone()));
        id
    }

    /// Remembers that a slice arrived. Never waits.
    pub fn ack(&self, upload: UploadId, ack: Ack) {
        self.offer(|| Write::Ack(upload, ack));
    }

    /// Forgets an upload whose preuploadID is of no use any more.
    pub fn abandon(&self, upload: UploadId) {
        self.post(|| Write::Abandon(upload));
    }

    /// Remembers a file as uploaded, with its MD5, and drops its unfinished upload. `file_id` is
    /// 0 where the service did not tell it.
    pub fn finish(&self, task: &Task, md5: Md5, file_id: i64) {
        self.post(|| Write::Finish(Box::new(task.clone()), md5, file_id));
    }

    /// Waits until everything posted so far is on the disk, power loss included.
    ///
    /// # Errors
    /// `State`: it could not be written, now or earlier.
    pub fn flush(&self) -> Result<()> {
        self.0
            .as_deref()
            .map_or(Ok(()), |open| open.writer.flush(&open.health))
    }

    /// What went wrong since the last call, each thing once. The upload goes on in any case.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.0.as_deref()?.health.news()
    }

    /// All uploads that were begun and not finished, oldest first.
    ///
    /// # Errors
    /// `State`: the journal cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        self.list(read::unfinished)
    }

    /// The newest `limit` finished files, newest first.
    ///
    /// # Errors
    /// `State`: the journal cannot be read.
    pub fn finished_files(&self, limit: u32) -> Result<Vec<FinishedFile>> {
        self.list(|connection| read::finished_files(connection, limit))
    }

    /// How much the journal holds.
    ///
    /// # Errors
    /// `State`: the journal cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        self.list(read::counts)
    }

    /// Drops what `what` names, and says how many uploads, files and MD5s that were.
    ///
    /// # Errors
    /// `State`: the journal cannot be written.
    pub fn forget(&self, what: Forget) -> Result<u64> {
        self.0
            .as_deref()
            .map_or(Ok(0), |open| open.writer.forget(what, &open.health))
    }

    /// A read that a run asks on its way: trouble means that nothing is known.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>) -> Option<T> {
        let open = self.0.as_deref().filter(|open| open.health.is_readable())?;
        let connection = open.reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&connection).unwrap_or_else(|error| {
            open.health.unreadable(error);
            None
        })
    }

    /// A read that the user asks for: trouble is the answer.
    fn list<T: Default>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let Some(open) = self.0.as_deref() else {
            return Ok(T::default());
        };
        let connection = open.reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&connection).map_err(|error| open.health.explain(error))
    }

    fn post(&self, write: impl FnOnce() -> Write) {
        if let Some(open) = self.0.as_deref().filter(|open| open.health.is_writable()) {
            open.writer.post(write());
        }
    }

    fn offer(&self, write: impl FnOnce() -> Write) {
        if let Some(open) = self.0.as_deref().filter(|open| open.health.is_writable()) {
            open.writer.offer(write());
        }
    }
}

#[cfg(test)]
mod tests;
