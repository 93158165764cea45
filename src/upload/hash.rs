//! From paths to etags. One thread sorts what is handed in, one reads and hashes small files in
//! batches, the others hash mapped files, many at a time in lanes. The window bounds how far ahead
//! of the network they may be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::mpsc::UnboundedSender;

use super::Item;
use super::broken::{broken, insist, nameless, trip};
use super::chain::Chain;
use super::event::{Outcome, Progress};
use super::run::Shared;
use super::targets::{Claimed, Targets};
use super::threads;
use super::turn::{self, Turn};
use super::window::Share;
use crate::digest::{End, FileDigest, Lanes};
use crate::error::{Error, Operation, Result};
use crate::journal::Task;
use crate::options::Resume;
use crate::source::{Source, Standing, patiently};
use crate::wire::check_size;

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
    /// The file's part of the window, held until the file ends.
    pub _share: Share,
    /// When its turn came.
    pub started: Instant,
}

/// Where a file's MD5s come from.
enum Digested {
    /// Worked out just now.
    Fresh(FileDigest),
    /// An earlier run's, of the journal.
    Remembered(FileDigest),
}

/// What the hashers hand on.
#[derive(Debug)]
pub enum Admitted {
    /// To be uploaded.
    Ready(Box<Hashed>),
    /// Ended already: it failed, or the journal knows it as finished.
    Ended(Box<Outcome>),
}

/// An item that is a readable file of a size that the service takes.
pub(super) struct Candidate {
    pub(super) source: Source,
    pub(super) task: Task,
    pub(super) started: Instant,
    pub(super) share: Share,
}

/// An item on its way through the hashers. One that a panic drops is told as failed.
pub(super) struct Handed {
    item: Item,
    out: UnboundedSender<Admitted>,
}

impl Drop for Handed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = broken(Operation::Read).with_path(&self.item.path);
            let outcome = Outcome {
                path: self.item.path.clone(),
                remote: self.item.remote.clone(),
                ..nameless(error)
            };
            drop(self.out.send(Admitted::Ended(Box::new(outcome))));
        }
    }
}

/// Starts `threads` hashing threads, and a few beside them; they end when `items` does, or when the
/// run is told to stop.
///
/// # Errors
/// Where no thread can be started.
pub fn start(
    shared: &Arc<Shared>,
    threads: usize,
    items: impl Iterator<Item = Item> + Send + 'static,
    out: &UnboundedSender<Admitted>,
) -> Result<()> {
    let pool = threads::pool("panup-hash", threads + 2, 3)?;
    let (small, small_in) = bounded(LOOK_AHEAD);
    let (large, large_in) = bounded(LOOK_AHEAD);
    let stage = Stage {
        shared: Arc::clone(shared),
        out: out.clone(),
        chains: Arc::default(),
        followers: Arc::new(threads::pool("panup-slices", threads, 1)?),
    };
    pool.spawn({
        let stage = stage.clone();
        move || {
            let out = stage.out.clone();
            let sort = AssertUnwindSafe(|| stage.sort(items, &small, &large));
            if catch_unwind(sort).is_err() {
                // Whoever lists the files failed; a run without the rest is no success.
                let outcome = nameless(broken(Operation::Read).context("listing the files"));
                drop(out.send(Admitted::Ended(Box::new(outcome))));
            }
        }
    });
    pool.spawn({
        let stage = stage.clone();
        move || insist(|| stage.hash_small(&small_in))
    });
    for _ in 0..threads {
        let (stage, large_in) = (stage.clone(), large_in.clone());
        pool.spawn(move || insist(|| stage.hash_large(&large_in, threads)));
    }
    Ok(())
}

/// Files that are known and not yet hashed; a bound for memory, not for speed.
pub(super) const LOOK_AHEAD: usize = 8192;

/// Small files read and hashed at a time: the lanes of the widest kernel, four times over.
pub(super) const SMALL_BATCH: usize = 64;

/// Mapped files hashed at a time by one thread.
const LARGE_BATCH: usize = 32;

