//! What a run tells: rare facts as events, and counters that a reader samples at its own pace.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::forecast::Forecast;
use super::held::{Held, TimeSpent};
use super::landing::Landing;
use super::under_way::{FileNow, Step, StepTimes, UnderWay};
use crate::digest::Md5;
use crate::error::Error;
use crate::policy::{CongestionSignal, Steering};
use crate::sync::Mutex;
use crate::transfer::{Activity, CallCount, Fact, Scope, Wait};

/// How one file ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The local file.
    pub path: PathBuf,
    /// The remote path below the parent folder.
    pub remote: String,
    /// Uploaded, reused, skipped, failed or interrupted.
    pub status: Status,
    /// The file's size in bytes; 0 where it could not be told.
    pub size: u64,
    /// The whole file's MD5, where it is known.
    pub md5: Option<Md5>,
    /// Content bytes that went over the wire for this file, resends included.
    pub sent: u64,
    /// The trace id of the answer that said that the file is there, where this run was told.
    pub trace_id: Option<String>,
    /// From the file's turn to its end.
    pub elapsed: Duration,
    /// Of that: how long it was hashed, waited, was sent and verified.
    pub times: StepTimes,
    /// The item's tag, as it was handed in.
    pub tag: Option<Arc<str>>,
}

impl Outcome {
    /// Of a file of which nothing was sent, and nothing is known but its name.
    pub(super) fn unsent(
        (path, remote): (&Path, &str),
        status: Status,
        tag: Option<&Arc<str>>,
    ) -> Outcome {
        Outcome {
            path: path.to_owned(),
            remote: remote.to_owned(),
            status,
            size: 0,
            md5: None,
            sent: 0,
            trace_id: None,
            elapsed: Duration::ZERO,
            times: StepTimes::default(),
            tag: tag.cloned(),
        }
    }
}

/// The ways for a file to end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// Sent and completed; the id that the service gave.
    Uploaded(i64),
    /// The service had these bytes already; the file's id, where it was said.
    Reused(Option<i64>),
    /// The journal knows it as finished, and neither file nor destination changed; or the same file
    /// was handed in for the same place before, in the same run (without an id then).
    Skipped(Option<i64>),
    /// The service was asked, and has the same content there, under this id.
    Present(i64),
    /// Other content of this name is there and was left as it is ([`Conflict::Skip`](crate::Conflict::Skip));
    /// its id, where it is known.
    Kept(Option<i64>),
    /// Planning: it would be sent.
    Planned(Forecast),
    /// Verifying: it is not there; why.
    Missing(String),
    /// Verifying: what is there is not what is here; how it differs.
    Different(String),
    /// Why not; of a file that is verified, why that cannot be told.
    Failed(Error),
    /// The run was [interrupted](super::Run::interrupt) before the file's end; the next one goes on
    /// there. The error says what its last attempt had failed with, if it had.
    Interrupted(Error),
}

impl Status {
    /// The status as `--json` spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Status::Uploaded(_) => "uploaded",
            Status::Reused(_) => "reused",
            Status::Skipped(_) | Status::Present(_) | Status::Kept(_) => "skipped",
            Status::Planned(_) => "planned",
            Status::Missing(_) => "missing",
            Status::Different(_) => "different",
            Status::Failed(_) => "failed",
            Status::Interrupted(_) => "interrupted",
        }
    }

    /// Why the file is not there; `None` where it is.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Status::Failed(error) | Status::Interrupted(error) => Some(error),
            _ => None,
        }
    }

    /// What there is to know of a file that was not sent.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        match self {
            Status::Missing(why) | Status::Different(why) => Some(why),
            Status::Skipped(_) => Some("uploaded before, says the journal"),
            Status::Present(_) => Some("the service has the same content there"),
            Status::Kept(_) => Some("other content of this name is there and was left as it is"),
            _ => None,
        }
    }

    /// The service's id for the file; `None` where it failed or was not told.
    #[must_use]
    pub fn file_id(&self) -> Option<i64> {
        match self {
            Status::Uploaded(id) | Status::Present(id) => Some(*id),
            Status::Reused(id) | Status::Skipped(id) | Status::Kept(id) => *id,
            Status::Planned(_) | Status::Missing(_) | Status::Different(_) => None,
            Status::Failed(_) | Status::Interrupted(_) => None,
        }
    }
}

/// A rare fact of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A file ended.
    File(Outcome),
    /// A file took a step, or waits for something else; told where [`Run::tell_steps`](super::Run::tell_steps)
    /// asked for it.
    Step(FileNow),
    /// Something that the user should know and that stops nothing.
    Warning(Warning),
    /// What ended the run, told once: it concerns every file. Those that were not done by then fail
    /// with an error of which [`Error::is_of_the_run`] is true.
    Stopped(Error),
}

/// Something that the user should know and that stops nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Warning {
    /// What there is to know.
    pub error: Error,
    /// The item's tag, where it is of one item and that has a tag.
    pub tag: Option<Arc<str>>,
}

