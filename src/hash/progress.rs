//! Progress of a call of `hash_files`, to be shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::watch::Watch;

/// Counters of one call. They are sampled; nothing is pushed.
#[derive(Debug, Default)]
pub struct HashProgress {
    files: AtomicU64,
    files_done: AtomicU64,
    bytes: AtomicU64,
    /// The engine's counter.
    hashed: Arc<AtomicU64>,
}

/// What a [`HashProgress`] says at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashSnapshot {
    /// Inputs taken so far.
    pub files: u64,
    /// Inputs that ended, in any way.
    pub files_done: u64,
    /// Bytes of the inputs taken so far. What is read from pipes counts when it is read.
    pub bytes: u64,
    /// Bytes hashed, each once.
    pub hashed: u64,
}

impl HashProgress {
    /// Counters that show what `watch` counts.
    pub(super) fn of(watch: &Watch) -> HashProgress {
        HashProgress {
            hashed: Arc::clone(&watch.hashed),
            ..HashProgress::default()
        }
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> HashSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HashSnapshot {
            files: read(&self.files),
            files_done: read(&self.files_done),
            bytes: read(&self.bytes),
            hashed: read(&self.hashed),
        }
    }

    pub(super) fn taken(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.found(bytes);
    }

    pub(super) fn found(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }
}
