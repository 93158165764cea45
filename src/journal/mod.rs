//! What panup remembers between runs, in a database. In: facts about uploads (a preuploadID, an [`Ack`], MD5s, a finished file). Out: the same facts
//! in a later run, or in another process, for a file that has not changed. Never: a guess (only a
//! parsed success makes an `Ack`), a stop (what cannot be kept is a warning), a secret.
//!
//! Reads are direct, some microseconds each. Writes are posted to one thread that commits them in
//! groups; losing the newest acks costs sending those slices again, nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::digest::{FileDigest, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::source::Identity;
use crate::sync::Mutex;
use crate::wire::{Created, Remote};

mod adopt;
mod batch;
mod cell;
mod checkpoint;
mod claim;
mod command;
mod entry;
mod failure;
mod file_system;
mod health;
mod place_lock;
mod prune;
mod read;
mod settings;
mod store;
mod write;
mod writer;
mod writer_thread;

pub use claim::Claim;
pub use entry::{
    Account, Ack, Begun, Counts, Finished, FinishedFile, Forget, Link, Place, Task, Unfinished,
    Upload, UploadId,
};
pub use file_system::network_file_system;
pub use settings::Settings;

use cell::target_key;
use checkpoint::Checkpoint;
use command::Write;
use health::Health;
use place_lock::{Locked, PlaceLocks};
use read::Used;
use store::Store;
use writer::Writer;

/// What panup remembers between runs. Cloning is one `Arc`; the last clone to go writes what is
/// still queued. Several processes may have one open at once.
#[derive(Debug, Clone)]
pub struct Journal(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    reader: Mutex<Connection>,
    writer: Writer,
    health: Arc<Health>,
    settings: Settings,
    places: Arc<PlaceLocks>,
    /// What is kept stands in a checkpoint.
    travels: bool,
    // Declared, and so dropped, last: it says that the database is in use.
    _store: Store,
}

impl Journal {
    /// Opens the journal in the folder `dir` with the usual [`Settings`].
    ///
    /// # Errors
    /// See [`open_with`](Self::open_with).
    #[cfg(any(test, feature = "internals"))]
    pub fn open(dir: &Path) -> Result<Journal> {
        Journal::open_with(dir, Settings::default())
    }

    /// Opens the journal in the folder `dir`, making both where they are missing (0700, 0600). A
    /// damaged database is set aside as `journal.db.corrupt-N`, with a word in
    /// [`next_warning`](Self::next_warning), and a new one begun.
    ///
    /// # Errors
    /// `State`: the folder or the database cannot be made, read or written, or comes from a newer
    /// panup. The upload then goes on with [`Journal::off`]. One that can be read and not written is
    /// read, with a warning.
    pub fn open_with(dir: &Path, settings: Settings) -> Result<Journal> {
        let store = Store::open(dir, settings.patience);
        let store = store.or_else(|error| Store::read_only(dir, settings.patience, error))?;
        Journal::of(store, settings, None)
    }

    /// A journal of one run that knows and keeps what stands in the file `path`, and nothing else: see
    /// [`checkpoint`]. The file is read and made the run's own by [`adopt`](Self::adopt). Places are claimed
    /// in the folder `locks`, against the other runs of this machine.
    ///
    /// # Errors
    /// `Invalid`: the file is no checkpoint, or of a newer panup. `State`: it cannot be read, or there is
    /// no folder for it.
    pub fn travelling(path: &Path, locks: Option<&Path>, settings: Settings) -> Result<Journal> {
        let checkpoint = Checkpoint::look(path)?;
        let (store, _lives) = Store::in_memory(path, locks, settings.patience)?;
        let settings = Settings {
            limit: settings.limit.min(IN_MEMORY),
            ..settings
        };
        Journal::of(store, settings, Some(checkpoint))
    }

    fn of(store: Store, settings: Settings, checkpoint: Option<Checkpoint>) -> Result<Journal> {
        let health = Arc::new(Health::new(store.path()));
        store
            .warning()
            .into_iter()
            .for_each(|warning| health.warn(warning));
        if let Some(refusal) = store.refusal().filter(|_| settings.writes) {
            health.refuse(refusal);
        }
        if !settings.writes {
            health.leave_untouched();
        }
        let reader = Mutex::new(store.connect()?);
        let travels = checkpoint.is_some();
        let writer = Writer::start(store.connect()?, Arc::clone(&health), settings, checkpoint)?;
        Ok(Journal(Some(Arc::new(Open {
            reader,
            writer,
            health,
            settings,
            travels,
            places: PlaceLocks::new(store.places()),
            _store: store,
        }))))
    }

    /// Whether there is a journal in the folder `dir`, in whatever condition.
    ///
    /// # Errors
    /// `State`: `dir` is no folder, or cannot be looked into.
    pub fn is_in(dir: &Path) -> Result<bool> {
        store::is_there(dir)
    }

    /// A journal that knows nothing and keeps nothing.
    #[must_use]
    pub fn off() -> Journal {
        Journal(None)
    }

