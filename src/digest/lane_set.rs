//! The lanes themselves, packed to the left. In: chains, wherever they begin. Out: digests, in
//! the order in which chains end. Never: a lane that waits for another one's end.

use super::Md5;
use super::kernel::{Kernel, Md5State, States, WIDEST};
use super::padding::{BLOCK, START, Tail, digest};

/// A stream to hash, from its start or from the middle.
pub(super) struct Chain<'a, K> {
    pub(super) key: K,
    pub(super) data: &'a [u8],
    /// The state behind the `before` bytes, whole blocks, that were hashed elsewhere.
    pub(super) state: Md5State,
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

/// The live lanes: lane n is column n of the states.
pub(super) struct LaneSet<'a, K> {
    kernel: &'static Kernel,
    lanes: Vec<Lane<'a, K>>,
    states: States,
}

impl<'a, K> LaneSet<'a, K> {
    pub(super) fn new(kernel: &'static Kernel) -> Self {
        LaneSet {
            kernel,
            lanes: Vec::with_capacity(kernel.lanes()),
            states: States::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Takes chains until every lane has one.
    pub(super) fn fill(&mut self, next: &mut impl Iterator<Item = Chain<'a, K>>) {
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
    pub(super) fn advance(&mut self) -> usize {
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
        // Idle lanes follow the first one: no memory of their own, and their state is never read.
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
    pub(super) fn unload(&mut self, done: &mut impl FnMut(K, Md5)) {
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
