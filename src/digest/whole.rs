//! Files as a whole and by slices, both at once.

use super::{End, Lanes, Md5};

impl Lanes<'_> {
    /// Hashes every file that `next` hands out as a whole and by slices of `slice_size` bytes,
    /// and tells `done` both, in the order in which files end. An empty file has no slice.
    ///
    /// # Panics
    /// If `slice_size` is 0.
    pub fn whole_and_slices<'a, K>(
        &self,
        next: &mut impl FnMut() -> Option<(K, &'a [u8])>,
        slice_size: usize,
        done: &mut impl FnMut(K, Md5, Vec<Md5>),
    ) -> End {
        let mut end = End::Done;
        while let (End::Done, Some((key, data))) = (end, next()) {
            let mut slices = Vec::with_capacity(data.len().div_ceil(slice_size));
            match self.one(data) {
                Some(whole) if Lanes::new().slices(data, slice_size, &mut slices) == End::Done => {
                    done(key, whole, slices);
                }
                _ => end = End::Stopped,
            }
        }
        end
    }
}
