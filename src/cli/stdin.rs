//! `panup upload - --as NAME`: standard input, spooled to a temporary file, whole or part by part. In:
//! bytes as they come. Out: a file, or its parts, each when all of it was read. Never: two parts on the
//! disk at once, or a file of which a part was not read.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use panup::digest::{Hasher, Md5};
use panup::{ByteSource, Error, Item, Kind, Operation, Spool};

use super::args::{Empty, Upload};
use super::echo::Echo;
use super::left_out::{LeftOut, Why};
use super::size::human;
use super::split::{Splits, StreamParts};
use super::walk::{News, Refused};
use super::{complain, dest, usage};

/// Standard input, and what becomes of it.
pub struct Stdin {
    parent_id: i64,
    remote: String,
    folder: PathBuf,
    split: Option<u64>,
    /// `--empty skip`
    skips_empty: bool,
    json: bool,
    told: (Sender<Told>, Receiver<Told>),
    news: Sender<News>,
    left_out: Arc<LeftOut>,
}

/// What the reader tells, and whoever ends the run.
enum Told {
    Part(Spooled),
    Failed(Error),
    Over,
}

/// A part that was read: of a stream that is not split, all of it.
struct Spooled {
    number: u64,
    source: PartSource,
    /// Of the whole, with the last part.
    whole: Option<Md5>,
}

/// The bytes of a part.
struct PartSource {
    spool: Spool,
    // Declared, and so dropped, after the spool.
    _gone: Gone,
}

/// Tells that a part is not on the disk any more.
struct Gone(Sender<()>);

impl Stdin {
    /// Where `-` is the PATH; `None` where it is not.
    ///
    /// # Errors
    /// It is no use: another PATH beside it, no name, a mode that needs to look twice.
    pub fn of(upload: &Upload, news: Sender<News>) -> Result<Option<Stdin>, Error> {
        if !upload.paths.iter().any(|path| path.as_os_str() == NAME) {
            return Ok(None);
        }
        let wrong = |why: &str| Err(usage(format!("standard input (-) {why}")));
        let Some(name) = &upload.what.rename else {
            return wrong(
                "has no name: say --as NAME, or --as FOLDER/NAME (a file called - is ./-)",
            );
        };
        if upload.paths.len() > 1 {
            return wrong("goes alone: leave out the other PATHs");
        }
        if upload.dry_run {
            return wrong("can be read only once: --dry-run has nothing to look at");
        }
        if upload.parts.shard.is_some() {
            return wrong("is one process's: leave out --shard");
        }
        let told = |error: Error| error.context(format!("--as {name:?}"));
        let cleaned = panup::remote_folder(name).map_err(told)?;
        if cleaned.is_empty() || name.ends_with('/') {
            return Err(usage(format!("--as {name:?} is no file's name")));
        }
        let folder = dest(upload.what.dest.as_deref().unwrap_or(""))?;
        let remote = match folder.as_str() {
            "" => cleaned,
            folder => format!("{folder}/{cleaned}"),
        };
        Ok(Some(Stdin {
            parent_id: upload.what.parent_id,
            remote,
            folder: upload.spool_dir.clone().unwrap_or_else(std::env::temp_dir),
            split: upload.what.select.split,
            skips_empty: upload.what.select.empty == Empty::Skip,
            json: upload.output.json,
            told: channel(),
            news,
            left_out: Arc::default(),
        }))
    }

    /// What it leaves out.
    pub fn left_out(&self) -> Arc<LeftOut> {
        Arc::clone(&self.left_out)
    }

