//! The record of one file's MD5s, from the hashers to the journal and back.

use super::Md5;

/// The MD5s of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDigest {
    /// Of the whole file.
    pub md5: Md5,
    /// The bytes that were hashed.
    pub size: u64,
    /// Of its slices, where a slice size was known.
    pub slices: Option<SliceDigests>,
}

/// The MD5s of all slices of one file, for one slice size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SliceDigests {
    /// The slice size, in bytes.
    pub size: u64,
    /// One for each slice, in order, the short last one included. An empty file has no slice.
    pub md5s: Vec<Md5>,
}

impl FileDigest {
    /// The MD5 of a file of `size` bytes whose slices were not hashed.
    #[must_use]
    pub fn new(md5: Md5, size: u64) -> FileDigest {
        FileDigest {
            md5,
            size,
            slices: None,
        }
    }

    /// With the MD5s of its slices of `size` bytes each.
    #[must_use]
    pub fn with_slices(mut self, size: u64, md5s: Vec<Md5>) -> FileDigest {
        self.slices = Some(SliceDigests { size, md5s });
        self
    }

    /// The slices' MD5s, if they were cut at `size` bytes.
    #[must_use]
    pub fn slices_of(&self, size: u64) -> Option<&[Md5]> {
        let slices = self.slices.as_ref().filter(|slices| slices.size == size)?;
        Some(&slices.md5s)
    }
}
