//! Opening below a folder. In: a path and the folder that it was found in. Out: the file that it leads
//! to without a symbolic link or a junction below that folder. Never: a file outside that folder,
//! whatever becomes of the names between two looks: each folder on the way is held open, and so can be
//! neither renamed nor deleted, until the file is open.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use windows_sys::Win32::Foundation::{
    ERROR_CANT_RESOLVE_FILENAME, ERROR_INVALID_NAME, ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_SHARE_READ, FILE_SHARE_WRITE,
};

/// Opens the file at `path`, which is below the folder `root`, to read it. `root` itself may be a link or
/// lead through some.
pub(in crate::source) fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    let (last, _held) = last(root, path)?;
    let facts = last.metadata()?;
    refuse_link(&facts)?;
    if facts.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        return Ok(last);
    }
    // What a file system keeps elsewhere (deduplicated, in a cloud) is read through its reparse point.
    let file = super::open(path)?;
    let number = |file: &File| {
        let facts = super::identity(file, &facts)?;
        io::Result::Ok((facts.dev, facts.inode))
    };
    match number(&file)? == number(&last)? {
        true => Ok(file),
        false => Err(code(ERROR_CANT_RESOLVE_FILENAME)),
    }
}

/// What is there.
pub(in crate::source) fn look_below(root: &Path, path: &Path) -> io::Result<Metadata> {
    let (last, _held) = last(root, path)?;
    let facts = last.metadata()?;
    refuse_link(&facts).map(|()| facts)
}

/// Whether a link was in the way.
pub(in crate::source) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_CANT_RESOLVE_FILENAME.cast_signed())
}

/// What `path` leads to, itself and not what it may be a link to, and the folders on the way.
fn last(root: &Path, path: &Path) -> io::Result<(File, Vec<File>)> {
    let below = path.strip_prefix(root).map_err(|_| wrong_name())?;
    let names = below.components().filter(|part| *part != Component::CurDir);
    let names: Vec<Component<'_>> = names.collect();
    let (last, above) = names.split_last().ok_or_else(wrong_name)?;
    let mut at = super::exact::exact(path)?
        .ancestors()
        .nth(names.len())
        .map_or_else(PathBuf::new, Path::to_owned);
    let mut held = Vec::new();
    for component in above {
        at.push(name(component)?);
        let folder = held_folder(&at)?;
        refuse_link(&folder.metadata()?)?;
        held.push(folder);
    }
    let last = itself().open(at.join(name(last)?))?;
    Ok((last, held))
}

fn name<'c>(component: &'c Component<'_>) -> io::Result<&'c OsStr> {
    match component {
        Component::Normal(name) => Ok(name),
        _ => Err(wrong_name()),
    }
}

/// Opened so that its name stays where it is, unless another program has it open to delete it already.
fn held_folder(path: &Path) -> io::Result<File> {
    let held = itself()
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .open(path);
    match held {
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION.cast_signed()) => {
            itself().open(path)
        }
        held => held,
    }
}

/// What a name leads to, and not what that may be a link to.
fn itself() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS);
    options
}

/// Symbolic links and junctions, which lead to another name. Other reparse points do not.
fn refuse_link(facts: &Metadata) -> io::Result<()> {
    match facts.is_symlink() {
        true => Err(code(ERROR_CANT_RESOLVE_FILENAME)),
        false => Ok(()),
    }
}

fn wrong_name() -> io::Error {
    code(ERROR_INVALID_NAME)
}

fn code(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}