/// From three files on, lanes beat one chain after the other (measured: 6.3 against 4.5 cycles a
/// byte for one chain, but eight at once).
pub(super) const LANES_FROM: usize = 3;

/// What each hashing thread works with.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) shared: Arc<Shared>,
    pub(super) out: UnboundedSender<Admitted>,
    /// Single chains under way.
    chains: Arc<AtomicUsize>,
    /// Threads that hash slices beside a single chain.
    followers: Arc<rayon::ThreadPool>,
}

impl Stage {
    /// Looks at each item's size and hands it to the right hashers. What cannot be uploaded anyway
    /// claims no remote path.
    fn sort(
        &self,
        items: impl Iterator<Item = Item>,
        small: &Sender<Handed>,
        large: &Sender<Handed>,
    ) {
        let mut targets = Targets::new(self.shared.core.options.on_conflict);
        for item in items {
            if self.shared.is_draining() {
                return;
            }
            let facts = item.facts().ok();
            let size = facts.as_ref().map_or(0, |facts| facts.len());
            Progress::add(&self.shared.progress.files, 1);
            Progress::add(&self.shared.progress.bytes, size);
            let is_file = facts.is_some_and(|facts| facts.is_file());
            if is_file && check_size(size).is_ok() {
                match targets.claim(&item) {
                    Ok(Claimed::New) => {}
                    Ok(Claimed::Again(first)) => {
                        self.again(&item, size, &first);
                        continue;
                    }
                    Err(error) => {
                        self.fail(&item, size, error);
                        continue;
                    }
                }
            }
            let lane = if size < self.shared.core.source_settings.map_from {
                small
            } else {
                large
            };
            let handed = Handed {
                item,
                out: self.out.clone(),
            };
            if lane.send(handed).is_err() {
                return;
            }
        }
    }

    fn hash_small(&self, items: &Receiver<Handed>) {
        while let Ok(first) = items.recv() {
            let batch: Vec<Handed> = std::iter::once(first)
                .chain(items.try_iter().take(SMALL_BATCH - 1))
                .collect();
            let mut read = Vec::with_capacity(batch.len());
            for handed in batch {
                let item = &handed.item;
                let mut let_go = || self.hash_batch(std::mem::take(&mut read));
                let Some(candidate) = self.admit(item, &self.shared.small, &mut let_go) else {
                    continue;
                };
                if candidate.source.len() >= self.shared.core.source_settings.map_from {
                    // Grown since it was sorted.
                    self.hash_mapped(vec![(candidate, handed)]);
                    continue;
                }
                let stopped = || self.shared.is_draining();
                match patiently(|| self.read(&candidate), let_go, stopped) {
                    Ok(content) => read.push((candidate, handed, content)),
                    Err(error) => self.fail(item, candidate.source.len(), error),
                }
            }
            self.hash_batch(read);
            if self.shared.is_draining() {
                return;
            }
        }
    }

    fn read(&self, candidate: &Candidate) -> Result<Bytes> {
        let source = &candidate.source;
        let mut content = Vec::new();
        source.read_into(&mut content)?;
        // What there is may be more or less than the size that was counted.
        let total = &self.shared.progress.bytes;
        Progress::add(total, source.len().saturating_sub(source.identity().size));
        Progress::sub(total, source.identity().size.saturating_sub(source.len()));
        Ok(content.into())
    }

    fn hash_batch(&self, read: Vec<(Candidate, Handed, Bytes)>) {
        for (candidate, ..) in &read {
            trip::sure(trip::Step::Hash, candidate.source.path());
        }
        let mut digests = Vec::with_capacity(read.len());
        {
            let streams: Vec<&[u8]> = read.iter().map(|(.., content)| content.as_ref()).collect();
            let lanes = Lanes::new().watched(&self.shared.progress.hashed, &self.shared.halt);
            if lanes.batch(&streams, &mut digests) == End::Stopped {
                return;
            }
        }
        for ((candidate, _handed, content), md5) in read.into_iter().zip(digests) {
            let digest = FileDigest::new(md5, content.len() as u64);
            self.ready(candidate, Digested::Fresh(digest), Some(content));
        }
    }

