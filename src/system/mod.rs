//! What operating systems call differently. In: names, the codes of errors, options of opening, files that
//! others have open. Out: the same for all of them. Never: a file that is opened, but for the one that is always there.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as here;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as here;
mod in_the_way;
#[cfg(any(windows, test))]
mod reserved;
#[cfg(any(windows, test))]
mod wide;

#[cfg(test)]
pub(crate) use here::TOO_MANY_FILES;
pub(crate) use here::{NO_MEMORY, host_name, owners_alone};
pub(crate) use in_the_way::insist;
pub use in_the_way::replace_file;
#[cfg(windows)]
pub(crate) use reserved::is_misread;

/// A name or path as bytes, which [`name_from_bytes`] makes the same of: on Unix those that it has,
/// elsewhere UTF-8, with what is not Unicode in Windows' UTF-16 as WTF-8 has it.
#[must_use]
pub fn name_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    here::name_bytes(name)
}

/// The name or path that these bytes are. Elsewhere than on Unix what is neither UTF-8 nor WTF-8 becomes
/// U+FFFD, which no file is called.
#[must_use]
pub fn name_from_bytes(bytes: &[u8]) -> OsString {
    here::name_from_bytes(bytes)
}

/// Whether the machine is short of descriptors or memory, which passes when something is closed.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| here::FEW_MEMORY_OR_FILES.contains(&code))
}

/// Whether another program keeps the file to itself.
pub(crate) fn is_held(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| here::HELD.contains(&code))
}

/// The same as [`is_shortage`] for a socket, which may also lack a buffer.
pub(crate) fn is_socket_shortage(error: &io::Error) -> bool {
    is_shortage(error) || error.raw_os_error() == Some(here::NO_BUFFERS)
}

/// A shortage that would be met now by opening anything.
pub(crate) fn shortage_now() -> Option<io::Error> {
    let opened = std::fs::File::open(here::NOTHING);
    opened.err().filter(is_socket_shortage)
}
