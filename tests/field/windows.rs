//! What only Windows has: files that others hold, junctions, names that mean something else, and long
//! paths. Where wine lacks something, that is said and passed over.
#![cfg(windows)]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::process::Command;

use super::common::Scene;
use super::common::program::{finish, stored, upload};

/// One is opened without being shared, of the other a part is locked: they are named, and what is beside
/// them goes on.
#[test]
fn files_that_another_program_holds_are_named_and_the_others_go_on() {
    let scene = Scene::small();
    for name in ["tree/free", "tree/held", "tree/locked"] {
        scene.file(name, 5_000);
    }
    let held = OpenOptions::new()
        .read(true)
        .share_mode(0)
        .open(scene.path("tree/held"));
    let held = held.expect("ours");
    let locked = File::options()
        .read(true)
        .write(true)
        .open(scene.path("tree/locked"));
    let locked = locked.expect("ours");
    locked.lock().expect("ours");
    // Wine keeps nobody from reading what is locked.
    let refuses = fs::read(scene.path("tree/locked")).is_err();
    let run = finish(upload(&scene).args(["--json", "--single-max=0", "tree"])).exit(1);
    let (files, _) = run.report();
    let failed = files.iter().filter(|file| file["status"] == "failed");
    let mut names: Vec<&str> = failed.filter_map(|file| file["remote"].as_str()).collect();
    names.sort_unstable();
    match refuses {
        true => assert_eq!(names, ["tree/held", "tree/locked"], "{run:?}"),
        false => assert_eq!(names, ["tree/held"], "{run:?}"),
    }
    assert!(stored(&scene.emulator).contains(&"tree/free".to_owned()));
    let why = run
        .stdout
        .matches("another program keeps the file to itself");
    assert_eq!(why.count(), names.len(), "{run:?}");
    drop((held, locked));
    finish(upload(&scene).args(["--on-conflict=overwrite", "tree"])).exit(0);
    assert_eq!(stored(&scene.emulator).len(), 3);
}

#[test]
fn a_junction_is_left_out_and_counted() {
    let scene = Scene::small();
    scene.file("tree/f", 10);
    scene.file("elsewhere/g", 10);
    let made = Command::new("cmd")
        .args(["/D", "/C", "mklink", "/J"])
        .args([scene.path("tree/junction"), scene.path("elsewhere")])
        .output();
    if made.is_err() || fs::read_link(scene.path("tree/junction")).is_err() {
        return eprintln!("skipped: no junction can be made here");
    }
    let run = finish(upload(&scene).args(["--json", "tree"])).exit(0);
    assert_eq!(stored(&scene.emulator), ["tree/f"]);
    let (_, summary) = run.report();
    assert_eq!(summary["left_out"]["link"], 1, "{run:?}");
}

/// By the form that says that a name is to be taken as it is, files can be called so.
#[test]
fn names_that_the_system_would_misread_lead_to_the_files_that_are_called_so() {
    let scene = Scene::small();
    let root = fs::canonicalize(scene.local.path()).expect("there");
    fs::create_dir(root.join("tree")).expect("made");
    for name in ["CON", "nul.txt", "dot.", "com1"] {
        fs::write(root.join("tree").join(name), name).expect("the exact name can be made");
    }
    finish(upload(&scene).arg("tree")).exit(0);
    let found = scene.stored_bytes();
    assert_eq!(found.len(), 4);
    for (path, bytes) in found {
        assert_eq!(
            path.strip_prefix("tree/").map(str::as_bytes),
            Some(&bytes[..]),
            "{path}"
        );
    }
}

#[test]
fn a_tree_deeper_than_260_characters_goes_up_by_a_relative_and_by_a_whole_path() {
    let scene = Scene::small();
    let deep = format!("tree/{}", "目录目录目录目录目录目录/".repeat(30));
    let path = scene.file(&format!("{deep}文件"), 70_000);
    assert!(path.as_os_str().len() > 260);
    finish(upload(&scene).arg("tree")).exit(0);
    scene.assert_arrived(&path, &format!("{deep}文件"));
    finish(upload(&scene).args(["--dest", "whole"]).arg(&path)).exit(0);
    scene.assert_arrived(&path, "whole/文件");
}

