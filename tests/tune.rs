//! `panup tune`, the command: against an emulator it stays within its budget, prints what it
//! measured, leaves nothing behind on this side, and says so by its exit code.

use std::path::Path;

use assert_cmd::Command;
use panup_emulator::{Action, Config, Emulator, Fault, NetworkConditions, Operation, Place, Stats};
use serde_json::Value;

#[test]
fn a_table_within_the_budget_and_the_flag_to_use() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let run = tune(&emulator, room.path(), &["--budget", "4M", "--try", "1,3"]).assert();
    let run = run.success();
    let told = text(&run.get_output().stderr);
    assert!(
        told.contains("3 files of this run in the trash") && told.contains("panup-tune"),
        "{told}"
    );
    let out = text(&run.get_output().stdout);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines.len(),
        5,
        "a head, three settings, the verdict:\n{out}"
    );
    for (line, setting) in lines[1..4].iter().zip(["1", "3", "auto"]) {
        assert_eq!(line.split_whitespace().next(), Some(setting), "{out}");
        assert!(line.contains("/s"), "{out}");
    }
    assert!(
        lines[4].contains("--concurrency") || lines[4].contains("no flag"),
        "{out}"
    );

    let stats = emulator.stats();
    assert!(
        body_bytes(&stats) <= 4 << 20,
        "{} spent",
        body_bytes(&stats)
    );
    assert!(
        body_bytes(&stats) >= 3 << 20,
        "the budget is there to be used"
    );
    assert_eq!(stats.of(Operation::Create).reused, 0, "the content was new");
    assert_eq!(emulator.files(), []);
    let files = emulator.trash();
    assert_eq!(files.len(), 3);
    for file in &files {
        assert!(file.path.starts_with("panup-tune/"), "{}", file.path);
    }
    assert_eq!(left_in(room.path()), 0, "temporary files are gone");
}

#[test]
fn scripts_get_an_object_for_each_setting_and_a_summary() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let before = tune(
        &emulator,
        room.path(),
        &["--budget", "2M", "--try", "1", "--json"],
    )
    .assert();
    let out = text(&before.success().get_output().stdout);
    let rows: Vec<Value> = out.lines().map(json).collect();
    assert_eq!(rows.len(), 3, "{out}");
    assert_eq!(rows[0]["event"], "setting");
    assert_eq!(rows[0]["concurrency"], 1);
    assert_eq!(rows[0]["permits"], 1);
    assert_eq!(rows[0]["error"], Value::Null);
    assert_eq!(rows[1]["concurrency"], "auto");
    assert_eq!(rows[2]["event"], "summary");
    assert_eq!(rows[2]["budget"], 2 << 20);
    let sent: u64 = rows[..2]
        .iter()
        .map(|row| row["sent"].as_u64().expect("bytes"))
        .sum();
    assert_eq!(rows[2]["sent"], sent);
    assert!(
        rows[2]["flag"]
            .as_str()
            .expect("a flag")
            .starts_with("--concurrency ")
    );
    let rate = rows[0]["bytes_per_second"].as_f64().expect("a rate");
    assert!(rate > 1000.0, "{rate}");
}

#[test]
fn resends_come_out_of_the_budget() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let fault = Fault::on(Operation::Slice, Action::status(500)).every(9);
    emulator.inject(fault);
    let run = tune(&emulator, room.path(), &["--budget", "4M", "--try", "2"]).assert();
    assert!(run.get_output().status.code().is_some());
    let stats = emulator.stats();
    assert!(
        stats.of(Operation::Slice).faulted > 0,
        "the fault must strike"
    );
    assert!(
        body_bytes(&stats) <= (4 << 20) + OVERSHOOT,
        "{} spent",
        body_bytes(&stats)
    );
    assert_eq!(left_in(room.path()), 0);
}

#[test]
fn a_setting_ends_when_its_time_is_over() {
    let emulator = emulator();
    for server in 0..2 {
        let conditions = NetworkConditions {
            bandwidth: Some(100 << 10),
            ..NetworkConditions::default()
        };
        emulator.set_network(Place::Server(server), conditions);
    }
    let room = tempfile::tempdir().expect("a folder");
    let flags = ["--budget", "64M", "--try", "4", "--seconds", "3", "--json"];
    let run = tune(&emulator, room.path(), &flags).assert().success();
    let out = text(&run.get_output().stdout);
    let row = json(out.lines().next().expect("a row"));
    let rate = row["bytes_per_second"].as_f64().expect("a rate");
    assert!(row["sent"].as_u64().expect("bytes") < 32 << 20, "{row}");
    assert!(rate > 0.0, "{row}");
    assert_eq!(emulator.files().len(), 0, "neither file was finished");
    assert_eq!(left_in(room.path()), 0);
}

#[test]
fn refused_credentials_and_wrong_usage_have_their_exit_codes() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    emulator.expire_tokens();
    tune(&emulator, room.path(), &["--budget", "4M"])
        .assert()
        .code(3);
    for wrong in [
        ["--budget", "10K"],
        ["--budget", "much"],
        ["--try", "0"],
        ["--seconds", "0"],
    ] {
        tune(&emulator, room.path(), &wrong).assert().code(2);
    }
    assert_eq!(body_bytes(&emulator.stats()), 0);
    assert_eq!(left_in(room.path()), 0);
}

