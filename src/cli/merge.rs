//! `panup merge`: reports of several runs or machines as one. In: reports, and perhaps the plan that they
//! are of. Out: the last word on each file, what is missing, an exit code. Never: a file that is called done
//! because nothing was said of it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use panup::{Error, digest};
use serde_json::Value;

use super::args::Merge;
use super::echo::Echo;
use super::objects::{self, Line, SCHEMA};
use super::out::text_of;
use super::plan::{PlanFile, path_of};
use super::size::counted;
use super::{Tally, complain, say_bytes};

/// Merges, and says what is not done.
///
/// # Errors
/// A report or the plan cannot be read, or the answer not be written.
pub fn run(merge: &Merge) -> Result<u8, Error> {
    let plan = merge.plan.as_deref().map(PlanFile::open).transpose()?;
    let mut merged = Merged::default();
    for (number, path) in merge.reports.iter().enumerate() {
        let torn = read(path, |place, line, _| merged.note(number, place, line))?;
        torn.iter().for_each(|line| complain(line));
    }
    merged.overlaps(merge.reports.len());
    let mut out = Out::new(merge.out.as_deref())?;
    let mut sum = Sum::default();
    for (number, path) in merge.reports.iter().enumerate() {
        read(path, |place, line, text| {
            if merged.is_last(number, place, line) {
                sum.count(line);
                out.line(text);
            }
        })?;
    }
    if let Some(plan) = plan {
        for line in plan.lines()? {
            let key = key(&line);
            if !merged.words.contains_key(&key) && !merged.wholes.contains(&key) {
                sum.missing(&line);
                out.object(&missing(&line));
            }
        }
    }
    out.object(&sum.summary(&merged));
    out.end()?;
    sum.told();
    Ok(sum.tally.code())
}

/// Where a line is: its number, from 0.
type Place = u64;

/// Hands each object about a file to `each`. What a run that was killed left of its last line is dropped, and
/// said in the answer.
fn read(path: &Path, mut each: impl FnMut(Place, &Value, &[u8])) -> Result<Vec<String>, Error> {
    let mut torn = Vec::new();
    let failed = |error| Error::read(path, error);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    for place in 0.. {
        line.clear();
        let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(failed)? == 0 {
            break;
        }
        match serde_json::from_slice::<Value>(line.trim_ascii()) {
            Ok(object) if object["event"] == "file" => each(place, &object, line.trim_ascii()),
            Ok(_) => {}
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => {
                let why = match line.ends_with(b"\n") {
                    true => "is no object",
                    false => "ends within an object, as a run that was killed leaves it",
                };
                let (path, number) = (path.display(), place + 1);
                if torn.len() < MOST_EXAMPLES {
                    torn.push(format!("warning   {path}: line {number} {why}: dropped"));
                }
            }
        }
    }
    Ok(torn)
}

/// What stands for a file: where it goes, or where it is if it goes nowhere.
fn key(line: &Value) -> [u8; 16] {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    match text("remote") {
        "" => {
            let name = format!("path {}{}", text("path"), text("path_bytes"));
            *digest::md5(name.as_bytes()).as_bytes()
        }
        remote => key_of(remote),
    }
}

fn key_of(remote: &str) -> [u8; 16] {
    *digest::md5(format!("remote {remote}").as_bytes()).as_bytes()
}

/// The last word on each file.
#[derive(Default)]
struct Merged {
    words: HashMap<[u8; 16], Word>,
    /// Files that are there as parts: the list of them, which goes last, is there.
    wholes: HashSet<[u8; 16]>,
    /// Content bytes that all runs sent.
    sent: u64,
    examples: Vec<String>,
    overlapping: u64,
    doubled: u64,
}

struct Word {
    report: usize,
    place: Place,
    at: u64,
    /// More than one report is about it, or says that it uploaded it.
    is_shared: bool,
    uploads: u32,
    uploaded_by: usize,
}

impl Merged {
    /// Of two words, the later one; of the same second, the one that is read later.
    fn note(&mut self, report: usize, place: Place, line: &Value) {
        self.sent += line["sent"].as_u64().unwrap_or_default();
        let at = line["at"].as_u64().unwrap_or_default();
        if let (Some(of), Some(0)) = (line["part"]["of"].as_str(), line["part"]["number"].as_u64())
        {
            match is_done(line) {
                true => self.wholes.insert(key_of(of)),
                false => self.wholes.remove(&key_of(of)),
            };
        }
        let word = self.words.entry(key(line)).or_insert(Word {
            report,
            place,
            at,
            is_shared: false,
            uploads: 0,
            uploaded_by: report,
        });
        if line["status"] == "uploaded" && (word.uploads == 0 || word.uploaded_by != report) {
            word.uploads += 1;
            word.uploaded_by = report;
            if word.uploads == 2 {
                self.doubled += 1;
                if self.examples.len() < MOST_EXAMPLES {
                    let remote = line["remote"].as_str().unwrap_or_default();
                    self.examples.push(format!("{remote:?}"));
                }
            }
        }
        if word.report != report && !std::mem::replace(&mut word.is_shared, true) {
            self.overlapping += 1;
        }
        if at >= word.at || at == 0 {
            (word.report, word.place, word.at) = (report, place, at.max(word.at));
        }
    }