    /// Gives `account` what earlier versions wrote down under the name `legacy`, which they made of
    /// the same token. Where nothing is known of the account and one other token is, its unfinished
    /// uploads may go on too. To be called before anything else is asked.
    ///
    /// # Errors
    /// Of a checkpoint alone: `Invalid` or `State`, it cannot be made this run's own.
    pub fn adopt(&self, account: &Account, legacy: Option<&str>) -> Result<()> {
        if let Some(open) = self.0.as_deref().filter(|open| open.travels) {
            return open.writer.take_over(account.clone());
        }
        let is_due = |connection: &Connection| {
            let due = adopt::is_due(connection, account, legacy)?;
            Ok(due.then_some(()))
        };
        let writable = self.0.as_deref().filter(|open| open.health.is_writable());
        if let (Some(open), Some(())) = (writable, self.read(is_due)) {
            // What failed is among the warnings.
            let legacy = legacy.map(str::to_owned);
            drop(open.writer.adopt(account.clone(), legacy));
        }
        Ok(())
    }

    /// The right to upload to this place of this account, or `None` while another file, thread,
    /// client or process has it: ask again later, it is given back when that file or process ends.
    pub fn claim(&self, account: &Account, remote: &Remote) -> Option<Claim> {
        let Some(open) = self.0.as_deref() else {
            return Some(Claim::new(self, None));
        };
        let at = target_key(account, remote.parent(), remote.path()).cast_unsigned() >> 1;
        match open.places.try_lock(at) {
            Locked::Not => None,
            Locked::Everywhere(held) => Some(Claim::new(self, Some(held))),
            Locked::Here(held, error) => {
                open.health.lockless(&error);
                Some(Claim::new(self, Some(held)))
            }
        }
    }

    /// The MD5s of the file at `path`, if they were remembered for exactly this identity.
    #[must_use]
    pub fn hashes(&self, path: &Path, identity: &Identity) -> Option<FileDigest> {
        let (hashes, used) = self.read(|connection| read::hashes(connection, path, identity))?;
        self.renew(&[used]);
        Some(hashes)
    }

    /// Remembers the MD5s of the file at `path`. Slice MD5s known from before stay if `hashes`
    /// brings none. Dropped if the disk lags thousands of entries behind.
    pub fn remember(&self, path: &Path, identity: &Identity, hashes: FileDigest) {
        self.offer(|| Write::Hashes(path.to_owned(), *identity, hashes));
    }

    /// Forgets the MD5s of the file at `path`: they were found wrong. Where it was uploaded stays.
    pub fn forget_hashes(&self, path: &Path) {
        self.post(|| Write::ForgetHashes(path.to_owned()));
    }

    /// The earlier upload of this file to this place, as far as can be known without reading it: its
    /// identity is the one of which the journal knows the MD5, and that MD5 was finished there, as
    /// the last that the journal knows of.
    #[must_use]
    pub fn finished(&self, task: &Task) -> Option<Finished> {
        let (finished, used) = self.read(|connection| read::finished(connection, task))?;
        self.renew(&used);
        Some(finished)
    }

    /// Remembers what `create` answered, in the place of any earlier upload of the same path to
    /// the same place. On disk within a quarter of a second; waits only if the disk lags far.
    pub fn begin(&self, task: &Task, md5: Md5, created: &Created) -> UploadId {
        let id = UploadId::new();
        self.post(|| Write::Begin(id, Box::new(task.clone()), md5, Some(created.clone())));
        id
    }

    /// Remembers, as [`begin`](Self::begin) does, that a call that can make the file is about to
    /// leave; [`at`](Self::at) gives it as [`Begun::Pending`] until it is finished, begun or
    /// abandoned. To be followed by a [`flush`](Self::flush).
    pub fn begin_call(&self, task: &Task, md5: Md5) -> UploadId {
        let id = UploadId::new();
        self.post(|| Write::Begin(id, Box::new(task.clone()), md5, None));
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
    /// the service's, where it was said.
    pub fn finish(&self, task: &Task, md5: Md5, file_id: Option<i64>) {
        self.post(|| Write::Finish(Box::new(task.clone()), md5, file_id));
    }

    /// What is known of a content with this MD5 and the task's size at the task's place, whatever file
    /// it was read from. A finished one is remembered for the task's path and identity, so that
    /// [`finished`](Self::finished) knows it the next time; one that was begun is of the task's path
    /// from then on.
    #[must_use]
    pub fn at(&self, task: &Task, md5: &Md5) -> Place {
        let found = self.read(|connection| {
            if !read::may_be_known(connection, task)? {
                return Ok(None);
            }
            // One lock and one view for the three questions.
            let view = connection.unchecked_transaction()?;
            let finished = read::finished_as(&view, task, md5)?;
            let begun = read::begun(&view, task, md5)?;
            let replaced = read::is_another_finished(&view, task, md5)?.is_some();
            Ok(Some((finished, begun, replaced)))
        });
        let Some((finished, begun, replaced)) = found else {
            return Place::default();
        };
        if finished.is_some() {
            self.offer(|| Write::Seen(Box::new(task.clone()), *md5));
        }
        Place {
            finished,
            begun: begun.map(|begun| self.resumed(task, begun)),
            replaced,
        }
    }

    /// Whether any content of the task's size is known at its place, uploaded or begun.
    #[must_use]
    pub fn knows_of_size(&self, task: &Task) -> bool {
        let found = self.read(|connection| read::is_of_size(connection, task));
        found.is_some()
    }

    fn resumed(&self, task: &Task, (begun, path, used): (Begun, PathBuf, Used)) -> Begun {
        if path != task.path {
            let id = begun.id();
            self.offer(|| Write::Moved(id, task.path.clone()));
        }
        self.renew(&[used]);
        begun
    }

    /// To be called before a call that replaces what stands at the task's place by a content with this
    /// MD5, where [`Place::replaced`] says that something does: it is not known to be there any more,
    /// whatever becomes of this process. Waits for the disk.
    pub fn replace(&self, task: &Task, md5: &Md5) {
        self.post(|| Write::Replace(Box::new(task.clone()), *md5));
        // What cannot be written becomes a warning, as everywhere.
        drop(self.flush());
    }

    /// What uploads have found of the ways to servers, the newest first.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let links = self.read(|connection| read::links(connection).map(Some));
        links.unwrap_or_default()
    }

