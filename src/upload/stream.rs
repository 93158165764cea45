//! A run, from outside. In: more files, a pause, an interrupt. Out: events as they come, counters to sample.
//! Never: a file.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use super::Item;
use super::conduct::{Inlets, conduct};
use super::core::Core;
use super::door::{Adder, Door, ended};
use super::event::{Event, Progress, Snapshot, Summary};
use super::handle::FileHandle;
use super::listing::{self, Lister};
use super::run::{PLACES, Purpose, Shared, Told};
use crate::error::{Error, Kind, Operation, Result};

/// Files on their way: a [`Stream`] of [`Event`]s, which is to be read, since a run whose events are not taken
/// stands still after a thousand. Dropping it cancels what has not ended; the journal knows how to go on.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    events: mpsc::Receiver<Told>,
    progress: Arc<Progress>,
    conductor: tokio::task::JoinHandle<()>,
    /// Held until nothing is left to do when the next event is asked for.
    open: Option<Arc<Door>>,
    door: Weak<Door>,
}

impl Run {
    /// Starts a run on the runtime of the caller.
    pub(super) fn begin<I>(
        purpose: Purpose,
        core: &Arc<Core>,
        (items, lister): (I, Lister),
    ) -> Result<Run>
    where
        I: Iterator<Item = Item> + Send + 'static,
    {
        if Handle::try_current().is_err() {
            let message = "a run needs a tokio runtime, and is started outside of any";
            let error = Error::new(Kind::Invalid, Operation::Configure, message);
            return Err(error.advice("call it in a task, or below `Runtime::enter`"));
        }
        let pools = core.hash_pools.get()?;
        let (events, received) = mpsc::channel(EVENTS);
        let shared = Shared::new(purpose, (Arc::clone(core), pools), events.downgrade());
        let (out, hashed) = mpsc::channel(PLACES + 3);
        let (aborts, aborted) = mpsc::unbounded_channel();
        let (hashing, way) = listing::start(&shared, (items, lister), out)?;
        let closed = Arc::<Notify>::default();
        let open =
            (lister == Lister::OwnThread).then(|| Door::new(way, Arc::clone(&closed), aborts));
        let door = open.as_ref().map_or_else(Weak::new, Arc::downgrade);
        let inlets = Inlets {
            hashed,
            aborted,
            door: Weak::clone(&door),
            closed,
        };
        let conductor = tokio::spawn(conduct(Arc::clone(&shared), hashing, inlets, events));
        Ok(Run {
            progress: Arc::clone(&shared.progress),
            shared,
            events: received,
            conductor,
            open,
            door,
        })
    }

    /// The next event; `None` when every file has ended. It may be dropped and asked for again.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    /// Reads the run to its end, and gives it in numbers.
    pub async fn finish(mut self) -> Summary {
        while self.next().await.is_some() {}
        self.summary()
    }

    /// Adds a file while the run goes on: before [`next`](Self::next) has answered `None`, so that what an
    /// outcome leads to can go the same way. It is told like the others, and its handle is told as well.
    ///
    /// # Errors
    /// [`Kind::State`]: the run has ended, or 32,768 added files wait already, or no thread can be started.
    pub fn add(&self, item: Item) -> Result<FileHandle> {
        self.door.upgrade().ok_or_else(ended)?.add(item)
    }

    /// What adds files from elsewhere, such as other tasks. As long as one lives the run does not end by
    /// itself.
    ///
    /// # Errors
    /// [`Kind::State`]: the run has ended.
    pub fn adder(&self) -> Result<Adder> {
        self.door.upgrade().map(Adder).ok_or_else(ended)
    }

    /// The run's counters, to be sampled from elsewhere as well.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The run's counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.progress.snapshot()
    }

    /// How the files that have ended did so, so far; after the last event, the whole run in numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.shared.summary()
    }

    /// Begins nothing new: no file, no body, no call. What is under way goes to its end, and files are hashed
    /// as far ahead as ever. Servers forget uploads that rest for days.
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.set_paused(false);
    }

    /// Starts nothing new and lets what is in flight land, for [`Options::grace`](crate::Options::grace) at
    /// most. Files that have not ended then are [`Status::Interrupted`](super::Status::Interrupted);
    /// [`Run::next`] tells, whatever a caller's own list or source blocks in: half a second after the grace
    /// such a file is told as interrupted, or, where it was never taken from the list, not at all.
    pub fn interrupt(&self) {
        self.shared.drain();
    }

    /// Interrupts this run from elsewhere, such as a thread that waits for signals.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::downgrade(&self.shared))
    }

    /// Tells every step of every file as [`Event::Step`] from now on, for files that begin later: that it is
    /// hashed, waits (for what), is sent, is verified. Of a file that took several while nobody read only
    /// where it is now is told, and nothing once its end was: a slow reader costs no memory.
    pub fn tell_steps(&self) {
        self.progress.under_way.steps.start();
    }

    fn set_paused(&self, is_paused: bool) {
        self.shared.scope.pause.set(is_paused);
        let shown = &self.progress.is_paused;
        shown.store(is_paused, Ordering::Relaxed);
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Poll::Ready(file) = self.progress.under_way.poll_step(context) {
            return Poll::Ready(Some(Event::Step(file)));
        }
        loop {
            match std::task::ready!(self.events.poll_recv(context)) {
                Some(Told::Event(event)) => return Poll::Ready(Some(event)),
                // Another may have been added since.
                Some(Told::Idle(files)) if self.progress.handed_in() == files => self.open = None,
                Some(Told::Idle(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Run {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(context)
    }
}

/// Interrupts a run from elsewhere; does nothing once the run has ended.
#[derive(Debug, Clone)]
pub struct Interrupter(Weak<Shared>);

impl Interrupter {
    /// As [`Run::interrupt`].
    pub fn interrupt(&self) {
        self.interrupt_within(Duration::MAX);
    }

    /// The same, where what is in flight has no longer than `most` to land: the process is to end.
    /// [`Options::grace`](crate::Options::grace) still holds where it is shorter. What the run waits for
    /// once it was interrupted stays as it is.
    pub fn interrupt_within(&self, most: Duration) {
        if let Some(shared) = self.0.upgrade() {
            shared.drain_within(most);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.drain();
        self.conductor.abort();
        // Also where the runtime is gone, and the conductor never was polled.
        if let Some(door) = self.door.upgrade() {
            door.close();
        }
    }
}

/// Events that the reader has not taken yet; a slower reader slows the run.
const EVENTS: usize = 1024;
