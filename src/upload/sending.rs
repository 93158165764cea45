//! A file that is being sent in slices: what the feeders, the attempts and the file's own task
//! share of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::contents::Contents;
use super::event::Progress;
use super::fleet::Crew;
use super::run::Shared;
use crate::digest::Md5;
use crate::error::{Error, Result};
use crate::journal::UploadId;
use crate::plan::Plan;
use crate::policy::Allowance;
use crate::source::Source;
use crate::sync::Mutex;

/// One upload under way.
#[derive(Debug)]
pub struct Sending {
    /// The run it belongs to.
    pub shared: Arc<Shared>,
    /// The file.
    pub source: Source,
    /// What it held when it was hashed.
    pub contents: Arc<Contents>,
    /// The upload's name at the service.
    pub preupload_id: Arc<str>,
    /// How the file is cut.
    pub plan: Plan,
    /// The servers that take its slices.
    pub crew: Crew,
    /// Content bytes that went over the wire for this file.
    pub sent: Arc<AtomicU64>,
    /// Repeats left to this file.
    pub allowance: Arc<Mutex<Allowance>>,
    /// The journal's name for this upload.
    pub journal: UploadId,
    /// Content bytes counted as acknowledged in the run's progress.
    pub counted: AtomicU64,
    /// The path by which the journal knows the MD5s, where they are an earlier run's.
    pub remembered: Option<PathBuf>,
    digests: Option<Vec<Md5>>,
    failure: Mutex<Option<Error>>,
    stage: watch::Sender<Stage>,
}

#[derive(Debug, Clone, Copy)]
struct Stage {
    left: u32,
    flying: u32,
    end: End,
}

/// How a sending comes to its end before every slice is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not in sight.
    No,
    /// Nothing new sets out; what is in flight may land.
    Landing,
    /// Nothing is worth sending any more: what is in flight is dropped.
    Over,
}

/// A slice in flight; dropping it says that it has landed, one way or the other.
#[derive(Debug)]
pub struct Flight(Arc<Sending>);

/// What a [`Sending`] starts from.
#[derive(Debug)]
pub struct Start {
    /// See [`Sending::shared`].
    pub shared: Arc<Shared>,
    /// See [`Sending::source`].
    pub source: Source,
    /// See [`Sending::contents`].
    pub contents: Arc<Contents>,
    /// See [`Sending::preupload_id`].
    pub preupload_id: Arc<str>,
    /// See [`Sending::plan`].
    pub plan: Plan,
    /// See [`Sending::crew`].
    pub crew: Crew,
    /// See [`Sending::sent`].
    pub sent: Arc<AtomicU64>,
    /// See [`Sending::allowance`].
    pub allowance: Arc<Mutex<Allowance>>,
    /// See [`Sending::journal`].
    pub journal: UploadId,
    /// The slices' MD5s where the file was hashed by slices already.
    pub digests: Option<Vec<Md5>>,
    /// See [`Sending::remembered`].
    pub remembered: Option<PathBuf>,
    /// Slices left to send.
    pub left: u32,
}

impl Sending {
    /// An upload with `start.left` slices to go.
    #[must_use]
    pub fn new(start: Start) -> Arc<Sending> {
        let Start {
            shared,
            source,
            contents,
            preupload_id,
            plan,
            crew,
            sent,
            allowance,
            journal,
            digests,
            remembered,
            left,
        } = start;
        Arc::new(Sending {
            shared,
            source,
            contents,
            preupload_id,
            plan,
            crew,
            sent,
            allowance,
            journal,
            counted: AtomicU64::new(0),
            remembered,
            digests,
            failure: Mutex::default(),
            stage: watch::Sender::new(Stage {
                left,
                flying: 0,
                end: End::No,
            }),
        })
    }

    /// Waits until every slice is acknowledged, the first one has failed for good, or the last one
    /// has landed after [`Sending::land`].
    ///
    /// # Errors
    /// That slice's error.
    pub async fn ended(&self) -> Result<()> {
        // The sender lives in `self`, so waiting cannot fail.
        drop(
            self.stage
                .subscribe()
                .wait_for(|stage| match stage.end {
                    End::No => stage.left == 0,
                    End::Landing => stage.flying == 0,
                    End::Over => true,
                })
                .await,
        );
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    /// Waits until what is in flight is not worth sending any more.
    pub async fn closed(&self) {
        let mut stage = self.stage.subscribe();
        drop(stage.wait_for(|stage| stage.end == End::Over).await);
    }

    /// Whether every slice is acknowledged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stage.borrow().left == 0
    }

    /// A slice sets out; `None` where nothing more is to be sent.
    #[must_use]
    pub fn depart(self: &Arc<Self>) -> Option<Flight> {
        let departed = self.stage.send_if_modified(|stage| {
            let may = stage.end == End::No;
            stage.flying += u32::from(may);
            may
        });
        departed.then(|| Flight(Arc::clone(self)))
    }

    /// One slice more was acknowledged.
    pub fn acked(&self, bytes: u64) {
        self.count(bytes);
        self.stage.send_modify(|stage| stage.left -= 1);
    }

    /// Shows `bytes` as acknowledged: sent just now, or in an earlier run.
    pub fn count(&self, bytes: u64) {
        self.counted.fetch_add(bytes, Ordering::Relaxed);
        Progress::add(&self.shared.progress.acked, bytes);
    }

    /// Takes back what was counted: the file begins anew.
    pub fn uncount(&self) {
        Progress::sub(
            &self.shared.progress.acked,
            self.counted.swap(0, Ordering::Relaxed),
        );
    }

    /// A slice failed for good; the others are not worth sending.
    pub fn fail(&self, error: Error) {
        self.failure.lock().get_or_insert(error);
        self.close();
    }

    /// Nothing more is to be sent; what is in flight may land.
    pub fn land(&self) {
        self.stage.send_modify(|stage| {
            if stage.end == End::No {
                stage.end = End::Landing;
            }
        });
    }

    /// Nothing more is to be sent, and what is in flight is dropped.
    pub fn close(&self) {
        self.stage.send_modify(|stage| stage.end = End::Over);
    }

    /// Whether nothing more is to be sent: failed, interrupted, or its task is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage.borrow().end != End::No
    }

    /// The MD5s of an earlier run were found wrong.
    pub fn forget_hashes(&self) {
        if let Some(path) = &self.remembered {
            self.shared.core.journal.forget_hashes(path);
        }
    }

    /// The MD5s of these slices, where the file was hashed by slices already.
    #[must_use]
    pub fn known_digests(&self, numbers: &[u32]) -> Option<Vec<Md5>> {
        let digests = self.digests.as_ref()?;
        numbers
            .iter()
            .map(|&number| digests.get(number as usize - 1).copied())
            .collect()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.stage.send_modify(|stage| stage.flying -= 1);
    }
}

/// Ends a sending when the file's task ends, also where it is dropped.
#[derive(Debug)]
pub struct EndsWithTask(pub Arc<Sending>);

impl Drop for EndsWithTask {
    fn drop(&mut self) {
        self.0.close();
    }
}
