//! From the paths that were typed and listed to the files below them, lazily, in the order of their
//! names.

mod ignored;
mod listed;
mod names;
mod starts;
mod sums;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ignore::{DirEntry, WalkBuilder};
use panup::{Error, Item, Kind, Operation};

use super::args::{BadNames, Empty, Order, Output, Select, What};
use super::echo::Echo;
use super::folders::Folder;
use super::globs::{Globs, Root};
use super::left_out::{LeftOut, Why};
use super::{dest, text, usage};
use ignored::IgnoreFiles;
use listed::{Entry, Listed, Place};
use names::full_width;
use starts::{join, kept_path, means_contents, own_name};
pub use sums::Sums;

/// What there is to say while walking, besides the files.
#[derive(Debug)]
pub enum News {
    /// A path that cannot be uploaded.
    Refused(Refused),
    /// A path that is left out, without having failed.
    LeftOut(PathBuf, Why),
    /// A folder with nothing in it, which is to be made.
    Folder(Folder),
    /// Something to know that stops nothing.
    Warning(Error),
}

/// A path that cannot be uploaded, found while walking.
#[derive(Debug)]
pub struct Refused {
    /// The path.
    pub path: PathBuf,
    /// The remote path that it was to have, as far as that is known.
    pub remote: String,
    /// What a list says of it.
    pub echo: Echo,
    /// Why.
    pub error: Error,
}

/// What to walk, and what to leave out.
pub struct Walk {
    typed: Vec<Start>,
    listed: Option<Listed>,
    order: Order,
    rules: Arc<Rules>,
}

/// A path that was typed or listed, and the remote path that it gets.
struct Start {
    path: PathBuf,
    /// As the globs see it.
    root: Root,
    /// `None` where the name is not Unicode.
    remote: Option<String>,
    /// What a list says of it, but for its path.
    said: Entry,
}

struct Rules {
    globs: Globs,
    ignore_case: bool,
    ignore_files: bool,
    hidden: bool,
    sizes: (u64, u64),
    newer_than: Option<SystemTime>,
    older_than: Option<SystemTime>,
    empty: Empty,
    empty_folders: bool,
    bad_names: BadNames,
    /// Whether each file's facts are wanted, whatever the other rules.
    sorted: bool,
    follow: bool,
    parent_id: i64,
    /// `--dest`
    folder: String,
    base: Option<PathBuf>,
    /// `--md5-from`
    sums: Option<Sums>,
    json: bool,
    news: Sender<News>,
    handed_out: AtomicU64,
    refused: AtomicU64,
    left_out: Arc<LeftOut>,
}

/// A file that goes up, and what an order is made of.
struct Found {
    item: Item,
    facts: Option<Metadata>,
}

impl Walk {
    /// Reads the globs, and opens the list.
    ///
    /// # Errors
    /// Where a list or a glob cannot be read, or no file can be meant: nothing was uploaded yet.
    pub fn new(
        (paths, what): (&[PathBuf], &What),
        sums: Option<Sums>,
        output: Output,
        news: Sender<News>,
    ) -> Result<Walk, Error> {
        let select = &what.select;
        let rules = Rules {
            sums,
            ..Rules::new(what, output, news)?
        };
        let typed = match &what.rename {
            Some(name) => vec![renamed(paths, name, &rules)?],
            None => paths.iter().map(|path| typed(path, &rules)).collect(),
        };
        let listed = select.files_from.as_deref();
        let listed = listed.map(|list| Listed::open(list, select.null));
        Ok(Walk {
            typed,
            listed: listed.transpose()?,
            order: select.order,
            rules: Arc::new(rules),
        })
    }

    /// What it leaves out, counted as it is found.
    pub fn left_out(&self) -> Arc<LeftOut> {
        Arc::clone(&self.rules.left_out)
    }

    /// The files, found as they are asked for.
    pub fn items(self) -> Box<dyn Iterator<Item = Item> + Send> {
        let rules = self.rules;
        let listed = self.listed.into_iter().flatten().filter_map({
            let rules = Arc::clone(&rules);
            move |entry| rules.listed(entry)
        });
        let starts = self.typed.into_iter().chain(listed);
        let found = starts.flat_map({
            let rules = Arc::clone(&rules);
            move |start| below(start, &rules)
        });
        let found = found.inspect({
            let rules = Arc::clone(&rules);
            move |_| {
                rules.handed_out.fetch_add(1, Ordering::Relaxed);
            }
        });
        let end = std::iter::once_with(move || {
            rules.end();
            None
        });
        let items = found.map(Some).chain(end).flatten();
        match self.order {
            Order::Mixed => Box::new(items.map(|found| found.item)),
            order => Box::new(std::iter::once_with(move || sorted(items, order)).flatten()),
        }
    }
}

