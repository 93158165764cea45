//! What is left to send. In: a file's length, the slice size that `create` returned, the slices
//! already acknowledged. Out: slice numbers and byte ranges. Never: I/O, or anything but arithmetic.

use std::ops::Range;

use crate::error::{Error, Kind, Operation, Result};

/// How one file is cut: every slice has `slice_size` bytes, but for a shorter last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    size: u64,
    slice_size: u64,
    count: u32,
}

impl Plan {
    /// Cuts `size` bytes into slices of `slice_size` bytes, exactly as `create` said.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where the service's slice size makes no sense for this file.
    pub fn new(size: u64, slice_size: u64) -> Result<Plan> {
        let refused = |why: &str| {
            let message = format!("the service returned a slice size of {slice_size} bytes {why}");
            Error::new(Kind::Protocol, Operation::Create, message)
        };
        if slice_size == 0 {
            return Err(refused("which cannot be"));
        }
        let count = u32::try_from(size.div_ceil(slice_size))
            .map_err(|_| refused("which makes too many slices"))?;
        Ok(Plan {
            size,
            slice_size,
            count,
        })
    }

    /// The number of slices.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The slice size, in bytes.
    #[must_use]
    pub fn slice_size(&self) -> u64 {
        self.slice_size
    }

    /// The bytes of slice `number`, counted from 1 as the service counts.
    #[must_use]
    pub fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number - 1) * self.slice_size;
        start..(start + self.slice_size).min(self.size)
    }

    /// The length of slice `number`, in bytes.
    #[must_use]
    pub fn length(&self, number: u32) -> u64 {
        let range = self.range(number);
        range.end - range.start
    }

    /// The slices that `acked` does not have, in ascending order.
    pub fn left<'a>(&self, acked: &'a Acked) -> impl Iterator<Item = u32> + use<'a> {
        (1..=self.count).filter(|&number| !acked.has(number))
    }

    /// The bytes of the slices in `acked`.
    #[must_use]
    pub fn acked_bytes(&self, acked: &Acked) -> u64 {
        (1..=self.count)
            .filter(|&number| acked.has(number))
            .map(|number| self.length(number))
            .sum()
    }
}

/// Which slices of a file were acknowledged: one bit a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acked(Vec<u8>);

impl Acked {
    /// Reads a bitmap back; bits beyond a plan's slices are never asked for.
    #[must_use]
    pub fn from_bytes(bits: Vec<u8>) -> Acked {
        Acked(bits)
    }

    /// Whether slice `number` (from 1) was acknowledged.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        let (byte, bit) = place(number);
        self.0.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// Notes that slice `number` (from 1) was acknowledged.
    pub fn set(&mut self, number: u32) {
        let (byte, bit) = place(number);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] |= bit;
    }
}

fn place(number: u32) -> (usize, u8) {
    let index = number as usize - 1;
    (index / 8, 1 << (index % 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_slice_is_short() {
        let plan = Plan::new(3 * 16 + 7, 16).expect("a sound plan");
        assert_eq!(plan.count(), 4);
        assert_eq!(plan.range(1), 0..16);
        assert_eq!(plan.range(4), 48..55);
    }

    #[test]
    fn boundaries() {
        for (size, count) in [(1, 1), (15, 1), (16, 1), (17, 2), (32, 2)] {
            assert_eq!(Plan::new(size, 16).expect("sound").count(), count, "{size}");
        }
        assert_eq!(Plan::new(5, 0).expect_err("zero").kind(), Kind::Protocol);
        assert_eq!(
            Plan::new(u64::MAX, 1).expect_err("too many").kind(),
            Kind::Protocol
        );
    }

    proptest! {
        #[test]
        fn what_is_left_and_what_is_acked_make_the_file(
            size in 1u64..100_000, slice_size in 1u64..5_000, acks in proptest::collection::vec(1u32..200, 0..50)
        ) {
            let plan = Plan::new(size, slice_size).expect("sound");
            let mut acked = Acked::default();
            acks.iter().for_each(|&number| acked.set(number));
            let left: u64 = plan.left(&acked).map(|number| plan.length(number)).sum();
            prop_assert_eq!(left + plan.acked_bytes(&acked), size);
        }
    }
}
