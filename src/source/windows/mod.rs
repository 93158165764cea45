//! Files of Windows. In: paths and open files. Out: what [`Source`](super::Source) needs of them that other
//! systems have otherwise.
//!
//! Files are opened so that others can go on reading, writing, renaming and deleting them; one that
//! another program has opened without sharing it is that error of the system. They are read and not
//! mapped: a map would keep others from truncating and replacing the file, and one of a network drive
//! that goes away ends the process, where a read is an error.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::identity::Identity;

mod below;
#[allow(unsafe_code)]
mod byte_lock;
mod exact;
#[allow(unsafe_code)]
mod facts;
mod map;
#[allow(unsafe_code)]
mod process;
#[allow(unsafe_code)]
mod security;

pub use byte_lock::{try_lock_byte, try_lock_file, unlock_byte, unlock_file};
pub use process::{prepare_process, processor_time};
pub use security::{described, make_folder, our_sid};

pub(super) use below::{is_link, look_below, open_below};
pub(super) use facts::identity;
pub(super) use map::Map;
pub(super) use process::descriptors;

/// Opens a file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(exact::exact(path)?)
}

/// What is there.
pub(super) fn look(path: &Path) -> io::Result<Metadata> {
    std::fs::metadata(exact::exact(path)?)
}

/// What is neither a file nor a folder.
pub(super) fn kind(kind: FileType) -> &'static str {
    match kind.is_symlink() {
        true => "a link",
        false => "of an unknown type",
    }
}

/// The identity of what a path leads to; it may be open elsewhere without being shared.
pub(super) fn identity_at(path: &Path) -> io::Result<Identity> {
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_ATTRIBUTES,
    };
    let mut options = OpenOptions::new();
    options.access_mode(FILE_READ_ATTRIBUTES);
    // Without it no folder is opened, and what became one is to be seen.
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    let file = options.open(exact::exact(path)?)?;
    let facts: Metadata = file.metadata()?;
    identity(&file, &facts)
}

/// One read at a place of a file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

#[cfg(test)]
mod tests;