/// All of them, at once: what is first is known when the last one was found.
fn sorted(found: impl Iterator<Item = Found>, order: Order) -> impl Iterator<Item = Item> {
    let mut found: Vec<Found> = found.collect();
    let modified = |found: &Found| found.facts.as_ref().and_then(|facts| facts.modified().ok());
    let size = |found: &Found| found.facts.as_ref().map_or(0, Metadata::len);
    match order {
        Order::Mixed => {}
        Order::Name => found.sort_by(|a, b| a.item.remote.cmp(&b.item.remote)),
        Order::Size => found.sort_by_key(size),
        Order::Mtime => found.sort_by_key(modified),
    }
    found.into_iter().map(|found| found.item)
}

fn typed(path: &Path, rules: &Rules) -> Start {
    let own = own_name(path);
    let remote = match means_contents(path) && path.is_dir() {
        true => Some(rules.folder.clone()),
        false => join(&rules.folder, &own),
    };
    Start {
        root: Root::new(path, &own),
        remote,
        path: path.to_owned(),
        said: Entry::default(),
    }
}

/// `--as`: the one file that is given.
fn renamed(paths: &[PathBuf], name: &str, rules: &Rules) -> Result<Start, Error> {
    let wrong = |why: &str| Err(usage(format!("--as {name:?} {why}")));
    let [path] = paths else {
        return wrong("names one file, and there are more; name their folder with --dest");
    };
    if path.is_dir() {
        return wrong(
            "names a file, and the PATH is a folder; its contents (DIR/) can go to --dest",
        );
    }
    let cleaned =
        panup::remote_folder(name).map_err(|error| error.context(format!("--as {name:?}")))?;
    if cleaned.is_empty() || name.contains('/') {
        return wrong("is no file's name; folders belong to --dest");
    }
    Ok(Start {
        remote: join(&rules.folder, name),
        ..typed(path, rules)
    })
}

