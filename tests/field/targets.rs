//! Two files for one remote name, in one run and in two runs at once.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use panup_emulator::{Config, Operation};

use crate::common::Scene;
use crate::common::program::{self, Finished, below_root, finish, local, stored};

#[test]
fn two_files_of_one_name_are_refused_but_the_first() {
    for conflict in ["fail", "overwrite"] {
        let scene = same_names();
        let ended = finish(upload(&scene, conflict).args(["x/data.bin", "y/data.bin"])).exit(4);
        assert_eq!(stored(&scene.emulator), ["data.bin"]);
        scene.assert_arrived(&scene.local.path().join("x/data.bin"), "data.bin");
        let (files, summary) = ended.report();
        assert_eq!(
            (&summary["uploaded"], &summary["failed"]),
            (&1.into(), &1.into())
        );
        let refused = files
            .iter()
            .find(|file| file["status"] == "failed")
            .expect("one");
        assert_eq!(refused["path"], "y/data.bin");
        assert_eq!(refused["error"]["kind"], "invalid");
        let message = refused["error"]["message"].as_str().expect("a text");
        assert!(message.contains(&local("x/data.bin")), "{message}");
        // The same again: the first is known, and the second is refused as before.
        finish(upload(&scene, conflict).args(["x/data.bin", "y/data.bin"])).exit(4);
        scene.assert_arrived(&scene.local.path().join("x/data.bin"), "data.bin");
        assert_eq!(scene.emulator.stats().of(Operation::Single).calls, 1);
    }
}

#[test]
fn two_folders_of_one_name_and_absolute_paths_of_a_list_as_well() {
    let scene = same_names();
    for (folder, seed) in [("p1", 1), ("p2", 2)] {
        crate::common::make(
            &scene.local.path().join(folder).join("photos/1.jpg"),
            99,
            seed,
        );
        crate::common::make(&scene.local.path().join(folder).join(folder), 99, seed);
    }
    let ended = finish(upload(&scene, "overwrite").args(["p1/photos", "p2/photos"])).exit(4);
    // Its JSON doubles the backslashes.
    let told = ended.stdout.replace("\\\\", "/");
    assert!(told.contains("p1/photos/1.jpg"), "{ended:?}");
    assert_eq!(stored(&scene.emulator), ["photos/1.jpg"]);
    scene.assert_arrived(&scene.local.path().join("p1/photos/1.jpg"), "photos/1.jpg");
    let list = ["x", "y"].map(|folder| scene.local.path().join(folder).join("data.bin"));
    let lines = list
        .each_ref()
        .map(|path| path.display().to_string())
        .join("\n");
    fs::write(scene.local.path().join("list"), lines).expect("written");
    finish(upload(&scene, "overwrite").args(["--files-from", "list"])).exit(0);
    for path in &list {
        scene.assert_arrived(path, &below_root(path));
    }
}

#[test]
fn both_are_kept_and_a_file_that_is_named_four_times_goes_up_once() {
    let scene = same_names();
    fs::create_dir(scene.local.path().join("sub")).expect("a folder");
    let own = scene.local.path().join("x/data.bin");
    let spellings = ["x/data.bin", "./x/data.bin", "sub/../x/data.bin"];
    for conflict in ["fail", "overwrite", "keep-both"] {
        let scene = same_names();
        fs::create_dir(scene.local.path().join("sub")).expect("a folder");
        let ended = finish(
            upload(&scene, conflict)
                .args(spellings)
                .arg(scene.local.path().join("x/data.bin")),
        )
        .exit(0);
        let (_, summary) = ended.report();
        assert_eq!(
            (&summary["uploaded"], &summary["skipped"]),
            (&1.into(), &3.into()),
            "{conflict}"
        );
        assert_eq!(scene.emulator.files().len(), 1, "{conflict}");
    }
    finish(
        upload(&scene, "keep-both")
            .args(["x/data.bin", "y/data.bin"])
            .args(spellings)
            .arg(own),
    )
    .exit(0);
    assert_eq!(stored(&scene.emulator), ["data(1).bin", "data.bin"]);
}

