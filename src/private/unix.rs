//! Unix: modes and owners.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{above, refused};

/// Makes a folder with mode 0700 where it is missing, and those above it.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)
}

/// Sees that no other user can put files in the folder `path`, or another folder in its place.
///
/// # Errors
/// As [`folder`]; it is not made.
pub fn trusted(path: &Path) -> io::Result<()> {
    // A link is as good as its owner: its owner decides where it leads.
    owned(&fs::symlink_metadata(path)?, path)?;
    let facts = fs::metadata(path)?;
    owned(&facts, path)?;
    if mode(&facts) & 0o022 != 0 {
        return Err(refused(format!(
            "others may write in the folder {} (mode {:o}); if all that is in it is yours, chmod go-w it, or name \
             another folder in `Options::state_dir`",
            path.display(),
            mode(&facts) & 0o7777
        )));
    }
    let above = above(path);
    // The sticky bit leaves each folder to its owner, as in the system's temporary folder.
    let exchangeable = fs::metadata(above).map_or(0, |facts| mode(&facts)) & 0o1002 == 0o002;
    match exchangeable {
        true => Err(refused(format!(
            "everybody may write in {}, and so put another folder in the place of {}; name another folder in \
             `Options::state_dir`",
            above.display(),
            path.display()
        ))),
        false => Ok(()),
    }
}

/// Whether its mode is ours to change.
pub(super) fn is_mendable(file: &File) -> io::Result<bool> {
    let ours = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
    let mounted = rustix::fs::fstatvfs(file)?.f_flag;
    Ok(ours && !mounted.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// # Errors
/// Others can read it.
pub(super) fn refuse_if_shared(file: &File) -> io::Result<()> {
    let mode = mode(&file.metadata()?);
    if mode & 0o077 != 0 {
        return Err(refused(format!(
            "the file holds a secret and others can read it (mode {:o}); chmod 600 it, and consider a new secret",
            mode & 0o777
        )));
    }
    Ok(())
}

/// # Errors
/// It belongs to another user who is not root.
pub(super) fn owned(facts: &Metadata, path: &Path) -> io::Result<()> {
    let (owner, us) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner == us || owner == 0 {
        return Ok(());
    }
    Err(refused(format!(
        "{} belongs to another user (uid {owner}, we are {us}); name a folder of your own in `Options::state_dir`",
        path.display()
    )))
}

/// Links are not followed, and a pipe without another end is an error rather than a wait.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

fn mode(facts: &Metadata) -> u32 {
    facts.mode()
}
