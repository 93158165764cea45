//! One token for everybody: however many processes and tasks meet a token that has ended, one of
//! them logs in. And nowhere a secret.

mod common;

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{SLICE, Scene, failure, outcomes_and_warnings};
use panup::{Client, Credential, Item, Kind, Operation, Secret, Status, Token, TokenSource};
use panup_emulator::{
    Action, CLIENT_ID, CLIENT_SECRET, Fault, Limits, Operation as Call, REFRESH_TOKEN, Tls,
};

fn client_credentials() -> Credential {
    Credential::Client {
        id: CLIENT_ID.to_owned(),
        secret: Secret::new(CLIENT_SECRET),
    }
}

fn client(scene: &Scene) -> Client {
    Client::new(scene.sliced_by(client_credentials())).expect("sound")
}

/// The binary with client credentials in its environment.
fn as_client(mut command: Command) -> Command {
    command
        .env_remove("PANUP_TOKEN")
        .env("PANUP_CLIENT_ID", CLIENT_ID)
        .env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
    command
}

fn many(scene: &Scene, process: u64, count: u64) -> Vec<Item> {
    (0..count)
        .map(|at| scene.item(&format!("p{process}-{at}"), 3 * SLICE, process * 100 + at))
        .collect()
}

fn upload_all(scene: &Scene, items: &[Item]) -> Command {
    let mut command = as_client(scene.sliced_upload(&items[0], &["--concurrency=64"]));
    command.args(items[1..].iter().map(|item| &item.path));
    command
}

#[test]
fn eight_processes_of_sixty_four_tasks_on_an_expired_token_log_in_once() {
    let scene = Scene::small();
    let first = scene.item("first", SLICE, 9999);
    let output = as_client(scene.sliced_upload(&first, &[]))
        .output()
        .expect("a binary");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scene.emulator.stats().logins, 1);
    scene.emulator.expire_tokens();
    let all: Vec<Vec<Item>> = (0..8).map(|process| many(&scene, process, 64)).collect();
    let running: Vec<_> = all
        .iter()
        .map(|items| upload_all(&scene, items).spawn().expect("a binary"))
        .collect();
    for process in running {
        let output = process.wait_with_output().expect("ours");
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(scene.emulator.stats().logins, 2, "one for all of them");
    let items = all.iter().flatten().chain([&first]);
    scene.assert_stored(&items.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_tasks_on_an_expired_token_log_in_once() {
    let scene = Scene::small();
    let mut options = scene.sliced_by(client_credentials());
    options.concurrency = Some(64);
    let client = Client::new(options).expect("sound");
    client.login().await.expect("good credentials");
    scene.emulator.expire_tokens();
    let items = many(&scene, 0, 64);
    let run = client.start(items.clone()).expect("threads");
    let (outcomes, warnings) = outcomes_and_warnings(run).await;
    assert_eq!((outcomes.len(), warnings.len()), (64, 0), "{warnings:?}");
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, Status::Uploaded(_))),
    );
    assert_eq!(scene.emulator.stats().logins, 2);
    scene.assert_stored(&items.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_good_is_used_by_the_next_run() {
    let scene = Scene::small();
    for at in 0..5 {
        let item = scene.item(&format!("f{at}"), SLICE, at);
        client(&scene).upload(item).await.expect("uploaded");
    }
    assert_eq!(scene.emulator.stats().logins, 1, "five runs, one login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    // 299 s are too few for a token of an hour, but not for one of five minutes.
    for (seconds, left, logins) in [(3600, 310, 1), (3600, 290, 2), (299, 299, 1)] {
        let scene = Scene::small();
        scene.emulator.set_limits(Limits {
            token_seconds: seconds,
            ..Limits::default()
        });
        client(&scene).login().await.expect("good credentials");
        age(&scene, seconds - left);
        let items = many(&scene, 0, 4);
        let run = client(&scene).start(items).expect("threads");
        let (outcomes, _) = outcomes_and_warnings(run).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome.status, Status::Uploaded(_)))
        );
        assert_eq!(
            scene.emulator.stats().logins,
            logins,
            "{left} of {seconds} s left"
        );
    }
}

