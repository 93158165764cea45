//! How files come into a run that goes on already. In: items, from anywhere. Out: a handle of each. Never: a
//! wait, or more than a run takes.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use super::Item;
use super::event::Progress;
use super::handle::{FileHandle, FileState};
use super::listing::{self, Entry, Way};
use super::run::PLACES;
use crate::error::{Error, Kind, Operation, Result};
use crate::sync::Mutex;

/// Hands files to a run, from any task or thread. The run stays open as long as one lives.
#[derive(Debug, Clone)]
pub struct Adder(pub(super) Arc<Door>);

impl Adder {
    /// As [`Run::add`](super::Run::add).
    ///
    /// # Errors
    /// As there.
    pub fn add(&self, item: Item) -> Result<FileHandle> {
        self.0.add(item)
    }
}

/// The way into one run. Where it is dropped or closed, no more files come.
#[derive(Debug)]
pub struct Door {
    inside: Mutex<Option<Inside>>,
    runtime: Handle,
    closed: Arc<Notify>,
    aborts: mpsc::UnboundedSender<Arc<FileState>>,
}

#[derive(Debug)]
struct Inside {
    way: Arc<Way>,
    /// To the thread that hands on what is added, which the first one starts.
    added: Option<mpsc::Sender<Entry>>,
}

impl Door {
    /// A door to `way`, whose end is told to `closed`, and what is aborted to `aborts`.
    pub fn new(
        way: Arc<Way>,
        closed: Arc<Notify>,
        aborts: mpsc::UnboundedSender<Arc<FileState>>,
    ) -> Arc<Door> {
        Arc::new(Door {
            inside: Mutex::new(Some(Inside { way, added: None })),
            runtime: Handle::current(),
            closed,
            aborts,
        })
    }

    /// No more files are taken.
    pub fn close(&self) {
        let inside = self.inside.lock().take();
        drop(inside);
        self.closed.notify_one();
    }

    /// Hands in `item`.
    ///
    /// # Errors
    /// [`Kind::State`]: the run has ended, or too many wait; no thread can be started.
    pub fn add(&self, item: Item) -> Result<FileHandle> {
        let mut inside = self.inside.lock();
        let Some(Inside { way, added }) = &mut *inside else {
            return Err(ended());
        };
        let added = match added {
            Some(added) => added,
            None => added.insert(self.thread(way)?),
        };
        let (guard, handle) = FileState::of(&item, self.aborts.clone());
        let progress = &way.shared().progress;
        // Counted before it is seen: a run with a file that has not ended does not end.
        Progress::add(&progress.files, 1);
        let entry = Entry {
            item,
            guard: Some(guard),
        };
        added.try_send(entry).map_err(|error| {
            Progress::sub(&progress.files, 1);
            match error {
                TrySendError::Full(_) => full(),
                TrySendError::Closed(_) => ended(),
            }
        })?;
        Ok(handle)
    }

    fn thread(&self, way: &Arc<Way>) -> Result<mpsc::Sender<Entry>> {
        let (sender, mut added) = mpsc::channel(PLACES);
        let runtime = self.runtime.clone();
        let next = move || runtime.block_on(added.recv());
        listing::follow(way, &self.runtime, std::iter::from_fn(next))?;
        Ok(sender)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

/// Of a run that takes no more files.
pub(super) fn ended() -> Error {
    let message = "the run has ended, and takes no more files";
    Error::new(Kind::State, Operation::Upload, message).advice("start another one")
}

fn full() -> Error {
    let message = format!("{PLACES} files wait in this run already");
    let advice = "wait for some of them, or hand them in by the iterator of `Client::start`, which is asked as there is room";
    Error::new(Kind::State, Operation::Upload, message).advice(advice)
}
