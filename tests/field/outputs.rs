//! What a run says of itself: on the right stream, all of it, and not lost without a word.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use panup_emulator::{Action, Config, Fault, Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::Scene;
use crate::common::program::{Finished, QUICK, finish, panup, plain, upload, wait_until};

#[test]
fn output_that_cannot_be_written_is_said_once_and_is_no_success() {
    let scene = Scene::new(Config::default());
    many(&scene, 20);
    let api = scene.emulator.api();
    let whole = ["upload", "--api", &api, "--no-resume", "d"];
    let uploads = |more: &[&'static str]| [&whole[..], more].concat();
    let rows = [
        uploads(&[]),
        uploads(&["--json"]),
        uploads(&["--dry-run"]),
        uploads(&["--dry-run", "--json"]),
        vec!["status"],
        vec!["status", "--json"],
        vec!["completions", "bash"],
        vec!["hash", "d"],
    ];
    for args in rows {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = plain(scene.local.path());
        command
            .args(&args)
            .env("PANUP_TOKEN", scene.emulator.token());
        let done = Finished::from(
            command
                .stdout(full.expect("Linux"))
                .output()
                .expect("a program"),
        );
        let done = done.exit(1);
        assert_eq!(
            done.stderr.matches("No space left").count(),
            1,
            "{args:?} {done:?}"
        );
    }
}

/// A reader that has seen enough is no failure.
#[test]
fn a_closed_pipe_is_no_failure() {
    let scene = Scene::new(Config::default());
    many(&scene, 20);
    let mut shell = Command::new("bash");
    let line = "set -o pipefail; \"$0\" upload --api \"$1\" --no-resume d | true";
    shell.args([
        "-c",
        line,
        env!("CARGO_BIN_EXE_panup"),
        &scene.emulator.api(),
    ]);
    shell
        .env_clear()
        .env("PANUP_TOKEN", scene.emulator.token())
        .env("HOME", scene.local.path());
    let done = Finished::from(
        shell
            .current_dir(scene.local.path())
            .output()
            .expect("bash"),
    );
    assert_eq!(done.exit(0).stderr, "");
}

#[test]
fn lines_on_standard_output_depend_on_standard_output() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script(1) here to make a terminal");
        return;
    }
    for term in ["xterm", "dumb"] {
        let scene = Scene::new(Config::default());
        many(&scene, 3);
        let panup = env!("CARGO_BIN_EXE_panup");
        let line = format!("{panup} upload --api {} d > log", scene.emulator.api());
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line, "/dev/null"]).env_clear();
        terminal
            .env("TERM", term)
            .env("HOME", scene.local.path())
            .env("PATH", "/usr/bin:/bin");
        terminal
            .env("PANUP_TOKEN", scene.emulator.token())
            .current_dir(scene.local.path());
        let done = Finished::from(terminal.stdin(Stdio::null()).output().expect("script"));
        let log = fs::read_to_string(scene.path("log")).expect("written");
        assert_eq!(
            log.matches("uploaded  d/").count(),
            3,
            "{term} {log} {done:?}"
        );
        assert_eq!(done.code, 0);
    }
}

#[test]
fn a_terminal_that_draws_no_bars_gets_the_lines() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script(1) here to make a terminal");
        return;
    }
    let scene = Scene::new(Config::default());
    many(&scene, 3);
    let line = format!(
        "{} upload --api {} d",
        env!("CARGO_BIN_EXE_panup"),
        scene.emulator.api()
    );
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).env_clear();
    terminal
        .env("TERM", "dumb")
        .env("HOME", scene.local.path())
        .env("PATH", "/usr/bin:/bin");
    terminal
        .env("PANUP_TOKEN", scene.emulator.token())
        .current_dir(scene.local.path());
    let done = Finished::from(terminal.stdin(Stdio::null()).output().expect("script"));
    assert_eq!(done.stdout.matches("uploaded  d/").count(), 3, "{done:?}");
}