impl Rules {
    fn new(what: &What, output: Output, news: Sender<News>) -> Result<Rules, Error> {
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
            json: output.json,
            news,
            handed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            left_out: Arc::default(),
        })
    }

    /// What a line of the list means; what it says wrong is told.
    fn listed(&self, entry: Result<Entry, Error>) -> Option<Start> {
        let mut said = match entry {
            Ok(said) => said,
            Err(error) => {
                let list = error.path().unwrap_or("--files-from".as_ref()).to_owned();
                self.refuse(&list, &Entry::default(), error);
                return None;
            }
        };
        let path = std::mem::take(&mut said.path);
        let remote = said.remote.take();
        let own = match kept_path(&path, self.base.as_deref()) {
            Ok(own) => own,
            // It goes elsewhere, and globs see its name.
            Err(_) if remote.is_some() => own_name(&path),
            Err(why) => {
                let error = Error::new(Kind::Invalid, Operation::Check, why).with_path(&path);
                self.refuse(&path, &said, error);
                return None;
            }
        };
        let remote = match remote {
            None => join(&self.folder, &own),
            Some(Place::Below(remote)) if self.folder.is_empty() => Some(remote),
            Some(Place::Below(remote)) => Some(format!("{}/{remote}", self.folder)),
            Some(Place::Whole(remote)) => Some(remote),
        };
        Some(Start {
            root: Root::new(&path, &own),
            path,
            remote,
            said,
        })
    }

    /// Whether the file passes, with its facts where they are wanted.
    fn admit(&self, start: &Start, below: &Path, path: &Path) -> Option<Option<Metadata>> {
        let facts = self.wants_facts().then(|| std::fs::metadata(path).ok());
        let facts = facts.flatten();
        let why = match self.globs.include(&start.root, below) {
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

    fn wants_facts(&self) -> bool {
        self.sorted
            || self.sizes != (0, u64::MAX)
            || self.newer_than.is_some()
            || self.older_than.is_some()
            || self.empty == Empty::Skip
    }

    /// What a file's facts have against it.
    fn against(&self, path: &Path, facts: &Metadata) -> Option<Why> {
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

    fn leave_out(&self, path: &Path, why: Why) {
        self.left_out.count(path, why);
        self.tell_left_out(path, why);
    }

    /// What an option asked for is told one by one only to those who want to know it.
    fn tell_left_out(&self, path: &Path, why: Why) {
        let wanted = !why.is_asked() || tracing::enabled!(tracing::Level::INFO);
        if self.json && wanted {
            drop(self.news.send(News::LeftOut(path.to_owned(), why)));
        }
    }

    fn refuse(&self, path: &Path, said: &Entry, error: Error) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let refused = Refused {
            path: path.to_owned(),
            remote: String::new(),
            echo: Echo::new(said.tag.clone(), None),
            error,
        };
        drop(self.news.send(News::Refused(refused)));
    }

    fn warn(&self, message: String) {
        drop(self.news.send(News::Warning(usage(message))));
    }

    /// Everything was walked: what was meant and did not happen is said.
    fn end(&self) {
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

/// A start that is missing is handed on, so that it is reported like every other file that cannot be
/// read.
fn below(start: Start, rules: &Arc<Rules>) -> Box<dyn Iterator<Item = Found> + Send> {
    let folder = start.path.is_dir();
    let ignored = rules
        .ignore_files
        .then(|| IgnoreFiles::new(&start.path, rules.ignore_case));
    let is_ignored = ignored
        .as_ref()
        .is_some_and(|files| files.is_root_ignored(folder));
    if let Some(why) = against_root(&start, folder, is_ignored, rules) {
        rules.leave_out(&start.path, why);
        return Box::new(std::iter::empty());
    }
    if !folder {
        let facts = rules.admit(&start, Path::new(""), &start.path);
        let found =
            facts.and_then(|facts| found(&start, &start.path, start.remote.clone(), facts, rules));
        return Box::new(found.into_iter());
    }
    walk(Arc::new(start), ignored, Arc::clone(rules))
}

fn against_root(start: &Start, folder: bool, is_ignored: bool, rules: &Rules) -> Option<Why> {
    if rules.globs.exclude_root(&start.root, folder) {
        return Some(Why::Glob);
    }
    if !rules.hidden && start.root.own().iter().any(is_hidden) {
        return Some(Why::Hidden);
    }
    is_ignored.then_some(Why::IgnoreFile)
}

fn walk(
    start: Arc<Start>,
    ignored: Option<IgnoreFiles>,
    rules: Arc<Rules>,
) -> Box<dyn Iterator<Item = Found> + Send> {
    let mut builder = WalkBuilder::new(&start.path);
    builder.standard_filters(false).follow_links(rules.follow);
    builder.sort_by_file_name(std::ffi::OsStr::cmp);
    let ignored = ignored.map(Mutex::new);
    builder.filter_entry({
        let (start, rules) = (Arc::clone(&start), Arc::clone(&rules));
        move |entry| {
            let why = against(entry, &start, ignored.as_ref(), &rules);
            if let Some(why) = why {
                rules.leave_out(entry.path(), why);
            }
            why.is_none()
        }
    });
    let files = builder.build().filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
            let below = entry.path().strip_prefix(&start.path).ok()?;
            let facts = rules.admit(&start, below, entry.path())?;
            let remote = start.remote.as_deref();
            let remote = remote.and_then(|remote| join(remote, below));
            let mut found = found(&start, entry.path(), remote, facts, &rules)?;
            if !rules.follow {
                // What was a file when it was found may be a link by its turn.
                found.item = found.item.below(&start.path);
            }
            Some(found)
        }
        Ok(entry) => {
            rules.no_file(&entry, &start);
            None
        }
        Err(error) => {
            let error = unreadable(error, &start.path);
            let path = error.path().unwrap_or(&start.path).to_owned();
            rules.refuse(&path, &start.said, error);
            None
        }
    });
    Box::new(files)
}

