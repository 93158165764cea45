//! Local oddities: folders that cannot be made, read or written, and places that cannot be. Each is
//! one line that names what it is about, before anything is sent.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use panup_emulator::Config;

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, stored, upload};
use crate::resources::a_user_of_its_own;

#[test]
fn a_destination_that_cannot_be_is_refused_before_any_file_is_looked_at() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    for dest in ["..", "../x", "a/../b", "a:b", r"x\y", " ", "a/ /b"] {
        let done = finish(upload(&scene).args(["--dest", dest, "f"])).exit(2);
        assert!(done.stderr.contains("--dest"), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    }
    assert!(scene.emulator.stats().calls.is_empty());
    for dest in [".", "./", "/", "./x//./y/"] {
        finish(
            upload(&scene)
                .args(["--no-resume", "--dest", dest, "f"])
                .args(OVERWRITE),
        )
        .exit(0);
    }
    assert_eq!(stored(&scene.emulator), ["f", "x/y/f"]);
}

#[test]
fn the_same_holds_for_names_that_are_handed_in() {
    let scene = Scene::new(Config::default());
    let path = scene.file("f", 10);
    for (remote, taken) in [("a/../f", false), ("./a/./f", true)] {
        let item = panup::Item::new(&path).to(0, remote);
        let outcome = tokio::runtime::Runtime::new()
            .expect("threads")
            .block_on(scene.client().upload(item));
        assert_eq!(outcome.is_ok(), taken, "{remote}");
    }
    assert_eq!(stored(&scene.emulator), ["a/f"]);
}

#[test]
fn an_emulator_that_cannot_start_says_why() {
    let home = crate::common::folder();
    fs::write(home.path().join("file"), "").expect("ours");
    for (args, named) in [
        (["--dir", "/proc/x"], "/proc/x"),
        (["--dir", "file/x"], "file/x"),
        (["--listen", "192.0.2.1:9"], "192.0.2.1:9"),
    ] {
        let done = finish(panup(home.path()).arg("emulate").args(args)).exit(2);
        assert!(!done.stderr.contains("panicked"), "{done:?}");
        assert!(done.stderr.contains(named), "{done:?}");
    }
}

#[test]
fn a_mistake_is_told_with_what_there_is() {
    let home = crate::common::folder();
    let mistakes: [(&[&str], &str); 2] = [
        (
            &["emulate", "--fault", "slice:1=boom"],
            "stall-answer:MILLIS",
        ),
        (&["upload", "--parent-id", "-5", "f"], "0 for the root"),
    ];
    for (args, said) in mistakes {
        let done = finish(panup(home.path()).args(args)).exit(2);
        assert!(done.stderr.contains(said), "{done:?}");
    }
    // Its mode is no matter: nothing is gained by a chmod.
    let mut command = panup(home.path());
    command.args(["upload", "--token-file", "/", "f"]);
    let done = finish(&mut command).exit(2);
    assert!(done.stderr.contains("folder"), "{done:?}");
    assert!(!done.stderr.contains("chmod"), "{done:?}");
}

#[test]
fn a_state_folder_that_is_none_is_told() {
    let home = crate::common::folder();
    fs::write(home.path().join("file"), "").expect("ours");
    for command in [&["status"][..], &["forget", "--all"]] {
        let mut asked = panup(home.path());
        let done = finish(asked.args(command).args(["--state-dir", "file"])).exit(2);
        assert!(done.stderr.contains("no folder"), "{done:?}");
        let mut asked = panup(home.path());
        finish(asked.args(command).args(["--state-dir", "none"])).exit(0);
    }
}

/// What a read-only journal knows is used, and shown.
#[test]
fn a_journal_that_cannot_be_written_is_read() {
    let Some(user) = a_user_of_its_own() else {
        eprintln!("skipped: permissions do not bind this user, and no other can be had");
        return;
    };
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let home = scene.local.path();
    let program = std::env::temp_dir().join(format!("panup-odd-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_panup"), &program).expect("copied");
    let id: u32 = user[2].parse().expect("a number");
    let state = home.join("state");
    fs::create_dir(&state).expect("ours");
    for path in [home, &state, &home.join("f")] {
        chown(path, Some(id), None).expect("root may");
    }
    let run = |args: &[&str]| {
        let mut command = Command::new(&user[0]);
        command.args(&user[1..]).arg(&program).args(args);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home);
        command.env("PANUP_TOKEN", scene.emulator.token());
        command.env("PANUP_STATE_DIR", &state).current_dir(home);
        Finished::from(command.output().expect("started"))
    };
    let api = scene.emulator.api();
    let send = ["upload", "--api", &api, "f"];
    run(&send).exit(0);
    allow(&state, 0o500);
    let done = run(&["status"]).exit(0);
    assert!(done.stdout.contains("1 finished"), "{done:?}");
    assert!(done.stderr.contains("read-only"), "{done:?}");
    let done = run(&send).exit(0);
    assert!(done.stdout.contains("1 skipped"), "{done:?}");
    assert!(done.stderr.contains("read-only"), "{done:?}");
    let done = run(&["forget", "--all"]).exit(2);
    assert!(done.stderr.contains("read-only"), "{done:?}");
    allow(&state, 0o700);
    fs::remove_file(&program).expect("ours");
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
}

const OVERWRITE: [&str; 2] = ["--on-conflict", "overwrite"];