    /// To be called when the run ends before the stream: what was not read is then not waited for.
    pub fn end(&self) -> impl Fn() + Send + Sync + 'static {
        let told = self.told.0.clone();
        move || drop(told.send(Told::Over))
    }

    /// Says where the bytes go meanwhile.
    pub fn announce(&self) {
        let folder = self.folder.display();
        complain(&match self.split {
            None => format!(
                "reading standard input to its end into a temporary file in {folder} (--spool-dir): its MD5 goes before \
                 its content"
            ),
            Some(size) => format!(
                "reading standard input in parts of {} into a temporary file in {folder} (--spool-dir), one at a time",
                human(size)
            ),
        });
    }

    /// The files that come of it, each when it was read. Called within a tokio runtime.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn items(self, splits: &Splits) -> Result<Box<dyn Iterator<Item = Item> + Send>, Error> {
        let parts = splits.stream((NAME.as_ref(), self.parent_id, &self.remote), self.split);
        let (gone, is_gone) = channel();
        let reader = Reader {
            folder: self.folder.clone(),
            split: self.split,
            told: self.told.0.clone(),
            gone,
        };
        let read = move || {
            if let Err(error) = reader.read(&mut io::stdin().lock(), &is_gone) {
                drop(reader.told.send(Told::Failed(error)));
            }
        };
        let thread = std::thread::Builder::new().name("panup-stdin".to_owned());
        let started = thread.spawn(read);
        started.map_err(|error| usage(format!("no thread to read standard input: {error}")))?;
        Ok(Box::new(Items {
            stdin: self,
            parts,
            is_over: false,
        }))
    }

    fn refuse(&self, error: Error) {
        drop(self.news.send(News::Refused(Refused {
            path: NAME.into(),
            remote: self.remote.clone(),
            echo: Echo::default(),
            error: error.with_path(NAME),
        })));
    }

    /// It had no byte.
    fn empty(&self) {
        if !self.skips_empty {
            let message = "standard input has no bytes, and the service takes no empty file";
            let error = Error::new(Kind::Invalid, Operation::Read, message);
            return self.refuse(error.advice("see whether the command before the pipe failed"));
        }
        self.left_out.count(Path::new(NAME), Why::EmptyFile);
        if self.json {
            drop(self.news.send(News::LeftOut(NAME.into(), Why::EmptyFile)));
        }
    }
}

/// What was read, as files.
struct Items {
    stdin: Stdin,
    parts: StreamParts,
    is_over: bool,
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.is_over {
            return None;
        }
        let stdin = &self.stdin;
        let named = |item: Item| item.to(stdin.parent_id, &stdin.remote);
        let told = stdin.told.1.recv().unwrap_or(Told::Over);
        self.is_over = !matches!(&told, Told::Part(Spooled { whole: None, .. }));
        match told {
            Told::Part(part) if part.number == 1 && part.source.length() == 0 => {
                stdin.empty();
                None
            }
            Told::Part(part) => {
                let item = named(Item::source(NAME, part.source));
                Some(match (part.number, part.whole) {
                    (1, Some(_)) => item,
                    (number, whole) => self.parts.name(item, number, whole),
                })
            }
            Told::Failed(error) => {
                stdin.refuse(error);
                None
            }
            // It stands for what was not read, and is told as interrupted.
            Told::Over => Some(named(Item::bytes(NAME, Bytes::new()))),
        }
    }
}

/// Reads on a thread of its own, since nothing ends a read of a pipe that is silent.
struct Reader {
    folder: PathBuf,
    split: Option<u64>,
    told: Sender<Told>,
    gone: Sender<()>,
}

impl Reader {
    /// Part by part, the next one when the one before is gone.
    fn read(&self, stream: &mut impl Read, is_gone: &Receiver<()>) -> Result<(), Error> {
        let mut pieces = Pieces::default();
        for number in 1.. {
            if number > MOST_PARTS {
                let message = format!("standard input has more than {MOST_PARTS} parts");
                let error = Error::new(Kind::Invalid, Operation::Read, message).for_good();
                return Err(error.advice("give a larger --split; the parts before are there"));
            }
            let mut spool = Spool::new(&self.folder).map_err(|error| self.full(error))?;
            let is_last = self.fill(&mut spool, stream, &mut pieces)?;
            if !is_last && self.split.is_none() {
                let most = human(LARGEST_FILE);
                let message =
                    format!("standard input has more than {most}, the service's largest file");
                let error = Error::new(Kind::Invalid, Operation::Read, message).for_good();
                return Err(error.advice("--split SIZE sends it in parts"));
            }
            let source = PartSource {
                spool,
                _gone: Gone(self.gone.clone()),
            };
            let part = Spooled {
                number,
                source,
                whole: is_last.then(|| std::mem::take(&mut pieces.whole).finish()),
            };
            if self.told.send(Told::Part(part)).is_err() || is_last || is_gone.recv().is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Fills `spool` up to a part; whether the stream ended with it.
    fn fill(
        &self,
        spool: &mut Spool,
        stream: &mut impl Read,
        pieces: &mut Pieces,
    ) -> Result<bool, Error> {
        let most = self.split.unwrap_or(LARGEST_FILE);
        loop {
            if pieces.left.is_empty() && pieces.read(stream).map_err(unreadable)? == 0 {
                return Ok(true);
            }
            let room = most - spool.length();
            if room == 0 {
                return Ok(false);
            }
            let piece = pieces.take(room);
            spool.write_all(piece).map_err(|error| self.full(error))?;
        }
    }

    /// Why the spool takes no more.
    fn full(&self, error: io::Error) -> Error {
        let is_full = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        );
        let advice = match (is_full, self.split) {
            (true, None) => {
                "--spool-dir DIR names a folder with more room; --split SIZE needs room for one part only"
            }
            (true, Some(_)) => {
                "--spool-dir DIR names a folder with more room, or take a smaller --split"
            }
            (false, _) => "--spool-dir DIR names another folder",
        };
        Error::new(Kind::Source, Operation::Read, error.to_string()).advice(advice)
    }
}

/// What was read of the stream and is in no part yet.
struct Pieces {
    buffer: Vec<u8>,
    left: Range<usize>,
    whole: Hasher,
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            buffer: vec![0; PIECE],
            left: 0..0,
            whole: Hasher::new(),
        }
    }
}

