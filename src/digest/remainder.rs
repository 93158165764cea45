//! Few files: wholes and slices each in a lane of their own. In: files, begun or not. Out: their
//! digests. Never: more files open than there are lanes.

use std::cell::RefCell;

use super::Md5;
use super::kernel::Md5State;
use super::lane_set::{Chain, Counted};
use super::lanes::{End, Lanes};
use super::padding::START;

/// The open files. A whole is the longest chain of its file, so wholes go first.
pub(super) struct Remainder<'a, K> {
    slice_size: usize,
    open: Vec<Option<OpenFile<'a, K>>>,
}

/// A file on its way.
pub(super) struct File<'a, K> {
    pub(super) key: K,
    pub(super) data: &'a [u8],
    /// Bytes that both chains have behind them: whole blocks.
    pub(super) at: usize,
    pub(super) slices: Vec<Md5>,
}

struct OpenFile<'a, K> {
    key: K,
    data: &'a [u8],
    /// Where the whole goes on, until it is in its lane.
    whole_begun: Option<(usize, Md5State)>,
    /// Where the next slice goes on.
    slice_begun: (usize, Md5State),
    whole: Option<Md5>,
    slices: Vec<Md5>,
    /// Chains without a digest yet.
    missing: usize,
}

/// What a lane works at.
enum Part<K> {
    /// A file of `.1` bytes, at most one slice.
    Only(K, usize),
    /// The whole of open file `.0`.
    Whole(usize),
    /// Slice `.1` of open file `.0`.
    Slice(usize, usize),
}

impl<'a, K> Remainder<'a, K> {
    pub(super) fn new(slice_size: usize) -> Self {
        Remainder {
            slice_size,
            open: Vec::new(),
        }
    }

    /// Takes over a file whose whole and current slice are at `states`.
    pub(super) fn open(&mut self, file: File<'a, K>, states: [Md5State; 2]) {
        let File {
            key,
            data,
            at,
            slices,
        } = file;
        let count = data.len().div_ceil(self.slice_size);
        let missing = count - slices.len() + 1;
        let [whole, slice] = states.map(|state| (at, state));
        let (whole_begun, slice_begun) = (Some(whole), slice);
        let open = OpenFile {
            key,
            data,
            whole_begun,
            slice_begun,
            whole: None,
            slices,
            missing,
        };
        match self.open.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(open),
            None => self.open.push(Some(open)),
        }
    }

    /// Ends what is open and everything that `next` still has.
    pub(super) fn run(
        self,
        lanes: &Lanes<'_>,
        next: &mut impl Iterator<Item = (K, &'a [u8])>,
        done: &mut impl FnMut(K, Md5, Vec<Md5>),
    ) -> End {
        let files = RefCell::new(self);
        lanes.chains(&mut || files.borrow_mut().next(next), &mut |part, md5| {
            let ended = files.borrow_mut().end(part, md5);
            if let Some((key, whole, slices)) = ended {
                done(key, whole, slices);
            }
        })
    }

    fn next(
        &mut self,
        next: &mut impl Iterator<Item = (K, &'a [u8])>,
    ) -> Option<Chain<'a, Part<K>>> {
        if let Some(chain) = self.begin() {
            return Some(chain);
        }
        let (key, data) = next.next()?;
        if data.len() <= self.slice_size {
            return Some(Chain::new(Part::Only(key, data.len()), data));
        }
        self.open(
            File {
                key,
                data,
                at: 0,
                slices: Vec::new(),
            },
            [START; 2],
        );
        self.begin()
    }

    /// The next chain of the open files.
    fn begin(&mut self) -> Option<Chain<'a, Part<K>>> {
        let slice_size = self.slice_size;
        if let Some(whole) = self.files().find_map(|(n, file)| file.begin_whole(n)) {
            return Some(whole);
        }
        self.files()
            .find_map(|(n, file)| file.begin_slice(n, slice_size))
    }

    fn files(&mut self) -> impl Iterator<Item = (usize, &mut OpenFile<'a, K>)> {
        self.open
            .iter_mut()
            .enumerate()
            .filter_map(|(n, open)| Some((n, open.as_mut()?)))
    }

    /// Files the digest; hands out the file if it was the last one.
    fn end(&mut self, part: Part<K>, md5: Md5) -> Option<(K, Md5, Vec<Md5>)> {
        let n = match part {
            Part::Only(key, length) => return Some((key, md5, only_slice(length, md5))),
            Part::Whole(n) | Part::Slice(n, _) => n,
        };
        let file = self.open[n].as_mut()?;
        match part {
            Part::Slice(_, slice) => file.slices[slice] = md5,
            _ => file.whole = Some(md5),
        }
        file.missing -= 1;
        if file.missing > 0 {
            return None;
        }
        let OpenFile {
            key, whole, slices, ..
        } = self.open[n].take()?;
        Some((key, whole?, slices))
    }
}

impl<'a, K> OpenFile<'a, K> {
    fn begin_whole(&mut self, n: usize) -> Option<Chain<'a, Part<K>>> {
        let (at, state) = self.whole_begun.take()?;
        let (data, before) = (&self.data[at..], at as u64);
        Some(Chain {
            key: Part::Whole(n),
            data,
            state,
            before,
            counted: Counted::Yes,
        })
    }

    fn begin_slice(&mut self, n: usize, slice_size: usize) -> Option<Chain<'a, Part<K>>> {
        let slice = self.slices.len();
        let start = slice * slice_size;
        if start >= self.data.len() {
            return None;
        }
        let end = self.data.len().min(start + slice_size);
        let (at, state) = std::mem::replace(&mut self.slice_begun, (end, START));
        let (data, before) = (&self.data[at..end], (at - start) as u64);
        // Its place in the row, until the digest comes.
        self.slices.push(Md5([0; 16]));
        Some(Chain {
            key: Part::Slice(n, slice),
            data,
            state,
            before,
            counted: Counted::No,
        })
    }
}

/// The slices of a file that is one slice, or none.
pub(super) fn only_slice(length: usize, md5: Md5) -> Vec<Md5> {
    if length == 0 { Vec::new() } else { vec![md5] }
}
