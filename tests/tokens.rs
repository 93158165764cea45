//! One token for everybody: however many processes and tasks meet a token that has ended, one of
//! them logs in. And nowhere a secret.

mod rig;

use std::fs;
use std::process::{Command, Output};

use panup::{Client, Credential, Item, Kind, Operation, Secret, Status};
use panup_emulator::{Action, CLIENT_ID, CLIENT_SECRET, Fault, Limits, Operation as Call, Tls};
use rig::{Rig, SLICE, failure, told};

fn client_credentials() -> Credential {
    Credential::Client {
        id: CLIENT_ID.to_owned(),
        secret: Secret::new(CLIENT_SECRET),
    }
}

fn client(rig: &Rig) -> Client {
    Client::new(rig.options_for(client_credentials())).expect("sound")
}

/// The binary with client credentials in its environment.
fn as_client(mut command: Command) -> Command {
    command
        .env_remove("PANUP_TOKEN")
        .env("PANUP_CLIENT_ID", CLIENT_ID)
        .env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
    command
}

fn many(rig: &Rig, process: u64, count: u64) -> Vec<Item> {
    (0..count)
        .map(|at| rig.file(&format!("p{process}-{at}"), 3 * SLICE, process * 100 + at))
        .collect()
}

fn upload_all(rig: &Rig, items: &[Item]) -> Command {
    let mut command = as_client(rig.upload(&items[0], &["--concurrency=64"]));
    command.args(items[1..].iter().map(|item| &item.path));
    command
}

#[test]
fn eight_processes_of_sixty_four_tasks_on_an_expired_token_log_in_once() {
    let rig = Rig::new();
    let first = rig.file("first", SLICE, 9999);
    let output = as_client(rig.upload(&first, &[]))
        .output()
        .expect("a binary");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(rig.emulator.stats().logins, 1);
    rig.emulator.expire_tokens();
    let all: Vec<Vec<Item>> = (0..8).map(|process| many(&rig, process, 64)).collect();
    let running: Vec<_> = all
        .iter()
        .map(|items| upload_all(&rig, items).spawn().expect("a binary"))
        .collect();
    for process in running {
        let output = process.wait_with_output().expect("ours");
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(rig.emulator.stats().logins, 2, "one for all of them");
    let items = all.iter().flatten().chain([&first]);
    rig.assert_stored(&items.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_tasks_on_an_expired_token_log_in_once() {
    let rig = Rig::new();
    let mut options = rig.options_for(client_credentials());
    options.concurrency = Some(64);
    let client = Client::new(options).expect("sound");
    client.login().await.expect("good credentials");
    rig.emulator.expire_tokens();
    let items = many(&rig, 0, 64);
    let run = client.start(items.clone()).expect("threads");
    let (outcomes, warnings) = told(run).await;
    assert_eq!((outcomes.len(), warnings.len()), (64, 0), "{warnings:?}");
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, Status::Uploaded(_))),
    );
    assert_eq!(rig.emulator.stats().logins, 2);
    rig.assert_stored(&items.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_good_is_used_by_the_next_run() {
    let rig = Rig::new();
    for at in 0..5 {
        let item = rig.file(&format!("f{at}"), SLICE, at);
        client(&rig).upload(item).await.expect("uploaded");
    }
    assert_eq!(rig.emulator.stats().logins, 1, "five runs, one login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    // 299 s are too few for a token of an hour, but not for one of five minutes.
    for (seconds, left, logins) in [(3600, 310, 1), (3600, 290, 2), (299, 299, 1)] {
        let rig = Rig::new();
        rig.emulator.set_limits(Limits {
            token_seconds: seconds,
            ..Limits::default()
        });
        client(&rig).login().await.expect("good credentials");
        age(&rig, seconds - left);
        let items = many(&rig, 0, 4);
        let run = client(&rig).start(items).expect("threads");
        let (outcomes, _) = told(run).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome.status, Status::Uploaded(_)))
        );
        assert_eq!(
            rig.emulator.stats().logins,
            logins,
            "{left} of {seconds} s left"
        );
    }
}

/// The cached token was fetched, and ends, so many seconds earlier.
fn age(rig: &Rig, seconds: u64) {
    let path = cache(rig);
    let text = fs::read_to_string(&path).expect("cached");
    let mut kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for field in ["expires", "fetched"] {
        kept[field] = (kept[field].as_u64().expect("seconds") - seconds).into();
    }
    fs::write(path, kept.to_string()).expect("ours");
}

