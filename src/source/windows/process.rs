//! Limits of this process. In: what the system allows this process. Out: how many handles are left.
//! Never: a change of the process without being asked for it.

use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SetErrorMode};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

/// Readies a process whose main business is panup, as the `panup` command does at its start: a drive
/// without a medium is an error rather than a window that waits for somebody.
pub fn prepare_process() {
    // SAFETY: it only sets a number of this process.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS) };
}

/// Handles that this process may open and how many of them are in use: at a moment, and it is the
/// caller's business that others open some too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit.
    pub limit: u64,
    /// Open now.
    pub open: u64,
}

impl Descriptors {
    /// As it is now.
    #[must_use]
    pub fn now() -> Descriptors {
        let mut open = 0;
        // SAFETY: the pseudo handle of this process is always good, and the call only fills `open`.
        unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut open) };
        Descriptors {
            limit: MOST,
            open: u64::from(open),
        }
    }
}

/// Handles of a process, whatever memory there is.
const MOST: u64 = 1 << 24;
