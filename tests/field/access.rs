//! Ways to a token beside a pasted one and a client's: a command, and OAuth's refresh tokens. Each is
//! asked once for all, is kept where only its owner reads it, and shows nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use base64::Engine;
use panup_emulator::{
    Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation, REFRESH_TOKEN, Tls,
};
use serde_json::{Value, json};

use crate::common::Scene;
use crate::common::program::{Finished, QUICK, finish, panup, plain, stored};

#[test]
fn a_command_runs_once_for_all_processes_and_again_where_its_token_is_refused() {
    let scene = scene();
    let first = command(&scene, "first-token", "2099-01-01T00:00:00Z");
    together(&scene, &first, 6);
    assert_eq!(runs(&scene), 1, "one for all");
    finish(by_command(&scene, &first).arg("x")).exit(0);
    assert_eq!(runs(&scene), 1, "it is kept");
    scene.emulator.expire_tokens();
    // The same command, which gives another token now.
    command(&scene, "second-token", "2099-01-01T00:00:00Z");
    together(&scene, &first, 6);
    assert_eq!(runs(&scene), 2, "one for all again");
    let refused = fs::read_to_string(scene.path("refused")).expect("written");
    assert_eq!(refused, "first\nafter a refusal\n");
    let kept = kept(&scene);
    let mode = fs::metadata(&kept[0]).expect("there").permissions().mode();
    assert_eq!((kept.len(), mode & 0o777), (1, 0o600));
}

#[test]
fn a_command_runs_again_before_its_token_ends() {
    let scene = scene();
    let line = command(&scene, "first-token", "2099-01-01T00:00:00Z");
    finish(by_command(&scene, &line).arg("x")).exit(0);
    let path = kept(&scene).remove(0);
    let text = fs::read_to_string(&path).expect("readable");
    let mut cached: Value = serde_json::from_str(&text).expect("JSON");
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after")
        .as_secs();
    for (left, ran) in [(310, 1), (290, 2)] {
        cached["expires"] = json!(now + left);
        cached["fetched"] = json!(now - 3600);
        fs::write(&path, cached.to_string()).expect("ours");
        finish(by_command(&scene, &line).arg("x")).exit(0);
        assert_eq!(runs(&scene), ran, "{left} s left");
    }
}

#[test]
fn a_command_that_fails_ends_the_run_with_its_words_and_none_of_its_output() {
    let scene = scene();
    for (line, words) in [
        (
            "echo s3cret; echo 'the vault is sealed' >&2; exit 9",
            "exit code 9; it says: the vault is sealed",
        ),
        ("true", "printed no token"),
        ("echo s3cret s3cret", "U+0020"),
        (
            "echo s3cret-wrong",
            "gave the token again that the service refused",
        ),
    ] {
        let counted = format!("echo run >> runs; {line}");
        let mut run = by_command(&scene, &counted);
        let run = finish(
            run.args(["-vv", "--json", "x", "y", "d"])
                .env("PANUP_LOG", "trace"),
        )
        .exit(3);
        assert!(run.stdout.contains(words), "{line}: {run:?}");
        run.hides("s3cret");
        let (files, summary) = run.report();
        assert_eq!(
            (files.len(), summary["failed"].as_u64()),
            (12, Some(12)),
            "{summary}"
        );
        let ran = runs(&scene);
        let refused = line.contains("wrong");
        assert_eq!(
            ran,
            if refused { 2 } else { 1 },
            "{line}: once, and once more if refused"
        );
        fs::remove_file(scene.path("runs")).expect("ours");
    }
    let empty = finish(by_command(&scene, " ").arg("x")).exit(2);
    assert!(
        empty.stderr.contains("the token command is empty"),
        "{empty:?}"
    );
    assert_eq!(scene.emulator.files(), []);
}