#[test]
fn a_file_and_a_folder_of_one_name_are_refused() {
    let scene = same_names();
    fs::create_dir(scene.local.path().join("z")).expect("a folder");
    fs::write(scene.local.path().join("z/x"), "a file").expect("written");
    for conflict in ["fail", "keep-both"] {
        let ended = finish(upload(&scene, conflict).args(["x", "z/x"])).exit(4);
        let (files, _) = ended.report();
        let refused = files
            .iter()
            .find(|file| file["status"] == "failed")
            .expect("one");
        assert_eq!(
            (&refused["path"], &refused["error"]["kind"]),
            (&"z/x".into(), &"invalid".into())
        );
        let message = refused["error"]["message"].as_str().expect("a text");
        assert!(message.contains(&local("x/data.bin")), "{message}");
        assert_eq!(stored(&scene.emulator), ["x/data.bin"]);
    }
}

/// As jobs of cron that overlap.
#[test]
fn two_runs_at_once_send_every_file_once() {
    for conflict in ["fail", "keep-both", "overwrite"] {
        let scene = Scene::new(Config {
            slice_size: 64 << 10,
            polls: 0,
            // With a second one, a slice that straggles at the end may be sent once more there.
            servers: 1,
            ..Config::default()
        });
        for number in 0..6 {
            scene.file(&format!("d/small{number}"), 1000 + number);
            scene.file(&format!("d/large{number}"), (256 << 10) + 1 + number);
        }
        let start = || {
            let mut command = program::plain(scene.local.path());
            command.args(["upload", "--api", &scene.emulator.api(), "--json", "d"]);
            command.args(["--on-conflict", conflict, "--state-dir", "state"]);
            command.args(["--single-max", "64K", "--limit-rate", "1M"]);
            command.args(["--call-rate", "create=10000,complete=10000,single=10000"]);
            command.env("PANUP_TOKEN", scene.emulator.token());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("started")
        };
        let runs = [start(), start()];
        let ended = runs.map(|run| Finished::from(run.wait_with_output().expect("ended")).exit(0));
        let count = |what: &str| -> u64 {
            let summaries = ended.iter().map(|run| run.report().1);
            summaries
                .map(|summary| summary[what].as_u64().expect("a number"))
                .sum()
        };
        let counts = ["uploaded", "skipped", "failed"].map(count);
        assert_eq!(counts, [12, 12, 0], "{conflict}: {ended:?}");
        assert_eq!(scene.emulator.files().len(), 12, "{conflict}");
        let stats = scene.emulator.stats();
        let made = stats.of(Operation::Create).calls + stats.of(Operation::Single).calls;
        assert_eq!(made, 12, "{conflict}: every file is announced once");
        assert_eq!(stats.of(Operation::Slice).calls, 6 * 5, "{conflict}");
    }
}

/// `x/data.bin` and `y/data.bin`, which differ.
fn same_names() -> Scene {
    let scene = Scene::new(Config::default());
    for (folder, seed) in [("x", 1), ("y", 2)] {
        crate::common::make(
            &scene.local.path().join(folder).join("data.bin"),
            9999,
            seed,
        );
    }
    scene
}

fn upload(scene: &Scene, conflict: &str) -> assert_cmd::Command {
    let mut command = program::upload(scene);
    command.args(["--json", "--on-conflict", conflict, "--state-dir"]);
    command.arg(Path::new("state"));
    command
}

/// Two files here, and one for many a program that downloads them. Windows has no two names that differ
/// only by case.
#[test]
fn names_that_differ_only_by_case_or_composition_are_told() {
    let scene = Scene::small();
    let by_case: &[&str] = if cfg!(windows) { &[] } else { &["d/A.txt"] };
    let names = ["d/a.txt", "d/caf\u{e9}", "d/cafe\u{301}", "d/b"];
    for name in names.iter().chain(by_case) {
        scene.file(name, 1000);
    }
    let done = finish(upload(&scene, "fail").arg("d")).exit(0);
    let warnings = done
        .events()
        .into_iter()
        .filter(|event| event["event"] == "warning");
    let texts: Vec<String> = warnings.map(|event| event["message"].to_string()).collect();
    assert_eq!(texts.len(), 1 + by_case.len(), "{texts:?}");
    assert!(
        texts
            .iter()
            .all(|text| text.contains("differs only by case")),
        "{texts:?}"
    );
    assert_eq!(stored(&scene.emulator).len(), names.len() + by_case.len());
}
