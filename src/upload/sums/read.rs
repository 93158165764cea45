//! One input that is read piece by piece. In: bytes in order. Out: their MD5s. Never: more than a
//! piece in memory.

use std::io::{self, ErrorKind, Read};

use super::super::event::Progress;
use super::super::hash::piece;
use super::Shared;
use crate::digest::{FileDigest, Hasher, Md5};
use crate::error::{Operation, Result};
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

    /// A file to its end, by reads at positions; an error where it changed meanwhile.
    pub(super) fn pieces(&mut self, source: &Source) -> Result<()> {
        let mut buffer = piece(source)?;
        while !self.shared.is_stopped() {
            let found = source.read_at(&mut buffer, self.size)?;
            self.update(&buffer[..found]);
            if found < buffer.len() {
                break;
            }
            if self.size > source.len() {
                // Longer than its size, or growing as fast as it is read.
                source.check(Operation::Read)?;
            }
        }
        source.check(Operation::Read)
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

    pub(super) fn finish(mut self) -> FileDigest {
        let cut = self.shared.slice_size.map(|size| size as u64);
        if cut.is_some_and(|slice_size| !self.size.is_multiple_of(slice_size)) {
            self.slices.push(self.slice.finish());
        }
        let md5 = self.whole.finish();
        let digest = FileDigest::new(md5, self.size);
        match cut {
            Some(slice_size) => digest.with_slices(slice_size, self.slices),
            None => digest,
        }
    }
}

/// Bytes per read of a stream: it stays in the second-level cache, and a chain is at full speed.
const PIECE: usize = 256 << 10;
