//! Empty folders: made where that is asked for, left out and counted otherwise.

use std::fs;

use assert_cmd::Command;
use panup_emulator::{Action, Config, Fault, Operation, Quirks};

use crate::common::Scene;
use crate::common::program::{finish, upload};

#[test]
fn empty_folders_are_made_once_the_files_are_there() {
    for no_dir_id in [false, true] {
        let scene = scene(no_dir_id);
        let run = || {
            let mut command = run(&scene, "deep/dest");
            finish(command.args(["--json", "tree"])).exit(0)
        };
        let first = run();
        let mut made = made(&first.events());
        made.sort();
        let wanted = ["empty", "files/empty", "only/empty/below"];
        assert_eq!(made, wanted.map(|name| format!("deep/dest/tree/{name}")));
        let (files, summary) = first.report();
        assert_eq!(
            (files.len(), summary["folders"].as_u64()),
            (1, Some(3)),
            "{summary}"
        );
        assert_eq!(summary["left_out"], 0, "{summary}");
        for name in &wanted {
            let there = scene.remote.path().join("deep/dest/tree").join(name);
            assert!(there.is_dir(), "{}", there.display());
        }
        let again = run();
        let there = again.events();
        let there = there.iter().filter(|event| event["status"] == "there");
        let (_, summary) = again.report();
        assert_eq!(
            (there.count(), summary["folders"].as_u64()),
            (3, Some(0)),
            "{summary}"
        );
        let calls = scene.emulator.stats().of(Operation::Create).calls;
        assert!(calls <= 1, "no file is sent for a folder");
    }
}

#[test]
fn without_the_option_they_are_counted_and_nothing_is_asked() {
    let scene = scene(false);
    let mut command = upload(&scene);
    let run = finish(command.args(["--no-resume", "--json", "tree"])).exit(0);
    let (_, summary) = run.report();
    assert_eq!(summary["left_out_by"]["empty_folder"], 3, "{summary}");
    assert_eq!(scene.emulator.stats().of(Operation::Mkdir).calls, 0);
}

#[test]
fn globs_and_dry_runs_hold_for_folders_too() {
    let scene = scene(false);
    let mut planned = run(&scene, "");
    let planned = finish(planned.args(["--dry-run", "--exclude", "only", "tree"])).exit(0);
    assert!(
        planned.stdout.contains("tree/empty (an empty folder)"),
        "{planned:?}"
    );
    assert!(!planned.stdout.contains("below"), "{planned:?}");
    assert_eq!(scene.emulator.stats().of(Operation::Mkdir).calls, 0);
    let mut lone = run(&scene, "");
    let lone = finish(lone.arg("tree/empty")).exit(0);
    assert!(lone.stdout.contains("1 empty folder made"), "{lone:?}");
    assert!(scene.remote.path().join("empty").is_dir());
    // The folder that all goes to is the root here.
    finish(run(&scene, "").arg("tree/empty/")).exit(0);
    assert_eq!(scene.emulator.stats().of(Operation::Mkdir).calls, 1);
}

#[test]
fn folders_that_cannot_be_made_are_told_and_the_files_are_up() {
    let scene = scene(false);
    let refusal = Action::Code {
        code: 1,
        message: "no more folders".to_owned(),
    };
    scene.emulator.inject(Fault::on(Operation::Mkdir, refusal));
    let mut command = run(&scene, "");
    let run = finish(command.args(["--json", "tree"]));
    assert!([1, 4].contains(&run.code), "{run:?}");
    let (files, summary) = run.report();
    let failed: Vec<_> = files
        .iter()
        .filter(|file| file["status"] == "failed")
        .collect();
    assert_eq!(
        (failed.len(), summary["uploaded"].as_u64()),
        (3, Some(1)),
        "{summary}"
    );
    assert!(
        failed[0]["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("no more folders"))
    );
}

/// A file, and three folders with nothing in them at several depths.
fn scene(no_dir_id: bool) -> Scene {
    let scene = Scene::new(Config {
        quirks: Quirks {
            no_dir_id,
            ..Quirks::default()
        },
        ..Config::default()
    });
    scene.file("tree/files/one", 10);
    for name in ["empty", "files/empty", "only/empty/below"] {
        fs::create_dir_all(scene.path("tree").join(name)).expect("room");
    }
    scene
}

fn run(scene: &Scene, dest: &str) -> Command {
    let mut command = upload(scene);
    command.args(["--empty-dirs", "--state-dir", "state", "--dest", dest]);
    command
}

fn made(events: &[serde_json::Value]) -> Vec<String> {
    let folders = events.iter().filter(|event| event["event"] == "folder");
    let made = folders.filter(|event| event["status"] == "made");
    made.map(|event| event["remote"].as_str().expect("text").to_owned())
        .collect()
}
