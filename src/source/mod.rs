//! A file as bytes. In: a path. Out: the file's bytes (views of a map, or reads), its [`Identity`], and
//! on request the verdict whether it still is what was opened. Never: a signal that kills the process
//! when the file shrinks under its map, a byte from an unopened file, a write.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::{Error, Kind, Operation, Result};
use crate::system::NO_MEMORY;

mod descriptors;
mod identity;
mod memory;
mod origin;
mod resident;
mod scarce;
mod spool;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
mod view;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use descriptors::Descriptors;
pub use identity::{Change, Identity};
pub use memory::{Buffer, Memory, NoMemory};
pub use origin::ByteSource;
pub use resident::touched;
pub use scarce::patiently;
pub use spool::Spool;
#[cfg(windows)]
pub use system::{described, make_folder, our_sid};
pub use system::{
    prepare_process, processor_time, try_lock_byte, try_lock_file, unlock_byte, unlock_file,
};

use origin::{OpenFile, Origin};
use system::Map;
use view::view;

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

/// An open regular file, a part of one, or contents of the caller's, remembered as they were when they
/// were opened. Cloning is one `Arc`.
#[derive(Debug, Clone)]
pub struct Source(Arc<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    origin: Origin,
    /// Of the whole file, where this is a part of one.
    identity: Identity,
    /// What could be read, where that is not the size that the system gives (sysfs, FUSE).
    length: OnceLock<u64>,
    settings: Settings,
    /// Filled when bytes are first asked for: most files of a big tree are never mapped, and a
    /// map costs 10 to 40 µs. `None` inside means: read instead.
    map: OnceLock<Option<Mapped>>,
}

/// How a file stands to what was opened.
#[derive(Debug)]
pub enum Standing {
    /// Nothing that the system says of it has moved.
    Same,
    /// The same file, but a part of its map could not be read.
    Unreadable(Error),
    /// As long as before, but its times or its number moved: perhaps no byte did. The error is for
    /// the case that one did.
    InDoubt(Look, Error),
    /// Another one for certain.
    Changed(Error),
}

/// What the system says of a file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    open: Identity,
    named: Option<Identity>,
}

#[derive(Debug)]
struct Mapped {
    /// `None` where the caller has it in memory.
    map: Option<Arc<Map>>,
    /// The whole map as one `Bytes`, so that a slice of it is a reference count, not a new box.
    whole: Bytes,
}

/// Reads the regular file at `path` whole into `buffer`, where it has fewer than `limit` bytes: for MD5s of
/// small files, which cost little more than the system's calls, and these are the fewest. `false` where
/// anything is otherwise; [`Source::open`] tells what.
pub fn read_small(path: &Path, limit: u64, buffer: &mut Vec<u8>) -> bool {
    let Ok(mut file) = system::open(path) else {
        return false;
    };
    // What is no file has no end to go to, and what the system makes up while it is read has no size.
    let size = match file.seek(SeekFrom::End(0)) {
        Ok(size) if (1..limit).contains(&size) => usize::try_from(size),
        _ => return false,
    };
    let Ok(size) = size else { return false };
    // One byte more than expected tells growth in the same call.
    let more = (size + 1).saturating_sub(buffer.len());
    if buffer.try_reserve(more).is_err() {
        return false;
    }
    if more > 0 {
        buffer.resize(size + 1, 0);
    }
    let found = system::read_at(&file, buffer, 0);
    buffer.truncate(size);
    found.is_ok_and(|found| found == size)
}

impl Source {
    /// Opens the regular file at `path` and takes its identity; reads and maps nothing yet.
    ///
    /// # Errors
    /// `Source`: missing, unreadable, or not a regular file (the message says what it is). An error
    /// that [is scarce](Error::is_scarcity) may be gone once another file is closed: [`patiently`].
    pub fn open(path: &Path, settings: &Settings) -> Result<Source> {
        Source::open_below(None, path, settings)
    }

