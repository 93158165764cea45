//! A run's resumable state in one append-only file that may lie on a network file system and travel to
//! another machine. In: facts, in groups. Out: the same facts on whatever machine goes on. Never: a write by
//! a run that another has taken over from; a file touched that is no checkpoint, or another account's.
//!
//! The file is lines of JSON, each with a check of itself. The first says whose it is. A run that takes it
//! over appends a line with the next generation; a group of facts is one line with its generation, and
//! one fsync. Before each group and after it the file is opened anew and looked at: where the newest
//! generation is not ours, the run ends. Locks make looking and appending one step where there are any,
//! and nothing hangs on them: without them, a group that is appended in the very moment of a takeover can
//! stand behind it. It is of an older generation then, and is read by nobody; what it told is done again.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::entry::Account;
use crate::error::{Error, Kind, Operation, Result};
use crate::source::{try_lock_file, unlock_file};
use crate::system::owners_alone;

mod fact;
mod line;
mod read;
mod record;

use read::{Found, Reader};
use record::{Header, Owner, Record};

/// A checkpoint file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    owned: Option<Owned>,
}

/// What this run knows of the file that is its own.
#[derive(Debug)]
struct Owned {
    account: Arc<Account>,
    owner: Owner,
    /// Where the line begins that says so, and its bytes.
    at: u64,
    line: Vec<u8>,
    /// Where the file ends, and its last bytes.
    end: u64,
    tail: Vec<u8>,
    /// The number of the next group.
    next: u64,
}

/// Why a group was not appended.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another moment may help.
    Passing(Error),
    /// The file is another run's now.
    Lost(Error),
}

impl Checkpoint {
    /// The file at `path`, which need not be there. Looks only: nothing is written before
    /// [`take_over`](Self::take_over).
    ///
    /// # Errors
    /// `Invalid`: it is no checkpoint, or of a newer panup. `State`: it cannot be read, or there is
    /// no folder to make it in.
    pub(super) fn look(path: &Path) -> Result<Checkpoint> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let checkpoint = Checkpoint { path, owned: None };
        match std::fs::metadata(&checkpoint.path) {
            Ok(facts) if !facts.is_file() => {
                return Err(invalid(&checkpoint.path, "a checkpoint is a regular file"));
            }
            Ok(_) => drop(Reader::open(&checkpoint.path)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let above = checkpoint.path.parent().unwrap_or(Path::new("/"));
                std::fs::metadata(above).map_err(|error| state(&checkpoint.path, error))?;
            }
            Err(error) => return Err(state(&checkpoint.path, error)),
        }
        Ok(checkpoint)
    }

    /// Makes the file this run's own, or makes it; shows `keep` what stands in it, group by group, with the
    /// time of each. An earlier owner that still runs is refused from then on.
    ///
    /// # Errors
    /// `Invalid`: it is another account's, damaged in the middle, written by two at once, no checkpoint or
    /// of a newer panup. `State`: it cannot be read or written. What `keep` returns.
    pub(super) fn take_over(
        &mut self,
        account: &Account,
        mut keep: impl FnMut(&Batch, i64) -> Result<()>,
    ) -> Result<()> {
        if self
            .owned
            .as_ref()
            .is_some_and(|own| *own.account == *account)
        {
            return Ok(());
        }
        let account = Arc::new(account.clone());
        let mut found = Found::default();
        for _ in 0..TAKEOVERS {
            found = self.read_on(found, &account, &mut keep)?;
            if let Some(owned) = self.claim(&found, &account)? {
                self.owned = Some(owned);
                return Ok(());
            }
        }
        let message = "others keep taking this checkpoint over; only one run at a time can have it";
        Err(Error::new(Kind::State, Operation::Journal, message).with_path(&self.path))
    }

    fn read_on(
        &self,
        found: Found,
        account: &Arc<Account>,
        keep: &mut impl FnMut(&Batch, i64) -> Result<()>,
    ) -> Result<Found> {
        match Reader::open(&self.path)? {
            Some(reader) => reader.read(found, account, keep),
            // A torn beginning is cut off as a torn end is.
            None => Ok(Found {
                length: std::fs::metadata(&self.path).map_or(0, |facts| facts.len()),
                ..Found::default()
            }),
        }
    }

    /// Appends the line that makes it ours; `None` where somebody wrote since it was read.
    fn claim(&self, found: &Found, account: &Arc<Account>) -> Result<Option<Owned>> {
        let failed = |error| state(&self.path, error);
        let file = self.open(true).map_err(failed)?;
        let _lock = Lock::of(&file);
        if file.metadata().map_err(failed)?.len() != found.length {
            return Ok(None);
        }
        if found.end < found.length {
            self.cut(&file, found.end).map_err(failed)?;
        }
        let owner = Owner::next(found.generation);
        let line = sealed(&Record::owner(&owner));
        let mut text = match found.end {
            0 => sealed(&Header::of(account)),
            _ => Vec::new(),
        };
        let at = found.end + text.len() as u64;
        text.extend_from_slice(&line);
        if let Err(error) = write(&file, &text) {
            drop(self.cut(&file, found.end));
            return Err(failed(error));
        }
        if found.end == 0 {
            let above = self.path.parent().unwrap_or(Path::new("/"));
            drop(File::open(above).and_then(|above| above.sync_all()));
        }
        let owned = Owned {
            account: Arc::clone(account),
            owner,
            at,
            end: at + line.len() as u64,
            tail: last_of(&line),
            line,
            next: 1,
        };
        // Whoever wrote at the same moment, without locks, has the same place in mind.
        Ok(self.is_ours(&owned).map_err(failed)?.then_some(owned))
    }

    /// Appends the facts of `batch`; on the disk when this returns.
    ///
    /// # Errors
    /// It was not appended.
    pub(super) fn append(&mut self, batch: &Batch, at: i64) -> Result<(), Failure> {
        let facts = fact::facts(batch);
        let Some(owned) = &self.owned else {
            return Ok(());
        };
        if facts.is_empty() {
            return Ok(());
        }
        let line = sealed(&Record::group(&owned.owner, owned.next, at, facts));
        let path = self.path.clone();
        let passing = |error| Failure::Passing(state(&path, error));
        let file = self.open(false).map_err(passing)?;
        let _lock = Lock::of(&file);
        self.hold()?;
        let end = self.end();
        if let Err(error) = write(&file, &line) {
            // What is there of it must not stand before the next group.
            return match self.cut(&file, end) {
                Ok(()) => Err(passing(error)),
                Err(_) => Err(Failure::Lost(state(&path, error).of_the_run())),
            };
        }
        if let Some(owned) = &mut self.owned {
            owned.end += line.len() as u64;
            owned.tail = last_of(&line);
            owned.next += 1;
        }
        self.hold()
    }

    /// Sees that the file is still this run's.
    ///
    /// # Errors
    /// It is not, or cannot be read for the moment.
    pub(super) fn hold(&mut self) -> Result<(), Failure> {
        let Some(owned) = &self.owned else {
            return Ok(());
        };
        match self.is_ours(owned) {
            Ok(true) => Ok(()),
            Ok(false) => self.step_aside(),
            Err(error) => Err(Failure::Passing(state(&self.path, error))),
        }
    }

    /// The file is not as we left it: goes on where only an older generation wrote behind us.
    fn step_aside(&mut self) -> Result<(), Failure> {
        let Some(owned) = &self.owned else {
            return Ok(());
        };
        let (end, ours) = (owned.end, &owned.owner);
        let generation = ours.generation;
        let lost = |why: String| {
            let error = Error::new(Kind::State, Operation::Journal, why).with_path(&self.path);
            Failure::Lost(error.for_good().of_the_run())
        };
        match read::behind(&self.path, end) {
            Ok(behind) => match behind.owner {
                Some(owner) if owner.generation >= generation && owner != *ours => Err(lost(format!(
                    "another panup has taken this checkpoint over ({owner}): this run ends, and leaves the rest to it"
                ))),
                _ if behind.is_stale(generation) => {
                    if let Some(owned) = &mut self.owned {
                        owned.end = behind.end;
                        owned.tail = behind.tail;
                    }
                    Ok(())
                }
                _ => Err(lost(
                    "this checkpoint was replaced, cut or written by something else while the run had it; name \
                     another file"
                        .to_owned(),
                )),
            },
            Err(error) => Err(Failure::Passing(state(&self.path, error))),
        }
    }

    /// Whether the file, opened anew, is as this run left it.
    fn is_ours(&self, owned: &Owned) -> io::Result<bool> {
        let file = File::open(&self.path)?;
        let tail_at = owned.end.saturating_sub(owned.tail.len() as u64);
        Ok(file.metadata()?.len() == owned.end
            && holds(&file, owned.at, &owned.line)?
            && holds(&file, tail_at, &owned.tail)?)
    }

    fn open(&self, create: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(create);
        owners_alone(&mut options).open(&self.path)
    }

    /// Takes away what is behind `end`. Windows has the right to append without that to cut.
    fn cut(&self, file: &File, end: u64) -> io::Result<()> {
        match file.set_len(end) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let file = OpenOptions::new().write(true).open(&self.path)?;
                file.set_len(end)
            }
            cut => cut,
        }
    }

    fn end(&self) -> u64 {
        self.owned.as_ref().map_or(0, |owned| owned.end)
    }
}