#[test]
fn a_file_that_fails_is_told_and_the_rest_is_measured() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let refusal = Action::Code {
        code: 1,
        message: "no room is left".to_owned(),
    };
    emulator.inject(Fault::on(Operation::Create, refusal).nth(1));
    let run = tune(&emulator, room.path(), &["--budget", "4M", "--try", "1,2"])
        .assert()
        .code(1);
    let output = run.get_output();
    assert!(
        text(&output.stderr).contains("no room is left"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains("--concurrency") || text(&output.stdout).contains("no flag")
    );
    assert_eq!((emulator.files().len(), emulator.trash().len()), (0, 2));
}

#[test]
fn an_account_gets_nothing_without_a_yes() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let mut unasked = command(room.path());
    unasked.args(["tune", "--api", &emulator.api(), "--budget", "4M"]);
    unasked
        .env("PANUP_TOKEN", emulator.token())
        .write_stdin("y\n");
    let run = unasked.assert().code(2);
    let told = text(&run.get_output().stderr);
    for words in ["4.00 MiB", "panup-tune", &emulator.api(), "--yes"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(emulator.stats().calls_of(Operation::Create).count(), 0);
    assert_eq!(left_in(room.path()), 0);
}

#[test]
fn what_it_finds_and_what_it_cannot_move_stays_and_is_told() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    // Somebody's own file in that folder.
    let own = room.path().join("own");
    std::fs::write(&own, "own").expect("room");
    let mut upload = command(room.path());
    upload.args([
        "upload",
        "--no-resume",
        "--dest",
        "panup-tune",
        "--api",
        &emulator.api(),
    ]);
    upload.arg(&own).env("PANUP_TOKEN", emulator.token());
    upload.assert().success();
    let flags = ["--budget", "2M", "--try", "1"];
    tune(&emulator, room.path(), &flags).assert().success();
    let names = |files: Vec<panup_emulator::StoredFile>| -> Vec<String> {
        files.into_iter().map(|file| file.path).collect()
    };
    assert_eq!(names(emulator.files()), ["panup-tune/own"]);
    assert_eq!(emulator.trash().len(), 2);
    emulator.inject(Fault::on(Operation::Trash, Action::status(403)));
    let run = tune(&emulator, room.path(), &flags).assert().success();
    let told = text(&run.get_output().stderr);
    assert!(told.contains("please delete them (ids "), "{told}");
    assert_eq!(emulator.trash().len(), 2);
}

/// Interrupted in the middle, it still moves what has arrived.
#[cfg(unix)]
#[test]
fn an_interrupt_cleans_up_too() {
    let emulator = emulator();
    let room = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_panup"));
    command.args([
        "tune",
        "--yes",
        "--budget",
        "64M",
        "--try",
        "1",
        "--api",
        &emulator.api(),
    ]);
    command
        .env("PANUP_TOKEN", emulator.token())
        .env("TMPDIR", room.path());
    let second = Fault::on(Operation::Create, Action::StallAnswer { millis: 20_000 });
    emulator.inject(second.from(2));
    let mut child = command.spawn().expect("started");
    let started = std::time::Instant::now();
    while emulator.stats().of(Operation::Create).calls < 2 {
        assert!(started.elapsed().as_secs() < 30, "in vain");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let id = i32::try_from(child.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not 0");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("ours").code(), Some(130));
    assert_eq!((emulator.files().len(), emulator.trash().len()), (0, 1));
    assert_eq!(left_in(room.path()), 0);
}

#[test]
fn without_an_account_an_emulator_will_do() {
    let room = tempfile::tempdir().expect("a folder");
    let mut command = command(room.path());
    let run = command
        .args(["tune", "--emulator", "--budget", "8M", "--try", "2"])
        .assert();
    let out = text(&run.success().get_output().stdout);
    assert_eq!(out.lines().count(), 4, "{out}");
    assert_eq!(left_in(room.path()), 0);
}

fn emulator() -> Emulator {
    let config = Config {
        slice_size: 64 << 10,
        ..Config::default()
    };
    Emulator::start(config).expect("an emulator")
}

fn tune(emulator: &Emulator, room: &Path, flags: &[&str]) -> Command {
    let mut command = command(room);
    command
        .args(["tune", "--yes", "--api", &emulator.api()])
        .args(flags)
        .env("PANUP_TOKEN", emulator.token());
    command
}

/// The binary, all of whose temporary files go below `room`.
fn command(room: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panup"));
    for variable in [
        "PANUP_API",
        "PANUP_CLIENT_ID",
        "PANUP_CLIENT_SECRET",
        "PANUP_STATE_DIR",
        "PANUP_TOKEN_COMMAND",
    ] {
        command.env_remove(variable);
    }
    command
        .env("TMPDIR", room)
        .timeout(std::time::Duration::from_secs(60));
    command
}

fn body_bytes(stats: &Stats) -> u64 {
    stats.of(Operation::Slice).body_bytes + stats.of(Operation::Single).body_bytes
}

fn left_in(room: &Path) -> usize {
    std::fs::read_dir(room).expect("readable").count()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// What may leave between two looks at the counters, with sockets as fast as loopback's.
const OVERSHOOT: u64 = 1 << 20;
