//! A large file's slices, from the map to their acknowledgements. The pool hashes them a group at a
//! time, some way ahead, into a bounded channel; each is then sent by a task of its own. All those
//! tasks belong to the file's task: when that ends or is dropped, they end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use super::broken::{broken, trip};
use super::contents::Contents;
use super::core::{READ_AHEAD_UNIT, READ_AHEAD_UNITS};
use super::event::Progress;
use super::run::Shared;
use super::under_way::FileWatch;
use crate::digest::{self, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::hash;
use crate::journal::{Ack, UploadId};
use crate::plan::{Left, Plan};
use crate::policy::{Repeat, RetryBudget};
use crate::service::SliceCall;
use crate::source::Source;
use crate::sync::Mutex;
use crate::transfer::{Boxed, Cancel, Content, Permit, Route, ServerSet, Terms};

/// A file that the service waits for in slices.
#[derive(Debug)]
pub struct SlicedFile {
    /// The run that it belongs to.
    pub shared: Arc<Shared>,
    /// The file.
    pub source: Source,
    /// What it held when it was hashed.
    pub contents: Arc<Contents>,
    /// The upload's name at the service.
    pub preupload_id: Arc<str>,
    /// How the file is cut.
    pub plan: Plan,
    /// Slices of files with a higher one set out before.
    pub priority: i8,
    /// The servers that take its slices.
    pub servers: ServerSet,
    /// Content bytes that went over the wire for this file.
    pub sent: Arc<AtomicU64>,
    /// Repeats left to this file.
    pub budget: Arc<Mutex<RetryBudget>>,
    /// The journal's name for this upload.
    pub journal: UploadId,
    /// The slices' MD5s, where they are known.
    pub md5s: Option<Vec<Md5>>,
    /// The path by which the journal knows the MD5s, where they are an earlier run's.
    pub remembered: Option<PathBuf>,
    /// Shows how far it is.
    pub watch: Arc<FileWatch>,
    /// Content bytes counted as acknowledged in the run's progress.
    pub counted: AtomicU64,
}

/// A slice that is ready to be sent: its number, its MD5, its bytes where they lie.
#[derive(Debug)]
struct Slice {
    number: u32,
    md5: Md5,
    content: Bytes,
    /// Its part of the read-ahead, held until it has a permit.
    ahead: OwnedSemaphorePermit,
}

impl SlicedFile {
    /// Sends the slices that are `left`. After an interrupt what is in flight may land.
    ///
    /// # Errors
    /// That of the first slice that failed for good; [`Kind::Cancelled`].
    pub async fn send(self: &Arc<Self>, left: Left) -> Result<()> {
        let waiting = Arc::new(Waiting::new(&self.shared, left.len()));
        let (sender, hashed) = channel();
        let mut ahead = std::pin::pin!(self.hash_ahead(left, sender));
        // Dropped when no more slices are to be sent, so that the pool does not wait for a receiver.
        let (mut hashing, mut hashed) = (true, Some(hashed));
        let (mut sending, mut cancelled) = (JoinSet::new(), None);
        while hashed.is_some() || !sending.is_empty() {
            tokio::select! {
                outcome = &mut ahead, if hashing => {
                    hashing = false;
                    outcome?;
                }
                slice = next(hashed.as_ref()), if hashed.is_some() => match slice {
                    Some(slice) => {
                        // Asked for here, so that slices set out in their order.
                        let permit = self.shared.core.transfer.permit(self.priority);
                        let waiting = Arc::clone(&waiting);
                        let span = tracing::debug_span!(
                            "slice",
                            number = slice.number,
                            bytes = slice.content.len()
                        );
                        let sent = Arc::clone(self).send_slice(slice, permit, waiting);
                        sending.spawn(sent.instrument(span));
                    }
                    None => hashed = None,
                },
                Some(ended) = sending.join_next() => match ended.unwrap_or_else(panicked) {
                    // The others in flight may still land.
                    Err(error) if error.kind() == Kind::Cancelled => cancelled = Some(error),
                    outcome => outcome?,
                },
                () = self.shared.draining(), if cancelled.is_none() => {
                    cancelled = Some(Cancel::error());
                }
            }
            if cancelled.is_some() {
                (hashing, hashed) = (false, None);
            }
        }
        cancelled.map_or(Ok(()), Err)
    }

    /// Has the pool hash one group after the other, as the read-ahead has room.
    async fn hash_ahead(self: &Arc<Self>, mut left: Left, sender: SliceSender) -> Result<()> {
        while !left.is_empty() {
            let numbers = self.next_group(&left);
            let bytes = numbers.iter().map(|&number| self.plan.length(number)).sum();
            let room = Arc::clone(&self.shared.core.read_ahead);
            let units = units(bytes).min(READ_AHEAD_UNITS as u32);
            let ahead = room.acquire_many_owned(units).await;
            let ahead = ahead.expect("the semaphore is never closed");
            let (file, sender) = (Arc::clone(self), sender.clone());
            let (done, count) = tokio::sync::oneshot::channel();
            self.shared.pools.slices().spawn_fifo(move || {
                let hashed = catch_unwind(AssertUnwindSafe(|| file.hash(&numbers, ahead)));
                let hashed = hashed.unwrap_or_else(|_| Err(broken(Operation::Read)));
                let count = hashed.map(|slices| sender.send(slices));
                drop(done.send(count));
            });
            let count = count
                .await
                .unwrap_or_else(|_| Err(broken(Operation::Read)))?;
            left.take_off(count);
        }
        Ok(())
    }

    fn next_group(&self, left: &Left) -> Vec<u32> {
        let most = hash::group_size(self.plan.slice_size());
        left.numbers().take(most).collect()
    }

    /// The slices of these `numbers`, or the first of them where memory is short.
    fn hash(&self, numbers: &[u32], mut ahead: OwnedSemaphorePermit) -> Result<Vec<Slice>> {
        trip::here(trip::Step::Feed, self.source.path())?;
        let ranges: Vec<_> = numbers.iter().map(|&n| self.plan.range(n)).collect();
        let memory = &self.shared.core.memory;
        let hashed = hash::slices(&self.source, &ranges, self.known_md5s(numbers), memory)?;
        let slices = numbers.iter().zip(hashed);
        let slices = slices.map(|(&number, (md5, content))| {
            let share = units(content.len() as u64) as usize;
            let share = share.min(ahead.num_permits());
            Slice {
                number,
                md5,
                content,
                ahead: ahead.split(share).expect("as many as there are"),
            }
        });
        Ok(slices.collect())
    }

    fn known_md5s(&self, numbers: &[u32]) -> Option<Vec<Md5>> {
        let known = self.md5s.as_ref()?;
        let md5 = |&number: &u32| known.get(number as usize - 1).copied();
        numbers.iter().map(md5).collect()
    }

    /// Sends one slice until it is acknowledged.
    async fn send_slice(
        self: Arc<Self>,
        slice: Slice,
        permit: impl Future<Output = Permit> + Send,
        waiting: Arc<Waiting>,
    ) -> Result<()> {
        let (transfer, scope) = (&self.shared.core.transfer, &self.shared.scope);
        let permit = tokio::select! {
            permit = permit => permit,
            () = scope.cancel.cancelled() => return Err(Cancel::error()),
        };
        drop(slice.ahead);
        waiting.one_left();
        trip::here(trip::Step::Slice, self.source.path())?;
        let terms = Terms {
            scope,
            repeat: Repeat::Safe,
            budget: &self.budget,
            waits: Some(self.watch.waits()),
            priority: self.priority,
        };
        let route = Route {
            servers: &self.servers,
            sent: &self.sent,
            content: &*self,
        };
        let length = slice.content.len() as u64;
        let call = SliceCall {
            preupload_id: Arc::clone(&self.preupload_id),
            number: slice.number,
            md5: slice.md5,
            content: slice.content,
        };
        transfer.slice(terms, call, (&route, permit)).await?;
        let journal = &self.shared.core.journal;
        journal.ack(self.journal, Ack::new(slice.number));
        self.watch.acked(length);
        self.count(length);
        Ok(())
    }

    /// Shows `bytes` as acknowledged: sent just now, or in an earlier run.
    pub fn count(&self, bytes: u64) {
        self.counted.fetch_add(bytes, Ordering::Relaxed);
        Progress::add(&self.shared.progress.acked, bytes);
    }

    /// Takes back what was counted: the file begins anew.
    pub fn uncount(&self) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        Progress::sub(&self.shared.progress.acked, counted);
    }
}

