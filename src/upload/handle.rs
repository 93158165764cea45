//! One file of a run, from outside. In: the wish that it ends. Out: how far it is, and how it ended. Never:
//! a word to another file.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::Item;
use super::event::{Outcome, Status};
use super::under_way::{FileNow, Timed};
use crate::sync::Mutex;
use crate::transfer::Cancel;

/// A file that was [added](super::Run::add) to a run: a future of its [`Outcome`], which never fails to come.
///
/// ```no_run
/// # async fn example(client: panup::Client) -> panup::Result<()> {
/// let run = client.start([])?;
/// let file = run.add(panup::Item::new("archive.tar.zst"))?;
/// if let Some(now) = file.now() {
///     println!("{:?}: {} of {} bytes", now.step, now.acked, now.size);
/// }
/// let outcome = file.await;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it changes nothing: the file goes on, and the run tells how it ended.
pub struct FileHandle {
    state: Arc<FileState>,
    end: Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>,
}

impl FileHandle {
    /// How far the file is; `None` before its turn and after its end.
    #[must_use]
    pub fn now(&self) -> Option<FileNow> {
        let state = &self.state;
        let now = state.facts.get().map(Timed::now);
        now.filter(|_| !state.is_told())
    }

    /// Ends this file and no other: its bodies in flight are cut off, and it is
    /// [`Status::Interrupted`]. The journal keeps what was acknowledged, for a later run. A file that has
    /// ended stays as it is.
    ///
    /// One that is being hashed has its end at once, and its thread stops within a piece of it; unless it
    /// is hashed in one batch with others, whose end it then waits for. What a caller's own source blocks
    /// in is not waited for.
    pub fn abort(&self) {
        self.state.abort();
    }

    /// The local file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.state.unended.path
    }

    /// The item's tag.
    #[must_use]
    pub fn tag(&self) -> Option<&Arc<str>> {
        self.state.unended.tag.as_ref()
    }
}

impl Future for FileHandle {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.end.as_mut().poll(context)
    }
}

impl fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileHandle")
            .field(&self.state.unended.path)
            .finish()
    }
}

/// How the file ends. Where the run ends first, since the file hangs in the disk or in its caller's source, it
/// was interrupted.
async fn end_of(state: Arc<FileState>, mut end: oneshot::Receiver<Outcome>) -> Outcome {
    let told = tokio::select! {
        biased;
        told = &mut end => told.ok(),
        () = state.aborts.closed() => end.try_recv().ok(),
    };
    told.unwrap_or_else(|| state.unended())
}

/// The run's part of a file with a handle: where it is dropped without a word, the file was interrupted.
#[derive(Debug)]
pub struct FileGuard(Arc<FileState>);

impl Deref for FileGuard {
    type Target = FileState;

    fn deref(&self) -> &FileState {
        &self.0
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        if !self.is_told() {
            self.tell(&self.unended());
        }
    }
}

/// What a handle and the run know of one file.
#[derive(Debug)]
pub struct FileState {
    aborted: Arc<AtomicBool>,
    told: AtomicBool,
    /// In bytes, as far as is known.
    size: AtomicU64,
    facts: OnceLock<Timed>,
    task: Mutex<Option<AbortHandle>>,
    end: Mutex<Option<oneshot::Sender<Outcome>>>,
    aborts: mpsc::UnboundedSender<Arc<FileState>>,
    unended: Outcome,
}

impl FileState {
    /// Of an item that is about to be handed in: the run's part, and the caller's. The conductor takes what
    /// comes of `aborts`, which is at most one word of each.
    pub fn of(
        item: &Item,
        aborts: mpsc::UnboundedSender<Arc<FileState>>,
    ) -> (FileGuard, FileHandle) {
        let (sender, end) = oneshot::channel();
        let interrupted = Status::Interrupted(Cancel::error().with_path(&item.path));
        let name = (&*item.path, &*item.remote);
        let unended = Outcome::unsent(name, interrupted, item.tag.as_ref());
        let state = Arc::new(FileState {
            aborted: Arc::default(),
            told: AtomicBool::new(false),
            size: AtomicU64::new(0),
            facts: OnceLock::new(),
            task: Mutex::new(None),
            end: Mutex::new(Some(sender)),
            aborts,
            unended,
        });
        let handle = FileHandle {
            state: Arc::clone(&state),
            end: Box::pin(end_of(Arc::clone(&state), end)),
        };
        (FileGuard(state), handle)
    }

    /// Set once the caller wants no more of it.
    #[must_use]
    pub fn aborted(&self) -> &Arc<AtomicBool> {
        &self.aborted
    }

    /// Whether its end was told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// It has so many bytes, as far as is known.
    pub fn sized(&self, bytes: u64) {
        self.size.store(bytes, Ordering::Relaxed);
    }

    /// It is shown as under way.
    pub fn begins(&self, facts: Timed) {
        let _ = self.facts.set(facts);
    }

    /// No step of it is told from now on.
    pub fn ends(&self) {
        if let Some(facts) = self.facts.get() {
            facts.end();
        }
    }

    /// It has a task, which ends where that is aborted.
    pub fn runs(&self, task: AbortHandle) {
        *self.task.lock() = Some(task);
    }

    /// Ends its task, if it has one.
    #[must_use]
    pub fn ends_task(&self) -> bool {
        let task = self.task.lock().take();
        task.map(|task| task.abort()).is_some()
    }

    /// Tells how it ended, the first time that this is asked.
    pub fn tell(&self, outcome: &Outcome) {
        self.told.store(true, Ordering::Release);
        if let Some(end) = self.end.lock().take() {
            drop(end.send(outcome.clone()));
        }
    }

    /// How it ended where nothing else is to be told.
    #[must_use]
    pub fn unended(&self) -> Outcome {
        Outcome {
            size: self.size.load(Ordering::Relaxed),
            ..self.unended.clone()
        }
    }

    fn abort(self: &Arc<Self>) {
        if !self.aborted.swap(true, Ordering::Relaxed) {
            drop(self.aborts.send(Arc::clone(self)));
        }
    }
}
