//! From the paths that were typed to the files below them, lazily, in the order of their names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use ignore::{DirEntry, WalkBuilder};
use panup::{Error, Item, Kind, Operation};

use super::args::{Select, Upload};
use super::globs::{Globs, Root};
use super::left_out::LeftOut;
use super::{dest, text, usage};

/// What there is to say while walking, besides the files.
#[derive(Debug)]
pub enum News {
    /// A path that cannot be uploaded.
    Refused(Refused),
    /// Something to know that stops nothing.
    Warning(Error),
}

/// A path that cannot be uploaded, found while walking.
#[derive(Debug)]
pub struct Refused {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// What to walk, and what to leave out.
pub struct Walk {
    starts: Vec<Start>,
    rules: Rules,
}

/// A path that was typed or listed, and the remote path that it gets.
struct Start {
    path: PathBuf,
    /// As the globs see it.
    root: Root,
    /// `None` where the name is not Unicode.
    remote: Option<String>,
}

struct Rules {
    globs: Globs,
    min: u64,
    max: u64,
    follow: bool,
    parent_id: i64,
    news: Sender<News>,
    handed_out: AtomicU64,
    /// By globs or sizes; a folder counts as one.
    passed_over: AtomicU64,
    /// By their kind.
    left_out: Arc<LeftOut>,
}

impl Walk {
    /// Reads the lists and the globs.
    ///
    /// # Errors
    /// Where a list or a glob cannot be read: nothing was uploaded yet.
    pub fn new(upload: &Upload, news: Sender<News>) -> Result<Walk, Error> {
        let select = &upload.select;
        let rules = Rules {
            globs: Globs::new(&select.include, &select.exclude)?,
            min: select.min_size.map_or(0, |size| size.0),
            max: select.max_size.map_or(u64::MAX, |size| size.0),
            follow: select.follow,
            parent_id: upload.parent_id,
            news,
            handed_out: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            left_out: Arc::default(),
        };
        let folder = &dest(upload.dest.as_deref().unwrap_or(""))?;
        let start = |path: PathBuf, own: PathBuf| Start {
            root: Root::new(&path, &own),
            remote: join(folder, own),
            path,
        };
        let typed = upload.paths.iter().cloned();
        let typed = typed.map(|path| (own_name(&path), path));
        let listed = listed(select)?.into_iter();
        let listed = listed.map(|path| (kept_path(&path), path));
        let starts = typed.chain(listed).map(|(own, path)| start(path, own));
        Ok(Walk {
            starts: starts.collect(),
            rules,
        })
    }

    /// What it leaves out by its kind, counted as it is found.
    pub fn left_out(&self) -> Arc<LeftOut> {
        Arc::clone(&self.rules.left_out)
    }

    /// The files, found as they are asked for.
    pub fn items(self) -> impl Iterator<Item = Item> + Send + 'static {
        let rules = Arc::new(self.rules);
        let to_end = Arc::clone(&rules);
        let starts = self.starts.into_iter();
        let items = starts.flat_map(move |start| below(start, &rules));
        let items = items.inspect({
            let rules = Arc::clone(&to_end);
            move |_| {
                rules.handed_out.fetch_add(1, Ordering::Relaxed);
            }
        });
        let end = std::iter::once_with(move || {
            to_end.end();
            None
        });
        items.map(Some).chain(end).flatten()
    }
}

impl Rules {
    /// Whether the file passes, by its name and its size.
    fn admit(&self, root: &Root, below: &Path, path: &Path) -> bool {
        let admitted = self.globs.include(root, below) && self.fits(path);
        if !admitted {
            self.pass_over();
        }
        admitted
    }

    fn fits(&self, path: &Path) -> bool {
        let all = self.min == 0 && self.max == u64::MAX;
        all || std::fs::metadata(path)
            .map_or(true, |facts| (self.min..=self.max).contains(&facts.len()))
    }

    fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self, path: &Path, error: Error) {
        let path = path.to_owned();
        drop(self.news.send(News::Refused(Refused { path, error })));
    }

    /// Everything was walked: what was meant and did not happen is said.
    fn end(&self) {
        let warn = |message| drop(self.news.send(News::Warning(usage(message))));
        for line in self.left_out.lines("; --follow follows them") {
            warn(line);
        }
        for glob in self.globs.unused() {
            warn(format!("{glob} matched nothing"));
        }
        let passed_over = self.passed_over.load(Ordering::Relaxed);
        if self.handed_out.load(Ordering::Relaxed) == 0 && passed_over > 0 {
            warn(
                "no file is left to upload: globs and sizes leave out all that there are"
                    .to_owned(),
            );
        }
    }
}