impl Content for SlicedFile {
    fn check(&self, operation: Operation) -> Boxed<'_, Result<()>> {
        Box::pin(self.contents.check(&self.shared, operation))
    }

    /// The service refused the MD5: the bytes are hashed again where they lie. Another MD5 than before
    /// means that they changed, whatever the file's times say; or, where it came from the journal, that
    /// the journal is wrong. Then the end will tell whether the whole file's is as well.
    fn rehash(&self, slice: SliceCall) -> Boxed<'_, Result<Md5>> {
        Box::pin(async move {
            let again = tokio::task::spawn_blocking(move || digest::md5(&slice.content)).await;
            match (again, &self.remembered) {
                (Ok(md5), _) if md5 == slice.md5 => Ok(md5),
                (Ok(md5), Some(path)) => {
                    self.shared.core.journal.forget_hashes(path);
                    Ok(md5)
                }
                _ => {
                    let message = "the contents changed while the file was sent";
                    let error = Error::new(Kind::Source, Operation::Check, message);
                    Err(error.with_path(self.source.path()).with_slice(slice.number))
                }
            }
        })
    }
}

fn panicked(error: JoinError) -> Result<()> {
    if error.is_cancelled() {
        return Err(Cancel::error());
    }
    Err(broken(Operation::Slice))
}

