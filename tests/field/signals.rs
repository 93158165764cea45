//! Signals end the process in seconds, whatever is locked or blocked.
#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use panup_emulator::{Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::Scene;
use crate::common::program::{Finished, finish, plain, upload, wait_until};

#[test]
fn a_login_of_another_process_is_waited_for_and_ends_with_two_signals() {
    let scene = scene();
    scene.file("f", 10);
    // The first run names the lock; the token that it kept is dropped.
    finish(
        upload(&scene)
            .args(STATE)
            .arg("f")
            .envs(CLIENT)
            .env_remove("PANUP_TOKEN"),
    )
    .exit(0);
    fs::remove_file(only(&scene, "json")).expect("ours");
    let lock = File::open(only(&scene, "lock")).expect("ours");
    lock.lock().expect("nobody has it");
    scene.file("g", 10);
    let mut command = start(&scene, &["g"]);
    command.env_remove("PANUP_TOKEN").envs(CLIENT);
    let mut child = spawn(&mut command);
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let said = read_until(&mut errors, "another panup is logging in");
    assert!(said.contains("waiting"), "{said}");
    signal(&child, Signal::TERM);
    read_until(&mut errors, "once more ends at once");
    signal(&child, Signal::INT);
    soon(child).exit(130);
    // The lock is let go: whoever waits goes on.
    let mut child = spawn(&mut command);
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    read_until(&mut errors, "another panup is logging in");
    drop(lock);
    soon(child).exit(0);
    assert_eq!(scene.emulator.files().len(), 2);
}

#[test]
fn one_signal_ends_a_run_that_waits_for_a_login() {
    let scene = scene();
    scene.file("f", 10);
    let never = Action::StallAnswer { millis: 300_000 };
    scene
        .emulator
        .inject(Fault::on(Operation::AccessToken, never));
    let holds = spawn(start(&scene, &["f"]).env_remove("PANUP_TOKEN").envs(CLIENT));
    wait_until(|| scene.emulator.stats().of(Operation::AccessToken).in_flight > 0);
    let waits = spawn(start(&scene, &["f"]).env_remove("PANUP_TOKEN").envs(CLIENT));
    std::thread::sleep(Duration::from_millis(500));
    signal(&waits, Signal::INT);
    soon(waits).exit(130);
    signal(&holds, Signal::TERM);
    soon(holds).exit(130);
}

#[test]
fn a_journal_that_another_program_locks_does_not_keep_the_process() {
    let scene = scene();
    scene.file("f", 10);
    finish(upload(&scene).args(STATE).arg("f")).exit(0);
    let path = scene.local.path().join("state/journal.lock");
    let lock = OpenOptions::new().write(true).open(path).expect("there");
    lock.lock().expect("nobody has it");
    let child = spawn(&mut start(&scene, &["f"]));
    // Until it is caught; before that a signal ends it as signals do.
    wait_until(|| catches(&child, Signal::INT));
    signal(&child, Signal::INT);
    soon(child).exit(130);
}

/// A queue feeds it: nobody knows when the next line comes.
#[test]
fn a_list_that_goes_on_does_not_keep_an_interrupted_run() {
    let scene = scene();
    scene.file("f", 10);
    let mut command = start(&scene, &["--json", "--files-from", "-"]);
    let mut child = spawn(command.stdin(Stdio::piped()));
    let mut queue = child.stdin.take().expect("piped");
    writeln!(queue, "f").expect("it reads");
    let mut results = BufReader::new(child.stdout.take().expect("piped"));
    read_until(&mut results, "\"status\":\"uploaded\"");
    signal(&child, Signal::INT);
    let summary = read_until(&mut results, "\"summary\"");
    assert!(summary.contains("\"uploaded\":1"), "{summary}");
    soon(child).exit(130);
    drop(queue);
}

#[test]
fn nobody_reads_what_is_printed() {
    let scene = scene();
    for number in 0..800 {
        scene.file(
            &format!("tree/{number:03}-with-a-name-that-takes-some-room"),
            10,
        );
    }
    // 800 lines of more than 200 bytes do not fit into a pipe's 64 KiB.
    let child = spawn(&mut start(&scene, &["--json", "tree"]));
    wait_until(|| scene.emulator.files().len() > 600);
    signal(&child, Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, Signal::TERM);
    assert_eq!(ended(child).wait().expect("ours").code(), Some(130));
}