#[test]
fn what_is_typed_wins_over_the_environment_and_that_over_login() {
    let scene = scene();
    fs::write(scene.path("good"), scene.emulator.token()).expect("room");
    fs::set_permissions(scene.path("good"), PermissionsExt::from_mode(0o600)).expect("ours");
    let (file, line) = (["--token-file", "good"], ["--token-command", "cat good"]);
    let bad = [
        ("PANUP_TOKEN", "bad"),
        ("PANUP_TOKEN_COMMAND", "echo bad"),
        ("PANUP_CLIENT_ID", "half"),
        ("PANUP_OAUTH_CLIENT_ID", "half"),
    ];
    for typed in [&file, &line] {
        finish(bare(&scene).args(typed).arg("x").envs(bad)).exit(0);
    }
    let both = finish(bare(&scene).args(file).args(line).arg("x")).exit(2);
    assert!(both.stderr.contains("cannot be used with"), "{both:?}");
    let mut token = bare(&scene);
    token.args(["--force", "x"]).envs(bad[1..].to_vec());
    finish(token.env("PANUP_TOKEN", scene.emulator.token())).exit(0);
    let mut by_variable = bare(&scene);
    by_variable.args(["--force", "x"]).envs(bad[2..].to_vec());
    finish(by_variable.env("PANUP_TOKEN_COMMAND", "cat good")).exit(0);
    let mut by_file = bare(&scene);
    by_file.args(["--force", "x"]).envs(bad[1..].to_vec());
    finish(by_file.env("PANUP_TOKEN_FILE", "good")).exit(0);
    let half = finish(bare(&scene).arg("x").envs(bad[3..].to_vec())).exit(2);
    let missing = "PANUP_OAUTH_CLIENT_SECRET and PANUP_OAUTH_REFRESH_TOKEN is not set";
    assert!(half.stderr.contains(missing), "{half:?}");
    finish(&mut login(&scene, &["--oauth"])).exit(0);
    finish(bare(&scene).args(["--force", "x"]).envs(bad[..1].to_vec())).exit(3);
    finish(bare(&scene).args(["--force", "x"])).exit(0);
}

#[test]
fn a_refresh_token_in_the_environment_goes_on_as_its_kept_successors() {
    let scene = scene();
    for (run, refreshes) in [(1, 1), (2, 1)] {
        finish(by_oauth(&scene).arg("x")).exit(0);
        assert_eq!(refreshed(&scene), refreshes, "run {run}");
    }
    for run in 2..5 {
        scene.emulator.expire_tokens();
        finish(by_oauth(&scene).args(["--force", "x"])).exit(0);
        assert_eq!(
            refreshed(&scene),
            run,
            "each with the successor of the one before"
        );
    }
    assert_eq!(scene.emulator.stats().of(Operation::OAuth).refused, 0);
    let path = kept(&scene).remove(0);
    let mode = fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let out = finish(panup(scene.local.path()).args(["logout", "--state-dir", "state"])).exit(0);
    assert!(
        out.stdout.contains("logged out") && kept(&scene).is_empty(),
        "{out:?}"
    );
    let used = finish(by_oauth(&scene).args(["--force", "x"])).exit(3);
    assert!(used.stderr.contains("it works once"), "{used:?}");
    assert!(used.stderr.contains("panup login --oauth"), "{used:?}");
}

#[test]
fn many_processes_refresh_once() {
    let scene = scene();
    let run = |name: String| {
        scene.file(&name, 1000);
        let mut command = plain(scene.local.path());
        command.args(arguments(&scene)).arg(name).envs(oauth());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("started")
    };
    for round in 1..3 {
        let running: Vec<_> = (0..6).map(|n| run(format!("r{round}-{n}"))).collect();
        for child in running {
            Finished::from(child.wait_with_output().expect("ours")).exit(0);
        }
        assert_eq!(refreshed(&scene), round, "one for all");
        scene.emulator.expire_tokens();
    }
    assert_eq!(stored(&scene.emulator).len(), 12);
}

#[test]
fn a_refresh_that_was_not_carried_out_is_asked_again_and_uses_nothing_up() {
    let scene = scene();
    let inject = |fault| scene.emulator.inject(fault);
    inject(Fault::on(Operation::OAuth, Action::status(429)).nth(1));
    let mut run = by_oauth(&scene);
    let told = finish(run.args(["--retries=0", "x", "y"])).exit(1);
    assert!(
        told.stderr.contains("the refresh token was not used up"),
        "{told:?}"
    );
    inject(Fault::on(Operation::OAuth, Action::status(503)).nth(1));
    let slow = Action::Code {
        code: 429,
        message: "slow".to_owned(),
    };
    inject(Fault::on(Operation::OAuth, slow).nth(2));
    finish(by_oauth(&scene).arg("x")).exit(0);
    assert_eq!(refreshed(&scene), 1);
    assert_eq!(scene.emulator.stats().of(Operation::OAuth).calls, 4);
}

