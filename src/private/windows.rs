//! Windows: access lists. A folder that is made here has one of its own, which its files take over: us,
//! the system and the administrators.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};

use super::sddl::{Rights, foreign_owner, others};
use super::{above, refused};
use crate::source::{described, make_folder, our_sid};

/// Makes a folder with such a list where it is missing; those above it take over what is above them.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = above(path);
    std::fs::create_dir_all(above)?;
    // Ourselves by name: what an administrator makes belongs to all of them.
    let list = format!(
        "D:P(A;OICI;FA;;;{})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
        our_sid()?
    );
    // In the form that may be of any length.
    let whole = match path.file_name() {
        Some(name) => std::fs::canonicalize(above)?.join(name),
        None => std::path::absolute(path)?,
    };
    let made = make_folder(&whole, &list);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{folder, read, read_named, write};
    use super::*;

    #[test]
    fn a_folder_that_is_made_is_ours_alone_however_long_its_path_is() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home
            .path()
            .join("状态".repeat(60))
            .join("x".repeat(100))
            .join("state");
        folder(&path).expect("made");
        folder(&path).expect("there already");
        write(&path.join("token"), "secret").expect("ours");
        write(&path.join("token"), "another").expect("replaced");
        let text = read(&path.join("token")).expect("ours alone");
        assert_eq!(text.as_deref(), Some("another"));
        assert_eq!(
            fs::read_dir(&path).expect("there").count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_folder_in_which_everybody_may_write_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("state");
        let us = our_sid().expect("known");
        make_folder(&path, &format!("D:P(A;OICI;FA;;;{us})(A;OICI;FA;;;WD)")).expect("made");
        let mut options = OpenOptions::new();
        options.access_mode(READ_CONTROL);
        options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        let list = described(&options.open(&path).expect("ours")).expect("readable");
        if others(&list, &us, Rights::Write).is_none() {
            return; // Wine makes lists of modes, from which what the user's mask forbids is taken away.
        }
        let error = folder(&path).expect_err("shared").to_string();
        assert!(
            error.contains("everybody") && error.contains("icacls"),
            "{error}"
        );
        assert!(write(&path.join("f"), "secret").is_err());
        assert!(!path.join("f").exists());
    }

    /// The system only says that access is denied.
    #[test]
    fn a_folder_in_the_place_of_a_secret_is_told_as_one() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("secret");
        fs::create_dir(&path).expect("ours");
        let own = read(&path).expect_err("no file").to_string();
        assert!(own.contains("not a regular file"), "{own}");
        let named = read_named(&path).expect_err("no file").to_string();
        assert!(named.contains("this is a folder"), "{named}");
    }

    /// A virus scanner has it open, or another panup.
    #[test]
    fn a_file_that_somebody_holds_for_a_moment_is_written_all_the_same() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("state/token");
        write(&path, "one").expect("ours");
        let alone = OpenOptions::new()
            .read(true)
            .share_mode(0)
            .open(&path)
            .expect("ours");
        let scanner = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(alone);
        });
        write(&path, "two").expect("it was let go");
        scanner.join().expect("no panic");
        assert_eq!(read(&path).expect("ours").as_deref(), Some("two"));
    }
}
