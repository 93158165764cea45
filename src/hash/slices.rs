//! Slices for the senders. In: ranges of an open file. Out: their bytes and MD5s. Never: a digest of what
//! is not the file's.

use std::ops::Range;

use bytes::Bytes;

use crate::digest::{Lanes, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::source::{Memory, Source, touched};

/// How many slices of `slice_size` bytes are worth hashing at a time.
#[must_use]
pub fn group_size(slice_size: u64) -> usize {
    usize::try_from(GROUP_BYTES / slice_size.max(1))
        .unwrap_or(GROUP)
        .clamp(1, GROUP)
}

/// The bytes and MD5s of the slices at `ranges`, or of the first ones where there is not memory for
/// all. Touches, and so reads, every byte, unless the MD5s are `known`, one for each range. Blocks the
/// thread until there is memory for the first.
///
/// # Errors
/// [`Kind::Source`]: the file cannot be read, or is not what was opened.
pub fn slices(
    source: &Source,
    ranges: &[Range<u64>],
    known: Option<Vec<Md5>>,
    memory: &Memory,
) -> Result<Vec<(Md5, Bytes)>> {
    let mut contents: Vec<Bytes> = Vec::with_capacity(ranges.len());
    for range in ranges.iter().cloned() {
        if contents.is_empty() {
            contents.push(source.bytes(range, memory)?);
        } else if let Some(content) = source.try_bytes(range, memory)? {
            contents.push(content);
        } else {
            // What holds some of the memory must not wait for more.
            break;
        }
    }
    let md5s = known.unwrap_or_else(|| {
        let streams: Vec<&[u8]> = contents.iter().map(AsRef::as_ref).collect();
        let mut md5s = Vec::with_capacity(streams.len());
        Lanes::new().telling(touched).batch(&streams, &mut md5s);
        md5s
    });
    // What was read through a spoiled map is not the file's; its digest must not leave.
    if source.is_spoiled() {
        source.check(Operation::Read)?;
        let message = "the file was truncated while it was read";
        return Err(Error::new(Kind::Source, Operation::Read, message).with_path(source.path()));
    }
    Ok(md5s.into_iter().zip(contents).collect())
}

/// Slices hashed at a time at most: two groups of eight lanes, the widest kernel's worth.
pub const GROUP: usize = 16;

/// Bytes hashed at a time: of very large slices fewer, so that the first one is soon on its way.
const GROUP_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Settings;

    #[test]
    fn groups_are_smaller_where_slices_are_large() {
        assert_eq!(
            [0, 1, 16 << 20, 32 << 20, 1 << 40].map(group_size),
            [16, 16, 16, 8, 1]
        );
    }

    #[test]
    fn the_first_slices_where_memory_is_short() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), [7; 100]).expect("room");
        let source = Source::open(file.path(), &Settings::default()).expect("there");
        let ranges = [0..40, 40..80, 80..100];
        let all = slices(&source, &ranges, None, &Memory::new(100)).expect("readable");
        let lengths: Vec<usize> = all.iter().map(|(_, content)| content.len()).collect();
        assert_eq!(lengths, [40, 40, 20]);
        assert!(
            all.iter()
                .all(|(md5, content)| *md5 == crate::digest::md5(content))
        );
        let some = slices(&source, &ranges, None, &Memory::new(50)).expect("readable");
        assert_eq!(some.len(), 1);
        let known = Some(vec![Md5([1; 16]); 3]);
        let told = slices(&source, &ranges, known, &Memory::new(50)).expect("readable");
        assert_eq!(told[0].0, Md5([1; 16]));
    }
}
