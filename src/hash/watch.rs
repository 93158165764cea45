//! What hashing threads look at and add to between two pieces of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::digest::{Hasher, Lanes, Md5};
use crate::source::touched;

/// The counter and the stop flag of one run. Clones are the same counter and flag.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Bytes hashed, each counted once however many chains it goes through.
    pub hashed: Arc<AtomicU64>,
    /// Set once: what has not been hashed yet is not wanted any more.
    pub stop: Arc<AtomicBool>,
    /// The same for one file alone, where it is hashed alone.
    pub own: Option<Arc<AtomicBool>>,
}

impl Watch {
    /// Lanes that count here and stop when the run's flag is set.
    #[must_use]
    pub fn lanes(&self) -> Lanes<'_> {
        Lanes::new()
            .watched(&self.hashed, &self.stop)
            .telling(touched)
    }

    /// The MD5 of one stream, counted here; `None` where it was stopped.
    pub(super) fn one(&self, data: &[u8]) -> Option<Md5> {
        let mut whole = Hasher::new();
        for piece in data.chunks(PIECE) {
            if self.is_stopped() {
                return None;
            }
            whole.update(piece);
            self.count(piece.len());
        }
        Some(whole.finish())
    }

    /// Whether one of the flags is set.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let own = self.own.as_ref();
        self.stop.load(Ordering::Relaxed) || own.is_some_and(|own| own.load(Ordering::Relaxed))
    }

    /// Counts bytes that were hashed without lanes.
    pub fn count(&self, bytes: usize) {
        self.hashed.fetch_add(bytes as u64, Ordering::Relaxed);
        touched(bytes as u64);
    }
}

/// Bytes between two looks at the flags: 1.5 ms.
pub(super) const PIECE: usize = 1 << 20;
