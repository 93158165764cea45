//! A run from its first file to its last: sets each hashed file on its way, tells how it ended, and
//! flushes the journal.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument;

use super::admit::{Admission, Admitted, Ended, Hashed, Unhashed};
use super::broken::{broken, nameless};
use super::door::Door;
use super::event::{Event, Outcome, Progress, Status, Warning};
use super::handle::{FileGuard, FileState};
use super::landing::{Landing, landing};
use super::look::Looks;
use super::run::{Purpose, Shared, Told};
use super::under_way::Timed;
use super::{dry_run, file, verify};
use crate::error::{Error, Kind, Operation};
use crate::hash::Running;
use crate::transfer::Cancel;

/// How files and wishes come to the conductor.
pub struct Inlets {
    /// Files, hashed or ended.
    pub hashed: mpsc::Receiver<Admitted>,
    /// Files that are to end.
    pub aborted: mpsc::UnboundedReceiver<Arc<FileState>>,
    /// Where files are added.
    pub door: Weak<Door>,
    /// That no more are added.
    pub closed: Arc<Notify>,
}

/// Takes files from the hashers, sets each on its way, and tells how it ended.
pub async fn conduct(
    shared: Arc<Shared>,
    hashing: Running<Admission>,
    inlets: Inlets,
    events: mpsc::Sender<Told>,
) {
    let Inlets {
        mut hashed,
        mut aborted,
        door,
        closed,
    } = inlets;
    let end = RunEnd {
        shared: Arc::clone(&shared),
        events,
        door,
    };
    let unopened = shared.core.unopened.lock().take();
    if let Some(warning) = unopened {
        shared.tell(Warning::of_the_run(warning)).await;
    }
    let mut files = Files {
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        active: HashMap::new(),
        dropped_by: tokio::time::Instant::now(),
        stopped_by: None,
        listed: false,
        closed: false,
        idle: None,
    };
    let ticker = tokio::spawn(tick(Arc::downgrade(&shared)));
    let mut open = true;
    let superseded = superseded(&shared);
    tokio::pin!(superseded);
    // What was aborted while it was read may hang in its source for ever: it is not waited for.
    while (open || !files.tasks.is_empty()) && !(files.closed && files.have_ended()) {
        tokio::select! {
            admitted = hashed.recv(), if open => match admitted {
                Some(Admitted::Ready(file)) => files.start(*file),
                Some(Admitted::Unhashed(file)) => files.plan(*file),
                Some(Admitted::Ended(file)) => files.ended(*file).await,
                Some(Admitted::Listed) => files.listed = true,
                None => open = false,
            },
            Some(file) = aborted.recv() => files.abort(&file).await,
            () = closed.notified(), if !files.closed => files.closed = true,
            Some(ended) = files.tasks.join_next_with_id(), if !files.tasks.is_empty() => files.joined(ended).await,
            successor = &mut superseded, if files.stopped_by.is_none() => files.stop(successor).await,
            () = shared.draining() => break,
        }
        files.tell_if_idle().await;
    }
    // What was handed in and is not begun comes out of the channel as cut off.
    drop(hashing);
    end.close();
    files.drain().await;
    files.unbegun(&mut hashed).await;
    ticker.abort();
    finish(&shared).await;
}

/// Keeps the channel of events open, and says so where the conductor itself ends by a panic.
struct RunEnd {
    shared: Arc<Shared>,
    events: mpsc::Sender<Told>,
    door: Weak<Door>,
}

impl RunEnd {
    /// The lists' threads have no one to hand files to any more.
    fn close(&self) {
        self.shared.places.close();
        if let Some(door) = self.door.upgrade() {
            door.close();
        }
    }
}

impl Drop for RunEnd {
    fn drop(&mut self) {
        self.close();
        if std::thread::panicking() {
            self.shared.drain();
            let outcome = nameless(broken(Operation::Check));
            drop(self.events.try_send(Told::Event(Event::File(outcome))));
        }
    }
}

