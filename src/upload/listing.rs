//! The lists of a run's files. In: the caller's items. Out: each one's admission, handed to the hash
//! engine; the end of those whose remote path is taken. Never: a file that is opened.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OnceCell, SemaphorePermit};

use super::Item;
use super::admit::{Admission, Admitted, Ended};
use super::broken::{broken, nameless};
use super::event::Progress;
use super::handle::FileGuard;
use super::run::Shared;
use super::targets::{Claimed, Targets};
use crate::error::{Error, Operation, Result};
use crate::hash::{self, Intake, Job, Running, Settings, Size, Slices, Watch};
use crate::sync::Mutex;
use crate::transfer::Cancel;

/// Which thread goes through the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lister {
    /// One of its own, for a list that may block for as long as it likes. No blocking thread of tokio's:
    /// a runtime that is dropped waits for those.
    OwnThread,
    /// One that hashes, for a list that does not block.
    Pool,
}

/// An item of a list, and the run's part of its handle, where it has one.
#[derive(Debug)]
pub struct Entry {
    /// The item.
    pub item: Item,
    /// The run's part of its handle.
    pub guard: Option<FileGuard>,
}

impl From<Item> for Entry {
    fn from(item: Item) -> Entry {
        Entry { item, guard: None }
    }
}

/// The way from a list to the hash engine, which all lists of a run share. Where all are gone, no more files
/// come.
pub struct Way {
    shared: Arc<Shared>,
    targets: Mutex<Targets>,
    account: OnceCell<Result<()>>,
    intake: Intake<Admission>,
    out: Sender<Admitted>,
}

impl Way {
    /// The run.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

/// Starts to hash `items`, as far ahead of the network as the run's shares allow. What comes of them goes
/// to `out`, which is closed after the last one of all lists. Dropping the first answer stops it.
///
/// # Errors
/// Where no thread can be started.
pub fn start(
    shared: &Arc<Shared>,
    (items, lister): (impl Iterator<Item = Item> + Send + 'static, Lister),
    out: Sender<Admitted>,
) -> Result<(Running<Admission>, Arc<Way>)> {
    let core = &shared.core;
    let settings = Settings {
        source: core.source_settings,
        slices: Slices::Likely(Arc::clone(&core.slice_size)),
        small_batch: SMALL_AHEAD,
    };
    let small = Size {
        files: core.shares.small,
        bytes: SMALL_AHEAD,
    };
    let large = Size {
        files: core.shares.large,
        bytes: LARGE_AHEAD,
    };
    let watch = Watch {
        hashed: Arc::clone(&shared.progress.hashed),
        stop: Arc::clone(shared.scope.cancel.flag()),
        own: None,
    };
    let (intake, running) = hash::start(Arc::clone(&shared.pools), settings, [small, large], watch);
    let way = Arc::new(Way {
        shared: Arc::clone(shared),
        targets: Mutex::new(Targets::new(core.options.on_conflict)),
        account: OnceCell::new(),
        intake,
        out,
    });
    let (way_of_list, runtime) = (Arc::clone(&way), Handle::current());
    let list = move |place: Place| {
        list((&way_of_list, &runtime), items.map(Entry::from), place);
        way_of_list.listed();
    };
    match lister {
        Lister::OwnThread => hash::spawn("panup-list", move || list(Place::Taken))?,
        Lister::Pool => shared.pools.small().spawn_fifo(move || list(Place::Free)),
    }
    Ok((running, way))
}

/// Hands on `entries` as well, which were counted before, on a thread of their own.
///
/// # Errors
/// Where no thread can be started.
pub fn follow(
    way: &Arc<Way>,
    runtime: &Handle,
    entries: impl Iterator<Item = Entry> + Send + 'static,
) -> Result<()> {
    let (way, runtime) = (Arc::clone(way), runtime.clone());
    // Of a run that takes no more, each is told as cut off.
    let hand_on = move |entry| {
        way.take((entry, &runtime), Place::Taken);
    };
    hash::spawn("panup-add", move || entries.for_each(hand_on))
}

/// Whether a file waits for a place among those that may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It does, and gives it back when it has ended.
    Taken,
    /// There is one in any case.
    Free,
}

fn list((way, runtime): (&Way, &Handle), entries: impl Iterator<Item = Entry>, place: Place) {
    let all = AssertUnwindSafe(|| {
        for entry in entries {
            Progress::add(&way.shared.progress.files, 1);
            if !way.take((entry, runtime), place) {
                return;
            }
        }
    });
    if catch_unwind(all).is_err() {
        // A run without the rest is no success.
        Progress::add(&way.shared.progress.files, 1);
        let outcome = nameless(broken(Operation::Read).context("listing the files"));
        drop(
            way.out
                .try_send(Admitted::Ended(Box::new(Ended::of(outcome)))),
        );
    }
}

impl Way {
    /// Takes a file that was counted; `false` where no more are wanted. It is told how it ended in any case.
    fn take(&self, (entry, runtime): (Entry, &Handle), place: Place) -> bool {
        let shared = &self.shared;
        let admission = self.admission(entry);
        // Dropped, it is told as cut off.
        let goes_on = place == Place::Free || runtime.block_on(self.place());
        if !goes_on || shared.is_draining() {
            return false;
        }
        let account = self.account.get_or_init(|| settle_account(shared));
        let account = runtime.block_on(account);
        self.hand_on(admission, account)
    }

