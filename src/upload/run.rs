//! What all parts of one run share, and how a run is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};

use super::core::Core;
use super::event::{Event, Progress};
use super::feed::Order;
use super::window::Window;
use crate::error::{Error, Kind, Operation};
use crate::net::Pace;
use crate::policy::{Allowance, Hedge};
use crate::sync::Mutex;

/// One run: a set of files on their way.
#[derive(Debug)]
pub struct Shared {
    /// What all runs of a client share.
    pub core: Arc<Core>,
    /// Counters.
    pub progress: Arc<Progress>,
    /// The hash-ahead window of mapped files.
    pub window: Arc<Window>,
    /// The same for small files, which are read into memory.
    pub small: Arc<Window>,
    /// Planned files, on their way to the feeders.
    pub orders: Sender<Order>,
    /// Slices ordered and not yet taken by an attempt.
    pub backlog: AtomicU64,
    /// Twins sent of slices that straggle.
    pub hedge: Mutex<Hedge>,
    /// Repeats left to the whole run.
    pub allowance: Mutex<Allowance>,
    /// Sees every chunk of every body: counts it, and slows it to `--limit-rate`.
    pub pace: Pace,
    /// Set once the run is to stop; the hashers look at it.
    pub halt: Arc<AtomicBool>,
    phase: watch::Sender<Phase>,
    /// `None` marks the end: the reader holds this struct too, so that the channel
    /// does not close by itself.
    events: mpsc::UnboundedSender<Option<Event>>,
}

/// How far a run is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Going on.
    Going,
    /// Interrupted: what is in flight may land, nothing new starts.
    Draining,
}

/// What a [`Shared`] starts from.
#[derive(Debug)]
pub struct Parts {
    /// See [`Shared::core`].
    pub core: Arc<Core>,
    /// See [`Shared::window`].
    pub window: Arc<Window>,
    /// See [`Shared::small`].
    pub small: Arc<Window>,
    /// See [`Shared::orders`].
    pub orders: Sender<Order>,
    /// Where events go.
    pub events: mpsc::UnboundedSender<Option<Event>>,
}

impl Shared {
    /// A run that is about to start.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Shared> {
        let Parts {
            core,
            window,
            small,
            orders,
            events,
        } = parts;
        let progress = Arc::new(Progress::default());
        let pace = pace(&core, &progress);
        Arc::new(Shared {
            core,
            progress,
            window,
            small,
            orders,
            backlog: AtomicU64::new(0),
            hedge: Mutex::new(Hedge::new()),
            allowance: Mutex::new(Allowance::of_a_run()),
            pace,
            halt: Arc::default(),
            phase: watch::Sender::new(Phase::Going),
            events,
        })
    }

    /// Tells the reader of the run, who may be gone.
    pub fn tell(&self, event: Event) {
        drop(self.events.send(Some(event)));
    }

    /// Tells the reader that every file has ended.
    pub fn tell_end(&self) {
        drop(self.events.send(None));
    }

    /// Stops everything that has not been sent yet.
    pub fn drain(&self) {
        self.halt.store(true, Ordering::Release);
        self.window.close();
        self.small.close();
        self.phase.send_replace(Phase::Draining);
    }

    /// Whether the run was told to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.halt.load(Ordering::Acquire)
    }

    /// The same as a question that other threads can keep.
    pub fn halted(&self) -> impl Fn() -> bool + Send + 'static {
        let halt = Arc::clone(&self.halt);
        move || halt.load(Ordering::Acquire)
    }

    /// Waits until the run is told to stop.
    pub async fn draining(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(
            self.phase
                .subscribe()
                .wait_for(|&phase| phase == Phase::Draining)
                .await,
        );
    }

    /// What a file that was not finished is told.
    #[must_use]
    pub fn cancelled() -> Error {
        Error::new(
            Kind::Cancelled,
            Operation::Slice,
            "interrupted; rerun the same command to resume",
        )
    }
}

fn pace(core: &Arc<Core>, progress: &Arc<Progress>) -> Pace {
    let (core, progress) = (Arc::clone(core), Arc::clone(progress));
    Pace::new(move |bytes| {
        Progress::add(&progress.sent, bytes);
        Progress::add(&core.carried, bytes);
        match &core.bandwidth {
            Some(bandwidth) => bandwidth.lock().take(Instant::now(), bytes),
            None => std::time::Duration::ZERO,
        }
    })
}
