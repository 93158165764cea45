//! Locks of one byte, and of a file. In: an open file and a place in it. Out: a lock on that one byte, which need not
//! exist, held by this descriptor until it is given back or closed, by the end of the process too.
//! Never: a wait.

use std::fs::{File, TryLockError};
use std::io;

/// Locks the byte at `at`; `false` where another open descriptor of the file holds it, in whatever
/// process. A descriptor that holds it already gets it again.
///
/// # Errors
/// The file system, or the platform, has no such locks.
pub fn try_lock_byte(file: &File, at: u64) -> io::Result<bool> {
    match set(file, at, Wish::Hold) {
        Ok(()) => Ok(true),
        // POSIX leaves it open which of the two says that another process holds it.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Gives the byte at `at` back.
///
/// # Errors
/// The file system, or the platform, has no such locks.
pub fn unlock_byte(file: &File, at: u64) -> io::Result<()> {
    set(file, at, Wish::Free)
}

/// Locks a file as a whole against others that lock it so; `false` where one holds it. Whoever does not
/// lock it reads and writes it all the same.
///
/// # Errors
/// The file system has no such locks.
pub fn try_lock_file(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Gives the file as a whole back.
///
/// # Errors
/// The file system has no such locks.
pub fn unlock_file(file: &File) -> io::Result<()> {
    file.unlock()
}

#[derive(Clone, Copy)]
enum Wish {
    Hold,
    Free,
}

/// Locks of the open file description: those of the process, which are older, would be dropped
/// when any descriptor of the file is closed, and would not tell two clients of one process apart.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn set(file: &File, at: u64, wish: Wish) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let kind = match wish {
        Wish::Hold => libc::F_WRLCK,
        Wish::Free => libc::F_UNLCK,
    };
    // SAFETY: `flock` is plain numbers, for which zeros are a value; `l_pid` must be 0 here.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    // A place in a file is never negative.
    lock.l_start = (at & (u64::MAX >> 1)) as libc::off_t;
    lock.l_len = 1;
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the call only reads `lock`,
    // which lives until it returns.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn set(_file: &File, _at: u64, _wish: Wish) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_descriptor_holds_a_byte_and_the_others_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks");
        let open = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(false);
            options.open(&path).unwrap()
        };
        let (one, other) = (open(), open());
        for at in [0, 7, i64::MAX as u64] {
            assert!(try_lock_byte(&one, at).unwrap());
            assert!(!try_lock_byte(&other, at).unwrap(), "{at}");
        }
        assert!(try_lock_byte(&other, 8).unwrap(), "a neighbour is free");
        unlock_byte(&one, 7).unwrap();
        assert!(try_lock_byte(&other, 7).unwrap(), "given back");
        drop(open());
        assert!(
            !try_lock_byte(&other, 0).unwrap(),
            "closing another descriptor frees nothing"
        );
        drop(one);
        assert!(try_lock_byte(&other, 0).unwrap(), "closed");
    }
}
