//! Remote folders that are missing. Two calls that need the same missing folder at once are not
//! documented, so the first call for a folder returns before its siblings start.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::sync::Mutex;

/// What is known of the folders, shared by all runs of a client.
#[derive(Debug, Default)]
pub struct Folders {
    state: Mutex<HashMap<(i64, String), FolderState>>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FolderState {
    /// A call that needs it is under way.
    Claimed,
    /// A call that needed it has succeeded.
    Made,
}

/// The right to make the folders of one path; other calls that need them wait until it ends.
#[derive(Debug)]
pub struct FolderLock {
    folders: Arc<Folders>,
    claimed: Vec<(i64, String)>,
    made: bool,
}

impl Folders {
    /// Waits until no other call is making one of the folders of `folder` under `parent`, then
    /// claims those that are not known to be there.
    pub async fn claim(self: &Arc<Self>, parent: i64, folder: &str) -> FolderLock {
        let wanted: Vec<(i64, String)> = ancestors(folder)
            .map(|path| (parent, path.to_owned()))
            .collect();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening starts before looking, so that a release in between is not missed.
            changed.as_mut().enable();
            if let Some(claimed) = self.try_claim(&wanted) {
                return FolderLock {
                    folders: Arc::clone(self),
                    claimed,
                    made: false,
                };
            }
            changed.await;
        }
    }

    fn try_claim(&self, wanted: &[(i64, String)]) -> Option<Vec<(i64, String)>> {
        let mut state = self.state.lock();
        if wanted
            .iter()
            .any(|folder| state.get(folder) == Some(&FolderState::Claimed))
        {
            return None;
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|folder| !state.contains_key(*folder))
            .cloned()
            .collect();
        state.extend(
            missing
                .iter()
                .map(|folder| (folder.clone(), FolderState::Claimed)),
        );
        Some(missing)
    }
}

impl FolderLock {
    /// The call succeeded: its folders are there.
    pub fn made(mut self) {
        self.made = true;
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if self.claimed.is_empty() {
            return;
        }
        let mut state = self.folders.state.lock();
        for folder in self.claimed.drain(..) {
            if self.made {
                state.insert(folder, FolderState::Made);
            } else {
                state.remove(&folder);
            }
        }
        drop(state);
        self.folders.changed.notify_waiters();
    }
}

/// `a`, `a/b`, `a/b/c` for `a/b/c`.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    let ends = folder
        .match_indices('/')
        .map(|(at, _)| at)
        .chain(std::iter::once(folder.len()));
    ends.map(move |end| &folder[..end])
        .filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn ancestors_of_a_path() {
        assert_eq!(
            ancestors("a/b/c").collect::<Vec<_>>(),
            ["a", "a/b", "a/b/c"]
        );
        assert_eq!(ancestors("").count(), 0);
    }

    #[test]
    fn siblings_wait_for_a_missing_folder_and_not_for_a_made_one() {
        let folders = Arc::new(Folders::default());
        let Poll::Ready(first) = poll(pin!(folders.claim(0, "a/b"))) else {
            panic!("free")
        };
        let mut second = pin!(folders.claim(0, "a/c"));
        assert!(poll(second.as_mut()).is_pending(), "`a` is being made");
        assert!(
            poll(pin!(folders.claim(0, ""))).is_ready(),
            "the root is always there"
        );
        assert!(
            poll(pin!(folders.claim(1, "a"))).is_ready(),
            "another parent"
        );
        first.made();
        let Poll::Ready(second) = poll(second.as_mut()) else {
            panic!("`a` is made")
        };
        assert_eq!(second.claimed, [(0, "a/c".to_owned())]);
        assert!(poll(pin!(folders.claim(0, "a/b"))).is_ready());
    }

    #[test]
    fn a_failed_call_leaves_its_folders_to_the_next() {
        let folders = Arc::new(Folders::default());
        let Poll::Ready(first) = poll(pin!(folders.claim(0, "a"))) else {
            panic!("free")
        };
        drop(first);
        let Poll::Ready(second) = poll(pin!(folders.claim(0, "a"))) else {
            panic!("free again")
        };
        assert_eq!(second.claimed.len(), 1);
    }
}
