//! What hashing threads look at and add to between two pieces of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::digest::Lanes;
use crate::source::touched;

/// The counter and the stop flag of one run. Clones are the same counter and flag.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Bytes hashed, each counted once however many chains it goes through.
    pub hashed: Arc<AtomicU64>,
    /// Set once: what has not been hashed yet is not wanted any more.
    pub stop: Arc<AtomicBool>,
}

impl Watch {
    /// Lanes that count here and stop when the flag is set.
    #[must_use]
    pub fn lanes(&self) -> Lanes<'_> {
        Lanes::new()
            .watched(&self.hashed, &self.stop)
            .telling(touched)
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts bytes that were hashed without lanes.
    pub fn count(&self, bytes: usize) {
        self.hashed.fetch_add(bytes as u64, Ordering::Relaxed);
        touched(bytes as u64);
    }
}
