//! `--md5-from`: MD5s that are taken instead of hashing. In: md5sum's output. Out: the MD5 of a file that
//! was not modified since the list was written. Never: a list of which a file that was drawn is another one.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use panup::digest::Md5;
use panup::{Error, HashOptions, Input};

use super::super::globs::absolute;
use super::super::hash::{Entry, Reader};
use super::super::{text, usage};

/// A list of MD5s.
pub struct Sums {
    list: PathBuf,
    written: SystemTime,
    /// By absolute paths.
    md5s: HashMap<PathBuf, Md5>,
    /// Files that were modified later.
    newer: AtomicU64,
}

impl Sums {
    /// Reads a list, and hashes one in [`ONE_IN`] of its files, drawn at random.
    ///
    /// # Errors
    /// It cannot be read, or one of the MD5s is not the file's.
    pub fn checked(list: &Path, options: &HashOptions) -> Result<Sums, Error> {
        let sums = Sums::read(list)?;
        let mut paths: Vec<&PathBuf> = sums.md5s.keys().collect();
        fastrand::shuffle(&mut paths);
        let most = paths.len().div_ceil(ONE_IN);
        let is_held = |path: &&&PathBuf| {
            let facts = std::fs::metadata(path);
            facts.is_ok_and(|facts| facts.is_file() && !sums.is_older_than(&facts))
        };
        let drawn = paths.iter().filter(is_held).take(most);
        let inputs: Vec<Input> = drawn.map(|path| Input::File(path.to_path_buf())).collect();
        for file in panup::hash_files(inputs, options)? {
            let path = file.input.path().unwrap_or("-".as_ref());
            let (Ok(sum), Some(listed)) = (&file.sum, sums.md5s.get(path)) else {
                continue;
            };
            if sum.md5 != *listed {
                let (md5, path) = (sum.md5, path.display());
                return Err(sums.wrong(format!(
                    "the MD5 of {path} is {md5}, and the list says {listed}; the whole list is refused, and nothing was sent"
                )));
            }
        }
        Ok(sums)
    }

    fn read(list: &Path) -> Result<Sums, Error> {
        let failed = |error| Error::read(list, error);
        let written = std::fs::metadata(list).and_then(|facts| facts.modified());
        let mut sums = Sums {
            list: list.to_owned(),
            written: written.map_err(failed)?,
            md5s: HashMap::new(),
            newer: AtomicU64::new(0),
        };
        let bytes = std::fs::read(list).map_err(failed)?;
        let text = text::decoded(bytes).map_err(|why| sums.wrong(why))?;
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let Some(Entry { path, md5 }) = reader.read(line) else {
                return Err(sums.wrong(format!("line {number} is no line of md5sum's")));
            };
            let known = sums.md5s.insert(absolute(&path), md5);
            if known.is_some_and(|known| known != md5) {
                let path = path.display();
                return Err(sums.wrong(format!("it has two MD5s for {path}")));
            }
        }
        Ok(sums)
    }

    /// The MD5 of a file that was not modified since.
    pub fn of(&self, path: &Path, facts: &Metadata) -> Option<Md5> {
        let md5 = self.md5s.get(&absolute(path))?;
        if self.is_older_than(facts) {
            self.newer.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(*md5)
    }

    /// What there is to say at the end.
    pub fn warning(&self) -> Option<String> {
        let newer = self.newer.load(Ordering::Relaxed);
        let list = self.list.display();
        (newer > 0).then(|| {
            format!("--md5-from {list}: {newer} files were modified after it was written, and are hashed")
        })
    }

    fn is_older_than(&self, facts: &Metadata) -> bool {
        // What has no time cannot be trusted.
        facts
            .modified()
            .is_ok_and(|modified| modified > self.written)
            || facts.modified().is_err()
    }

    fn wrong(&self, why: String) -> Error {
        usage(format!("--md5-from {}: {why}", self.list.display()))
    }
}

/// So many MD5s are believed for each that is worked out.
const ONE_IN: usize = 64;
