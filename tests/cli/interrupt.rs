//! Signals in the middle of an upload: 130, nothing broken, and the same command goes on.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use panup_emulator::{Action, Config, Fault, Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::Scene;
use crate::common::program::{Finished, finish, plain, upload, wait_until};

#[test]
fn an_interrupted_upload_is_130_and_goes_on_where_it_was() {
    let scene = scene();
    let path = scene.file("big.bin", SIZE);
    // What is in flight is finished, so that must not be all of it.
    let child = start(
        &scene,
        &["--limit-rate", "400K", "--concurrency", "4", "--json"],
    );
    // A quarter has arrived; the rest takes seconds at this rate.
    wait_until(|| scene.emulator.stats().of(Operation::Slice).done >= SLICES / 4);
    signal(&child, Signal::INT);
    let done = ended(child).exit(130);
    let (files, summary) = done.report();
    assert_eq!(files.len(), 1, "{done:?}");
    assert_eq!(files[0]["status"], "interrupted");
    assert_eq!(files[0]["error"]["kind"], "cancelled");
    assert_eq!(
        (&summary["failed"], &summary["interrupted"]),
        (&0.into(), &1.into())
    );
    let said = " s more to keep ";
    assert!(done.stderr.contains(said), "{done:?}");
    let before = scene.emulator.stats().of(Operation::Slice).done;
    assert!(before < SLICES, "it was interrupted in the middle");
    let mut again = upload(&scene);
    let (files, _) = finish(again.args(FLAGS).args(["--json", "big.bin"]))
        .exit(0)
        .report();
    assert_eq!(files[0]["status"], "uploaded");
    let left = SIZE - before * SLICE;
    let sent = files[0]["sent"].as_u64().expect("a number");
    assert!(sent <= left, "{sent} bytes sent where {left} were missing");
    scene.assert_arrived(&path, "big.bin");
    assert_eq!(scene.emulator.stats().of(Operation::Create).calls, 1);
}

/// What a schedule allows: what is in flight lands, the rest is the next run's.
#[test]
fn a_run_ends_after_so_long_or_so_much() {
    // The first bodies have the servers alone, while others have permits and wait: those are not begun.
    for (limit, value, slice, most) in [
        ("--max-transfer", "512K", SLICE, 14),
        ("--max-duration", "2s", 8 * SLICE, 8),
    ] {
        let scene = Scene::new(Config {
            slice_size: slice,
            polls: 0,
            ..Config::default()
        });
        let size = 32 * slice;
        let path = scene.file("big.bin", size);
        let limits = [limit, value, "--limit-rate", "600K", "--concurrency", "4"];
        let run = |limits: &[&str]| {
            let mut command = upload(&scene);
            finish(command.args(FLAGS).args(limits).args(["--json", "big.bin"]))
        };
        let done = run(&limits).exit(130);
        assert!(done.stderr.contains(limit), "{done:?}");
        let (files, summary) = done.report();
        assert_eq!(files[0]["status"], "interrupted");
        let kept = scene.emulator.stats().of(Operation::Slice).done;
        assert_eq!(summary["sent"], kept * slice, "what was begun has landed");
        assert!((1..=most).contains(&kept), "{limit}: {kept}");
        let (files, _) = run(&[]).exit(0).report();
        assert_eq!(files[0]["sent"], size - kept * slice);
        scene.assert_arrived(&path, "big.bin");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let scene = scene();
    scene.file("big.bin", SIZE);
    let never = Action::StallAnswer { millis: 300_000 };
    scene.emulator.inject(Fault::on(Operation::Slice, never));
    let mut child = start(&scene, &["--json", "--no-progress"]);
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    wait_until(|| scene.emulator.stats().of(Operation::Slice).in_flight > 0);
    signal(&child, Signal::INT);
    let mut note = String::new();
    errors.read_line(&mut note).expect("a line");
    assert!(note.contains("once more ends at once"), "{note}");
    signal(&child, Signal::INT);
    let done = ended(child).exit(130);
    assert_eq!(done.stdout, "", "no time for a summary");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("text");
    let last = "stopped: 0 of 32 slices kept; run the same command to go on";
    assert_eq!(rest.trim_end(), last);
}

#[test]
fn what_service_managers_send_is_an_interrupt_too() {
    let scene = scene();
    scene.file("big.bin", SIZE);
    let child = start(&scene, &["--limit-rate", "400K", "--json"]);
    wait_until(|| scene.emulator.stats().of(Operation::Slice).done > 0);
    signal(&child, Signal::TERM);
    let (files, _) = ended(child).exit(130).report();
    assert_eq!(files[0]["error"]["kind"], "cancelled");
}

fn scene() -> Scene {
    Scene::new(Config {
        slice_size: SLICE,
        polls: 0,
        ..Config::default()
    })
}

/// An upload of `big.bin` in slices that can be interrupted.
fn start(scene: &Scene, more: &[&str]) -> Child {
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api()]);
    command.args(FLAGS).args(more).arg("big.bin");
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("not 0"), signal).expect("it runs");
}

/// The end of `child`, which a test does not wait for longer than [`PATIENCE`].
fn ended(mut child: Child) -> Finished {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("ours").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("ours");
            panic!("it did not end");
        }
        std::thread::sleep(BEAT);
    }
    Finished::from(child.wait_with_output().expect("it ended"))
}

const FLAGS: [&str; 4] = ["--state-dir", "state", "--single-max", "0"];

const SLICE: u64 = 64 << 10;
const SLICES: u64 = 32;
const SIZE: u64 = SLICES * SLICE;

const PATIENCE: Duration = Duration::from_secs(300);
const BEAT: Duration = Duration::from_millis(5);
