//! Some files, hashed together. In: jobs that have room. Out: each one's MD5s, told to the job. Never:
//! a batch that goes on after a stop, or a file's contents in memory where it is large.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::budget::Class;
use super::chain;
use super::job::{Digested, Job, OpenedJob, Taken};
use super::pools::Pools;
use super::reader::{read_file, read_stream};
use super::watch::Watch;
use crate::digest::FileDigest;
use crate::error::Error;
use crate::source::{self, Source, patiently};
use crate::sync::Mutex;

/// How a run's files are hashed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From which size on files are large, and whether those may be mapped.
    pub source: source::Settings,
    /// Which slices are hashed beside the whole.
    pub slices: Slices,
    /// Bytes of small files that are read and hashed at a time, give or take one.
    pub small_batch: u64,
}

impl Settings {
    /// How a file of `size` is hashed; `None` is a stream.
    pub(super) fn class(&self, size: Option<u64>) -> Class {
        match size {
            Some(size) if size < self.source.map_from => Class::Small,
            _ => Class::Large,
        }
    }
}

/// Which slices are hashed beside the whole.
#[derive(Debug, Clone)]
pub enum Slices {
    /// None.
    None,
    /// All, of this many bytes, of every file.
    Wanted(usize),
    /// Those that are likely to be asked for, where they cost next to no time. The size may be
    /// learned on the way.
    Likely(Arc<AtomicU64>),
}

impl Slices {
    fn wanted(&self) -> Option<usize> {
        match self {
            Slices::Wanted(size) => Some(*size),
            Slices::None | Slices::Likely(_) => None,
        }
    }

    fn wanted_or_likely(&self) -> Option<usize> {
        match self {
            Slices::Likely(size) => usize::try_from(size.load(Ordering::Relaxed))
                .ok()
                .filter(|size| *size > 0),
            others => others.wanted(),
        }
    }
}