#[test]
fn a_hangup_is_an_interrupt_too_unless_it_was_ignored() {
    let scene = scene();
    scene.file("big.bin", 2 << 20);
    let slow = [
        "--limit-rate",
        "400K",
        "--single-max",
        "0",
        "--json",
        "big.bin",
    ];
    if hangups_are_ignored() {
        eprintln!("skipped: these tests run under nohup, and what they start ignores hangups too");
    } else {
        let child = spawn(&mut start(&scene, &slow));
        wait_until(|| scene.emulator.stats().of(Operation::Slice).done > 0);
        signal(&child, Signal::HUP);
        let (files, _) = soon(child).exit(130).report();
        assert_eq!(files[0]["error"]["kind"], "cancelled");
    }

    let ignoring = start(&scene, &slow);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    shell.arg(ignoring.get_program()).args(ignoring.get_args());
    shell.current_dir(scene.local.path()).env_clear();
    shell.env("PANUP_TOKEN", scene.emulator.token());
    let child = spawn(
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let before = scene.emulator.stats().of(Operation::Slice).done;
    wait_until(|| scene.emulator.stats().of(Operation::Slice).done > before);
    signal(&child, Signal::HUP);
    let then = scene.emulator.stats().of(Operation::Slice).done;
    wait_until(|| scene.emulator.stats().of(Operation::Slice).done > then + 2);
    signal(&child, Signal::TERM);
    soon(child).exit(130);
}

/// Whether this process was started with SIGHUP ignored, as nohup does.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[test]
fn pipes_in_the_place_of_files_are_no_wait() {
    let scene = scene();
    scene.file("f", 10);
    finish(
        upload(&scene)
            .args(STATE)
            .arg("f")
            .envs(CLIENT)
            .env_remove("PANUP_TOKEN"),
    )
    .exit(0);
    for end in ["json", "lock"] {
        let path = scene.local.path().join(only(&scene, end));
        fs::remove_file(&path).expect("ours");
        pipe(&path);
    }
    scene.file("g", 10);
    let done = finish(
        upload(&scene)
            .args(STATE)
            .arg("g")
            .envs(CLIENT)
            .env_remove("PANUP_TOKEN"),
    )
    .exit(0);
    assert!(done.stderr.contains("not a regular file"), "{done:?}");
    let lock = scene.local.path().join("state/journal.lock");
    fs::remove_file(&lock).expect("ours");
    pipe(&lock);
    scene.file("h", 10);
    let done = finish(upload(&scene).args(STATE).arg("h")).exit(0);
    assert!(done.stderr.contains("cannot be resumed"), "{done:?}");
    assert_eq!(scene.emulator.files().len(), 3);
}

fn scene() -> Scene {
    Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        ..Config::default()
    })
}

fn start(scene: &Scene, more: &[&str]) -> Command {
    let mut command = plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api()]);
    command.args(["--call-rate", "create=10000,complete=10000,single=10000"]);
    command.args(STATE).args(more);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().expect("started")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(id(child), signal).expect("it runs");
}

fn id(child: &Child) -> Pid {
    let id = i32::try_from(child.id()).expect("an id");
    Pid::from_raw(id).expect("not 0")
}

/// Whether the process has a handler for `signal`, as Linux tells it.
fn catches(child: &Child, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("hex");
    mask >> (signal.as_raw() - 1) & 1 == 1
}

/// What `child` said, which has seconds to end.
fn soon(child: Child) -> Finished {
    Finished::from(ended(child).wait_with_output().expect("it ended"))
}

fn ended(mut child: Child) -> Child {
    let deadline = Instant::now() + SECONDS;
    while child.try_wait().expect("ours").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("ours");
            panic!("it did not end");
        }
        std::thread::sleep(BEAT);
    }
    child
}

fn read_until(lines: &mut impl BufRead, words: &str) -> String {
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).expect("text");
        assert!(read > 0, "the end, and not {words:?}");
        if line.contains(words) {
            return line;
        }
    }
}

/// The one file of the token cache that ends so.
fn only(scene: &Scene, end: &str) -> PathBuf {
    let entries = fs::read_dir(scene.local.path().join("state")).expect("there");
    let mut paths = entries.map(|entry| entry.expect("readable").path());
    let token = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("token-") && name.ends_with(end)
    };
    paths.find(token).expect("one")
}

fn pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
}

const STATE: [&str; 2] = ["--state-dir", "state"];

const CLIENT: [(&str, &str); 2] = [
    ("PANUP_CLIENT_ID", CLIENT_ID),
    ("PANUP_CLIENT_SECRET", CLIENT_SECRET),
];

/// What a signal may take, on a machine that has much else to do.
const SECONDS: Duration = Duration::from_secs(20);
const BEAT: Duration = Duration::from_millis(5);
