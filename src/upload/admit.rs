//! Admission: opens an item, checks its name and size, and skips it where the journal knows it as
//! finished. In: items, on the threads that hash. Out: hashed files, or how the item ended. Never: a byte read
//! of a file that is not wanted.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use super::event::{Outcome, Progress, Status};
use super::handle::FileGuard;
use super::run::{Purpose, Shared};
use super::turn::{self, Turn};
use super::under_way::{FileWatch, Step};
use super::{Item, Origin};
use crate::digest::{FileDigest, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::{BudgetGuard, Digested, Job, OpenedJob};
use crate::journal::Task;
use crate::options::{Look, Resume};
use crate::panics::trip;
use crate::source::{self, Source, Standing};
use crate::transfer::Cancel;
use crate::wire::{Remote, check_size};

/// A file with its etag, ready for `create` or `single/create`.
#[derive(Debug)]
pub struct Hashed {
    /// The open file.
    pub source: Source,
    /// Its MD5s; of its slices for the slice size that was expected.
    pub digest: FileDigest,
    /// The contents, where they were read rather than mapped.
    pub content: Option<Bytes>,
    /// What the journal calls this file.
    pub task: Task,
    /// The MD5s are an earlier run's.
    pub remembered: bool,
    /// Its turn at its place, where that was free.
    pub turn: Option<Turn>,
    /// The file's part of what may be hashed ahead, held until the file ends.
    pub _ahead: BudgetGuard,
    /// When its turn came.
    pub started: Instant,
    /// The item's tag.
    pub tag: Option<Arc<str>>,
    /// What its MD5 must be.
    pub expected: Option<Md5>,
    /// Whether missing remote folders are made.
    pub make_folders: bool,
    /// Files with a higher one go first.
    pub priority: i8,
    /// Shows it as under way.
    pub watch: Arc<FileWatch>,
    /// The run's part of its handle.
    pub guard: Option<FileGuard>,
}

impl Hashed {
    /// How it ended, with what is known before anything of it is sent.
    #[must_use]
    pub fn outcome(&self, status: Status) -> Outcome {
        let name = (self.source.path(), self.task.remote.path());
        Outcome {
            size: self.source.len(),
            md5: Some(self.digest.md5),
            ..Outcome::unsent(name, status, self.tag.as_ref())
        }
    }
}

/// A file of which it is to be told what an upload would do. It is not open: a run may have thousands.
#[derive(Debug)]
pub struct Unhashed {
    /// The item.
    pub item: Item,
    /// What the journal calls this file.
    pub task: Task,
    /// In bytes.
    pub size: u64,
    /// Its MD5, where that is known without reading it.
    pub md5: Option<Md5>,
    /// When its turn came.
    pub started: Instant,
    /// The run's part of its handle.
    pub guard: Option<FileGuard>,
}

/// A file that has ended, and the run's part of its handle.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// The run's part of its handle.
    pub guard: Option<FileGuard>,
}

impl Ended {
    /// Of a file without a handle.
    #[must_use]
    pub fn of(outcome: Outcome) -> Ended {
        Ended {
            outcome,
            guard: None,
        }
    }
}

/// What admission hands on.
#[derive(Debug)]
pub enum Admitted {
    /// To be uploaded.
    Ready(Box<Hashed>),
    /// To be planned.
    Unhashed(Box<Unhashed>),
    /// Ended already: it failed, or the journal knows it as finished.
    Ended(Box<Ended>),
    /// The run's own list has ended.
    Listed,
}

/// An item on its way through the engine. One that is dropped there was cut off by the run's end.
pub struct Admission {
    shared: Arc<Shared>,
    out: Sender<Admitted>,
    item: Item,
    /// In bytes, as far as is known.
    size: u64,
    /// Whether it is a file at first sight.
    is_file: bool,
    /// Known once it was opened.
    task: Option<Task>,
    watch: Option<FileWatch>,
    started: Instant,
    told: Cell<bool>,
    guard: Cell<Option<FileGuard>>,
    /// Set once its handle wants no more of it.
    aborted: Option<Arc<AtomicBool>>,
}

