//! In: facts, from any thread. Out: commits in groups, from one thread of its own. Never: a
//! writer of the pipeline that waits for the disk, but for one thousands of entries ahead.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::adopt;
use super::claim::Held;
use super::entry::{Account, Ack, Forget, Hashes, Md5, Task, UploadId};
use super::health::Health;
use super::read::RowId;
use super::write;
use crate::error::{Error, Kind, Operation, Result};
use crate::source::Identity;
use crate::wire::Created;

/// One thing to keep.
#[derive(Debug)]
pub(super) enum Write {
    Hashes(PathBuf, Identity, Hashes),
    Begin(UploadId, Box<Task>, Md5, Created),
    Ack(UploadId, Ack),
    Abandon(UploadId),
    Finish(Box<Task>, Md5, i64),
    Seen(Box<Task>, Md5),
    Used(RowId),
    Moved(UploadId, PathBuf),
    ForgetHashes(PathBuf),
    /// Only has to be dropped, after what was told before is on disk.
    Release(#[allow(dead_code, reason = "dropping it gives the place back")] Held),
    Adopt(Account, Option<String>, SyncSender<Result<()>>),
    Forget(Forget, SyncSender<Result<u64>>),
    Flush(SyncSender<Result<()>>),
}

/// The way to the writing thread. Dropping it writes what is queued and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// # Errors
    /// `State`: no thread could be started.
    pub(super) fn start(connection: Connection, health: Arc<Health>) -> Result<Writer> {
        let (queue, posted) = sync_channel(QUEUE);
        let clerk = Clerk {
            connection,
            health,
            unsynced: Unsynced::No,
        };
        let thread = thread::Builder::new()
            .name("panup-journal".into())
            .spawn(move || clerk.serve(&posted))
            .map_err(|error| Error::new(Kind::State, Operation::Journal, error.to_string()))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Queues `write`; waits while the queue is full.
    pub(super) fn post(&self, write: Write) {
        // A writer that is gone has panicked; what it would keep is lost, as on a full disk.
        let _ = self.queue().send(write);
    }

    /// Queues `write`, or drops it where the queue is full: it only saves work.
    pub(super) fn offer(&self, write: Write) {
        let _ = self.queue().try_send(write);
    }

    /// # Errors
    /// `State`: something was not written.
    pub(super) fn flush(&self, health: &Health) -> Result<()> {
        self.ask(Write::Flush, health)
    }

    /// # Errors
    /// `State`: it was not written.
    pub(super) fn forget(&self, what: Forget, health: &Health) -> Result<u64> {
        self.ask(|reply| Write::Forget(what, reply), health)
    }

    /// # Errors
    /// `State`: it was not written.
    pub(super) fn adopt(
        &self,
        account: Account,
        legacy: Option<String>,
        health: &Health,
    ) -> Result<()> {
        self.ask(|reply| Write::Adopt(account, legacy, reply), health)
    }

    fn ask<T>(
        &self,
        write: impl FnOnce(SyncSender<Result<T>>) -> Write,
        health: &Health,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        self.post(write(reply));
        answer.recv().unwrap_or_else(|_| {
            let gone = || {
                Error::new(
                    Kind::State,
                    Operation::Journal,
                    "the journal's writer is gone",
                )
            };
            Err(health.refusal().unwrap_or_else(gone))
        })
    }

    fn queue(&self) -> &SyncSender<Write> {
        self.queue.as_ref().expect("taken in drop only")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writing thread.
struct Clerk {
    connection: Connection,
    health: Arc<Health>,
    unsynced: Unsynced,
}

/// Commits that a power loss would take back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    No,
    Since(Instant),
}

impl Clerk {
    fn serve(mut self, posted: &Receiver<Write>) {
        if let Err(error) = self.prune() {
            self.health.unwritable(error);
        }
        while let Ok(first) = posted.recv() {
            self.keep(Batch::collect(first, posted));
        }
    }

    fn keep(&mut self, mut batch: Batch) {
        let questions = mem::take(&mut batch.questions);
        let done = match self.health.refusal() {
            Some(refusal) => Err(refusal),
            None => self
                .commit(&batch)
                .map_err(|error| self.health.unwritable(error)),
        };
        for question in questions {
            self.answer(question, done.clone());
        }
    }

    fn commit(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        if batch.writes.is_empty() && batch.acks.is_empty() {
            return Ok(());
        }
        let sync = self.sync_for(batch);
        let level = if sync == Sync::Now { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", level)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in &batch.writes {
            write.apply(&transaction)?;
        }
        for (upload, slices) in &batch.acks {
            write::acks(&transaction, *upload, slices)?;
        }
        transaction.commit()?;
        self.unsynced = match (sync, self.unsynced) {
            (Sync::Now, _) => Unsynced::No,
            (Sync::Later, Unsynced::No) => Unsynced::Since(Instant::now()),
            (Sync::Later, since) => since,
        };
        Ok(())
    }

    /// A preuploadID and a finished file must survive a power loss: without the one a whole
    /// upload starts over, without the other `keep-both` makes a second copy. Acks may lag.
    fn sync_for(&self, batch: &Batch) -> Sync {
        let lags = matches!(self.unsynced, Unsynced::Since(then) if then.elapsed() > ACK_LAG);
        let matters = |write: &Write| matches!(write, Write::Begin(..) | Write::Finish(..));
        match lags || !batch.questions.is_empty() || batch.writes.iter().any(matters) {
            true => Sync::Now,
            false => Sync::Later,
        }
    }

    fn answer(&mut self, question: Question, kept: Result<()>) {
        match question {
            Question::Flush(reply) => {
                let synced =
                    kept.and_then(|()| self.sync().map_err(|error| self.health.unwritable(error)));
                let _ = reply.send(synced);
            }
            Question::Adopt(account, legacy, reply) => {
                let adopted = kept.and_then(|()| {
                    self.adopt(&account, legacy.as_deref())
                        .map_err(|error| self.health.unwritable(error))
                });
                let _ = reply.send(adopted);
            }
            Question::Forget(what, reply) => {
                let forgotten = kept.and_then(|()| {
                    self.forget(&what)
                        .map_err(|error| self.health.unwritable(error))
                });
                let _ = reply.send(forgotten);
            }
        }
    }

    /// Folding the log into the database syncs both.
    fn sync(&mut self) -> rusqlite::Result<()> {
        if self.unsynced != Unsynced::No {
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            self.unsynced = Unsynced::No;
        }
        Ok(())
    }

    fn adopt(&mut self, account: &Account, legacy: Option<&str>) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        adopt::adopt(&transaction, account, legacy)?;
        transaction.commit()
    }

    fn forget(&mut self, what: &Forget) -> rusqlite::Result<u64> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let forgotten = write::forget(&transaction, what)?;
        transaction.commit()?;
        self.shrink()?;
        Ok(forgotten)
    }