fn cache(rig: &Rig) -> std::path::PathBuf {
    let entries = fs::read_dir(rig.state()).expect("there");
    let mut paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .expect("a cached token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_that_is_refused_too_ends_the_session() {
    let rig = Rig::new();
    let refused = Action::Code {
        code: 401,
        message: "token is invalid".to_owned(),
    };
    rig.emulator
        .inject(Fault::on(Call::Create, refused.clone()));
    rig.emulator.inject(Fault::on(Call::Slice, refused));
    let items = many(&rig, 0, 40);
    let (outcomes, _) = told(client(&rig).start(items).expect("threads")).await;
    let auth = outcomes
        .iter()
        .filter(|outcome| failure(outcome).kind() == Kind::Auth);
    assert!(auth.count() >= 1);
    let stats = rig.emulator.stats();
    assert_eq!(stats.logins, 2, "the first, and one because it was refused");
    assert!(stats.of(Call::Create).calls <= 120, "no storm");
    assert_eq!(rig.emulator.files(), []);
}

#[test]
fn a_refused_session_exits_with_3() {
    let rig = Rig::new();
    let item = rig.file("f", SLICE, 1);
    let http = Action::status(401);
    rig.emulator.inject(Fault::on(Call::Create, http));
    let output = as_client(rig.upload(&item, &[]))
        .output()
        .expect("a binary");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(rig.emulator.stats().logins, 2);

    let pasted = rig.upload(&item, &[]).output().expect("a binary");
    assert_eq!(pasted.status.code(), Some(3), "{pasted:?}");
    let text = String::from_utf8_lossy(&pasted.stdout);
    assert!(text.contains("cannot be renewed"), "{text}");
    assert_eq!(rig.emulator.stats().logins, 2, "a pasted token: no login");

    let mut wrong = rig.upload(&item, &[]);
    wrong
        .env_remove("PANUP_TOKEN")
        .env("PANUP_STATE_DIR", rig.path("other-state"))
        .env("PANUP_CLIENT_ID", CLIENT_ID)
        .env("PANUP_CLIENT_SECRET", "not-the-secret");
    let output = wrong.output().expect("a binary");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    no_secret_in(&output);
    assert_eq!(rig.emulator.stats().of(Call::AccessToken).calls, 3);
}

/// Three others logged in meanwhile, so our token was kicked out: one more login, one more try.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_kicked_out_is_fetched_anew() {
    let rig = Rig::new();
    client(&rig).login().await.expect("good credentials");
    for other in 0..3 {
        let mut options = rig.options_for(client_credentials());
        options.state_dir = Some(rig.path(&format!("machine-{other}")));
        let elsewhere = Client::new(options).expect("sound");
        elsewhere.login().await.expect("good credentials");
    }
    let item = rig.file("f", 3 * SLICE, 1);
    client(&rig).upload(item.clone()).await.expect("renewed");
    assert_eq!(rig.emulator.stats().logins, 5);
    rig.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_cap_on_logins_the_run_ends_and_says_why() {
    let rig = Rig::new();
    rig.emulator.set_limits(Limits {
        logins: Some(0),
        ..Limits::default()
    });
    let (outcomes, _) = told(client(&rig).start(many(&rig, 0, 10)).expect("threads")).await;
    let error = failure(&outcomes[0]);
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.to_string().contains("exceeded"), "{error}");
    let calls = rig.emulator.stats().of(Call::AccessToken).calls;
    assert_eq!(calls, 1, "no storm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_written_is_a_warning() {
    let rig = Rig::new();
    let blocked = rig.path("no-folder");
    fs::write(&blocked, "in the way").expect("room");
    let mut options = rig.options_for(client_credentials());
    options.state_dir = Some(blocked.join("state"));
    let client = Client::new(options).expect("sound");
    let item = rig.file("f", 3 * SLICE, 1);
    let (outcomes, warnings) = told(client.start([item.clone()]).expect("threads")).await;
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
    assert_eq!(rig.emulator.stats().logins, 1);
    rig.assert_stored(&[&item]);
}

#[test]
fn the_credentials_that_login_keeps_are_private_and_enough() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    let login = as_client(rig.panup(&["login"])).output().expect("a binary");
    assert!(login.status.success(), "{login:?}");
    no_secret_in(&login);
    for name in ["credentials".into(), cache(&rig)] {
        let path = rig.state().join(name);
        let mode = fs::metadata(&path).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let item = rig.file("f", SLICE, 1);
    let kept = |rig: &Rig| {
        let mut command = rig.upload(&item, &["-vv"]);
        command
            .env_remove("PANUP_TOKEN")
            .output()
            .expect("a binary")
    };
    let output = kept(&rig);
    assert!(output.status.success(), "{output:?}");
    no_secret_in(&output);
    assert_eq!(rig.emulator.stats().logins, 1);
    let credentials = rig.state().join("credentials");
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o644)).expect("ours");
    let output = kept(&rig);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("others can read it"));
}

#[test]
fn no_secret_in_any_output() {
    let rig = Rig::with(Tls::Off, |config| config.quirks.http_401 = true);
    let item = rig.file("f", 3 * SLICE, 1);
    let verbose = ["-vv", "--force"];
    let mut traced = 0;
    for run in 0..4 {
        match run {
            1 => rig.emulator.expire_tokens(),
            2 => rig
                .emulator
                .inject(Fault::on(Call::Slice, Action::WrongJson).every(2)),
            3 => {
                rig.emulator.expire_tokens();
                rig.emulator
                    .inject(Fault::on(Call::AccessToken, Action::status(401)));
            }
            _ => {}
        }
        let mut command = as_client(rig.upload(&item, &verbose));
        command
            .arg("--on-conflict=overwrite")
            .env("PANUP_LOG", "trace");
        let output = command.output().expect("a binary");
        no_secret_in(&output);
        traced += output.stderr.len();
    }
    assert!(traced > 1000, "tracing was on");
    let pasted = rig
        .upload(&item, &verbose)
        .env("PANUP_LOG", "trace")
        .output();
    let pasted = pasted.expect("a binary");
    assert_eq!(pasted.status.code(), Some(3), "expired: {pasted:?}");
    no_secret_in(&pasted);
    no_secret_in_debug_forms(&rig);
}

fn no_secret_in_debug_forms(rig: &Rig) {
    let client = client(rig);
    let options = rig.options_for(client_credentials());
    for shown in [format!("{client:?}"), format!("{options:#?}")] {
        assert!(shown.len() > 100, "there is something to see");
        assert!(!shown.contains(CLIENT_SECRET), "{shown}");
    }
    let pasted = format!("{:?}", rig.options());
    assert!(!pasted.contains(rig.emulator.token()), "{pasted}");
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
