//! The memory budget of what is read instead of mapped. In: how many bytes may be in memory at once.
//! Out: buffers, as there is room, first come first served. Never: more than the limit, but for one
//! buffer that is larger and then alone; an allocation that ends the process.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use crate::sync::{Mutex, MutexGuard, unpoisoned};

/// Memory for what is read instead of mapped, shared by all who clone it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    state: Mutex<MemoryState>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct MemoryState {
    /// Bytes of all buffers in use.
    used: usize,
    /// Buffers given back; with those in use they are within the limit.
    idle: Vec<Vec<u8>>,
    /// Who waits, in the order in which they came.
    queue: VecDeque<u64>,
    next: u64,
}

/// A buffer; dropping it makes room.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

/// The system has no memory for a buffer, though none of ours is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl Memory {
    /// At most `limit` bytes at once.
    #[must_use]
    pub fn new(limit: usize) -> Memory {
        Memory(Arc::new(Budget {
            limit,
            state: Mutex::default(),
            freed: Condvar::new(),
        }))
    }

    /// A buffer of `len` bytes of any value. Blocks the thread until there is room; a caller that
    /// holds buffers already may wait for itself, so it should [`try_take`](Self::try_take).
    ///
    /// # Errors
    /// The system has none, and none of ours is in use that could be waited for.
    pub fn take(&self, len: usize) -> Result<Buffer, NoMemory> {
        let mut state = self.0.lock();
        let ticket = state.next;
        state.next += 1;
        state.queue.push_back(ticket);
        let mut alone_since = None;
        let outcome = loop {
            if state.queue.front() == Some(&ticket) && self.0.fits(&state, len) {
                if let Some(bytes) = state.allocate(self.0.limit, len) {
                    break Ok(bytes);
                }
                if state.used == 0 {
                    let since = *alone_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= LONGEST_ALONE {
                        break Err(NoMemory);
                    }
                } else {
                    alone_since = None;
                }
            }
            let waited = self.0.freed.wait_timeout(state, LOOK);
            (state, _) = unpoisoned(waited);
        };
        state.queue.retain(|&waiting| waiting != ticket);
        drop(state);
        self.0.freed.notify_all();
        outcome.map(|bytes| self.hold(bytes))
    }

    /// The same without waiting; `None` where there is no room now, or others came first.
    #[must_use]
    pub fn try_take(&self, len: usize) -> Option<Buffer> {
        let mut state = self.0.lock();
        let bytes = (state.queue.is_empty() && self.0.fits(&state, len))
            .then(|| state.allocate(self.0.limit, len))??;
        drop(state);
        Some(self.hold(bytes))
    }

    fn hold(&self, bytes: Vec<u8>) -> Buffer {
        Buffer {
            bytes,
            budget: Arc::clone(&self.0),
        }
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new(LIMIT)
    }
}

impl Budget {
    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock()
    }

    fn fits(&self, state: &MemoryState, len: usize) -> bool {
        state.used == 0 || state.used.saturating_add(len) <= self.limit
    }
}

impl MemoryState {
    /// A buffer of `len` bytes, an idle one if there is one of about that size: a new one's pages
    /// have to be zeroed first.
    fn allocate(&mut self, limit: usize, len: usize) -> Option<Vec<u8>> {
        let right = |idle: &Vec<u8>| idle.capacity() >= len && idle.capacity() / 2 <= len;
        let bytes = match self.idle.iter().position(right) {
            Some(place) => {
                let mut bytes = self.idle.swap_remove(place);
                bytes.resize(len, 0);
                bytes
            }
            None => {
                self.make_room(limit, len);
                zeroed(len).or_else(|| {
                    // The last that is ours to give.
                    self.idle.clear();
                    zeroed(len)
                })?
            }
        };
        self.used += bytes.capacity();
        Some(bytes)
    }

    fn make_room(&mut self, limit: usize, len: usize) {
        let mut all = self.used + len + self.idle.iter().map(Vec::capacity).sum::<usize>();
        while all > limit
            && let Some(idle) = self.idle.pop()
        {
            all -= idle.capacity();
        }
    }
}

fn zeroed(len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(bytes)
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.budget.lock();
        state.used -= bytes.capacity();
        let idle: usize = state.idle.iter().map(Vec::capacity).sum();
        if state.used + idle + bytes.capacity() <= self.budget.limit {
            state.idle.push(bytes);
        }
        drop(state);
        self.budget.freed.notify_all();
    }
}

/// Bytes by default: four slices of the usual 16 MiB.
const LIMIT: usize = 64 << 20;

/// Memory of others is freed without a word: looked at as often as this.
const LOOK: Duration = Duration::from_millis(100);

/// With none of ours in use, it is not ours to free.
const LONGEST_ALONE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn held(memory: &Memory) -> (usize, usize) {
        let state = memory.0.lock();
        (
            state.used,
            state.idle.iter().map(Vec::capacity).sum::<usize>(),
        )
    }

    #[test]
    fn bytes_are_bounded_whatever_the_number_of_buffers() {
        let memory = Memory::new(100);
        let one = memory.take(60).expect("room");
        assert!(memory.try_take(41).is_none() && memory.try_take(40).is_some());
        drop(one);
        assert!(memory.try_take(100).is_some());
        let (used, idle) = held(&memory);
        assert!(used == 0 && idle <= 100, "{idle}");
    }

    #[test]
    fn a_giant_passes_alone_and_is_not_overtaken() {
        let memory = Memory::new(100);
        let small = memory.take(10).expect("room");
        let (tell, told) = mpsc::channel();
        let giant = thread::spawn({
            let memory = memory.clone();
            move || {
                let giant = memory.take(1000).expect("alone");
                tell.send(()).expect("heard");
                giant
            }
        });
        while memory.0.lock().queue.is_empty() {
            thread::yield_now();
        }
        assert!(memory.try_take(1).is_none(), "the giant came first");
        assert!(told.try_recv().is_err());
        drop(small);
        told.recv().expect("it has its turn");
        assert!(memory.try_take(1).is_none(), "alone");
        drop(giant.join().expect("no panic"));
        assert_eq!(held(&memory), (0, 0), "too large to be kept");
    }

    #[test]
    fn buffers_are_used_again() {
        let memory = Memory::new(100);
        let mut first = memory.take(50).expect("room");
        first.as_mut().fill(7);
        let place = first.as_ref().as_ptr();
        drop(first);
        let again = memory.take(40).expect("room");
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (place, 40));
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error_and_no_abort() {
        let memory = Memory::new(100);
        assert_eq!(memory.take(isize::MAX as usize).err(), Some(NoMemory));
        assert!(memory.try_take(isize::MAX as usize).is_none());
        assert_eq!(held(&memory).0, 0);
        drop(memory.take(100).expect("nobody is in the queue"));
    }
}
