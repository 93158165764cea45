//! What is there already: listings of the remote folders that a run goes to, each read once. In: where a
//! file goes and what it holds. Out: what stands there. Never: a call where the account may not list.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::time::Instant;

use super::folder::{Absence, Folder, MOST_ENTRIES, Needed, Standing, Wanted, is_too_large};
use crate::error::{Error, Kind, Operation, Result};
use crate::sync::Mutex;
use crate::transfer::{Scope, Transfer};
use crate::wire::Remote;

/// The listings of a run.
#[derive(Debug, Default)]
pub struct Listings {
    /// By the id of the folder that paths are below, and the path.
    folders: Mutex<HashMap<(i64, String), Arc<Folder>>>,
    /// Files of the run that go to each folder, as far as they are known, by a hash of the folder.
    wanted: Mutex<HashMap<u64, u32>>,
    /// The sum of them.
    files: AtomicUsize,
    hasher: RandomState,
    /// Entries remembered, in all folders.
    entries: Arc<AtomicUsize>,
    /// Why nothing is listed any more.
    refused: Mutex<Option<Error>>,
    failures: AtomicU32,
    similar: AtomicU32,
}

/// How far the service is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Nothing is asked that would take more calls than there are files for the folder.
    Cheap,
    /// Folders are listed to their end.
    Thorough,
    /// The same, by listings that begin from this moment on.
    Since(Instant),
}

impl Listings {
    /// A file of the run goes to `remote` below `parent`.
    pub fn expect(&self, parent: i64, remote: &str) {
        let folder = remote.rsplit_once('/').map_or("", |(folder, _)| folder);
        let key = self.key(parent, folder);
        self.files.fetch_add(1, Ordering::Relaxed);
        *self.wanted.lock().entry(key).or_default() += 1;
    }

    /// How many files of the run are known.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.load(Ordering::Relaxed)
    }

    /// How many of them go to the folder of `remote`.
    fn expected(&self, remote: &Remote) -> u32 {
        let key = self.key(remote.parent(), remote.folder());
        self.wanted.lock().get(&key).copied().unwrap_or_default()
    }

    /// Why nothing is listed any more.
    #[must_use]
    pub fn refused(&self) -> Option<Error> {
        self.refused.lock().clone()
    }

    /// Whether one more name that is similar to another is told: a run of a million files has a screen's
    /// worth of them told.
    #[must_use]
    pub fn tells_similar(&self) -> bool {
        self.similar.fetch_add(1, Ordering::Relaxed) < MOST_SIMILAR
    }

    /// What stands at the place of `wanted`. A call that fails makes it unknown; one that is refused
    /// ends all asking.
    ///
    /// # Errors
    /// The refusal, once; a folder that is too large, once; [`Kind::Cancelled`]; a login that failed, or a
    /// token that may be refused.
    pub async fn look(
        &self,
        (transfer, scope): (&Transfer, &Scope),
        wanted: Wanted<'_>,
        effort: Effort,
    ) -> Result<Standing> {
        if self.refused.lock().is_some() {
            return Ok(Standing::Unknown);
        }
        match self.ask((transfer, scope), wanted, effort).await {
            Ok(standing) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(standing)
            }
            Err(error) if is_not_of_listing(&error) || is_too_large(&error) => Err(error),
            // The token may be to blame, and not the listing.
            Err(error) if error.kind() == Kind::Auth && !transfer.has_good_token() => Err(error),
            Err(error) => {
                // The way to the service, or this one folder.
                let lasting = !matches!(
                    (error.kind(), error.code()),
                    (Kind::Transport, _) | (Kind::Rejected, Some(1))
                );
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::debug!(%error, failures, "cannot list");
                if !lasting && failures < FAILURES {
                    return Ok(Standing::Unknown);
                }
                match self.refused.lock().replace(error.clone()) {
                    None => Err(error),
                    Some(_) => Ok(Standing::Unknown),
                }
            }
        }
    }

    async fn ask(
        &self,
        link: (&Transfer, &Scope),
        wanted: Wanted<'_>,
        effort: Effort,
    ) -> Result<Standing> {
        let (id, above) = match self.way_down(link, wanted.remote, effort).await? {
            Some(Some(found)) => found,
            // A folder that is not there holds nothing.
            Some(None) => return Ok(Standing::Nothing(Absence::default())),
            None => return Ok(Standing::Unknown),
        };
        let needed = needed(effort, self.expected(wanted.remote) as usize);
        let folder = self.folder(wanted.remote.parent(), above);
        let standing = folder.find_file(link, id, wanted, needed).await;
        self.make_room();
        standing
    }

    /// Whether the folder of `remote` is there; `None` where that cannot be told.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn has_folder(
        &self,
        link: (&Transfer, &Scope),
        remote: &Remote,
    ) -> Result<Option<bool>> {
        let found = self.way_down(link, remote, Effort::Thorough).await?;
        Ok(found.map(|found| found.is_some()))
    }

    /// The id and the path of the folder of `remote`: nothing inside where it is not there, nothing at all
    /// where that cannot be told.
    async fn way_down<'r>(
        &self,
        link: (&Transfer, &Scope),
        remote: &'r Remote,
        effort: Effort,
    ) -> Result<Option<Option<(i64, &'r str)>>> {
        let mut id = remote.parent();
        let mut above = "";
        for name in remote.folder().split('/').filter(|name| !name.is_empty()) {
            let needed = needed(effort, self.files());
            let folder = self.folder(remote.parent(), above);
            match folder.find_folder(link, id, name, needed).await? {
                Some(Some(child)) => id = child,
                Some(None) => return Ok(Some(None)),
                None => return Ok(None),
            }
            let end = above.len() + usize::from(!above.is_empty()) + name.len();
            above = &remote.folder()[..end];
        }
        Ok(Some(Some((id, above))))
    }

    fn folder(&self, parent: i64, path: &str) -> Arc<Folder> {
        let key = (parent, path.to_owned());
        let mut folders = self.folders.lock();
        let folder = folders
            .entry(key)
            .or_insert_with(|| Arc::new(Folder::new(Arc::clone(&self.entries))));
        Arc::clone(folder)
    }

    /// Forgets listings while they are too many; those in use are kept.
    fn make_room(&self) {
        if self.entries.load(Ordering::Relaxed) <= MOST_ENTRIES {
            return;
        }
        let mut folders = self.folders.lock();
        let mut by_age: Vec<_> = folders
            .iter()
            .filter(|(_, folder)| Arc::strong_count(folder) == 1)
            .map(|(key, folder)| (folder.used(), key.clone()))
            .collect();
        by_age.sort_unstable();
        for (_, key) in by_age {
            if self.entries.load(Ordering::Relaxed) <= MOST_ENTRIES / 2 {
                break;
            }
            folders.remove(&key);
        }
    }

    fn key(&self, parent: i64, folder: &str) -> u64 {
        self.hasher.hash_one((parent, folder))
    }
}

/// A login that failed fails every call.
pub fn is_not_of_listing(error: &Error) -> bool {
    error.kind() == Kind::Cancelled || error.operation() == Operation::Login
}

fn needed(effort: Effort, files: usize) -> Needed {
    match effort {
        Effort::Cheap => Needed::Pages(files),
        Effort::Thorough => Needed::Whole,
        Effort::Since(moment) => Needed::WholeSince(moment),
    }
}

/// Failures in a row, of the way to the service, after which nothing is listed any more.
const FAILURES: u32 = 3;

/// Names told in a run that differ from another only by case or composition.
const MOST_SIMILAR: u32 = 20;
