//! `panup hash --check`: lists of MD5s against the files that they name, with md5sum's words and
//! its exit codes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use panup::digest::Md5;
use panup::{Error, FileSum, HashOptions};

use super::super::args::Checking;
use super::super::{complain, text, usage};
use super::inputs::typed;
use super::line::{Entry, Reader, verdict};
use super::print::Printer;
use super::quote::quoted;
use super::{name, refuse};

/// Checks each list; whether all is well.
///
/// # Errors
/// Wrong usage: nothing was checked.
pub fn run(lists: &[PathBuf], ask: Checking, options: &HashOptions) -> Result<bool, Error> {
    let standard_input = [PathBuf::from("-")];
    let lists = match lists {
        [] => &standard_input,
        lists => lists,
    };
    let mut well = true;
    for path in lists {
        well &= match List::read(path) {
            Ok(list) => list.check(ask, options)?,
            Err(error) => {
                refuse(&error);
                false
            }
        };
    }
    Ok(well)
}

/// A list, read.
struct List {
    name: String,
    entries: Vec<Entry>,
    /// Lines that say nothing about a file: their numbers, and how many entries come before them.
    unreadable: VecDeque<(u64, usize)>,
}

/// How its files fared.
#[derive(Default)]
struct Tally {
    right: u64,
    wrong: u64,
    unread: u64,
}

impl List {
    fn read(path: &Path) -> Result<List, Error> {
        let failed = |error| Error::read(path, error);
        let (name, source): (String, Box<dyn Read>) = match typed(path.to_owned()).path() {
            None => ("'standard input'".to_owned(), Box::new(std::io::stdin())),
            Some(path) => {
                let file = File::open(path).map_err(failed)?;
                (quoted(path), Box::new(file))
            }
        };
        let mut list = List {
            name,
            entries: Vec::new(),
            unreadable: VecDeque::new(),
        };
        let mut reader = Reader::default();
        let mut bytes = Vec::new();
        BufReader::new(source)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let text = text::decoded(bytes).map_err(|why| usage(why).with_path(path))?;
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let entry = reader.read(line);
            // Standard input is spent on the list itself.
            match entry.filter(|entry| !is_stdin(path) || !is_stdin(&entry.path)) {
                Some(entry) => list.entries.push(entry),
                None => list.unreadable.push_back((number, list.entries.len())),
            }
        }
        Ok(list)
    }

    /// Tells those that come before the next entry, of which `done` were checked.
    fn tell_unreadable(&mut self, done: usize) {
        while let Some(&(number, before)) = self.unreadable.front()
            && before <= done
        {
            self.unreadable.pop_front();
            let name = &self.name;
            complain(&format!(
                "panup: {name}: {number}: improperly formatted MD5 checksum line"
            ));
        }
    }

    fn check(mut self, ask: Checking, options: &HashOptions) -> Result<bool, Error> {
        let unreadable = self.unreadable.len() as u64;
        if !ask.warn {
            self.unreadable.clear();
        }
        if self.entries.is_empty() {
            self.tell_unreadable(0);
            let name = &self.name;
            complain(&format!(
                "panup: {name}: no properly formatted checksum lines found"
            ));
            return Ok(false);
        }
        let (paths, expected): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|entry| (entry.path, entry.md5))
            .unzip();
        let sums = panup::hash_files(paths.into_iter().map(typed), options)?;
        let mut printer = Printer::new(sums.progress(), b'\n');
        let mut tally = Tally::default();
        for (done, (file, md5)) in sums.zip(expected).enumerate() {
            if self
                .unreadable
                .front()
                .is_some_and(|(_, before)| *before <= done)
            {
                printer.aside(|| self.tell_unreadable(done));
            }
            tally.file(&file, md5, ask, &mut printer);
        }
        let written = printer.end();
        self.tell_unreadable(usize::MAX);
        tally.warn(&self.name, unreadable, ask);
        let well = tally.right > 0 && tally.wrong == 0 && tally.unread == 0;
        Ok(well && written && (!ask.strict || unreadable == 0))
    }
}

impl Tally {
    fn file(&mut self, file: &FileSum, expected: Md5, ask: Checking, printer: &mut Printer) {
        let path = name(&file.input);
        let (word, show) = match &file.sum {
            Ok(sum) if sum.md5 == expected => {
                self.right += 1;
                ("OK", !ask.quiet && !ask.status)
            }
            Ok(_) => {
                self.wrong += 1;
                ("FAILED", !ask.status)
            }
            Err(_) if ask.ignore_missing && is_missing(path) => return,
            Err(error) => {
                self.unread += 1;
                printer.aside(|| refuse(error));
                ("FAILED open or read", !ask.status)
            }
        };
        if show {
            printer.line(&verdict(path, word));
        }
    }

    fn warn(&self, list: &str, unreadable: u64, ask: Checking) {
        if ask.status {
            return;
        }
        let warn = |count: u64, one: &str, many: &str| match count {
            0 => {}
            1 => complain(&format!("panup: WARNING: 1 {one}")),
            _ => complain(&format!("panup: WARNING: {count} {many}")),
        };
        warn(
            unreadable,
            "line is improperly formatted",
            "lines are improperly formatted",
        );
        warn(
            self.unread,
            "listed file could not be read",
            "listed files could not be read",
        );
        warn(
            self.wrong,
            "computed checksum did NOT match",
            "computed checksums did NOT match",
        );
        if ask.ignore_missing && self.right == 0 {
            complain(&format!("panup: {list}: no file was verified"));
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Missing now is missing: the library says why a file could not be read, in words only.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
