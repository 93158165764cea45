//! Files and streams that are read piece by piece. In: bytes in order. Out: their MD5s. Never: more
//! than a piece in memory.

use std::io::{self, ErrorKind, Read};

use super::watch::Watch;
use crate::digest::{FileDigest, Hasher, Md5};
use crate::error::{Error, Operation, Result};
use crate::source::Source;

/// The MD5s of a file that is not mapped; `None` where it was stopped. The file's
/// [length](Source::len) is what was found from now on. Whether it changed meanwhile is for the caller
/// to check.
///
/// # Errors
/// [`Kind::Source`](crate::Kind::Source): it cannot be read, or has another length than it says
/// because it changed.
pub fn read_file(
    source: &Source,
    slice_size: Option<usize>,
    watch: &Watch,
) -> Result<Option<FileDigest>> {
    let mut md5s = PieceHasher::new(slice_size);
    // What is lent is hashed where it lies.
    while md5s.length < source.len() {
        if watch.is_stopped() {
            return Ok(None);
        }
        let end = source.len().min(md5s.length + FILE_PIECE as u64);
        let Some(lent) = source.lent(md5s.length..end)? else {
            return copied(source, md5s, watch);
        };
        md5s.update(&lent);
        watch.count(lent.len());
    }
    match source.is_lasting() {
        // It may have more than it says.
        true => copied(source, md5s, watch),
        false => Ok(Some(md5s.finish())),
    }
}

/// The same by way of a buffer, to where the file ends.
fn copied(source: &Source, mut md5s: PieceHasher, watch: &Watch) -> Result<Option<FileDigest>> {
    let mut buffer = piece(source)?;
    loop {
        if watch.is_stopped() {
            return Ok(None);
        }
        let found = source.read_at(&mut buffer, md5s.length)?;
        md5s.update(&buffer[..found]);
        watch.count(found);
        if found < buffer.len() {
            break;
        }
        if md5s.length > source.len() {
            // Longer than its size, or growing as fast as it is read.
            source.check(Operation::Read)?;
        }
    }
    if md5s.length != source.len() {
        source.settle(md5s.length)?;
    }
    Ok(Some(md5s.finish()))
}

/// The MD5s of a stream, read to its end; `None` where it was stopped.
///
/// # Errors
/// What reading failed for.
pub(super) fn read_stream(
    from: &mut dyn Read,
    slice_size: Option<usize>,
    watch: &Watch,
) -> io::Result<Option<FileDigest>> {
    let mut buffer = vec![0; STREAM_PIECE];
    let mut md5s = PieceHasher::new(slice_size);
    while !watch.is_stopped() {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Some(md5s.finish())),
            Ok(found) => {
                md5s.update(&buffer[..found]);
                watch.count(found);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Chains over bytes that arrive in pieces: the whole, and slices where their size is known.
struct PieceHasher {
    length: u64,
    whole: Hasher,
    slice_size: Option<u64>,
    slice: Hasher,
    slices: Vec<Md5>,
}

impl PieceHasher {
    fn new(slice_size: Option<usize>) -> PieceHasher {
        PieceHasher {
            length: 0,
            whole: Hasher::new(),
            slice_size: slice_size.map(|size| size as u64),
            slice: Hasher::new(),
            slices: Vec::new(),
        }
    }

    fn update(&mut self, piece: &[u8]) {
        self.whole.update(piece);
        if let Some(slice_size) = self.slice_size {
            self.cut(piece, slice_size);
        }
        self.length += piece.len() as u64;
    }

    fn cut(&mut self, mut piece: &[u8], slice_size: u64) {
        let mut at = self.length;
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

    fn finish(mut self) -> FileDigest {
        let digest = FileDigest::new(self.whole.finish(), self.length);
        let Some(slice_size) = self.slice_size else {
            return digest;
        };
        if !self.length.is_multiple_of(slice_size) {
            self.slices.push(self.slice.finish());
        }
        digest.with_slices(slice_size, self.slices)
    }
}

/// A buffer for reading a file piece by piece.
fn piece(source: &Source) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    let reserved = buffer.try_reserve_exact(FILE_PIECE);
    reserved.map_err(|error| Error::read(source.path(), error.into()))?;
    buffer.resize(FILE_PIECE, 0);
    Ok(buffer)
}

/// Bytes read at a time where a large file cannot be mapped: half a second-level cache.
const FILE_PIECE: usize = 512 << 10;

/// Bytes per read of a stream: it stays in the second-level cache, and a chain is at full speed.
const STREAM_PIECE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    #[test]
    fn pieces_of_any_length_give_the_same_as_the_whole() {
        let data: Vec<u8> = (0..100_003).map(|at| (at % 251) as u8).collect();
        for (slice_size, piece) in [(1000, 999), (4096, 10_000), (100_003, 7), (1 << 20, 50_000)] {
            let mut md5s = PieceHasher::new(Some(slice_size));
            data.chunks(piece).for_each(|piece| md5s.update(piece));
            let mut slices = Vec::new();
            digest::slices(&data, slice_size, &mut slices);
            let expected =
                FileDigest::new(digest::md5(&data), 100_003).with_slices(slice_size as u64, slices);
            assert_eq!(md5s.finish(), expected, "{slice_size} {piece}");
        }
        let empty = PieceHasher::new(Some(5)).finish();
        let expected = FileDigest::new(digest::md5(b""), 0);
        assert_eq!(empty, expected.clone().with_slices(5, Vec::new()));
        assert_eq!(PieceHasher::new(None).finish(), expected);
    }
}