/// A backup that is not whole must not look whole.
#[test]
fn what_a_folder_holds_besides_files_is_counted() {
    let scene = Scene::new(Config::default());
    many(&scene, 2);
    let d = scene.path("d");
    symlink("f0", d.join("link")).expect("room");
    symlink("nowhere", d.join("dangling")).expect("room");
    fs::create_dir(d.join("sub")).expect("room");
    symlink("..", d.join("sub/up")).expect("room");
    let made = Command::new("mkfifo").arg(d.join("pipe")).status();
    assert!(made.expect("mkfifo").success());
    let _socket = std::os::unix::net::UnixListener::bind(d.join("socket")).expect("room");

    let mut command = upload(&scene);
    let done = finish(command.args(["--json", "-v", "d"])).exit(0);
    let (files, summary) = done.report();
    assert_eq!(files.len(), 2);
    assert_eq!(
        (&summary["links"], &summary["special"]),
        (&3.into(), &2.into()),
        "{summary}"
    );
    for words in [
        "3 symbolic links",
        "--follow",
        "2 special files",
        "d/sub/up",
        "d/pipe",
        "d/socket",
    ] {
        assert!(done.stderr.contains(words), "{words} {done:?}");
    }
    let mut dry = upload(&scene);
    let dry = finish(dry.args(["--dry-run", "d"])).exit(0);
    assert!(dry.stderr.contains("3 symbolic links"), "{dry:?}");
    let hash = finish(panup(scene.local.path()).args(["hash", "d"])).exit(0);
    assert_eq!(hash.stdout.lines().count(), 2);
    assert!(hash.stderr.contains("3 symbolic links"), "{hash:?}");

    // What is left out on purpose is not missed, and what is followed neither.
    let mut globs = upload(&scene);
    let globs = finish(globs.args([
        "--exclude",
        "link",
        "--exclude",
        "dangling",
        "--exclude",
        "sub",
        "d",
    ]));
    assert!(!globs.stderr.contains("symbolic"), "{globs:?}");
}

