//! What the system says of an open file. In: a handle. Out: the file's identity.

use std::fs::{File, Metadata};
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FileBasicInfo, GetFileInformationByHandle,
    GetFileInformationByHandleEx,
};

use super::super::identity::Identity;

/// The identity of an open file. Its number is unique on its volume; on ReFS, which has longer ones,
/// nearly always, and its length and times count as well.
pub(in crate::source) fn identity(file: &File, _facts: &Metadata) -> io::Result<Identity> {
    let mut facts = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open as long as `file` is borrowed, and the call only fills `facts`.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut facts) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let written = facts.ftLastWriteTime;
    let written = long(written.dwHighDateTime, written.dwLowDateTime);
    Ok(Identity {
        dev: u64::from(facts.dwVolumeSerialNumber),
        inode: long(facts.nFileIndexHigh, facts.nFileIndexLow),
        size: long(facts.nFileSizeHigh, facts.nFileSizeLow),
        mtime_ns: since_1970(written.cast_signed()),
        ctime_ns: since_1970(changed(file).unwrap_or_default()),
    })
}

/// The last change of contents or attributes, where the file system keeps it.
fn changed(file: &File) -> Option<i64> {
    let mut facts = FILE_BASIC_INFO::default();
    let size = size_of_val(&facts) as u32;
    let place = (&raw mut facts).cast();
    // SAFETY: the handle is open as long as `file` is borrowed, and the call fills `size` bytes at
    // most of the structure that this class has.
    let found =
        unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), FileBasicInfo, place, size) };
    (found != 0).then_some(facts.ChangeTime)
}

fn long(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Nanoseconds since 1970 of steps of 100 since 1601.
fn since_1970(steps: i64) -> i64 {
    steps.wrapping_sub(FROM_1601_TO_1970).wrapping_mul(100)
}

const FROM_1601_TO_1970: i64 = 116_444_736_000_000_000;
