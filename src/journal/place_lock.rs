//! Locks on remote places, for one file at a time, across threads, clients and processes. Never: a
//! wait, or a lock that outlives its process: the kernel holds it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::source::{try_lock_byte, unlock_byte};
use crate::sync::{Mutex, MutexGuard};

/// The places that this journal's users hold. Each is one byte of a file that stays empty, locked
/// by an offset that stands for the place: two places that meet by chance wait for each other.
#[derive(Debug)]
pub(super) struct PlaceLocks {
    file: Option<File>,
    /// A lock does not keep out its own descriptor.
    held: Mutex<HashSet<u64>>,
}

/// One place, held.
#[derive(Debug)]
pub(super) struct PlaceLock {
    locks: Arc<PlaceLocks>,
    at: u64,
}

/// The outcome of [`PlaceLocks::try_lock`].
#[derive(Debug)]
pub(super) enum Locked {
    /// Held against every process.
    Everywhere(PlaceLock),
    /// Held against this journal's other users only: the system has no locks here, and why.
    Here(PlaceLock, io::Error),
    /// Another upload holds it.
    Not,
}

impl PlaceLocks {
    /// `file`: the one that all processes lock; without it only this journal's users exclude each other.
    pub(super) fn new(file: Option<File>) -> Arc<PlaceLocks> {
        Arc::new(PlaceLocks {
            file,
            held: Mutex::default(),
        })
    }

    pub(super) fn try_lock(self: &Arc<Self>, at: u64) -> Locked {
        let mut held = self.held();
        if held.contains(&at) {
            return Locked::Not;
        }
        let locked = self
            .file
            .as_ref()
            .map_or(Ok(true), |file| try_lock_byte(file, at));
        if matches!(locked, Ok(false)) {
            return Locked::Not;
        }
        held.insert(at);
        let place = PlaceLock {
            locks: Arc::clone(self),
            at,
        };
        match locked {
            Ok(_) => Locked::Everywhere(place),
            Err(error) => Locked::Here(place, error),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.held.lock()
    }
}

impl Drop for PlaceLock {
    fn drop(&mut self) {
        let mut held = self.locks.held();
        if let Some(file) = &self.locks.file {
            // What could not be locked cannot be unlocked either.
            let _ = unlock_byte(file, self.at);
        }
        held.remove(&self.at);
    }
}
