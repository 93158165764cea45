//! Unix.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;

pub(super) fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(name.as_bytes())
}

pub(super) fn name_from_bytes(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// A file that is made with these is its owner's alone.
pub(crate) fn owners_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// What this machine is called.
pub(crate) fn host_name() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// Can always be opened.
pub(super) const NOTHING: &str = "/dev/null";

/// Whoever has a file open keeps nobody from it.
pub(super) const IN_THE_WAY: &[i32] = &[];

/// Nor from a part of it.
pub(super) const HELD: &[i32] = &[];

/// No descriptors, here or in the whole system; no memory; nothing of either for the moment.
pub(crate) const FEW_MEMORY_OR_FILES: &[i32] =
    &[TOO_MANY_FILES, libc::ENFILE, NO_MEMORY, libc::EAGAIN];
pub(crate) const TOO_MANY_FILES: i32 = libc::EMFILE;
pub(crate) const NO_MEMORY: i32 = libc::ENOMEM;
pub(crate) const NO_BUFFERS: i32 = libc::ENOBUFS;
