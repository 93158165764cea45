//! Windows: access lists. A folder that is made here has one of its own, which its files take over: us,
//! the system and the administrators.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};

use super::refused;
use super::sddl::{Rights, foreign_owner, others};
use crate::source::{described, make_folder, our_sid};

/// Makes a folder with such a list where it is missing; those above it take over what is above them.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above)?;
    }
    // Ourselves by name: what an administrator makes belongs to all of them.
    let list = format!(
        "D:P(A;OICI;FA;;;{})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
        our_sid()?
    );
    let made = make_folder(&std::path::absolute(path)?, &list);
    match made {
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

/// Sees that the folder `path` is ours, and that no other user can put files there.
///
/// # Errors
/// As [`folder`](super::folder); it is not made.
pub fn trusted(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL);
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    let list = described(&options.open(path)?)?;
    if let Some(owner) = foreign_owner(&list, &our_sid()?) {
        return Err(refused(format!(
            "{} belongs to another user ({owner}); name a folder of your own in `Options::state_dir`",
            path.display()
        )));
    }
    match others(&list, &our_sid()?, Rights::Write) {
        None => Ok(()),
        Some(who) => Err(refused(format!(
            "others ({who}) may write in the folder {0}; if all that is in it is yours, give `icacls \"{0}\" \
             /inheritance:r /grant:r \"%USERNAME%:(OI)(CI)F\"`, or name another folder in `Options::state_dir`",
            path.display()
        ))),
    }
}

/// Whether its access list is ours to change.
pub(super) fn is_mendable(file: &File) -> io::Result<bool> {
    Ok(foreign_owner(&described(file)?, &our_sid()?).is_none())
}

/// # Errors
/// Others can read it.
pub(super) fn refuse_if_shared(file: &File) -> io::Result<()> {
    match others(&described(file)?, &our_sid()?, Rights::Read) {
        None => Ok(()),
        Some(who) => Err(refused(format!(
            "the file holds a secret and others ({who}) can read it; give `icacls FILE /inheritance:r /grant:r \
             \"%USERNAME%:F\"`, and consider a new secret"
        ))),
    }
}

/// The folder's access list has said who can have put it there.
pub(super) fn owned(_facts: &Metadata, _path: &Path) -> io::Result<()> {
    Ok(())
}

/// Links are not followed: one is no regular file.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}