impl Pieces {
    /// The next bytes; none at the end.
    fn read(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        let count = loop {
            match stream.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.whole.update(&self.buffer[..count]);
        self.left = 0..count;
        Ok(count)
    }

    /// What is left, up to `most` bytes.
    fn take(&mut self, most: u64) -> &[u8] {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let start = self.left.start;
        let end = self.left.end.min(start.saturating_add(most));
        self.left.start = end;
        &self.buffer[start..end]
    }
}

impl ByteSource for PartSource {
    fn length(&self) -> u64 {
        self.spool.length()
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.spool.bytes(range)
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        // Nobody listens after the last one.
        let _: Result<(), _> = self.0.send(());
    }
}

fn unreadable(error: io::Error) -> Error {
    let message = format!("standard input cannot be read: {error}");
    Error::new(Kind::Source, Operation::Read, message)
}

/// What standard input is called among PATHs.
const NAME: &str = "-";

/// Bytes that are read at once: what a pipe holds at most.
const PIECE: usize = 1 << 20;

/// Bytes of the largest file that the service takes.
const LARGEST_FILE: u64 = 10 << 30;

/// The names of more would not sort as they lie in the file: how many there are is not known before the
/// first one is named.
const MOST_PARTS: u64 = 999;

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the parts of `length` bytes, and their bytes again.
    fn parts_of(length: usize, split: u64) -> Vec<u64> {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 253) as u8).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let ((told, parts), (gone, is_gone)) = (channel(), channel());
        let reader = Reader {
            folder: folder.path().to_owned(),
            split: Some(split),
            told,
            gone,
        };
        let expected = panup::digest::md5(&bytes);
        let stream = bytes.clone();
        let reading = std::thread::spawn(move || reader.read(&mut &stream[..], &is_gone));
        let (mut lengths, mut together) = (Vec::new(), Vec::new());
        while let Ok(Told::Part(part)) = parts.recv() {
            assert_eq!(part.number as usize, lengths.len() + 1);
            let length = part.source.length();
            lengths.push(length);
            together.extend(part.source.bytes(0..length).expect("spooled"));
            match part.whole {
                Some(md5) => assert_eq!(md5, expected),
                None => assert!(parts.try_recv().is_err(), "one part at a time"),
            }
        }
        reading.join().expect("no panic").expect("read");
        assert_eq!(together, bytes);
        lengths
    }

    #[test]
    fn parts_are_cut_where_they_should_be() {
        assert_eq!(parts_of(0, 10), [0]);
        assert_eq!(parts_of(10, 10), [10], "all of it is one part");
        assert_eq!(parts_of(11, 10), [10, 1]);
        assert_eq!(parts_of(30, 10), [10, 10, 10], "the last one is known");
        let (piece, odd) = (PIECE as u64, PIECE as u64 + 7);
        assert_eq!(parts_of(3 * PIECE, odd), [odd, odd, piece - 14]);
    }

    #[test]
    fn a_stream_that_breaks_is_no_file() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match std::mem::replace(&mut self.0, true) {
                    true => Err(io::Error::other("gone")),
                    false => Ok(buffer.len()),
                }
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let ((told, parts), (gone, is_gone)) = (channel(), channel());
        let reader = Reader {
            folder: folder.path().to_owned(),
            split: None,
            told,
            gone,
        };
        let error = reader
            .read(&mut Broken(false), &is_gone)
            .expect_err("broken");
        assert_eq!(error.kind(), Kind::Source);
        assert!(parts.try_recv().is_err());
    }
}
