//! Files under way, by name and step: what a screen shows. In: each file's steps. Out: how many are at
//! which step, and the first few of them. Never: a file that has ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::steps::{Mark, Marked, Steps};
use crate::sync::Mutex;
use crate::transfer::{WaitNote, WaitsFor};

/// What becomes of a file just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Its MD5 is worked out.
    Hashing,
    /// It waits for its turn, or for an answer that does not concern its content.
    Queued,
    /// Its content is sent.
    Sending,
    /// The service has all of it and works out the MD5.
    Verifying,
}

/// How long a file was at which step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes([Duration; 4]);

impl StepTimes {
    /// At this one.
    #[must_use]
    pub fn at(&self, step: Step) -> Duration {
        self.0[step as usize]
    }
}

/// A file under way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileNow {
    /// The local file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// What becomes of it.
    pub step: Step,
    /// Bytes of it that the service acknowledged, now or in an earlier run.
    pub acked: u64,
    /// Its slices; 0 where it goes in one piece, or that is not known yet.
    pub slices: u32,
    /// Slices that the service acknowledged.
    pub acked_slices: u32,
    /// What it waits for, where it does: of several calls at once, what the last one that began to wait does.
    pub waits_for: Option<WaitsFor>,
    /// The item's tag.
    pub tag: Option<Arc<str>>,
}

/// The files of one run that have not ended.
#[derive(Debug, Default)]
pub struct UnderWay {
    counts: [AtomicUsize; 4],
    list: Mutex<List>,
    /// Those of which the run's reader was not told yet.
    pub steps: Arc<Steps<Facts>>,
}

#[derive(Debug, Default)]
struct List {
    last: u64,
    files: BTreeMap<u64, Arc<Facts>>,
}

/// What is known of one file.
#[derive(Debug)]
pub struct Facts {
    path: PathBuf,
    tag: Option<Arc<str>>,
    size: u64,
    step: AtomicU8,
    acked: AtomicU64,
    slices: AtomicU32,
    acked_slices: AtomicU32,
    times: Mutex<Times>,
    waits: Arc<WaitNote>,
    mark: Mark,
    ended: AtomicBool,
}

impl Marked for Facts {
    fn mark(&self) -> &Mark {
        &self.mark
    }
}

/// Since when a file is at its step, and how long it was at the others.
#[derive(Debug)]
struct Times {
    since: Instant,
    past: StepTimes,
}

/// How long one file was at which step, also after it is listed no more.
#[derive(Debug)]
pub struct Timed(Arc<Facts>);

impl Timed {
    /// Until now.
    pub fn times(&self) -> StepTimes {
        self.0.times()
    }

    /// How far it is.
    pub fn now(&self) -> FileNow {
        self.0.now()
    }

    /// No step of it is told from now on: its end is.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// One file, listed until this is dropped.
#[derive(Debug)]
pub struct FileWatch {
    all: Arc<UnderWay>,
    id: u64,
    facts: Arc<Facts>,
}

impl UnderWay {
    /// Lists a file whose MD5 is about to be worked out.
    pub fn enter(
        self: &Arc<Self>,
        (path, tag): (&Path, Option<&Arc<str>>),
        size: u64,
    ) -> FileWatch {
        let facts = Arc::new(Facts {
            path: path.to_owned(),
            tag: tag.cloned(),
            size,
            step: AtomicU8::new(Step::Hashing as u8),
            acked: AtomicU64::new(0),
            slices: AtomicU32::new(0),
            acked_slices: AtomicU32::new(0),
            times: Mutex::new(Times {
                since: Instant::now(),
                past: StepTimes::default(),
            }),
            waits: Arc::default(),
            mark: Mark::default(),
            ended: AtomicBool::new(false),
        });
        if self.steps.is_on() {
            let (steps, file) = (Arc::clone(&self.steps), Arc::downgrade(&facts));
            facts.waits.on_change(move || {
                file.upgrade()
                    .into_iter()
                    .for_each(|file| steps.changed(&file));
            });
        }
        self.counts[Step::Hashing as usize].fetch_add(1, Ordering::Relaxed);
        let mut list = self.list.lock();
        list.last += 1;
        let id = list.last;
        list.files.insert(id, Arc::clone(&facts));
        drop(list);
        self.steps.changed(&facts);
        FileWatch {
            all: Arc::clone(self),
            id,
            facts,
        }
    }

    /// The next file that took a step, as it is now.
    pub fn poll_step(&self, context: &Context<'_>) -> Poll<FileNow> {
        loop {
            let file = ready!(self.steps.poll(context));
            if !file.ended.load(Ordering::Acquire) {
                return Poll::Ready(file.now());
            }
        }
    }

    /// How many files are at `step`.
    #[must_use]
    pub fn count(&self, step: Step) -> usize {
        self.counts[step as usize].load(Ordering::Relaxed)
    }

    /// Whether the MD5 of a file of more than `size` bytes is being worked out.
    #[must_use]
    pub fn hashes_beyond(&self, size: u64) -> bool {
        if self.count(Step::Hashing) == 0 {
            return false;
        }
        let list = self.list.lock();
        let mut files = list.files.values();
        files.any(|facts| facts.step() == Step::Hashing && facts.size > size)
    }