/// Drives, servers and the root are on this machine; what is below them has a place there.
#[test]
fn a_list_of_whole_paths_keeps_their_folders_and_neither_drive_nor_server() {
    let scene = Scene::small();
    let path = scene.file("tree/文件", 10);
    let whole = path.to_str().expect("Unicode").replace('/', "\\");
    let (drive, below) = whole.split_once(":\\").expect("a drive");
    let list = format!("\u{feff}{whole}\r\n\\\\?\\{whole}\r\n{drive}:/{below}\r\n");
    let list: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(scene.path("list.txt"), list).expect("written");
    finish(upload(&scene).args(["--on-conflict=overwrite", "--files-from", "list.txt"])).exit(0);
    assert_eq!(stored(&scene.emulator), [below.replace('\\', "/")]);
}

/// It is no Unicode, and the service takes nothing else.
#[test]
fn a_name_with_half_a_character_is_told_and_counted_and_the_others_go_on() {
    let scene = Scene::small();
    scene.file("tree/good", 10);
    let half = OsString::from_wide(&[0x61, 0xd800, 0x62]);
    // Wine gives the file another name.
    drop(fs::write(scene.path("tree").join(&half), "x"));
    let mut found = fs::read_dir(scene.path("tree")).expect("there");
    let is_there = found.any(|entry| entry.expect("readable").file_name() == half);
    let units = [0xfeff, 0x61, 0xd800, 0x62, 0xd, 0xa].into_iter();
    let units = units.chain("tree\\good\r\n".encode_utf16());
    let list: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    fs::write(scene.path("list.txt"), list).expect("written");
    for words in [
        vec!["--files-from".into(), "list.txt".into()],
        vec![half, "tree/good".into()],
    ] {
        let again = ["--json", "--on-conflict=overwrite"];
        let run = finish(upload(&scene).args(again).args(&words)).exit(4);
        let (files, summary) = run.report();
        assert_eq!((&summary["failed"], files.len()), (&1.into(), 2), "{run:?}");
        let failed = files.iter().find(|file| file["status"] == "failed");
        let path = failed.and_then(|file| file["path"].as_str());
        assert_eq!(path, Some("a\u{fffd}b"), "{run:?}");
        assert!(
            stored(&scene.emulator)
                .iter()
                .any(|name| name.ends_with("good"))
        );
    }
    if is_there {
        let run = finish(upload(&scene).args(["--json", "tree"])).exit(4);
        assert!(run.stdout.contains("the name is not Unicode"), "{run:?}");
    }
}

/// What has a colon is a part beside a file's contents; the rest are signs that no name may have here, in
/// paths and in what a service of Unix' names takes all the same.
#[test]
fn names_that_no_file_can_have_are_told_and_the_others_go_on() {
    let scene = Scene::small();
    scene.file("good", 10);
    scene.file("f", 10);
    let list = "good\nf:stream\nf::$DATA\na?b\na|b\na\"b\n";
    fs::write(scene.path("list"), list).expect("written");
    let run = finish(upload(&scene).args(["--json", "--files-from", "list"]));
    assert!(matches!(run.code, 1 | 4), "{run:?}");
    let (files, summary) = run.report();
    assert_eq!((&summary["failed"], files.len()), (&5.into(), 6), "{run:?}");
    assert_eq!(stored(&scene.emulator), ["good"]);
    for name in ["a:b", "x/CON:1"] {
        let to = finish(upload(&scene).args(["--dest", name, "good"]));
        assert_ne!(to.code, 0, "{to:?}");
    }
    // The service's other users may have these.
    for name in ["CON", "x/nul.txt/dot."] {
        finish(upload(&scene).args(["--dest", name, "f"])).exit(0);
    }
    assert_eq!(stored(&scene.emulator).len(), 3);
}