    fn prune(&mut self) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let looked = write::prune(&transaction)?;
        transaction.commit()?;
        if looked { self.shrink() } else { Ok(()) }
    }

    /// Gives the pages of dropped rows back to the file system.
    fn shrink(&self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

/// What goes into one commit.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    /// Last, and one row each: the order of acks does not matter, nor whether their row is gone.
    acks: BTreeMap<UploadId, Vec<u32>>,
    questions: Vec<Question>,
    len: usize,
}

/// Somebody waits: the batch ends here.
enum Question {
    Adopt(Account, Option<String>, SyncSender<Result<()>>),
    Flush(SyncSender<Result<()>>),
    Forget(Forget, SyncSender<Result<u64>>),
}

impl Batch {
    /// What comes within [`GROUP`] of the first, up to [`ROWS`] or somebody who waits.
    fn collect(first: Write, posted: &Receiver<Write>) -> Batch {
        let until = Instant::now() + GROUP;
        let mut batch = Batch::default();
        batch.add(first);
        while batch.len < ROWS && batch.questions.is_empty() {
            match posted.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(write) => batch.add(write),
                Err(_) => break,
            }
        }
        batch
    }

    fn add(&mut self, write: Write) {
        self.len += 1;
        match write {
            Write::Ack(upload, ack) => self.acks.entry(upload).or_default().push(ack.slice()),
            Write::Flush(reply) => self.questions.push(Question::Flush(reply)),
            Write::Forget(what, reply) => self.questions.push(Question::Forget(what, reply)),
            Write::Adopt(account, legacy, reply) => {
                self.questions.push(Question::Adopt(account, legacy, reply));
            }
            write => self.writes.push(write),
        }
    }
}

impl Write {
    fn apply(&self, db: &Connection) -> rusqlite::Result<()> {
        match self {
            Write::Hashes(path, identity, hashes) => {
                write::hashes(db, path, identity, hashes).map(drop)
            }
            Write::Begin(id, task, md5, created) => write::begin(db, *id, (task, md5), created),
            Write::Abandon(id) => write::abandon(db, *id),
            Write::Finish(task, md5, file_id) => write::finish(db, task, md5, *file_id),
            Write::Seen(task, md5) => write::seen(db, task, md5),
            Write::Used(row) => write::used(db, *row),
            Write::Moved(id, path) => write::moved(db, *id, path),
            Write::ForgetHashes(path) => write::forget_hashes(db, path),
            Write::Ack(..)
            | Write::Release(..)
            | Write::Flush(..)
            | Write::Forget(..)
            | Write::Adopt(..) => Ok(()),
        }
    }
}

/// Long enough to put a burst into one commit, short enough that a kill costs few slices.
const GROUP: Duration = Duration::from_millis(200);

/// Rows in one commit: some 10 ms of work, so that other processes wait no longer for theirs.
const ROWS: usize = 1000;

/// Entries waiting, about half a kilobyte each: 4 MiB, several seconds of a disk that stands still.
const QUEUE: usize = 8192;

/// After a power loss, the acks of the last two seconds may be missing and their slices go again.
const ACK_LAG: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
