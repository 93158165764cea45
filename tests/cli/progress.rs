//! Progress where there is no terminal: an object a second with `--json`, a line when it is asked for.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use panup_emulator::{Config, Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::Scene;
use crate::common::program::{Finished, plain};

#[test]
fn every_second_an_object_tells_how_far_it_is() {
    let scene = scene();
    scene.file("big.bin", SIZE);
    let output = slow(&scene, &["--json"]).output().expect("it runs");
    let done = Finished::from(output).exit(0);
    let mut events = done.events();
    events.retain(|event| event["event"] == "progress");
    // The last: on a busy machine the first second may not have seen anything arrive.
    let last = events.last().expect("one a second");
    for key in ["files", "done", "bytes", "hashed", "on_wire", "acked"] {
        assert!(last[key].is_u64(), "{key}: {last}");
    }
    assert_eq!((&last["files"], &last["bytes"]), (&1.into(), &SIZE.into()));
    assert_eq!(last["hashed"], SIZE);
    assert!(last["acked"].as_u64() > Some(0), "{last}");
    let held = ["link", "calls", "disk", "hash", "service", "limit"];
    assert!(held.iter().any(|&by| last["held_by"] == by), "{last}");
    // Not known in the first moment.
    for key in ["rate", "eta"] {
        let object = last.as_object().expect("one");
        assert!(object.contains_key(key), "{key}: {last}");
    }
    let quiet = slow(
        &scene,
        &[
            "--json",
            "--no-progress",
            "--on-conflict",
            "overwrite",
            "--force",
        ],
    );
    let done = Finished::from({ quiet }.output().expect("it runs")).exit(0);
    let told = done
        .events()
        .iter()
        .any(|event| event["event"] == "progress");
    assert!(!told, "{done:?}");
}

#[test]
fn a_signal_asks_for_a_line_now() {
    let scene = scene();
    scene.file("big.bin", SIZE);
    let mut command = slow(&scene, &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    while scene.emulator.stats().of(Operation::Slice).done == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, Signal::USR1);
    let mut line = String::new();
    errors.read_line(&mut line).expect("a line");
    assert!(line.contains(" of 2.00 MiB"), "{line}");
    assert!(line.contains("0 of 1 file"), "{line}");
    assert!(child.wait().expect("it ends").success());
}

fn scene() -> Scene {
    Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        ..Config::default()
    })
}

/// An upload of `big.bin` that takes two seconds.
fn slow(scene: &Scene, more: &[&str]) -> Command {
    let mut command = plain(scene.local.path());
    command.args([
        "upload",
        "--api",
        &scene.emulator.api(),
        "--single-max",
        "0",
    ]);
    command.args(["--limit-rate", "1M", "--state-dir", "state", "big.bin"]);
    command
        .args(more)
        .env("PANUP_TOKEN", scene.emulator.token());
    command
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("not 0"), signal).expect("it runs");
}

const SIZE: u64 = 2 << 20;
