//! Which files go up, and where to.

use std::fs;

use panup_emulator::Config;

use crate::common::program::{finish, local, not_there, stored, upload};
use crate::common::{Scene, make, same_contents};

#[test]
fn a_directory_goes_up_as_itself_with_all_below_it() {
    let scene = scene();
    finish(upload(&scene).arg("tree")).exit(0);
    assert_eq!(
        stored(&scene.emulator),
        [
            "tree/.hidden",
            "tree/a.txt",
            "tree/b.bin",
            "tree/sub/照片 1.txt"
        ]
    );
    for path in stored(&scene.emulator) {
        scene.assert_arrived(&scene.local.path().join(&path), &path);
    }
}

#[test]
fn include_and_exclude() {
    let rows: [(&[&str], &[&str]); 4] = [
        (
            &["--include", "*.txt"],
            &["tree/a.txt", "tree/sub/照片 1.txt"],
        ),
        (&["--exclude", "*.txt"], &["tree/.hidden", "tree/b.bin"]),
        (
            &["--exclude", "sub"],
            &["tree/.hidden", "tree/a.txt", "tree/b.bin"],
        ),
        (
            &[
                "--include",
                "*.txt",
                "--include",
                "*.bin",
                "--exclude",
                "a.*",
            ],
            &["tree/b.bin", "tree/sub/照片 1.txt"],
        ),
    ];
    for (args, expected) in rows {
        let scene = scene();
        finish(upload(&scene).args(args).arg("tree")).exit(0);
        assert_eq!(stored(&scene.emulator), expected, "{args:?}");
    }
}

#[test]
fn sizes() {
    let rows: [(&[&str], &[&str]); 3] = [
        (
            &["--min-size", "30"],
            &["tree/b.bin", "tree/sub/照片 1.txt"],
        ),
        (
            &["--max-size", "30"],
            &["tree/.hidden", "tree/a.txt", "tree/b.bin"],
        ),
        (&["--min-size", "30", "--max-size", "30"], &["tree/b.bin"]),
    ];
    for (args, expected) in rows {
        let scene = scene();
        finish(upload(&scene).args(args).arg("tree")).exit(0);
        assert_eq!(stored(&scene.emulator), expected, "{args:?}");
    }
}

#[test]
fn listed_files_keep_their_folders() {
    let scene = scene();
    let list = scene.local.path().join("list");
    fs::write(&list, "tree/a.txt\n./tree/sub/照片 1.txt\n\n").expect("written");
    finish(upload(&scene).args(["--files-from", "list"])).exit(0);
    assert_eq!(
        stored(&scene.emulator),
        ["tree/a.txt", "tree/sub/照片 1.txt"]
    );
}

#[test]
fn lists_from_standard_input_with_nul_bytes() {
    let scene = scene();
    // No name of Windows' has a line end.
    let name = if cfg!(windows) {
        "two  words"
    } else {
        "two\nlines"
    };
    make(&scene.local.path().join(name), 10, 0);
    let mut command = upload(&scene);
    command.args(["--files-from", "-", "-0"]);
    let done = finish(command.write_stdin(format!("tree/a.txt\0{name}\0")));
    // Whether a name may have a line end is the service's to say; that it is one name is ours.
    let mut expected = vec!["tree/a.txt"];
    if done.code == 0 {
        expected.push(name);
    }
    assert_eq!(stored(&scene.emulator), expected, "{done:?}");
    assert!(!done.stderr.contains(&not_there()), "{done:?}");
}

#[test]
fn below_a_remote_folder_and_a_parent() {
    let scene = scene();
    let parent = scene
        .emulator
        .make_folder("home")
        .expect("made")
        .to_string();
    let args = [
        "--parent-id",
        &parent,
        "--dest",
        "/备份/2026/",
        "tree/a.txt",
    ];
    finish(upload(&scene).args(args)).exit(0);
    assert_eq!(stored(&scene.emulator), ["home/备份/2026/a.txt"]);
}

#[test]
fn on_conflict() {
    for (policy, code, count, new_has_the_name) in [
        ("fail", 4, 1, false),
        ("keep-both", 0, 2, false),
        ("overwrite", 0, 1, true),
    ] {
        let scene = scene();
        finish(upload(&scene).arg("tree/a.txt")).exit(0);
        let new = scene.local.path().join("other/a.txt");
        make(&new, 20, 9);
        // Without the journal, which knows the first file as finished.
        let args = ["--on-conflict", policy, "other/a.txt"];
        finish(upload(&scene).args(args)).exit(code);
        assert_eq!(stored(&scene.emulator).len(), count, "{policy}");
        let named = scene.stored("a.txt").local.expect("stored");
        assert_eq!(same_contents(&new, &named), new_has_the_name, "{policy}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_where_that_is_asked() {
    for (follow, expected) in [(false, 4), (true, 5)] {
        let scene = scene();
        let link = scene.local.path().join("tree/link.txt");
        std::os::unix::fs::symlink("a.txt", link).expect("a link");
        let mut command = upload(&scene);
        if follow {
            command.arg("--follow");
        }
        finish(command.arg("tree")).exit(0);
        assert_eq!(stored(&scene.emulator).len(), expected);
    }
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let scene = scene();
    let never = ["--dry-run", "--look", "never"];
    let done = finish(upload(&scene).args(never).args(["--dest", "d", "tree"])).exit(0);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{done:?}");
    let line = format!(
        "upload    {} -> d/tree/a.txt (20 bytes)",
        local("tree/a.txt")
    );
    assert!(lines.contains(&&*line), "{lines:?}");
    assert!(done.stderr.contains("4 files"), "{done:?}");
    finish(upload(&scene).args(never).arg("missing")).exit(1);
    assert!(scene.emulator.stats().calls.is_empty());
}

#[test]
fn a_dry_run_in_json_is_json() {
    let scene = scene();
    let args = ["--dry-run", "--json", "--look", "never", "tree", "missing"];
    let done = finish(upload(&scene).args(args)).exit(1);
    let events = done.events();
    let planned: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "planned")
        .collect();
    assert_eq!(planned.len(), 4, "{done:?}");
    let text = planned
        .iter()
        .find(|event| event["path"] == *local("tree/a.txt"));
    let text = text.expect("listed");
    assert_eq!(
        (&text["remote"], &text["size"]),
        (&"tree/a.txt".into(), &20.into())
    );
    let (failed, summary) = done.report();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["error"]["kind"], "source");
    assert_eq!(
        (&summary["files"], &summary["failed"]),
        (&5.into(), &1.into())
    );
    assert_eq!(summary["uploaded"], 0);
    assert!(scene.emulator.stats().calls.is_empty());
}

/// A tree of four files of different sizes.
fn scene() -> Scene {
    let scene = Scene::new(Config::default());
    scene.file("tree/.hidden", 10);
    scene.file("tree/a.txt", 20);
    scene.file("tree/b.bin", 30);
    scene.file("tree/sub/照片 1.txt", 40);
    scene
}