#[test]
fn a_lost_answer_is_told_now_and_in_the_next_run() {
    let scene = scene();
    scene
        .emulator
        .inject(Fault::on(Operation::OAuth, Action::TruncatedJson).first(1));
    let lost = finish(by_oauth(&scene).args(["x", "y"])).exit(3);
    let told = "an answer to an earlier refresh was lost";
    assert!(lost.stderr.contains(told), "{lost:?}");
    scene.emulator.clear_faults();
    let next = finish(by_oauth(&scene).arg("x")).exit(3);
    assert!(
        next.stderr.contains(told) && next.stderr.contains("panup login --oauth"),
        "{next:?}"
    );
    scene.emulator.allow_refresh_token("another");
    let anew = finish(
        by_oauth(&scene)
            .arg("x")
            .env("PANUP_OAUTH_REFRESH_TOKEN", "another"),
    );
    anew.exit(0);
}

#[test]
fn killed_before_the_answer_the_next_run_says_what_is_lost() {
    let scene = scene();
    let wait = Action::StallAnswer { millis: 10_000 };
    scene.emulator.inject(Fault::on(Operation::OAuth, wait));
    let mut command = plain(scene.local.path());
    command.args(arguments(&scene)).arg("x").envs(oauth());
    let mut child = command.spawn().expect("started");
    scene.wait_in_flight(Operation::OAuth, 1);
    // All is done when the answer waits.
    std::thread::sleep(Duration::from_millis(200));
    child.kill().expect("ours");
    child.wait().expect("ended");
    scene.emulator.clear_faults();
    let next = finish(by_oauth(&scene).arg("x")).exit(3);
    assert!(
        next.stderr
            .contains("an answer to an earlier refresh was lost"),
        "{next:?}"
    );
}

