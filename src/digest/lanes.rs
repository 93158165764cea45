//! Many streams at a time, each in a lane of the kernel. In: streams, asked for one by one. Out:
//! their digests, each as soon as it is known. Never: an allocation per stream, a lane left idle
//! while there are streams, or a run so long that a stop would have to wait.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Md5;
use super::kernel::{self, Kernel, State, States, WIDEST};
use super::padding::{BLOCK, START, Tail, digest};

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

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every stream was hashed.
    Done,
    /// The stop flag was seen. Streams not told to `done` are lost.
    Stopped,
}

/// [`Lanes::run`] on the fastest kernel, unwatched.
pub fn run<'a, K>(next: &mut impl FnMut() -> Option<(K, &'a [u8])>, done: &mut impl FnMut(K, Md5)) {
    Lanes::new().run(next, done);
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

    /// Hashes every stream that `next` hands out until it answers `None`, and tells `done` the
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
        let mut rack = Rack::new(self.kernel);
        loop {
            rack.fill(&mut next);
            if rack.lanes.is_empty() {
                return End::Done;
            }
            if self.stopped() {
                return End::Stopped;
            }
            self.count(rack.advance());
            rack.unload(done);
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.watch
            .is_some_and(|watch| watch.stop.load(Ordering::Relaxed))
    }

    pub(super) fn count(&self, bytes: usize) {
        if let Some(watch) = self.watch {
            watch.hashed.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// A stream to hash, from its start or from the middle.
pub(super) struct Chain<'a, K> {
    pub(super) key: K,
    pub(super) data: &'a [u8],
    /// The state behind the `before` bytes, whole blocks, that were hashed elsewhere.
    pub(super) state: State,
    pub(super) before: u64,
    pub(super) counted: Counted,
}

/// Whether a chain's bytes are progress, or another chain's over the same data are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Yes,
    No,
}

impl<'a, K> Chain<'a, K> {
    pub(super) fn new(key: K, data: &'a [u8]) -> Self {
        Chain {
            key,
            data,
            state: START,
            before: 0,
            counted: Counted::Yes,
        }
    }
}

/// The live lanes, packed to the left: lane n is column n of the states.
struct Rack<'a, K> {
    kernel: &'static Kernel,
    lanes: Vec<Lane<'a, K>>,
    states: States,
}

impl<'a, K> Rack<'a, K> {
    fn new(kernel: &'static Kernel) -> Self {
        Rack {
            kernel,
            lanes: Vec::with_capacity(kernel.lanes()),
            states: States::new(),
        }
    }

    fn fill(&mut self, next: &mut impl Iterator<Item = Chain<'a, K>>) {
        while self.lanes.len() < self.kernel.lanes() {
            let Some(chain) = next.next() else { return };
            self.load(chain);
        }
    }

    fn load(&mut self, chain: Chain<'a, K>) {
        let lead = lead(chain.data, self.lanes.len(), self.kernel.lanes());
        let mut state = chain.state;
        self.kernel.chain(&mut state, &chain.data[..lead]);
        self.states.put(self.lanes.len(), state);
        self.lanes.push(Lane::new(chain, lead));
    }

    /// Takes every lane as far as the shortest goes. Returns the bytes of data to count.
    fn advance(&mut self) -> usize {
        let Some(group) = self.kernel.group(self.lanes.len()) else {
            return self.advance_singly();
        };
        let blocks = self
            .lanes
            .iter()
            .map(Lane::blocks)
            .min()
            .unwrap_or(0)
            .min(RUN);
        let mut streams = [&[][..]; WIDEST];
        for (stream, lane) in streams.iter_mut().zip(&self.lanes) {
            *stream = lane.left();
        }
        // Idle lanes follow the first one: no memory of their own, and nobody reads their state.
        let first = streams[0];
        streams[self.lanes.len()..].fill(first);
        group.run(&mut self.states, &streams[..group.lanes()], blocks);
        self.lanes.iter_mut().map(|lane| lane.advance(blocks)).sum()
    }