/// Hashes batches of one run.
#[derive(Debug)]
pub(super) struct Batches {
    pools: Arc<Pools>,
    settings: Settings,
    watch: Watch,
    /// Buffers of small files, used again from batch to batch.
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// A file whose contents were read.
struct BatchContents<J: Job> {
    file: Taken<J>,
    /// `None` where nothing but the contents is asked for.
    source: Option<Source>,
    bytes: Vec<u8>,
}

impl Batches {
    pub(super) fn new(pools: Arc<Pools>, settings: Settings, watch: Watch) -> Batches {
        Batches {
            pools,
            settings,
            watch,
            buffers: Mutex::default(),
        }
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Reads small files, and hashes them in lanes. Gives those back that turned out to be large, and
    /// those that the batch has no room for, as their sizes may have been unknown.
    pub(super) fn small<J: Job>(&self, files: Vec<Taken<J>>) -> Vec<Taken<J>> {
        let mut read = Vec::with_capacity(files.len());
        let mut buffers = self.buffers(files.len());
        let (mut left, mut total) = (Vec::new(), 0);
        for mut file in files {
            if total >= self.settings.small_batch {
                left.push(file);
                continue;
            }
            let mut bytes = buffers.pop().unwrap_or_default();
            if file.read(self.settings.source.map_from, &mut bytes) {
                total += bytes.len() as u64;
                read.push(BatchContents {
                    file,
                    source: None,
                    bytes,
                });
                continue;
            }
            let mut let_go = || self.hash_contents(std::mem::take(&mut read));
            let Some((file, opened)) = self.open(file, &mut let_go) else {
                continue;
            };
            if self.settings.class(file.size()) == Class::Large {
                left.push(file);
                continue;
            }
            let source = match opened {
                OpenedJob::File(source) if source.len() < self.settings.source.map_from => source,
                // Grown since it was looked at, or no file.
                others => {
                    self.hash_opened(vec![(file, others)]);
                    continue;
                }
            };
            let reading = || source.read_into(&mut bytes);
            match patiently(reading, let_go, || self.watch.is_stopped()) {
                Ok(()) => {
                    total += bytes.len() as u64;
                    read.push(BatchContents {
                        file,
                        source: Some(source),
                        bytes,
                    });
                }
                Err(error) => file.finish(Err(error)),
            }
        }
        self.hash_contents(read);
        left
    }

    /// Up to `most` buffers that were used before.
    fn buffers(&self, most: usize) -> Vec<Vec<u8>> {
        let mut buffers = self.buffers.lock();
        let left = buffers.len().saturating_sub(most);
        buffers.split_off(left)
    }

    fn hash_contents<J: Job>(&self, read: Vec<BatchContents<J>>) {
        let streams: Vec<&[u8]> = read.iter().map(|file| file.bytes.as_slice()).collect();
        let mut digests: Vec<Option<FileDigest>> = vec![None; read.len()];
        self.in_lanes(&streams, self.settings.slices.wanted(), &mut |n, digest| {
            digests[n] = Some(digest);
        });
        let mut spare = Vec::with_capacity(read.len());
        for (contents, digest) in read.into_iter().zip(digests) {
            let BatchContents {
                file,
                source,
                mut bytes,
            } = contents;
            // Without one, it was stopped.
            if let Some(digest) = digest {
                file.finish(Ok(Digested {
                    content: Some(&mut bytes),
                    ..Digested::new(source, digest)
                }));
            }
            if (1..=KEPT_BUFFER).contains(&bytes.capacity()) {
                spare.push(bytes);
            }
        }
        let mut buffers = self.buffers.lock();
        let room = KEPT_BUFFERS.saturating_sub(buffers.len());
        buffers.extend(spare.into_iter().take(room));
    }

    /// Opens large files, and hashes them together.
    pub(super) fn large<J: Job>(&self, files: Vec<Taken<J>>) {
        let mut opened = Vec::with_capacity(files.len());
        for file in files {
            let let_go = || self.hash_opened(std::mem::take(&mut opened));
            match self.open(file, let_go) {
                Some((file, OpenedJob::Known(source, digest))) => known(file, source, digest),
                Some(file) => opened.push(file),
                None => {}
            }
        }
        self.hash_opened(opened);
    }

    /// Opens it, once there is a descriptor for it; `None` where it has come to its end.
    fn open<J: Job>(
        &self,
        mut file: Taken<J>,
        let_go: impl FnOnce(),
    ) -> Option<(Taken<J>, OpenedJob)> {
        match patiently(|| file.open(), let_go, || self.watch.is_stopped()) {
            Ok(OpenedJob::Nothing) => file.release(),
            Ok(opened) => return Some((file, opened)),
            Err(error) => file.finish(Err(error)),
        }
        None
    }

    fn hash_opened<J: Job>(&self, files: Vec<(Taken<J>, OpenedJob)>) {
        let (mut mapped, mut others) = (Vec::new(), Vec::new());
        for (file, opened) in files {
            match opened {
                OpenedJob::File(source) if source.mapped().is_some() => mapped.push((file, source)),
                OpenedJob::Known(source, digest) => known(file, source, digest),
                opened => others.push((file, opened)),
            }
        }
        // By falling length, so that few lanes idle at the end.
        mapped.sort_by_key(|(_, source)| Reverse(source.len()));
        self.hash_mapped(mapped);
        for (file, opened) in others {
            self.hash_read(file, opened);
        }
    }

    fn hash_mapped<J: Job>(&self, files: Vec<(Taken<J>, Source)>) {
        files
            .iter()
            .for_each(|(_, source)| source.advise_sequential());
        let alone = self.pools.has_slices() || self.settings.slices.wanted().is_none();
        if files.len() < LANES_FROM && alone {
            for (file, source) in files {
                self.hash_alone(file, source);
            }
            return;
        }
        let sources: Vec<Source> = files.iter().map(|(_, source)| source.clone()).collect();
        let streams: Vec<&[u8]> = sources.iter().filter_map(Source::mapped).collect();
        let mut files: Vec<_> = files.into_iter().map(Some).collect();
        let slice_size = self.settings.slices.wanted_or_likely();
        // Each is told as soon as it has ended: another one may take much longer.
        self.in_lanes(&streams, slice_size, &mut |n, digest| {
            if let Some((file, source)) = files[n].take() {
                file.finish(Ok(Digested::new(Some(source), digest)));
            }
        });
        // Those that were stopped have no outcome.
    }

    /// One file has one chain, which no second processor can help. If one is free, it hashes the
    /// slices meanwhile.
    fn hash_alone<J: Job>(&self, file: Taken<J>, source: Source) {
        let Some(map) = source.mapped() else { return };
        let watch = file.watch(&self.watch);
        let chain = self.pools.chain();
        let slices = &self.settings.slices;
        let worth = slices.wanted().is_some() || chain.is_alone;
        match slices.wanted_or_likely() {
            Some(size) if worth && map.len() > size => {
                let hashed = source.clone();
                let done = move |digest| file.finish(Ok(Digested::new(Some(hashed), digest)));
                chain::with_slices(source, size, self.pools.slices(), &watch, done);
            }
            _ => {
                if let Some(md5) = watch.one(map) {
                    let digest = FileDigest::new(md5, map.len() as u64);
                    let digest = match slices.wanted() {
                        // One slice, which is the whole.
                        Some(size) => digest.with_slices(size as u64, vec![md5]),
                        None => digest,
                    };
                    file.finish(Ok(Digested::new(Some(source), digest)));
                }
            }
        }
    }

    /// A large file that cannot be mapped, or a stream.
    fn hash_read<J: Job>(&self, file: Taken<J>, opened: OpenedJob) {
        let watch = file.watch(&self.watch);
        let slice_size = self.settings.slices.wanted();
        let (source, digest) = match opened {
            OpenedJob::File(source) => {
                let digest = read_file(&source, slice_size, &watch);
                (Some(source), digest)
            }
            OpenedJob::Stream(name, mut from) => {
                let digest = read_stream(&mut *from, slice_size, &watch);
                (None, digest.map_err(|error| Error::read(&name, error)))
            }
            OpenedJob::Known(..) | OpenedJob::Nothing => return,
        };
        // Without a digest, it was stopped.
        if let Some(digest) = digest.transpose() {
            file.finish(digest.map(|digest| Digested::new(source, digest)));
        }
    }

    /// Hashes streams in lanes; tells nothing of those that a stop came before.
    fn in_lanes(
        &self,
        streams: &[&[u8]],
        slice_size: Option<usize>,
        done: &mut dyn FnMut(usize, FileDigest),
    ) {
        let lanes = self.watch.lanes();
        let mut next = streams.iter().copied().enumerate();
        let whole = |n: usize, md5| FileDigest::new(md5, streams[n].len() as u64);
        // A stop shows in what is missing.
        match slice_size {
            Some(size) => {
                lanes.whole_and_slices(&mut || next.next(), size, &mut |n, md5, slices| {
                    done(n, whole(n, md5).with_slices(size as u64, slices));
                })
            }
            None => lanes.run(&mut || next.next(), &mut |n, md5| {
                done(n, whole(n, md5));
            }),
        };
    }
}

fn known<J: Job>(file: Taken<J>, source: Source, digest: FileDigest) {
    file.finish(Ok(Digested {
        is_known: true,
        ..Digested::new(Some(source), digest)
    }));
}

/// Small files read and hashed at a time: the lanes of the widest kernel, four times over.
pub(super) const SMALL_BATCH: usize = 64;

/// From three files on, lanes beat one chain after the other (measured: 6.3 against 4.5 cycles a
/// byte for one chain, but eight at once).
pub(super) const LANES_FROM: usize = 3;

/// A buffer larger than this is given back: 64 of the largest would be 256 MiB.
const KEPT_BUFFER: usize = 64 << 10;

/// Buffers kept: as many as a few batches need.
const KEPT_BUFFERS: usize = 4 * SMALL_BATCH;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::super::budget::BudgetGuard;
    use super::super::job::Ticket;
    use super::*;
    use crate::error::Result;