    fn hash_large(&self, items: &Receiver<Handed>, threads: usize) {
        while let Ok(first) = items.recv() {
            // The sorter needs microseconds for the next files; alone, a file gets one slow chain.
            std::thread::sleep(Duration::from_millis(2));
            let share = share(1 + items.len(), threads);
            let batch = std::iter::once(first).chain(items.try_iter().take(share - 1));
            let mut open = Vec::new();
            for handed in batch {
                let let_go = || self.hash_mapped(std::mem::take(&mut open));
                let Some(candidate) = self.admit(&handed.item, &self.shared.window, let_go) else {
                    continue;
                };
                match self.remembered(&candidate) {
                    Some(digest) => self.ready(candidate, Digested::Remembered(digest), None),
                    None => open.push((candidate, handed)),
                }
            }
            self.hash_mapped(open);
            if self.shared.is_draining() {
                return;
            }
        }
    }

    /// Hashes mapped files together. Those that cannot be mapped are read to the end one by one.
    fn hash_mapped(&self, open: Vec<(Candidate, Handed)>) {
        for (candidate, _) in &open {
            trip::sure(trip::Step::Hash, candidate.source.path());
        }
        let mut digests: Vec<Option<FileDigest>> = open.iter().map(|_| None).collect();
        let lanes = Lanes::new().watched(&self.shared.progress.hashed, &self.shared.halt);
        let mut maps = open
            .iter()
            .enumerate()
            .filter_map(|(index, (candidate, _))| {
                candidate.source.advise_sequential();
                candidate.source.mapped().map(|map| (index, map))
            });
        let fresh = |index: usize, md5| FileDigest::new(md5, open[index].0.source.len());
        let slice_size = self.shared.core.slice_size.load(Ordering::Relaxed);
        let end = match usize::try_from(slice_size) {
            Ok(size) if open.len() >= LANES_FROM && size > 0 => {
                lanes.whole_and_slices(&mut || maps.next(), size, &mut |index, md5, md5s| {
                    digests[index] = Some(fresh(index, md5).with_slices(slice_size, md5s));
                })
            }
            Ok(size) if open.len() == 1 && size > 0 => {
                maps.next().map_or(End::Done, |(index, map)| {
                    digests[index] = self.hash_alone(map, size);
                    if digests[index].is_some() {
                        End::Done
                    } else {
                        End::Stopped
                    }
                })
            }
            _ => lanes.run(&mut || maps.next(), &mut |index, md5| {
                digests[index] = Some(fresh(index, md5));
            }),
        };
        if end == End::Stopped {
            return;
        }
        for ((candidate, handed), digest) in open.into_iter().zip(digests) {
            let hashed = digest.map_or_else(|| self.hash_read(&candidate.source), Ok);
            let standing = |digest| Ok((digest, candidate.source.standing(Operation::Read)?));
            match hashed.and_then(standing) {
                // What was hashed is what the identity names, or it is not remembered. Where that
                // is in doubt, it is hashed once more before it is sent.
                Ok((digest, Standing::Same)) => {
                    self.remember(&candidate, &digest);
                    self.ready(candidate, Digested::Fresh(digest), None);
                }
                Ok((digest, Standing::InDoubt(..))) => {
                    self.ready(candidate, Digested::Fresh(digest), None);
                }
                Ok((_, Standing::Unreadable(error) | Standing::Changed(error))) | Err(error) => {
                    self.fail(&handed.item, candidate.source.len(), error);
                }
            }
        }
    }