/// A lock on the file, for a moment, where there are locks and one is to be had.
struct Lock<'a>(Option<&'a File>);

impl Lock<'_> {
    fn of(file: &File) -> Lock<'_> {
        let until = Instant::now() + PATIENCE;
        loop {
            match try_lock_file(file) {
                Ok(true) => return Lock(Some(file)),
                Ok(false) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(false) | Err(_) => return Lock(None),
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            drop(unlock_file(file));
        }
    }
}

fn write(mut file: &File, text: &[u8]) -> io::Result<()> {
    file.write_all(text)?;
    file.sync_data()
}

fn holds(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut there = vec![0; bytes.len()];
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(&mut there) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| there == bytes),
    }
}

fn last_of(line: &[u8]) -> Vec<u8> {
    line[line.len().saturating_sub(TAIL)..].to_vec()
}

fn sealed(record: &impl serde::Serialize) -> Vec<u8> {
    line::seal(record).expect("records are objects of plain values")
}

fn invalid(path: &Path, message: impl Into<String>) -> Error {
    let error = Error::new(Kind::Invalid, Operation::Journal, message);
    error.with_path(path).for_good()
}

fn state(path: &Path, error: io::Error) -> Error {
    let message = format!("the checkpoint: {error}");
    let told = Error::new(Kind::State, Operation::Journal, message);
    told.with_path(path).caused_by(error)
}

/// How often a file is read on that grows while it is taken over.
const TAKEOVERS: usize = 8;

/// Longer than a group takes; a run that was stopped while it held the lock is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes at the end that are compared: the check of the last line is among them.
const TAIL: usize = 64;

#[cfg(test)]
mod tests;
