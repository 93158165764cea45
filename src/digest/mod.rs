//! MD5 of files and slices. In: slices of bytes, a few or millions, of any length. Out: one
//! [`Md5`] each, computed many at a time in the lanes of the widest kernel that this processor
//! has. Never: a thread, a file, a copy of the data, or an answer that depends on the kernel.

mod file;
mod hasher;
#[allow(unsafe_code)]
pub mod kernel;
mod lane_set;
pub mod lanes;
mod padding;
mod remainder;
mod value;
mod whole;

pub use file::{FileDigest, SliceDigests};
pub use hasher::{Hasher, md5};
pub use lanes::{End, Lanes};
pub use value::Md5;

/// Appends to `out` the MD5 of every `slice_size` bytes of `data`, the last one shorter, in
/// order. No data, no slice.
///
/// # Panics
/// If `slice_size` is 0.
pub fn slices(data: &[u8], slice_size: usize, out: &mut Vec<Md5>) {
    Lanes::new().slices(data, slice_size, out);
}

/// The MD5 of every stream, in order. Streams sorted by falling length keep the lanes full.
#[must_use]
pub fn batch(streams: &[&[u8]]) -> Vec<Md5> {
    let mut out = Vec::with_capacity(streams.len());
    Lanes::new().batch(streams, &mut out);
    out
}

/// Hashes every file that `next` hands out as a whole and by slices of `slice_size` bytes, and
/// hands `done` both, in the order in which the files end. An empty file has no slice.
///
/// # Panics
/// If `slice_size` is 0.
pub fn whole_and_slices<'a, K>(
    next: &mut impl FnMut() -> Option<(K, &'a [u8])>,
    slice_size: usize,
    done: &mut impl FnMut(K, Md5, Vec<Md5>),
) {
    Lanes::new().whole_and_slices(next, slice_size, done);
}

#[cfg(test)]
mod tests;
