//! A state folder that others can write in, or that is another user's.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use assert_cmd::Command;
use panup_emulator::{CLIENT_ID, CLIENT_SECRET, Config};

use crate::common::Scene;
use crate::common::program::{finish, panup, upload};

#[test]
fn no_secret_and_no_journal_goes_where_others_can_write() {
    for mode in [0o777, 0o770, 0o1777] {
        let scene = Scene::new(Config::default());
        scene.file("f", 10);
        let state = folder(&scene, mode);
        let done = finish(as_client(&mut upload(&scene)).arg("f")).exit(0);
        assert!(
            done.stderr.contains("others may write in the folder state"),
            "{done:?}"
        );
        assert!(done.stderr.contains("chmod go-w"), "{done:?}");
        assert_eq!(names(&state), [""; 0], "{mode:o}");
        let done = finish(as_client(&mut login(&scene))).exit(2);
        assert!(done.stderr.contains("others may write"), "{done:?}");
        done.hides(CLIENT_SECRET);
        assert_eq!(names(&state), [""; 0], "{mode:o}");
        assert_eq!(scene.emulator.stats().logins, 1, "the upload's alone");
    }
}

#[test]
fn credentials_that_others_could_have_put_there_are_not_used() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    finish(as_client(&mut login(&scene))).exit(0);
    let kept = || {
        let mut command = upload(&scene);
        command.env_remove("PANUP_TOKEN");
        finish(command.args(STATE).arg("f"))
    };
    fs::set_permissions(scene.local.path().join("state"), mode(0o777)).expect("ours");
    let done = kept().exit(2);
    assert!(done.stderr.contains("others may write"), "{done:?}");
    fs::set_permissions(scene.local.path().join("state"), mode(0o700)).expect("ours");
    kept().exit(0);
}

#[test]
fn a_folder_of_another_user_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give a folder away.
    }
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let state = folder(&scene, 0o755);
    chown(&state, Some(1501), None).expect("root may");
    let done = finish(as_client(&mut upload(&scene)).arg("f")).exit(0);
    assert!(
        done.stderr.contains("belongs to another user (uid 1501"),
        "{done:?}"
    );
    assert_eq!(names(&state), [""; 0]);
}

#[test]
fn names_that_were_prepared_are_not_written_through() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let state = folder(&scene, 0o700);
    let elsewhere = scene.local.path().join("elsewhere");
    fs::write(&elsewhere, "theirs").expect("ours");
    for name in [
        "journal.lock",
        "journal.db",
        "journal.db.damaged",
        "credentials",
    ] {
        symlink(&elsewhere, state.join(name)).expect("ours");
    }
    let done = finish(as_client(&mut upload(&scene)).arg("f")).exit(0);
    assert!(done.stderr.contains("cannot be resumed"), "{done:?}");
    finish(as_client(&mut login(&scene))).exit(0);
    let kept = fs::symlink_metadata(state.join("credentials")).expect("kept");
    assert!(kept.is_file());
    assert_eq!(fs::read_to_string(&elsewhere).expect("there"), "theirs");
}

#[test]
fn a_token_cache_that_cannot_be_used_is_a_login_and_no_failure() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    finish(as_client(&mut upload(&scene)).arg("f")).exit(0);
    let state = scene.local.path().join("state");
    let cache = names(&state)
        .into_iter()
        .find(|name| name.ends_with(".json"));
    let cache = state.join(cache.expect("cached"));
    let endless = r#"{"token":"t","expires":18446744073709551615,"fetched":1}"#;
    let (before, mut logins) = (fs::read_to_string(&cache).expect("ours"), 1);
    for (text, access, warns) in [
        (endless, 0o600, false),
        ("{", 0o600, false),
        (before.as_str(), 0o644, true),
    ] {
        fs::write(&cache, text).expect("ours");
        fs::set_permissions(&cache, mode(access)).expect("ours");
        let again = ["--force", "--on-conflict", "overwrite", "f"];
        let done = finish(as_client(&mut upload(&scene)).args(again)).exit(0);
        logins += 1;
        assert_eq!(scene.emulator.stats().logins, logins, "{text}");
        assert_eq!(
            done.stderr.contains("others can read it"),
            warns,
            "{done:?}"
        );
    }
    finish(as_client(&mut upload(&scene)).args(["--force", "--on-conflict", "overwrite", "f"]))
        .exit(0);
    assert_eq!(
        scene.emulator.stats().logins,
        logins,
        "the last one is kept"
    );
}

fn as_client(command: &mut Command) -> &mut Command {
    command.env_remove("PANUP_TOKEN");
    command.env("PANUP_CLIENT_ID", CLIENT_ID);
    command.env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
    command.args(STATE)
}

fn login(scene: &Scene) -> Command {
    let mut command = panup(scene.local.path());
    command.args(["login", "--api", &scene.emulator.api()]);
    command
}

fn folder(scene: &Scene, access: u32) -> std::path::PathBuf {
    let path = scene.local.path().join("state");
    fs::create_dir(&path).expect("ours");
    fs::set_permissions(&path, mode(access)).expect("ours");
    path
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable");
    entries
        .map(|entry| entry.expect("readable").file_name())
        .map(|name| name.into_string().expect("Unicode"))
        .collect()
}

fn mode(mode: u32) -> fs::Permissions {
    fs::Permissions::from_mode(mode)
}

const STATE: [&str; 2] = ["--state-dir", "state"];
