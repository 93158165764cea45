//! What all parts of one run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, mpsc};

use super::core::Core;
use super::event::{Event, Progress};
use super::remote::Listings;
use crate::error::Error;
use crate::hash::{Pools, processors};
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
    /// Places for files that are under way.
    pub places: Semaphore,
    /// The conductor has the sender that counts: where it ends, the channel closes.
    events: mpsc::WeakSender<Event>,
}

impl Shared {
    /// A run that is about to start.
    #[must_use]
    pub fn new(
        purpose: Purpose,
        (core, pools): (Arc<Core>, Arc<Pools>),
        events: mpsc::WeakSender<Event>,
    ) -> Arc<Shared> {
        let scope = core.transfer.scope();
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
            places: Semaphore::new(PLACES),
            events,
        })
    }

    /// Tells the reader of the run, who may be gone, as soon as it has taken enough of what was told
    /// before.
    pub async fn tell(&self, event: Event) {
        if let Some(events) = self.events.upgrade() {
            drop(events.send(event).await);
        }
    }

    /// Tells the first of many warnings of one kind, on a thread that may wait for the run's reader.
    pub fn tell_of_similar(&self, warning: Error) {
        if self.similar.fetch_add(1, Ordering::Relaxed) < SIMILAR
            && let Some(events) = self.events.upgrade()
        {
            drop(events.blocking_send(Event::Warning(warning)));
        }
    }

    /// Stops everything that has not been sent yet.
    pub fn drain(&self) {
        self.scope.cancel.cancel();
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