impl Warning {
    /// Of one item.
    pub(super) fn of(error: Error, tag: Option<&Arc<str>>) -> Event {
        let tag = tag.cloned();
        Event::Warning(Warning { error, tag })
    }

    /// Of the run.
    pub(super) fn of_the_run(error: Error) -> Event {
        Warning::of(error, None)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Counters of a run. They are sampled, by [`Progress::snapshot`]; nothing is pushed.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) files: AtomicU64,
    pub(super) files_done: AtomicU64,
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) hashed: Arc<AtomicU64>,
    pub(super) acked: AtomicU64,
    sent: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    pub(super) in_flight: AtomicUsize,
    pub(super) permits: AtomicUsize,
    /// Files that failed, and their bytes.
    pub(super) failed: AtomicU64,
    pub(super) failed_bytes: AtomicU64,
    pub(super) resumed: AtomicU64,
    /// Files that were hashed to plan them, and their bytes.
    pub(super) compared: AtomicU64,
    pub(super) compared_bytes: AtomicU64,
    pub(super) is_listed: AtomicBool,
    pub(super) is_paused: AtomicBool,
    pub(super) under_way: Arc<UnderWay>,
    pub(super) spent: TimeSpent,
    /// What was found at the last look, ten times a second.
    pub(super) looked: Mutex<Looked>,
    activity: Arc<Activity>,
}

/// What the run's own look found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looked {
    pub held: Option<Held>,
    /// Content bytes of bodies in flight that sockets took.
    pub on_wire: u64,
    /// Those of them that sockets took at once.
    pub in_sockets: u64,
    pub call_rate: Option<f64>,
    /// Content bytes per second of the last seconds.
    pub speed: Option<f64>,
    /// What steers the number of bodies in flight, how often it was cut, and by what the last time.
    pub steering: Option<(Steering, u64, Option<CongestionSignal>)>,
    /// After an interrupt: what is waited for, and since when.
    pub landing: Option<(Landing, Instant)>,
}

/// What a [`Progress`] says at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Files that were handed in so far.
    pub files: u64,
    /// Files that ended, in any way.
    pub files_done: u64,
    /// Bytes of the files handed in so far.
    pub bytes: u64,
    /// Bytes hashed, whole-file chains only.
    pub hashed: u64,
    /// Bytes that the service has: acknowledged, reused or skipped. Counted once, whatever the retries.
    pub acked: u64,
    /// Content bytes handed to sockets, resends included.
    pub sent: u64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// Bodies in flight.
    pub in_flight: usize,
    /// Bodies that may be in flight at once, as the limiter sees it now.
    pub permits: usize,
    /// What steers `permits`; `None` before the first look.
    pub steering: Option<Steering>,
    /// How often `permits` were cut.
    pub cuts: u64,
    /// What the last of these cuts answered.
    pub cut_by: Option<CongestionSignal>,
    /// Files that failed.
    pub files_failed: u64,
    /// Bytes of the files that failed: they are in `bytes`, and not to be waited for.
    pub failed: u64,
    /// Bytes of files sent in slices that an earlier run had sent; in `acked` as well.
    pub resumed: u64,
    /// Files that were hashed to plan them, and their bytes.
    pub compared: (u64, u64),
    /// Content bytes that sockets took, of bodies that are not acknowledged yet.
    pub on_wire: u64,
    /// Those of `on_wire` that sockets took at once when their bodies began: they lie in buffers rather than
    /// with the service, as far as can be told.
    pub in_sockets: u64,
    /// The run's own list has ended: only what is added comes on top.
    pub is_listed: bool,
    /// The run begins nothing new for now.
    pub is_paused: bool,
    /// Files of which the MD5 is worked out.
    pub hashing: usize,
    /// Files that wait for their turn, or for an answer that does not concern their content.
    pub queued: usize,
    /// Files that are sent.
    pub sending: usize,
    /// Files that the service has and verifies.
    pub verifying: usize,
    /// What holds the run back; `None` before the first look.
    pub held: Option<Held>,
    /// Calls per second that are granted now, of the call for which files wait.
    pub call_rate: Option<f64>,
    /// From the last byte of a body that a socket took to the service's answer, of late.
    pub answering: Option<Duration>,
    /// After an interrupt: what is waited for; the times are what is left of them.
    pub landing: Option<Landing>,
}

