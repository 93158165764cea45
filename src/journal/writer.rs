//! The queue to the thread that writes. In: facts, from any thread. Out: the same facts, in order.
//! Never: a thread of the pipeline that waits for the disk, but for one thousands of entries ahead.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::Settings;
use super::checkpoint::Checkpoint;
use super::command::{Request, Write};
use super::entry::{Account, Forget};
use super::health::Health;
use super::writer_thread::WriterThread;
use crate::error::{Error, Kind, Operation, Result};
use crate::sync::Mutex;

/// The way to the writing thread. Dropping it writes what is queued and waits for that, for as long
/// as a disk that works may take.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Write>>,
    /// Nothing ever comes; it breaks when the thread has ended.
    ended: Mutex<Receiver<()>>,
    health: Arc<Health>,
    longest: Duration,
}

impl Writer {
    /// # Errors
    /// `State`: no thread could be started.
    pub(super) fn start(
        connection: Connection,
        health: Arc<Health>,
        settings: Settings,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Writer> {
        let (queue, posted) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(0);
        let thread = WriterThread::new(connection, Arc::clone(&health), settings, checkpoint);
        thread::Builder::new()
            .name("panup-journal".into())
            .spawn(move || {
                thread.serve(&posted);
                drop(end);
            })
            .map_err(|error| Error::new(Kind::State, Operation::Journal, error.to_string()))?;
        Ok(Writer {
            queue: Some(queue),
            ended: Mutex::new(ended),
            health,
            // One commit that is under way, and one that is asked for, each with its wait.
            longest: 2 * settings.patience + DISK,
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
    /// `State`: something was not written, or the disk does not answer.
    pub(super) fn flush(&self) -> Result<()> {
        let (reply, answer) = sync_channel(1);
        self.post(Write::Request(Request::Flush(reply)));
        match answer.recv_timeout(self.longest) {
            Ok(flushed) => flushed,
            Err(RecvTimeoutError::Timeout) => Err(self.health.silent(self.longest)),
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// # Errors
    /// `State`: it was not written.
    pub(super) fn forget(&self, what: Forget) -> Result<u64> {
        self.ask(|reply| Request::Forget(what, reply))
    }

    /// # Errors
    /// `State`: it was not written.
    pub(super) fn adopt(&self, account: Account, legacy: Option<String>) -> Result<()> {
        self.ask(|reply| Request::Adopt(account, legacy, reply))
    }

    /// # Errors
    /// As [`Checkpoint::take_over`].
    pub(super) fn take_over(&self, account: Account) -> Result<()> {
        self.ask(|reply| Request::TakeOver(account, reply))
    }

    fn ask<T>(&self, request: impl FnOnce(SyncSender<Result<T>>) -> Request) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        self.post(Write::Request(request(reply)));
        answer.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> Error {
        let gone = "the journal's writer is gone";
        let gone = || Error::new(Kind::State, Operation::Journal, gone);
        self.health.refusal().unwrap_or_else(gone)
    }

    fn queue(&self) -> &SyncSender<Write> {
        self.queue.as_ref().expect("taken in drop only")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        // A disk that does not answer keeps its own thread waiting, not the one that drops this.
        let ended = self.ended.get_mut();
        let _ = ended.recv_timeout(self.longest);
    }
}

/// Entries waiting, about half a kilobyte each: 4 MiB, several seconds of a disk that stands still.
const QUEUE: usize = 8192;

/// The longest that a disk that works takes for a commit. An emulated processor is not a slow disk, so tests wait
/// for longer.
const DISK: Duration = Duration::from_secs(if cfg!(test) { 300 } else { 5 });
