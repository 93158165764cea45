//! The threads that hash. They belong to a client, or to one call of `hash_files`, and only run
//! tasks that end: a run starts none of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;

use super::budget::Class;
use super::threads;
use crate::error::Result;
use crate::sync::Mutex;

/// Rayon pools. A task that panics ends by that; what it held tells of it when it is dropped.
#[derive(Debug)]
pub struct Pools {
    large: Arc<ThreadPool>,
    /// Small files have a thread that no chain of a large one can keep from them for seconds.
    small: Arc<ThreadPool>,
    /// Slices just ahead of the senders and just behind a single chain. Apart from the large files,
    /// for a batch of those from a slow disk would leave the link idle for seconds.
    slices: Option<ThreadPool>,
    /// Single chains under way.
    chains: AtomicUsize,
}

impl Pools {
    /// Of a client: `threads` for large files, as many for slices and one for small files, or fewer
    /// where so many cannot be had.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State) where not even one of each can be started.
    pub fn of_a_client(threads: usize) -> Result<Pools> {
        let count = threads::affordable(threads);
        Ok(Pools {
            large: Arc::new(threads::pool("panup-hash", count, 1)?),
            small: Arc::new(threads::pool("panup-small", 1, 1)?),
            slices: Some(threads::pool("panup-slices", count, 1)?),
            chains: AtomicUsize::new(0),
        })
    }

    /// Of one call: `threads` for files of all sizes, and as many for slices where those are wanted
    /// and there is more than one processor to be used.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State) where no thread can be started.
    pub(super) fn of_a_call(threads: usize, wants_slices: bool) -> Result<Pools> {
        let large = Arc::new(threads::pool("panup-hash", threads, 1)?);
        let slices = (wants_slices && threads > 1)
            .then(|| threads::pool("panup-slices", threads, 1))
            .transpose()?;
        Ok(Pools {
            small: Arc::clone(&large),
            large,
            slices,
            chains: AtomicUsize::new(0),
        })
    }

    /// The pool for slices; of a client there always is one.
    #[must_use]
    pub fn slices(&self) -> &ThreadPool {
        self.slices.as_ref().unwrap_or(&self.large)
    }

    /// The pool for small files.
    #[must_use]
    pub fn small(&self) -> &ThreadPool {
        &self.small
    }

    pub(super) fn of(&self, class: Class) -> &ThreadPool {
        match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        }
    }

    /// Whether slices have threads of their own.
    pub(super) fn has_slices(&self) -> bool {
        self.slices.is_some()
    }

    /// Counts a single chain as long as the answer lives.
    pub(super) fn chain(&self) -> ChainCount<'_> {
        let under_way = self.chains.fetch_add(1, Ordering::Relaxed) + 1;
        ChainCount {
            pools: self,
            // One has a processor to spare for its slices, if each chain has one.
            is_alone: under_way * 2 <= self.large.current_num_threads(),
        }
    }
}

/// A single chain under way.
pub(super) struct ChainCount<'p> {
    pools: &'p Pools,
    /// A processor was idle when it began.
    pub(super) is_alone: bool,
}

impl Drop for ChainCount<'_> {
    fn drop(&mut self) {
        self.pools.chains.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's pools, started when they are first needed.
#[derive(Debug)]
pub struct LazyPools {
    threads: usize,
    pools: Mutex<Option<Arc<Pools>>>,
}

impl LazyPools {
    /// For `threads` hashing threads; none is started yet.
    #[must_use]
    pub fn new(threads: usize) -> LazyPools {
        LazyPools {
            threads,
            pools: Mutex::default(),
        }
    }

    /// The pools.
    ///
    /// # Errors
    /// As [`Pools::of_a_client`]; the next call tries again.
    pub fn get(&self) -> Result<Arc<Pools>> {
        let mut pools = self.pools.lock();
        if let Some(pools) = &*pools {
            return Ok(Arc::clone(pools));
        }
        let started = Arc::new(Pools::of_a_client(self.threads)?);
        *pools = Some(Arc::clone(&started));
        Ok(started)
    }
}
