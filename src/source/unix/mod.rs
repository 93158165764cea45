//! Files of Unix. In: paths and open files. Out: what [`Source`](super::Source) needs of them that other
//! systems have otherwise.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::identity::Identity;

mod below;
#[allow(unsafe_code)]
mod byte_lock;
#[allow(unsafe_code)]
mod guard;
#[allow(unsafe_code)]
mod map;
#[allow(unsafe_code)]
mod process;

pub use byte_lock::{try_lock_byte, try_lock_file, unlock_byte, unlock_file};
pub use process::{prepare_process, processor_time};

pub(super) use map::Map;
pub(super) use process::descriptors;

/// Opens a file without waiting, whatever is there by now.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// What is there.
pub(super) fn look(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path)
}

/// The same, below the folder `root`, with no link on the way.
pub(super) fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    below::open(root, path, below::READ)
}

/// What is there below the folder `root`, without opening it where that can be.
pub(super) fn look_below(root: &Path, path: &Path) -> io::Result<Metadata> {
    below::open(root, path, below::LOOK).and_then(|file| file.metadata())
}

/// Whether a link was in the way.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// What is neither a file nor a folder.
pub(super) fn kind(kind: FileType) -> &'static str {
    match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() => "a character device",
        () if kind.is_block_device() => "a block device",
        () => "of an unknown type",
    }
}

/// The identity of an open file, of which the system said `facts`.
pub(super) fn identity(_file: &File, facts: &Metadata) -> io::Result<Identity> {
    Ok(identity_of(facts))
}

/// The identity of what a path leads to.
pub(super) fn identity_at(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|facts| identity_of(&facts))
}

fn identity_of(facts: &Metadata) -> Identity {
    let ns = |seconds: i64, ns: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns);
    Identity {
        dev: facts.dev(),
        inode: facts.ino(),
        size: facts.size(),
        mtime_ns: ns(facts.mtime(), facts.mtime_nsec()),
        ctime_ns: ns(facts.ctime(), facts.ctime_nsec()),
    }
}

/// One read at a place of a file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}