    /// Waits for a place, and for the end of a pause; `false` where the run ends before.
    async fn place(&self) -> bool {
        tokio::select! {
            () = self.shared.scope.pause.over() => {}
            () = self.shared.draining() => return false,
        }
        // Given back when the file has ended.
        let place = self.shared.places.acquire().await;
        place.map(SemaphorePermit::forget).is_ok()
    }

    /// An item that the run has taken.
    fn admission(&self, entry: Entry) -> Admission {
        let Entry { item, guard } = entry;
        let (size, is_file) = item.first_guess();
        Progress::add(&self.shared.progress.bytes, size);
        if let Some(guard) = &guard {
            guard.sized(size);
        }
        Admission::new(&self.shared, &self.out, (item, size, is_file), guard)
    }

    /// Hands an item on; `false` where no more are wanted. What cannot be uploaded anyway claims no remote
    /// path.
    fn hand_on(&self, admission: Admission, account: &Result<()>) -> bool {
        let claimed = match account {
            Ok(()) if admission.is_uploadable() => self.targets.lock().claim(admission.item()),
            Ok(()) => Ok(Claimed::New),
            Err(error) => Err(error.clone()),
        };
        match claimed {
            Ok(Claimed::New) => {
                admission.expected();
                return self.intake.push(admission);
            }
            Ok(Claimed::Similar(first)) => {
                admission.similar(&first);
                admission.expected();
                return self.intake.push(admission);
            }
            // The same file was handed in for the same place before.
            Ok(Claimed::Again(first)) => admission.again(&first),
            Err(error) => admission.failed(error),
        }
        true
    }

    /// The run's own list has ended.
    fn listed(&self) {
        self.shared
            .progress
            .is_listed
            .store(true, Ordering::Relaxed);
        drop(self.out.try_send(Admitted::Listed));
    }
}

/// Without the account's name nothing can be looked up in the journal: every file then ends with what
/// keeps it from being known, which ends the run.
async fn settle_account(shared: &Shared) -> Result<()> {
    tokio::select! {
        settled = shared.core.settle_account() => settled.map_err(Error::of_the_run),
        () = shared.draining() => Err(Cancel::error()),
    }
}

/// Bytes of small files in memory at once, hashed and not yet uploaded.
const SMALL_AHEAD: u64 = 24 << 20;

/// Bytes of mapped files hashed and not yet uploaded: what the page cache is likely to still hold
/// when it is sent.
const LARGE_AHEAD: u64 = 4 << 30;
