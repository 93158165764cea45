//! MD5s for whoever asks, without an upload. In: inputs, as many as there are. Out: each one's
//! MD5s, or why not, in the order in which they were handed in. Never: an input that stops
//! another, memory that grows with the number of inputs, the MD5 of a file that changed meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::event::Progress;
use super::hash::LOOK_AHEAD;
use super::threads;
use crate::digest::FileDigest;
use crate::error::{Error, Kind, Operation, Result};
use crate::source::Settings;

mod read;
mod worker;

use worker::{Job, Worker};

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
    // One more than hash: whoever finds the files waits most of the time.
    let pool = threads::pool("panup-hash", threads + 1, 2)?;
    let followers = (slice_size.is_some() && threads > 1)
        .then(|| threads::pool("panup-slices", threads, 1))
        .transpose()?;
    let (small, small_in) = bounded(LOOK_AHEAD);
    let (large, large_in) = bounded(LOOK_AHEAD);
    let (tickets, redeemed) = bounded(AHEAD);
    let (out, done) = unbounded();
    let shared = Arc::new(Shared {
        settings: Settings {
            maps: options.maps,
            ..Settings::default()
        },
        threads,
        slice_size,
        followers,
        progress: Arc::default(),
        halt: AtomicBool::new(false),
    });
    let sorter = Sorter {
        shared: Arc::clone(&shared),
        small,
        large,
        tickets,
    };
    let inputs = inputs.into_iter();
    pool.spawn(move || sorter.sort(inputs));
    for _ in 0..threads {
        let worker = Worker {
            shared: Arc::clone(&shared),
            small: small_in.clone(),
            large: large_in.clone(),
            out: out.clone(),
        };
        pool.spawn(move || worker.work());
    }
    Ok(FileSums {
        shared,
        done,
        redeemed,
        early: HashMap::new(),
        next: 0,
    })
}

/// What to hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A file. What is no regular file, such as a named pipe, is read to its end.
    File(PathBuf),
    /// Standard input, read to its end.
    Stdin,
}

/// How to hash. Start from the default and change fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HashOptions {
    /// Hashing threads; `None` (default) is one per processor.
    pub threads: Option<usize>,
    /// Also the MD5 of every slice of this many bytes; `None` (default) is none.
    pub slice_size: Option<u64>,
    /// Whether files may be memory-mapped; they are read where not.
    pub maps: bool,
}

/// One input's MD5s, or why there are none.
#[derive(Debug)]
pub struct FileSum {
    /// What was handed in.
    pub input: Input,
    /// Its MD5s, of its slices too where a slice size was given; an error of [`Kind::Source`] where it is missing, unreadable, or changed meanwhile.
    pub sum: Result<FileDigest>,
}

/// The MD5s as they become known, in the order of the inputs.
#[derive(Debug)]
pub struct FileSums {
    shared: Arc<Shared>,
    done: Receiver<(u64, FileSum)>,
    redeemed: Receiver<()>,
    /// Known before their turn.
    early: HashMap<u64, FileSum>,
    next: u64,
}

impl FileSums {
    /// The counters: `files`, `files_done`, `bytes` and `hashed`. What is read from pipes counts
    /// among `bytes` when it is hashed.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.shared.progress
    }
}

impl Iterator for FileSums {
    type Item = FileSum;

    fn next(&mut self) -> Option<FileSum> {
        loop {
            if let Some(sum) = self.early.remove(&self.next) {
                self.next += 1;
                // Its ticket was there before it was.
                self.redeemed.try_recv().ok();
                return Some(sum);
            }
            let (number, sum) = self.done.recv().ok()?;
            self.early.insert(number, sum);
        }
    }
}

impl Drop for FileSums {
    fn drop(&mut self) {
        self.shared.halt.store(true, Ordering::Relaxed);
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
        let threads = self.threads.unwrap_or_else(super::core::processors);
        if threads == 0 {
            return Err(invalid("hash threads must be at least 1"));
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

/// What all threads of one call share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    threads: usize,
    slice_size: Option<usize>,
    /// Threads that hash slices beside a single chain, where there are slices and a thread to spare.
    followers: Option<rayon::ThreadPool>,
    progress: Arc<Progress>,
    halt: AtomicBool,
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }
}

/// Looks at each input's size and hands it to the right queue.
struct Sorter {
    shared: Arc<Shared>,
    small: Sender<Job>,
    large: Sender<Job>,
    tickets: Sender<()>,
}

impl Sorter {
    fn sort(self, inputs: impl Iterator<Item = Input>) {
        for (number, input) in (0..).zip(inputs) {
            let job = Job::new(number, input, &self.shared.settings);
            Progress::add(&self.shared.progress.files, 1);
            Progress::add(&self.shared.progress.bytes, job.size());
            let queue = if job.is_small() {
                &self.small
            } else {
                &self.large
            };
            // Refused where the result was dropped.
            if self.tickets.send(()).is_err() || queue.send(job).is_err() {
                return;
            }
        }
    }
}

/// Inputs taken and not yet given back: what a slow first file may pile up behind it. A hundred
/// bytes each, and 16 for each slice.
const AHEAD: usize = 1 << 16;