/// The cached token was fetched, and ends, so many seconds earlier.
fn age(scene: &Scene, seconds: u64) {
    let path = cache(scene);
    let text = fs::read_to_string(&path).expect("cached");
    let mut kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for field in ["expires", "fetched"] {
        kept[field] = (kept[field].as_u64().expect("seconds") - seconds).into();
    }
    fs::write(path, kept.to_string()).expect("ours");
}

fn cache(scene: &Scene) -> std::path::PathBuf {
    let entries = fs::read_dir(scene.state()).expect("there");
    let mut paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .expect("a cached token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_that_is_refused_too_ends_the_session() {
    let scene = Scene::small();
    let refused = Action::Code {
        code: 401,
        message: "token is invalid".to_owned(),
    };
    scene
        .emulator
        .inject(Fault::on(Call::Create, refused.clone()));
    scene.emulator.inject(Fault::on(Call::Slice, refused));
    let items = many(&scene, 0, 40);
    let (outcomes, _) = outcomes_and_warnings(client(&scene).start(items).expect("threads")).await;
    let auth = outcomes
        .iter()
        .filter(|outcome| failure(outcome).kind() == Kind::Auth);
    assert!(auth.count() >= 1);
    let stats = scene.emulator.stats();
    assert_eq!(stats.logins, 2, "the first, and one because it was refused");
    assert!(stats.of(Call::Create).calls <= 120, "no storm");
    assert_eq!(scene.emulator.files(), []);
}

#[test]
fn a_refused_session_exits_with_3() {
    let scene = Scene::small();
    let item = scene.item("f", SLICE, 1);
    let http = Action::status(401);
    scene.emulator.inject(Fault::on(Call::Create, http));
    let output = as_client(scene.sliced_upload(&item, &[]))
        .output()
        .expect("a binary");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(scene.emulator.stats().logins, 2);

    let pasted = scene.sliced_upload(&item, &[]).output().expect("a binary");
    assert_eq!(pasted.status.code(), Some(3), "{pasted:?}");
    let text = String::from_utf8_lossy(&pasted.stdout);
    assert!(text.contains("cannot be renewed"), "{text}");
    assert_eq!(scene.emulator.stats().logins, 2, "a pasted token: no login");

    let mut wrong = scene.sliced_upload(&item, &[]);
    wrong
        .env_remove("PANUP_TOKEN")
        .env("PANUP_STATE_DIR", scene.path("other-state"))
        .env("PANUP_CLIENT_ID", CLIENT_ID)
        .env("PANUP_CLIENT_SECRET", "not-the-secret");
    let output = wrong.output().expect("a binary");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    no_secret_in(&output);
    assert_eq!(scene.emulator.stats().of(Call::AccessToken).calls, 3);
}

/// Three others logged in meanwhile, so our token was kicked out: one more login, one more try.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_kicked_out_is_fetched_anew() {
    let scene = Scene::small();
    client(&scene).login().await.expect("good credentials");
    for other in 0..3 {
        let mut options = scene.sliced_by(client_credentials());
        options.state_dir = Some(scene.path(&format!("machine-{other}")));
        let elsewhere = Client::new(options).expect("sound");
        elsewhere.login().await.expect("good credentials");
    }
    let item = scene.item("f", 3 * SLICE, 1);
    client(&scene).upload(item.clone()).await.expect("renewed");
    assert_eq!(scene.emulator.stats().logins, 5);
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_cap_on_logins_the_run_ends_and_says_why() {
    let scene = Scene::small();
    scene.emulator.set_limits(Limits {
        logins: Some(0),
        ..Limits::default()
    });
    let (outcomes, _) =
        outcomes_and_warnings(client(&scene).start(many(&scene, 0, 10)).expect("threads")).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.to_string().contains("exceeded"), "{error}");
    let calls = scene.emulator.stats().of(Call::AccessToken).calls;
    assert_eq!(calls, 1, "no storm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_written_is_a_warning() {
    let scene = Scene::small();
    let blocked = scene.path("no-folder");
    fs::write(&blocked, "in the way").expect("room");
    let mut options = scene.sliced_by(client_credentials());
    options.state_dir = Some(blocked.join("state"));
    let client = Client::new(options).expect("sound");
    let item = scene.item("f", 3 * SLICE, 1);
    let (outcomes, warnings) =
        outcomes_and_warnings(client.start([item.clone()]).expect("threads")).await;
    assert!(
        matches!(outcomes[0].status, Status::Uploaded(_)),
        "{outcomes:?}"
    );
    let about: Vec<_> = warnings.iter().map(panup::Error::operation).collect();
    assert_eq!(
        about,
        [Operation::Journal, Operation::Login],
        "{warnings:?}"
    );
    assert_eq!(scene.emulator.stats().logins, 1);
    scene.assert_stored(&[&item]);
}

#[cfg(unix)]
#[test]
fn the_credentials_that_login_keeps_are_private_and_enough() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::small();
    let login = as_client(scene.panup(&["login"]))
        .output()
        .expect("a binary");
    assert!(login.status.success(), "{login:?}");
    no_secret_in(&login);
    for name in ["credentials".into(), cache(&scene)] {
        let path = scene.state().join(name);
        let mode = fs::metadata(&path).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let item = scene.item("f", SLICE, 1);
    let kept = |scene: &Scene| {
        let mut command = scene.sliced_upload(&item, &["-vv"]);
        command
            .env_remove("PANUP_TOKEN")
            .output()
            .expect("a binary")
    };
    let output = kept(&scene);
    assert!(output.status.success(), "{output:?}");
    no_secret_in(&output);
    assert_eq!(scene.emulator.stats().logins, 1);
    let credentials = scene.state().join("credentials");
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o644)).expect("ours");
    let output = kept(&scene);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("others can read it"));
}

