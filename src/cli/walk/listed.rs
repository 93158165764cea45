//! `--files-from`, read as it comes. In: paths, JSON objects or the output of a run, one a line. Out: what
//! is to go up. Never: a line that waits for the next one; only of a run's output, where a later line may
//! say that a file is done after all, what is left is known at its end.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use panup::Error;
use panup::digest::Md5;
use serde_json::Value;

use super::super::echo::Part;
use super::super::{text, usage};

/// A list, read line by line.
pub struct Listed {
    name: PathBuf,
    reader: Box<dyn BufRead + Send>,
    null: bool,
    line: u64,
    /// Of a run's output.
    undone: Undone,
    left: Option<std::vec::IntoIter<Entry>>,
}

/// A file of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// The local file.
    pub path: PathBuf,
    /// Where it goes, where that was said.
    pub remote: Option<Place>,
    /// What its MD5 must be.
    pub md5: Option<Md5>,
    /// What its size must be.
    pub size: Option<u64>,
    /// Echoed.
    pub tag: Option<Value>,
    /// It is to be split into parts of so many bytes.
    pub split: Option<u64>,
}

/// A remote path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// Below `--dest`.
    Below(String),
    /// As an earlier run had it, `--dest` included.
    Whole(String),
}

impl Listed {
    /// Opens a list, and waits for its first bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(list: &Path, null: bool) -> Result<Listed, Error> {
        let read = |error| Error::read(list, error);
        let source: Box<dyn Read + Send> = match list.as_os_str() == "-" {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(list).map_err(read)?),
        };
        let reader = BufReader::new(source);
        let reader = match null {
            // Names as they are, whatever is in them.
            true => Box::new(reader),
            false => unmarked(reader, list)?,
        };
        Ok(Listed {
            name: list.to_owned(),
            reader,
            null,
            line: 0,
            undone: Undone::default(),
            left: None,
        })
    }

    /// The next line without its end; `None` at the end of the list.
    fn line(&mut self) -> Option<Result<Vec<u8>, Error>> {
        let end = if self.null { 0 } else { b'\n' };
        let mut line = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(LONGEST)
            .read_until(end, &mut line);
        self.line += 1;
        match read {
            Err(error) => Some(Err(Error::read(&self.name, error))),
            Ok(0) => None,
            Ok(_) if line.last() != Some(&end) && line.len() as u64 == LONGEST => {
                Some(Err(self.wrong("is longer than any path")))
            }
            Ok(_) => {
                line.pop_if(|last| *last == end);
                Some(Ok(line))
            }
        }
    }

    fn entry(&mut self, line: Vec<u8>) -> Result<Option<Entry>, Error> {
        if self.null {
            return Ok((!line.is_empty()).then(|| path_only(&line)));
        }
        let exists = |name: &[u8]| path_from(name).symlink_metadata().is_ok();
        let Some(line) = text::lines(&line, exists).next() else {
            return Ok(None);
        };
        let object = match line.starts_with(b"{") {
            true => serde_json::from_slice::<serde_json::Map<_, _>>(line).ok(),
            false => None,
        };
        match object {
            None => Ok(Some(path_only(line))),
            Some(object) => self.object(object.into()),
        }
    }

    fn object(&mut self, object: Value) -> Result<Option<Entry>, Error> {
        let event = object["event"].as_str();
        if event.is_some_and(|event| !matches!(event, "file" | "planned")) {
            return Ok(None);
        }
        let mut entry = fields(&object).map_err(|why| self.wrong(why))?;
        let Some(event) = event else {
            return Ok(Some(entry));
        };
        let remote = object["remote"]
            .as_str()
            .filter(|remote| !remote.is_empty());
        entry.remote = remote.map(|remote| Place::Whole(remote.to_owned()));
        // What the file was then is no promise of what it is.
        (entry.md5, entry.size) = (None, None);
        if event == "planned" && object["action"] == "skip" {
            return Ok(None);
        }
        if event == "file" {
            let done = ["uploaded", "reused", "skipped"];
            let status = object["status"].as_str().unwrap_or_default();
            let is_done = done.contains(&status);
            match serde_json::from_value::<Part>(object["part"].clone()) {
                // The whole is done with the list of its parts, which comes last.
                Ok(part) if is_done && part.number > 0 => return Ok(None),
                Ok(part) => {
                    entry.remote = Some(Place::Whole(part.of));
                    entry.split = Some(part.split);
                }
                Err(_) => {}
            }
            self.undone.note(entry, is_done);
            return Ok(None);
        }
        Ok(Some(entry))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        usage(format!("line {} {why}", self.line)).with_path(&self.name)
    }
}