    fn is_last(&self, report: usize, place: Place, line: &Value) -> bool {
        let word = self.words.get(&key(line));
        word.is_some_and(|word| (word.report, word.place) == (report, place))
    }

    fn overlaps(&self, reports: usize) {
        if self.overlapping > 0 {
            let files = counted(self.overlapping, "file is", "files are");
            complain(&format!("{files} in more than one of {reports} reports"));
        }
        if self.doubled > 0 {
            let files = counted(self.doubled, "file was", "files were");
            complain(&format!(
                "warning   {files} uploaded by more than one run: {}; were two shards given one number?",
                self.examples.join(", ")
            ));
        }
    }
}

fn is_done(line: &Value) -> bool {
    let status = line["status"].as_str();
    status.is_some_and(|status| matches!(status, "uploaded" | "reused" | "skipped"))
}

/// What became of the files.
#[derive(Default)]
struct Sum {
    files: u64,
    uploaded: u64,
    reused: u64,
    skipped: u64,
    interrupted: u64,
    missing: u64,
    bytes: u64,
    tally: Tally,
}

impl Sum {
    fn count(&mut self, line: &Value) {
        self.files += 1;
        let done = match line["status"].as_str().unwrap_or_default() {
            "uploaded" => &mut self.uploaded,
            "reused" => &mut self.reused,
            "skipped" => &mut self.skipped,
            other => {
                self.interrupted += u64::from(other == "interrupted");
                self.tally.failed += 1;
                self.tally.for_good += u64::from(line["error"]["final"] == true);
                return;
            }
        };
        *done += 1;
        self.bytes += line["size"].as_u64().unwrap_or_default();
    }

    fn missing(&mut self, line: &Value) {
        self.files += 1;
        self.missing += 1;
        self.tally.failed += 1;
        self.tally.for_good += u64::from(line["error"]["final"] == true);
        if self.missing <= MOST_SHOWN {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            complain(&format!("missing   {} -> {}", text("path"), text("remote")));
        }
    }

    fn summary(&self, merged: &Merged) -> Line {
        Line::Merged(objects::Merged {
            schema: SCHEMA,
            files: self.files,
            uploaded: self.uploaded,
            reused: self.reused,
            skipped: self.skipped,
            failed: self.tally.failed - self.missing - self.interrupted,
            interrupted: self.interrupted,
            missing: self.missing,
            overlapping: merged.overlapping,
            doubled: merged.doubled,
            bytes: self.bytes,
            sent: merged.sent,
        })
    }

    fn told(&self) {
        if self.missing > MOST_SHOWN {
            let more = self.missing - MOST_SHOWN;
            complain(&format!(
                "and {more} more; the merged report lists them all"
            ));
        }
        let Tally {
            failed, for_good, ..
        } = self.tally;
        let mut line = format!(
            "{}: {} done",
            counted(self.files, "file", "files"),
            self.files - failed
        );
        if failed > 0 {
            let missing = self.missing;
            line += &format!(
                ", {failed} not ({missing} of them without a word, {for_good} for good); --files-from takes those from the \
                 merged report"
            );
        }
        complain(&line);
    }
}

/// A planned file of which no report tells, as `--files-from` takes it.
fn missing(line: &Value) -> Line {
    let tag = Some(line["tag"].clone()).filter(|tag| !tag.is_null());
    let remote = line["remote"].as_str().unwrap_or_default();
    let size = line["size"].as_u64().unwrap_or_default();
    let echo = Echo::new(tag, None);
    Line::File(objects::File::untold(&path_of(line), remote, size, echo))
}

/// Standard output, or a file that is written whole or not at all.
struct Out {
    file: Option<(PathBuf, PathBuf, BufWriter<File>)>,
    failed: Option<std::io::Error>,
}

impl Out {
    fn new(path: Option<&Path>) -> Result<Out, Error> {
        let file = path.map(|path| {
            let beside = objects::beside(path);
            let file = File::options().write(true).create_new(true).open(&beside);
            let file = file.map_err(|error| Error::read(path, error).context("--out"))?;
            Ok::<_, Error>((path.to_owned(), beside, BufWriter::new(file)))
        });
        Ok(Out {
            file: file.transpose()?,
            failed: None,
        })
    }

    fn object(&mut self, line: &Line) {
        self.line(text_of(line).as_bytes());
    }

    fn line(&mut self, text: &[u8]) {
        let text = [text, b"\n"].concat();
        let Some((.., file)) = &mut self.file else {
            return say_bytes(&text);
        };
        let written = file.write_all(&text);
        self.failed = self.failed.take().or(written.err());
    }

    fn end(self) -> Result<(), Error> {
        let Some((path, beside, mut file)) = self.file else {
            return Ok(());
        };
        let written = match self.failed {
            Some(error) => Err(error),
            None => file.flush().and_then(|()| file.get_ref().sync_all()),
        };
        let written = written.and_then(|()| panup::replace_file(&beside, &path));
        written.map_err(|error| {
            drop(std::fs::remove_file(&beside));
            Error::read(&path, error).context("--out")
        })
    }
}

/// No line is longer.
const LONGEST: u64 = 4 << 20;

/// Missing files that are named on standard error.
const MOST_SHOWN: u64 = 20;

/// Files that were uploaded twice, and are named.
const MOST_EXAMPLES: usize = 3;