#[test]
fn no_secret_in_any_output() {
    let scene = Scene::small_with(Tls::Off, |config| config.quirks.http_401 = true);
    let item = scene.item("f", 3 * SLICE, 1);
    let verbose = ["-vv", "--force"];
    let mut traced = 0;
    for run in 0..4 {
        match run {
            1 => scene.emulator.expire_tokens(),
            2 => scene
                .emulator
                .inject(Fault::on(Call::Slice, Action::WrongJson).every(2)),
            3 => {
                scene.emulator.expire_tokens();
                scene
                    .emulator
                    .inject(Fault::on(Call::AccessToken, Action::status(401)));
            }
            _ => {}
        }
        let mut command = as_client(scene.sliced_upload(&item, &verbose));
        command
            .arg("--on-conflict=overwrite")
            .env("PANUP_LOG", "trace");
        let output = command.output().expect("a binary");
        no_secret_in(&output);
        traced += output.stderr.len();
    }
    assert!(traced > 1000, "tracing was on");
    let pasted = scene
        .sliced_upload(&item, &verbose)
        .env("PANUP_LOG", "trace")
        .output();
    let pasted = pasted.expect("a binary");
    assert_eq!(pasted.status.code(), Some(3), "expired: {pasted:?}");
    no_secret_in(&pasted);
    no_secret_in_debug_forms(&scene);
}

fn no_secret_in_debug_forms(scene: &Scene) {
    let client = client(scene);
    let options = scene.sliced_by(client_credentials());
    for shown in [format!("{client:?}"), format!("{options:#?}")] {
        assert!(shown.len() > 100, "there is something to see");
        assert!(!shown.contains(CLIENT_SECRET), "{shown}");
    }
    let pasted = format!("{:?}", scene.sliced());
    assert!(!pasted.contains(scene.emulator.token()), "{pasted}");
}

/// A service cut off in mid-answer has told half a token.
#[test]
fn half_an_answer_to_a_login_is_not_repeated() {
    let scene = Scene::small();
    scene
        .emulator
        .inject(Fault::on(Call::AccessToken, Action::TruncatedJson));
    let item = scene.item("f", SLICE, 1);
    let mut command = as_client(scene.sliced_upload(&item, &["-vv", "--retries=1"]));
    let output = command
        .env("PANUP_LOG", "trace")
        .output()
        .expect("a binary");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    no_secret_in(&output);
}

/// What a caller's own source was asked for.
#[derive(Debug, Default)]
struct Asked {
    times: AtomicUsize,
    refused: AtomicUsize,
}

/// A source that gives one token after the other, each of which the emulator takes.
fn source(scene: &Scene, asked: &Arc<Asked>) -> TokenSource {
    let (asked, tokens) = (Arc::clone(asked), ["s0", "s1", "s2", "s3"]);
    for token in tokens {
        scene.emulator.allow_token(token);
    }
    TokenSource::new(move |request| {
        let number = asked.times.fetch_add(1, Ordering::Relaxed);
        let refused = usize::from(request.refused.is_some());
        asked.refused.fetch_add(refused, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Token::new(Secret::new(tokens[number])))
        }
    })
}

