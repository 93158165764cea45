//! Who uploads: login and logout, token files, and secrets that are printed nowhere.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
#[cfg(unix)]
use panup_emulator::TOKEN;
use panup_emulator::{CLIENT_ID, CLIENT_SECRET, Config, Tls};

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, stored, upload};

#[test]
fn login_keeps_credentials_and_one_token_for_the_runs_that_follow() {
    let scene = scene();
    let done = finish(login(&scene).write_stdin(format!("{CLIENT_ID}\n{CLIENT_SECRET}\n"))).exit(0);
    assert!(done.stdout.contains(CLIENT_ID), "{done:?}");
    done.hides(CLIENT_SECRET);
    #[cfg(unix)]
    for file in state(&scene) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(scene.local.path().join("state/credentials").exists());
    for name in ["x", "y"] {
        finish(with_state(&scene).arg(name))
            .exit(0)
            .hides(CLIENT_SECRET);
    }
    assert_eq!(stored(&scene.emulator), ["x", "y"]);
    assert_eq!(scene.emulator.stats().logins, 1, "the token is cached");
    finish(&mut on(&scene, "logout")).exit(0);
    assert!(!scene.local.path().join("state/credentials").exists());
    let left: Vec<_> = state(&scene)
        .into_iter()
        .filter(|file| {
            let text = fs::read(file).expect("readable");
            String::from_utf8_lossy(&text).contains("token")
                && file.extension().is_some_and(|end| end == "json")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
    finish(with_state(&scene).arg("x")).exit(2);
}

#[test]
fn a_login_that_is_refused_keeps_nothing() {
    let scene = scene();
    let mut command = login(&scene);
    command.env("PANUP_CLIENT_ID", CLIENT_ID);
    let done = finish(command.env("PANUP_CLIENT_SECRET", "wr0ng")).exit(3);
    assert!(done.stderr.contains("access_token"), "{done:?}");
    done.hides("wr0ng");
    assert!(!scene.local.path().join("state/credentials").exists());
}

#[test]
fn half_a_pair_of_credentials_is_wrong_usage() {
    let scene = scene();
    let done = finish(with_state(&scene).arg("x").env("PANUP_CLIENT_ID", "i")).exit(2);
    assert!(done.stderr.contains("belong together"), "{done:?}");
}

#[test]
fn credentials_from_the_environment_log_in_once_for_many_files() {
    let scene = scene();
    let mut command = with_state(&scene);
    command.env("PANUP_CLIENT_ID", CLIENT_ID);
    command.env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
    finish(command.args(["x", "y"]))
        .exit(0)
        .hides(CLIENT_SECRET);
    assert_eq!(scene.emulator.stats().logins, 1);
}

#[cfg(unix)]
#[test]
fn files_with_secrets_that_others_can_read_are_refused() {
    let scene = scene();
    let token = scene.local.path().join("token");
    fs::write(&token, format!("{TOKEN}\n")).expect("written");
    let with_file = || {
        let mut command = with_state(&scene);
        command.args(["--token-file", "token", "x"]);
        command
    };
    set_mode(&token, 0o644);
    let done = finish(&mut with_file()).exit(2);
    assert!(done.stderr.contains("others can read it"), "{done:?}");
    done.hides(TOKEN);
    set_mode(&token, 0o600);
    finish(&mut with_file()).exit(0).hides(TOKEN);
    finish(login(&scene).write_stdin(format!("{CLIENT_ID}\n{CLIENT_SECRET}\n"))).exit(0);
    set_mode(&scene.local.path().join("state/credentials"), 0o640);
    let done = finish(with_state(&scene).arg("y")).exit(2);
    assert!(done.stderr.contains("others can read it"), "{done:?}");
    done.hides(CLIENT_SECRET);
    assert_eq!(stored(&scene.emulator), ["x"]);
}

#[test]
fn a_token_file_that_is_missing_is_wrong_usage() {
    let scene = scene();
    let done = finish(with_state(&scene).args(["--token-file", "missing", "x"])).exit(2);
    assert!(done.stderr.contains("missing"), "{done:?}");
}

#[test]
fn no_log_shows_a_secret_however_loud() {
    for tls in [Tls::Off, Tls::Both] {
        let scene = Scene::new(Config {
            tls,
            tokens: vec!["a-t0ken-of-its-own".to_owned()],
            slice_size: 64 << 10,
            ..Config::default()
        });
        let pem = scene.local.path().join("ca.pem");
        fs::write(&pem, scene.emulator.ca_pem().unwrap_or_default()).expect("written");
        scene.file("x", 300_000);
        let loud = |command: &mut Command| -> Finished {
            if tls == Tls::Both {
                command.args(["--ca-cert", "ca.pem", "--http", "2"]);
            }
            command.args([
                "-vv",
                "--single-max",
                "0",
                "--force",
                "--on-conflict",
                "overwrite",
            ]);
            command.arg("x").env("PANUP_LOG", "trace");
            finish(command).exit(0)
        };
        let pasted = loud(&mut upload(&scene));
        assert!(pasted.stderr.contains("TRACE"), "it is loud: {pasted:?}");
        assert!(!pasted.stderr.contains('\x1b'), "no colours in a pipe");
        pasted.hides("a-t0ken-of-its-own");
        let mut command = upload(&scene);
        command.env_remove("PANUP_TOKEN");
        command.env("PANUP_CLIENT_ID", CLIENT_ID);
        command.env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
        let fetched = loud(&mut command);
        assert_eq!(scene.emulator.stats().logins, 1);
        fetched.hides(CLIENT_SECRET);
        let cached: Vec<String> = tokens(scene.local.path());
        assert_eq!(cached.len(), 1);
        fetched.hides(&cached[0]);
    }
}

/// Two small files, and a service that takes the emulator's client credentials.
fn scene() -> Scene {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    scene.file("y", 20);
    scene
}

fn on(scene: &Scene, command: &str) -> Command {
    let mut panup = panup(scene.local.path());
    panup.args([command, "--state-dir", "state"]);
    panup
}

fn login(scene: &Scene) -> Command {
    let mut command = on(scene, "login");
    command.args(["--api", &scene.emulator.api()]);
    command
}

/// `panup upload` that knows no more than its state folder does.
fn with_state(scene: &Scene) -> Command {
    let mut command = on(scene, "upload");
    command.args(["--api", &scene.emulator.api()]);
    command
}

/// The files of the state folder that can hold a secret; the journal is SQLite's.
fn state(scene: &Scene) -> Vec<std::path::PathBuf> {
    let folder = scene.local.path().join("state");
    let files = fs::read_dir(folder).expect("made").flatten();
    let files = files.map(|entry| entry.path());
    files
        .filter(|path| {
            let name = path.file_name().expect("named").to_string_lossy();
            name == "credentials" || name.starts_with("token-") && name.ends_with(".json")
        })
        .collect()
}

/// The access tokens cached anywhere below `home`.
fn tokens(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(tokens(&path));
        } else if name.starts_with("token-") && name.ends_with(".json") {
            let text = fs::read_to_string(&path).expect("text");
            let kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let token = kept["token"].as_str().expect("a token");
            found.push(token.to_owned());
        }
    }
    found
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}
