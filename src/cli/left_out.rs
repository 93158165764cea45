//! What does not go up without having failed: counted by why, and named to those who ask for it, since
//! a backup that is not whole must not look whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ignore::DirEntry;
use schemars::JsonSchema;
use serde::Serialize;

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A symbolic link that is not followed.
    Link,
    /// A pipe, a socket or a device.
    Special,
    /// A folder with nothing in it.
    EmptyFolder,
    /// An empty file, where that is to be skipped.
    EmptyFile,
    /// A name that the service refuses, where that is to be skipped.
    BadName,
    /// A glob.
    Glob,
    /// A line of an ignore file.
    IgnoreFile,
    /// A name that begins with a dot.
    Hidden,
    /// Its size.
    Size,
    /// Its time of modification.
    Time,
}

impl Why {
    /// As `--json` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Why::Link => "link",
            Why::Special => "special",
            Why::EmptyFolder => "empty_folder",
            Why::EmptyFile => "empty_file",
            Why::BadName => "bad_name",
            Why::Glob => "glob",
            Why::IgnoreFile => "ignore_file",
            Why::Hidden => "hidden",
            Why::Size => "size",
            Why::Time => "time",
        }
    }

    /// Of one, for people.
    fn words(self) -> &'static str {
        match self {
            Why::Link => "a symbolic link",
            Why::Special => "no regular file",
            Why::EmptyFolder => "a folder with nothing in it",
            Why::EmptyFile => "an empty file (--empty)",
            Why::BadName => "a name that the service refuses (--bad-names)",
            Why::Glob => "by a glob",
            Why::IgnoreFile => "by an ignore file",
            Why::Hidden => "hidden (--hidden)",
            Why::Size => "by its size",
            Why::Time => "by its time of modification",
        }
    }

    /// Of so many, for people.
    fn counted(self, count: u64) -> &'static str {
        match self {
            Why::Link if count == 1 => "symbolic link",
            Why::Link => "symbolic links",
            Why::Special if count == 1 => "pipe, socket or device",
            Why::Special => "pipes, sockets or devices",
            Why::EmptyFolder if count == 1 => "empty folder",
            Why::EmptyFolder => "empty folders",
            Why::EmptyFile if count == 1 => "empty file",
            Why::EmptyFile => "empty files",
            Why::BadName => "by name",
            Why::Glob => "by glob",
            Why::IgnoreFile => "by ignore file",
            Why::Hidden => "hidden",
            Why::Size => "by size",
            Why::Time => "by time",
        }
    }

    /// Whether an option asked for it.
    pub fn is_asked(self) -> bool {
        !matches!(self, Why::Link | Why::Special | Why::EmptyFolder)
    }

    /// All of them.
    const ALL: [Why; 10] = [
        Why::Link,
        Why::Special,
        Why::EmptyFolder,
        Why::EmptyFile,
        Why::BadName,
        Why::Glob,
        Why::IgnoreFile,
        Why::Hidden,
        Why::Size,
        Why::Time,
    ];
}

/// What was left out, counted.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct LeftOutCounts {
    /// In all.
    pub left_out: u64,
    /// Symbolic links.
    pub links: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
    /// By why.
    pub left_out_by: BTreeMap<&'static str, u64>,
}

/// Counts of what a walk leaves out. A folder counts as one, with all that is in it.
#[derive(Debug, Default)]
pub struct LeftOut([AtomicU64; Why::ALL.len()]);

impl LeftOut {
    /// Counts an entry of a folder that is no file; folders are not left out.
    pub fn note(&self, entry: &DirEntry) -> Option<Why> {
        let kind = entry.file_type().filter(|kind| !kind.is_dir())?;
        let why = match kind.is_symlink() {
            true => Why::Link,
            false => Why::Special,
        };
        self.count(entry.path(), why);
        Some(why)
    }

    /// Counts one.
    pub fn count(&self, path: &Path, why: Why) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
        tracing::info!("left out {}: {}", path.display(), why.words());
    }

    /// How many for this reason.
    pub fn of(&self, why: Why) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        Why::ALL.into_iter().map(|why| self.of(why)).sum()
    }

    /// How many that an option asked for.
    pub fn asked(&self) -> u64 {
        let asked = Why::ALL.into_iter().filter(|why| why.is_asked());
        asked.map(|why| self.of(why)).sum()
    }

    /// `, 5 left out (3 symbolic links, 2 by glob)`, or nothing.
    pub fn summary(&self) -> String {
        let kinds = Why::ALL.into_iter().filter(|&why| self.of(why) > 0);
        let kinds: Vec<String> = kinds
            .map(|why| format!("{} {}", self.of(why), why.counted(self.of(why))))
            .collect();
        match kinds.is_empty() {
            true => String::new(),
            false => format!(", {} left out ({})", self.total(), kinds.join(", ")),
        }
    }

    /// The counts of a summary's object.
    pub fn counts(&self) -> LeftOutCounts {
        let by = Why::ALL.into_iter().map(|why| (why.name(), self.of(why)));
        LeftOutCounts {
            left_out: self.total(),
            links: self.of(Why::Link),
            special: self.of(Why::Special),
            left_out_by: by.collect(),
        }
    }

    /// A line for links and one for special files, where there were any; `advice` is about links.
    pub fn lines(&self, advice: &str) -> Vec<String> {
        let line = |count: u64, one: &str, many: &str, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {one} was {what}")),
            _ => Some(format!("{count} {many} were {what}")),
        };
        let followed = format!("not followed{advice}");
        let links = self.of(Why::Link);
        let links = line(links, "symbolic link", "symbolic links", &followed);
        let kinds = "left out: pipes, sockets or devices";
        let special = self.of(Why::Special);
        let special = line(special, "special file", "special files", kinds);
        links.into_iter().chain(special).collect()
    }
}
