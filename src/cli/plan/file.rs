//! A plan as a file: a header, a line for each file, and a last line by which it is seen whether the rest is
//! as it was written. In: lines. Out: the same lines. Never: half a plan, or one that someone edited.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use panup::{Error, digest};
use serde_json::{Value, json};

use super::super::{objects, usage};
use super::entry::Entry;

/// A plan that is whole.
pub struct PlanFile {
    path: PathBuf,
    header: Value,
    /// Shards that it is made for; 1 where it is not divided.
    pub shards: u32,
}

/// Writes a plan in the place of whatever is at `path`, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(
    path: &Path,
    (settings, count): (&Value, u32),
    (entries, shards): (&[Entry], &[u32]),
) -> Result<(), Error> {
    let failed = |error| Error::read(path, error).context("writing the plan");
    let beside = objects::beside(path);
    let header = json!({
        "event": "plan", "schema": SCHEMA, "panup": env!("CARGO_PKG_VERSION"), "files": entries.len(),
        "shards": count, "options": settings, "options_hash": hash_of(settings),
    });
    let written = (|| {
        let file = File::options().write(true).create_new(true).open(&beside)?;
        let mut out = Hashed {
            out: BufWriter::new(file),
            hasher: digest::Hasher::new(),
        };
        out.line(&header.to_string())?;
        for (entry, &shard) in entries.iter().zip(shards) {
            out.line(&entry.line(shard))?;
        }
        let (mut out, hash) = (out.out, out.hasher.finish());
        let end = json!({ "event": END, "files": entries.len(), "hash": hash.to_string() });
        writeln!(out, "{end}")?;
        out.flush()?;
        out.get_ref().sync_all()?;
        drop(out);
        panup::replace_file(&beside, path)
    })();
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written.map_err(failed)
}

struct Hashed {
    out: BufWriter<File>,
    hasher: digest::Hasher,
}

impl Hashed {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        let line = format!("{line}\n");
        self.hasher.update(line.as_bytes());
        self.out.write_all(line.as_bytes())
    }
}

fn hash_of(settings: &Value) -> String {
    digest::md5(settings.to_string().as_bytes()).to_string()
}

impl PlanFile {
    /// Opens a plan, and sees that it is as it was written.
    ///
    /// # Errors
    /// It cannot be read, is none, is of another version, is cut off, or was edited.
    pub fn open(path: &Path) -> Result<PlanFile, Error> {
        let wrong = |why: &str| usage(format!("--plan {}: {why}", path.display()));
        let mut lines = Lines::of(path)?;
        let mut hasher = digest::Hasher::new();
        let mut line = Vec::new();
        lines.next(&mut line)?;
        let header = serde_json::from_slice::<Value>(&line).unwrap_or_default();
        if header["event"] != "plan" {
            return Err(wrong("it is no plan that `panup plan` wrote"));
        }
        if header["schema"] != SCHEMA {
            let (theirs, version) = (&header["schema"], &header["panup"]);
            return Err(wrong(&format!(
                "it is of another panup ({version}, schema {theirs}; this one reads schema {SCHEMA}): plan again with \
                 this version"
            )));
        }
        let mut files = 0_u64;
        let end = loop {
            hasher.update(&line);
            if !lines.next(&mut line)? {
                return Err(wrong("it is cut off: its last line is missing; plan again"));
            }
            // Every line is written by this program, in this spelling.
            let is_end = line.starts_with(b"{\"event\":\"plan_end\"");
            match is_end.then(|| serde_json::from_slice::<Value>(&line)) {
                None => files += 1,
                Some(Ok(end)) => break end,
                Some(Err(_)) => {
                    return Err(wrong("it is cut off within its last line; plan again"));
                }
            }
        };
        let edited = "it was edited after it was written, or is damaged; plan again";
        let settings = &header["options"];
        if end["hash"] != hasher.finish().to_string()
            || end["files"] != files
            || header["options_hash"] != hash_of(settings)
            || lines.next(&mut line)?
        {
            return Err(wrong(edited));
        }
        let shards = header["shards"].as_u64();
        let shards = shards.and_then(|shards| u32::try_from(shards).ok());
        Ok(PlanFile {
            path: path.to_owned(),
            shards: shards
                .filter(|&shards| shards > 0)
                .ok_or_else(|| wrong(edited))?,
            header,
        })
    }

    /// Sees that it was made with the same options.
    ///
    /// # Errors
    /// Names those that differ.
    pub fn made_with(&self, settings: &Value) -> Result<(), Error> {
        let made = &self.header["options"];
        let said = |name: &str, value: &Value| {
            let name = name.replace('_', "-");
            match value {
                Value::Null => format!("no --{name}"),
                Value::String(text) if text.is_empty() => format!("no --{name}"),
                Value::String(text) => format!("--{name} {text}"),
                value => format!("--{name} {value}"),
            }
        };
        let all = made.as_object().into_iter().flatten();
        let differs = all.filter(|(name, value)| {
            let own = &settings[name.as_str()];
            // The plan says where each file goes.
            let is_unsaid = *name == "dest" && own == "";
            own != *value && !is_unsaid
        });
        let differs: Vec<String> = differs
            .map(|(name, value)| {
                format!(
                    "{}, and now {}",
                    said(name, value),
                    said(name, &settings[name.as_str()])
                )
            })
            .collect();
        match differs.is_empty() {
            true => Ok(()),
            false => Err(usage(format!(
                "--plan {}: it was made with {}; give the same options, or plan again",
                self.path.display(),
                differs.join("; ")
            ))),
        }
    }

    /// The lines of its files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn lines(&self) -> Result<impl Iterator<Item = Value> + Send + 'static, Error> {
        let mut lines = Lines::of(&self.path)?;
        let mut line = Vec::new();
        lines.next(&mut line)?;
        Ok(std::iter::from_fn(move || {
            // It was read to its end a moment ago.
            lines.next(&mut line).ok().filter(|read| *read)?;
            let object = serde_json::from_slice::<Value>(&line).ok()?;
            Some(object).filter(|object| object["event"] == "planned")
        }))
    }
}

struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
}

impl Lines {
    fn of(path: &Path) -> Result<Lines, Error> {
        let file = File::open(path).map_err(|error| Error::read(path, error))?;
        Ok(Lines {
            path: path.to_owned(),
            reader: BufReader::new(file),
        })
    }

    /// Whether there was one more, with its end.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, Error> {
        line.clear();
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', line);
        let read = read.map_err(|error| Error::read(&self.path, error))?;
        Ok(read > 0)
    }
}

/// The last line's event.
const END: &str = "plan_end";

/// What the lines mean.
const SCHEMA: u32 = 1;

/// No line is longer.
const LONGEST: u64 = 4 << 20;
