//! Where the bytes of a source come from. In: an open file, or a caller's own contents. Out: what they
//! say of themselves, and reads of them. Never: a decision what a change means.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::identity::Identity;
use super::scarce::CountedFile;
use super::{Look, is_gone, system};

/// Contents of a caller's own: not a file that panup opens, but whatever can give a range of its bytes.
/// [`Bytes`] is one.
///
/// They are read twice, since the service wants the MD5 first: from the front when they are hashed, and
/// slice by slice, several at once, when they are sent. The methods are called on threads that may
/// block.
///
/// ```
/// use std::io;
/// use std::ops::Range;
///
/// use bytes::Bytes;
/// use panup::ByteSource;
///
/// /// A gigabyte of zeros.
/// struct Zeros;
///
/// impl ByteSource for Zeros {
///     fn length(&self) -> u64 {
///         1 << 30
///     }
///
///     fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
///         Ok(Bytes::from(vec![0; (range.end - range.start) as usize]))
///     }
/// }
/// ```
pub trait ByteSource: Send + Sync {
    /// How many bytes there are. It does not change.
    fn length(&self) -> u64;

    /// The bytes of `range`, which lies within the length: all of them.
    ///
    /// # Errors
    /// They cannot be read: the item fails as [`Kind::Source`](crate::Kind::Source) with this error.
    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes>;

    /// A number that is another one whenever the bytes may have changed. It is asked for before the
    /// file is hashed, before it is sent and before it is completed; where it moved, the contents are
    /// hashed again, and only the same MD5 goes on. The default says that they never change.
    ///
    /// # Errors
    /// That cannot be told: the item fails with this error.
    fn version(&self) -> io::Result<u64> {
        Ok(0)
    }

    /// All of it, where it lies in memory anyway: it is then hashed and sent from there, and
    /// [`bytes`](Self::bytes) is not asked. The default says that it does not.
    fn memory(&self) -> Option<Bytes> {
        None
    }

    /// Whether [`fill`](Self::fill) is asked instead of [`bytes`](Self::bytes): where the bytes have to be
    /// copied anyway, as from a file or out of a decompressor, buffers of panup's save making one for
    /// each range. They are used again, and all of a client's take 64 MiB together. The default says no.
    fn fills(&self) -> bool {
        false
    }

    /// Fills `buffer` with the bytes from `start` on, all of which lie within the length. The default
    /// copies them from [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// As for [`bytes`](Self::bytes).
    fn fill(&self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = buffer.len() as u64;
        let bytes = self.bytes(start..start + wanted)?;
        all_of(&bytes, start, wanted)?;
        buffer.copy_from_slice(&bytes);
        Ok(())
    }
}

/// So that the caller keeps a hold of it.
impl<S: ByteSource + ?Sized> ByteSource for Arc<S> {
    fn length(&self) -> u64 {
        (**self).length()
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        (**self).bytes(range)
    }

    fn version(&self) -> io::Result<u64> {
        (**self).version()
    }

    fn memory(&self) -> Option<Bytes> {
        (**self).memory()
    }

    fn fills(&self) -> bool {
        (**self).fills()
    }

    fn fill(&self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).fill(start, buffer)
    }
}

impl ByteSource for Bytes {
    fn memory(&self) -> Option<Bytes> {
        Some(self.clone())
    }

    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let ends = (usize::try_from(range.start), usize::try_from(range.end));
        match ends {
            (Ok(start), Ok(end)) if start <= end && end <= self.len() => Ok(self.slice(start..end)),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Where bytes come from.
pub(super) enum Origin {
    /// A file, or a part of one.
    File(OpenFile),
    /// The caller.
    Caller(Arc<dyn ByteSource>),
}

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    /// The folder below which no link was followed.
    pub(super) root: Option<PathBuf>,
    /// The part of it that is meant, where it is not the whole.
    pub(super) part: Option<Range<u64>>,
    // Declared, and so dropped, after the file: a waiter that is woken finds the descriptor free.
    pub(super) _counted: CountedFile,
}

impl OpenFile {
    /// Where the source's bytes begin in the file.
    pub(super) fn start(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.start)
    }
}

impl Origin {
    /// The file, where it is one.
    pub(super) fn file(&self) -> Option<&OpenFile> {
        match self {
            Origin::File(file) => Some(file),
            Origin::Caller(_) => None,
        }
    }

    /// The part of a file that is meant, where it is not the whole.
    pub(super) fn part(&self) -> Option<&Range<u64>> {
        self.file()?.part.as_ref()
    }

    /// What is said of them now, also by the name `path`.
    pub(super) fn look(&self, path: &Path) -> io::Result<Look> {
        let file = match self {
            Origin::File(file) => &file.file,
            Origin::Caller(source) => {
                let open = of_caller(&**source)?;
                return Ok(Look {
                    open,
                    named: Some(open),
                });
            }
        };
        let open = system::identity(file, &file.metadata()?)?;
        // Only compared: what is read comes from the descriptor, wherever the name leads by now.
        let named = match system::identity_at(path) {
            Ok(found) => Some(found),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Look { open, named })
    }

    /// What one read from `offset` on gives, which is nothing at the end only.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let open = match self {
            Origin::File(open) => open,
            Origin::Caller(source) => {
                let left = guarded(|| Ok(source.length()))?.saturating_sub(offset);
                let wanted = buffer
                    .len()
                    .min(usize::try_from(left).unwrap_or(usize::MAX));
                guarded(|| source.fill(offset, &mut buffer[..wanted]))?;
                return Ok(wanted);
            }
        };
        let (start, room) = match &open.part {
            Some(part) => {
                let left = (part.end - part.start).saturating_sub(offset);
                (part.start, usize::try_from(left).unwrap_or(usize::MAX))
            }
            None => (0, usize::MAX),
        };
        let wanted = buffer.len().min(room);
        loop {
            match system::read_at(&open.file, &mut buffer[..wanted], start + offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

/// The bytes of a caller, as many as were asked for; `None` where it fills buffers of ours instead.
pub(super) fn lent(source: &dyn ByteSource, range: Range<u64>) -> io::Result<Option<Bytes>> {
    guarded(|| {
        if source.fills() {
            return Ok(None);
        }
        let bytes = source.bytes(range.clone())?;
        all_of(&bytes, range.start, range.end - range.start)?;
        Ok(Some(bytes))
    })
}

fn all_of(bytes: &Bytes, start: u64, wanted: u64) -> io::Result<()> {
    if bytes.len() as u64 == wanted {
        return Ok(());
    }
    let given = bytes.len();
    let message = format!("the source gave {given} bytes for the {wanted} from {start} on");
    Err(io::Error::other(message))
}

/// What a caller's contents say of themselves, in the words of a file.
pub(super) fn of_caller(source: &dyn ByteSource) -> io::Result<Identity> {
    Ok(Identity {
        dev: 0,
        inode: 0,
        size: guarded(|| Ok(source.length()))?,
        mtime_ns: guarded(|| source.version())?.cast_signed(),
        ctime_ns: 0,
    })
}

/// A caller's panic is an error of its item: others share the thread.
fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let called = catch_unwind(AssertUnwindSafe(call));
    called.unwrap_or_else(|_| Err(io::Error::other("the source panicked")))
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(file) => file.fmt(f),
            Origin::Caller(source) => write!(f, "{} bytes of the caller", source.length()),
        }
    }
}
