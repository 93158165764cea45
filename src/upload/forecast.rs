//! What sending a file would cost. In: its size, and what an earlier run has sent. Out: bytes and calls.
//! Never: a look at anything.

use crate::journal::Upload;
use crate::plan::Plan;
use crate::policy::USUAL_SLICE;

/// What sending a file would cost, at most: what the service has the content of is not sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// Content bytes to send. Less than the file's size where an earlier run sent some of it.
    pub bytes: u64,
    /// Calls of `single/create`.
    pub single: u32,
    /// Calls of `create`.
    pub create: u32,
    /// Slices.
    pub slices: u32,
    /// Calls of `upload_complete`.
    pub complete: u32,
    /// Whether nothing that is there is in its way; the service may not have been asked.
    pub is_known: bool,
}

impl Forecast {
    /// What a file of `size` bytes costs, of which `begun` was sent so far.
    pub(super) fn of(size: u64, single_max: u64, begun: Option<&Upload>) -> Forecast {
        if begun.is_none() && size <= single_max {
            return Forecast {
                bytes: size,
                single: 1,
                ..Forecast::default()
            };
        }
        let slice_size = begun.map_or(USUAL_SLICE, |upload| upload.created.slice_size);
        let all = Forecast {
            bytes: size,
            create: u32::from(begun.is_none()),
            complete: 1,
            ..Forecast::default()
        };
        // What is kept makes sense, or it is begun again.
        let Ok(plan) = Plan::new(size, slice_size) else {
            return all;
        };
        let (left, acked) = match begun {
            Some(upload) => (
                plan.left(&upload.acked).len(),
                plan.acked_bytes(&upload.acked),
            ),
            None => (plan.count() as usize, 0),
        };
        Forecast {
            bytes: size - acked,
            slices: u32::try_from(left).unwrap_or(u32::MAX),
            ..all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_in_one_call_or_in_slices() {
        let mega = 1 << 20;
        let small = Forecast::of(4 * mega, 4 * mega, None);
        assert_eq!((small.single, small.create, small.slices), (1, 0, 0));
        let large = Forecast::of(4 * mega + 1, 4 * mega, None);
        assert_eq!((large.single, large.create, large.slices), (0, 1, 1));
        assert_eq!((large.complete, large.bytes), (1, 4 * mega + 1));
        assert_eq!(Forecast::of(33 * mega, 0, None).slices, 3);
    }
}
