//! A file whose bytes are the same is the same file, whatever its attributes, numbers and names do,
//! and whatever token it is sent with: between two runs, and in the middle of one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::SystemTime;

use panup_emulator::{Config, Operation, Reuse};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::program::{Finished, finish, plain, upload, wait_until};
use crate::common::{Scene, make};

#[test]
fn attributes_that_moved_since_the_last_run_send_nothing() {
    for conflict in ["fail", "keep-both", "overwrite"] {
        let scene = scene();
        for number in 0..MOVES.len() {
            // Small ones go in one call, large ones in slices.
            scene.file(&format!("d/small{number}"), 1000 + number as u64);
            scene.file(&format!("d/large{number}"), LARGE + number as u64);
        }
        let run = || {
            let mut command = upload(&scene);
            finish(command.args([
                "--json",
                "--state-dir",
                "state",
                "--on-conflict",
                conflict,
                "d",
            ]))
        };
        run().exit(0);
        let before = calls(&scene);
        for (number, change) in MOVES.iter().enumerate() {
            for name in ["small", "large"] {
                change(&scene.local.path().join(format!("d/{name}{number}")));
            }
        }
        let (_, summary) = run().exit(0).report();
        assert_eq!(summary["skipped"], 2 * MOVES.len(), "{conflict}: {summary}");
        assert_eq!(calls(&scene), before, "{conflict}");
    }
}

#[test]
fn the_next_token_of_the_account_sends_nothing_again() {
    for conflict in ["fail", "keep-both"] {
        let scene = scene();
        scene.emulator.allow_token("the-next");
        scene.file("d/small", 1000);
        scene.file("d/large", LARGE);
        let run = |token: &str| {
            let mut command = upload(&scene);
            command.env("PANUP_TOKEN", token);
            finish(command.args([
                "--json",
                "--state-dir",
                "state",
                "--on-conflict",
                conflict,
                "d",
            ]))
        };
        run(scene.emulator.token()).exit(0);
        let before = calls(&scene);
        let (_, summary) = run("the-next").exit(0).report();
        assert_eq!(summary["skipped"], 2, "{conflict}: {summary}");
        assert_eq!(calls(&scene), before);
    }
}

#[test]
fn an_upload_goes_on_although_attributes_and_token_moved() {
    for change in MOVES {
        let scene = scene();
        scene.emulator.allow_token("the-next");
        let path = scene.file("big.bin", BIG);
        let child = start(&scene, "1M");
        wait_until(|| scene.emulator.stats().of(Operation::Slice).done >= 6);
        signal(&child, Signal::TERM);
        ended(child).exit(130);
        let before = scene.emulator.stats().of(Operation::Slice).done;
        assert!(before < BIG / SLICE, "interrupted in the middle");
        change(&path);
        let mut again = upload(&scene);
        again.env("PANUP_TOKEN", "the-next");
        let (files, _) = finish(again.args(FLAGS).args(["--json", "big.bin"]))
            .exit(0)
            .report();
        let sent = files[0]["sent"].as_u64().expect("a number");
        assert_eq!(sent, BIG - before * SLICE);
        assert_eq!(scene.emulator.stats().of(Operation::Create).calls, 1);
        scene.assert_arrived(&path, "big.bin");
    }
}

#[test]
fn attributes_that_move_in_mid_send_do_not_fail_the_file() {
    for change in MOVES {
        let scene = scene();
        let path = scene.file("big.bin", BIG);
        let child = start(&scene, "2M");
        wait_until(|| scene.emulator.stats().of(Operation::Slice).done >= 2);
        change(&path);
        let (files, _) = ended(child).exit(0).report();
        assert_eq!(files[0]["status"], "uploaded");
        assert_eq!(files[0]["sent"], BIG);
        scene.assert_arrived(&path, "big.bin");
        // What was found out is kept: the next run does not hash it again.
        let mut again = upload(&scene);
        let ended = finish(again.args(FLAGS).args(["--json", "big.bin"])).exit(0);
        assert_eq!(ended.report().1["skipped"], 1);
    }
}

#[test]
fn another_file_of_the_same_size_that_takes_its_place_is_another_file() {
    let scene = scene();
    let path = scene.file("big.bin", BIG);
    let child = start(&scene, "2M");
    wait_until(|| scene.emulator.stats().of(Operation::Slice).done >= 2);
    let other = scene.local.path().join("other");
    make(&other, BIG, 7);
    fs::rename(&other, &path).expect("replaced");
    let (files, _) = ended(child).exit(1).report();
    assert_eq!(files[0]["error"]["kind"], "source");
    let message = files[0]["error"]["message"].as_str().expect("a text");
    assert!(message.contains("replaced by another file"), "{message}");
    assert!(scene.emulator.files().is_empty());
}

