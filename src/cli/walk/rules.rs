//! Which files pass, by what a walk's options say of them. In: a path, as globs see it, and its facts.
//! Out: a verdict, counted and told. Never: a walk.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use panup::Error;

use super::super::args::{BadNames, Empty, Order, Output, Select, What};
use super::super::echo::Echo;
use super::super::globs::{Globs, Root};
use super::super::left_out::{LeftOut, Why};
use super::super::shard::Shard;
use super::super::{dest, text, usage};
use super::listed::Entry;
use super::news::{News, Refused};
use super::sums::Sums;

/// The rules of a walk, and what came of them.
pub struct Rules {
    pub globs: Globs,
    pub ignore_case: bool,
    pub ignore_files: bool,
    pub hidden: bool,
    pub sizes: (u64, u64),
    pub newer_than: Option<SystemTime>,
    pub older_than: Option<SystemTime>,
    pub empty: Empty,
    pub empty_folders: bool,
    pub bad_names: BadNames,
    /// Whether each file's facts are wanted, whatever the other rules.
    pub sorted: bool,
    pub follow: bool,
    pub parent_id: i64,
    /// `--dest`
    pub folder: String,
    pub base: Option<PathBuf>,
    /// `--md5-from`
    pub sums: Option<Sums>,
    /// Only its files are found.
    pub shard: Option<Shard>,
    pub json: bool,
    pub news: Sender<News>,
    pub handed_out: AtomicU64,
    pub refused: AtomicU64,
    pub left_out: Arc<LeftOut>,
}

impl Rules {
    pub fn new(what: &What, output: Output, news: Sender<News>) -> Result<Rules, Error> {
        let select = &what.select;
        let sizes = (
            select.min_size.map_or(0, |size| size.0),
            select.max_size.map_or(u64::MAX, |size| size.0),
        );
        if sizes.0 > sizes.1 {
            return Err(usage(
                "--min-size is above --max-size: no file is both".to_owned(),
            ));
        }
        if let (Some(newer), Some(older)) = (select.newer_than, select.older_than)
            && newer >= older
        {
            let message = "--newer-than is not before --older-than: no file is both";
            return Err(usage(message.to_owned()));
        }
        Ok(Rules {
            globs: globs(select)?,
            ignore_case: select.ignore_case,
            ignore_files: select.ignore_files,
            hidden: select.hidden,
            sizes,
            newer_than: select.newer_than.map(|moment| moment.0),
            older_than: select.older_than.map(|moment| moment.0),
            empty: select.empty,
            empty_folders: select.empty_dirs,
            bad_names: select.bad_names,
            sorted: matches!(select.order, Order::Size | Order::Mtime),
            follow: select.follow,
            parent_id: what.parent_id,
            folder: dest(what.dest.as_deref().unwrap_or(""))?,
            base: select.base.clone(),
            sums: None,
            shard: None,
            json: output.json,
            news,
            handed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            left_out: Arc::default(),
        })
    }

    /// Whether the file passes, with its facts where they are wanted.
    pub fn admit(&self, root: &Root, below: &Path, path: &Path) -> Option<Option<Metadata>> {
        let facts = self.wants_facts().then(|| std::fs::metadata(path).ok());
        let facts = facts.flatten();
        let why = match self.globs.include(root, below) {
            true => facts.as_ref().and_then(|facts| self.against(path, facts)),
            false => Some(Why::Glob),
        };
        match why {
            Some(why) => {
                self.leave_out(path, why);
                None
            }
            None => Some(facts),
        }
    }

    pub fn wants_facts(&self) -> bool {
        self.sorted
            || self.sizes != (0, u64::MAX)
            || self.newer_than.is_some()
            || self.older_than.is_some()
            || self.empty == Empty::Skip
    }

    /// What a file's facts have against it.
    pub fn against(&self, path: &Path, facts: &Metadata) -> Option<Why> {
        let size = facts.len();
        if !(self.sizes.0..=self.sizes.1).contains(&size) {
            return Some(Why::Size);
        }
        if self.empty == Empty::Skip && size == 0 && facts.is_file() && is_empty(path) {
            return Some(Why::EmptyFile);
        }
        let modified = facts.modified().ok()?;
        let is_old = self.newer_than.is_some_and(|bound| modified < bound);
        let is_new = self.older_than.is_some_and(|bound| modified >= bound);
        (is_old || is_new).then_some(Why::Time)
    }

    pub fn leave_out(&self, path: &Path, why: Why) {
        self.left_out.count(path, why);
        self.tell_left_out(path, why);
    }

    /// What an option asked for is told one by one only to those who want to know it.
    pub fn tell_left_out(&self, path: &Path, why: Why) {
        let wanted = !why.is_asked() || tracing::enabled!(tracing::Level::INFO);
        if self.json && wanted {
            drop(self.news.send(News::LeftOut(path.to_owned(), why)));
        }
    }

    pub fn refuse(&self, path: &Path, said: &Entry, error: Error) {
        if self.shard.is_some_and(|shard| !shard.is_first()) {
            return;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let refused = Refused {
            path: path.to_owned(),
            remote: String::new(),
            echo: Echo::new(said.tag.clone(), None),
            error,
        };
        drop(self.news.send(News::Refused(refused)));
    }

    pub fn warn(&self, message: String) {
        drop(self.news.send(News::Warning(usage(message))));
    }

    /// Everything was walked: what was meant and did not happen is said.
    pub fn end(&self) {
        for line in self.left_out.lines("; --follow follows them") {
            self.warn(line);
        }
        if let Some(warning) = self.sums.as_ref().and_then(Sums::warning) {
            self.warn(warning);
        }
        for glob in self.globs.unused() {
            self.warn(format!("{glob} matched nothing"));
        }
        if self.handed_out.load(Ordering::Relaxed) == 0 && self.left_out.asked() > 0 {
            let message =
                "no file is left to upload: globs and other options leave out all that there are";
            self.warn(message.to_owned());
        }
    }
}

fn globs(select: &Select) -> Result<Globs, Error> {
    let mut lists = Vec::new();
    for path in &select.exclude_from {
        let bytes = std::fs::read(path).map_err(|error| Error::read(path, error))?;
        let unread = |why| usage(format!("--exclude-from {}: {why}", path.display()));
        let text = text::decoded(bytes).map_err(unread)?;
        let text = String::from_utf8(text).map_err(|_| unread("is not UTF-8".to_owned()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let globs = lines
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned);
        lists.push((path.display().to_string(), globs.collect()));
    }
    Globs::new(&select.include, &select.exclude, &lists, select.ignore_case)
}

/// Some files have contents that their size knows nothing of.
fn is_empty(path: &Path) -> bool {
    use std::io::Read;
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut [0]));
    // What cannot be read is not known to be empty, and fails.
    read.is_ok_and(|count| count == 0)
}
