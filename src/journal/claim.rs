//! A claim on a remote place: at most one upload at a time goes there, of all threads and processes.

use super::Journal;
use super::command::Write;
use super::place_lock::PlaceLock;

/// The right to upload to one remote place. Dropping it gives the place back, once everything that
/// was handed to the journal before is on disk: the next claim finds the finished file there.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Claim {
    held: Option<PlaceLock>,
    journal: Journal,
}

impl Claim {
    pub(super) fn new(journal: &Journal, held: Option<PlaceLock>) -> Claim {
        Claim {
            held,
            journal: journal.clone(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.journal.post(|| Write::Release(held));
        }
    }
}
