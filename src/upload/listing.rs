//! The list of a run's files. In: the caller's items. Out: each one's admission, handed to the hash
//! engine; the end of those whose remote path is taken. Never: a file that is opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::sync::SemaphorePermit;
use tokio::sync::mpsc::Sender;

use super::Item;
use super::admit::{Admission, Admitted};
use super::broken::{broken, nameless};
use super::event::Progress;
use super::run::Shared;
use super::targets::{Claimed, Targets};
use crate::error::{Error, Operation, Result};
use crate::hash::{self, Intake, Job, Running, Settings, Size, Slices, Watch};
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

/// Starts to hash `items`, as far ahead of the network as the run's shares allow. What comes of them goes
/// to `out`, which is closed after the last one. Dropping the answer stops it.
///
/// # Errors
/// Where no thread can be started.
pub fn start(
    shared: &Arc<Shared>,
    (items, lister): (impl Iterator<Item = Item> + Send + 'static, Lister),
    out: Sender<Admitted>,
) -> Result<Running<Admission>> {
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
    };
    let (intake, running) = hash::start(Arc::clone(&shared.pools), settings, [small, large], watch);
    let (run, runtime) = (Arc::clone(shared), Handle::current());
    match lister {
        Lister::OwnThread => {
            let list = move || {
                let place = || runtime.block_on(run.places.acquire()).is_ok_and(keep);
                list((&run, &runtime), (items, place), &intake, &out);
            };
            hash::spawn("panup-list", list)?;
        }
        Lister::Pool => {
            let list = move || list((&run, &runtime), (items, || true), &intake, &out);
            shared.pools.small().spawn_fifo(list);
        }
    }
    Ok(running)
}

/// The place is given back when the file has ended.
fn keep(place: SemaphorePermit<'_>) -> bool {
    place.forget();
    true
}

fn list(
    (shared, runtime): (&Arc<Shared>, &Handle),
    (items, place): (impl Iterator<Item = Item>, impl Fn() -> bool),
    intake: &Intake<Admission>,
    out: &Sender<Admitted>,
) {
    let all = AssertUnwindSafe(|| {
        let mut targets = Targets::new(shared.core.options.on_conflict);
        let account = runtime.block_on(settle_account(shared));
        for item in items {
            let admission = counted(shared, item, out);
            // Dropped, it is told as cut off.
            let goes_on = place() && !shared.is_draining();
            if !goes_on || !hand_on(admission, &account, &mut targets, intake) {
                return;
            }
        }
    });
    let ended = catch_unwind(all);
    shared.progress.is_listed.store(true, Ordering::Relaxed);
    if ended.is_err() {
        // A run without the rest is no success.
        let outcome = nameless(broken(Operation::Read).context("listing the files"));
        drop(out.try_send(Admitted::Ended(Box::new(outcome))));
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

/// An item that the run has taken: it is told how it ended.
fn counted(shared: &Arc<Shared>, item: Item, out: &Sender<Admitted>) -> Admission {
    let (size, is_file) = item.first_guess();
    Progress::add(&shared.progress.files, 1);
    Progress::add(&shared.progress.bytes, size);
    Admission::new(shared, out, (item, size, is_file))
}

/// Hands an item on; `false` where no more are wanted. What cannot be uploaded anyway claims no remote
/// path.
fn hand_on(
    admission: Admission,
    account: &Result<()>,
    targets: &mut Targets,
    intake: &Intake<Admission>,
) -> bool {
    let claimed = match account {
        Ok(()) if admission.is_uploadable() => targets.claim(admission.item()),
        Ok(()) => Ok(Claimed::New),
        Err(error) => Err(error.clone()),
    };
    match claimed {
        Ok(Claimed::New) => {
            admission.expected();
            return intake.push(admission);
        }
        Ok(Claimed::Similar(first)) => {
            admission.similar(&first);
            admission.expected();
            return intake.push(admission);
        }
        // The same file was handed in for the same place before.
        Ok(Claimed::Again(first)) => admission.again(&first),
        Err(error) => admission.failed(error),
    }
    true
}

/// Bytes of small files in memory at once, hashed and not yet uploaded.
const SMALL_AHEAD: u64 = 24 << 20;

/// Bytes of mapped files hashed and not yet uploaded: what the page cache is likely to still hold
/// when it is sent.
const LARGE_AHEAD: u64 = 4 << 30;
