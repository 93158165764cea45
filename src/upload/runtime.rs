//! The tokio runtime of a program whose main business is panup. In: how many threads can be had. Out:
//! a runtime of so many. Never: a panic for want of threads.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::error::Result;
use crate::hash::{at_hand, processors, refused};

/// A tokio runtime for a [`Client`](crate::Client). Its threads only move bytes between sockets and
/// memory, so there are few; where not even those can be had, the calling thread does their work.
///
/// # Errors
/// [`Kind::State`](crate::Kind::State) where the system refuses what every runtime needs.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    let wanted = processors().min(WORKERS);
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

/// Worker threads of the runtime at most: they move bytes, and hashing has its own.
const WORKERS: usize = 8;

/// Threads kept for what blocks; more come as they are needed and can be had.
const BLOCKING: usize = 2;

/// Threads that a small upload needs besides the runtime's workers: blocking work, three
/// that hash, the list of files, the journal's writer.
const LATER: usize = 8;

/// A thread that was granted starts within this.
const LONGEST_START: Duration = Duration::from_secs(1);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_does_blocking_work() {
        let runtime = runtime().expect("threads");
        let done = runtime.block_on(async { tokio::task::spawn_blocking(|| 7).await });
        assert_eq!(done.expect("no panic"), 7);
    }
}
