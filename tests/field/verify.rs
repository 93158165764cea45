//! `panup verify`, `verify --report` and `status --check`: what is gone, moved to the trash, altered or
//! refused by review is found, all of it, and nothing is changed on the way.

use assert_cmd::Command;
use std::fs;

use panup_emulator::{Action, Change, Fault, Operation};
use serde_json::Value;

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, upload};

const FILES: usize = 1_000;

/// A thousand files that were uploaded, ten in a folder, with the report of it.
fn uploaded() -> Scene {
    let scene = Scene::small();
    for number in 0..FILES {
        let path = scene.path(&name(number));
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, format!("content {number}")).expect("room");
    }
    let mut command = upload(&scene);
    command.args(["--state-dir", "state", "--report", "report.jsonl", "tree"]);
    finish(&mut command).exit(0);
    scene
}

fn name(number: usize) -> String {
    format!("tree/{}/f{number}", number / 10)
}

/// Every tenth file is deleted, altered, moved to the trash or refused by review, in turn.
fn injured(scene: &Scene) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for number in (0..FILES).step_by(10) {
        let path = name(number);
        let change = match number / 10 % 4 {
            0 => Change::Delete { path: path.clone() },
            1 => Change::Trash { path: path.clone() },
            2 => Change::Review {
                path: path.clone(),
                status: 101,
            },
            _ => Change::Alter {
                path: path.clone(),
                content: None,
            },
        };
        match &change {
            Change::Alter { .. } => different.push(path),
            _ => missing.push(path),
        }
        scene.emulator.change(&change).expect("it is there");
    }
    missing.sort();
    different.sort();
    (missing, different)
}

fn verify(scene: &Scene, more: &[&str]) -> Command {
    let mut command = panup(scene.local.path());
    command.args([
        "verify",
        "--api",
        &scene.emulator.api(),
        "--state-dir",
        "state",
    ]);
    command.args(["--call-rate", "list=10000"]).args(more);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command
}

fn named(done: &Finished, status: &str) -> Vec<String> {
    let (files, _) = done.report();
    let of = files.iter().filter(|file| file["status"] == status);
    let mut names: Vec<String> = of
        .map(|file| file["remote"].as_str().expect("a text").to_owned())
        .collect();
    names.sort();
    names
}

fn changes(scene: &Scene) -> u64 {
    let stats = scene.emulator.stats();
    let all = [
        Operation::Create,
        Operation::Single,
        Operation::Slice,
        Operation::Complete,
        Operation::Mkdir,
        Operation::Trash,
    ];
    all.map(|operation| stats.of(operation).calls).iter().sum()
}

#[test]
fn every_file_that_is_gone_or_altered_is_found_and_nothing_is_changed() {
    let scene = uploaded();
    let report = ["--json", "--report", "report.jsonl"];
    let ways: [&[&str]; 3] = [
        &["--json", "tree"],
        &["--json", "--rehash", "tree"],
        &report,
    ];
    for way in ways {
        finish(&mut verify(&scene, way)).exit(0);
    }
    let (missing, different) = injured(&scene);
    let before = changes(&scene);
    for way in ways {
        let done = finish(&mut verify(&scene, way)).exit(1);
        assert_eq!(named(&done, "missing"), missing, "{way:?}");
        assert_eq!(named(&done, "different"), different, "{way:?}");
        let (files, summary) = done.report();
        assert_eq!(files.len(), FILES);
        assert_eq!(summary["there"], FILES - missing.len() - different.len());
        assert_eq!(summary["missing"], missing.len());
        assert!(
            files
                .iter()
                .all(|file| file["status"] == "there" || file["note"].is_string())
        );
    }
    let mut status = panup(scene.local.path());
    status.args([
        "status",
        "--check",
        "--json",
        "--api",
        &scene.emulator.api(),
    ]);
    status
        .args(["--state-dir", "state"])
        .env("PANUP_TOKEN", scene.emulator.token());
    let done = finish(&mut status).exit(1);
    assert_eq!(named(&done, "missing"), missing);
    assert_eq!(named(&done, "different"), different);
    assert_eq!(changes(&scene), before, "nothing was changed");
}