/// An interrupt is no kill: the answer that is on its way is waited for.
#[test]
fn interrupted_before_the_answer_nothing_is_lost() {
    let scene = scene();
    let wait = Action::StallAnswer { millis: 1000 };
    let fault = Fault::on(Operation::OAuth, wait);
    scene.emulator.inject(fault.first(1));
    let mut command = plain(scene.local.path());
    command.args(arguments(&scene)).arg("x").envs(oauth());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("started");
    scene.wait_in_flight(Operation::OAuth, 1);
    let id = i32::try_from(child.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not 0");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    Finished::from(child.wait_with_output().expect("ours")).exit(130);
    finish(by_oauth(&scene).arg("x")).exit(0);
    assert_eq!(refreshed(&scene), 1, "its token was kept");
}

/// A command that asks somebody does not keep a run that is to end.
#[test]
fn an_interrupt_does_not_wait_for_a_command() {
    let scene = scene();
    let mut command = plain(scene.local.path());
    let line = "echo run >> runs; sleep 40";
    command
        .args(arguments(&scene))
        .args(["--token-command", line, "x", "y"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("started");
    crate::common::wait("it runs", || runs(&scene) == 1);
    let id = i32::try_from(child.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not 0");
    let started = std::time::Instant::now();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    Finished::from(child.wait_with_output().expect("ours")).exit(130);
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[test]
fn a_refresh_token_that_cannot_be_followed_is_not_used() {
    let scene = scene();
    fs::write(scene.path("state"), "in the way").expect("room");
    let blocked = finish(by_oauth(&scene).arg("x"));
    assert_ne!(blocked.code, 0, "{blocked:?}");
    assert!(blocked.stderr.contains("was not used"), "{blocked:?}");
    assert_eq!(scene.emulator.stats().of(Operation::OAuth).calls, 0);
}

#[test]
fn nothing_that_oauth_or_a_command_has_is_shown_however_loud() {
    for tls in [Tls::Off, Tls::Both] {
        let scene = Scene::new(Config {
            tls,
            ..Config::default()
        });
        scene.file("x", 300_000);
        let pem = scene.emulator.ca_pem().unwrap_or_default();
        fs::write(scene.path("ca.pem"), pem).expect("room");
        let loud = |mut command: Command| {
            if tls == Tls::Both {
                command.args(["--ca-cert", "ca.pem", "--http", "2"]);
            }
            command.args(["-vv", "--force", "--retries=1", "x"]);
            let run = finish(command.env("PANUP_LOG", "trace"));
            assert!(run.stderr.contains("TRACE"), "it is loud: {run:?}");
            for secret in [
                "client_secret=",
                "refresh_token=",
                CLIENT_SECRET,
                REFRESH_TOKEN,
                "oauth-1",
                "refresh-1",
            ] {
                run.hides(secret);
            }
            run
        };
        loud(by_oauth(&scene)).exit(0);
        let echo = format!("/x?client_secret={CLIENT_SECRET}&refresh_token={REFRESH_TOKEN}");
        let message = echo.clone();
        for page in [
            Action::answer(404, format!("Cannot POST {echo}")),
            Action::redirect(302, format!("https://login.invalid{echo}")),
            Action::Code { code: 1, message },
        ] {
            scene.emulator.inject(Fault::on(Operation::OAuth, page));
            let mut other = by_oauth(&scene);
            other.env("PANUP_OAUTH_CLIENT_ID", "another");
            assert_ne!(loud(other).code, 0);
            scene.emulator.clear_faults();
        }
        scene.emulator.allow_token("a-t0ken-of-a-command");
        let line = "set -x; TOKEN=a-t0ken-of-a-command; echo $TOKEN";
        let run = loud(by_command(&scene, line)).exit(0);
        run.hides("a-t0ken-of-a-command");
    }
}

#[test]
fn the_next_token_of_an_account_knows_what_the_last_one_did_however_it_was_had() {
    let scene = scene();
    let (one, next, other) = (jwt(7, "a"), jwt(7, "b"), jwt(8, "c"));
    for token in [&one, &next, &other] {
        scene.emulator.allow_token(token);
    }
    let skipped = |command: &mut Command| {
        let (_, summary) = finish(command.args(["--json", "--look", "never", "d"]))
            .exit(0)
            .report();
        summary["skipped"].as_u64().expect("a number")
    };
    assert_eq!(skipped(bare(&scene).env("PANUP_TOKEN", &one)), 0);
    assert_eq!(skipped(bare(&scene).env("PANUP_TOKEN", &next)), 10);
    assert_eq!(
        skipped(&mut by_command(&scene, &format!("echo {next}"))),
        10
    );
    assert_eq!(
        skipped(&mut by_command(&scene, &format!("echo {other}"))),
        0,
        "another account"
    );
    // OAuth's own: opaque here, so the account is the application; or it is named.
    assert_eq!(skipped(&mut by_oauth(&scene)), 0);
    scene.emulator.expire_tokens();
    assert_eq!(skipped(&mut by_oauth(&scene)), 10);
    scene.emulator.allow_token("opaque");
    for (name, known) in [("me", 0), ("me", 10), ("you", 0)] {
        let mut by_name = by_command(&scene, "echo opaque");
        assert_eq!(skipped(by_name.args(["--account", name])), known, "{name}");
    }
    let mut pasted = bare(&scene);
    pasted
        .env("PANUP_TOKEN", "opaque")
        .env("PANUP_ACCOUNT", "me");
    assert_eq!(skipped(&mut pasted), 10, "whatever the credential");
    assert_eq!(skipped(by_oauth(&scene).args(["--account", "me"])), 10);
}

#[test]
fn a_run_does_not_go_on_in_another_account() {
    let scene = scene();
    let (one, other) = (jwt(7, "a"), jwt(8, "b"));
    scene.emulator.allow_token(&one);
    scene.emulator.allow_token(&other);
    fs::write(scene.path("now"), &one).expect("room");
    let expired = Action::Code {
        code: 401,
        message: "expired".to_owned(),
    };
    scene
        .emulator
        .inject(Fault::on(Operation::Single, expired).nth(1));
    let line = format!("cat now; printf %s {other} > now");
    let run = finish(by_command(&scene, &line).arg("x")).exit(3);
    assert!(run.stderr.contains("another account's"), "{run:?}");
    assert_eq!(stored(&scene.emulator), [""; 0]);
}

#[test]
fn login_says_where_keys_come_from_and_keeps_a_refresh_token() {
    let scene = scene();
    let mut asked = panup(scene.local.path());
    asked.args([
        "login",
        "--oauth",
        "--state-dir",
        "state",
        "--api",
        &scene.emulator.api(),
    ]);
    let typed = format!("{CLIENT_ID}\n\u{feff}\"{CLIENT_SECRET}\"\nBearer {REFRESH_TOKEN}\n");
    let done = finish(asked.write_stdin(typed)).exit(0);
    for words in [
        "https://www.123pan.com/developer",
        "paid",
        "--token-command",
        "refresh token: ",
    ] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
    assert_eq!(done.stderr.lines().count(), 4, "{done:?}");
    done.hides(CLIENT_SECRET).hides(REFRESH_TOKEN);
    let path = scene.path("state/credentials");
    let mode = fs::metadata(&path).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    finish(bare(&scene).arg("x")).exit(0);
    scene.emulator.expire_tokens();
    finish(bare(&scene).arg("y")).exit(0);
    assert_eq!(refreshed(&scene), 2);
    // The environment may name the same one.
    finish(by_oauth(&scene).args(["--force", "x"])).exit(0);
    assert_eq!(refreshed(&scene), 2);
    let again = finish(&mut login(&scene, &["--oauth"])).exit(0);
    assert_eq!(refreshed(&scene), 2, "{again:?}");
    let help = finish(panup(scene.local.path()).args(["login", "--help"])).exit(0);
    assert!(
        help.stdout.contains("https://www.123pan.com/developer"),
        "{help:?}"
    );
    let out = finish(panup(scene.local.path()).args(["logout", "--state-dir", "state"])).exit(0);
    assert!(!path.exists() && kept(&scene).is_empty(), "{out:?}");
    finish(bare(&scene).arg("x")).exit(2);
}

#[test]
fn a_login_with_a_used_refresh_token_keeps_nothing() {
    let scene = scene();
    let mut command = login(&scene, &["--oauth"]);
    let done = finish(command.env("PANUP_OAUTH_REFRESH_TOKEN", "us3d")).exit(3);
    assert!(done.stderr.contains("it works once"), "{done:?}");
    done.hides("us3d");
    assert!(!scene.path("state/credentials").exists());
}

/// Two small files, and a folder of ten.
fn scene() -> Scene {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    scene.file("y", 20);
    for n in 0..10 {
        scene.file(&format!("d/{n}"), 100 + n);
    }
    scene
}

/// A command that prints `token`, which is good from now on, and notes that it ran.
fn command(scene: &Scene, token: &str, end: &str) -> String {
    scene.emulator.allow_token(token);
    let object = json!({ "accessToken": token, "expiredAt": end }).to_string();
    fs::write(scene.path("vault"), object).expect("room");
    "echo run >> runs; test -n \"$PANUP_TOKEN_REFUSED\" && echo after a refusal >> refused || echo first >> refused; \
     sleep 0.3; cat vault"
        .to_owned()
}

fn runs(scene: &Scene) -> usize {
    let text = fs::read_to_string(scene.path("runs")).unwrap_or_default();
    text.lines().count()
}

/// So many processes at once, each with files of its own.
fn together(scene: &Scene, line: &str, count: u64) {
    let number = runs(scene);
    let start = |process| {
        let folder = format!("t{number}-{process}");
        for file in 0..5 {
            scene.file(&format!("{folder}/{file}"), 1000 + file);
        }
        let mut command = plain(scene.local.path());
        command
            .args(arguments(scene))
            .args(["--token-command", line])
            .arg(folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("started")
    };
    let running: Vec<_> = (0..count).map(start).collect();
    for child in running {
        Finished::from(child.wait_with_output().expect("ours")).exit(0);
    }
}

fn arguments(scene: &Scene) -> Vec<String> {
    let fixed = [
        "upload",
        "--on-conflict",
        "overwrite",
        "--api",
        &scene.emulator.api(),
    ]
    .map(str::to_owned);
    let quick = QUICK.map(str::to_owned);
    let state = ["--state-dir".to_owned(), "state".to_owned()];
    [&fixed[..], &quick, &state].concat()
}

/// `panup upload` without credentials.
fn bare(scene: &Scene) -> Command {
    let mut command = panup(scene.local.path());
    command.args(arguments(scene));
    command
}

fn by_command(scene: &Scene, line: &str) -> Command {
    let mut command = bare(scene);
    command.args(["--token-command", line]);
    command
}

fn by_oauth(scene: &Scene) -> Command {
    let mut command = bare(scene);
    command.envs(oauth());
    command
}

fn oauth() -> [(&'static str, &'static str); 3] {
    [
        ("PANUP_OAUTH_CLIENT_ID", CLIENT_ID),
        ("PANUP_OAUTH_CLIENT_SECRET", CLIENT_SECRET),
        ("PANUP_OAUTH_REFRESH_TOKEN", REFRESH_TOKEN),
    ]
}

fn login(scene: &Scene, more: &[&str]) -> Command {
    let mut command = panup(scene.local.path());
    command.args([
        "login",
        "--state-dir",
        "state",
        "--api",
        &scene.emulator.api(),
    ]);
    command.args(more).envs(oauth());
    command
}

/// Refresh tokens that were used.
fn refreshed(scene: &Scene) -> u64 {
    scene.emulator.stats().of(Operation::OAuth).done
}

/// The files of kept tokens.
fn kept(scene: &Scene) -> Vec<PathBuf> {
    let entries = fs::read_dir(scene.path("state")).expect("made").flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
}

fn jwt(id: u64, more: &str) -> String {
    let payload = json!({ "id": id, "more": more }).to_string();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    format!("eyJhbGciOiJIUzI1NiJ9.{payload}.c2ln")
}
