//! In: a path. Out: the file's bytes (views of a map, or reads), its [`Identity`], and on request
//! the verdict whether it still is what was opened. Never: a signal that kills the process when
//! the file shrinks under its map, a byte from an unopened file, a write.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::{Error, Kind, Operation, Result};

#[allow(unsafe_code)]
mod byte_lock;
#[allow(unsafe_code)]
mod guard;
mod identity;
#[allow(unsafe_code)]
mod map;

pub use byte_lock::{try_lock_byte, unlock_byte};
pub use identity::{Change, Identity};

use map::{Map, View};

/// When a file is mapped and when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Files of at least this many bytes are mapped, smaller ones read. Default 4 MiB.
    pub map_from: u64,
    /// Whether files may be mapped at all; `false` reads everything. Default `true`.
    pub maps: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            map_from: MAP_FROM,
            maps: true,
        }
    }
}

/// An open regular file, remembered as it was when it was opened. Cloning is one `Arc`.
#[derive(Debug, Clone)]
pub struct Source(Arc<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    identity: Identity,
    settings: Settings,
    /// Filled when bytes are first asked for: most files of a big tree are never mapped, and a
    /// map costs 10 to 40 µs. `None` inside means: read instead.
    map: OnceLock<Option<Mapped>>,
}

#[derive(Debug)]
struct Mapped {
    map: Arc<Map>,
    /// The whole map as one `Bytes`, so that a slice of it is a reference count, not a new box.
    whole: Bytes,
}

impl Source {
    /// Opens the regular file at `path` and takes its identity; reads and maps nothing yet.
    ///
    /// # Errors
    /// `Source`: missing, unreadable, or not a regular file (the message says what it is).
    pub fn open(path: &Path, settings: &Settings) -> Result<Source> {
        // Looked at before it is opened: opening a fifo would wait for its writer, opening some
        // devices does something. O_NONBLOCK covers an exchange between the two calls.
        let found = fs::metadata(path).map_err(|error| Error::read(path, error))?;
        must_be_regular(path, &found)?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(|error| Error::read(path, error))?;
        let opened = file.metadata().map_err(|error| Error::read(path, error))?;
        must_be_regular(path, &opened)?;
        Ok(Source(Arc::new(Open {
            path: path.to_owned(),
            file,
            identity: Identity::of(&opened),
            settings: *settings,
            map: OnceLock::new(),
        })))
    }

