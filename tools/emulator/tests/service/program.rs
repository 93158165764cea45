//! The program: its first lines, its flags, its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::*;

struct Program {
    child: Child,
    lines: Vec<String>,
}

impl Program {
    /// Starts it and reads its first `lines`.
    fn start(flags: &[&str], lines: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_panup-emulator"))
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.as_mut().unwrap());
        let lines = out.lines().take(lines).map(Result::unwrap).collect();
        Self { child, lines }
    }

    fn value(&self, line: usize, name: &str) -> &str {
        let said = self.lines[line].strip_prefix(name);
        said.unwrap_or_else(|| panic!("{:?}", self.lines)).trim()
    }

    /// Asks it to end; of Windows only its own console can.
    fn terminate(&mut self) -> bool {
        if cfg!(windows) {
            return self.child.kill().is_ok();
        }
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn it_says_where_it_is_serves_and_leaves_its_statistics() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let script = at("script.json");
    let faults = r#"{"faults": [{"operation": "domain", "action": {"http": {"status": 503}}}]}"#;
    fs::write(&script, faults).unwrap();
    let flags = [
        "--servers=3",
        "--dir",
        &at("kept"),
        "--stats",
        &at("stats.json"),
        "--token=a",
        "--token=b",
        "--slice-size=1M",
        "--polls=0",
        "--quirk=no-scheme,no-reuse",
        "--fault=create:2=code:1:别急",
        "--faults",
        &script,
        "--weather=0:latency=1",
        "--rate=complete=1000/http",
    ];
    let mut program = Program::start(&flags, 5);
    let api = program.value(0, "api ").to_owned();
    let servers = [1, 2, 3].map(|line| program.value(line, "server ").to_owned());
    assert_eq!(program.value(4, "token "), "a");
    let bearer = "Bearer b";
    let create = || {
        let ask = Ask::json(CREATE, &create_body("f", b"hello"));
        ask.header("Authorization", bearer).send(&api)
    };
    let created = create().data();
    assert_eq!(created["sliceSize"], 1 << 20);
    let bare = servers[2].strip_prefix("http://").unwrap();
    assert_eq!(created["servers"][2], bare);
    create().refused("别急");
    let id = created["preuploadID"].as_str().unwrap();
    let sent = slice(id, 1, b"hello").header("Authorization", bearer);
    assert_eq!(sent.send(&servers[1]).code(), 0);
    let done = complete(id).header("Authorization", bearer).send(&api);
    assert_eq!(done.data()["completed"], true);
    assert_eq!(Ask::to("GET", DOMAIN).send(&api).status, 503);
    assert!(program.terminate());
    assert_eq!(fs::read(at("kept/f")).unwrap(), b"hello");
    if cfg!(windows) {
        return; // It was killed, and had no time to write them.
    }
    let stats: Value = serde_json::from_slice(&fs::read(at("stats.json")).unwrap()).unwrap();
    assert_eq!(stats["operations"]["create"]["calls"], 2);
    assert_eq!(stats["places"][2]["calls"], 1);
}

#[test]
fn it_writes_its_ca_and_refuses_contradictions() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let mut program = Program::start(&["--tls", "--ca-out", ca.to_str().unwrap()], 4);
    assert!(program.value(0, "api ").starts_with("https://localhost:"));
    let pem = fs::read_to_string(&ca).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(program.terminate());
    for flags in [
        &["--ca-out", "x"][..],
        &["--dir", "x", "--discard"],
        &["--fault", "slice=nonsense"],
        &["--servers", "0"],
        &["--faults", "/nowhere/script.json"],
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_panup-emulator"))
            .args(flags)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        program
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(!program.wait().unwrap().success(), "{flags:?}");
        assert!(!said.is_empty(), "{flags:?}");
    }
}
