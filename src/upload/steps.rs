//! Files that took a step and of which the run's reader was not told yet. In: files, as they change. Out: each
//! of them once, as it is when it is told. Never: more of them than are under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;

/// The files of one run that changed; `F` is one of them.
#[derive(Debug)]
pub struct Steps<F> {
    is_on: AtomicBool,
    changed: Mutex<Changed<F>>,
}

#[derive(Debug)]
struct Changed<F> {
    files: VecDeque<Arc<F>>,
    reader: Option<Waker>,
}

/// What a file has for it: whether it is among those that changed.
#[derive(Debug, Default)]
pub struct Mark(AtomicBool);

/// A file that can be told.
pub trait Marked {
    /// Its mark.
    fn mark(&self) -> &Mark;
}

impl<F> Default for Steps<F> {
    fn default() -> Steps<F> {
        Steps {
            is_on: AtomicBool::new(false),
            changed: Mutex::new(Changed {
                files: VecDeque::new(),
                reader: None,
            }),
        }
    }
}

impl<F: Marked> Steps<F> {
    /// Changes are told from now on.
    pub fn start(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Whether anybody wants to know.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// `file` is not as it was.
    pub fn changed(&self, file: &Arc<F>) {
        if !self.is_on() || file.mark().0.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut changed = self.changed.lock();
        changed.files.push_back(Arc::clone(file));
        let reader = changed.reader.take();
        drop(changed);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The next one, which may have ended meanwhile.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Arc<F>> {
        if !self.is_on() {
            return Poll::Pending;
        }
        let mut changed = self.changed.lock();
        match changed.files.pop_front() {
            Some(file) => {
                file.mark().0.store(false, Ordering::Release);
                Poll::Ready(file)
            }
            None => {
                changed.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