    /// One file has one chain, which no second processor can help. If one is free, it hashes the
    /// slices meanwhile, just behind the chain, where the pages still are.
    fn hash_alone(&self, map: &[u8], slice_size: usize) -> Option<FileDigest> {
        let shared = &self.shared;
        let chain = Chain::new(map, &shared.progress.hashed, &shared.halt);
        let busy = self.chains.fetch_add(1, Ordering::Relaxed) + 1;
        let etag = if map.len() > slice_size && busy * 2 <= shared.core.hash_threads {
            chain.with_slices(&self.followers, slice_size)
        } else {
            chain.alone().map(|md5| (md5, None))
        };
        self.chains.fetch_sub(1, Ordering::Relaxed);
        let (md5, md5s) = etag?;
        let digest = FileDigest::new(md5, map.len() as u64);
        Some(match md5s {
            Some(md5s) => digest.with_slices(slice_size as u64, md5s),
            None => digest,
        })
    }

    /// The MD5s from an earlier run, where the file is still the same: no byte is read.
    fn remembered(&self, candidate: &Candidate) -> Option<FileDigest> {
        if self.shared.core.options.resume == Resume::Nothing {
            return None;
        }
        let digest = self
            .shared
            .core
            .journal
            .hashes(&candidate.task.path, &candidate.task.identity)?;
        Progress::add(&self.shared.progress.hashed, candidate.source.len());
        Some(digest)
    }

    fn remember(&self, candidate: &Candidate, digest: &FileDigest) {
        let (path, identity) = (&candidate.task.path, &candidate.task.identity);
        let journal = &self.shared.core.journal;
        journal.remember(path, identity, digest.clone());
    }

    /// One pass of reads over a file that cannot be mapped.
    fn hash_read(&self, source: &Source) -> Result<FileDigest> {
        let mut hasher = crate::digest::Hasher::new();
        let mut buffer = piece(source)?;
        let mut at = 0;
        loop {
            // Half a file's MD5 is nobody's: it must neither be sent nor remembered.
            if self.shared.is_draining() {
                return Err(Shared::cancelled());
            }
            let found = source.read_at(&mut buffer, at)?;
            hasher.update(&buffer[..found]);
            Progress::add(&self.shared.progress.hashed, found as u64);
            at += found as u64;
            if found < buffer.len() {
                break;
            }
            if at > source.len() {
                // Longer than its size, or growing as fast as it is read.
                source.check(Operation::Read)?;
            }
        }
        if at != source.len() {
            source.settle(at)?;
        }
        Ok(FileDigest::new(hasher.finish(), at))
    }

    fn ready(&self, candidate: Candidate, digested: Digested, content: Option<Bytes>) {
        let Candidate {
            source,
            task,
            started,
            share,
        } = candidate;
        let (digest, remembered) = match digested {
            Digested::Fresh(digest) => (digest, false),
            Digested::Remembered(digest) => (digest, true),
        };
        let turn = turn::at_once(&self.shared, &task, &digest.md5);
        let hashed = Hashed {
            source,
            digest,
            content,
            task,
            remembered,
            turn,
            _share: share,
            started,
        };
        drop(self.out.send(Admitted::Ready(Box::new(hashed))));
    }
}

/// How many of `waiting` large files one thread takes. Two are hashed side by side by two threads;
/// up to eight fill the lanes of one; more are shared out.
pub(super) fn share(waiting: usize, threads: usize) -> usize {
    if waiting < LANES_FROM {
        return 1;
    }
    waiting
        .div_ceil(threads)
        .max(8)
        .min(waiting)
        .min(LARGE_BATCH)
}

pub(super) fn name(error: Error, path: &Path) -> Error {
    if error.path().is_some() {
        error
    } else {
        error.with_path(path)
    }
}

/// A buffer for reading a file piece by piece.
pub(super) fn piece(source: &Source) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    let reserved = buffer.try_reserve_exact(PIECE);
    reserved.map_err(|error| Error::read(source.path(), error.into()))?;
    buffer.resize(PIECE, 0);
    Ok(buffer)
}

/// Bytes read at a time where a large file cannot be mapped: half a second-level cache.
const PIECE: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_shared_out() {
        assert_eq!(
            [1, 2, 3, 8, 16, 100].map(|waiting| share(waiting, 2)),
            [1, 1, 3, 8, 8, 32]
        );
        assert_eq!(share(20, 1), 20);
    }
}