impl Progress {
    /// Bytes that are left to send where sockets took `taken` of bodies in flight; `None` while files are listed.
    pub(super) fn left_to_send(&self, taken: u64) -> Option<u64> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let done = read(&self.acked) + read(&self.failed_bytes) + taken;
        self.is_listed
            .load(Ordering::Relaxed)
            .then(|| read(&self.bytes).saturating_sub(done))
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let looked = *self.looked.lock();
        Snapshot {
            files: read(&self.files),
            files_done: read(&self.files_done),
            bytes: read(&self.bytes),
            hashed: read(&self.hashed),
            acked: read(&self.acked),
            sent: read(&self.sent),
            retries: read(&self.retries),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            permits: self.permits.load(Ordering::Relaxed),
            steering: looked.steering.map(|(steering, ..)| steering),
            cuts: looked.steering.map_or(0, |(_, cuts, _)| cuts),
            cut_by: looked.steering.and_then(|(.., by)| by),
            files_failed: read(&self.failed),
            failed: read(&self.failed_bytes),
            resumed: read(&self.resumed),
            compared: (read(&self.compared), read(&self.compared_bytes)),
            on_wire: looked.on_wire,
            in_sockets: looked.in_sockets,
            is_listed: self.is_listed.load(Ordering::Relaxed),
            is_paused: self.is_paused.load(Ordering::Relaxed),
            hashing: self.under_way.count(Step::Hashing),
            queued: self.under_way.count(Step::Queued),
            sending: self.under_way.count(Step::Sending),
            verifying: self.under_way.count(Step::Verifying),
            held: looked.held,
            call_rate: looked.call_rate,
            answering: self.activity.answering(),
            landing: looked.landing.map(|(landing, since)| {
                let passed = since.elapsed();
                Landing {
                    needs: landing.needs.map(|needs| needs.saturating_sub(passed)),
                    longest: landing.longest.saturating_sub(passed),
                    ..landing
                }
            }),
        }
    }

    /// The `most` files at `step` that have been under way for longest.
    #[must_use]
    pub fn files_at(&self, step: Step, most: usize) -> Vec<FileNow> {
        self.under_way.first(step, most)
    }

    /// Slices of the files under way that the service acknowledged, and how many these files have.
    #[must_use]
    pub fn slices(&self) -> (u64, u64) {
        self.under_way.slices()
    }

    /// The `most` calls of which nothing has been heard for longest, from `least` on.
    #[must_use]
    pub fn waits(&self, least: Duration, most: usize) -> Vec<Wait> {
        self.activity.waits(Instant::now(), least, most)
    }

    /// Keeps from now on what happens to its calls, for [`Progress::take_facts`].
    pub fn keep_facts(&self) {
        self.activity.trace().start();
    }

    /// What happened since it was asked last. Some 65,000 facts are kept; what comes on top is lost, so ask
    /// every second or so.
    #[must_use]
    pub fn take_facts(&self) -> Vec<Fact> {
        self.activity.trace().take()
    }

    /// How many attempts at which call of the service ended how, so far.
    #[must_use]
    pub fn calls(&self) -> Vec<CallCount> {
        self.activity.calls()
    }

    /// For how long the run was held back by what, the longest first: looked at ten times a second.
    #[must_use]
    pub fn time_spent(&self) -> Vec<(Held, Duration)> {
        self.spent.shares()
    }

    /// Files that were handed in so far.
    pub(super) fn handed_in(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Counters of the run of `scope`, which counts what is sent.
    pub(super) fn of(scope: &Scope) -> Progress {
        Progress {
            bytes: Arc::clone(&scope.bytes),
            sent: Arc::clone(&scope.sent),
            retries: Arc::clone(&scope.retries),
            activity: Arc::clone(&scope.activity),
            ..Progress::default()
        }
    }

    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn sub(counter: &AtomicU64, amount: u64) {
        counter.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files handed in.
    pub files: u64,
    /// Files sent and completed.
    pub uploaded: u64,
    /// Files that the service had already.
    pub reused: u64,
    /// Files that were there already, says the journal or the service, or that were handed in twice.
    pub skipped: u64,
    /// Files that failed.
    pub failed: u64,
    /// Files that an interrupt came before.
    pub interrupted: u64,
    /// Files that an upload would send.
    pub planned: u64,
    /// Files that were verified and are not there.
    pub missing: u64,
    /// Files that were verified and are not the same there.
    pub different: u64,
    /// Sizes of the files uploaded, reused or skipped, or verified as there.
    pub bytes: u64,
    /// Content bytes that went over the wire, resends included.
    pub sent: u64,
    /// The whole run.
    pub elapsed: Duration,
}

impl Summary {
    /// Counts one more file.
    pub fn count(&mut self, outcome: &Outcome) {
        self.files += 1;
        self.sent += outcome.sent;
        match outcome.status {
            Status::Uploaded(_) => self.uploaded += 1,
            Status::Reused(_) => self.reused += 1,
            Status::Skipped(_) | Status::Present(_) | Status::Kept(_) => self.skipped += 1,
            Status::Planned(_) => self.planned += 1,
            Status::Missing(_) => self.missing += 1,
            Status::Different(_) => self.different += 1,
            Status::Failed(_) => self.failed += 1,
            Status::Interrupted(_) => self.interrupted += 1,
        }
        if !matches!(
            outcome.status,
            Status::Planned(_)
                | Status::Missing(_)
                | Status::Different(_)
                | Status::Failed(_)
                | Status::Interrupted(_)
        ) {
            self.bytes += outcome.size;
        }
    }
}
