//! What holds of files here: others go on with them, each change has its name, and a name leads to itself.

use std::fs;
use std::os::windows::fs::OpenOptionsExt;

use tempfile::tempdir;

use super::*;
use crate::error::Operation;
use crate::source::{Memory, Settings, Source};

fn opened(path: &Path) -> Source {
    Source::open(
        path,
        &Settings {
            map_from: 1,
            maps: true,
        },
    )
    .expect("a file")
}

fn why(source: &Source) -> String {
    let checked = source.check(Operation::Check);
    checked.expect_err("it changed").message().to_owned()
}

#[test]
fn an_open_file_can_be_written_cut_renamed_and_deleted_by_others() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("名 1");
    fs::write(&path, [7; 10_000]).expect("written");
    let source = opened(&path);
    assert!(source.mapped().is_none(), "it is read");
    let bytes = source.bytes(0..10_000, &Memory::default()).expect("there");
    assert_eq!(bytes, vec![7; 10_000]);
    source.check(Operation::Check).expect("as it was");
    let other = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("shared");
    other.set_len(10).expect("nothing is mapped");
    assert!(why(&source).contains("truncated from 10000 to 10 bytes"));
    other.set_len(20_000).expect("room");
    assert!(why(&source).contains("grown from 10000 to 20000 bytes"));
    drop(other);
    fs::rename(&path, folder.path().join("other")).expect("shared");
    fs::write(&path, [7; 10_000]).expect("written");
    assert!(why(&source).contains("replaced by another file"));
    fs::remove_file(&path).expect("shared");
    fs::remove_file(folder.path().join("other")).expect("shared");
}

#[test]
fn a_file_that_is_read_after_it_was_cut_is_an_error() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("f");
    fs::write(&path, [7; 10_000]).expect("written");
    let source = opened(&path);
    fs::write(&path, [7; 3]).expect("shared");
    let error = source
        .bytes(0..10_000, &Memory::default())
        .expect_err("cut");
    assert!(
        error.message().contains("truncated from 10000 to 3 bytes"),
        "{error}"
    );
}

#[test]
fn what_another_program_does_not_share_is_an_error() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("f");
    fs::write(&path, "abc").expect("written");
    let alone = fs::OpenOptions::new()
        .read(true)
        .share_mode(0)
        .open(&path)
        .expect("ours");
    let error = Source::open(&path, &Settings::default()).expect_err("held");
    assert_eq!(error.kind(), crate::Kind::Source);
    drop(alone);
    opened(&path);
}

/// A part that another program has locked, or a network drive that went away: in the middle of a file.
#[test]
fn a_read_that_the_system_refuses_is_an_error_that_names_the_file() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("f");
    fs::write(&path, [7; 10_000]).expect("written");
    let source = opened(&path);
    let other = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("shared");
    assert!(try_lock_byte(&other, 5_000).expect("locks"));
    source
        .bytes(0..5_000, &Memory::default())
        .expect("what is before it");
    match source.bytes(0..10_000, &Memory::default()) {
        Err(error) => assert_eq!(
            (error.kind(), error.path()),
            (crate::Kind::Source, Some(&*path))
        ),
        // Wine keeps nobody from reading what is locked.
        Ok(bytes) => assert_eq!(bytes, vec![7; 10_000]),
    }
    unlock_byte(&other, 5_000).expect("held");
    source
        .bytes(0..10_000, &Memory::default())
        .expect("given back");
    // ERROR_NETNAME_DELETED, ERROR_BAD_NETPATH, ERROR_UNEXP_NET_ERR, ERROR_DEV_NOT_EXIST, ERROR_SEM_TIMEOUT.
    for code in [64, 53, 59, 55, 121] {
        let error = crate::Error::read(&path, io::Error::from_raw_os_error(code));
        assert!(
            !error.is_final() && !error.is_scarcity() && error.path() == Some(&*path),
            "{error}"
        );
    }
}

