//! Many streams at a time, each in a lane of the kernel.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::kernel::{self, Kernel};
use super::{Hasher, Md5};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every stream was hashed.
    Done,
    /// The stop flag was seen. Streams not told to `done` are lost.
    Stopped,
}

/// A set of lanes: which kernel hashes, who counts, who may stop it.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<'w> {
    kernel: &'static Kernel,
    watch: Option<Watch<'w>>,
}

#[derive(Debug, Clone, Copy)]
struct Watch<'w> {
    hashed: &'w AtomicU64,
    stop: &'w AtomicBool,
}

impl Lanes<'static> {
    /// Lanes of the fastest kernel, that nobody watches.
    #[must_use]
    pub fn new() -> Self {
        Lanes::on(kernel::best())
    }

    /// Lanes of a kernel of choice, for tests and benches.
    #[must_use]
    pub fn on(kernel: &'static Kernel) -> Self {
        Lanes {
            kernel,
            watch: None,
        }
    }
}

impl Default for Lanes<'static> {
    fn default() -> Self {
        Lanes::new()
    }
}

impl Lanes<'_> {
    /// The same lanes, adding every byte of data to `hashed` (once, however many chains it goes
    /// through) and stopping within some milliseconds when `stop` is set.
    #[must_use]
    pub fn watched<'w>(self, hashed: &'w AtomicU64, stop: &'w AtomicBool) -> Lanes<'w> {
        Lanes {
            kernel: self.kernel,
            watch: Some(Watch { hashed, stop }),
        }
    }

    /// The MD5 of one stream, or `None` if stopped.
    #[must_use]
    pub fn one(&self, data: &[u8]) -> Option<Md5> {
        let (mut stream, mut md5) = (Some(((), data)), None);
        self.run(&mut || stream.take(), &mut |(), digest| md5 = Some(digest));
        md5
    }

    /// Hashes every stream that `next` hands out until it answers `None`, and tells `done` the
    /// digests in the order in which streams end. `next` is asked whenever a lane is free, so
    /// streams ordered by falling length leave the fewest lanes idle at the end.
    pub fn run<'a, K>(
        &self,
        next: &mut impl FnMut() -> Option<(K, &'a [u8])>,
        done: &mut impl FnMut(K, Md5),
    ) -> End {
        while let Some((key, data)) = next() {
            let mut hasher = Hasher::on(self.kernel);
            for run in data.chunks(RUN) {
                if self.stopped() {
                    return End::Stopped;
                }
                hasher.update(run);
                self.count(run.len());
            }
            done(key, hasher.finish());
        }
        End::Done
    }

    /// Appends to `out` the MD5 of every `slice_size` bytes of `data`, the last one shorter, in
    /// order. If stopped, what was appended is meaningless.
    ///
    /// # Panics
    /// If `slice_size` is 0.
    pub fn slices(&self, data: &[u8], slice_size: usize, out: &mut Vec<Md5>) -> End {
        self.ordered(&mut data.chunks(slice_size), out)
    }

    /// Appends to `out` the MD5 of every stream, in order. If stopped, what was appended is
    /// meaningless.
    pub fn batch(&self, streams: &[&[u8]], out: &mut Vec<Md5>) -> End {
        self.ordered(&mut streams.iter().copied(), out)
    }

    fn ordered<'a>(
        &self,
        streams: &mut impl ExactSizeIterator<Item = &'a [u8]>,
        out: &mut Vec<Md5>,
    ) -> End {
        let first = out.len();
        out.resize(first + streams.len(), Md5([0; 16]));
        let mut streams = streams.enumerate();
        self.run(&mut || streams.next(), &mut |no, md5| out[first + no] = md5)
    }

    fn stopped(&self) -> bool {
        self.watch
            .is_some_and(|watch| watch.stop.load(Ordering::Relaxed))
    }

    fn count(&self, bytes: usize) {
        if let Some(watch) = self.watch {
            watch.hashed.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// [`Lanes::run`] on the fastest kernel, unwatched.
pub fn run<'a, K>(next: &mut impl FnMut() -> Option<(K, &'a [u8])>, done: &mut impl FnMut(K, Md5)) {
    Lanes::new().run(next, done);
}

/// Longest run of a kernel in bytes: about 2 ms of one chain, so that a stop is prompt.
const RUN: usize = 1 << 20;
