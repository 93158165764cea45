//! One big file's MD5: a single serial chain, the longest pole of its upload. A second processor
//! cannot shorten it, but it can have the slices' MD5s ready when it ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::digest::{End, Lanes, Md5};

/// A mapped file's chain.
pub struct Chain<'a> {
    map: &'a [u8],
    /// Bytes that the chain has gone through.
    done: AtomicU64,
    counted: &'a AtomicU64,
    halt: &'a AtomicBool,
}

/// Slices hashed at a time: one group of eight lanes, so that little is left when the chain ends.
const GROUP: usize = 8;

/// How often the follower looks how far the chain is: some megabytes of it.
const LOOK: Duration = Duration::from_millis(5);

impl<'a> Chain<'a> {
    /// Over the bytes of `map`; what is hashed is added to `counted`, and `halt` stops it.
    #[must_use]
    pub fn new(map: &'a [u8], counted: &'a AtomicU64, halt: &'a AtomicBool) -> Chain<'a> {
        Chain {
            map,
            done: AtomicU64::new(0),
            counted,
            halt,
        }
    }

    /// The whole's MD5; `None` if the run was stopped.
    #[must_use]
    pub fn alone(&self) -> Option<Md5> {
        Lanes::new().watched(self.counted, self.halt).one(self.map)
    }

    /// The whole's MD5 from this thread and the slices' from one of `followers`; `None` if the run
    /// was stopped.
    #[must_use]
    pub fn with_slices(
        &self,
        followers: &rayon::ThreadPool,
        slice_size: usize,
    ) -> Option<(Md5, Option<Vec<Md5>>)> {
        let mut slices = None;
        let whole = followers.in_place_scope(|scope| {
            scope.spawn(|_| slices = self.follow(slice_size));
            let whole = Lanes::new().watched(&self.done, self.halt).one(self.map);
            // Also where it was stopped, so that the follower does not wait for it.
            self.advance(self.map.len() as u64);
            whole
        });
        whole.map(|whole| (whole, slices))
    }

    fn advance(&self, to: u64) {
        self.done.fetch_max(to, Ordering::Release);
    }

    fn follow(&self, slice_size: usize) -> Option<Vec<Md5>> {
        let mut md5s = Vec::new();
        let mut told = 0;
        for group in self.map.chunks(slice_size * GROUP) {
            let behind =
                (group.as_ptr() as usize - self.map.as_ptr() as usize + group.len()) as u64;
            self.wait_for(behind, &mut told);
            let unseen = AtomicU64::new(0);
            if Lanes::new()
                .watched(&unseen, self.halt)
                .slices(group, slice_size, &mut md5s)
                == End::Stopped
            {
                return None;
            }
        }
        self.tell(&mut told);
        Some(md5s)
    }

    fn wait_for(&self, position: u64, told: &mut u64) {
        loop {
            self.tell(told);
            if self.done.load(Ordering::Acquire) >= position || self.halt.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Shows the chain's progress as the run's; the slices' is not counted, they are the same bytes.
    fn tell(&self, told: &mut u64) {
        let done = self.done.load(Ordering::Acquire);
        self.counted
            .fetch_add(done.saturating_sub(*told), Ordering::Relaxed);
        *told = (*told).max(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    #[test]
    fn whole_and_slices_agree_with_one_after_the_other() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a thread");
        for length in [1usize, 4096, 8 * 4096, 8 * 4096 + 1, 100_003] {
            let data: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (counted, halt) = (AtomicU64::new(0), AtomicBool::new(false));
            let chain = Chain::new(&data, &counted, &halt);
            let (whole, slices) = chain.with_slices(&pool, 4096).expect("not stopped");
            let mut expected = Vec::new();
            digest::slices(&data, 4096, &mut expected);
            assert_eq!(
                (whole, slices),
                (digest::md5(&data), Some(expected)),
                "{length}"
            );
            assert_eq!(
                counted.load(Ordering::Relaxed),
                length as u64,
                "each byte once"
            );
        }
    }

    #[test]
    fn a_stopped_chain_has_no_etag() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a thread");
        let data = vec![0; 1 << 16];
        let (counted, halt) = (AtomicU64::new(0), AtomicBool::new(true));
        let chain = Chain::new(&data, &counted, &halt);
        assert!(chain.with_slices(&pool, 4096).is_none());
    }
}