fn by_source(scene: &Scene, source: TokenSource) -> Client {
    let mut options = scene.sliced_by(Credential::Source(source));
    options.concurrency = Some(64);
    Client::new(options).expect("sound")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_source_is_asked_once_for_all_tasks_and_clients() {
    let scene = Scene::small();
    let asked = Arc::default();
    let source = source(&scene, &asked);
    let alone = by_source(&scene, source.clone());
    let items = many(&scene, 0, 64);
    let (outcomes, warnings) =
        outcomes_and_warnings(alone.start(items.clone()).expect("threads")).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, Status::Uploaded(_)))
    );
    assert_eq!(
        (asked.times.load(Ordering::Relaxed), warnings.len()),
        (1, 0)
    );
    assert!(!cached(&scene), "in memory");
    let shared = source.shared_as("vault");
    for _ in 0..3 {
        by_source(&scene, shared.clone())
            .login()
            .await
            .expect("given");
    }
    assert_eq!(asked.times.load(Ordering::Relaxed), 2, "kept on disk");
    assert!(cached(&scene));
    // Refused, since the service has forgotten it: one more, for all tasks.
    scene.emulator.expire_tokens();
    for token in ["s2", "s3"] {
        scene.emulator.allow_token(token);
    }
    let again = many(&scene, 1, 64);
    let run = by_source(&scene, shared)
        .start(again.clone())
        .expect("threads");
    let (outcomes, _) = outcomes_and_warnings(run).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, Status::Uploaded(_)))
    );
    assert_eq!(asked.times.load(Ordering::Relaxed), 3);
    assert_eq!(asked.refused.load(Ordering::Relaxed), 1);
    scene.assert_stored(&items.iter().chain(&again).collect::<Vec<_>>());
}

fn cached(scene: &Scene) -> bool {
    let entries = fs::read_dir(scene.state()).expect("there").flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("token-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_panics_or_never_answers_ends_the_run() {
    let scene = Scene::small();
    let failing = TokenSource::new(|_| async {
        let error = panup::Error::new(Kind::Transport, Operation::Login, "the vault is away");
        Err(error)
    });
    let panicking = TokenSource::new(|_| async { panic!("on purpose") });
    let silent = TokenSource::new(|_| std::future::pending()).within(Duration::from_millis(50));
    for (source, kind, words) in [
        (failing, Kind::Transport, "the vault is away"),
        (panicking, Kind::Auth, "token source panicked"),
        (silent, Kind::Auth, "no token within 50ms"),
    ] {
        let run = by_source(&scene, source).start(many(&scene, 0, 20));
        let (outcomes, _) = outcomes_and_warnings(run.expect("threads")).await;
        let error = failure(&outcomes[0]);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(scene.emulator.stats().of(Call::Create).calls, 0);
}

/// The one that asked is gone before the answer: the refresh token was used, so its successor is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_asker_is_gone_is_kept_all_the_same() {
    let scene = Scene::small();
    let credential = Credential::OAuth {
        id: CLIENT_ID.to_owned(),
        secret: Secret::new(CLIENT_SECRET),
        refresh_token: Secret::new(REFRESH_TOKEN),
    };
    let client = || Client::new(scene.sliced_by(credential.clone())).expect("sound");
    let slow = Action::StallAnswer { millis: 300 };
    scene.emulator.inject(Fault::on(Call::OAuth, slow));
    let asking = client();
    let gone = tokio::time::timeout(Duration::from_millis(150), asking.login()).await;
    assert!(gone.is_err(), "dropped before the answer");
    drop(asking);
    client().login().await.expect("its token was kept");
    assert_eq!(scene.emulator.stats().of(Call::OAuth).calls, 1);
}

/// Neither the client's secret, nor the pasted token, nor any fetched one.
fn no_secret_in(output: &Output) {
    let shown = [&output.stdout[..], &output.stderr[..]].concat();
    let shown = String::from_utf8_lossy(&shown);
    for secret in [
        CLIENT_SECRET,
        panup_emulator::TOKEN,
        "fetched-",
        "not-the-secret",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
