//! The commands around the main one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::common::program::{finish, panup, plain};
use crate::common::{folder, make};

#[test]
fn emulate_says_where_it_is_and_takes_an_upload() {
    let home = folder();
    make(&home.path().join("x"), 100_000, 0);
    let mut emulate = plain(home.path());
    emulate.args(["emulate", "--servers", "3", "--token", "s3same"]);
    emulate.args(["--dir", "cloud", "--slice-size", "64K", "--tls"]);
    emulate.args(["--ca-out", "ca.pem"]);
    let mut emulate = emulate.stdout(Stdio::piped()).spawn().expect("started");
    let out = BufReader::new(emulate.stdout.take().expect("piped"));
    let lines: Vec<String> = out
        .lines()
        .take(5)
        .map(|line| line.expect("text"))
        .collect();
    let api = lines[0]
        .strip_prefix("api https://")
        .expect("the first line");
    for line in &lines[1..4] {
        assert!(line.starts_with("server https://"), "{lines:?}");
    }
    assert_eq!(lines[4], "token s3same");
    let mut upload = panup(home.path());
    upload.args(["upload", "--single-max", "0", "--ca-cert", "ca.pem", "x"]);
    upload.env("PANUP_API", format!("https://{api}"));
    let done = finish(upload.env("PANUP_TOKEN", "s3same"));
    emulate.kill().expect("ours");
    emulate.wait().expect("it ends");
    let done = done.exit(0);
    assert!(done.stdout.contains("uploaded  x -> x"), "{done:?}");
    let stored = std::fs::read(home.path().join("cloud/x")).expect("stored");
    assert_eq!(stored, std::fs::read(home.path().join("x")).expect("there"));
}

#[test]
fn completions_for_every_shell() {
    let home = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = finish(panup(home.path()).args(["completions", shell])).exit(0);
        assert!(done.stdout.contains("on-conflict"), "{shell}");
        assert_eq!(done.stderr, "");
    }
    finish(panup(home.path()).args(["completions", "tcsh"])).exit(2);
}

#[test]
fn help_and_version() {
    let home = folder();
    let help = finish(panup(home.path()).args(["upload", "--help"])).exit(0);
    // The contract of the command line, by name.
    for name in [
        "--api",
        "--ca-cert",
        "--token-file",
        "--allow-http",
        "--emulator",
        "--parent-id",
        "--dest",
        "--on-conflict",
        "--follow",
        "--include",
        "--exclude",
        "--files-from",
        "--min-size",
        "--max-size",
        "--dry-run",
        "--single-max",
        "--concurrency",
        "--connections",
        "--http",
        "--hash-threads",
        "--limit-rate",
        "--yield",
        "--call-rate",
        "--state-dir",
        "--no-resume",
        "--force",
        "--quiet",
        "--verbose",
        "--json",
    ] {
        assert!(help.stdout.contains(name), "{name}");
    }
    for name in [
        "PANUP_API",
        "PANUP_TOKEN",
        "PANUP_CLIENT_ID",
        "PANUP_STATE_DIR",
    ] {
        assert!(help.stdout.contains(name), "{name}");
    }
    let version = finish(panup(home.path()).arg("--version")).exit(0);
    assert_eq!(
        version.stdout,
        concat!("panup ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