impl Admission {
    /// Of an item that has `size` bytes at first sight, and is a file or not.
    #[must_use]
    pub fn new(
        shared: &Arc<Shared>,
        out: &Sender<Admitted>,
        (item, size, is_file): (Item, u64, bool),
        guard: Option<FileGuard>,
    ) -> Admission {
        Admission {
            shared: Arc::clone(shared),
            out: out.clone(),
            item,
            size,
            is_file,
            task: None,
            watch: None,
            started: Instant::now(),
            told: Cell::new(false),
            aborted: guard.as_ref().map(|guard| Arc::clone(guard.aborted())),
            guard: Cell::new(guard),
        }
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Whether it is something that can be uploaded, at first sight.
    #[must_use]
    pub fn is_uploadable(&self) -> bool {
        self.is_file && check_size(self.size).is_ok()
    }

    /// Its remote folder is one of those that the run goes to.
    pub fn expected(&self) {
        let Item {
            parent_id, remote, ..
        } = &self.item;
        self.shared.listings.expect(*parent_id, remote);
    }

    /// Tells that its remote path is like that of `first`. Called on a thread that may wait.
    pub fn similar(&self, first: &Path) {
        let Item {
            path, remote, tag, ..
        } = &self.item;
        let message = format!(
            "{remote:?} differs only by case, or by how Unicode composes it, from the remote path of {}: other programs and \
             systems may take them for one",
            first.display()
        );
        let warning = Error::new(Kind::Invalid, Operation::Check, message).with_path(path);
        self.shared.tell_of_similar(warning, tag.as_ref());
    }

    /// Ends it: the same file was handed in for the same place before, as `first`.
    pub fn again(&self, first: &Path) {
        let (path, first) = (self.item.path.display(), first.display());
        tracing::info!("{path} is the same file as {first}, which goes to the same place");
        self.skip(None, None);
    }

    /// Ends it as not to be sent: the service has it under this id, if that is known.
    fn skip(&self, id: Option<i64>, md5: Option<Md5>) {
        for counter in [&*self.shared.progress.hashed, &self.shared.progress.acked] {
            Progress::add(counter, self.size);
        }
        self.end(Status::Skipped(id), md5);
    }

    fn end(&self, status: Status, md5: Option<Md5>) {
        let (elapsed, times) = match &self.watch {
            Some(watch) => {
                watch.timed().end();
                (self.started.elapsed(), watch.times())
            }
            None => Default::default(),
        };
        let Item {
            path, remote, tag, ..
        } = &self.item;
        let outcome = Outcome {
            size: self.size,
            md5,
            elapsed,
            times,
            ..Outcome::unsent((path, remote), status, tag.as_ref())
        };
        let guard = self.guard.take();
        self.hand_on(Admitted::Ended(Box::new(Ended { outcome, guard })));
    }

    /// Never waits: the channel has room for as many files as the run has under way.
    fn hand_on(&self, admitted: Admitted) {
        if !self.told.replace(true) {
            drop(self.out.try_send(admitted));
        }
    }

    fn task(&self, source: &Source) -> Result<Task> {
        let (item, core) = (&self.item, &self.shared.core);
        check_size(source.len())?;
        Ok(Task {
            account: core.account(),
            remote: Remote::new(item.parent_id, &item.remote)?,
            conflict: item.conflict.unwrap_or(core.options.on_conflict),
            path: match source.is_lasting() {
                true => std::path::absolute(item.local()).unwrap_or_else(|_| item.local()),
                false => item.local(),
            },
            identity: source.identity(),
        })
    }

    /// Hands it on without having read it.
    fn unhashed(&self, source: &Source, task: Task) {
        let core = &self.shared.core;
        let kept = match core.options.resume {
            Resume::Nothing => None,
            _ if !source.is_lasting() => None,
            _ => core.journal.hashes(&task.path, &task.identity),
        };
        let told = self.item.md5.filter(|_| self.item.trust_md5);
        self.hand_on(Admitted::Unhashed(Box::new(Unhashed {
            item: self.item.clone(),
            task,
            size: self.size,
            md5: kept.map(|digest| digest.md5).or(told),
            started: self.started,
            guard: self.guard.take(),
        })));
    }

    /// The MD5s from an earlier run, where the file is still the same: no byte is read. A small file
    /// is read anyway.
    fn remembered(&self, source: &Source, task: &Task) -> Option<FileDigest> {
        let core = &self.shared.core;
        if self.size < core.source_settings.map_from {
            return None;
        }
        let told = self.item.md5.filter(|_| self.item.trust_md5);
        let kept = || match core.options.resume {
            Resume::Nothing => None,
            _ if !source.is_lasting() => None,
            _ => core.journal.hashes(&task.path, &task.identity),
        };
        let digest = kept().or_else(|| Some(FileDigest::new(told?, self.size)))?;
        Progress::add(&self.shared.progress.hashed, self.size);
        Some(digest)
    }
}

/// Opens what an item's bytes come from.
///
/// # Errors
/// [`Kind::Source`]: it cannot be read, or is no file.
pub fn open(item: &Item, settings: &source::Settings) -> Result<Source> {
    let Item {
        path,
        origin,
        below,
        ..
    } = item;
    let part = match origin {
        Origin::File => None,
        Origin::Part(part) => Some(part.clone()),
        Origin::Caller(contents) => {
            return Source::of_caller(path, Arc::clone(contents), settings);
        }
    };
    let source = Source::open_part(below.as_deref(), path, part, settings)?;
    if source.is_empty() {
        // Some files have contents that their size knows nothing of.
        source.read_into(&mut Vec::new())?;
    }
    Ok(source)
}

/// The file is the one that was meant, where its MD5 was said.
///
/// # Errors
/// [`Kind::Source`]: it is another one.
pub fn is_expected(item: &Item, md5: &Md5) -> Result<()> {
    match &item.md5 {
        Some(expected) if expected != md5 => {
            let message = format!("the file's MD5 is {md5}, and {expected} was expected");
            let error = Error::new(Kind::Source, Operation::Check, message);
            Err(error.for_good().advice("nothing of it was sent"))
        }
        _ => Ok(()),
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.told.get() {
            let error = Cancel::error().with_path(&self.item.path);
            self.end(Status::Interrupted(error), None);
        }
    }
}

impl Job for Admission {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn priority(&self) -> i8 {
        self.item.priority
    }

