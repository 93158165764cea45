//! Files that only their owner may read or write. In: a state folder and names in it. Out: files that
//! were made, read and locked by descriptor. Never: a folder or a file that is trusted because it is
//! there, a name that can be guessed, a wait for the other end of a pipe.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::system::{insist, replace_file};

#[cfg(any(windows, test))]
mod sddl;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use system::trusted;

use system::{is_mendable, owned, private, refuse_if_shared};

/// Makes the folder `path`, for us alone, where it is missing, and sees that no other user can put files there.
///
/// # Errors
/// It cannot be made; it belongs to another user who is not root; or others may write in it or
/// exchange it. The message names the folder and says what to do.
pub fn folder(path: &Path) -> io::Result<()> {
    system::make(path)?;
    trusted(path)
}

/// The folder that `path` is in.
fn above(path: &Path) -> &Path {
    let above = path.parent().filter(|above| *above != Path::new(""));
    above.unwrap_or(Path::new("."))
}

/// Writes `text` to the file `path` in a folder that is [trusted](trusted): for us alone, whole or not at all,
/// on the disk when this returns.
///
/// # Errors
/// The folder is refused, or the file cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let above = above(path);
    folder(above)?;
    let (fresh, mut file) = fresh(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    drop(file);
    let written = written.and_then(|()| replace_file(&fresh, path));
    if written.is_err() {
        drop(insist(|| fs::remove_file(&fresh)));
    }
    written?;
    // The file is whole either way; a folder that cannot be synced costs it after a power loss.
    drop(File::open(above).and_then(|above| above.sync_all()));
    Ok(())
}

/// A new file beside `path`, under a name that cannot have been prepared.
fn fresh(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut tries = 0;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("{FRESH}{:016x}", fastrand::u64(..)));
        let made = private(OpenOptions::new().write(true).create_new(true)).open(&name);
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < 8 => tries += 1,
            made => return made.map(|file| (name.into(), file)),
        }
    }
}

/// Reads a file that panup keeps; `None` where there is none.
///
/// # Errors
/// Its folder is refused, it is no regular file, or another user's, or others can read it.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let options = &mut OpenOptions::new();
    let options = private(options.read(true));
    // Another process may be about to replace it.
    let file = match insist(|| options.open(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // Windows opens no folder.
        Err(_) if path.is_dir() => return Err(irregular(path)),
        file => file?,
    };
    trusted(above(path))?;
    regular(&file, path)?;
    refuse_if_shared(&file)?;
    let text = String::from_utf8(bytes(file)?);
    text.map(Some)
        .map_err(|_| refused("the file is not UTF-8".to_owned()))
}

/// Reads a file with a secret that the user names, through links; `None` where there is none.
///
/// What an orchestrator hands over is taken as it is: it is another user's, or on a file system that
/// cannot be written, and others in the container may read it.
///
/// # Errors
/// It cannot be read; or others can read it, and its mode is ours to change.
pub fn read_named(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let folder = || {
        let message = "this is a folder; name the file in it that holds the secret";
        io::Error::new(ErrorKind::IsADirectory, message)
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // Windows opens no folder.
        Err(_) if path.is_dir() => return Err(folder()),
        file => file?,
    };
    if file.metadata()?.is_dir() {
        return Err(folder());
    }
    if is_mendable(&file)? {
        refuse_if_shared(&file)?;
    }
    bytes(file).map(Some)
}

fn bytes(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(refused(format!("the file is longer than {LONGEST} bytes"))),
        false => Ok(bytes),
    }
}

/// Opens the file `path` to lock it, making it where it is missing.
///
/// # Errors
/// It cannot be opened, or is no regular file of ours.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let options = &mut OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = private(options).open(path)?;
    regular(&file, path)?;
    Ok(file)
}

/// Makes an empty file at `path` where there is none.
///
/// # Errors
/// It cannot be made.
pub fn mark(path: &Path) -> io::Result<()> {
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Sees that what stands at `path`, if something does, is a regular file of ours. For files that must
/// not be opened to look at them.
///
/// # Errors
/// It is something else.
pub fn seen(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        facts => is_regular(&facts?, path),
    }
}

fn regular(file: &File, path: &Path) -> io::Result<()> {
    is_regular(&file.metadata()?, path)
}

fn is_regular(facts: &Metadata, path: &Path) -> io::Result<()> {
    match facts.is_file() {
        true => owned(facts, path),
        false => Err(irregular(path)),
    }
}

fn irregular(path: &Path) -> io::Error {
    let name = path.display();
    refused(format!("{name} is not a regular file; remove it"))
}

fn refused(message: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, message)
}

/// Between the name of a file and the random end of the name under which it is written.
pub const FRESH: &str = ".new-";

/// No token, and no pair of credentials, is longer.
const LONGEST: u64 = 1 << 20;

#[cfg(test)]
#[cfg(unix)]
mod tests;
