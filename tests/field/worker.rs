//! `--files-from -` as the worker of a queue: a coprocess that is answered line by line, and workers of a real
//! Redis that are killed.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::Scene;
use crate::common::program::{QUICK, plain};

/// The feeder waits for each answer before it says the next line, whichever answer it reads.
#[test]
fn each_line_is_answered_before_the_next_one_is_there() {
    for reads in ["--json", "--report=/dev/stderr", "plain"] {
        let scene = Scene::small();
        let mut command = plain(scene.local.path());
        command
            .args(["upload", "--api", &scene.emulator.api()])
            .args(QUICK);
        command.args(["--files-from", "-", "--no-progress"]);
        if reads != "plain" {
            command.arg(reads);
        }
        command.env("PANUP_TOKEN", scene.emulator.token());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a binary");
        let mut lines = child.stdin.take().expect("piped");
        let mut answers: Box<dyn BufRead> = match reads {
            "--report=/dev/stderr" => Box::new(BufReader::new(child.stderr.take().expect("piped"))),
            _ => Box::new(BufReader::new(child.stdout.take().expect("piped"))),
        };
        for number in 0..3_u64 {
            let name = format!("{number}");
            scene.file(&name, 10 + number);
            let tag = json!({"n": number, "receipt": "a b"});
            let job = json!({"path": name, "remote": format!("to/{name}"), "tag": tag});
            writeln!(lines, "{job}").expect("taken");
            let answer = loop {
                let mut answer = String::new();
                assert!(
                    answers.read_line(&mut answer).expect("text") > 0,
                    "{reads}: it ended"
                );
                if reads == "plain" || answer.contains("\"event\":\"file\"") {
                    break answer;
                }
            };
            if reads == "plain" {
                assert!(answer.starts_with("uploaded"), "{answer}");
            } else {
                let answer: Value = serde_json::from_str(&answer).expect("an object");
                assert_eq!(
                    (&answer["status"], &answer["tag"]),
                    (&json!("uploaded"), &tag)
                );
            }
            assert_eq!(scene.emulator.files().len() as u64, number + 1);
        }
        drop(lines);
        assert!(child.wait().expect("ours").success(), "{reads}");
    }
}

#[test]
fn killed_workers_of_a_redis_list_lose_and_double_nothing() {
    kill_table("redis", &["redis-server", "redis-cli"]);
}

/// The long forms are `tools/worker/kill-table redis 200` and `psql 200`.
fn kill_table(queue: &str, wanted: &[&str]) {
    for tool in ["bash", "jq"].iter().chain(wanted) {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output();
        if !found.is_ok_and(|found| found.status.success()) {
            eprintln!("skipped: {tool} is not installed");
            return;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/worker/kill-table");
    let mut command = Command::new(script);
    command
        .args([queue, "2"])
        .env("FILES", "20")
        .env("PANUP", env!("CARGO_BIN_EXE_panup"));
    let ended = command.output().expect("a script");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(told.contains("0 lost, 0 doubled"), "{told}");
}
