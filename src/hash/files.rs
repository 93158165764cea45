//! MD5s of files without an upload. In: inputs, as many as there are. Out: each one's
//! MD5s, or why not, in the order in which they were handed in. Never: an input that stops
//! another, memory that grows with the number of inputs, the MD5 of a file that changed meanwhile.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::{Settings, Slices};
use super::budget::{BudgetGuard, Size};
use super::engine::{Intake, Running, start};
use super::job::{Digested, Job, OpenedJob};
use super::order::InOrder;
use super::pools::Pools;
use super::progress::HashProgress;
use super::threads;
use super::watch::Watch;
use crate::digest::FileDigest;
use crate::error::{Error, Kind, Operation, Result};
use crate::panics::{broken, trip};
use crate::source::{self, Source};

/// Hashes files, many at a time, and gives their MD5s back in the order of `inputs`. They are
/// taken from `inputs` some thousands ahead; dropping the result stops the work.
///
/// ```no_run
/// let inputs = ["a.bin", "b.bin"].map(|path| panup::Input::File(path.into()));
/// for file in panup::hash_files(inputs, &panup::HashOptions::default())? {
///     match file.sum {
///         Ok(sum) => println!("{}", sum.md5),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok::<(), panup::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Invalid`] where the options make no sense, [`Kind::State`] where no thread can be started.
pub fn hash_files<I>(inputs: I, options: &HashOptions) -> Result<FileSums>
where
    I: IntoIterator<Item = Input>,
    I::IntoIter: Send + 'static,
{
    let (threads, slice_size) = options.check()?;
    let pools = Arc::new(Pools::of_a_call(threads, slice_size.is_some())?);
    let source = source::Settings {
        maps: options.maps,
        ..source::Settings::default()
    };
    let settings = Settings {
        source,
        slices: slice_size.map_or(Slices::None, Slices::Wanted),
        small_batch: SMALL_BATCH_BYTES,
    };
    let watch = Watch::default();
    let call = Arc::new(HashCall {
        source,
        progress: Arc::new(HashProgress::of(&watch)),
        watch: watch.clone(),
        sums: InOrder::new(AHEAD),
    });
    // What was hashed is used up at once.
    let limits = [Size::UNLIMITED; 2];
    let (intake, running) = start(pools, settings, limits, watch);
    let sums = FileSums {
        call: Arc::clone(&call),
        ready: VecDeque::new(),
        _running: running,
    };
    let inputs = inputs.into_iter();
    // The thread that lists the files waits most of the time.
    threads::spawn("panup-inputs", move || call.feed(inputs, &intake))?;
    Ok(sums)
}

/// What to hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Input {
    /// A file. What is no regular file, such as a named pipe, is read to its end.
    File(PathBuf),
    /// A regular file, as the listing of its folder said: it is not looked at again before it is
    /// opened, which saves a system call. Its size is known once it is open.
    RegularFile(PathBuf),
    /// Standard input, read to its end.
    Stdin,
}

impl Input {
    /// Its path; `None` for standard input.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Input::File(path) | Input::RegularFile(path) => Some(path),
            Input::Stdin => None,
        }
    }
}

/// How to hash. Start from the default and change fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HashOptions {
    /// Hashing threads, 1,024 at most; `None` (default) is one per processor.
    pub threads: Option<usize>,
    /// Also the MD5 of every slice of this many bytes; `None` (default) is none.
    pub slice_size: Option<u64>,
    /// Whether files may be memory-mapped; they are read where not.
    pub maps: bool,
}

/// One input's MD5s, or why there are none.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileSum {
    /// What was handed in; an empty path where `inputs` itself failed.
    pub input: Input,
    /// Its MD5s, of its slices too where a slice size was given. An error of [`Kind::Source`] where it is
    /// missing, unreadable, or changed meanwhile, of [`Kind::Internal`] where hashing it panicked.
    pub sum: Result<FileDigest>,
}

/// The MD5s as they become known, in the order of the inputs.
pub struct FileSums {
    call: Arc<HashCall>,
    /// Known, and not given out yet.
    ready: VecDeque<FileSum>,
    _running: Running<FileJob>,
}

impl FileSums {
    /// The counters.
    #[must_use]
    pub fn progress(&self) -> &Arc<HashProgress> {
        &self.call.progress
    }
}

impl Iterator for FileSums {
    type Item = FileSum;

