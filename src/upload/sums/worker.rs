//! One hashing thread. In: jobs from two queues, large ones first. Out: each job's MD5s. Never: a
//! wait for company while there is work, or more than some megabytes of memory of its own.

use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::super::chain::Chain;
use super::super::event::Progress;
use super::super::hash::{LANES_FROM, SMALL_BATCH, name, share};
use super::read::Reading;
use super::{FileSum, Input, Shared};
use crate::digest::{FileDigest, Lanes};
use crate::error::{Error, Operation, Result};
use crate::source::{Settings, Source, patiently};

/// An input and its place in the order.
#[derive(Debug)]
pub(super) struct Job {
    number: u64,
    input: Input,
    way: Way,
}

/// How an input is hashed.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A file of so many bytes, read into a buffer.
    Read(u64),
    /// A file of so many bytes, mapped.
    Map(u64),
    /// A stream of unknown length.
    Stream,
}

impl Job {
    /// Decides by the file's kind and size. What cannot be looked at is refused when it is opened.
    pub(super) fn new(number: u64, input: Input, settings: &Settings) -> Job {
        let way = match &input {
            Input::Stdin => Way::Stream,
            Input::File(path) => match std::fs::metadata(path) {
                Ok(facts) if facts.is_file() && facts.len() >= settings.map_from => {
                    Way::Map(facts.len())
                }
                Ok(facts) if facts.is_file() => Way::Read(facts.len()),
                Ok(facts) if !facts.is_dir() => Way::Stream,
                _ => Way::Read(0),
            },
        };
        Job { number, input, way }
    }

    pub(super) fn size(&self) -> u64 {
        match self.way {
            Way::Read(size) | Way::Map(size) => size,
            Way::Stream => 0,
        }
    }

    pub(super) fn is_small(&self) -> bool {
        matches!(self.way, Way::Read(_))
    }
}

/// What one hashing thread works with.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) small: Receiver<Job>,
    pub(super) large: Receiver<Job>,
    pub(super) out: Sender<(u64, FileSum)>,
}

impl Worker {
    pub(super) fn work(&self) {
        let mut buffers = Vec::new();
        while let Some(first) = self.next() {
            if first.is_small() {
                self.hash_small(first, &mut buffers);
            } else {
                self.hash_large(first);
            }
            if self.shared.is_stopped() {
                return;
            }
        }
    }

    /// Large files first: they take longest, and must not be what is left to one thread at the end.
    fn next(&self) -> Option<Job> {
        if let Ok(job) = self.large.try_recv() {
            return Some(job);
        }
        select! {
            recv(self.large) -> job => job.or_else(|_| self.small.recv()).ok(),
            recv(self.small) -> job => job.or_else(|_| self.large.recv()).ok(),
        }
    }

    /// Reads small files into buffers that are kept from batch to batch, and hashes them in lanes.
    fn hash_small(&self, first: Job, buffers: &mut Vec<Vec<u8>>) {
        let mut bytes = first.size();
        let more = std::iter::from_fn(|| {
            let job = (bytes < BATCH_BYTES).then(|| self.small.try_recv().ok())??;
            bytes += job.size();
            Some(job)
        });
        let batch: Vec<Job> = std::iter::once(first)
            .chain(more.take(SMALL_BATCH - 1))
            .collect();
        let mut read = Vec::with_capacity(batch.len());
        for job in batch {
            let mut buffer = buffers.pop().unwrap_or_default();
            match self.read(&job.input, &mut buffer) {
                Ok(Content::Buffered) => read.push((job, buffer)),
                Ok(Content::Hashed(sum)) => self.tell(job, Ok(sum)),
                Err(error) => self.tell(job, Err(error)),
            }
        }
        let streams: Vec<&[u8]> = read.iter().map(|(_, buffer)| buffer.as_slice()).collect();
        let sums = self.hash_together(&streams);
        for ((job, buffer), sum) in read.into_iter().zip(sums) {
            if let Some(sum) = sum {
                self.tell(job, Ok(sum));
            }
            if buffer.capacity() <= KEPT_BUFFER {
                buffers.push(buffer);
            }
        }
    }

    fn read(&self, input: &Input, buffer: &mut Vec<u8>) -> Result<Content> {
        let Input::File(path) = input else {
            return self.hash_stream(input).map(Content::Hashed);
        };
        let source = self.open_file(path, || {})?;
        if source.is_empty() {
            // Empty, or a file that the kernel makes up while it is read, as in /proc.
            return self.hash_stream(input).map(Content::Hashed);
        }
        source.read_into(buffer)?;
        Ok(Content::Buffered)
    }

    /// Hashes large files, together with as many of the waiting ones as are this thread's share.
    fn hash_large(&self, first: Job) {
        // The sorter needs microseconds for the next files; alone, a file gets one slow chain.
        std::thread::sleep(Duration::from_millis(2));
        let share = share(1 + self.large.len(), self.shared.threads);
        let batch = std::iter::once(first).chain(self.large.try_iter().take(share - 1));
        let mut open = Batch::default();
        for job in batch {
            let let_go = || self.hash_open(std::mem::take(&mut open));
            match self.open(&job, let_go) {
                Ok(Some(source)) if source.mapped().is_some() => open.mapped.push((job, source)),
                Ok(source) => open.others.push((job, source)),
                Err(error) => self.tell(job, Err(error)),
            }
        }
        self.hash_open(open);
    }

