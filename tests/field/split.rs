//! `--split`: parts that the list of them puts together again, however often it takes.

use std::fs;
use std::path::Path;

use panup_emulator::Change;
use serde_json::Value;

use crate::common::program::{Finished, finish, panup, upload};
use crate::common::{Scene, noise};

const MIB: usize = 1 << 20;

/// A file of 3.5 MiB with its remote path, and one that is not split.
fn scene() -> (Scene, Vec<u8>) {
    let scene = Scene::small();
    let contents = noise(3 * MIB as u64 + MIB as u64 / 2, 1);
    fs::create_dir(scene.path("d")).expect("made");
    fs::write(scene.path("d/大.bin"), &contents).expect("written");
    fs::write(scene.path("d/small"), noise(MIB as u64, 2)).expect("written");
    (scene, contents)
}

fn split(scene: &Scene, more: &[&str]) -> Finished {
    let mut command = upload(scene);
    command.args(["--json", "--split", "1M", "--state-dir", "state"]);
    finish(command.args(more))
}

/// What is stored under `remote`.
fn stored(scene: &Scene, remote: &str) -> Vec<u8> {
    fs::read(scene.stored(remote).local.expect("it is kept")).expect("readable")
}

fn assert_whole(scene: &Scene, contents: &[u8]) {
    let parts = (1..=4).flat_map(|number| stored(scene, &format!("d/大.bin.00{number}")));
    assert!(parts.eq(contents.iter().copied()), "the parts are the file");
    // As a user would: in one folder, with md5sum.
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "大.bin.001",
        "大.bin.002",
        "大.bin.003",
        "大.bin.004",
        "大.bin.md5",
    ] {
        let bytes = stored(scene, &format!("d/{name}"));
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    fs::write(folder.path().join("大.bin"), contents).expect("written");
    let checked = finish(panup(folder.path()).args(["hash", "-c", "大.bin.md5"]));
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_eq!(checked.stdout.lines().count(), 5, "{checked:?}");
}

#[test]
fn parts_and_their_list_make_the_file_and_are_known_the_next_time() {
    let (scene, contents) = scene();
    let (files, summary) = split(&scene, &["d"]).exit(0).report();
    assert_eq!(summary["uploaded"], 6, "{files:?}");
    assert_whole(&scene, &contents);
    let part = files
        .iter()
        .find(|file| file["remote"] == "d/大.bin.002")
        .expect("told");
    assert_eq!(
        part["part"],
        serde_json::json!({"of": "d/大.bin", "number": 2, "split": MIB})
    );
    assert_eq!(part["size"], MIB);
    let (_, summary) = split(&scene, &["d"]).exit(0).report();
    assert_eq!(
        (&summary["skipped"], &summary["sent"]),
        (&6.into(), &0.into())
    );
    let verify = |code| {
        let mut command = panup(scene.local.path());
        command.env("PANUP_TOKEN", scene.emulator.token());
        command.args([
            "verify",
            "--api",
            &scene.emulator.api(),
            "--split",
            "1M",
            "--state-dir",
            "state",
            "d",
        ]);
        finish(&mut command).exit(code)
    };
    verify(0);
    let path = "d/大.bin.003".to_owned();
    scene
        .emulator
        .change(&Change::Delete { path })
        .expect("changed");
    let missing = verify(1);
    assert!(missing.stdout.contains("大.bin.003"), "{missing:?}");
}

/// A part that fails leaves the list out; the report of it brings the rest, without the option.
#[test]
fn what_is_left_of_a_split_file_goes_by_its_report() {
    let (scene, contents) = scene();
    // Another file has the name of a part.
    let taken = noise(50, 7);
    fs::write(scene.path("x"), &taken).expect("written");
    finish(upload(&scene).args(["--as", "大.bin.003", "--dest", "d", "x"])).exit(0);
    let report = ["--report", "report.jsonl"];
    let first = split(&scene, &[&report[..], &["d"]].concat()).exit(4);
    assert!(first.stderr.contains("3 of 4 parts are there"), "{first:?}");
    let names: Vec<String> = scene
        .emulator
        .files()
        .iter()
        .map(|file| file.path.clone())
        .collect();
    assert!(!names.contains(&"d/大.bin.md5".to_owned()), "{names:?}");
    let path = "d/大.bin.003".to_owned();
    scene
        .emulator
        .change(&Change::Delete { path })
        .expect("changed");
    let mut command = upload(&scene);
    command.args([
        "--json",
        "--files-from",
        "report.jsonl",
        "--state-dir",
        "state",
    ]);
    let (files, summary) = finish(command.args(report)).exit(0).report();
    assert_eq!(
        (&summary["uploaded"], &summary["skipped"]),
        (&2.into(), &3.into()),
        "{files:?}"
    );
    assert_whole(&scene, &contents);
    let mut command = upload(&scene);
    command.args([
        "--json",
        "--files-from",
        "report.jsonl",
        "--state-dir",
        "state",
    ]);
    let (_, summary) = finish(&mut command).exit(0).report();
    assert_eq!(summary["files"], 0, "nothing is left");
}

/// The names of the parts and of their list may be another file's: the second one is refused, and
/// nothing replaced.
#[test]
fn two_files_for_one_name_are_told() {
    for (taken, is_first, failures) in [
        ("大.bin.001", false, 1),
        ("大.bin.md5", false, 1),
        // All parts wait for a list that would have no name.
        ("大.bin.md5", true, 4),
    ] {
        let (scene, _) = scene();
        let mine = format!("d/{taken}");
        fs::write(scene.path(&mine), "mine").expect("written");
        let mut args = vec!["--on-conflict", "overwrite"];
        if is_first {
            args.extend(["--order", "size"]);
        }
        args.push("d");
        let done = split(&scene, &args).exit(4);
        let (files, _) = done.report();
        let failed: Vec<&Value> = files
            .iter()
            .filter(|file| file["status"] == "failed")
            .collect();
        assert_eq!(failed.len(), failures, "{taken}: {files:?}");
        for file in failed {
            let told = file["error"]["message"].to_string();
            assert!(told.contains("remote path of"), "{file:?}");
        }
        if is_first {
            assert_eq!(stored(&scene, &mine), b"mine");
        } else {
            assert_ne!(stored(&scene, &mine), b"mine");
        }
    }
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let (scene, _) = scene();
    for size in ["0", "1000", "11G", "x"] {
        let mut command = upload(&scene);
        let refused = finish(command.args(["--split", size, "d"])).exit(2);
        assert!(refused.stderr.contains("--split"), "{refused:?}");
    }
    // Above 10 GiB it is needed, and said.
    let large = fs::File::create(scene.path("large")).expect("made");
    large.set_len((10 << 30) + 1).expect("sparse");
    let refused = finish(upload(&scene).arg("large")).exit(4);
    assert!(refused.stderr.contains("--split"), "{refused:?}");
    assert!(Path::new(&scene.path("large")).exists());
}
