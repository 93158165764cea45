//! A checkpoint, read from its beginning. In: a file that may be anything. Out: facts in their order, and
//! where they end. Never: a torn line taken for facts, or facts left out because a line before them is torn.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{Header, MAGIC, Owner, Record, VERSION};
use super::{invalid, last_of, line, state};
use crate::error::{Error, Result};
use crate::journal::batch::Batch;
use crate::journal::entry::Account;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Behind the last whole line.
    pub(super) end: u64,
    /// Of the file; more than `end` where its tail is torn.
    pub(super) length: u64,
    /// The newest.
    pub(super) generation: u64,
    /// The number of the next line of that generation.
    pub(super) next: u64,
    /// Whole lines so far.
    pub(super) lines: u64,
}

/// A file with the beginning of a checkpoint.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
    /// Bytes of the header's line.
    begins: u64,
}

impl Reader {
    /// `None` where there is no file, an empty one, or the torn beginning of a header.
    ///
    /// # Errors
    /// `Invalid`: it is no checkpoint, or of a newer panup. `State`: it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Option<Reader>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| state(path, error))?,
        };
        let mut file = BufReader::new(file);
        let mut first = Vec::new();
        let read = (&mut file).take(HEADER).read_until(b'\n', &mut first);
        read.map_err(|error| state(path, error))?;
        let begun = first.len().min(MAGIC.len());
        if first[..begun] != MAGIC[..begun] {
            let message = "this is no checkpoint of panup; nothing was written to it";
            return Err(invalid(path, message).with_path(path));
        }
        let Some(text) = first.strip_suffix(b"\n") else {
            return match (first.len() as u64) < HEADER {
                true => Ok(None),
                false => Err(damaged(path, 1, 0)),
            };
        };
        // Whatever else a newer panup changed, the number stands there.
        let digits = text[MAGIC.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let version: String = digits.map(|&byte| char::from(byte)).collect();
        if version
            .parse::<u64>()
            .is_ok_and(|version| version > VERSION)
        {
            let message = format!(
                "this checkpoint is of a newer panup (version {version} of its format): go on with that one"
            );
            return Err(invalid(path, message));
        }
        let header = line::open(text).ok_or_else(|| damaged(path, 1, 0))?;
        Ok(Some(Reader {
            path: path.to_owned(),
            file,
            header,
            begins: first.len() as u64,
        }))
    }

    /// Reads on behind what was found; shows `keep` each group with its time.
    ///
    /// # Errors
    /// `Invalid`: it is another account's, damaged in the middle, or written by two at once. `State`: it
    /// cannot be read. What `keep` returns.
    pub(super) fn read(
        mut self,
        found: Found,
        account: &Arc<Account>,
        keep: &mut impl FnMut(&Batch, i64) -> Result<()>,
    ) -> Result<Found> {
        self.is_of(account)?;
        let mut found = match found.end {
            0 => Found {
                end: self.begins,
                lines: 1,
                ..found
            },
            _ => found,
        };
        let from = SeekFrom::Start(found.end);
        self.file
            .seek(from)
            .map_err(|error| state(&self.path, error))?;
        found.length = found.end;
        let mut torn = None;
        let mut text = Vec::new();
        while self.next_line(&mut text, found.lines + 1, found.length)? {
            let at = found.length;
            found.length += text.len() as u64;
            let whole = text.strip_suffix(b"\n").filter(|text| line::is_whole(text));
            match (whole, torn) {
                (Some(_), Some((line, at))) => return Err(damaged(&self.path, line, at)),
                (None, _) => torn = torn.or(Some((found.lines + 1, at))),
                (Some(text), None) => {
                    found.lines += 1;
                    let record = line::open(text).ok_or_else(|| self.senseless(found.lines))?;
                    self.record(record, &mut found, account, keep)?;
                    found.end = found.length;
                }
            }
        }
        Ok(found)
    }

    fn is_of(&self, account: &Account) -> Result<()> {
        let Header {
            api, account: name, ..
        } = &self.header;
        let other = match () {
            () if *api != account.api => format!("for {api}, and this run goes to {}", account.api),
            () if *name != account.name => format!(
                "of the account {name:?}, and this run is of {:?}; where that is one account, name it in `Options::account`",
                account.name
            ),
            () => return Ok(()),
        };
        let message = format!("this checkpoint is {other}; nothing was written to it");
        Err(invalid(&self.path, message))
    }

    /// The next line with its break, or what is left; `false` at the end.
    fn next_line(&mut self, text: &mut Vec<u8>, line: u64, at: u64) -> Result<bool> {
        text.clear();
        let read = (&mut self.file).take(LONGEST).read_until(b'\n', text);
        match read.map_err(|error| state(&self.path, error))? as u64 {
            LONGEST => Err(damaged(&self.path, line, at)),
            bytes => Ok(bytes > 0),
        }
    }

    fn record(
        &self,
        record: Record,
        found: &mut Found,
        account: &Arc<Account>,
        keep: &mut impl FnMut(&Batch, i64) -> Result<()>,
    ) -> Result<()> {
        match record.as_owner() {
            Some(owner) if owner.generation <= found.generation => Err(by_two(&self.path, &owner)),
            Some(owner) => {
                (found.generation, found.next) = (owner.generation, 1);
                Ok(())
            }
            // Written by one that did not know yet that it had lost the file.
            None if record.generation < found.generation => Ok(()),
            None if (record.generation, record.n) != (found.generation, found.next) => {
                let message = format!(
                    "line {} of this checkpoint is not the one that was written there (lines are missing, or stand twice)",
                    found.lines
                );
                Err(remedied(invalid(&self.path, message)))
            }
            None => {
                found.next += 1;
                let at = record.at;
                let batch = batch(record, account).ok_or_else(|| self.senseless(found.lines))?;
                keep(&batch, at)
            }
        }
    }

    fn senseless(&self, line: u64) -> Error {
        let message = format!("line {line} of this checkpoint makes no sense");
        remedied(invalid(&self.path, message))
    }
}

