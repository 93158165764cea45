//! Waiting for descriptors and memory. In: an attempt that can fail for want of descriptors or memory.
//! Out: its result, once there was room. Never: a file's failure where waiting for another one of ours
//! helps.

use std::sync::Condvar;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::sync::{Mutex, unpoisoned};

/// Tries until `attempt` fails for another reason than scarcity. Between tries it waits for one of
/// our files to be closed; `let_go` is called before the first wait, to close those that the caller
/// holds itself. Ends early once `stopped` says so.
///
/// # Errors
/// What `attempt` failed for. Scarcity only where it lasts while nothing of ours is open, or after
/// `stopped`; the message then says what to raise.
pub fn patiently<T>(
    mut attempt: impl FnMut() -> Result<T>,
    let_go: impl FnOnce(),
    stopped: impl Fn() -> bool,
) -> Result<T> {
    let mut let_go = Some(let_go);
    let mut alone_since = None;
    loop {
        let error = match attempt() {
            Err(error) if error.is_scarcity() => error,
            outcome => return outcome,
        };
        if let Some(let_go) = let_go.take() {
            let_go();
        }
        if OPEN.wait(LOOK) == 0 {
            let since = *alone_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= LONGEST_ALONE {
                return Err(error.advice(ADVICE));
            }
        } else {
            alone_since = None;
        }
        if stopped() {
            return Err(error.advice(ADVICE));
        }
    }
}

/// One of our files is open; dropping it tells those that wait.
#[derive(Debug)]
pub(super) struct CountedFile(());

impl CountedFile {
    pub(super) fn new() -> CountedFile {
        OPEN.lock().open += 1;
        CountedFile(())
    }
}

impl Drop for CountedFile {
    fn drop(&mut self) {
        let mut count = OPEN.lock();
        count.open -= 1;
        // Telling nobody is a system call too, for each of a million files.
        if count.waiting > 0 {
            OPEN.closed.notify_all();
        }
    }
}

/// How many of our files are open in this process.
struct OpenCount {
    count: Mutex<Count>,
    closed: Condvar,
}

struct Count {
    open: usize,
    /// Threads that wait for one to be closed.
    waiting: usize,
}

impl OpenCount {
    fn lock(&self) -> crate::sync::MutexGuard<'_, Count> {
        self.count.lock()
    }

    /// Waits until one is closed, or so long; how many are open then.
    fn wait(&self, longest: Duration) -> usize {
        let mut count = self.lock();
        count.waiting += 1;
        let (mut count, _) = unpoisoned(self.closed.wait_timeout(count, longest));
        count.waiting -= 1;
        count.open
    }
}

static OPEN: OpenCount = OpenCount {
    count: Mutex::new(Count {
        open: 0,
        waiting: 0,
    }),
    closed: Condvar::new(),
};

/// Sockets and others' files close without a word: looked at as often as this.
const LOOK: Duration = Duration::from_millis(50);

/// With nothing of ours open, it is not ours to mend.
const LONGEST_ALONE: Duration = Duration::from_secs(5);

const ADVICE: &str =
    "raise the limit of open files (ulimit -n) or of memory, or close other programs";

#[cfg(test)]
mod tests {
    use std::io;

    use crate::error::Error;

    use super::*;

    fn scarce() -> Error {
        Error::read(
            std::path::Path::new("f"),
            io::Error::from_raw_os_error(crate::system::TOO_MANY_FILES),
        )
    }

    #[test]
    fn it_waits_for_one_of_ours_and_lets_go_of_what_it_holds_once() {
        let held = CountedFile::new();
        let mut mine = vec![CountedFile::new()];
        let (mut tries, mut let_go) = (0, 0);
        let outcome = patiently(
            || {
                tries += 1;
                if tries < 4 { Err(scarce()) } else { Ok(tries) }
            },
            || {
                let_go += 1;
                mine.clear();
            },
            || false,
        );
        drop(held);
        assert_eq!((outcome, let_go), (Ok(4), 1));
    }

    #[test]
    fn another_error_is_not_waited_for_and_a_stop_ends_the_wait() {
        let missing = || {
            let error = io::Error::from(io::ErrorKind::NotFound);
            Error::read(std::path::Path::new("f"), error)
        };
        let outcome = patiently(|| Err::<(), _>(missing()), || panic!("no wait"), || false);
        assert_eq!(outcome, Err(missing()));
        let stopped = patiently(|| Err::<(), _>(scarce()), || {}, || true);
        let error = stopped.expect_err("stopped");
        assert!(error.message().contains("ulimit -n"), "{error}");
    }
}
