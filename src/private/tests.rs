//! Files and folders that others prepared, own or can read.

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
