//! Shortage of descriptors or memory. In: an error. Out: whether it says that the machine is short of
//! them. Never: a word about a server.

use std::io;

/// Whether the machine is short of what a socket needs: descriptors, memory. It says nothing about the
/// server, nor about the request, and passes when something is closed.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    let short = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EAGAIN,
    ];
    // WSAEMFILE, WSAENOBUFS, ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY.
    #[cfg(not(unix))]
    let short = [10024, 10055, 4, 8];
    error
        .raw_os_error()
        .is_some_and(|code| short.contains(&code))
}

/// A shortage that would be met now by opening anything. Name lookup reads files, and answers
/// only that there is no such name where it could not.
pub(super) fn shortage_now() -> Option<io::Error> {
    #[cfg(unix)]
    let probe = std::fs::File::open("/dev/null").err();
    #[cfg(not(unix))]
    let probe: Option<io::Error> = None;
    probe.filter(is_shortage)
}