    /// Remembers what was found of a link, in the place of what was known of it. Never waits.
    pub fn keep_link(&self, link: Link) {
        self.offer(|| Write::Link(Box::new(link)));
    }

    /// Forgets what was found of the way from `network` to `server`: it was wrong.
    pub fn forget_link(&self, network: &str, server: &str) {
        self.offer(|| Write::ForgetLink(network.to_owned(), server.to_owned()));
    }

    /// Waits until everything posted so far is on the disk, power loss included; some seconds at
    /// most, whatever holds the disk or the database.
    ///
    /// # Errors
    /// `State`: it could not be written. Where another moment may help, it is tried again later,
    /// and by the next flush.
    pub fn flush(&self) -> Result<()> {
        self.0.as_deref().map_or(Ok(()), |open| open.writer.flush())
    }

    /// Why this run is to end, where another has taken its checkpoint over.
    #[must_use]
    pub fn successor(&self) -> Option<Error> {
        self.0.as_deref()?.health.successor()
    }

    /// An upload under way to the task's place has another content: the checkpoint is of another file, or
    /// the file is not the same on both machines. A journal that stays with its files does not mind.
    #[must_use]
    pub fn contradiction(&self, task: &Task, md5: &Md5) -> Option<Error> {
        self.0.as_deref().filter(|open| open.travels)?;
        let (there, size) = self.read(|connection| read::another_begun(connection, task, md5))?;
        let message = format!(
            "the checkpoint has an upload of another content under way to {:?}: {size} bytes with the MD5 {there}, and \
             this file has {} bytes with the MD5 {md5}",
            task.remote.path(),
            task.identity.size
        );
        let error = Error::new(Kind::State, Operation::Check, message).with_path(&task.path);
        let error =
            error.advice("nothing of it was sent; `Options::resume` set to nothing, or another checkpoint, sends it");
        Some(error.for_good())
    }

    /// How many facts are not on disk after a [`flush`](Self::flush) that failed: finished files,
    /// slices that arrived, uploads begun or ended.
    #[must_use]
    pub fn unkept(&self) -> u64 {
        self.0.as_deref().map_or(0, |open| open.health.unkept())
    }

    /// Commits so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.0.as_deref().map_or(0, |open| open.health.commits())
    }

    /// What went wrong since the last call, each thing once. The upload goes on in any case.
    #[must_use]
    pub fn next_warning(&self) -> Option<Error> {
        self.0.as_deref()?.health.next_warning()
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
            .map_or(Ok(0), |open| open.writer.forget(what))
    }

    /// A read that a run needs on its way: an error means that nothing is known.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>) -> Option<T> {
        let open = self.0.as_deref().filter(|open| open.health.is_readable())?;
        let connection = open.reader.lock();
        query(&connection).unwrap_or_else(|error| {
            open.health.unreadable(error);
            None
        })
    }

    /// A read that the user asks for: an error is the answer.
    fn list<T: Default>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let Some(open) = self.0.as_deref() else {
            return Ok(T::default());
        };
        let connection = open.reader.lock();
        query(&connection).map_err(|error| open.health.explain(error))
    }

    /// Notes that rows were of use, where the last such note is old.
    fn renew(&self, rows: &[Used]) {
        let Some(open) = self.0.as_deref() else {
            return;
        };
        let now = cell::now(open.settings.ahead);
        let stale = |used: &&Used| now.saturating_sub(used.at) > RENEW;
        for used in rows.iter().filter(stale) {
            self.offer(|| Write::Used(used.row));
        }
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

/// Seconds after which a use is written down again. Only the order in which rows are dropped hangs
/// on it, and a million files that are skipped every day cost a seventh of a million writes a day.
const RENEW: i64 = 7 * 24 * 60 * 60;

/// Bytes of a database in memory at most: SQLite takes no more than 1 GiB.
const IN_MEMORY: u64 = 900 << 20;

#[cfg(test)]
mod tests;
