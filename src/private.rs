//! Files that only their owner may read or write. In: a state folder and names in it. Out: files that
//! were made, read and locked by descriptor. Never: a folder or a file that is trusted because it is
//! there, a name that can be guessed, a wait for the other end of a pipe.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};

/// Makes the folder `path` (0700) where it is missing, and sees that no other user can put files there.
///
/// # Errors
/// It cannot be made; it belongs to another user who is not root; or others may write in it or
/// exchange it. The message names the folder and says what to do.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)?;
    trusted(path)
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

/// The folder that `path` is in.
fn above(path: &Path) -> &Path {
    let above = path.parent().filter(|above| *above != Path::new(""));
    above.unwrap_or(Path::new("."))
}

/// Writes `text` to the file `path` in a folder that is [trusted](trusted): 0600, whole or not at all,
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
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        drop(fs::remove_file(&fresh));
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
    let file = match private(options.read(true)).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
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
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.metadata()?.is_dir() {
        let message = "this is a folder; name the file in it that holds the secret";
        return Err(io::Error::new(ErrorKind::IsADirectory, message));
    }
    if is_mendable(&file)? {
        refuse_if_shared(&file)?;
    }
    bytes(file).map(Some)
}

/// Whether its mode is ours to change.
#[cfg(unix)]
fn is_mendable(file: &File) -> io::Result<bool> {
    let ours = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
    let mounted = rustix::fs::fstatvfs(file)?.f_flag;
    Ok(ours && !mounted.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
fn is_mendable(_file: &File) -> io::Result<bool> {
    Ok(false)
}

fn refuse_if_shared(file: &File) -> io::Result<()> {
    let mode = mode(&file.metadata()?);
    if mode & 0o077 != 0 {
        return Err(refused(format!(
            "the file holds a secret and others can read it (mode {:o}); chmod 600 it, and consider a new secret",
            mode & 0o777
        )));
    }
    Ok(())
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
    if !facts.is_file() {
        let name = path.display();
        return Err(refused(format!("{name} is not a regular file; remove it")));
    }
    owned(facts, path)
}

#[cfg(unix)]
fn owned(facts: &Metadata, path: &Path) -> io::Result<()> {
    let (owner, us) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner == us || owner == 0 {
        return Ok(());
    }
    Err(refused(format!(
        "{} belongs to another user (uid {owner}, we are {us}); name a folder of your own in `Options::state_dir`",
        path.display()
    )))
}

#[cfg(not(unix))]
fn owned(_facts: &Metadata, _path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn mode(facts: &Metadata) -> u32 {
    facts.mode()
}

#[cfg(not(unix))]
fn mode(_facts: &Metadata) -> u32 {
    0
}

/// Links are not followed, and a pipe without another end is an error rather than a wait.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn refused(message: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, message)
}

/// Between the name of a file and the random end of the name under which it is written.
pub const FRESH: &str = ".new-";

/// No token, and no pair of credentials, is longer.
const LONGEST: u64 = 1 << 20;

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_is_made_is_for_us_alone() {
        let home = home();
        let path = home.path().join("a/b");
        folder(&path).expect("made");
        assert_eq!(mode_of(&path), 0o700);
        assert_eq!(mode_of(&home.path().join("a")), 0o700);
        folder(&path).expect("there already");
    }

    #[test]
    fn a_folder_in_which_others_may_write_is_refused() {
        let home = home();
        let path = home.path().join("state");
        folder(&path).expect("made");
        for mode in [0o777, 0o720, 0o702, 0o1777] {
            set_mode(&path, mode);
            let error = folder(&path).expect_err("shared").to_string();
            assert!(
                error.contains("state") && error.contains("chmod"),
                "{error}"
            );
            assert!(write(&path.join("f"), "secret").is_err());
            assert!(!path.join("f").exists());
        }
        set_mode(&path, 0o755);
        folder(&path).expect("others may look");
    }

    #[test]
    fn a_folder_that_others_may_exchange_is_refused() {
        let home = home();
        let above = home.path().join("above");
        let path = above.join("state");
        folder(&path).expect("made");
        set_mode(&above, 0o777);
        assert!(folder(&path).is_err());
        set_mode(&above, 0o1777);
        folder(&path).expect("as in a temporary folder");
    }

    #[test]
    fn a_name_that_somebody_prepared_is_not_written_through() {
        let home = home();
        let (path, elsewhere) = (home.path().join("f"), home.path().join("elsewhere"));
        fs::write(&elsewhere, "theirs").expect("ours");
        symlink(&elsewhere, &path).expect("ours");
        write(&path, "secret").expect("the link is replaced");
        assert_eq!(read(&path).expect("ours").as_deref(), Some("secret"));
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(fs::read_to_string(&elsewhere).expect("there"), "theirs");
        assert_eq!(
            names(home.path()),
            ["elsewhere", "f"],
            "nothing is left over"
        );
    }

    #[test]
    fn a_mark_or_a_lock_is_not_made_through_a_link() {
        let home = home();
        let (path, elsewhere) = (home.path().join("f"), home.path().join("elsewhere"));
        symlink(&elsewhere, &path).expect("ours");
        mark(&path).expect("something is there");
        assert!(lock_file(&path).is_err());
        assert!(read(&path).is_err() && seen(&path).is_err());
        assert!(!elsewhere.exists());
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_an_error_and_no_wait() {
        let home = home();
        let path = home.path().join("f");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("a pipe");
        assert!(read(&path).is_err() && lock_file(&path).is_err() && seen(&path).is_err());
        write(&path, "text").expect("replaced");
        assert_eq!(read(&path).expect("ours").as_deref(), Some("text"));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give files away.
        }
        let home = home();
        let (path, file) = (home.path().join("state"), home.path().join("state/f"));
        write(&file, "text").expect("ours");
        std::os::unix::fs::chown(&file, Some(1501), None).expect("root may");
        assert!(lock_file(&file).is_err() && read(&file).is_err() && seen(&file).is_err());
        std::os::unix::fs::chown(&path, Some(1501), None).expect("root may");
        let error = folder(&path).expect_err("theirs").to_string();
        assert!(error.contains("uid 1501"), "{error}");
        assert!(write(&file, "secret").is_err());
    }

    #[test]
    fn a_folder_in_the_place_of_a_secret_is_told_and_its_mode_is_not() {
        let home = home();
        let path = home.path().join("folder");
        fs::create_dir(&path).expect("ours");
        for error in [read(&path).err(), read_named(&path).err()] {
            let error = error.expect("no file").to_string();
            assert!(!error.contains("chmod"), "{error}");
        }
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        let home = home();
        let path = home.path().join("f");
        write(&path, "x").expect("writable");
        set_mode(&path, 0o640);
        let errors = [read(&path).err(), read_named(&path).err()];
        for error in errors {
            let error = error.expect("shared").to_string();
            assert!(error.contains("others can read it (mode 640)"), "{error}");
        }
    }

    #[test]
    fn a_file_that_the_user_names_may_be_a_link() {
        let home = home();
        let (path, link) = (home.path().join("..data"), home.path().join("token"));
        write(&path, "x").expect("writable");
        symlink(&path, &link).expect("ours");
        assert_eq!(read_named(&link).expect("ours").as_deref(), Some(&b"x"[..]));
        assert_eq!(read_named(&home.path().join("none")).expect("none"), None);
    }

    #[test]
    fn a_secret_of_another_user_is_taken_as_it_is_handed_over() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give files away.
        }
        let home = home();
        let (path, link) = (home.path().join("..data"), home.path().join("token"));
        symlink(&path, &link).expect("ours");
        for mode in [0o444, 0o644, 0o640, 0o400] {
            write(&path, "x").expect("writable");
            set_mode(&path, mode);
            std::os::unix::fs::chown(&path, Some(1501), None).expect("root may");
            let read = read_named(&link).expect("nothing that we could mend");
            assert_eq!(read.as_deref(), Some(&b"x"[..]), "{mode:o}");
            fs::remove_file(&path).expect("root may");
        }
    }

    fn home() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name())
            .map(|name| name.into_string().expect("Unicode"))
            .collect();
        names.sort();
        names
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }
}
