//! File descriptors, threads, memory and file sizes that run out.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use panup_emulator::{Config, NetworkConditions, Place};

use super::common::program::{Finished, finish, plain, stored};
use super::common::{Scene, make};

/// `panup` under the limits that `ulimits` sets, in a shell that becomes it.
pub fn limited_std(home: &Path, ulimits: &str) -> Command {
    let plain = plain(home);
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{ulimits}; exec \"$0\" \"$@\""));
    command.arg(plain.get_program());
    command.env_clear().env("HOME", home).current_dir(home);
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn limited(home: &Path, ulimits: &str) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(limited_std(home, ulimits));
    command.timeout(LONGEST);
    command
}

fn upload(scene: &Scene, ulimits: &str, more: &[&str]) -> Finished {
    let mut command = limited(scene.local.path(), ulimits);
    command.args(["upload", "--api", &scene.emulator.api(), "--no-resume"]);
    command.args(["--call-rate", "create=10000,complete=10000,single=10000"]);
    command.args(["--json", "tree"]).args(more);
    command.env("PANUP_TOKEN", scene.emulator.token());
    finish(&mut command)
}

/// `small` files of some bytes and `big` ones of 5 MB, which are mapped, below `tree`.
fn scene(config: Config, small: usize, big: usize) -> Scene {
    let scene = Scene::new(config);
    for number in 0..small {
        make(
            &scene.local.path().join(format!("tree/s{number}")),
            20,
            number as u8,
        );
    }
    for number in 0..big {
        make(
            &scene.local.path().join(format!("tree/b{number}")),
            5_000_000,
            number as u8,
        );
    }
    scene
}

/// A service that takes its time for each answer, so that files and connections are open together.
pub fn slow() -> Config {
    let conditions = NetworkConditions {
        latency_ms: 300,
        ..NetworkConditions::default()
    };
    let servers = Config::default().servers;
    let places = (0..servers).map(Place::Server).chain([Place::Api]);
    Config {
        network: places.map(|place| (place, conditions)).collect(),
        ..Config::default()
    }
}

#[test]
fn few_descriptors_make_it_slower_and_no_file_fails() {
    for (ulimits, small, big) in [("ulimit -n 64", 150, 8), ("ulimit -n 256", 300, 60)] {
        let scene = scene(slow(), small, big);
        let finished = upload(&scene, ulimits, &[]).exit(0);
        assert_eq!(stored(&scene.emulator).len(), small + big, "{finished:?}");
    }
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let scene = scene(Config::default(), 3, 1);
    // Of 16, what a runtime needs alone would leave next to nothing.
    upload(&scene, "ulimit -Sn 16; ulimit -Hn 1024", &[]).exit(0);
    assert_eq!(stored(&scene.emulator).len(), 4);
}

#[test]
fn hashing_needs_a_handful_of_descriptors() {
    let scene = scene(Config::default(), 30, 40);
    let list = |limit: &str| {
        let mut command = limited(scene.local.path(), limit);
        command.args(["hash", "tree"]);
        finish(&mut command).exit(0).stdout
    };
    let full = list("true");
    assert_eq!(full.lines().count(), 70);
    assert_eq!(list("ulimit -n 16"), full);
}

#[test]
fn what_cannot_be_mapped_is_read_within_bounds_of_memory() {
    let scene = Scene::new(Config::default());
    make(&scene.local.path().join("tree/large"), 300_000_000, 1);
    make(&scene.local.path().join("tree/other"), 5_000_000, 2);
    for (ulimits, more) in [
        ("ulimit -v 400000", &["--on-conflict", "overwrite"][..]),
        (
            "ulimit -v 600000",
            &["--on-conflict", "overwrite", "--no-mmap"],
        ),
    ] {
        let finished = upload(&scene, ulimits, more).exit(0);
        assert_eq!(finished.report().0.len(), 2);
        scene.assert_arrived(&scene.local.path().join("tree/large"), "tree/large");
    }
}

#[test]
fn a_file_that_may_not_grow_is_a_warning_and_not_the_end() {
    let scene = scene(Config::default(), 400, 0);
    let mut command = limited(scene.local.path(), "ulimit -f 100");
    command.args([
        "upload",
        "--api",
        &scene.emulator.api(),
        "--state-dir",
        "state",
    ]);
    command.args([
        "--call-rate",
        "create=10000,complete=10000,single=10000",
        "tree",
    ]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    let finished = finish(&mut command).exit(0);
    assert!(finished.stderr.contains("warning"), "{finished:?}");
    assert!(finished.stderr.contains("journal"), "{finished:?}");
    assert_eq!(stored(&scene.emulator).len(), 400);
}

#[test]
fn output_and_a_log_that_may_not_grow_do_not_end_the_run() {
    let scene = scene(Config::default(), 50, 0);
    let limits = "ulimit -f 1; exec >output 2>log";
    let mut command = limited(scene.local.path(), limits);
    command.args([
        "-vv",
        "upload",
        "--api",
        &scene.emulator.api(),
        "--no-resume",
        "tree",
    ]);
    command.args(["--state-dir", "/dev/null/none", "--single-max", "0"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    // Lost output is no success; the files arrive all the same.
    finish(&mut command).exit(1);
    assert_eq!(stored(&scene.emulator).len(), 50);
}

#[test]
fn no_room_for_threads_is_one_line_or_it_works() {
    let Some(user) = a_user_of_its_own() else {
        eprintln!("skipped: limits of processes do not bind this user, and no other can be had");
        return;
    };
    let scene = scene(Config::default(), 20, 2);
    let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
    std::fs::set_permissions(scene.local.path(), open).expect("ours");
    let program = std::env::temp_dir().join(format!("panup-threads-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_panup"), &program).expect("copied");
    for threads in [1, 2, 3, 4, 5, 8, 12, 16, 40] {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nproc={threads}")).args(&user);
        command
            .arg(&program)
            .args(["upload", "--no-resume", "tree"]);
        command.args(["--api", &scene.emulator.api(), "--on-conflict", "overwrite"]);
        command.env_clear().env("HOME", scene.local.path());
        command
            .env("PATH", "/usr/bin:/bin")
            .env("PANUP_TOKEN", scene.emulator.token());
        command.current_dir(scene.local.path());
        let mut command = assert_cmd::Command::from_std(command);
        command.timeout(LONGEST);
        let finished = finish(&mut command);
        assert!(
            !finished.stderr.contains("panicked"),
            "{threads}: {finished:?}"
        );
        match finished.code {
            0 => {}
            2 => assert!(
                finished.stderr.contains("thread"),
                "{threads}: {finished:?}"
            ),
            _ => panic!("{threads}: {finished:?}"),
        }
        assert!(
            threads < 16 || finished.code == 0,
            "{threads}: {finished:?}"
        );
    }
    std::fs::remove_file(&program).expect("ours");
}

/// How to become a user whom nobody else is, for whose processes a limit counts.
pub fn a_user_of_its_own() -> Option<[String; 5]> {
    let id = 200_000 + std::process::id() % 10_000;
    let how = [
        "setpriv",
        "--reuid",
        &id.to_string(),
        "--clear-groups",
        "--",
    ]
    .map(str::to_owned);
    let tried = Command::new(&how[0]).args(&how[1..]).arg("true").output();
    tried
        .is_ok_and(|output| output.status.success())
        .then_some(how)
}

/// A program that runs for longer has hung, in an emulated processor as well.
const LONGEST: Duration = Duration::from_secs(300);
