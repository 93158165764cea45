//! How much of the maps is in the process's memory. In: bytes that were read through maps. Out: their
//! pages given back to the kernel, which keeps them in its page cache, each time that so many were read.
//! Never: a page of memory that is no map of ours.
//!
//! Without this a file of ten gigabytes shows as ten gigabytes of the process, which people and
//! out-of-memory killers take for what the process needs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::system::Map;
use crate::sync::Mutex;

/// Counts bytes of maps that were just read, by whatever thread for whatever purpose. Each time that they
/// are [`STEP`] more, the pages of all maps leave the process; those that are in use come back as they
/// are touched, at a microsecond for each 64 KiB.
pub fn touched(bytes: u64) {
    let before = TOUCHED.fetch_add(bytes, Ordering::Relaxed);
    if before / STEP != before.wrapping_add(bytes) / STEP {
        give_back();
    }
}

/// From now on this map's pages are given back too.
pub(super) fn enter(map: &Arc<Map>) {
    let mut maps = MAPS.lock();
    // So that the list is not longer than twice what lives.
    if maps.len() == maps.capacity() {
        maps.retain(|map| map.strong_count() > 0);
    }
    maps.push(Arc::downgrade(map));
}

fn give_back() {
    let live: Vec<Arc<Map>> = {
        let mut maps = MAPS.lock();
        maps.retain(|map| map.strong_count() > 0);
        maps.iter().filter_map(Weak::upgrade).collect()
    };
    // Held, so that none is unmapped meanwhile.
    live.iter().for_each(|map| map.release());
}

static TOUCHED: AtomicU64 = AtomicU64::new(0);
static MAPS: Mutex<Vec<Weak<Map>>> = Mutex::new(Vec::new());

/// Bytes. What is resident stays below twice that: hashing and sending count each byte when it is read.
const STEP: u64 = 64 << 20;
