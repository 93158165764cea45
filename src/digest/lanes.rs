//! Many streams at a time, each in a lane of the kernel. In: streams, asked for one by one. Out:
//! their digests, each as soon as it is known. Never: an allocation per stream, a lane left idle
//! while there are streams, or a run so long that a stop would have to wait.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Md5;
use super::kernel::{self, Kernel};
use super::lane_set::{Chain, LaneSet};

/// A set of lanes: which kernel hashes, who counts, who may stop it.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<'w> {
    kernel: &'static Kernel,
    watch: Option<Watched<'w>>,
    touched: fn(u64),
}

#[derive(Debug, Clone, Copy)]
struct Watched<'w> {
    hashed: &'w AtomicU64,
    stop: &'w AtomicBool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every stream was hashed.
    Done,
    /// The stop flag was seen. Streams not handed to `done` are lost.
    Stopped,
}

/// [`Lanes::run`] on the fastest kernel, unwatched.
pub fn run<'a, K>(next: &mut impl FnMut() -> Option<(K, &'a [u8])>, done: &mut impl FnMut(K, Md5)) {
    Lanes::new().run(next, done);
}

impl Lanes<'static> {
    /// Lanes of the fastest kernel, without counters or a stop flag.
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
            touched: |_| {},
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
            watch: Some(Watched { hashed, stop }),
            ..self
        }
    }

    /// The same lanes, telling `touched` after each piece how many bytes were read.
    #[must_use]
    pub fn telling(self, touched: fn(u64)) -> Self {
        Lanes { touched, ..self }
    }

    /// The kernel behind the lanes.
    #[must_use]
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// The MD5 of one stream, or `None` if stopped.
    #[must_use]
    pub fn one(&self, data: &[u8]) -> Option<Md5> {
        let (mut stream, mut md5) = (Some(((), data)), None);
        self.run(&mut || stream.take(), &mut |(), digest| md5 = Some(digest));
        md5
    }

    /// Hashes every stream that `next` hands out until it answers `None`, and hands `done` the
    /// digests in the order in which streams end. `next` is asked whenever a lane is free, so
    /// streams ordered by falling length leave the fewest lanes idle at the end.
    pub fn run<'a, K>(
        &self,
        next: &mut impl FnMut() -> Option<(K, &'a [u8])>,
        done: &mut impl FnMut(K, Md5),
    ) -> End {
        self.chains(
            &mut || next().map(|(key, data)| Chain::new(key, data)),
            done,
        )
    }

    /// Appends to `out` the MD5 of every `slice_size` bytes of `data`, the last one shorter, in
    /// order. If stopped, what was appended is meaningless.
    ///
    /// # Panics
    /// If `slice_size` is 0.
    pub fn slices(&self, data: &[u8], slice_size: usize, out: &mut Vec<Md5>) -> End {
        self.in_order(data.chunks(slice_size), out)
    }

    /// Appends to `out` the MD5 of every stream, in order. If stopped, what was appended is
    /// meaningless.
    pub fn batch(&self, streams: &[&[u8]], out: &mut Vec<Md5>) -> End {
        self.in_order(streams.iter().copied(), out)
    }

    fn in_order<'a>(
        &self,
        streams: impl ExactSizeIterator<Item = &'a [u8]>,
        out: &mut Vec<Md5>,
    ) -> End {
        let first = out.len();
        out.resize(first + streams.len(), Md5([0; 16]));
        let mut streams = streams.enumerate();
        self.run(&mut || streams.next(), &mut |no, md5| out[first + no] = md5)
    }

    /// The loop behind all of them, over chains that may have begun elsewhere.
    pub(super) fn chains<'a, K>(
        &self,
        next: &mut impl FnMut() -> Option<Chain<'a, K>>,
        done: &mut impl FnMut(K, Md5),
    ) -> End {
        let mut next = iter::from_fn(next).fuse();
        let mut set = LaneSet::new(self.kernel);
        loop {
            set.fill(&mut next);
            if set.is_empty() {
                return End::Done;
            }
            if self.stopped() {
                return End::Stopped;
            }
            self.count(set.advance());
            set.unload(done);
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.watch
            .is_some_and(|watch| watch.stop.load(Ordering::Relaxed))
    }

    pub(super) fn count(&self, bytes: usize) {
        (self.touched)(bytes as u64);
        if let Some(watch) = self.watch {
            watch.hashed.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}
