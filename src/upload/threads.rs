//! In: how many threads are wanted. Out: as many as can be had, and no fewer than are needed. Never:
//! a panic or a wait for a thread that does not come.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use crate::error::{Error, Kind, Operation, Result};

/// A tokio runtime for a [`Client`](crate::Client). Its threads only move bytes between sockets and
/// memory, so there are few; where not even those can be had, the calling thread does their work.
///
/// # Errors
/// [`Kind::State`] where the system refuses what every runtime needs.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    let wanted = super::core::processors().min(WORKERS);
    // Tokio panics where it gets fewer than it was told, so it is told what there is, and some are
    // left for what comes after.
    let workers = at_hand(wanted + LATER).saturating_sub(LATER);
    let mut builder = if workers > 1 {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    // A thread that is there stays: a later one might not be had, and tokio takes that badly.
    builder.enable_all().thread_keep_alive(FOR_EVER);
    let runtime = builder.build().map_err(|error| refused(&error))?;
    keep_blocking_threads(&runtime)?;
    Ok(runtime)
}

/// How many hashing threads a run gets: as many as `wanted`, or fewer, so that all its parts get
/// theirs (as many feeders, hashers and followers each, and [`BESIDES`]).
pub(super) fn of_a_run(wanted: usize) -> usize {
    let all = PARTS * wanted + BESIDES;
    let had = at_hand(all);
    if had == all {
        return wanted;
    }
    (had.saturating_sub(BESIDES) / PARTS).clamp(1, wanted)
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

/// How many of `wanted` threads can be had at this moment: they are started, and ended again.
fn at_hand(wanted: usize) -> usize {
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

/// Some threads for what blocks (names, the journal, locks) from the beginning. Where none can be
/// started, tokio panics at the first such work, or counts on a thread that never has time for it.
fn keep_blocking_threads(runtime: &tokio::runtime::Runtime) -> Result<()> {
    let handle = runtime.handle().clone();
    if at_hand(1) == 0 {
        return Err(refused(&"none is left for blocking work"));
    }
    let (started, is_started) = channel();
    let count = BLOCKING
        .min(at_hand(BLOCKING + LATER).saturating_sub(LATER))
        .max(1);
    let holds: Vec<Sender<()>> = (0..count)
        .map(|_| {
            let started = started.clone();
            let (hold, held) = channel::<()>();
            drop(handle.spawn_blocking(move || {
                let _ = started.send(());
                let _ = held.recv();
            }));
            hold
        })
        .collect();
    for _ in &holds {
        // Where one did not come after all, the others do its work.
        if is_started.recv_timeout(LONGEST_START).is_err() {
            break;
        }
    }
    Ok(())
}

fn refused(error: &dyn std::fmt::Display) -> Error {
    let message = format!("no thread could be started: {error}");
    Error::new(Kind::State, Operation::Configure, message)
        .advice("raise the limit of processes (ulimit -u, the container's pids limit)")
}

/// Worker threads of the runtime at most: they move bytes, and hashing has its own.
const WORKERS: usize = 8;

/// Pools of a run: feeders, hashers, followers.
const PARTS: usize = 3;

/// A run's other threads: the dispatcher, who sorts, and who hashes small files.
const BESIDES: usize = 3;

/// Threads kept for what blocks; more come as they are needed and can be had.
const BLOCKING: usize = 2;

/// Threads that a small upload needs besides the runtime's workers: blocking work, feeder,
/// dispatcher, three hashers, the journal's writer.
const LATER: usize = 8;

/// A probe's stack: it only waits.
const PROBE_STACK: usize = 64 << 10;

/// Until the threads of a pool that was not completed have ended.
const MOMENT: Duration = Duration::from_millis(20);

/// A thread that was granted starts within this.
const LONGEST_START: Duration = Duration::from_secs(1);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_threads_as_are_wanted_where_nothing_limits_them() {
        assert_eq!(at_hand(5), 5);
        assert_eq!(at_hand(0), 0);
        assert_eq!(of_a_run(3), 3);
        let pool = pool("test", 3, 1).expect("threads");
        assert_eq!(pool.current_num_threads(), 3);
    }

    #[test]
    fn a_runtime_does_blocking_work() {
        let runtime = runtime().expect("threads");
        let done = runtime.block_on(async { tokio::task::spawn_blocking(|| 7).await });
        assert_eq!(done.expect("no panic"), 7);
    }
}