impl Iterator for Listed {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(left) = &mut self.left {
                return left.next().map(Ok);
            }
            let entry = match self.line() {
                None => {
                    self.left = Some(std::mem::take(&mut self.undone).into_entries());
                    continue;
                }
                Some(Err(error)) => {
                    // What follows it cannot be told from it.
                    self.left = Some(std::mem::take(&mut self.undone).into_entries());
                    return Some(Err(error));
                }
                Some(Ok(line)) => self.entry(line),
            };
            match entry {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The files of a run's output that are not done as far as it was read.
#[derive(Default)]
struct Undone {
    files: HashMap<(PathBuf, Option<Place>), (u64, Entry)>,
    count: u64,
}

impl Undone {
    fn note(&mut self, entry: Entry, is_done: bool) {
        let key = (entry.path.clone(), entry.remote.clone());
        match is_done {
            true => drop(self.files.remove(&key)),
            false => {
                self.count += 1;
                self.files.insert(key, (self.count, entry));
            }
        }
    }

    /// In the order of their lines.
    fn into_entries(self) -> std::vec::IntoIter<Entry> {
        let mut files: Vec<(u64, Entry)> = self.files.into_values().collect();
        files.sort_by_key(|(count, _)| *count);
        let entries: Vec<Entry> = files.into_iter().map(|(_, entry)| entry).collect();
        entries.into_iter()
    }
}

fn fields(object: &Value) -> Result<Entry, String> {
    let text = |name: &str| match &object[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(format!("has {other} for {name:?}, which is no text")),
    };
    let bytes = match text("path_bytes")? {
        Some(coded) => {
            let bytes = STANDARD.decode(coded);
            Some(bytes.map_err(|error| format!("has \"path_bytes\" that are no base64: {error}"))?)
        }
        None => text("path")?.map(String::into_bytes),
    };
    let bytes = bytes.filter(|path| !path.is_empty());
    let md5 = text("md5")?.map(|md5| md5.parse::<Md5>());
    let size = match &object["size"] {
        Value::Null => None,
        size => Some(
            size.as_u64()
                .ok_or_else(|| format!("has {size} for \"size\", which is no size in bytes"))?,
        ),
    };
    Ok(Entry {
        path: path_from(&bytes.ok_or("is an object without a \"path\"")?),
        remote: text("remote")?.map(Place::Below),
        md5: md5
            .transpose()
            .map_err(|error| format!("has an \"md5\" that is none: {error}"))?,
        size,
        tag: Some(object["tag"].clone()).filter(|tag| !tag.is_null()),
        split: None,
    })
}

/// Without a byte order mark. UTF-16, which no queue writes, is read to its end at once.
fn unmarked(
    mut reader: BufReader<Box<dyn Read + Send>>,
    list: &Path,
) -> Result<Box<dyn BufRead + Send>, Error> {
    let read = |error| Error::read(list, error);
    let first = reader.fill_buf().map_err(read)?;
    if first.starts_with("\u{feff}".as_bytes()) {
        reader.consume("\u{feff}".len());
        return Ok(Box::new(reader));
    }
    if !first.starts_with(b"\xff\xfe") && !first.starts_with(b"\xfe\xff") {
        return Ok(Box::new(reader));
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(read)?;
    let text = text::decoded(bytes).map_err(|why| usage(format!("{}: {why}", list.display())))?;
    Ok(Box::new(Cursor::new(text)))
}

fn path_only(bytes: &[u8]) -> Entry {
    Entry {
        path: path_from(bytes),
        ..Entry::default()
    }
}

fn path_from(bytes: &[u8]) -> PathBuf {
    panup::name_from_bytes(bytes).into()
}

/// No path is longer, in JSON and with a tag either.
const LONGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Entry, String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list");
        std::fs::write(&list, text).expect("written");
        let listed = Listed::open(&list, false).expect("a list");
        listed
            .map(|entry| entry.map_err(|error| error.message().to_owned()))
            .collect()
    }

    fn paths(text: &str) -> Vec<String> {
        let entries = read(text).into_iter().map(|entry| entry.expect("a file"));
        entries
            .map(|entry| entry.path.to_str().expect("Unicode").to_owned())
            .collect()
    }

    #[test]
    fn objects_say_where_a_file_goes_and_what_it_is() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let line = format!(
            "{{\"path\":\"a b\",\"remote\":\"x/y\",\"md5\":\"{md5}\",\"size\":7,\"tag\":[1]}}\n"
        );
        let entry = Entry {
            path: "a b".into(),
            remote: Some(Place::Below("x/y".to_owned())),
            md5: md5.parse().ok(),
            size: Some(7),
            tag: Some(serde_json::json!([1])),
            split: None,
        };
        assert_eq!(read(&line), [Ok(entry)]);
        assert_eq!(
            paths("{\"path_bytes\":\"YS9i\",\"path\":\"?\"}\nc"),
            ["a/b", "c"]
        );
    }