/// What is against an entry of a folder and all that may be below it.
fn against(
    entry: &DirEntry,
    start: &Start,
    ignored: Option<&Mutex<IgnoreFiles>>,
    rules: &Rules,
) -> Option<Why> {
    let below = entry.path().strip_prefix(&start.path).ok()?;
    if below == Path::new("") {
        return None;
    }
    let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    if rules.globs.exclude(&start.root, below, folder) {
        return Some(Why::Glob);
    }
    if !rules.hidden && is_hidden(entry.file_name()) {
        return Some(Why::Hidden);
    }
    let mut ignored = ignored?.lock().unwrap_or_else(PoisonError::into_inner);
    ignored.is_ignored(below, folder).then_some(Why::IgnoreFile)
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

impl Rules {
    /// Counts what is neither a file nor a folder with something in it.
    fn no_file(&self, entry: &DirEntry, start: &Start) {
        let Ok(below) = entry.path().strip_prefix(&start.path) else {
            return;
        };
        if !self.globs.include(&start.root, below) {
            return;
        }
        if let Some(why) = self.left_out.note(entry) {
            return self.tell_left_out(entry.path(), why);
        }
        let is_empty = || std::fs::read_dir(entry.path()).is_ok_and(|mut all| all.next().is_none());
        if !is_empty() {
            return;
        }
        match self.empty_folders {
            true => self.empty_folder(start, entry.path(), below),
            false => self.leave_out(entry.path(), Why::EmptyFolder),
        }
    }

    /// One that is to be made, unless it is the folder that all goes to.
    fn empty_folder(&self, start: &Start, path: &Path, below: &Path) {
        let remote = start.remote.as_deref();
        let remote = remote.and_then(|remote| join(remote, below));
        if remote.as_deref() == Some("") {
            return;
        }
        let Some(found) = found(start, path, remote, None, self) else {
            return;
        };
        let remote = found.item.remote;
        match panup::remote_folder(&remote) {
            Ok(remote) => {
                let path = path.to_owned();
                drop(self.news.send(News::Folder(Folder { path, remote })));
            }
            Err(error) => self.refuse(path, &start.said, error.for_good()),
        }
    }
}

fn found(
    start: &Start,
    path: &Path,
    remote: Option<String>,
    facts: Option<Metadata>,
    rules: &Rules,
) -> Option<Found> {
    let said = &start.said;
    let skips = rules.bad_names == BadNames::Skip;
    let Some(mut remote) = remote.filter(|remote| !skips || panup::remote_folder(remote).is_ok())
    else {
        if skips {
            rules.leave_out(path, Why::BadName);
            return None;
        }
        let error = Error::new(Kind::Invalid, Operation::Read, "the name is not Unicode")
            .with_path(path)
            .advice("rename the file");
        rules.refuse(path, said, error);
        return None;
    };
    let mut note = None;
    if rules.bad_names == BadNames::Fullwidth {
        let written = full_width(&remote);
        if written != remote {
            note = Some(format!(
                "{remote:?} has signs that the service refuses; they are full-width there"
            ));
            remote = written.into_owned();
        }
    }
    if let Some(size) = said.size
        && let Ok(facts) = std::fs::metadata(path)
        && facts.len() != size
    {
        let message = format!(
            "the file has {} bytes, and its line in the list says {size}",
            facts.len()
        );
        let error = Error::new(Kind::Source, Operation::Check, message).with_path(path);
        rules.refuse(path, said, error.for_good());
        return None;
    }
    let mut item = Item::new(path).to(rules.parent_id, remote);
    item.md5 = said.md5;
    if let (None, Some(sums)) = (said.md5, &rules.sums)
        && let Ok(facts) = std::fs::metadata(path)
    {
        item.md5 = sums.of(path, &facts);
        item.trust_md5 = item.md5.is_some();
    }
    item.tag = Echo::new(said.tag.clone(), note).into_tag();
    Some(Found { item, facts })
}

/// What a walk of `folder` could not read, and why, each said once.
pub fn unreadable(error: ignore::Error, folder: &Path) -> Error {
    let path = path_of(&error).unwrap_or_else(|| folder.to_owned());
    let words = error.to_string();
    match error.into_io_error().and_then(|io| system_error(&io)) {
        Some(io) => Error::read(&path, io),
        None => Error::new(Kind::Source, Operation::Read, words).with_path(&path),
    }
}

/// What the system said, below all that was put around it.
fn system_error(error: &std::io::Error) -> Option<std::io::Error> {
    let mut below: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = below {
        let io = error.downcast_ref::<std::io::Error>();
        if let Some(code) = io.and_then(std::io::Error::raw_os_error) {
            return Some(std::io::Error::from_raw_os_error(code));
        }
        below = error.source();
    }
    None
}

/// The path that a walk's error is about.
fn path_of(error: &ignore::Error) -> Option<PathBuf> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path.clone()),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        ignore::Error::Loop { child, .. } => Some(child.clone()),
        _ => None,
    }
}