    /// The `most` files at `step` that have been under way for longest.
    #[must_use]
    pub fn first(&self, step: Step, most: usize) -> Vec<FileNow> {
        let list = self.list.lock();
        let files = list.files.values().filter(|facts| facts.step() == step);
        files.take(most).map(|facts| facts.now()).collect()
    }

    /// Slices of all files under way that were acknowledged, and how many there are.
    #[must_use]
    pub fn slices(&self) -> (u64, u64) {
        let list = self.list.lock();
        list.files.values().fold((0, 0), |(acked, all), facts| {
            let read = |count: &AtomicU32| u64::from(count.load(Ordering::Relaxed));
            (acked + read(&facts.acked_slices), all + read(&facts.slices))
        })
    }
}

impl FileWatch {
    /// The file takes a step.
    pub fn step(&self, step: Step) {
        self.facts.passes();
        let before = self.facts.step.swap(step as u8, Ordering::Relaxed);
        self.all.counts[before as usize].fetch_sub(1, Ordering::Relaxed);
        self.all.counts[step as usize].fetch_add(1, Ordering::Relaxed);
        if before != step as u8 {
            self.all.steps.changed(&self.facts);
        }
    }

    /// Where it is noted what it waits for.
    pub fn waits(&self) -> &Arc<WaitNote> {
        &self.facts.waits
    }

    /// How long it was at which step, until now.
    pub fn times(&self) -> StepTimes {
        self.facts.times()
    }

    /// The same, to be asked for when this is gone.
    pub fn timed(&self) -> Timed {
        Timed(Arc::clone(&self.facts))
    }

    /// It goes in so many slices; of them the service has these, and these bytes.
    pub fn cut(&self, slices: u32, acked: (u32, u64)) {
        self.facts.slices.store(slices, Ordering::Relaxed);
        self.facts.acked_slices.store(acked.0, Ordering::Relaxed);
        self.facts.acked.store(acked.1, Ordering::Relaxed);
    }

    /// One more slice of so many bytes was acknowledged.
    pub fn acked(&self, bytes: u64) {
        self.facts.acked_slices.fetch_add(1, Ordering::Relaxed);
        self.facts.acked.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        let step = self.facts.step.load(Ordering::Relaxed);
        self.all.counts[step as usize].fetch_sub(1, Ordering::Relaxed);
        self.all.list.lock().files.remove(&self.id);
        self.facts.ended.store(true, Ordering::Release);
    }
}

impl Facts {
    fn now(&self) -> FileNow {
        FileNow {
            path: self.path.clone(),
            size: self.size,
            step: self.step(),
            acked: self.acked.load(Ordering::Relaxed),
            slices: self.slices.load(Ordering::Relaxed),
            acked_slices: self.acked_slices.load(Ordering::Relaxed),
            waits_for: self.waits.get(),
            tag: self.tag.clone(),
        }
    }

    /// The present step is over.
    fn passes(&self) {
        let now = Instant::now();
        let mut times = self.times.lock();
        let since = std::mem::replace(&mut times.since, now);
        times.past.0[self.step() as usize] += now.saturating_duration_since(since);
    }

    fn times(&self) -> StepTimes {
        let times = self.times.lock();
        let mut past = times.past;
        past.0[self.step() as usize] += times.since.elapsed();
        past
    }

    fn step(&self) -> Step {
        let all = [Step::Hashing, Step::Queued, Step::Sending, Step::Verifying];
        all[usize::from(self.step.load(Ordering::Relaxed))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_step_until_they_end() {
        let all = Arc::<UnderWay>::default();
        let first = all.enter((Path::new("a"), None), 100);
        let second = all.enter((Path::new("b"), None), 200);
        let names = |step| -> Vec<_> {
            let files = all.first(step, 9).into_iter();
            files.map(|file| file.path.display().to_string()).collect()
        };
        assert_eq!(names(Step::Hashing), ["a", "b"]);
        let before = first.times();
        first.step(Step::Queued);
        let hashed = first.times().at(Step::Hashing);
        assert!(hashed >= before.at(Step::Hashing));
        first.step(Step::Sending);
        first.cut(4, (1, 25));
        first.acked(25);
        assert_eq!((all.count(Step::Hashing), all.count(Step::Sending)), (1, 1));
        let [file] = &all.first(Step::Sending, 1)[..] else {
            panic!("one is sent")
        };
        assert_eq!((file.acked, file.acked_slices, file.slices), (50, 2, 4));
        assert_eq!(all.slices(), (2, 4));
        assert_eq!(first.times().at(Step::Hashing), hashed, "that step is over");
        assert_eq!(first.times().at(Step::Verifying), Duration::ZERO);
        drop((first, second));
        for step in [Step::Hashing, Step::Queued, Step::Sending, Step::Verifying] {
            assert_eq!((all.count(step), names(step).len()), (0, 0));
        }
    }
}
