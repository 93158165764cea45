//! Files as a whole and by slices, both at once. In: files and one slice size. Out: each file's
//! digest and its slices'. Never: a second chain for a file of one slice, or, while there are
//! files enough to fill a group, a block loaded twice.

use std::iter;

use super::Md5;
use super::kernel::{Group, SLICES, States, WIDEST};
use super::lane_set::{RUN, lead};
use super::lanes::{End, Lanes};
use super::padding::{BLOCK, START, close};
use super::remainder::{File, Remainder, only_slice};

impl Lanes<'_> {
    /// Hashes every file that `next` hands out as a whole and by slices of `slice_size` bytes,
    /// and hands `done` both, in the order in which files end. An empty file has no slice.
    /// Files ordered by falling length are hashed fastest.
    ///
    /// # Panics
    /// If `slice_size` is 0.
    pub fn whole_and_slices<'a, K>(
        &self,
        next: &mut impl FnMut() -> Option<(K, &'a [u8])>,
        slice_size: usize,
        done: &mut impl FnMut(K, Md5, Vec<Md5>),
    ) -> End {
        assert!(slice_size > 0, "a slice has at least a byte");
        let mut next = iter::from_fn(next).fuse();
        let mut paired = PairedLanes {
            lanes: self,
            slice_size,
            files: Vec::new(),
            states: States::new(),
        };
        loop {
            if paired.fill(&mut next, done) == End::Stopped || self.stopped() {
                return End::Stopped;
            }
            let Some(group) = paired.group() else { break };
            paired.advance(group);
            paired.unload(done);
        }
        paired.remainder().run(self, &mut next, done)
    }
}

/// The files in hand, packed to the left: file n has column n of the states for its whole and
/// column `SLICES + n` for its slice.
struct PairedLanes<'l, 'a, K> {
    lanes: &'l Lanes<'l>,
    slice_size: usize,
    files: Vec<File<'a, K>>,
    states: States,
}

impl<'a, K> PairedLanes<'_, 'a, K> {
    /// Takes files until every lane has one. Those of one slice are hashed on the way, in lanes of
    /// their own: whole and slice are the same.
    fn fill(
        &mut self,
        next: &mut impl Iterator<Item = (K, &'a [u8])>,
        done: &mut impl FnMut(K, Md5, Vec<Md5>),
    ) -> End {
        let lanes = self.lanes;
        let mut next_small = || {
            while self.files.len() < self.capacity() {
                let (key, data) = next.next()?;
                if data.len() <= self.slice_size {
                    return Some(((key, data.len()), data));
                }
                self.place(key, data);
            }
            None
        };
        lanes.run(&mut next_small, &mut |(key, length), md5| {
            done(key, md5, only_slice(length, md5))
        })
    }

    /// None at all where a slice ends inside a block: then the two chains share no blocks.
    fn capacity(&self) -> usize {
        if !self.slice_size.is_multiple_of(BLOCK) {
            return 0;
        }
        self.lanes.kernel().shared(WIDEST).map_or(0, Group::lanes)
    }

    fn place(&mut self, key: K, data: &'a [u8]) {
        // Up to here both chains are one.
        let at = lead(&data[..self.slice_size], self.files.len(), self.capacity());
        let mut state = START;
        self.lanes.kernel().chain(&mut state, &data[..at]);
        self.lanes.count(at);
        self.states.put(self.files.len(), state);
        self.states.put(SLICES + self.files.len(), state);
        let slices = Vec::new();
        self.files.push(File {
            key,
            data,
            at,
            slices,
        });
    }

    /// The group to use while three quarters of it are taken. With fewer files than that, the
    /// wholes and slices in lanes of their own idle less.
    fn group(&self) -> Option<&'static Group> {
        let files = self.files.len();
        let group = self.lanes.kernel().shared(files)?;
        (files * 4 >= group.lanes() * 3 && self.capacity() > 0).then_some(group)
    }

    /// Takes every file as far as the nearest end of a file or slice.
    fn advance(&mut self, group: &Group) {
        let blocks = self
            .files
            .iter()
            .map(|file| file.blocks(self.slice_size))
            .min();
        let blocks = blocks.unwrap_or(0).min(RUN);
        let mut streams = [&[][..]; WIDEST];
        for (stream, file) in streams.iter_mut().zip(&self.files) {
            *stream = &file.data[file.at..];
        }
        // Empty lanes follow the first file: no memory of their own, and their state is never read.
        let first = streams[0];
        streams[self.files.len()..].fill(first);
        group.run(&mut self.states, &streams[..group.lanes()], blocks);
        for file in &mut self.files {
            file.at += blocks * BLOCK;
        }
        self.lanes.count(self.files.len() * blocks * BLOCK);
    }

    /// Ends slices and files that have less than a block left; the last file moves into the gap.
    fn unload(&mut self, done: &mut impl FnMut(K, Md5, Vec<Md5>)) {
        for n in (0..self.files.len()).rev() {
            self.end_slice(n);
            if self.files[n].data.len() - self.files[n].at >= BLOCK {
                continue;
            }
            let (whole, last) = (self.states.chain(n), self.files.len() - 1);
            self.states.put(n, self.states.chain(last));
            self.states
                .put(SLICES + n, self.states.chain(SLICES + last));
            let file = self.files.swap_remove(n);
            let rest = &file.data[file.at..];
            self.lanes.count(rest.len());
            let whole = close(self.lanes.kernel(), whole, rest, file.data.len() as u64);
            done(file.key, whole, file.slices);
        }
    }

    /// Ends the slice of file n, if it ends here or inside the last, unfinished block.
    fn end_slice(&mut self, n: usize) {
        let file = &mut self.files[n];
        let start = file.slices.len() * self.slice_size;
        let end = file.data.len().min(start + self.slice_size);
        if end - file.at >= BLOCK {
            return;
        }
        let state = self.states.chain(SLICES + n);
        let rest = &file.data[file.at..end];
        file.slices.push(close(
            self.lanes.kernel(),
            state,
            rest,
            (end - start) as u64,
        ));
        self.states.put(SLICES + n, START);
        // What follows may be less than a block, a slice that no run will reach.
        let rest = &file.data[end..];
        if (1..BLOCK).contains(&rest.len()) {
            file.slices
                .push(close(self.lanes.kernel(), START, rest, rest.len() as u64));
        }
    }

    /// What is in hand when files run short, as chains that have begun.
    fn remainder(self) -> Remainder<'a, K> {
        let mut rest = Remainder::new(self.slice_size);
        for (n, file) in self.files.into_iter().enumerate() {
            rest.open(
                file,
                [n, SLICES + n].map(|column| self.states.chain(column)),
            );
        }
        rest
    }
}

impl<K> File<'_, K> {
    /// Blocks up to the end of the slice or of the file's whole blocks.
    fn blocks(&self, slice_size: usize) -> usize {
        let end = self.data.len().min((self.slices.len() + 1) * slice_size);
        (end - self.at) / BLOCK
    }
}