#[test]
fn one_handle_holds_a_byte_and_the_others_are_told() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("locks");
    let open = || {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(&path).expect("made")
    };
    let (one, other) = (open(), open());
    for at in [0, 7, i64::MAX as u64 - 9] {
        assert!(try_lock_byte(&one, at).expect("locks"));
        assert!(!try_lock_byte(&other, at).expect("locks"), "{at}");
    }
    assert!(
        try_lock_byte(&other, 8).expect("locks"),
        "a neighbour is free"
    );
    unlock_byte(&one, 7).expect("held");
    assert!(try_lock_byte(&other, 7).expect("locks"), "given back");
    assert!(try_lock_file(&one).expect("locks"));
    assert!(!try_lock_file(&other).expect("locks"));
    fs::write(&path, "whoever does not lock it").expect("goes on");
    unlock_file(&one).expect("held");
    drop(one);
    assert!(try_lock_byte(&other, 0).expect("locks"), "closed");
    assert!(try_lock_file(&other).expect("locks"));
}

#[test]
fn a_name_leads_to_itself_and_not_to_what_is_left_of_it() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("a"), "plain").expect("written");
    let error = Source::open(&folder.path().join("a."), &Settings::default());
    assert!(error.is_err(), "there is no file of that name");
    for name in ["a.", "a ", "CON", "nul.txt"] {
        let path = folder.path().join(name);
        fs::write(exact::exact(&path).expect("a name"), name).expect("the exact name can be made");
        let mut text = Vec::new();
        opened(&path).read_into(&mut text).expect("readable");
        assert_eq!(text, name.as_bytes());
        fs::remove_file(exact::exact(&path).expect("a name")).expect("ours");
    }
}

#[test]
fn a_path_may_be_longer_than_260_characters() {
    let folder = tempdir().expect("a folder");
    let mut deep = folder.path().to_owned();
    for _ in 0..8 {
        deep.push("目录".repeat(20));
    }
    fs::create_dir_all(&deep).expect("made");
    let path = deep.join("文件");
    fs::write(&path, "deep").expect("written");
    for source in [
        opened(&path),
        Source::open_below(Some(folder.path()), &path, &Settings::default()).expect("below"),
    ] {
        let mut text = Vec::new();
        source.read_into(&mut text).expect("readable");
        assert_eq!(text, b"deep");
        source.check(Operation::Check).expect("as it was");
    }
}

#[test]
fn a_path_that_is_not_below_its_root_is_refused() {
    let folder = tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("tree/a")).expect("made");
    fs::write(at("tree/a/f"), "inside").expect("written");
    fs::write(at("f"), "outside").expect("written");
    let open = |path: &Path| Source::open_below(Some(&at("tree")), path, &Settings::default());
    assert!(open(&at("tree/a/f")).is_ok());
    assert!(open(&at("f")).is_err());
    assert!(open(&at("tree/a/../../f")).is_err());
    assert!(open(&at("tree/none")).is_err());
    fs::rename(at("tree/a"), at("tree/b")).expect("nothing is held any more");
}

#[test]
fn a_folder_is_told() {
    let folder = tempdir().expect("a folder");
    let error = Source::open(folder.path(), &Settings::default()).expect_err("no file");
    assert!(error.message().contains("a directory"), "{error}");
}

#[test]
fn a_folder_of_ours_says_so() {
    let folder = tempdir().expect("a folder");
    let us = our_sid().expect("known");
    assert!(us.starts_with("S-1-5-"), "{us}");
    let path = folder.path().join("state");
    make_folder(&path, &format!("D:P(A;OICI;FA;;;{us})")).expect("made");
    assert!(make_folder(&path, "D:P").is_err(), "it is there");
    let mut options = fs::OpenOptions::new();
    options.access_mode(0x2_0000).custom_flags(0x0200_0000);
    let list = described(&options.open(&path).expect("ours")).expect("readable");
    assert!(list.contains("D:"), "{list}");
}

#[test]
fn what_a_process_uses_of_the_processors_is_counted() {
    let before = super::processor_time();
    let began = std::time::Instant::now();
    // Counted in steps of some sixty a second.
    while super::processor_time() - before < std::time::Duration::from_millis(50) {
        assert!(began.elapsed().as_secs() < 60, "it does nothing else");
        std::hint::black_box((0..100_000_u64).sum::<u64>());
    }
}
