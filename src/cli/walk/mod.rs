//! From the paths that were typed and listed to the files below them, lazily, in the order of their
//! names.

mod ignored;
mod listed;
mod names;
mod news;
mod rules;
mod starts;
mod sums;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder};
use panup::{Error, Item, Kind, Operation};

use super::args::{BadNames, Order, Output, What};
use super::echo::{Echo, Part};
use super::folders::Folder;
use super::globs::Root;
use super::left_out::{LeftOut, Why};
use super::shard::Shard;
use super::usage;
use ignored::IgnoreFiles;
use listed::{Entry, Listed, Place};
use names::full_width;
use rules::Rules;
use starts::{join, kept_path, means_contents, own_name};

pub use news::{News, Refused};
pub use sums::Sums;

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
        if paths.iter().any(|path| path.as_os_str() == "-") {
            let message = "standard input (-) is for `panup upload - --as NAME` alone; a file called - is ./-";
            return Err(usage(message.to_owned()));
        }
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

    /// The same, of which only the files of one shard are found. What is refused, and has no remote path
    /// to go by, is told by the first.
    pub fn only(mut self, shard: Option<Shard>) -> Walk {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.shard = shard;
        }
        self
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
        let found = found.filter({
            let shard = rules.shard;
            move |found| shard.is_none_or(|shard| shard.has(&found.item.remote))
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
        // Without what says that its contents are meant.
        path: match path.is_dir() {
            true => path.components().collect(),
            false => path.to_owned(),
        },
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
        let facts = rules.admit(&start.root, Path::new(""), &start.path);
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
            let facts = rules.admit(&start.root, below, entry.path())?;
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
    let mut echo = Echo::new(said.tag.clone(), note);
    if let Some(split) = said.split {
        echo = echo.with_part(Part {
            of: item.remote.clone(),
            number: 0,
            split,
        });
    }
    item.tag = echo.into_tag();
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

impl Rules {
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
            Ok(remote) if self.shard.is_some_and(|shard| !shard.has(&remote)) => {}
            Ok(remote) => {
                let path = path.to_owned();
                drop(self.news.send(News::Folder(Folder { path, remote })));
            }
            Err(error) => self.refuse(path, &start.said, error.for_good()),
        }
    }
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