    fn next(&mut self) -> Option<FileSum> {
        if self.ready.is_empty() {
            self.call.sums.take_ready(&mut self.ready);
        }
        self.ready.pop_front()
    }
}

impl Drop for FileSums {
    fn drop(&mut self) {
        self.call.watch.stop.store(true, Ordering::Relaxed);
        self.call.sums.close();
    }
}

impl fmt::Debug for FileSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSums")
            .field("progress", self.progress())
            .finish_non_exhaustive()
    }
}

impl Default for HashOptions {
    fn default() -> HashOptions {
        HashOptions {
            threads: None,
            slice_size: None,
            maps: true,
        }
    }
}

impl HashOptions {
    /// The number of threads and the slice size.
    fn check(&self) -> Result<(usize, Option<usize>)> {
        let threads = self.threads.unwrap_or_else(threads::processors);
        let most = threads::MOST_THREADS;
        if self.threads.is_some() && !(1..=most).contains(&threads) {
            let message = format!("hash threads must be from 1 to {most}");
            return Err(invalid(&message));
        }
        let slice_size = self.slice_size.map(usize::try_from).transpose();
        match slice_size.map_err(|_| invalid("the slice size is beyond memory"))? {
            Some(0) => Err(invalid("a slice must have at least 1 byte")),
            slice_size => Ok((threads, slice_size)),
        }
    }
}

fn invalid(message: &str) -> Error {
    Error::new(Kind::Invalid, Operation::Configure, message)
}

/// What all files of one call share.
struct HashCall {
    source: source::Settings,
    progress: Arc<HashProgress>,
    watch: Watch,
    sums: InOrder<FileSum>,
}

impl HashCall {
    /// Hands every input to the engine. A list whose end is a panic has not ended.
    fn feed(self: &Arc<Self>, inputs: impl Iterator<Item = Input>, intake: &Intake<FileJob>) {
        let feed = AssertUnwindSafe(|| {
            for input in inputs {
                let Some(job) = self.job(input) else { return };
                if !intake.push(job) {
                    return;
                }
            }
        });
        if catch_unwind(feed).is_err()
            && let Some(job) = self.job(Input::File(PathBuf::new()))
        {
            job.failed(broken(Operation::Read).context("listing the files"));
        }
        self.sums.close();
    }

    /// `None` where there is no reader any more.
    fn job(self: &Arc<Self>, input: Input) -> Option<FileJob> {
        let (size, kind) = match &input {
            Input::Stdin => (None, FileKind::Other),
            Input::RegularFile(_) => (Some(0), FileKind::Unmeasured),
            Input::File(path) => match source::facts(path) {
                Ok(facts) if facts.is_file() => (Some(facts.len()), FileKind::Regular),
                Ok(facts) if !facts.is_dir() => (None, FileKind::Other),
                // Refused when it is opened.
                _ => (Some(0), FileKind::Other),
            },
        };
        let number = self.sums.take_place()?;
        self.progress.taken(size.unwrap_or(0));
        Some(FileJob {
            call: Arc::clone(self),
            number,
            input,
            size,
            kind,
        })
    }
}

/// An input, and its place in the order.
struct FileJob {
    call: Arc<HashCall>,
    number: u64,
    input: Input,
    /// `None` for a stream.
    size: Option<u64>,
    kind: FileKind,
}

/// What is known of an input before it is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    /// A regular file, of which the size is not known yet.
    Unmeasured,
    /// A regular file and its size.
    Regular,
    /// A stream, or what will be refused.
    Other,
}

impl Job for FileJob {
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn is_stopped(&self) -> bool {
        self.call.watch.is_stopped()
    }

    fn read(&mut self, limit: u64, buffer: &mut Vec<u8>) -> bool {
        let Some(path) = self.input.path().filter(|_| self.kind != FileKind::Other) else {
            return false;
        };
        if !source::read_small(path, limit, buffer) {
            return false;
        }
        trip::sure(trip::Step::Hash, path);
        if self.kind == FileKind::Unmeasured {
            self.call.progress.found(buffer.len() as u64);
        }
        true
    }

