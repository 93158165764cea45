//! Thread pools, as large as the system allows. In: how many threads are wanted. Out: as many as can be
//! had, and no fewer than are needed. Never: a panic or a wait for a thread that does not come.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::Builder;
use std::time::Duration;

use crate::error::{Error, Kind, Operation, Result};

/// How many threads of each kind a client gets: as many as `wanted`, or fewer, so that all kinds get
/// theirs and [`BESIDES`] are left.
pub(super) fn affordable(wanted: usize) -> usize {
    let all = KINDS * wanted + BESIDES;
    let had = at_hand(all);
    if had == all {
        return wanted;
    }
    (had.saturating_sub(BESIDES) / KINDS).clamp(1, wanted)
}

/// A pool of named threads, `wanted` of them or as many as can be had; they end when their work
/// does.
///
/// # Errors
/// [`Kind::State`] where there are not even `least`.
pub(super) fn pool(name: &'static str, wanted: usize, least: usize) -> Result<rayon::ThreadPool> {
    let mut count = wanted.max(least);
    loop {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
        let built = builder
            .thread_name(move |index| format!("{name}-{index}"))
            // A panic has been printed by now, and what the task held tells of it.
            .panic_handler(drop)
            .build();
        match built {
            Ok(pool) => return Ok(pool),
            Err(error) if count == least => return Err(refused(&error)),
            // Those of the failed pool take a moment to end.
            Err(_) => std::thread::sleep(MOMENT),
        }
        count = at_hand(count - 1).max(least);
    }
}

/// A thread of its own for `work`.
///
/// # Errors
/// [`Kind::State`] where it cannot be had.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| refused(&error))
}

/// One hashing thread for each.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// How many of `wanted` threads can be had at this moment: they are started, and ended again.
#[must_use]
pub fn at_hand(wanted: usize) -> usize {
    let (hold, held) = channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let mut probes = Vec::new();
    for _ in 0..wanted {
        let held = Arc::clone(&held);
        // All wait for the sender's end, one in `recv`, the others for the lock.
        let wait = move || {
            let _ = held.lock().map(|held| held.recv());
        };
        match Builder::new().stack_size(PROBE_STACK).spawn(wait) {
            Ok(probe) => probes.push(probe),
            Err(_) => break,
        }
    }
    drop(hold);
    let count = probes.len();
    for probe in probes {
        // They cannot panic.
        drop(probe.join());
    }
    count
}

/// The error of a thread that could not be started.
#[must_use]
pub fn refused(error: &dyn std::fmt::Display) -> Error {
    let message = format!("no thread could be started: {error}");
    Error::new(Kind::State, Operation::Configure, message)
        .advice("raise the limit of processes (ulimit -u, the container's pids limit)")
}

/// Hashing threads that may be asked for: more than any machine has processors for.
pub const MOST_THREADS: usize = 1024;

/// Kinds of threads of which there are as many as hash: for large files and for slices.
const KINDS: usize = 2;

/// Others: for small files, the list of files, the journal.
const BESIDES: usize = 3;

/// A probe's stack: it only waits.
const PROBE_STACK: usize = 64 << 10;

/// Until the threads of a pool that was not completed have ended.
const MOMENT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_threads_as_are_wanted_where_nothing_limits_them() {
        assert_eq!(at_hand(5), 5);
        assert_eq!(at_hand(0), 0);
        assert_eq!(affordable(3), 3);
        let pool = pool("test", 3, 1).expect("threads");
        assert_eq!(pool.current_num_threads(), 3);
    }
}