    fn is_stopped(&self) -> bool {
        let of_the_run = self.shared.scope.cancel.flag();
        let mut flags = [Some(of_the_run), self.aborted.as_ref()].into_iter();
        flags.any(|flag| flag.is_some_and(|flag| flag.load(Ordering::Relaxed)))
    }

    fn stop(&self) -> Option<&Arc<AtomicBool>> {
        self.aborted.as_ref()
    }

    fn open(&mut self) -> Result<OpenedJob> {
        self.started = Instant::now();
        let source = open(&self.item, &self.shared.core.source_settings)?;
        self.size = source.len();
        let task = self.task(&source)?;
        let core = &self.shared.core;
        if self.shared.purpose != Purpose::Verify
            && core.options.resume == Resume::Everything
            && core.options.look != Look::Always
            && source.is_lasting()
            && let Some(finished) = core.journal.finished(&task)
        {
            is_expected(&self.item, &finished.md5)?;
            self.skip(finished.file_id, Some(finished.md5));
            return Ok(OpenedJob::Nothing);
        }
        if self.shared.purpose == Purpose::Plan {
            self.unhashed(&source, task);
            return Ok(OpenedJob::Nothing);
        }
        trip::sure(trip::Step::Hash, &self.item.path);
        let known = self.remembered(&source, &task);
        self.task = Some(task);
        let under_way = &self.shared.progress.under_way;
        let watch = under_way.enter((&self.item.path, self.item.tag.as_ref()), self.size);
        if let Some(guard) = self.guard.get_mut() {
            guard.begins(watch.timed());
        }
        self.watch = Some(watch);
        Ok(match known {
            Some(digest) => OpenedJob::Known(source, digest),
            None => OpenedJob::File(source),
        })
    }

    fn done(mut self, digested: Digested<'_>, ahead: BudgetGuard) {
        let Digested {
            source,
            digest,
            is_known,
            content,
        } = digested;
        let (Some(source), Some(task), Some(watch)) =
            (source, self.task.clone(), self.watch.take())
        else {
            return;
        };
        if let Err(error) = is_expected(&self.item, &digest.md5) {
            return self.failed(error);
        }
        watch.step(Step::Queued);
        // What there is may be more or less than the size that was counted.
        let (total, counted) = (&self.shared.progress.bytes, source.identity().size);
        Progress::add(total, source.len().saturating_sub(counted));
        Progress::sub(total, counted.saturating_sub(source.len()));
        if content.is_none() && !is_known && source.is_lasting() {
            // What was hashed is what the identity names, or it is not remembered. Where that is in
            // doubt, it is hashed once more before it is sent.
            match source.standing(Operation::Read) {
                Ok(Standing::Same) => {
                    let journal = &self.shared.core.journal;
                    journal.remember(&task.path, &task.identity, digest.clone());
                }
                Ok(Standing::InDoubt(..)) => {}
                Ok(Standing::Unreadable(error) | Standing::Changed(error)) | Err(error) => {
                    return self.failed(error);
                }
            }
        }
        let turn = match self.shared.purpose {
            Purpose::Upload => turn::at_once(&self.shared, &task, &digest.md5),
            Purpose::Verify | Purpose::Plan => None,
        };
        let hashed = Hashed {
            source,
            digest,
            content: content.map(|content| std::mem::take(content).into()),
            task,
            remembered: is_known,
            turn,
            _ahead: ahead,
            started: self.started,
            tag: self.item.tag.clone(),
            expected: self.item.md5,
            make_folders: self.item.make_folders,
            priority: self.item.priority,
            watch: Arc::new(watch),
            guard: self.guard.take(),
        };
        self.hand_on(Admitted::Ready(Box::new(hashed)));
    }

    fn failed(self, error: Error) {
        let error = match error.path() {
            Some(_) => error,
            None => error.with_path(&self.item.path),
        };
        self.end(Status::Failed(error), None);
    }
}
