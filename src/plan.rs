//! The slices of a file and what is left to send. In: a file's length, the slice size that `create` returned, the slices
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
    /// [`Kind::Protocol`] where the service's slice size makes no sense for this file: none, or so
    /// small that the file would go in more slices than are ever sent.
    pub fn new(size: u64, slice_size: u64) -> Result<Plan> {
        let refused = |why: &str| {
            let message = format!("the service returned a slice size of {slice_size} bytes, {why}");
            Error::new(Kind::Protocol, Operation::Create, message)
        };
        if slice_size == 0 {
            return Err(refused("of 0"));
        }
        let count = size.div_ceil(slice_size);
        let most = if slice_size < USUAL_LEAST { FEW } else { MOST };
        match u32::try_from(count) {
            Ok(count) if count <= most => Ok(Plan {
                size,
                slice_size,
                count,
            }),
            _ => Err(refused(&format!(
                "which cuts {size} bytes into {count} slices: more than {most} are not sent"
            ))),
        }
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
        start..start.saturating_add(self.slice_size).min(self.size)
    }

    /// The length of slice `number`, in bytes.
    #[must_use]
    pub fn length(&self, number: u32) -> u64 {
        let range = self.range(number);
        range.end - range.start
    }

    /// The slices that `acked` does not have.
    #[must_use]
    pub fn left(&self, acked: &Acked) -> Left {
        let unacked = (1..=self.count).filter(|&number| !acked.has(number));
        Left {
            count: unacked.count(),
            next: 1,
            end: self.count,
            acked: acked.clone(),
        }
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

/// Slices that are left to send, in ascending order: found as they are asked for, never listed.
#[derive(Debug, Clone)]
pub struct Left {
    count: usize,
    next: u32,
    end: u32,
    acked: Acked,
}

impl Left {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their numbers; none is taken.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        (self.next..=self.end).filter(|&number| !self.acked.has(number))
    }

    /// Takes the first `count` of them.
    pub fn take_off(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1) else {
            return;
        };
        let taken = self.numbers().nth(last);
        self.count = self.count.saturating_sub(count);
        self.next = taken.map_or(self.end.saturating_add(1), |last| last + 1);
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

    /// The bitmap, as [`from_bytes`](Self::from_bytes) reads it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many slices were acknowledged.
    #[must_use]
    pub fn count(&self) -> u64 {
        let ones = self.0.iter().map(|bits| u64::from(bits.count_ones()));
        ones.sum()
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

/// A slice size below this is a mistake, but for files of not too many slices.
pub const USUAL_LEAST: u64 = 64 << 10;

/// Slices of a file at most: a hundred times what 10 GiB have in every observation.
const MOST: u32 = 100_000;

/// The same where slices are smaller than [`USUAL_LEAST`].
const FEW: u32 = 16_384;

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

    #[test]
    fn a_slice_size_that_makes_absurdly_many_slices_is_refused_with_its_number() {
        for (size, slice_size) in [
            (3 << 30, 1),
            (100_000, 1),
            (3 << 30, 64),
            (32 << 20, 1 << 10),
            (10 << 30, USUAL_LEAST),
        ] {
            let error = Plan::new(size, slice_size).expect_err("too many");
            assert_eq!(error.kind(), Kind::Protocol);
            let said = error.to_string();
            assert!(said.contains(&format!("{slice_size} bytes")), "{said}");
        }
        for (size, slice_size, count) in [
            (70_000, 10_000, 7),
            (10 << 30, 128 << 10, 81_920),
            (10 << 30, 16 << 20, 640),
            (5, u64::MAX, 1),
            (10 << 30, i64::MAX as u64, 1),
        ] {
            let plan = Plan::new(size, slice_size).expect("sound");
            assert_eq!(plan.count(), count, "{slice_size}");
            assert_eq!(plan.range(count).end, size, "{slice_size}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_and_what_is_acked_make_the_file(
            size in 1u64..100_000, slice_size in 100u64..5_000, acks in proptest::collection::vec(1u32..200, 0..50)
        ) {
            let plan = Plan::new(size, slice_size).expect("sound");
            let mut acked = Acked::default();
            acks.iter().for_each(|&number| acked.set(number));
            let left: u64 = plan.left(&acked).numbers().map(|number| plan.length(number)).sum();
            prop_assert_eq!(left + plan.acked_bytes(&acked), size);
        }

        #[test]
        fn what_is_left_is_taken_off_from_the_front(
            count in 1u32..300, acks in proptest::collection::vec(1u32..300, 0..200), steps in proptest::collection::vec(0usize..20, 1..40)
        ) {
            let mut acked = Acked::default();
            acks.iter().for_each(|&number| acked.set(number));
            let mut listed: Vec<u32> = (1..=count).filter(|&number| !acked.has(number)).collect();
            let mut left = Plan::new(u64::from(count) * 100, 100).expect("sound").left(&acked);
            for step in steps {
                prop_assert_eq!(left.numbers().collect::<Vec<_>>(), listed.clone());
                prop_assert_eq!((left.len(), left.is_empty()), (listed.len(), listed.is_empty()));
                left.take_off(step);
                listed.drain(..step.min(listed.len()));
            }
        }
    }
}
