//! A stream of unknown length as contents. In: its bytes, as they come. Out: the same from a temporary
//! file, as often as they are asked for. Never: a file that outlives the process, whatever ends it.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;

use super::origin::ByteSource;
use super::system;

/// What a stream gave, in a temporary file: the service wants length and MD5 before the content, and a
/// stream can tell neither.
///
/// It is written to as any [`Write`], and then handed in as an [`Item`](crate::Item). The file has no name
/// that anybody could open and is gone with the spool, or with the process, however that ends.
///
/// ```
/// use std::io;
/// use panup::{Item, Spool};
///
/// let mut stream = io::Cursor::new("a pipe, a socket, an archive that is being made");
/// let mut spool = Spool::new(std::env::temp_dir())?;
/// io::copy(&mut stream, &mut spool)?;
/// let item = Item::source("notes.txt", spool);
/// # assert_eq!(item.remote, "notes.txt");
/// # Ok::<(), io::Error>(())
/// ```
pub struct Spool {
    file: File,
    length: u64,
    folder: PathBuf,
}

impl Spool {
    /// An empty one in `folder`, which needs room for all of the stream. What is only in memory, as `/tmp`
    /// is on some systems, is no place for a large one.
    ///
    /// # Errors
    /// No file can be made there; the message names the folder.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Spool> {
        let folder = folder.into();
        let file = tempfile::tempfile_in(&folder).map_err(|error| {
            let message = format!("no temporary file in {}: {error}", folder.display());
            io::Error::new(error.kind(), message)
        })?;
        Ok(Spool {
            file,
            length: 0,
            folder,
        })
    }

    /// The bytes so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        let why = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "there is no more room",
            _ => "it cannot be written",
        };
        let message = format!(
            "the temporary file in {}, after {} bytes: {why} ({error})",
            self.folder.display(),
            self.length
        );
        io::Error::new(error.kind(), message)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(written) => {
                self.length += written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteSource for Spool {
    fn length(&self) -> u64 {
        self.length
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start));
        let mut bytes = vec![0; length.map_err(|_| ErrorKind::OutOfMemory)?];
        let mut found = 0;
        while found < bytes.len() {
            match system::read_at(&self.file, &mut bytes[found..], range.start + found as u64) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(more) => found += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes.into())
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Spool({} bytes in {})",
            self.length,
            self.folder.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back_in_every_range_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::new(folder.path()).expect("made");
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        for piece in bytes.chunks(7001) {
            spool.write_all(piece).expect("there is room");
        }
        assert_eq!(spool.length(), 100_000);
        for range in [0..100_000, 0..0, 7000..7002, 99_999..100_000] {
            let wanted = &bytes[range.start as usize..range.end as usize];
            assert_eq!(spool.bytes(range).expect("there"), wanted);
        }
        let beyond = spool.bytes(99_999..100_001).expect_err("not there");
        assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof);
        #[cfg(unix)]
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("there").count(),
            0,
            "it has no name even while it is open"
        );
        drop(spool);
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Spool::new("/no/such/folder").expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_full_is_told_with_its_folder() {
        let file = File::options().write(true).open("/dev/full");
        let mut spool = Spool {
            file: file.expect("Linux has it"),
            length: 7,
            folder: "/spool".into(),
        };
        let error = spool.write_all(b"x").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let said = error.to_string();
        assert!(
            said.contains("/spool") && said.contains("after 7 bytes: there is no more room"),
            "{said}"
        );
    }
}