/// What ends the run is told once to people, and of each file to scripts; nobody interrupted anything.
#[test]
fn an_error_of_the_whole_run_is_one_line_and_every_file_has_its_object() {
    let scene = Scene::new(Config::default());
    many(&scene, 1000);
    let refused = ("PANUP_TOKEN", "n0t-good");
    // The sibling: a host that does not exist.
    for (api, variable, code, kind) in [
        (scene.emulator.api(), refused, 3, "auth"),
        (
            "https://no-such-host.invalid".to_owned(),
            ("PANUP_TOKEN", "any"),
            1,
            "transport",
        ),
    ] {
        let run = |output: &[&str]| {
            let mut command = panup(scene.local.path());
            command.args(["upload", "--api", &api]).args(QUICK);
            finish(command.args(output).arg("d").env(variable.0, variable.1)).exit(code)
        };
        let (files, summary) = run(&["--json"]).report();
        let mut paths: Vec<&str> = files.iter().filter_map(|f| f["path"].as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!((files.len(), paths.len()), (1000, 1000), "{summary}");
        for file in &files {
            assert_eq!(file["status"], "failed", "{file}");
            assert_eq!(file["error"]["kind"], kind, "{file}");
        }
        let counts = ["files", "failed", "interrupted"].map(|name| summary[name].as_u64());
        assert_eq!(counts, [Some(1000), Some(1000), Some(0)], "{summary}");

        let done = run(&[]);
        let told: Vec<&str> = done.stderr.lines().collect();
        assert_eq!(told.len(), 2, "{done:?}");
        let names_a_file = told[0].contains("d/f");
        assert!(told[0].starts_with("failed") && !names_a_file, "{done:?}");
        assert!(told[1].contains("1000 of 1000 files"), "{done:?}");
        assert!(!done.stderr.contains("interrupted"), "{done:?}");
        assert!(done.stdout.contains("1000 failed;"), "{done:?}");
    }
}

/// An interrupt while the first of many files is on its way: one line for people, one object for each
/// file, and no call that did not fail.
#[test]
fn after_an_interrupt_every_file_has_an_object_and_people_one_line() {
    for json in [true, false] {
        let scene = Scene::new(Config::default());
        many(&scene, 500);
        scene.file("d/big", 2 << 20);
        let output: &[&str] = if json { &["--json"] } else { &[] };
        let done = interrupted(&scene, output, Operation::Slice);
        assert!(!done.stderr.contains("failed"), "{done:?}");
        if json {
            let (files, summary) = done.report();
            assert_eq!(files.len(), 501, "{summary}");
            for file in files.iter().filter(|file| !file["error"].is_null()) {
                assert_eq!(file["status"], "interrupted", "{file}");
                assert_eq!(file["error"]["kind"], "cancelled", "{file}");
                assert_eq!(file["error"]["call"], "upload", "{file}");
            }
            let count = |name: &str| summary[name].as_u64().expect("a number");
            assert!(
                count("interrupted") > 0 && count("failed") == 0,
                "{summary}"
            );
            assert_eq!(count("interrupted") + count("uploaded"), 501, "{summary}");
        } else {
            let told: Vec<&str> = done.stderr.lines().collect();
            assert_eq!(told.len(), 2, "{done:?}");
            assert!(told[1].starts_with("interrupted: "), "{done:?}");
            assert!(told[1].contains(" to go"), "{done:?}");
            assert!(done.stdout.contains("501 files: "), "{done:?}");
            assert!(done.stdout.contains(" interrupted;"), "{done:?}");
        }
    }
}

/// The sibling: what an upload met before it was interrupted is not forgotten.
#[test]
fn an_interrupt_does_not_hide_what_went_wrong_before() {
    let scene = Scene::new(Config::default());
    scene.file("d/big", 2 << 20);
    let ill = Action::status(500);
    scene.emulator.inject(Fault::on(Operation::Create, ill));
    let done = interrupted(&scene, &["--json"], Operation::Create);
    let (files, _) = done.report();
    assert_eq!(files[0]["status"], "interrupted");
    let message = files[0]["error"]["message"].as_str().expect("a text");
    assert!(message.contains("create: HTTP status 500"), "{message}");
    let done = interrupted(&scene, &[], Operation::Create);
    assert!(done.stderr.contains("create: HTTP status 500"), "{done:?}");
}

/// An upload of `d` that is interrupted once `operation` was asked for.
fn interrupted(scene: &Scene, output: &[&str], operation: Operation) -> Finished {
    let mut command = plain(scene.local.path());
    command
        .args(["upload", "--api", &scene.emulator.api()])
        .args(output);
    command
        .args(["d", "--limit-rate", "400K", "--single-max", "0"])
        .args(QUICK);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("a program");
    let before = scene.emulator.stats().of(operation).calls;
    wait_until(|| scene.emulator.stats().of(operation).calls > before);
    std::thread::sleep(Duration::from_millis(100));
    kill_process(Pid::from_child(&child), Signal::INT).expect("ours");
    Finished::from(child.wait_with_output().expect("ours")).exit(130)
}

/// What was dropped on its way was sent all the same.
#[test]
fn a_file_that_an_interrupt_cuts_off_says_what_was_sent_of_it() {
    let scene = Scene::new(Config::default());
    scene.file("big", 8 << 20);
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api(), "--json", "big"]);
    command.args(["--limit-rate", "400K", "--single-max", "0"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program");
    wait_until(|| scene.emulator.stats().of(Operation::Create).done > 0);
    std::thread::sleep(Duration::from_secs(1));
    kill_process(Pid::from_child(&child), Signal::TERM).expect("ours");
    let done = Finished::from(child.wait_with_output().expect("ours")).exit(130);
    let (files, summary) = done.report();
    let sent = files[0]["sent"].as_u64().expect("a number");
    assert!(sent > 100_000, "{files:?}");
    assert_eq!(summary["sent"], sent);
    assert!(files[0]["seconds"].as_f64() > Some(0.5), "{files:?}");
}

#[test]
fn a_signal_that_the_parent_had_set_to_be_ignored_stays_so() {
    for (name, signal) in [("INT", Signal::INT), ("TERM", Signal::TERM)] {
        let scene = Scene::new(Config::default());
        scene.file("big", 1 << 20);
        let mut shell = Command::new("sh");
        let trap = format!("trap '' {name}; exec \"$@\"");
        shell.args(["-c", &trap, "sh", env!("CARGO_BIN_EXE_panup"), "upload"]);
        shell.args([
            "--api",
            &scene.emulator.api(),
            "--limit-rate",
            "400K",
            "--single-max",
            "0",
            "big",
        ]);
        shell
            .args(QUICK)
            .env_clear()
            .env("PANUP_TOKEN", scene.emulator.token());
        shell
            .env("HOME", scene.local.path())
            .current_dir(scene.local.path());
        let child = shell
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        wait_until(|| scene.emulator.stats().of(Operation::Slice).done > 0);
        kill_process(Pid::from_child(&child), signal).expect("ours");
        Finished::from(child.wait_with_output().expect("ours")).exit(0);
        assert_eq!(scene.emulator.files().len(), 1, "{name}");
    }
}

/// `d`, with `count` small files.
fn many(scene: &Scene, count: usize) {
    fs::create_dir_all(scene.path("d")).expect("room");
    for number in 0..count {
        fs::write(scene.path(&format!("d/f{number}")), number.to_string()).expect("room");
    }
}
