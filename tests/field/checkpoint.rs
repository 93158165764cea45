//! A run that is killed on one machine and goes on on another, with its checkpoint and the same bytes.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use panup_emulator::{NetworkConditions, Operation, Place};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::program::{Finished, QUICK, finish, plain, upload};
use crate::common::{SLICE, Scene, make, wait};

/// Five kills; `PANUP_KILLS=200` is the long form, which prints what it saw.
#[test]
fn nothing_is_lost_or_doubled_whenever_a_run_is_killed() {
    let wanted: u32 = match std::env::var("PANUP_KILLS") {
        Ok(kills) => kills.parse().expect("a number"),
        Err(_) => 5,
    };
    let mut table = Table::default();
    let mut round = 0;
    while table.kills < wanted {
        // What both are kept of would be there twice.
        let conflict = ["keep-both", "fail", "overwrite"][round % 3];
        kill_until_done(conflict, round as u64, wanted, &mut table);
        round += 1;
    }
    eprintln!("{round} rounds: {table:?}");
}

#[derive(Debug, Default)]
struct Table {
    kills: u32,
    slices: u64,
    resent: u64,
    most_resent_in_a_round: u64,
}

/// One set of files, sent by one process after another, each on a machine of its own.
fn kill_until_done(conflict: &str, seed: u64, wanted: u32, table: &mut Table) {
    let scene = Scene::small();
    let mut random = fastrand::Rng::with_seed(seed);
    let machines = [machine(&scene, "a"), machine(&scene, "b")];
    slow_down(&scene);
    let mut kills = 0;
    for turn in 0.. {
        assert!(turn < 200, "it makes no progress");
        let mut child = start(&scene, &machines[turn % 2], turn, conflict);
        let last = table.kills + kills >= wanted;
        let until = Instant::now() + Duration::from_millis(random.u64(30..900));
        let ended = loop {
            match child.try_wait().expect("ours") {
                Some(status) => break Some(status),
                None if !last && Instant::now() >= until => break None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        if let Some(status) = ended {
            assert!(
                status.success(),
                "{:?}",
                Finished::from(child.wait_with_output().expect("ours"))
            );
            break;
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
        kills += 1;
    }
    for (name, ..) in FILES {
        scene.assert_arrived(&machines[0].join(name), name);
    }
    assert_eq!(
        scene.emulator.files().len(),
        FILES.len(),
        "none lost, none doubled"
    );
    let resent = resent(&scene);
    // In flight, and acknowledged within the last group: 50 ms and an fsync of a busy disk.
    let most = u64::from(kills) * (IN_FLIGHT + RATE / 2);
    assert!(
        resent <= most,
        "{resent} slices were sent again after {kills} kills"
    );
    table.kills += kills;
    table.slices += slices();
    table.resent += resent;
    table.most_resent_in_a_round = table.most_resent_in_a_round.max(resent);
}

/// Slices that were taken more than once, once all have arrived.
fn resent(scene: &Scene) -> u64 {
    let taken = scene.emulator.stats().of(Operation::Slice).done;
    taken.saturating_sub(slices())
}

fn slices() -> u64 {
    let large = FILES.iter().filter(|(_, size, _)| *size > SINGLE);
    large.map(|(_, size, _)| size.div_ceil(SLICE)).sum()
}

/// A folder with the files, as another machine sees it: other paths, numbers and times.
fn machine(scene: &Scene, name: &str) -> PathBuf {
    let folder = scene.path(name);
    for (file, size, seed) in FILES {
        make(&folder.join(file), size, seed);
    }
    folder
}

fn start(scene: &Scene, machine: &Path, turn: usize, conflict: &str) -> Child {
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api()]);
    command
        .args(QUICK)
        .args(["--single-max=64K", "--concurrency=4", "--quiet"]);
    command.args(["--checkpoint", "checkpoint", "--on-conflict", conflict]);
    command.args(["--state-dir", &format!("state-{turn}")]);
    command.arg(machine.join("."));
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a binary")
}

/// All servers together take [`RATE`].
fn slow_down(scene: &Scene) {
    let servers = scene.emulator.servers().len();
    for server in 0..servers {
        let slow = NetworkConditions {
            bandwidth: Some(RATE * SLICE / servers as u64),
            ..NetworkConditions::default()
        };
        scene.emulator.set_network(Place::Server(server), slow);
    }
}

/// Who was stopped, and wakes up after another has taken over, ends and says why.
#[test]
fn who_comes_back_is_refused() {
    let scene = Scene::small();
    let machines = [machine(&scene, "a"), machine(&scene, "b")];
    slow_down(&scene);
    let zombie = start(&scene, &machines[0], 0, "keep-both");
    wait("it has begun", || {
        scene.emulator.stats().of(Operation::Slice).done > 9
    });
    let process = Pid::from_child(&zombie);
    kill_process(process, Signal::STOP).expect("ours");
    let second = start(&scene, &machines[1], 1, "keep-both");
    wait("the second one has it", || {
        let text = fs::read_to_string(scene.path("checkpoint")).expect("there");
        text.contains("\"generation\":2,\"n\":1,")
    });
    kill_process(process, Signal::CONT).expect("ours");
    let zombie = Finished::from(zombie.wait_with_output().expect("ours")).exit(4);
    let told = zombie
        .stderr
        .matches("has taken this checkpoint over")
        .count();
    assert_eq!(told, 1, "{}", zombie.stderr);
    Finished::from(second.wait_with_output().expect("ours")).exit(0);
    assert_eq!(scene.emulator.files().len(), FILES.len());
    for (name, ..) in FILES {
        scene.assert_arrived(&machines[1].join(name), name);
    }
    // The same command once more, on the machine that was refused: all is known.
    let again = start(&scene, &machines[0], 2, "keep-both");
    Finished::from(again.wait_with_output().expect("ours")).exit(0);
    assert_eq!(scene.emulator.files().len(), FILES.len());
}

/// One line, exit code 2, and the file stays what it is; another content under the same name is refused too.
#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let scene = Scene::small();
    scene.file("f", 10);
    fs::write(scene.path("diary"), "dear diary\n").expect("written");
    let refused = finish(upload(&scene).args(["--checkpoint", "diary", "f"])).exit(2);
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("no checkpoint of panup"),
        "{}",
        refused.stderr
    );
    let diary = fs::read_to_string(scene.path("diary")).expect("there");
    assert_eq!(diary, "dear diary\n");
    // An account that only its token names has no other one's checkpoint.
    let mine = ["--checkpoint", "mine", "f"];
    finish(upload(&scene).args(mine)).exit(0);
    let other = finish(upload(&scene).args(mine).args(["--account", "other"])).exit(2);
    assert!(other.stderr.contains("of the account"), "{}", other.stderr);
    assert_eq!(scene.emulator.files().len(), 1);
}

const FILES: [(&str, u64, u8); 6] = [
    ("one", 30 * SLICE + 5, 1),
    ("two", 20 * SLICE, 2),
    ("below/three", 10 * SLICE + 1, 3),
    ("small", 1000, 4),
    ("below/small too", 60_000, 5),
    ("x", 1, 6),
];

const SINGLE: u64 = 64 << 10;

/// Slices a second.
const RATE: u64 = 48;

const IN_FLIGHT: u64 = 4;
