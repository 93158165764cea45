//! In: a remote place. Out: the right to upload to it, for one file at a time, across threads,
//! clients and processes. Never: a wait, or a claim that outlives its process: the kernel holds it.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use super::Journal;
use super::writer::Write;
use crate::source::{try_lock_byte, unlock_byte};
use crate::sync::{Mutex, MutexGuard};

/// The right to upload to one remote place. Dropping it gives the place back, once everything that
/// was told to the journal before is on disk: whoever comes next finds the finished file there.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Claim {
    held: Option<Held>,
    journal: Journal,
}

impl Claim {
    pub(super) fn new(journal: &Journal, held: Option<Held>) -> Claim {
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

/// The places that this journal's users hold. Each is one byte of a file that stays empty, locked
/// by an offset that stands for the place: two places that meet by chance wait for each other.
#[derive(Debug)]
pub(super) struct Targets {
    file: Option<File>,
    /// A lock does not keep out its own descriptor.
    held: Mutex<HashSet<u64>>,
}

/// One place, held.
#[derive(Debug)]
pub(super) struct Held {
    targets: Arc<Targets>,
    at: u64,
}

/// What became of a wish to hold a place.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Held against everybody.
    Held(Held),
    /// Held against this journal's other users only: the system has no locks here, and why.
    Here(Held, std::io::Error),
    /// Somebody else holds it.
    Taken,
}

impl Targets {
    /// `file`: the one that all processes lock; without it only this journal's users are told apart.
    pub(super) fn new(file: Option<File>) -> Arc<Targets> {
        Arc::new(Targets {
            file,
            held: Mutex::default(),
        })
    }

    pub(super) fn claim(self: &Arc<Self>, at: u64) -> Claimed {
        let mut held = self.held();
        if held.contains(&at) {
            return Claimed::Taken;
        }
        let locked = self
            .file
            .as_ref()
            .map_or(Ok(true), |file| try_lock_byte(file, at));
        if matches!(locked, Ok(false)) {
            return Claimed::Taken;
        }
        held.insert(at);
        let place = Held {
            targets: Arc::clone(self),
            at,
        };
        match locked {
            Ok(_) => Claimed::Held(place),
            Err(error) => Claimed::Here(place, error),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.held.lock()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.targets.held();
        if let Some(file) = &self.targets.file {
            // What could not be locked cannot be unlocked either.
            let _ = unlock_byte(file, self.at);
        }
        held.remove(&self.at);
    }
}