#[test]
fn people_read_what_is_wrong_and_why() {
    let scene = Scene::small();
    scene.file("a", 10);
    scene.file("b", 20);
    finish(upload(&scene).args(["--state-dir", "state", "a", "b"])).exit(0);
    let done = finish(&mut verify(&scene, &["a", "b"])).exit(0);
    assert_eq!(done.stdout.lines().count(), 1, "{done:?}");
    assert!(
        done.stdout
            .starts_with("2 files: 2 there, 0 missing, 0 different; "),
        "{done:?}"
    );
    let gone = Change::Trash {
        path: "a".to_owned(),
    };
    scene.emulator.change(&gone).expect("there");
    let other = Change::Put {
        path: "b".to_owned(),
        content: "x".to_owned(),
    };
    scene.emulator.change(&other).expect("there");
    let done = finish(&mut verify(&scene, &["a", "b"])).exit(1);
    assert!(
        done.stdout
            .contains("missing   a -> a: it is in the trash\n"),
        "{done:?}"
    );
    assert!(
        done.stdout
            .contains("different b -> b: it has 1 bytes there, not 20\n"),
        "{done:?}"
    );
}

/// An account that may not list, or a token that is refused, is not "missing".
#[test]
fn what_cannot_be_asked_is_not_known() {
    let scene = Scene::small();
    scene.file("a", 10);
    finish(upload(&scene).args(["--state-dir", "state", "a"])).exit(0);
    let forbidden = Action::Code {
        code: 403,
        message: "无权限".to_owned(),
    };
    scene
        .emulator
        .inject(Fault::on(Operation::List, forbidden).from(1));
    let done = finish(&mut verify(&scene, &["--json", "a"])).exit(1);
    let (files, summary) = done.report();
    assert_eq!(files[0]["status"], "unknown");
    assert_eq!(files[0]["error"]["call"], "file/list");
    assert_eq!(
        (&summary["unknown"], &summary["missing"]),
        (&1.into(), &0.into())
    );
    scene.emulator.clear_faults();
    let mut refused = verify(&scene, &["a"]);
    finish(refused.env("PANUP_TOKEN", "guessed")).exit(3);
}

/// A report is what several runs appended to; one may have been killed within a line.
#[test]
fn a_report_is_read_to_its_last_word() {
    let scene = Scene::small();
    scene.file("a", 10);
    scene.file("b", 20);
    let report = scene.path("report.jsonl");
    let failed =
        r#"{"event":"file","path":"a","remote":"a","status":"failed","size":0,"md5":null}"#;
    let lost =
        r#"{"event":"file","path":"c","remote":"c","status":"interrupted","size":0,"md5":null}"#;
    fs::write(&report, format!("{failed}\n{lost}\n")).expect("room");
    let mut command = upload(&scene);
    finish(command.args(["--report", "report.jsonl", "a", "b"])).exit(0);
    let text = fs::read_to_string(&report).expect("there");
    for line in text.lines().skip(2) {
        let receipt: Value = serde_json::from_str(line).expect("JSON");
        for key in ["file_id", "md5", "size", "at", "trace_id"] {
            assert!(!receipt[key].is_null(), "{key}: {line}");
        }
    }
    fs::write(&report, format!("{text}{}", &failed[..30])).expect("room");
    let done = finish(&mut verify(&scene, &["--json", "--report", "report.jsonl"])).exit(1);
    assert_eq!(named(&done, "there"), ["a", "b"]);
    assert_eq!(named(&done, "missing"), ["c"], "it was never uploaded");
    assert!(done.stderr.contains("ends within a line"), "{done:?}");
    fs::write(&report, "{\"event\":\"file\"\nnonsense\n").expect("room");
    let done = finish(&mut verify(&scene, &["--report", "report.jsonl"])).exit(2);
    assert!(done.stderr.contains("line 1"), "{done:?}");
}