/// How much of the read-ahead so many bytes take.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(READ_AHEAD_UNIT)).unwrap_or(u32::MAX)
}

/// The pool's end of the channel of hashed slices.
#[derive(Debug, Clone)]
struct SliceSender {
    /// `None` once it is dropped.
    slices: Option<Sender<Slice>>,
    ready: Arc<Notify>,
}

/// The senders' end.
#[derive(Debug)]
struct SliceReceiver {
    slices: Receiver<Slice>,
    ready: Arc<Notify>,
}

/// A channel that takes one group. The file's task empties it at once, so that the pool hardly waits.
fn channel() -> (SliceSender, SliceReceiver) {
    let ((sender, receiver), ready) = (bounded(hash::GROUP), Arc::new(Notify::new()));
    let hashing = SliceSender {
        slices: Some(sender),
        ready: Arc::clone(&ready),
    };
    let hashed = SliceReceiver {
        slices: receiver,
        ready,
    };
    (hashing, hashed)
}

impl SliceSender {
    /// How many there were. Without a receiver they are not wanted any more.
    fn send(&self, slices: Vec<Slice>) -> usize {
        let count = slices.len();
        for slice in slices {
            drop(self.slices.as_ref().map(|sender| sender.send(slice)));
        }
        self.ready.notify_one();
        count
    }
}

impl Drop for SliceSender {
    fn drop(&mut self) {
        // Before the word that there is something to see, or the receiver would see nothing.
        self.slices.take();
        self.ready.notify_one();
    }
}

/// The next slice; `None` when no more can come.
async fn next(hashed: Option<&SliceReceiver>) -> Option<Slice> {
    let hashed = hashed?;
    loop {
        match hashed.slices.try_recv() {
            Ok(slice) => return Some(slice),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => hashed.ready.notified().await,
        }
    }
}

/// The file's part of the run's count of slices that have no permit yet.
#[derive(Debug)]
struct Waiting {
    shared: Arc<Shared>,
    left: AtomicU64,
}

impl Waiting {
    fn new(shared: &Arc<Shared>, count: usize) -> Waiting {
        let count = count as u64;
        shared.scope.waiting.fetch_add(count, Ordering::Relaxed);
        Waiting {
            shared: Arc::clone(shared),
            left: AtomicU64::new(count),
        }
    }

    fn one_left(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
        self.shared.scope.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = self.left.load(Ordering::Relaxed);
        self.shared.scope.waiting.fetch_sub(left, Ordering::Relaxed);
    }
}