    /// The file's length in bytes when it was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.identity.size
    }

    /// Whether the file was empty when it was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path that the file was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Which file this was, and in which state, when it was opened.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The whole file as mapped memory, or `None` where it is read instead (small, refused by
    /// the settings, cannot be mapped). Touching it can block on the disk. What was read counts
    /// only if [`is_spoiled`](Self::is_spoiled) is still `false` afterwards.
    #[must_use]
    pub fn mapped(&self) -> Option<&[u8]> {
        self.map().map(|mapped| mapped.map.memory())
    }

    /// The bytes of `range`: a view of the map that keeps it alive, or a fresh buffer filled
    /// by positioned reads. A view is not yet read: see [`mapped`](Self::mapped).
    ///
    /// # Errors
    /// `Source`: the range is outside the file, a read failed, or the file is shorter by now.
    pub fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        let (start, end) = self.within(&range)?;
        if self.is_spoiled() {
            self.check(Operation::Read)?;
        }
        if let Some(mapped) = self.map() {
            return Ok(mapped.whole.slice(start..end));
        }
        let mut buffer = vec![0; end - start];
        match self.fill(&mut buffer, range.start)? {
            full if full == buffer.len() => Ok(buffer.into()),
            short => Err(self.shrunk(range.start + short as u64)),
        }
    }

    /// Reads the whole file into `buffer`, which is meant to be reused from file to file.
    ///
    /// # Errors
    /// `Source`: a read failed, or the file is shorter or longer than when it was opened.
    pub fn read_into(&self, buffer: &mut Vec<u8>) -> Result<()> {
        let (_, len) = self.within(&(0..self.len()))?;
        // One byte more than expected tells growth in the same call. Not cleared first:
        // only what the buffer grows by is zeroed.
        buffer.resize(len + 1, 0);
        let found = self.fill(buffer, 0)?;
        buffer.truncate(found.min(len));
        match found {
            found if found > len => Err(self.changed(Operation::Read)),
            found if found < len => Err(self.shrunk(found as u64)),
            _ => Ok(()),
        }
    }

    /// Whether a page of the map could not be read and zeros stand in its place. `write(2)` of
    /// such a page answers `EFAULT` and sets no mark: after an I/O error ask [`check`](Self::check).
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        matches!(self.0.map.get(), Some(Some(mapped)) if mapped.map.is_spoiled())
    }

    /// Whether everything read so far belongs to the file that was opened: not truncated, grown,
    /// edited or replaced since. A file deleted meanwhile, but unchanged, passes.
    ///
    /// # Errors
    /// `Source`, with `operation`, saying exactly what changed.
    pub fn check(&self, operation: Operation) -> Result<()> {
        let read = |error| Error::read(&self.0.path, error).context("cannot be checked");
        let now = Identity::of(&self.0.file.metadata().map_err(read)?);
        let named = match fs::metadata(&self.0.path) {
            Ok(found) => Some(Identity::of(&found)),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(read(error)),
        };
        if let Some(change) = self.0.identity.change(&now, named.as_ref()) {
            return Err(self.because(operation, &change));
        }
        match self.is_spoiled() {
            true => Err(self.because(operation, &Change::Unreadable)),
            false => Ok(()),
        }
    }

    /// Tells the kernel that the map will be read from front to back: larger read-ahead.
    pub fn advise_sequential(&self) {
        if let Some(mapped) = self.map() {
            mapped.map.advise_sequential();
        }
    }

    /// Gives the whole pages inside `range` back to the kernel; a later touch reads them again.
    /// For ranges that are acknowledged. Does nothing to a file that is read.
    pub fn release(&self, range: Range<u64>) {
        let Ok((start, end)) = self.within(&range) else {
            return;
        };
        if let Some(Some(mapped)) = self.0.map.get() {
            mapped.map.release(start..end);
        }
    }

    fn map(&self) -> Option<&Mapped> {
        let Settings { map_from, maps } = self.0.settings;
        if !maps || self.is_empty() || self.len() < map_from {
            return None;
        }
        let mapped = self.0.map.get_or_init(|| {
            let map = Arc::new(Map::new(&self.0.file, self.len())?);
            let whole = Bytes::from_owner(View::of(&map));
            Some(Mapped { map, whole })
        });
        mapped.as_ref()
    }

    fn within(&self, range: &Range<u64>) -> Result<(usize, usize)> {
        let ends = (usize::try_from(range.start), usize::try_from(range.end));
        match ends {
            (Ok(start), Ok(end)) if start <= end && range.end <= self.len() => Ok((start, end)),
            _ => Err(self.failed(
                Operation::Read,
                format!(
                    "bytes {} to {} are not in its {}",
                    range.start,
                    range.end,
                    self.len()
                ),
            )),
        }
    }

    /// Reads from `offset` until `buffer` is full or the file ends; how much was found.
    fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut found = 0;
        while found < buffer.len() {
            match self
                .0
                .file
                .read_at(&mut buffer[found..], offset + found as u64)
            {
                Ok(0) => break,
                Ok(more) => found += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::read(&self.0.path, error)),
            }
        }
        Ok(found)
    }

    fn shrunk(&self, to: u64) -> Error {
        self.because(
            Operation::Read,
            &Change::Truncated {
                from: self.len(),
                to,
            },
        )
    }

    /// The change that a read has met; looked up, because a read only knows that there is one.
    fn changed(&self, operation: Operation) -> Error {
        let grown = Change::Grown {
            from: self.len(),
            to: self.len() + 1,
        };
        self.check(operation)
            .err()
            .unwrap_or_else(|| self.because(operation, &grown))
    }

    fn because(&self, operation: Operation, change: &Change) -> Error {
        self.failed(operation, format!("changed while it was used: {change}"))
    }

    fn failed(&self, operation: Operation, message: String) -> Error {
        Error::new(Kind::Source, operation, message).path(&self.0.path)
    }
}

fn must_be_regular(path: &Path, found: &Metadata) -> Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() => "a character device",
        () if kind.is_block_device() => "a block device",
        () => "of an unknown type",
    };
    let message = format!("is {what}, not a regular file");
    Err(Error::new(Kind::Source, Operation::Read, message).path(path))
}

/// The name leads nowhere any more: itself deleted, or a folder above it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl Identity {
    fn of(found: &Metadata) -> Identity {
        let ns = |seconds: i64, ns: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns);
        Identity {
            dev: found.dev(),
            inode: found.ino(),
            size: found.size(),
            mtime_ns: ns(found.mtime(), found.mtime_nsec()),
            ctime_ns: ns(found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Below, a map costs more than it saves: 10 µs, 30 to 40 with two threads in one address space,
/// against one read into a buffer that is already warm.
const MAP_FROM: u64 = 4 << 20;

#[cfg(test)]
mod tests;
