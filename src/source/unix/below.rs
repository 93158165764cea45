//! Opening below a folder. In: a path and the folder that it was found in. Out: the file that it leads
//! to without a symbolic link below that folder, or ELOOP. Never: a file outside that folder, whatever
//! becomes of the names between two looks.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

/// Opens the file at `path`, which is below the folder `root`, with `flags`. `root` itself may be a
/// link or lead through some.
pub(super) fn open(root: &Path, path: &Path, flags: OFlags) -> io::Result<File> {
    let names = names(root, path)?;
    let folder = rustix::fs::open(root, ABOVE, Mode::empty())?;
    Ok(resolve(&folder, &names, flags)?.into())
}

/// The names that lead from `root` to `path`, at least one.
fn names<'p>(root: &Path, path: &'p Path) -> io::Result<Vec<&'p OsStr>> {
    let name = |component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(Errno::INVAL),
    };
    let below = path.strip_prefix(root).map_err(|_| Errno::INVAL)?;
    let names = below
        .components()
        .filter(|component| *component != Component::CurDir)
        .map(name)
        .collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Err(Errno::INVAL.into());
    }
    Ok(names)
}

#[cfg(target_os = "linux")]
fn resolve(folder: &OwnedFd, names: &[&OsStr], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let below: std::path::PathBuf = names.iter().collect();
    let rules = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let flags = flags | OFlags::CLOEXEC;
    match openat2(folder, &below, flags, Mode::empty(), rules) {
        // Before Linux 5.6, and in containers whose filter does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => one_by_one(folder, names, flags),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn resolve(folder: &OwnedFd, names: &[&OsStr], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    one_by_one(folder, names, flags | OFlags::CLOEXEC)
}

fn one_by_one(folder: &OwnedFd, names: &[&OsStr], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let Some((last, above)) = names.split_last() else {
        return Err(Errno::INVAL);
    };
    let mut folder = folder
        .try_clone()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))?;
    for name in above {
        let next = openat(&folder, *name, ABOVE | OFlags::NOFOLLOW, Mode::empty());
        folder = next.map_err(|error| or_link(error, &folder, name))?;
    }
    // O_PATH opens a link itself, where other openings refuse it.
    refuse_link(&folder, last)?;
    openat(&folder, *last, flags | OFlags::NOFOLLOW, Mode::empty())
        .map_err(|error| or_link(error, &folder, last))
}

/// A link where a folder is wanted is ENOTDIR to some systems.
fn or_link(error: Errno, folder: &OwnedFd, name: &OsStr) -> Errno {
    refuse_link(folder, name).err().unwrap_or(error)
}

fn refuse_link(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(()),
    }
}

/// To look at a file without opening it for reading: that would wait for a fifo's writer, and do
/// something to some devices.
#[cfg(target_os = "linux")]
pub(super) const LOOK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const LOOK: OFlags = READ;

/// To read it; not waiting, should it have become a fifo since.
pub(super) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A folder on the way: it need not be readable.
#[cfg(target_os = "linux")]
const ABOVE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const ABOVE: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    type Way = fn(&OwnedFd, &[&OsStr], OFlags) -> rustix::io::Result<OwnedFd>;

    /// The kernel's resolution, and the one that stands in for it.
    const WAYS: [Way; 2] = [resolve, one_by_one];

    fn contents(way: Way, root: &Path, path: &Path) -> io::Result<String> {
        let folder = rustix::fs::open(root, ABOVE, Mode::empty())?;
        let mut file: File = way(&folder, &names(root, path)?, READ)?.into();
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn no_link_below_the_root_is_followed_and_the_root_may_be_one() {
        let scene = tempfile::tempdir().expect("a folder");
        let at = |name: &str| scene.path().join(name);
        fs::create_dir_all(at("tree/a/b")).expect("folders");
        fs::create_dir_all(at("outside")).expect("a folder");
        fs::write(at("tree/a/b/file"), "inside").expect("written");
        fs::write(at("outside/file"), "outside").expect("written");
        symlink(at("outside"), at("tree/a/folder")).expect("a link");
        symlink(at("outside/file"), at("tree/a/link")).expect("a link");
        symlink("b/file", at("tree/a/near")).expect("a link");
        symlink(at("tree"), at("typed")).expect("a link");
        for way in WAYS {
            for root in ["tree", "typed", "tree/a"] {
                let root = at(root);
                let below = |name: &str| match root.ends_with("a") {
                    true => root.join(name),
                    false => root.join("a").join(name),
                };
                let text = contents(way, &root, &below("b/file")).expect("no link");
                assert_eq!(text, "inside");
                for link in ["link", "near", "folder/file"] {
                    let error = contents(way, &root, &below(link)).expect_err("a link");
                    assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{link}: {error}");
                }
                let error = contents(way, &root, &below("none")).expect_err("missing");
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
            }
        }
    }

    #[test]
    fn looking_without_reading_refuses_links_too() {
        let scene = tempfile::tempdir().expect("a folder");
        fs::write(scene.path().join("file"), "abc").expect("written");
        symlink("file", scene.path().join("link")).expect("a link");
        for way in WAYS {
            let folder = rustix::fs::open(scene.path(), ABOVE, Mode::empty()).expect("there");
            let look = |name: &str| way(&folder, &[OsStr::new(name)], LOOK);
            let found = File::from(look("file").expect("a file"));
            assert_eq!(found.metadata().expect("known").len(), 3);
            assert_eq!(look("link").expect_err("a link"), Errno::LOOP);
        }
    }

    #[test]
    fn a_path_that_is_not_below_its_root_is_refused() {
        for (root, path) in [("/a", "/b/c"), ("/a", "/a"), ("/a", "/a/../b"), ("a", "b")] {
            assert!(names(Path::new(root), Path::new(path)).is_err(), "{path}");
        }
        let found = names(Path::new("."), Path::new("./x/y")).expect("below");
        assert_eq!(found, ["x", "y"]);
    }
}
