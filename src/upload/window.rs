//! The hash-ahead window: how many files and bytes may be hashed and not yet uploaded. It bounds
//! memory and open files, and keeps what was hashed in the page cache until it is sent.

use std::sync::{Arc, Condvar};

use crate::sync::{Mutex, unpoisoned};

/// A budget of files and bytes; a file larger than the whole budget is admitted when the window is empty.
#[derive(Debug)]
pub struct Window {
    limit: Size,
    state: Mutex<State>,
    freed: Condvar,
}

/// An amount of files and of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    used: Size,
    closed: bool,
}

/// A file's part of the window; dropping it makes room.
#[derive(Debug)]
pub struct Share {
    window: Arc<Window>,
    bytes: u64,
}

impl Window {
    /// A window of `limit`.
    #[must_use]
    pub fn new(limit: Size) -> Arc<Window> {
        Arc::new(Window {
            limit,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Blocks the thread until a file of `bytes` fits; `None` once the window is closed.
    #[must_use]
    pub fn enter(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let state = self.state.lock();
        let waited = self
            .freed
            .wait_while(state, |state| !state.closed && !self.fits(state, bytes));
        let mut state = unpoisoned(waited);
        self.take(&mut state, bytes)
    }

    /// The same without waiting; `None` where it does not fit now.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let mut state = self.state.lock();
        self.fits(&state, bytes)
            .then(|| self.take(&mut state, bytes))
            .flatten()
    }

    /// Lets nobody in any more, and wakes those that wait.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.freed.notify_all();
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        let used = state.used;
        used.files == 0 || (used.files < self.limit.files && used.bytes + bytes <= self.limit.bytes)
    }

    fn take(self: &Arc<Self>, state: &mut State, bytes: u64) -> Option<Share> {
        if state.closed {
            return None;
        }
        state.used.files += 1;
        state.used.bytes += bytes;
        Some(Share {
            window: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.window.state.lock();
        state.used.files -= 1;
        state.used.bytes -= self.bytes;
        drop(state);
        self.window.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_bytes_are_bounded() {
        let window = Window::new(Size {
            files: 2,
            bytes: 10,
        });
        let state = |files, bytes| State {
            used: Size { files, bytes },
            closed: false,
        };
        assert!(window.fits(&state(1, 6), 4));
        assert!(!window.fits(&state(1, 6), 5), "bytes");
        assert!(!window.fits(&state(2, 2), 1), "files");
        assert!(window.fits(&state(0, 0), 11), "a giant passes alone");
        let share = window.enter(6).expect("room");
        assert!(window.try_enter(5).is_none() && window.try_enter(4).is_some());
        assert_eq!(window.state.lock().used, Size { files: 1, bytes: 6 });
        drop(share);
        assert_eq!(window.state.lock().used, Size::default());
    }

    #[test]
    fn closing_wakes_those_that_wait() {
        let window = Window::new(Size { files: 1, bytes: 1 });
        let _held = window.enter(1).expect("room");
        let waiting = std::thread::spawn({
            let window = Arc::clone(&window);
            move || window.enter(1).is_none()
        });
        window.close();
        assert!(waiting.join().expect("no panic"));
    }
}
