//! Memory by numbers of others: slice sizes, names and texts that the service chose.

use std::fs::File;
use std::process::Command;

use panup_emulator::{Config, Operation};

use crate::common::Scene;
use crate::common::program::{self, Finished};

/// Every list, and every guess from one file's answer for the next, were sized by this number:
/// four bytes and more for each byte of the file, or an allocation that ends the process.
#[test]
fn a_slice_size_of_one_byte_is_refused_and_costs_no_memory() {
    let scene = Scene::new(Config {
        slice_size: 1,
        ..Config::default()
    });
    scene.file("tiny", 100);
    for (name, bytes) in [("first", 1_u64 << 30), ("second", 512 << 20)] {
        let file = File::create(scene.local.path().join(name)).expect("a file");
        file.set_len(bytes).expect("a sparse file");
    }
    // One thread hashes: the second large file when the tiny one's answer has come.
    let options = ["--single-max", "0", "--hash-threads", "1", "--json"];
    let ended = upload(&scene, "512000", &options, &["tiny", "first", "second"]);
    let (files, summary) = ended.exit(1).report();
    assert_eq!(
        (&summary["uploaded"], &summary["failed"]),
        (&1.into(), &2.into())
    );
    for file in files.iter().filter(|file| file["status"] == "failed") {
        let said = file["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("slice size of 1 bytes"), "{file}");
        assert_eq!(file["error"]["kind"], "protocol", "{file}");
    }
    assert_eq!(scene.emulator.stats().of(Operation::Slice).calls, 100);
}

/// The other end: a number that no buffer may be sized by.
#[test]
fn an_absurdly_large_slice_size_is_one_slice() {
    let scene = Scene::new(Config {
        slice_size: i64::MAX as u64,
        ..Config::default()
    });
    let paths = ["one", "two", "three", "four"].map(|name| scene.file(name, (5 << 20) + 1));
    let options = ["--single-max", "0"];
    upload(&scene, "512000", &options, &["one", "two", "three", "four"]).exit(0);
    for path in &paths {
        let name = path.file_name().and_then(|name| name.to_str());
        scene.assert_arrived(path, name.expect("a name"));
    }
}

/// `panup upload` that gets no more than so many KiB of memory of its own, where a shell can see to that.
fn upload(scene: &Scene, memory: &str, options: &[&str], paths: &[&str]) -> Finished {
    let limited = format!("ulimit -d {memory}; exec \"$@\"");
    let mut command = match cfg!(unix) {
        true => Command::new("sh"),
        false => Command::new(env!("CARGO_BIN_EXE_panup")),
    };
    if cfg!(unix) {
        command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_panup")]);
    }
    program::bare(&mut command).env("HOME", scene.local.path());
    command.arg("upload");
    command.args(["--api", &scene.emulator.api(), "--no-resume"]);
    command.args(program::QUICK).args(options).args(paths);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.current_dir(scene.local.path());
    let mut command = assert_cmd::Command::from_std(command);
    command.timeout(program::LONGEST);
    program::finish(&mut command)
}
