//! What all parts of one run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use super::core::Core;
use super::event::{Event, Outcome, Progress, Summary, Warning};
use super::remote::Listings;
use crate::error::Error;
use crate::hash::{Pools, processors};
use crate::sync::Mutex;
use crate::transfer::Scope;

/// What becomes of a run's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They are uploaded.
    Upload,
    /// They are compared with what is there.
    Verify,
    /// It is told what an upload would do.
    Plan,
}

/// What the reader of a run is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events")]
pub enum Told {
    /// An event.
    Event(Event),
    /// All of the files that were handed in, so many, have ended, and the run's list as well.
    Idle(u64),
}

/// One run: a set of files on their way.
#[derive(Debug)]
pub struct Shared {
    /// What becomes of the files.
    pub purpose: Purpose,
    /// What all runs of a client share.
    pub core: Arc<Core>,
    /// The threads that hash.
    pub pools: Arc<Pools>,
    /// Counters.
    pub progress: Arc<Progress>,
    /// How its transfers are told to stop, and what they may repeat.
    pub scope: Scope,
    /// What is there at the service, as far as it was asked.
    pub listings: Listings,
    /// How many files are hashed at once to plan them.
    pub comparing: Semaphore,
    /// Paths that are like others, so far.
    similar: AtomicU64,
    /// After an interrupt: how long bodies in flight may take at most.
    grace: Mutex<Duration>,
    /// Places for files that are under way.
    pub places: Semaphore,
    /// The conductor has the sender that counts: where it ends, the channel closes.
    events: mpsc::WeakSender<Told>,
    sums: Mutex<Sums>,
}

/// How the files ended so far, and when the run began and ended.
#[derive(Debug)]
struct Sums {
    files: Summary,
    began: Instant,
    ended: Option<Instant>,
}

impl Shared {
    /// A run that is about to start.
    #[must_use]
    pub fn new(
        purpose: Purpose,
        (core, pools): (Arc<Core>, Arc<Pools>),
        events: mpsc::WeakSender<Told>,
    ) -> Arc<Shared> {
        let scope = core.transfer.scope();
        let grace = Mutex::new(core.options.grace);
        let comparing = core.options.hash_threads.unwrap_or_else(processors);
        Arc::new(Shared {
            purpose,
            core,
            pools,
            progress: Arc::new(Progress::of(&scope)),
            scope,
            listings: Listings::default(),
            comparing: Semaphore::new(comparing),
            similar: AtomicU64::new(0),
            grace,
            places: Semaphore::new(PLACES),
            events,
            sums: Mutex::new(Sums {
                files: Summary::default(),
                began: Instant::now(),
                ended: None,
            }),
        })
    }

    /// Tells the reader of the run, who may be gone, as soon as it has taken enough of what was told
    /// before.
    pub async fn tell(&self, event: Event) {
        self.told(Told::Event(event)).await;
    }

    /// Tells it that nothing is left to do, unless more is added to these `files`.
    pub async fn tell_idle(&self, files: u64) {
        self.told(Told::Idle(files)).await;
    }

    async fn told(&self, told: Told) {
        if let Some(events) = self.events.upgrade() {
            drop(events.send(told).await);
        }
    }

    /// Counts a file that has ended.
    pub fn count(&self, outcome: &Outcome) {
        self.sums.lock().files.count(outcome);
    }

    /// The run takes no more time.
    pub fn ended(&self) {
        self.sums.lock().ended.get_or_insert_with(Instant::now);
    }

    /// The run so far, in numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let sums = self.sums.lock();
        let until = sums.ended.unwrap_or_else(Instant::now);
        Summary {
            elapsed: until.saturating_duration_since(sums.began),
            ..sums.files
        }
    }

    /// Tells the first of many warnings of one kind, on a thread that may wait for the run's reader.
    pub fn tell_of_similar(&self, warning: Error, tag: Option<&Arc<str>>) {
        if self.similar.fetch_add(1, Ordering::Relaxed) < SIMILAR
            && let Some(events) = self.events.upgrade()
        {
            drop(events.blocking_send(Told::Event(Warning::of(warning, tag))));
        }
    }

    /// Stops everything that has not been sent yet.
    pub fn drain(&self) {
        self.scope.cancel.cancel();
    }

    /// The same, where what is in flight has no longer than `most` to land.
    pub fn drain_within(&self, most: Duration) {
        let mut grace = self.grace.lock();
        *grace = most.min(*grace);
        drop(grace);
        self.drain();
    }

    /// How long what is in flight may take to land.
    #[must_use]
    pub fn grace(&self) -> Duration {
        *self.grace.lock()
    }

    /// Whether the run was told to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.scope.cancel.is_cancelled()
    }

    /// Waits until the run is told to stop.
    pub async fn draining(&self) {
        self.scope.cancel.cancelled().await;
    }
}

/// Paths like others that are told one by one; they come in trees.
const SIMILAR: u64 = 10;

/// Files under way at a time, those included that are only listed, and those of which the reader has
/// not taken the end: a hundred bytes or some more each. With more, one list could hold them all.
pub const PLACES: usize = 1 << 15;