    /// The same for a file that was found in the folder `root`: no symbolic link below it is
    /// followed, whatever became of the names since. `root` itself may be one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `Source` where there is such a link.
    pub fn open_below(root: Option<&Path>, path: &Path, settings: &Settings) -> Result<Source> {
        Source::open_part(root, path, None, settings)
    }

    /// The same for the bytes of `part` alone, as if they were a file; `None` is the whole.
    ///
    /// # Errors
    /// As [`open_below`](Self::open_below), and `Source` where the file does not have those bytes.
    pub fn open_part(
        root: Option<&Path>,
        path: &Path,
        part: Option<Range<u64>>,
        settings: &Settings,
    ) -> Result<Source> {
        let root = root.filter(|root| *root != path);
        let refused = |error| refused(root, path, error);
        // Looked at before it is opened: opening a fifo would wait for its writer, opening some
        // devices does something. O_NONBLOCK covers an exchange between the two calls.
        let found = match root {
            Some(root) => system::look_below(root, path),
            None => system::look(path),
        };
        must_be_regular(path, &found.map_err(refused)?)?;
        let opened = match root {
            Some(root) => system::open_below(root, path),
            None => system::open(path),
        };
        Source::opened((root, path, part), opened.map_err(refused)?, settings)
    }

    /// The same for a path at which a regular file was seen a moment ago: it is not looked at again
    /// before it is opened, which costs a small file a tenth of its time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_seen(path: &Path, settings: &Settings) -> Result<Source> {
        let opened = system::open(path).map_err(|error| refused(None, path, error));
        Source::opened((None, path, None), opened?, settings)
    }

    fn opened(
        (root, path, part): (Option<&Path>, &Path, Option<Range<u64>>),
        file: File,
        settings: &Settings,
    ) -> Result<Source> {
        let facts = file.metadata();
        let facts = facts.map_err(|error| refused(root, path, error))?;
        must_be_regular(path, &facts)?;
        if let Some(part) = &part {
            must_have(path, part, facts.len())?;
        }
        let identity = system::identity(&file, &facts);
        let identity = identity.map_err(|error| refused(root, path, error))?;
        let origin = Origin::File(OpenFile {
            file,
            root: root.map(Path::to_owned),
            part,
            _counted: scarce::CountedFile::new(),
        });
        Ok(Source::new(path, origin, identity, settings))
    }

    /// Contents of the caller's own, under the name `path`.
    ///
    /// # Errors
    /// `Source`: they cannot say of which version they are.
    pub fn of_caller(
        path: &Path,
        contents: Arc<dyn ByteSource>,
        settings: &Settings,
    ) -> Result<Source> {
        let identity = origin::of_caller(&*contents).map_err(|error| Error::read(path, error))?;
        let origin = Origin::Caller(contents);
        Ok(Source::new(path, origin, identity, settings))
    }

    fn new(path: &Path, origin: Origin, identity: Identity, settings: &Settings) -> Source {
        Source(Arc::new(Open {
            path: path.to_owned(),
            origin,
            identity,
            length: OnceLock::new(),
            settings: *settings,
            map: OnceLock::new(),
        }))
    }

    /// The length in bytes when it was opened: as the system gives it, or, once it was
    /// [read whole](Self::read_into), what there was.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.0.origin.part() {
            Some(part) => part.end - part.start,
            None => *self.0.length.get().unwrap_or(&self.0.identity.size),
        }
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

    /// Which file this was, and in which state, when it was opened; of a part, with its length.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.of(self.0.identity)
    }

    /// The same as it was found to be at a later look.
    #[must_use]
    pub fn identity_at(&self, look: &Look) -> Identity {
        self.of(look.named.unwrap_or(look.open))
    }

    fn of(&self, whole: Identity) -> Identity {
        match self.0.origin.part() {
            Some(_) => Identity {
                size: self.len(),
                ..whole
            },
            None => whole,
        }
    }

    /// Whether the same identity means the same bytes in a later process as well: it is a file.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.0.origin.file().is_some()
    }

    /// The whole file as mapped memory, or `None` where it is read instead (small, refused by
    /// the settings, cannot be mapped). Touching it can block on the disk. What was read counts
    /// only if [`is_spoiled`](Self::is_spoiled) is still `false` afterwards.
    #[must_use]
    pub fn mapped(&self) -> Option<&[u8]> {
        self.map().map(|mapped| &mapped.whole[..])
    }

    /// The bytes of `range`: a view of the map that keeps it alive, or a buffer of `memory` filled
    /// by positioned reads. Waits for that buffer; see [`Memory::take`]. A view is not yet read:
    /// see [`mapped`](Self::mapped).
    ///
    /// # Errors
    /// `Source`: the range is outside the file, a read failed, the file is shorter by now, or there
    /// is no memory.
    pub fn bytes(&self, range: Range<u64>, memory: &Memory) -> Result<Bytes> {
        let (start, end) = self.within(&range)?;
        if let Some(view) = self.view(start..end)? {
            return Ok(view);
        }
        let buffer = memory.take(end - start);
        self.filled(
            buffer.map_err(|NoMemory| self.no_memory(end - start))?,
            start,
        )
    }

    /// The same without waiting for memory; `None` where there is no room now.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn try_bytes(&self, range: Range<u64>, memory: &Memory) -> Result<Option<Bytes>> {
        let (start, end) = self.within(&range)?;
        if let Some(view) = self.view(start..end)? {
            return Ok(Some(view));
        }
        let buffer = memory.try_take(end - start);
        buffer.map(|buffer| self.filled(buffer, start)).transpose()
    }

    /// Reads from `offset` until `buffer` is full or the file ends; how much was found.
    ///
    /// # Errors
    /// `Source`: a read failed.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut found = 0;
        while found < buffer.len() {
            match self.read_once(&mut buffer[found..], offset + found as u64)? {
                0 => break,
                more => found += more,
            }
        }
        Ok(found)
    }

    /// What one call reads, which is nothing at the end only.
    fn read_once(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let read = self.0.origin.read(buffer, offset);
        read.map_err(|error| Error::read(&self.0.path, error))
    }

    /// Reads the whole file into `buffer`, which is meant to be reused from file to file. Where the
    /// size that the system gives is not what can be read, and the file was not changed meanwhile,
    /// what was read is its [length](Self::len) from now on.
    ///
    /// # Errors
    /// `Source`: a read failed, the file changed, or it does not fit into memory.
    pub fn read_into(&self, buffer: &mut Vec<u8>) -> Result<()> {
        let (_, len) = self.within(&(0..self.len()))?;
        // One byte more than expected tells growth in the same call, and that there was none where
        // just what was expected came: no second call has to find the end. Not cleared first:
        // only what the buffer grows by is zeroed.
        self.resize(buffer, len + 1)?;
        let mut found = self.read_once(buffer, 0)?;
        if found != len || found == 0 {
            found += self.read_at(&mut buffer[found..], found as u64)?;
        }
        if found != len {
            while found == buffer.len() && found < LONGEST_UNKNOWN {
                self.resize(buffer, 2 * found)?;
                found += self.read_at(&mut buffer[found..], found as u64)?;
            }
            if found == buffer.len() {
                self.check(Operation::Read)?;
                let message = format!("its size is given as {len}, but it goes on and on");
                return Err(self.failed(Operation::Read, message));
            }
            self.settle(found as u64)?;
        }
        buffer.truncate(found);
        Ok(())
    }

    /// Takes `found` for the file's length, unless that has another reason.
    ///
    /// # Errors
    /// `Source`: the file changed, or other reads found another length.
    pub fn settle(&self, found: u64) -> Result<()> {
        self.check(Operation::Read)?;
        let given = || *self.0.length.get_or_init(|| found);
        // A part has as many as it was cut out with, whatever the file has.
        let length = self.0.origin.part().map_or_else(given, |_| self.len());
        match length == found {
            true => Ok(()),
            false => Err(self.short(found)),
        }
    }

    /// Whether a page of the map could not be read and zeros stand in its place. `write(2)` of
    /// such a page answers `EFAULT` and sets no mark: after an I/O error ask [`check`](Self::check).
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        let map = self.0.map.get().and_then(Option::as_ref);
        map.and_then(|mapped| mapped.map.as_ref())
            .is_some_and(|map| map.is_spoiled())
    }

    /// Whether everything read so far belongs to the file that was opened: not truncated, grown,
    /// edited or replaced since. A file deleted meanwhile, but unchanged, passes.
    ///
    /// # Errors
    /// `Source`, with `operation`, saying exactly what changed.
    pub fn check(&self, operation: Operation) -> Result<()> {
        match self.standing(operation)? {
            Standing::Same => Ok(()),
            Standing::Unreadable(error)
            | Standing::InDoubt(_, error)
            | Standing::Changed(error) => Err(error),
        }
    }

    /// The same, told apart: what the system says of a file moves with its attributes as well, and
    /// then only its bytes can tell whether it is another one.
    ///
    /// # Errors
    /// `Source`: the file cannot be looked at.
    pub fn standing(&self, operation: Operation) -> Result<Standing> {
        let look = self.look()?;
        let spoiled = self.is_spoiled();
        let Some(change) = self.0.identity.change(&look.open, look.named.as_ref()) else {
            return Ok(match spoiled {
                true => Standing::Unreadable(self.because(operation, &Change::Unreadable)),
                false => Standing::Same,
            });
        };
        let error = self.because(operation, &change);
        // What is gone cannot be read anew, and what was read through such a map is nothing.
        let certain = change.is_certain() || look.named.is_none() || spoiled;
        Ok(match certain {
            true => Standing::Changed(error),
            false => Standing::InDoubt(look, error),
        })
    }

    fn look(&self) -> Result<Look> {
        let looked = self.0.origin.look(&self.0.path);
        looked.map_err(|error| Error::read(&self.0.path, error).context("cannot be checked"))
    }

    /// What the path leads to now, opened anew.
    ///
    /// # Errors
    /// As [`open_below`](Self::open_below).
    pub fn reopen(&self) -> Result<Source> {
        let Open {
            path,
            origin,
            settings,
            ..
        } = &*self.0;
        match origin {
            Origin::Caller(contents) => Source::of_caller(path, Arc::clone(contents), settings),
            Origin::File(OpenFile { root, part, .. }) => {
                Source::open_part(root.as_deref(), path, part.clone(), settings)
            }
        }
    }

    /// Tells the kernel that the map will be read from front to back: larger read-ahead.
    pub fn advise_sequential(&self) {
        if let Some(map) = self.map().and_then(|mapped| mapped.map.as_ref()) {
            map.advise_sequential();
        }
    }

    fn map(&self) -> Option<&Mapped> {
        let Settings { map_from, maps } = self.0.settings;
        if self.is_empty() || self.len() < map_from {
            return None;
        }
        let mapped = self.0.map.get_or_init(|| match &self.0.origin {
            Origin::File(open) if maps => {
                let map = Arc::new(Map::new(&open.file, open.start(), self.len())?);
                resident::enter(&map);
                let whole = view(&map);
                let map = Some(map);
                Some(Mapped { map, whole })
            }
            Origin::File(_) => None,
            Origin::Caller(contents) => {
                // One that panics is asked for ranges, and fails there, alone.
                let memory = catch_unwind(AssertUnwindSafe(|| contents.memory()));
                let whole = memory.ok().flatten()?;
                (whole.len() as u64 == self.len()).then_some(Mapped { map: None, whole })
            }
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

    /// The bytes without a buffer of ours, where that is possible.
    fn view(&self, range: Range<usize>) -> Result<Option<Bytes>> {
        if self.is_spoiled() {
            self.check(Operation::Read)?;
        }
        if let Some(mapped) = self.map() {
            return Ok(Some(mapped.whole.slice(range)));
        }
        self.lent(range.start as u64..range.end as u64)
    }

    /// The bytes of `range` where they are a caller's, who lends them: without a copy. `None` of a file, and of
    /// a caller who [fills](ByteSource::fills) buffers.
    ///
    /// # Errors
    /// `Source`: they cannot be read.
    pub fn lent(&self, range: Range<u64>) -> Result<Option<Bytes>> {
        let Origin::Caller(contents) = &self.0.origin else {
            return Ok(None);
        };
        let lent = origin::lent(&**contents, range);
        lent.map_err(|error| Error::read(&self.0.path, error))
    }

    fn filled(&self, mut buffer: Buffer, start: usize) -> Result<Bytes> {
        let (start, wanted) = (start as u64, buffer.as_ref().len());
        match self.read_at(buffer.as_mut(), start)? {
            full if full == wanted => Ok(Bytes::from_owner(buffer)),
            found => Err(self.short(start + found as u64)),
        }
    }

    fn resize(&self, buffer: &mut Vec<u8>, len: usize) -> Result<()> {
        let more = len.saturating_sub(buffer.len());
        buffer.try_reserve_exact(more).map_err(|_| {
            let error = io::Error::from_raw_os_error(NO_MEMORY);
            Error::read(&self.0.path, error)
        })?;
        buffer.resize(len, 0);
        Ok(())
    }

    fn no_memory(&self, len: usize) -> Error {
        let message = format!("there is no memory for {len} bytes of it");
        self.failed(Operation::Read, message)
            .advice("raise the limit of memory (ulimit -v, the container's)")
    }

    /// The file ended after `found` bytes. Either it changed, or it never had as many as it says.
    fn short(&self, found: u64) -> Error {
        let given = self.len();
        let message = format!("its size is given as {given}, but {found} bytes can be read");
        self.check(Operation::Read)
            .err()
            .unwrap_or_else(|| self.failed(Operation::Read, message))
    }

    fn because(&self, operation: Operation, change: &Change) -> Error {
        self.failed(operation, format!("changed while it was used: {change}"))
    }

    fn failed(&self, operation: Operation, message: String) -> Error {
        Error::new(Kind::Source, operation, message).with_path(&self.0.path)
    }
}

/// What the system says of the file or folder that `path` leads to.
///
/// # Errors
/// Nothing is there, or it cannot be looked at.
pub fn facts(path: &Path) -> io::Result<Metadata> {
    system::look(path)
}

/// The identity of what `path` leads to now.
///
/// # Errors
/// Nothing is there, or it cannot be looked at.
pub fn identity_at(path: &Path) -> io::Result<Identity> {
    system::identity_at(path)
}

fn refused(root: Option<&Path>, path: &Path, error: io::Error) -> Error {
    if root.is_some() && system::is_link(&error) {
        let message = "it or a folder above it is a symbolic link now, which is not followed";
        return Error::new(Kind::Source, Operation::Read, message).with_path(path);
    }
    Error::read(path, error)
}

fn must_be_regular(path: &Path, found: &Metadata) -> Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () => system::kind(kind),
    };
    let message = format!("is {what}, not a regular file");
    let error = Error::new(Kind::Source, Operation::Read, message).with_path(path);
    Err(error.for_good())
}

fn must_have(path: &Path, part: &Range<u64>, len: u64) -> Result<()> {
    if part.start < part.end && part.end <= len {
        return Ok(());
    }
    let message = format!(
        "bytes {} to {} of it are to be sent, and it has {len}",
        part.start, part.end
    );
    let error = Error::new(Kind::Source, Operation::Read, message).with_path(path);
    Err(error.for_good())
}

/// The name leads nowhere any more: itself deleted, or a folder above it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Below, a map costs more than it saves: 10 µs, 30 to 40 with two threads in one address space,
/// against one read into a buffer that is already warm.
const MAP_FROM: u64 = 4 << 20;

/// What is longer than it says is read whole up to here; such files are a few lines of a kernel's.
const LONGEST_UNKNOWN: usize = 64 << 20;

#[cfg(test)]
#[cfg(unix)]
mod tests;