    fn hash_open(&self, batch: Batch) {
        let Batch { mut mapped, others } = batch;
        // By falling length, so that few lanes idle at the end.
        mapped.sort_by_key(|(_, source)| Reverse(source.len()));
        self.hash_mapped(mapped);
        for (job, source) in others {
            let sum = match source {
                Some(source) => self.hash_source(&source),
                None => self.hash_stream(&job.input),
            };
            self.tell(job, sum);
        }
    }

    /// `None` for a stream.
    fn open(&self, job: &Job, let_go: impl FnOnce()) -> Result<Option<Source>> {
        match (&job.input, job.way) {
            (Input::File(path), Way::Read(_) | Way::Map(_)) => {
                self.open_file(path, let_go).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Once there is a descriptor for it.
    fn open_file(&self, path: &Path, let_go: impl FnOnce()) -> Result<Source> {
        let open = || Source::open(path, &self.shared.settings);
        patiently(open, let_go, || self.shared.is_stopped())
    }

    fn hash_mapped(&self, open: Vec<(Job, Source)>) {
        let advised = open.iter().filter_map(|(_, source)| {
            source.advise_sequential();
            source.mapped()
        });
        let streams: Vec<&[u8]> = advised.collect();
        let sums = match (self.shared.slice_size, &self.shared.followers) {
            (Some(size), Some(followers)) if streams.len() < LANES_FROM => streams
                .iter()
                .map(|data| self.hash_alone(data, size, followers))
                .collect(),
            _ => self.hash_together(&streams),
        };
        for ((job, source), sum) in open.into_iter().zip(sums) {
            if let Some(sum) = sum {
                // What was hashed is what was opened, or it is no MD5 of anything.
                self.tell(job, source.check(Operation::Read).map(|()| sum));
            }
        }
    }

    /// One slow chain, and its slices in the lanes of another thread just behind it.
    fn hash_alone(
        &self,
        data: &[u8],
        slice_size: usize,
        followers: &rayon::ThreadPool,
    ) -> Option<FileDigest> {
        let chain = Chain::new(data, &self.shared.progress.hashed, &self.shared.halt);
        let (md5, slices) = chain.with_slices(followers, slice_size)?;
        let digest = FileDigest::new(md5, data.len() as u64);
        Some(digest.with_slices(slice_size as u64, slices?))
    }

    /// Hashes streams in lanes; nothing for those that a stop came before.
    fn hash_together(&self, streams: &[&[u8]]) -> Vec<Option<FileDigest>> {
        let mut sums: Vec<Option<FileDigest>> = streams.iter().map(|_| None).collect();
        let lanes = Lanes::new().watched(&self.shared.progress.hashed, &self.shared.halt);
        let mut next = streams.iter().copied().enumerate();
        // A stop shows in what is missing.
        match self.shared.slice_size {
            Some(size) => {
                lanes.whole_and_slices(&mut || next.next(), size, &mut |index, md5, md5s| {
                    let digest = FileDigest::new(md5, streams[index].len() as u64);
                    sums[index] = Some(digest.with_slices(size as u64, md5s));
                })
            }
            None => lanes.run(&mut || next.next(), &mut |index, md5| {
                sums[index] = Some(FileDigest::new(md5, streams[index].len() as u64));
            }),
        };
        sums
    }

    /// A large file that cannot be mapped.
    fn hash_source(&self, source: &Source) -> Result<FileDigest> {
        let mut reading = Reading::new(&self.shared);
        reading.pieces(source)?;
        Ok(reading.finish())
    }

    fn hash_stream(&self, input: &Input) -> Result<FileDigest> {
        let mut reading = Reading::new(&self.shared);
        match input {
            Input::Stdin => reading
                .stream(&mut io::stdin().lock())
                .map_err(|error| Error::read(Path::new("-"), error))?,
            Input::File(path) => {
                let read = |error| Error::read(path, error);
                let open = || File::open(path).map_err(read);
                let mut file = patiently(open, || {}, || self.shared.is_stopped())?;
                reading.stream(&mut file).map_err(read)?;
            }
        }
        Ok(reading.finish())
    }

    fn tell(&self, job: Job, sum: Result<FileDigest>) {
        let Job { number, input, .. } = job;
        let sum = match &input {
            Input::File(path) => sum.map_err(|error| name(error, path)),
            Input::Stdin => sum,
        };
        Progress::add(&self.shared.progress.files_done, 1);
        // A stopped read has seen only a part, and nobody waits for it.
        if !self.shared.is_stopped() {
            drop(self.out.send((number, FileSum { input, sum })));
        }
    }
}

/// Large files that are open, to be hashed together.
#[derive(Default)]
struct Batch {
    mapped: Vec<(Job, Source)>,
    /// To be read, files and streams (`None`).
    others: Vec<(Job, Option<Source>)>,
}

/// What reading a small file gave.
enum Content {
    /// All of it is in the buffer.
    Buffered,
    /// Its MD5s: it had to be read as a stream.
    Hashed(FileDigest),
}

/// Small files in memory at once in one thread, give or take one.
const BATCH_BYTES: u64 = 8 << 20;

/// A buffer larger than this is given back: 64 of the largest would be 256 MiB.
const KEPT_BUFFER: usize = 64 << 10;
