//! Limits of this process. In: what the system allows this process. Out: how many handles are left, and what it has used.
//! Never: a change of the process without being asked for it.

use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Console::{
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE,
    STD_OUTPUT_HANDLE, SetConsoleMode,
};
use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SetErrorMode};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessHandleCount, GetProcessTimes,
};

/// Readies a process whose main business is panup, as the `panup` command does at its start: a drive
/// without a medium is an error rather than a window that waits for somebody, and a console acts on the
/// same sequences as other terminals.
pub fn prepare_process() {
    // SAFETY: it only sets a number of this process.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS) };
    for stream in [STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        let mut mode = 0;
        // SAFETY: a handle that is none, or none of a console, is refused; nothing else is touched.
        unsafe {
            let stream = GetStdHandle(stream);
            if GetConsoleMode(stream, &raw mut mode) != 0 {
                SetConsoleMode(stream, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
            }
        }
    }
}

/// How many handles the process may have, and has.
pub(in crate::source) fn descriptors() -> (u64, u64) {
    let mut open = 0;
    // SAFETY: the pseudo handle of this process is always good, and the call only fills `open`.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut open) };
    (MOST, u64::from(open))
}

/// What all threads of this process have used of the processors so far.
pub fn processor_time() -> Duration {
    let [mut began, mut ended, mut system, mut own] = [FILETIME::default(); 4];
    // SAFETY: the pseudo handle of this process is always good, and the call only fills the four.
    unsafe {
        GetProcessTimes(
            GetCurrentProcess(),
            &raw mut began,
            &raw mut ended,
            &raw mut system,
            &raw mut own,
        );
    }
    span(system) + span(own)
}

/// Tenths of a microsecond, in two halves.
fn span(time: FILETIME) -> Duration {
    let ticks = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_micros(ticks / 10)
}

/// Handles of a process, whatever memory there is.
const MOST: u64 = 1 << 24;
