//! One input alone: read piece by piece, or its whole and its slices on two threads. In: bytes in
//! order. Out: their MD5s. Never: more than a few pieces in memory.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::AtomicU64;
use std::thread::{Builder, scope};

use super::super::event::Progress;
use super::super::hash::READ;
use super::{Shared, Sum};
use crate::digest::{Hasher, Lanes, Md5};
use crate::error::Result;
use crate::source::Source;

/// Chains over bytes that arrive in pieces.
pub(super) struct Reading<'s> {
    shared: &'s Shared,
    whole: Hasher,
    slice: Hasher,
    slices: Vec<Md5>,
    size: u64,
}

impl<'s> Reading<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Reading {
            shared,
            whole: Hasher::new(),
            slice: Hasher::new(),
            slices: Vec::new(),
            size: 0,
        }
    }

    /// A file of known length, by reads at positions.
    pub(super) fn pieces(&mut self, source: &Source) -> Result<()> {
        while self.size < source.len() && !self.shared.is_stopped() {
            let end = (self.size + READ).min(source.len());
            self.update(&source.bytes(self.size..end)?);
        }
        Ok(())
    }

    /// A stream to its end.
    pub(super) fn stream(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        while !self.shared.is_stopped() {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(found) => {
                    Progress::add(&self.shared.progress.bytes, found as u64);
                    self.update(&buffer[..found]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn update(&mut self, piece: &[u8]) {
        self.whole.update(piece);
        if let Some(slice_size) = self.shared.slice_size {
            self.cut(piece, slice_size as u64);
        }
        self.size += piece.len() as u64;
        Progress::add(&self.shared.progress.hashed, piece.len() as u64);
    }

    fn cut(&mut self, mut piece: &[u8], slice_size: u64) {
        let mut at = self.size;
        while !piece.is_empty() {
            let left = slice_size - at % slice_size;
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (head, rest) = piece.split_at(length);
            self.slice.update(head);
            at += length as u64;
            if at.is_multiple_of(slice_size) {
                self.slices.push(std::mem::take(&mut self.slice).finish());
            }
            piece = rest;
        }
    }

    pub(super) fn finish(mut self) -> Sum {
        let cut = self.shared.slice_size.map(|size| size as u64);
        if cut.is_some_and(|slice_size| !self.size.is_multiple_of(slice_size)) {
            self.slices.push(self.slice.finish());
        }
        Sum {
            md5: self.whole.finish(),
            slices: self.slices,
            size: self.size,
        }
    }
}

/// The whole of `data` on this thread, its slices in lanes on another, stretch by stretch, so
/// that what the one has read from the disk is still in memory for the other. `None` if stopped.
pub(super) fn beside(data: &[u8], slice_size: usize, shared: &Shared) -> Option<Sum> {
    let mut whole = Hasher::new();
    let mut slices = Vec::with_capacity(data.len().div_ceil(slice_size));
    let stretch = slice_size.saturating_mul((STRETCH / slice_size).max(FULL_LANES));
    for part in data.chunks(stretch) {
        let md5s = scope(|scope| {
            let other = Builder::new().name("panup-hash-cut".to_owned());
            let other = other.spawn_scoped(scope, || cut(part, slice_size, shared));
            chain(&mut whole, part, shared);
            match other {
                Ok(other) => other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No thread is to be had: this one does both.
                Err(_) => cut(part, slice_size, shared),
            }
        });
        if shared.is_stopped() {
            return None;
        }
        slices.extend(md5s);
    }
    Some(Sum {
        md5: whole.finish(),
        slices,
        size: data.len() as u64,
    })
}

/// The slices' MD5s; meaningless if stopped.
fn cut(part: &[u8], slice_size: usize, shared: &Shared) -> Vec<Md5> {
    // Every byte counts once, and the whole counts it.
    let uncounted = AtomicU64::new(0);
    let lanes = Lanes::new().watched(&uncounted, &shared.halt);
    let mut md5s = Vec::new();
    lanes.slices(part, slice_size, &mut md5s);
    md5s
}

fn chain(whole: &mut Hasher, part: &[u8], shared: &Shared) {
    for piece in part.chunks(PIECE) {
        if shared.is_stopped() {
            return;
        }
        whole.update(piece);
        Progress::add(&shared.progress.hashed, piece.len() as u64);
    }
}

/// Bytes per read of a stream: it stays in the second-level cache, and a chain is at full speed.
const PIECE: usize = 256 << 10;

/// Slices that fill the lanes of the widest kernel.
const FULL_LANES: usize = 16;

/// At least so many bytes between two meetings of the threads: a third of a second of chain,
/// against some 50 µs for a thread.
const STRETCH: usize = 256 << 20;
