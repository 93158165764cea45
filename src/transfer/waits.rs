//! What one file waits for just now. In: each step of its calls. Out: the last of them, from anywhere. Never:
//! a wait.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a file waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// Another upload to the same remote place to end.
    Place,
    /// Another file's call to make the remote folder.
    Folder,
    /// The call's turn, at the calls per second that the service grants.
    Turn,
    /// Fewer bodies in flight.
    Permit,
    /// The service's answer.
    Answer,
    /// The next attempt, after one that failed.
    Retry,
    /// The end of a pause of the run.
    Pause,
}

/// Where a file's calls note what they wait for. Of several at once the last one that began to wait counts.
#[derive(Default)]
pub struct WaitNote {
    /// Its number in [`ALL`] and one; 0 is nothing.
    value: AtomicU8,
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl WaitNote {
    /// It waits for this; for nothing, while bytes move.
    pub fn set(&self, now: Option<WaitsFor>) {
        let value = now.map_or(0, |now| now as u8 + 1);
        if self.value.swap(value, Ordering::Relaxed) != value
            && let Some(changed) = self.changed.get()
        {
            changed();
        }
    }

    /// What it waits for.
    #[must_use]
    pub fn get(&self) -> Option<WaitsFor> {
        let value = usize::from(self.value.load(Ordering::Relaxed));
        value.checked_sub(1).map(|index| ALL[index])
    }

    /// Has `changed` called whenever it waits for something else.
    pub fn on_change(&self, changed: impl Fn() + Send + Sync + 'static) {
        drop(self.changed.set(Box::new(changed)));
    }
}

impl fmt::Debug for WaitNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

const ALL: [WaitsFor; 7] = [
    WaitsFor::Place,
    WaitsFor::Folder,
    WaitsFor::Turn,
    WaitsFor::Permit,
    WaitsFor::Answer,
    WaitsFor::Retry,
    WaitsFor::Pause,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_it_was_set_to() {
        let note = WaitNote::default();
        assert_eq!(note.get(), None);
        for waits in ALL {
            note.set(Some(waits));
            assert_eq!(note.get(), Some(waits));
        }
    }
}
