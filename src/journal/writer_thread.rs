//! The thread that writes. In: the queue of facts. Out: commits in groups. Never: a fact given up because the database was
//! busy, full or unreadable for a moment; it is kept, within bounds, and written later.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::batch::{Batch, GROUP, MOST, ROWS};
use super::cell::now;
use super::checkpoint::{self, Checkpoint};
use super::command::{Request, Write};
use super::entry::{Account, Forget};
use super::health::Health;
use super::{Settings, adopt, prune, write};
use crate::error::{Error, Result};

/// The writing thread.
pub(super) struct WriterThread {
    connection: Connection,
    health: Arc<Health>,
    settings: Settings,
    /// What is committed stands there first; the database is in memory then.
    checkpoint: Option<Checkpoint>,
    unsynced: Unsynced,
    /// What is not committed yet.
    pending: Batch,
    /// Set while commits fail.
    pause: Option<Pause>,
    /// Rows written since the size of the database was looked at.
    rows: usize,
}

/// Commits that a power loss would take back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    No,
    Since(Instant),
}

/// No commit is tried before its end, unless a request needs one.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl WriterThread {
    pub(super) fn new(
        connection: Connection,
        health: Arc<Health>,
        settings: Settings,
        checkpoint: Option<Checkpoint>,
    ) -> WriterThread {
        WriterThread {
            connection,
            health,
            settings,
            checkpoint,
            unsynced: Unsynced::No,
            pending: Batch::default(),
            pause: None,
            rows: 0,
        }
    }

    pub(super) fn serve(mut self, posted: &Receiver<Write>) {
        if self.health.is_writable()
            && let Err(error) = self.prune().and_then(|()| self.make_room())
        {
            self.health.failed(error);
        }
        let group = match self.checkpoint {
            Some(_) => CHECKPOINT_GROUP,
            None => GROUP,
        };
        loop {
            match self.next(posted) {
                Ok(first) => self.pending.collect(first, posted, group),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.is_due() || !self.pending.requests.is_empty() {
                self.keep();
            }
        }
        // Once more, unless that was tried a moment ago.
        let tried = self.pause.is_some_and(|pause| pause.until > Instant::now());
        if !tried {
            self.keep();
        }
    }

    fn next(&self, posted: &Receiver<Write>) -> Result<Write, RecvTimeoutError> {
        match self.pause {
            None if self.checkpoint.is_some() => posted.recv_timeout(WATCH),
            None => posted.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => {
                posted.recv_timeout(pause.until.saturating_duration_since(Instant::now()))
            }
        }
    }

    fn is_due(&self) -> bool {
        self.pause.is_none_or(|pause| pause.until <= Instant::now())
    }

    fn keep(&mut self) {
        let requests = self.pending.take_requests();
        let done = match self.health.refusal() {
            Some(refusal) => Err(refusal),
            None => self.commit_pending(!requests.is_empty()),
        };
        if !self.health.is_writable() {
            self.health.lost(self.pending.len());
            self.pending = Batch::default();
        }
        self.health.waits(self.pending.len());
        for request in requests {
            self.answer(request, done.clone());
        }
    }

    fn commit_pending(&mut self, asked: bool) -> Result<()> {
        let batch = std::mem::take(&mut self.pending);
        match self.commit(&batch, asked) {
            Ok(()) => {
                self.health.lost(batch.refused);
                self.rows += batch.rows();
                self.pause = None;
                // Here the places are given back whose files are on disk now.
                drop(batch);
                if self.rows > LOOK_EVERY {
                    self.rows = 0;
                    self.make_room()
                        .map_err(|error| self.health.failed(error))?;
                }
                Ok(())
            }
            Err(error) => {
                let length = self.pause.map_or(FIRST_PAUSE, |pause| 2 * pause.length);
                let length = length.min(LONGEST_PAUSE);
                self.pause = Some(Pause {
                    until: Instant::now() + length,
                    length,
                });
                if batch.refused > 0 {
                    self.health.overflow(MOST);
                }
                self.pending = batch;
                Err(match error {
                    Unkept::Database(error) => self.health.failed(error),
                    Unkept::File(error) => self.health.held_up(error),
                    Unkept::Lost(error) => self.health.superseded(error),
                })
            }
        }
    }

    fn commit(&mut self, batch: &Batch, asked: bool) -> Result<(), Unkept> {
        let at = now(self.settings.ahead);
        match &mut self.checkpoint {
            // It may have become another run's meanwhile.
            Some(checkpoint) if batch.is_empty() => return Ok(checkpoint.hold()?),
            Some(checkpoint) => checkpoint.append(batch, at)?,
            None => {}
        }
        if batch.is_empty() {
            return Ok(());
        }
        let sync = self.sync_for(batch, asked);
        let level = if sync == Sync::Now { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", level)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        batch.apply(&transaction, at)?;
        transaction.commit()?;
        self.health.committed();
        self.unsynced = match (sync, self.unsynced) {
            (Sync::Now, _) => Unsynced::No,
            (Sync::Later, Unsynced::No) => Unsynced::Since(Instant::now()),
            (Sync::Later, since) => since,
        };
        Ok(())
    }

    /// A preuploadID and a finished file must survive a power loss: without the one a whole
    /// upload starts over, without the other `keep-both` makes a second copy. Acks may lag.
    fn sync_for(&self, batch: &Batch, asked: bool) -> Sync {
        let lags = matches!(self.unsynced, Unsynced::Since(then) if then.elapsed() > ACK_LAG);
        let matters = |write: &Write| matches!(write, Write::Begin(..) | Write::Finish(..));
        match lags || asked || batch.writes.iter().any(matters) {
            true => Sync::Now,
            false => Sync::Later,
        }
    }

    fn answer(&mut self, request: Request, kept: Result<()>) {
        // The asking thread may have stopped waiting.
        match request {
            Request::Flush(reply) => {
                let synced =
                    kept.and_then(|()| self.sync().map_err(|error| self.health.failed(error)));
                let _ = reply.send(synced);
            }
            Request::TakeOver(account, reply) => {
                let taken = kept.and_then(|()| self.take_over(&account));
                let _ = reply.send(taken);
            }
            Request::Adopt(account, legacy, reply) => {
                let adopted = kept.and_then(|()| {
                    self.adopt(&account, legacy.as_deref())
                        .map_err(|error| self.health.failed(error))
                });
                let _ = reply.send(adopted);
            }
            Request::Forget(what, reply) => {
                let forgotten = kept.and_then(|()| {
                    self.forget(&what)
                        .map_err(|error| self.health.failed(error))
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

    /// Makes the checkpoint this run's own, and puts what stands in it into the database.
    fn take_over(&mut self, account: &Account) -> Result<()> {
        let (connection, health) = (&mut self.connection, &self.health);
        let mut keep = |batch: &Batch, at| -> rusqlite::Result<()> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            batch.apply(&transaction, at)?;
            transaction.commit()
        };
        match &mut self.checkpoint {
            Some(checkpoint) => checkpoint.take_over(account, |batch, at| {
                keep(batch, at).map_err(|error| health.explain(error))
            }),
            None => Ok(()),
        }
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

    /// Drops unfinished uploads that were not resumed for long.
    fn prune(&mut self) -> rusqlite::Result<()> {
        let now = now(self.settings.ahead);
        if !prune::is_due(&self.connection, now)? {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let dropped = prune::stale(&transaction, now)?;
        transaction.commit()?;
        if dropped > 0 {
            self.health.dropped(format_args!(
                "{dropped} unfinished uploads that were not resumed for {} days were dropped",
                prune::UPLOAD_DAYS
            ));
        }
        Ok(())
    }

    /// Drops what was not of use for longest where the database is larger than it may be.
    fn make_room(&mut self) -> rusqlite::Result<()> {
        let (mut files, mut finished) = (0, 0);
        // Rows leave gaps in the indexes, so that a share of the rows is less of the bytes.
        loop {
            let victims = prune::victims(&self.connection, self.settings.limit)?;
            if victims.is_empty() {
                break;
            }
            files += victims.len();
            finished += self.drop_files(&victims)?;
        }
        if files > 0 {
            self.shrink()?;
            self.health.dropped(format_args!(
                "it was larger than its limit of {} bytes: the {files} files that were not seen \
                 for longest were dropped, {finished} finished uploads of them among it",
                self.settings.limit,
            ));
        }
        Ok(())
    }

    /// Drops files, some at a time so that others may write too; how many finished uploads of
    /// theirs went with them.
    fn drop_files(&mut self, files: &[i64]) -> rusqlite::Result<usize> {
        for some in files.chunks(ROWS) {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            prune::drop_files(&transaction, some)?;
            transaction.commit()?;
        }
        write::drop_orphans(&self.connection)
    }

    /// Gives the pages of dropped rows back to the file system.
    fn shrink(&self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

/// Why a batch is not kept.
enum Unkept {
    Database(rusqlite::Error),
    /// The checkpoint cannot be written, or looked at, for the moment.
    File(Error),
    /// It is another run's.
    Lost(Error),
}

impl From<rusqlite::Error> for Unkept {
    fn from(error: rusqlite::Error) -> Unkept {
        Unkept::Database(error)
    }
}

impl From<checkpoint::Failure> for Unkept {
    fn from(failure: checkpoint::Failure) -> Unkept {
        match failure {
            checkpoint::Failure::Passing(error) => Unkept::File(error),
            checkpoint::Failure::Lost(error) => Unkept::Lost(error),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

/// After a power loss, the acks of the last two seconds may be missing and their slices go again.
const ACK_LAG: Duration = Duration::from_secs(2);

/// Acks that a kill costs are those of so long, and of the fsync before it.
const CHECKPOINT_GROUP: Duration = Duration::from_millis(50);

/// How often a run that has nothing to write looks whether the checkpoint is still its own.
const WATCH: Duration = Duration::from_secs(1);

/// How long a commit that failed waits for its next try, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Rows between two looks at the size of the database, about 10 MB of it.
const LOOK_EVERY: usize = 20_000;

#[cfg(test)]
mod tests;