/// A start that is missing is handed on, so that it is reported like every other file that cannot be
/// read.
fn below(start: Start, rules: &Arc<Rules>) -> Box<dyn Iterator<Item = Item> + Send> {
    let folder = start.path.is_dir();
    if rules.globs.exclude_root(&start.root, folder) {
        rules.pass_over();
        return Box::new(std::iter::empty());
    }
    if !folder {
        let admitted = rules.admit(&start.root, Path::new(""), &start.path);
        let item = admitted.then(|| item(&start.path, start.remote, rules));
        return Box::new(item.flatten().into_iter());
    }
    let start = Arc::new(start);
    let mut builder = WalkBuilder::new(&start.path);
    builder.standard_filters(false).follow_links(rules.follow);
    builder.sort_by_file_name(std::ffi::OsStr::cmp);
    builder.filter_entry({
        let (start, rules) = (Arc::clone(&start), Arc::clone(rules));
        move |entry| !exclude(entry, &start, &rules)
    });
    let rules = Arc::clone(rules);
    let files = builder.build().filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
            let below = entry.path().strip_prefix(&start.path).ok()?;
            if !rules.admit(&start.root, below, entry.path()) {
                return None;
            }
            let remote = start.remote.as_deref();
            let remote = remote.and_then(|remote| join(remote, below));
            let item = item(entry.path(), remote, &rules)?;
            // What was a file when it was found may be a link by its turn.
            Some(match rules.follow {
                true => item,
                false => item.below(&start.path),
            })
        }
        Ok(entry) => {
            let below = entry.path().strip_prefix(&start.path).ok()?;
            if rules.globs.include(&start.root, below) {
                rules.left_out.note(&entry);
            }
            None
        }
        Err(error) => {
            let path = path_of(&error).unwrap_or_else(|| start.path.clone());
            let error =
                Error::new(Kind::Source, Operation::Read, error.to_string()).with_path(&path);
            rules.refuse(&path, error);
            None
        }
    });
    Box::new(files)
}

fn exclude(entry: &DirEntry, start: &Start, rules: &Rules) -> bool {
    let below = entry.path().strip_prefix(&start.path);
    let below = below.ok().filter(|below| *below != Path::new(""));
    let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    let excluded = below.is_some_and(|below| rules.globs.exclude(&start.root, below, folder));
    if excluded {
        rules.pass_over();
    }
    excluded
}

fn item(path: &Path, remote: Option<String>, rules: &Rules) -> Option<Item> {
    let Some(remote) = remote else {
        let error = Error::new(Kind::Invalid, Operation::Read, "the name is not Unicode")
            .with_path(path)
            .advice("rename the file");
        rules.refuse(path, error);
        return None;
    };
    Some(Item::new(path).to(rules.parent_id, remote))
}

fn listed(select: &Select) -> Result<Vec<PathBuf>, Error> {
    let Some(list) = &select.files_from else {
        return Ok(Vec::new());
    };
    let read = |error| Error::read(list, error);
    let reader: Box<dyn Read> = if list.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(list).map_err(read)?)
    };
    let mut bytes = Vec::new();
    BufReader::new(reader)
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if select.null {
        // Names as they are, whatever is in them.
        let names = bytes.split(|&byte| byte == 0);
        return Ok(names
            .filter(|name| !name.is_empty())
            .map(path_from)
            .collect());
    }
    let text = text::decoded(bytes).map_err(|why| usage(format!("{}: {why}", list.display())))?;
    let exists = |name: &[u8]| path_from(name).symlink_metadata().is_ok();
    Ok(text::lines(&text, exists).map(path_from).collect())
}

fn path_from(bytes: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// `.` and `..` are called what they are.
fn own_name(path: &Path) -> PathBuf {
    let named = path.file_name().map(PathBuf::from);
    let real = || {
        path.canonicalize()
            .ok()
            .and_then(|real| real.file_name().map(PathBuf::from))
    };
    named.or_else(real).unwrap_or_default()
}

/// A listed path keeps its folders where they are below the working folder.
fn kept_path(path: &Path) -> PathBuf {
    let below = path.is_relative() && !path.components().any(|part| part == Component::ParentDir);
    if below {
        path.components()
            .filter(|part| *part != Component::CurDir)
            .collect()
    } else {
        own_name(path)
    }
}

/// `folder/a/b` with slashes, whatever the platform's separator; `None` where it is not Unicode.
fn join(folder: &str, below: impl AsRef<Path>) -> Option<String> {
    let parts = below
        .as_ref()
        .components()
        .map(|part| part.as_os_str().to_str());
    let parts = std::iter::once(Some(folder))
        .filter(|folder| *folder != Some(""))
        .chain(parts);
    parts
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.join("/"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_paths() {
        assert_eq!(
            join("", own_name(Path::new("a/b.txt"))).as_deref(),
            Some("b.txt")
        );
        assert_eq!(
            join("x/y", own_name(Path::new("a/名 1"))).as_deref(),
            Some("x/y/名 1")
        );
        assert_eq!(
            join("", kept_path(Path::new("./a/b.txt"))).as_deref(),
            Some("a/b.txt")
        );
        assert_eq!(
            join("", kept_path(Path::new("/a/b.txt"))).as_deref(),
            Some("b.txt")
        );
        assert_eq!(
            join("", kept_path(Path::new("../b.txt"))).as_deref(),
            Some("b.txt")
        );
        assert_ne!(
            own_name(Path::new(".")),
            PathBuf::new(),
            "the folder's own name"
        );
    }
}