/// The files on their way, and what to say of one whose task did not end by itself.
struct Files {
    shared: Arc<Shared>,
    tasks: JoinSet<Outcome>,
    active: HashMap<tokio::task::Id, Unfinished>,
    /// When what was cut off is no longer waited for.
    dropped_by: tokio::time::Instant,
    /// What ended the run, where that was no interrupt.
    stopped_by: Option<Error>,
    /// The run's own list has ended.
    listed: bool,
    /// No more are added.
    closed: bool,
    /// How many files had been handed in when it was told that all of them had ended.
    idle: Option<u64>,
}

/// A file whose task has not ended.
struct Unfinished {
    outcome: Outcome,
    /// Content bytes of it that went over the wire so far.
    sent: Arc<AtomicU64>,
    started: Instant,
    /// Its steps, where it has any.
    timed: Option<Timed>,
    /// The run's part of its handle.
    guard: Option<FileGuard>,
}

impl Unfinished {
    fn of(file: &mut Hashed) -> Unfinished {
        let interrupted = Status::Interrupted(Cancel::error().with_path(file.source.path()));
        Unfinished {
            outcome: file.outcome(interrupted),
            sent: Arc::default(),
            started: file.started,
            timed: Some(file.watch.timed()),
            guard: file.guard.take(),
        }
    }

    /// Of a file that is planned.
    fn planned(file: &mut Unhashed) -> Unfinished {
        let status = Status::Interrupted(Cancel::error().with_path(&file.item.path));
        Unfinished {
            outcome: dry_run::outcome(file, status, file.md5),
            sent: Arc::default(),
            started: file.started,
            timed: None,
            guard: file.guard.take(),
        }
    }

    /// How the file ended, where its task did not come to say so. Its slices are tasks of their own:
    /// they are dropped, and counted, a moment after it, which is waited for until `until`.
    async fn end(self, until: tokio::time::Instant) -> Ended {
        while Arc::strong_count(&self.sent) > 1 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let outcome = Outcome {
            sent: self.sent.load(Ordering::Relaxed),
            elapsed: self.started.elapsed(),
            times: self.timed.map(|timed| timed.times()).unwrap_or_default(),
            ..self.outcome
        };
        Ended {
            outcome,
            guard: self.guard,
        }
    }
}

impl Files {
    fn start(&mut self, mut file: Hashed) {
        if self.was_told(file.guard.as_ref()) {
            return;
        }
        let unfinished = Unfinished::of(&mut file);
        let (shared, sent) = (Arc::clone(&self.shared), Arc::clone(&unfinished.sent));
        let handle = match shared.purpose {
            Purpose::Upload => {
                let span = span(&file);
                let upload = file::upload(shared, file, sent);
                self.tasks.spawn(upload.instrument(span))
            }
            // What is planned is not hashed.
            Purpose::Verify | Purpose::Plan => self.tasks.spawn(verify::file(shared, file)),
        };
        self.follow(handle, unfinished);
    }

    fn plan(&mut self, mut file: Unhashed) {
        if self.was_told(file.guard.as_ref()) {
            return;
        }
        let unfinished = Unfinished::planned(&mut file);
        let shared = Arc::clone(&self.shared);
        let handle = self.tasks.spawn(dry_run::file(shared, file));
        self.follow(handle, unfinished);
    }

    fn follow(&mut self, handle: AbortHandle, unfinished: Unfinished) {
        let id = handle.id();
        if let Some(guard) = &unfinished.guard {
            guard.runs(handle);
        }
        self.active.insert(id, unfinished);
    }

    /// A file that was aborted while it was hashed comes out of that later: only its place is free then.
    fn was_told(&self, guard: Option<&FileGuard>) -> bool {
        let told = guard.is_some_and(|guard| guard.is_told());
        if told {
            self.shared.places.add_permits(1);
        }
        told
    }

    /// Ends one file.
    async fn abort(&mut self, file: &FileState) {
        if !file.ends_task() && !file.is_told() {
            file.ends();
            let outcome = file.unended();
            self.tell(outcome, Some(file)).await;
        }
    }

    /// Whether all files that were handed in so far have.
    fn have_ended(&self) -> bool {
        let progress = &self.shared.progress;
        self.listed && progress.handed_in() == progress.files_done.load(Ordering::Relaxed)
    }

    /// Says once that all files that were handed in have ended.
    async fn tell_if_idle(&mut self) {
        let files = self.shared.progress.handed_in();
        if self.have_ended() && self.idle != Some(files) {
            self.idle = Some(files);
            self.shared.tell_idle(files).await;
        }
    }

