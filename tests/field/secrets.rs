//! Secrets: how orchestrators hand them over, where they are kept, and to whom they are told.

use std::fs;
use std::process::Stdio;

use panup_emulator::Config;

use crate::common::program::{finish, panup, stored, upload};
use crate::common::{Scene, make};

/// As in a container: the secret is root's and everybody may read it, we are somebody without a home.
#[cfg(unix)]
#[test]
fn a_secret_that_an_orchestrator_mounts_is_taken_and_a_missing_home_is_told() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;

    let scene = Scene::small();
    if fs::metadata(scene.local.path()).expect("there").uid() != 0 {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let mode = |path: &std::path::Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    scene.file("a", 10);
    let mounted = scene.path("..data");
    fs::write(&mounted, format!("{}\n", scene.emulator.token())).expect("room");
    let link = scene.path("token");
    symlink("..data", &link).expect("room");
    mode(scene.local.path(), 0o755);
    // Where the tests may not be entered by others there is a way to them all the same.
    let program = scene.path("panup");
    fs::copy(env!("CARGO_BIN_EXE_panup"), &program).expect("room");
    for bits in [0o444, 0o644] {
        mode(&mounted, bits);
        let mut command = std::process::Command::new(&program);
        command.env_clear().current_dir(scene.local.path());
        command.args([
            "upload",
            "--on-conflict",
            "overwrite",
            "--api",
            &scene.emulator.api(),
        ]);
        command.arg("--token-file").arg(&link).arg("a");
        command
            .uid(54_242)
            .gid(54_242)
            .stdin(std::process::Stdio::null());
        let run = command.output().expect("it can be started");
        let run = crate::common::program::Finished::from(run).exit(0);
        assert!(run.stderr.contains("--state-dir"), "{run:?}");
        assert!(run.stderr.contains("nothing can be resumed"), "{run:?}");
    }
    mode(&mounted, 0o644);
    let mut ours = panup(scene.local.path());
    ours.args([
        "upload",
        "--api",
        &scene.emulator.api(),
        "a",
        "--token-file",
    ]);
    let run = finish(ours.arg(&link)).exit(2);
    assert!(
        run.stderr.contains("chmod 600"),
        "it is ours to mend: {run:?}"
    );
}

#[test]
fn a_server_elsewhere_that_the_service_names_is_not_told_the_token() {
    let scene = Scene::new(Config {
        servers: 1,
        advertise: vec!["http://up.evil.invalid:1".to_owned()],
        ..Config::default()
    });
    for n in 0..3 {
        make(&scene.path(&format!("{n}")), 9 << 20, n);
    }
    let run = finish(upload(&scene).arg("--json").arg(scene.local.path())).exit(1);
    assert!(
        run.stdout.contains("name up.evil.invalid in --trust-host"),
        "{run:?}"
    );
    assert!(!run.stdout.contains("host not found"), "{run:?}");
    assert_eq!(stored(&scene.emulator), [""; 0]);
    let mut trusting = upload(&scene);
    trusting.args(["--json", "--retries", "0", "--trust-host", "*.evil.invalid"]);
    let run = finish(trusting.arg(scene.local.path())).exit(1);
    assert!(
        run.stdout.contains("host not found: up.evil.invalid"),
        "{run:?}"
    );
    let mut wrong = upload(&scene);
    let run = finish(wrong.args(["--trust-host", "a b", "0"])).exit(2);
    assert!(run.stderr.contains("trusted host"), "{run:?}");
}

/// A core dump, or another process of the same user, would find the token in the memory. Linux shows it:
/// what is known of such a process belongs to root.
#[cfg(target_os = "linux")]
#[test]
fn a_process_that_holds_secrets_cannot_be_dumped() {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_panup"));
    command.env_clear().current_dir("/");
    command.args(["emulate", "--listen", "127.0.0.1:0", "--discard"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    // Its first line says that it has begun.
    let mut line = String::new();
    let out = child.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    let owner = std::fs::metadata(format!("/proc/{}/status", child.id()));
    child.kill().expect("ours");
    child.wait().expect("ours");
    assert_eq!(owner.expect("it ran").uid(), 0, "{line}");
}
