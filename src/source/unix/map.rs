//! A mapped file. In: an open file and its length. Out: the file as read-only memory, guarded against
//! faults. Never: a map that the guard does not watch; where it cannot, there is no map.

use std::fs::File;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

use super::guard::{self, Entry};
use super::process;

/// A guarded map of a file, or of a part of one.
#[derive(Debug)]
pub(in crate::source) struct Map {
    // Declared, and so dropped, before the memory: an address given back to the system may be
    // another mapping's the next moment, and the handler must not take it for ours.
    entry: Entry,
    memory: Mmap,
    /// Bytes of the first page that lie before what is meant.
    skip: usize,
}

impl Map {
    /// Maps `len` bytes (not 0) of `file` from `start` on; `None` where it cannot be mapped (the file
    /// system, the address space, also a limit of it) or not be guarded (see [`Entry::of`]).
    pub(in crate::source) fn new(file: &File, start: u64, len: u64) -> Option<Map> {
        let left = process::address_space_left();
        if left.is_some_and(|left| left < len.saturating_add(SPARE)) {
            return None;
        }
        let before = start % guard::page_size() as u64;
        let skip = usize::try_from(before).ok()?;
        let len = usize::try_from(len.checked_add(before)?).ok()?;
        // SAFETY: another process may write to or truncate the file while `&[u8]`s of this map
        // exist, which no program can rule out. What it means here: bytes that differ from one
        // look to the next, so nothing derives an address, a length or a branch that must be
        // true from them; they are hashed and sent, and identity and MD5 are compared
        // afterwards. Pages that vanish are the guard's business.
        let memory =
            unsafe { MmapOptions::new().offset(start - before).len(len).map(file) }.ok()?;
        let entry = Entry::of(&memory)?;
        Some(Map {
            entry,
            memory,
            skip,
        })
    }

    pub(in crate::source) fn memory(&self) -> &[u8] {
        &self.memory[self.skip..]
    }

    pub(in crate::source) fn is_spoiled(&self) -> bool {
        self.entry.is_spoiled()
    }

    pub(in crate::source) fn advise_sequential(&self) {
        // Advice: without it the map only reads ahead less.
        let _ = self.memory.advise(Advice::Sequential);
    }

    /// Gives all pages back to the kernel, which keeps them in its cache; a later touch brings them
    /// back.
    pub(in crate::source) fn release(&self) {
        // SAFETY: the map is shared and read-only, so dropped pages come back from the file
        // with the same contents, or as zeros where the guard has put zeros: no `&[u8]` of it
        // sees anything that a writer of the file could not have caused.
        let _ = unsafe { self.memory.unchecked_advise(UncheckedAdvice::DontNeed) };
    }
}

/// Address space that maps leave to everything else where it is limited: an allocation that fails
/// would end the process.
const SPARE: u64 = 256 << 20;