fn batch(record: Record, account: &Arc<Account>) -> Option<Batch> {
    let mut writes = Vec::new();
    for fact in record.facts {
        writes.extend(fact.writes(account)?);
    }
    Some(Batch::of(writes))
}

/// What stands behind a place in the file.
pub(super) struct Behind {
    /// The newest owner there.
    pub(super) owner: Option<Owner>,
    /// The newest generation of lines, if every line is whole.
    generation: Option<u64>,
    /// Where the file ends, and its last bytes.
    pub(super) end: u64,
    pub(super) tail: Vec<u8>,
}

impl Behind {
    /// Whether all of it was written by owners before `generation`.
    pub(super) fn is_stale(&self, generation: u64) -> bool {
        self.generation.is_some_and(|newest| newest < generation)
    }
}

/// What stands behind `end`, and the owner of the whole file where it was written anew.
pub(super) fn behind(path: &Path, end: u64) -> io::Result<Behind> {
    let mut behind = Behind {
        owner: None,
        generation: None,
        end,
        tail: Vec::new(),
    };
    let file = File::open(path)?;
    // A file that is no longer ours at all is read from its beginning.
    let from = if file.metadata()?.len() > end { end } else { 0 };
    let mut file = BufReader::new(file);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    let mut all_whole = from == end;
    loop {
        text.clear();
        let read = (&mut file).take(LONGEST).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        behind.end += read as u64;
        let record = text.strip_suffix(b"\n").and_then(line::open::<Record>);
        all_whole &= record.is_some();
        let Some(record) = record else { continue };
        behind.generation = behind.generation.max(Some(record.generation));
        behind.owner = record.as_owner().or(behind.owner);
        behind.tail = last_of(&text);
    }
    if !all_whole {
        behind.generation = None;
    }
    Ok(behind)
}

fn damaged(path: &Path, line: u64, at: u64) -> Error {
    let message = format!("this checkpoint is damaged in line {line}, from byte {at} on");
    remedied(invalid(path, message))
}

fn by_two(path: &Path, owner: &Owner) -> Error {
    let message = format!("two runs wrote into this checkpoint at once ({owner} was one of them)");
    remedied(invalid(path, message))
}

fn remedied(error: Error) -> Error {
    error.advice(
        "name another file: what is there already is found by asking the service (`Options::look` set to always)",
    )
}

/// Bytes of the first line at most.
const HEADER: u64 = 64 << 10;

/// Bytes of a line at most: a group of facts is some megabytes.
const LONGEST: u64 = 256 << 20;
