//! What is typed wrongly leads to the right use, and nowhere else; an emulator needs nothing of the
//! environment.

use panup_emulator::Config;

use crate::common::Scene;
use crate::common::program::{finish, panup};

#[test]
fn a_guess_that_means_another_option_is_not_made() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let refused = |args: &[&str]| {
        let mut command = panup(scene.local.path());
        finish(command.arg("upload").args(args).arg("f"))
            .exit(2)
            .stderr
    };
    let said = refused(&["--no-progres-s-at-all"]);
    assert!(!said.contains("--no-resume"), "{said}");
    let said = refused(&["--exclud", "x"]);
    assert!(said.contains("'--exclude'"), "{said}");
    for secret in ["--token", "--client-secret"] {
        let said = refused(&[secret, "abc"]);
        assert!(
            said.contains("PANUP_TOKEN") && said.contains("--token-file"),
            "{said}"
        );
        assert!(!said.contains("similar"), "{said}");
    }
}

#[test]
fn what_is_no_number_is_told_what_to_write() {
    let scene = Scene::new(Config::default());
    for (args, words) in [
        (&["upload", "--parent-id", "photos", "f"][..], "--dest"),
        (&["upload", "--retries", "x", "f"], "a whole number"),
        (&["upload", "--hash-threads", "-", "f"], "a whole number"),
        (&["upload", "--limit-rate", "fast", "f"], "80Mbit"),
        (&["hash", "--threads", "x"], "a whole number"),
        (&["status", "--finished", "x"], "a whole number"),
        (&["tune", "--seconds", "0"], "a whole number from 1"),
    ] {
        let said = finish(panup(scene.local.path()).args(args)).exit(2).stderr;
        assert!(said.contains(words), "{args:?} {said}");
        assert!(!said.contains("invalid digit"), "{args:?} {said}");
    }
}

/// What other programs have, or what cannot be, leads to what is near.
#[test]
fn what_is_no_use_of_panup_leads_to_one() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    for (args, words) in [
        (&["ls"][..], "panup verify"),
        (&["whoami"], "panup doctor"),
        (&["sync", "f"], "panup upload"),
        (&["upload", "--emulator", "-"], "say --as NAME"),
        (&["upload", "--emulator", "f:g"], "--as g f"),
        (&["upload", "--emulator", "store", "f"], "--emulator=store"),
        (
            &["upload", "--ca-cert", "f", "f"],
            "--ca-cert f: there is no PEM",
        ),
        (&["hash", "--slices", "1M", "f"], "--slices=1M"),
        (&["hash", "--threads", "100000", "f"], "1024"),
    ] {
        let mut command = panup(scene.local.path());
        let said = finish(command.env("PANUP_TOKEN", "x").args(args))
            .exit(2)
            .stderr;
        assert!(said.contains(words), "{args:?} {said}");
    }
}

/// What is set for a real account is neither used nor read.
#[test]
fn an_emulator_works_whatever_the_environment_says_of_a_real_account() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    for (name, value) in [
        ("PANUP_API", "https://elsewhere.invalid"),
        ("http_proxy", "h ttp://nonsense"),
        ("ALL_PROXY", "gopher://x"),
        ("PANUP_TOKEN", "not a token"),
        ("PANUP_CLIENT_ID", "half"),
    ] {
        let mut command = panup(scene.local.path());
        command.args(["upload", "--emulator=store", "--on-conflict", "overwrite"]);
        command.arg("--force");
        let done = finish(command.arg("f").env(name, value)).exit(0);
        assert!(done.stdout.contains("uploaded"), "{name} {done:?}");
    }
    let mut command = panup(scene.local.path());
    command.args(["upload", "--emulator", "--api", "https://x.invalid", "f"]);
    let said = finish(&mut command).exit(2).stderr;
    assert!(said.contains("leave out --api"), "{said}");
}

/// A folder that cannot be read: its name and the reason, each once.
#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_once() {
    use std::os::unix::process::CommandExt as _;

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let mut hash = std::process::Command::new(env!("CARGO_BIN_EXE_panup"));
    hash.env_clear().current_dir("/").uid(65534).gid(65534);
    let folder = tempfile::tempdir().expect("a folder");
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).expect("ours");
    for (path, mode) in [(folder.path(), 0o755), (locked.as_path(), 0)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("ours");
    }
    let output = hash
        .arg("hash")
        .arg(folder.path())
        .output()
        .expect("started");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(said.matches("locked").count(), 1, "{said}");
    assert!(
        said.contains("Permission denied") && !said.contains("IO error"),
        "{said}"
    );
}
