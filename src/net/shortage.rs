//! Shortage of descriptors or memory. In: an error. Out: whether it says that the machine is short of
//! them. Never: a word about a server.

use std::io;

use crate::system;

/// Whether the machine is short of what a socket needs: descriptors, memory. It says nothing about the
/// server, nor about the request, and passes when something is closed.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    system::is_socket_shortage(error)
}

/// A shortage that would be met now by opening anything. Name lookup reads files, and answers
/// only that there is no such name where it could not.
pub(super) fn shortage_now() -> Option<io::Error> {
    system::shortage_now()
}