    fn advance_singly(&mut self) -> usize {
        let mut bytes = 0;
        for (n, lane) in self.lanes.iter_mut().enumerate() {
            let blocks = lane.blocks().min(RUN);
            let mut state = self.states.chain(n);
            self.kernel
                .chain(&mut state, &lane.left()[..blocks * BLOCK]);
            self.states.put(n, state);
            bytes += lane.advance(blocks);
        }
        bytes
    }

    /// Hands out what has ended; the last lane moves into the gap.
    fn unload(&mut self, done: &mut impl FnMut(K, Md5)) {
        for n in (0..self.lanes.len()).rev() {
            if self.lanes[n].blocks() > 0 {
                continue;
            }
            let md5 = digest(&self.states.chain(n));
            self.states.put(n, self.states.chain(self.lanes.len() - 1));
            done(self.lanes.swap_remove(n).key, md5);
        }
    }
}

/// A stream on its way: first its whole blocks, then its tail.
struct Lane<'a, K> {
    key: K,
    /// Data not hashed yet; less than a block once the tail is made.
    data: &'a [u8],
    /// Of the stream, from its very start.
    length: u64,
    tail: Option<Tail>,
    counted: Counted,
    /// Bytes hashed that the next advance has to report too.
    uncounted: usize,
}

impl<'a, K> Lane<'a, K> {
    /// The lane of `chain`, whose first `lead` bytes were hashed on the way in.
    fn new(chain: Chain<'a, K>, lead: usize) -> Self {
        let Chain {
            key,
            data,
            before,
            counted,
            ..
        } = chain;
        let length = before + data.len() as u64;
        let mut lane = Lane {
            key,
            data: &data[lead..],
            length,
            tail: None,
            counted,
            uncounted: lead,
        };
        lane.turn_to_tail();
        lane
    }

    /// The data's end is not touched before it is its turn: it may lie on a page not read yet.
    fn turn_to_tail(&mut self) {
        if self.data.len() < BLOCK {
            self.tail = Some(Tail::new(self.data, self.length));
        }
    }

    fn left(&self) -> &[u8] {
        self.tail.as_ref().map_or(self.data, Tail::blocks)
    }

    fn blocks(&self) -> usize {
        self.left().len() / BLOCK
    }

    /// Leaves `blocks` blocks behind; returns the bytes of data to count.
    fn advance(&mut self, blocks: usize) -> usize {
        let bytes = std::mem::take(&mut self.uncounted) + self.leave(blocks);
        if self.counted == Counted::Yes {
            bytes
        } else {
            0
        }
    }

    /// The bytes of data among the blocks left behind.
    fn leave(&mut self, blocks: usize) -> usize {
        if let Some(tail) = &mut self.tail {
            tail.advance(blocks);
            return std::mem::take(&mut self.data).len();
        }
        self.data = &self.data[blocks * BLOCK..];
        self.turn_to_tail();
        blocks * BLOCK
    }
}

/// Bytes to hash before a stream enters lane `lane` of `lanes`, so that no two lanes meet in the
/// same set of the cache: slices start 16 MiB apart, that is at the same offset of a page, and
/// 16 such streams thrash 8 or 12 ways. Worth it for long streams only.
pub(super) fn lead(data: &[u8], lane: usize, lanes: usize) -> usize {
    if lanes == 1 || data.len() < LONG {
        return 0;
    }
    let has = data.as_ptr().addr() / BLOCK % PAGE;
    let wants = lane * PAGE / lanes;
    (wants + PAGE - has) % PAGE * BLOCK
}

/// Longest run of a kernel in blocks of each lane: 1 MiB, 1.5 ms for one chain and 10 ms for 32,
/// so that progress and stop are prompt, and calls cost nothing.
pub(super) const RUN: usize = (1 << 20) / BLOCK;

/// From here on the lead, 2 KiB on average at the speed of a single chain, is below 3 %.
const LONG: usize = 1 << 20;

/// Blocks in a page, after which the sets of a first-level cache repeat.
const PAGE: usize = 4096 / BLOCK;
