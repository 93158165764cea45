//! What the engine asks of its users, and what it gives them.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::budget::BudgetGuard;
use super::watch::Watch;
use crate::digest::FileDigest;
use crate::error::{Error, Operation, Result};
use crate::panics::broken;
use crate::source::Source;

/// A file to hash, on its way through the engine. Its methods are called on the engine's threads.
pub trait Job: Send + Sized + 'static {
    /// Its bytes as far as is known, which may be more once it was opened; `None` for a stream.
    fn size(&self) -> Option<u64>;

    /// Jobs with a higher one go first.
    fn priority(&self) -> i8 {
        0
    }

    /// Whether nothing that becomes of it is wanted any more.
    fn is_stopped(&self) -> bool;

    /// The flag that says so of it alone, where it has one: what is hashed by itself then stops on its way.
    fn stop(&self) -> Option<&Arc<AtomicBool>> {
        None
    }

    /// Reads it whole into `buffer`, where its bytes are all that is asked of it and there are fewer than
    /// `limit`. `false` where anything is in the way: then it is opened, which tells what.
    fn read(&mut self, _limit: u64, _buffer: &mut Vec<u8>) -> bool {
        false
    }

    /// Opens it. Called again where [scarcity](crate::Error::is_scarcity) was in the way and is gone.
    ///
    /// # Errors
    /// Why it cannot be opened, or is not wanted: what [`failed`](Self::failed) is told.
    fn open(&mut self) -> Result<OpenedJob>;

    /// Takes what was worked out. The guard is the file's part of the budget, to be held while the file
    /// counts. After a stop neither this nor [`failed`](Self::failed) is called.
    fn done(self, hashed: Digested<'_>, guard: BudgetGuard);

    /// Takes why nothing was worked out.
    fn failed(self, error: Error);
}

/// What opening a job gave.
pub enum OpenedJob {
    /// A file to hash.
    File(Source),
    /// A file of which the MD5s are known already.
    Known(Source, FileDigest),
    /// A stream to read to its end, and its name.
    Stream(PathBuf, Box<dyn Read>),
    /// Nothing to hash: the job has come to its end.
    Nothing,
}

/// A hashed file.
pub struct Digested<'b> {
    /// The open file; `None` for a stream, and where it was [read](Job::read) without one.
    pub source: Option<Source>,
    /// Its MD5s.
    pub digest: FileDigest,
    /// They come from [`OpenedJob::Known`].
    pub is_known: bool,
    /// The contents, where they were read as a whole. The buffer may be taken away; otherwise it is
    /// used again.
    pub content: Option<&'b mut Vec<u8>>,
}

impl<'b> Digested<'b> {
    /// MD5s worked out just now.
    pub(super) fn new(source: Option<Source>, digest: FileDigest) -> Digested<'b> {
        Digested {
            source,
            digest,
            is_known: false,
            content: None,
        }
    }
}

/// A job in the engine's hands. One that is dropped there, as a panic does, has failed.
pub(super) struct Ticket<J: Job>(Option<J>);

impl<J: Job> Ticket<J> {
    pub(super) fn new(job: J) -> Ticket<J> {
        Ticket(Some(job))
    }

    /// Its size; `None` for a stream.
    pub(super) fn size(&self) -> Option<u64> {
        self.0.as_ref().and_then(Job::size)
    }

    /// Its priority.
    pub(super) fn priority(&self) -> i8 {
        self.0.as_ref().map_or(0, Job::priority)
    }

    /// Its end without a word: it is not wanted any more, or was told already.
    pub(super) fn discard(mut self) {
        self.0 = None;
    }

    /// The job, unless what comes of it is not wanted any more.
    fn take(&mut self) -> Option<J> {
        self.0.take().filter(|job| !job.is_stopped())
    }
}

impl<J: Job> Drop for Ticket<J> {
    fn drop(&mut self) {
        if let Some(job) = self.take() {
            job.failed(broken(Operation::Read));
        }
    }
}

/// A job that has a part of the budget.
pub(super) struct Taken<J: Job> {
    ticket: Ticket<J>,
    guard: BudgetGuard,
}

impl<J: Job> Taken<J> {
    pub(super) fn new(ticket: Ticket<J>, guard: BudgetGuard) -> Taken<J> {
        Taken { ticket, guard }
    }

    /// As [`Job::read`].
    pub(super) fn read(&mut self, limit: u64, buffer: &mut Vec<u8>) -> bool {
        let job = self.ticket.0.as_mut();
        job.is_some_and(|job| job.read(limit, buffer))
    }

    pub(super) fn open(&mut self) -> Result<OpenedJob> {
        match &mut self.ticket.0 {
            Some(job) if !job.is_stopped() => job.open(),
            _ => Ok(OpenedJob::Nothing),
        }
    }

    /// What its thread looks at between two pieces of work at it alone, in a run with `watch`.
    pub(super) fn watch(&self, watch: &Watch) -> Watch {
        let job = self.ticket.0.as_ref();
        Watch {
            own: job.and_then(Job::stop).cloned(),
            ..watch.clone()
        }
    }

    /// Its size as far as is known by now; `None` for a stream.
    pub(super) fn size(&self) -> Option<u64> {
        self.ticket.size()
    }

    /// Gives its part of the budget back, and itself.
    pub(super) fn put_back(self) -> Ticket<J> {
        self.ticket
    }

    /// Its end without a word: it was told already.
    pub(super) fn release(self) {
        self.ticket.discard();
    }

    pub(super) fn finish(self, outcome: Result<Digested<'_>>) {
        let Taken {
            mut ticket,
            mut guard,
        } = self;
        // The MD5 of half a file is of no use: after a stop there is no outcome.
        let Some(job) = ticket.take() else { return };
        match outcome {
            Ok(hashed) => {
                if let Some(source) = &hashed.source {
                    guard.resize(source.len());
                }
                job.done(hashed, guard);
            }
            Err(error) => job.failed(error),
        }
    }
}