/// An MD5 in the journal that is wrong, by a flipped bit or by an edit that nothing shows.
#[test]
fn a_remembered_md5_that_the_service_refuses_is_worked_out_anew() {
    for single_max in ["0", "100M"] {
        let mut service = config();
        service.quirks.reuse = Reuse::Never;
        let scene = Scene::new(service);
        let path = scene.file("big.bin", 5 << 20);
        let run = |dest: &str| {
            let mut command = upload(&scene);
            command.args(["--json", "--state-dir", "state", "--single-max", single_max]);
            finish(command.args(["--dest", dest, "big.bin"]))
        };
        run("a").exit(0);
        for wrong in [
            "md5 = randomblob(16)",
            "slices = randomblob(length(slices))",
        ] {
            let journal = scene.local.path().join("state/journal.db");
            let journal = rusqlite::Connection::open(journal).expect("a database");
            let sql = format!("UPDATE file SET {wrong}");
            assert_eq!(journal.execute(&sql, []).expect("written"), 1);
            drop(journal);
            let dest = &wrong[..3];
            let (files, _) = run(dest).exit(0).report();
            assert_eq!(files[0]["status"], "uploaded", "{wrong}");
            scene.assert_arrived(&path, &format!("{dest}/big.bin"));
            // And the journal is right again.
            let (files, _) = run(&format!("{dest}2")).exit(0).report();
            assert_eq!(files[0]["sent"], 5 << 20, "{wrong}");
        }
    }
}

/// What moves on a file whose bytes stay: its mode, its times, its links, its number.
const MOVES: [fn(&Path); 5] = [
    |path| {
        let mode = fs::Permissions::from_mode(0o660);
        fs::set_permissions(path, mode).expect("ours");
    },
    |path| {
        let file = fs::File::options().write(true).open(path).expect("ours");
        file.set_modified(SystemTime::now()).expect("ours");
    },
    |path| fs::hard_link(path, beside(path)).expect("linked"),
    // A copy takes its place, as `cp -a`, an editor or an overlay does it.
    |path| {
        let copy = beside(path);
        fs::copy(path, &copy).expect("copied");
        fs::rename(copy, path).expect("replaced");
    },
    // The same with the old times, as a backup that is restored.
    |path| {
        let times = fs::metadata(path)
            .expect("there")
            .modified()
            .expect("known");
        let copy = beside(path);
        fs::copy(path, &copy).expect("copied");
        let file = fs::File::options().write(true).open(&copy).expect("ours");
        file.set_modified(times).expect("ours");
        fs::rename(copy, path).expect("replaced");
    },
];

/// A path that no run looks at.
fn beside(path: &Path) -> PathBuf {
    let folder = path.parent().expect("a folder");
    let hidden = folder.join("../beside");
    let name = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let hidden = if folder.ends_with("d") {
        hidden
    } else {
        folder.join("beside")
    };
    fs::create_dir_all(&hidden).expect("a folder");
    hidden.join(name)
}

fn scene() -> Scene {
    Scene::new(config())
}

fn config() -> Config {
    Config {
        slice_size: SLICE,
        polls: 0,
        ..Config::default()
    }
}

/// Calls that can make a file, or send one.
fn calls(scene: &Scene) -> [u64; 3] {
    let stats = scene.emulator.stats();
    [Operation::Create, Operation::Slice, Operation::Single].map(|call| stats.of(call).calls)
}

/// An upload of `big.bin` that lasts.
fn start(scene: &Scene, rate: &str) -> Child {
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api(), "--json"]);
    command
        .args(FLAGS)
        .args(["--concurrency", "2", "--limit-rate", rate, "big.bin"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("not 0"), signal).expect("it runs");
}

fn ended(child: Child) -> Finished {
    Finished::from(child.wait_with_output().expect("ended"))
}

const FLAGS: [&str; 4] = ["--state-dir", "state", "--single-max", "0"];

const SLICE: u64 = 128 << 10;

/// Mapped, and so of those whose MD5s are remembered.
const LARGE: u64 = 4 << 20;

const BIG: u64 = 24 * SLICE;
