//! Windows.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::windows::ffi::{OsStrExt, OsStringExt};

use super::wide;

pub(super) fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    match name.to_str() {
        Some(text) => Cow::Borrowed(text.as_bytes()),
        None => Cow::Owned(wide::to_bytes(name.encode_wide())),
    }
}

pub(super) fn name_from_bytes(bytes: &[u8]) -> OsString {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => OsString::from_wide(&wide::from_bytes(bytes)),
    }
}

/// The access list that a file takes from its folder decides.
pub(crate) fn owners_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// What this machine is called.
pub(crate) fn host_name() -> String {
    let name = std::env::var_os("COMPUTERNAME");
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Can always be opened.
pub(super) const NOTHING: &str = "NUL";

/// What whoever has a file open causes to others: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION,
/// ERROR_ACCESS_DENIED (it has a name that is to be replaced, or is to be deleted), ERROR_DELETE_PENDING,
/// ERROR_USER_MAPPED_FILE.
pub(super) const IN_THE_WAY: &[i32] = &[32, 33, 5, 303, 1224];

/// Another program has the file open and shares it with nobody, or has locked a part: ERROR_SHARING_VIOLATION,
/// ERROR_LOCK_VIOLATION.
pub(super) const HELD: &[i32] = &[32, 33];

/// ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY,
/// ERROR_NO_SYSTEM_RESOURCES, ERROR_COMMITMENT_LIMIT, WSAEMFILE.
pub(crate) const FEW_MEMORY_OR_FILES: &[i32] = &[TOO_MANY_FILES, NO_MEMORY, 14, 1450, 1455, 10024];
pub(crate) const TOO_MANY_FILES: i32 = 4;
pub(crate) const NO_MEMORY: i32 = 8;
/// WSAENOBUFS.
pub(crate) const NO_BUFFERS: i32 = 10055;
