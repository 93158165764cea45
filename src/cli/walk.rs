//! From the paths that were typed to the files below them, lazily, in the order of their names.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::Sender;

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};
use panup::{Error, Item, Kind, Operation};

use super::args::{Select, Upload};

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
    refused: Sender<Refused>,
}

/// A path that was typed or listed, and the remote path that it gets.
struct Start {
    path: PathBuf,
    /// `None` where the name is not Unicode.
    remote: Option<String>,
}

#[derive(Clone)]
struct Rules {
    overrides: Override,
    min: u64,
    max: u64,
    follow: bool,
    parent_id: i64,
}

impl Walk {
    /// Reads the lists and the globs.
    ///
    /// # Errors
    /// Where a list or a glob cannot be read: nothing was uploaded yet.
    pub fn new(upload: &Upload, refused: Sender<Refused>) -> Result<Walk, Error> {
        let folder = upload
            .dest
            .as_deref()
            .unwrap_or("")
            .trim_matches('/')
            .to_owned();
        let mut starts = Vec::new();
        for path in &upload.paths {
            starts.push(Start {
                remote: join(&folder, own_name(path)),
                path: path.clone(),
            });
        }
        for path in listed(&upload.select)? {
            starts.push(Start {
                remote: join(&folder, kept_path(&path)),
                path,
            });
        }
        let rules = Rules {
            overrides: overrides(&upload.select)?,
            min: upload.select.min_size.map_or(0, |size| size.0),
            max: upload.select.max_size.map_or(u64::MAX, |size| size.0),
            follow: upload.select.follow,
            parent_id: upload.parent_id,
        };
        Ok(Walk {
            starts,
            rules,
            refused,
        })
    }

    /// The files, found as they are asked for.
    pub fn items(self) -> impl Iterator<Item = Item> + Send + 'static {
        let Walk {
            starts,
            rules,
            refused,
        } = self;
        starts
            .into_iter()
            .flat_map(move |start| below(start, rules.clone(), refused.clone()))
    }
}

/// A start that is a file is that file, whatever the globs say of other files; what is missing is
/// handed on, so that it is reported like every other file that cannot be read.
fn below(
    start: Start,
    rules: Rules,
    refused: Sender<Refused>,
) -> Box<dyn Iterator<Item = Item> + Send> {
    if !start.path.is_dir() {
        let item = item(&start.path, start.remote, &rules, &refused);
        return Box::new(
            item.into_iter()
                .filter(move |item| fits(&item.path, &rules)),
        );
    }
    let mut builder = WalkBuilder::new(&start.path);
    builder
        .standard_filters(false)
        .follow_links(rules.follow)
        .overrides(rules.overrides.clone());
    builder.sort_by_file_name(std::ffi::OsStr::cmp);
    let files = builder.build().filter_map(move |entry| match entry {
        Ok(entry)
            if entry.file_type().is_some_and(|kind| kind.is_file())
                && fits(entry.path(), &rules) =>
        {
            let below = entry
                .path()
                .strip_prefix(&start.path)
                .unwrap_or(entry.path());
            item(
                entry.path(),
                start
                    .remote
                    .as_deref()
                    .and_then(|remote| join(remote, below)),
                &rules,
                &refused,
            )
            // What was a file when it was found may be a link by its turn.
            .map(|item| match rules.follow {
                true => item,
                false => item.below(&start.path),
            })
        }
        Ok(_) => None,
        Err(error) => {
            let path = path_of(&error).unwrap_or_else(|| start.path.clone());
            let error = Error::new(Kind::Source, Operation::Read, error.to_string()).path(&path);
            drop(refused.send(Refused { path, error }));
            None
        }
    });
    Box::new(files)
}

/// What was typed is uploaded; only sizes may leave it out.
fn item(
    path: &Path,
    remote: Option<String>,
    rules: &Rules,
    refused: &Sender<Refused>,
) -> Option<Item> {
    let Some(remote) = remote else {
        let error = Error::new(Kind::Invalid, Operation::Read, "the name is not Unicode")
            .path(path)
            .advice("rename the file");
        drop(refused.send(Refused {
            path: path.to_owned(),
            error,
        }));
        return None;
    };
    Some(Item::new(path).to(rules.parent_id, remote))
}

fn fits(path: &Path, rules: &Rules) -> bool {
    (rules.min == 0 && rules.max == u64::MAX)
        || std::fs::metadata(path)
            .map_or(true, |facts| (rules.min..=rules.max).contains(&facts.len()))
}

fn overrides(select: &Select) -> Result<Override, Error> {
    let mut builder = OverrideBuilder::new("");
    let wanted = select.include.iter().cloned();
    let unwanted = select.exclude.iter().map(|glob| format!("!{glob}"));
    for glob in wanted.chain(unwanted) {
        builder
            .add(&glob)
            .map_err(|error| usage(format!("the glob {glob:?} cannot be read: {error}")))?;
    }
    builder.build().map_err(|error| usage(error.to_string()))
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
    let end = if select.null { b'\0' } else { b'\n' };
    let lines = BufReader::new(reader)
        .split(end)
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    Ok(lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .map(path_from)
        .collect())
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\r')
        .into()
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

fn usage(message: String) -> Error {
    Error::new(Kind::Invalid, Operation::Configure, message)
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