    async fn joined(&mut self, ended: Result<(tokio::task::Id, Outcome), tokio::task::JoinError>) {
        match ended {
            Ok((id, outcome)) => {
                let file = self.active.remove(&id);
                if let Some(timed) = file.as_ref().and_then(|file| file.timed.as_ref()) {
                    timed.end();
                }
                let guard = file.and_then(|file| file.guard);
                self.ended(Ended { outcome, guard }).await;
            }
            Err(error) => {
                if let Some(unfinished) = self.active.remove(&error.id()) {
                    if let Some(timed) = &unfinished.timed {
                        timed.end();
                    }
                    let until = self.dropped_by.max(tokio::time::Instant::now() + CUT_OFF);
                    let mut file = unfinished.end(until).await;
                    if error.is_panic() {
                        let error = broken(Operation::Check).with_path(&file.outcome.path);
                        file.outcome.status = Status::Failed(error);
                    }
                    self.ended(file).await;
                }
            }
        }
    }

    async fn ended(&mut self, file: Ended) {
        let Ended { outcome, guard } = file;
        if !self.was_told(guard.as_ref()) {
            self.tell(outcome, guard.as_deref()).await;
            self.shared.places.add_permits(1);
        }
    }

    /// Tells how a file ended, its handle too.
    async fn tell(&mut self, outcome: Outcome, handle: Option<&FileState>) {
        let outcome = Outcome {
            status: self.status(outcome.status, &outcome.path).await,
            ..outcome
        };
        let progress = &self.shared.progress;
        if let Status::Failed(_) = outcome.status {
            Progress::add(&progress.failed, 1);
            Progress::add(&progress.failed_bytes, outcome.size);
        }
        if matches!(outcome.status, Status::Interrupted(_)) && !self.shared.is_draining() {
            // It is not waited for.
            Progress::add(&progress.failed_bytes, outcome.size);
        }
        self.shared.count(&outcome);
        if let Some(handle) = handle {
            handle.tell(&outcome);
        }
        Progress::add(&progress.files_done, 1);
        self.shared.tell(Event::File(outcome)).await;
    }

    /// How a file ended, as the run sees it: what was cut off was interrupted, or failed with what
    /// ended the run.
    async fn status(&mut self, status: Status, path: &Path) -> Status {
        let error = match status {
            Status::Failed(error) | Status::Interrupted(error) => error,
            done => return done,
        };
        if error.kind() == Kind::Cancelled {
            return match &self.stopped_by {
                Some(end) => Status::Failed(end.cuts_off(path)),
                None => Status::Interrupted(error),
            };
        }
        // Refused credentials, or an API that cannot be reached, are so for every file: the run ends.
        if error.is_of_the_run() && !self.shared.is_draining() {
            self.stop(error.clone().without_path()).await;
        }
        Status::Failed(error)
    }

    /// Ends the run with `error`.
    async fn stop(&mut self, error: Error) {
        self.shared.drain();
        self.stopped_by = Some(error.clone());
        self.shared.tell(Event::Stopped(error)).await;
    }

