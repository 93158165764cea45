//! Locks of one byte, and of a file. In: an open file and a place in it. Out: a lock on that one byte, which need not
//! exist, held by this handle until it is given back or closed, by the end of the process too. Never:
//! a wait.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

/// Locks the byte at `at`; `false` where a handle holds it already, this one too.
///
/// # Errors
/// The file system has no such locks.
pub fn try_lock_byte(file: &File, at: u64) -> io::Result<bool> {
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    let mut place = place(at);
    // SAFETY: the handle is open as long as `file` is borrowed; it is no overlapped one, so the call
    // is over, and is done with `place`, when it returns.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) };
    match locked {
        0 => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(ERROR_LOCK_VIOLATION.cast_signed()) => Ok(false),
            error => Err(error),
        },
        _ => Ok(true),
    }
}

/// Gives the byte at `at` back.
///
/// # Errors
/// The file system has no such locks, or it was not held.
pub fn unlock_byte(file: &File, at: u64) -> io::Result<()> {
    let mut place = place(at);
    // SAFETY: as above.
    match unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Locks a file as a whole against others that lock it so; `false` where one holds it. Whoever does not
/// lock it reads and writes it all the same: a lock on what is there would keep everybody from it, so
/// that a place is locked which no file reaches.
///
/// # Errors
/// The file system has no such locks.
pub fn try_lock_file(file: &File) -> io::Result<bool> {
    try_lock_byte(file, WHOLE)
}

/// Gives the file as a whole back.
///
/// # Errors
/// The file system has no such locks, or it was not held.
pub fn unlock_file(file: &File) -> io::Result<()> {
    unlock_byte(file, WHOLE)
}

fn place(at: u64) -> OVERLAPPED {
    // A place in a file is never negative.
    let at = at & (u64::MAX >> 1);
    OVERLAPPED {
        Anonymous: OVERLAPPED_0 {
            Anonymous: OVERLAPPED_0_0 {
                Offset: at as u32,
                OffsetHigh: (at >> 32) as u32,
            },
        },
        ..OVERLAPPED::default()
    }
}

const WHOLE: u64 = (u64::MAX >> 1) - 1;