    #[test]
    fn what_is_no_object_is_a_path() {
        for name in ["{a}", "{", "# no comment", " a ", "{\"path\":"] {
            assert_eq!(paths(&format!("{name}\r\n\n")), [name]);
        }
    }

    #[test]
    fn wrong_objects_are_told_with_their_line() {
        for (object, why) in [
            (
                "{\"remote\":\"x\"}",
                "line 2 is an object without a \"path\"",
            ),
            ("{\"path\":\"\"}", "without a \"path\""),
            ("{\"path\":1}", "no text"),
            ("{\"path\":\"a\",\"size\":-1}", "no size"),
            ("{\"path\":\"a\",\"md5\":\"x\"}", "md5"),
        ] {
            let found = read(&format!("a\n{object}\nb\n"));
            let error = found[1].as_ref().expect_err(object);
            assert!(error.contains(why), "{error}");
            assert_eq!(found.len(), 3, "the others go on");
        }
    }

    #[test]
    fn of_a_report_what_is_not_done_is_taken() {
        let line = |path: &str, status: &str| {
            format!(
                "{{\"event\":\"file\",\"path\":\"{path}\",\"remote\":\"d/{path}\",\"status\":\"{status}\",\"md5\":null,\"size\":3}}\n"
            )
        };
        let report = [
            line("a", "failed"),
            line("b", "uploaded"),
            line("c", "interrupted"),
            line("d", "reused"),
            line("a", "skipped"),
            line("e", "failed"),
            "{\"event\":\"summary\",\"files\":3}\n".to_owned(),
            "{\"event\":\"warning\",\"message\":\"x\"}\n".to_owned(),
        ];
        let left = read(&report.concat());
        let left: Vec<Entry> = left
            .into_iter()
            .map(|entry| entry.expect("a file"))
            .collect();
        let paths = left.iter().map(|entry| entry.path.to_str());
        assert_eq!(paths.collect::<Vec<_>>(), [Some("c"), Some("e")]);
        assert_eq!(left[0].remote, Some(Place::Whole("d/c".to_owned())));
        assert_eq!(left[0].size, None);
        let part = |number: u64, status: &str| {
            let part = format!("{{\"of\":\"d/big\",\"number\":{number},\"split\":99}}");
            format!(
                "{{\"event\":\"file\",\"path\":\"big\",\"remote\":\"d/big.{number}\",\"status\":\"{status}\",\"part\":{part}}}\n"
            )
        };
        let first = part(1, "uploaded") + &part(2, "failed") + &part(3, "interrupted");
        let left = read(&first);
        assert_eq!(left.len(), 1, "a part of it: all of it");
        let left = left[0].as_ref().expect("a file");
        assert_eq!(left.remote, Some(Place::Whole("d/big".to_owned())));
        assert_eq!(left.split, Some(99));
        let parts = [1, 2, 3].map(|number| part(number, "skipped")).concat();
        assert_eq!(read(&(first.clone() + &parts)).len(), 1, "without its list");
        let all = first + &parts + &part(0, "uploaded");
        assert!(read(&all).is_empty());
        let planned = "{\"event\":\"planned\",\"path\":\"a\",\"remote\":\"d/a\",\"size\":3}\n";
        let planned = read(planned).remove(0).expect("a file");
        assert_eq!(planned.remote, Some(Place::Whole("d/a".to_owned())));
        assert_eq!(planned.size, None);
    }
}