    /// After an interrupt: what is near its end may land, then every remaining file is reported as
    /// cancelled.
    async fn drain(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        // What was acknowledged so far is kept, whatever comes.
        let journal = self.shared.core.journal.clone();
        let flushing = tokio::task::spawn_blocking(move || drop(journal.flush()));
        let mut landing = self.land();
        if self.shared.core.journal.successor().is_some() {
            // What lands could not be kept, and another run sends it.
            landing.longest = Duration::ZERO;
        }
        let (mut moved, mut last) = (Instant::now(), (0, 0));
        let deadline = moved + landing.longest;
        while !self.tasks.is_empty()
            && Instant::now() < deadline
            && moved.elapsed() < landing.silence()
        {
            if let Ok(Some(ended)) =
                tokio::time::timeout(LOOK, self.tasks.join_next_with_id()).await
            {
                self.joined(ended).await;
            }
            let now = self.shared.progress.snapshot();
            if (now.sent, now.acked) != last {
                (last, moved) = ((now.sent, now.acked), Instant::now());
            }
        }
        drop(flushing);
        self.tasks.abort_all();
        self.dropped_by = tokio::time::Instant::now() + DROPPED;
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.joined(ended).await;
        }
    }

    /// Gives the link to the bodies that are nearest to their end.
    fn land(&self) -> Landing {
        let scope = &self.shared.scope;
        let now = Instant::now();
        let mut looked = self.shared.progress.looked.lock();
        let answering = scope.activity.answering().unwrap_or_default();
        let (landing, late) = landing(
            scope.activity.flights(now),
            looked.speed,
            (answering, self.shared.grace()),
        );
        looked.landing = Some((landing, now));
        drop(looked);
        scope.activity.cut(&late);
        landing
    }

    /// Tells the files that were handed in and never begun. What hangs in the disk, or in the caller's
    /// list, is not waited for.
    async fn unbegun(&mut self, hashed: &mut mpsc::Receiver<Admitted>) {
        let until = tokio::time::Instant::now() + DROPPED;
        while let Ok(Some(admitted)) = tokio::time::timeout_at(until, hashed.recv()).await {
            let unfinished = match admitted {
                Admitted::Ended(file) => {
                    self.ended(*file).await;
                    continue;
                }
                Admitted::Ready(mut file) => Unfinished::of(&mut file),
                Admitted::Unhashed(mut file) => Unfinished::planned(&mut file),
                Admitted::Listed => continue,
            };
            let Unfinished { outcome, guard, .. } = unfinished;
            self.ended(Ended { outcome, guard }).await;
        }
    }
}

/// What is logged of a file is logged in this.
fn span(file: &Hashed) -> tracing::Span {
    tracing::info_span!(
        "file",
        path = %file.source.path().display(),
        remote = file.task.remote.path(),
        size = file.source.len(),
        tag = file.tag.as_deref(),
    )
}

/// The journal last: what was acknowledged is on disk when the run has ended, or it is said that it
/// is not.
async fn finish(shared: &Arc<Shared>) {
    shared.ended();
    // An answer that is on its way brings what a credential that works once was used for.
    let _ = tokio::time::timeout(ANSWER, shared.core.transfer.settled()).await;
    shared.core.keep_links();
    let journal = shared.core.journal.clone();
    let flushed = tokio::task::spawn_blocking(move || journal.flush()).await;
    while let Some(warning) = shared.core.transfer.take_warning() {
        shared.tell(Warning::of_the_run(warning)).await;
    }
    tell_warnings(shared).await;
    let unkept = shared.core.journal.unkept();
    if let Some(error) = shared.core.journal.successor() {
        // Known only now: everything had ended.
        if !shared.is_draining() {
            shared.tell(Warning::of_the_run(error)).await;
        }
    } else if let (Ok(Err(error)), 1..) = (flushed, unkept) {
        let advice =
            format!("{unkept} things that were done are not kept; the next run may do them again");
        shared.tell(Warning::of_the_run(error.advice(advice))).await;
    }
}

/// Waits until another run has taken over.
async fn superseded(shared: &Shared) -> Error {
    loop {
        match shared.core.journal.successor() {
            Some(error) => return error,
            None => tokio::time::sleep(LOOK).await,
        }
    }
}

/// What the journal has met since it was asked last.
async fn tell_warnings(shared: &Shared) {
    while let Some(warning) = shared.core.journal.next_warning() {
        shared.tell(Warning::of_the_run(warning)).await;
    }
}

/// Ten times a second: looks at what the run does, and tells what the journal cannot do.
async fn tick(shared: std::sync::Weak<Shared>) {
    let mut beat = tokio::time::interval(LOOK);
    let mut looks = Looks::new();
    loop {
        beat.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        looks.look(&shared, Instant::now());
        // Told as it comes: a login may be waited for while nothing else happens.
        while let Some(warning) = shared.core.transfer.take_warning() {
            shared.tell(Warning::of_the_run(warning)).await;
        }
        tell_warnings(&shared).await;
    }
}

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A refresh takes less than a second where the service answers.
const ANSWER: Duration = Duration::from_secs(2);

/// One file that is cut off holds up the others' turns for so long at most.
const CUT_OFF: Duration = Duration::from_millis(100);

/// Cutting off what is in flight takes milliseconds; a thread that hangs with it is not waited for.
const DROPPED: Duration = Duration::from_millis(500);