    fn open(&mut self) -> Result<OpenedJob> {
        let Some(path) = self.input.path() else {
            let from = io::stdin().lock();
            return Ok(self.stream(Path::new("-"), from));
        };
        if self.size.is_some() {
            let source = match self.kind {
                FileKind::Other => Source::open(path, &self.call.source)?,
                _ => Source::open_seen(path, &self.call.source)?,
            };
            if self.kind == FileKind::Unmeasured {
                self.kind = FileKind::Regular;
                self.size = Some(source.len());
                self.call.progress.found(source.len());
            }
            trip::here(trip::Step::Hash, path)?;
            if !source.is_empty() {
                return Ok(OpenedJob::File(source));
            }
            // Empty, or a file that the kernel makes up while it is read, as in /proc.
        }
        let from = File::open(path).map_err(|error| Error::read(path, error))?;
        Ok(self.stream(path, from))
    }

    fn done(self, hashed: Digested<'_>, _: BudgetGuard) {
        let checked = match &hashed.source {
            // What was hashed is what was opened, or it is no MD5 of anything. Read as a whole, it was
            // looked at already.
            Some(source) if hashed.content.is_none() => source.check(Operation::Read),
            _ => Ok(()),
        };
        self.tell(checked.map(|()| hashed.digest));
    }

    fn failed(self, error: Error) {
        self.tell(Err(error));
    }
}

impl FileJob {
    fn stream(&self, name: &Path, from: impl Read + 'static) -> OpenedJob {
        let progress = Arc::clone(&self.call.progress);
        OpenedJob::Stream(name.to_owned(), Box::new(CountedRead { from, progress }))
    }

    fn tell(self, sum: Result<FileDigest>) {
        let FileJob {
            call,
            number,
            input,
            ..
        } = self;
        let sum = match input.path() {
            Some(path) => sum.map_err(|error| named(error, path)),
            None => sum,
        };
        call.progress.ended();
        call.sums.fill(number, FileSum { input, sum });
    }
}

fn named(error: Error, path: &Path) -> Error {
    match error.path() {
        Some(_) => error,
        None => error.with_path(path),
    }
}

/// A stream whose bytes count among those of the inputs once they are read.
struct CountedRead<R> {
    from: R,
    progress: Arc<HashProgress>,
}

impl<R: Read> Read for CountedRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from
            .read(buffer)
            .inspect(|found| self.progress.found(*found as u64))
    }
}

/// Inputs taken and not yet given back: what a slow first file may pile up behind it. A hundred
/// bytes each, and 16 for each slice.
const AHEAD: usize = 1 << 16;

/// Small files in memory at once in one thread, give or take one.
const SMALL_BATCH_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic costs its file, and those hashed together with it; the others are hashed, and the list
    /// ends.
    #[test]
    fn a_panic_is_the_error_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for (size, count) in [(100, 3), (5 << 20, 1), (5 << 20, 4)] {
            for slice_size in [None, Some(1 << 20)] {
                let paths: Vec<PathBuf> = (0..count)
                    .map(|number| folder.path().join(format!("{size}-{count}-{number}")))
                    .collect();
                for path in &paths {
                    std::fs::write(path, vec![7; size]).expect("room");
                }
                trip::ask(trip::Step::Hash, &paths[0], trip::Asked::Panic);
                let options = HashOptions {
                    threads: Some(2),
                    slice_size,
                    ..HashOptions::default()
                };
                let inputs = paths.clone().into_iter().map(Input::File);
                let sums: Vec<FileSum> = hash_files(inputs, &options).expect("threads").collect();
                assert_eq!(sums.len(), count);
                for (sum, path) in sums.iter().zip(&paths) {
                    assert_eq!(sum.input, Input::File(path.clone()));
                    let error = match &sum.sum {
                        Ok(_) if *path != paths[0] => continue,
                        outcome => outcome.as_ref().expect_err("a panic"),
                    };
                    assert_eq!(error.kind(), Kind::Internal, "{error}");
                    assert_eq!(error.path(), Some(path.as_path()));
                }
            }
        }
    }

    #[test]
    fn a_list_that_panics_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::write(&path, "contents").expect("room");
        let mut left = vec![Input::File(path)];
        let inputs = std::iter::from_fn(move || Some(left.pop().expect("asked for by a test")));
        let mut sums = hash_files(inputs, &HashOptions::default()).expect("threads");
        assert!(sums.next().expect("the first").sum.is_ok());
        let error = sums.next().expect("the list").sum.expect_err("a panic");
        assert_eq!(error.kind(), Kind::Internal, "{error}");
        assert!(sums.next().is_none());
    }
}