    /// A file of which the size shows when it is opened.
    struct Unmeasured(tempfile::NamedTempFile, Option<u64>, Arc<AtomicUsize>);

    impl Job for Unmeasured {
        fn size(&self) -> Option<u64> {
            self.1
        }

        fn is_stopped(&self) -> bool {
            false
        }

        fn open(&mut self) -> Result<OpenedJob> {
            let source = Source::open(self.0.path(), &source::Settings::default())?;
            self.1 = Some(source.len());
            Ok(OpenedJob::File(source))
        }

        fn done(self, _: Digested<'_>, _: BudgetGuard) {
            self.2.fetch_add(1, Ordering::Relaxed);
        }

        fn failed(self, error: Error) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_batch_holds_no_more_bytes_than_it_may_and_no_large_file() {
        let settings = Settings {
            source: source::Settings::default(),
            slices: Slices::None,
            small_batch: 1000,
        };
        let pools = Arc::new(Pools::of_a_call(1, false).expect("threads"));
        let batches = Batches::new(pools, settings, Watch::default());
        let done = Arc::new(AtomicUsize::new(0));
        let files = [5 << 20, 600, 600, 600].map(|size| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            file.as_file().set_len(size).expect("room");
            let job = Unmeasured(file, Some(0), Arc::clone(&done));
            let guard = BudgetGuard::new(None, Class::Small, 0);
            Taken::new(Ticket::new(job), guard)
        });
        let left = batches.small(files.into_iter().collect());
        let sizes: Vec<_> = left.iter().map(Taken::size).collect();
        assert_eq!(sizes, [Some(5 << 20), Some(0)]);
        assert_eq!(done.load(Ordering::Relaxed), 2);
        left.into_iter().for_each(Taken::release);
    }
}
