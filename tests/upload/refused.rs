//! What cannot be uploaded: one clear error each, naming file, call, code and trace id where there
//! is one, and the other files go on.

use std::fs;
use std::path::{Path, PathBuf};

use panup::{
    Client, Credential, Error, Item, Kind, Operation as Step, Options, Outcome, Secret, Status,
};
use panup_emulator::{Config, Operation, Tls};

use crate::common::program::not_there;
use crate::common::{Scene, failure, item, upload};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file() {
    let scene = scene();
    let missing = scene.local.path().join("missing");
    let error = fails_alone(&scene, Item::new(&missing)).await;
    assert_facts(&error, Kind::Source, Step::Read, &missing);
    assert_says(&error, &not_there());
}

/// Root reads whatever the permissions say, so what is unreadable here is a link to nowhere.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read() {
    let scene = scene();
    let dangling = scene.local.path().join("dangling");
    std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
    let error = fails_alone(&scene, Item::new(&dangling)).await;
    assert_facts(&error, Kind::Source, Step::Read, &dangling);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_where_a_file_was_meant() {
    let scene = scene();
    let folder = scene.local.path().join("folder");
    fs::create_dir(&folder).expect("made");
    let error = fails_alone(&scene, Item::new(&folder)).await;
    assert_facts(&error, Kind::Source, Step::Read, &folder);
    assert_says(&error, "directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file() {
    let scene = scene();
    let empty = scene.file("empty", 0);
    let error = fails_alone(&scene, Item::new(&empty)).await;
    assert_facts(&error, Kind::Invalid, Step::Check, &empty);
    assert_says(&error, "empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_10_gib() {
    let scene = scene();
    let huge = scene.file("huge", 1);
    let file = fs::OpenOptions::new().write(true).open(&huge);
    file.expect("writable")
        .set_len((10 << 30) + 1)
        .expect("a sparse file");
    let error = fails_alone(&scene, Item::new(&huge)).await;
    assert_facts(&error, Kind::Invalid, Step::Check, &huge);
    assert_says(&error, "10 GiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_characters_and_names() {
    let scene = scene();
    let path = scene.file("fine", 5);
    let forbidden = "\"\\:*?|><".chars().map(|c| format!("folder/a{c}b"));
    let long = ["   ".to_owned(), "é".repeat(256), String::new()];
    for remote in forbidden.chain(long) {
        let error = fails_alone(&scene, item(&path, &remote)).await;
        assert_facts(&error, Kind::Invalid, Step::Check, &path);
        assert_says(&error, "name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_255_characters_is_fine() {
    let scene = scene();
    let path = scene.file("fine", 5);
    // 255 bytes of file name are all that the disk behind the emulator takes.
    let remote = "n".repeat(255);
    let outcomes = upload(&scene.client(), [item(&path, &remote)]).await;
    assert!(
        matches!(outcomes[0].status, Status::Uploaded(_)),
        "{outcomes:?}"
    );
    scene.assert_arrived(&path, &remote);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_not_there() {
    for (single_max, step) in [(0, Step::Create), (1 << 20, Step::Single)] {
        let scene = scene();
        let path = scene.file("x", 5);
        let mut options = scene.options();
        options.single_max = single_max;
        let mut orphan = Item::new(&path);
        orphan.parent_id = 4_711;
        let error = fails_alone_with(options, &scene, orphan).await;
        assert_facts(&error, Kind::Rejected, step, &path);
        assert_eq!(error.code(), Some(1));
        let trace = error.trace_id().expect("the service gave one").to_owned();
        for part in [path.to_str().expect("ASCII"), "code 1", &trace] {
            assert_says(&error, part);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_ends_the_run_without_a_storm() {
    for http_401 in [false, true] {
        for single_max in [0, 1 << 20] {
            let scene = Scene::new(Config {
                quirks: panup_emulator::Quirks {
                    http_401,
                    ..Default::default()
                },
                ..Config::default()
            });
            let mut options = scene.options();
            options.credential = Credential::Token(Secret::new("n0t-good"));
            options.single_max = single_max;
            let files: Vec<PathBuf> = (1..20).map(|n| scene.file(&format!("{n}"), n)).collect();
            let client = Client::new(options).expect("options that make sense");
            let outcomes = upload(&client, files.iter().map(Item::new)).await;
            let refused: Vec<&Error> = outcomes
                .iter()
                .map(failure)
                .filter(|error| error.kind() == Kind::Auth)
                .collect();
            assert!(!refused.is_empty(), "{outcomes:?}");
            for error in refused {
                assert_says(error, "token");
                assert!(!error.to_string().contains("n0t-good"));
                assert!(error.trace_id().is_some(), "{error}");
            }
            let stats = scene.emulator.stats();
            assert_eq!(stats.of(Operation::AccessToken).calls, 0);
            let calls: u64 = stats.operations.values().map(|tally| tally.calls).sum();
            // The folder is looked at once; on a busy machine no file has its answer before the last has asked.
            let most = 1 + files.len() as u64;
            assert!(calls <= most, "{:?}", stats.operations);
            assert!(scene.emulator.files().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted() {
    let scene = Scene::new(Config {
        tls: Tls::Both,
        ..Config::default()
    });
    let path = scene.file("x", 5);
    let mut options = scene.options();
    options.roots.clear();
    let client = Client::new(options).expect("options that make sense");
    let outcomes = upload(&client, [Item::new(&path)]).await;
    let error = failure(&outcomes[0]);
    assert_facts(error, Kind::Transport, Step::Domain, &path);
    assert_says(error, "not trusted");
    assert_says(error, "localhost");
    assert!(scene.emulator.stats().calls.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_known() {
    let scene = scene();
    let path = scene.file("x", 5);
    let mut options = scene.options();
    options.api = "https://no-such-host.invalid".to_owned();
    // A resolver that is away comes back, so a name is looked up again; here it need not be awaited.
    options.retry.attempts = 2;
    let client = Client::new(options).expect("options that make sense");
    let outcomes = upload(&client, [Item::new(&path)]).await;
    let error = failure(&outcomes[0]);
    assert_facts(error, Kind::Transport, Step::Domain, &path);
    assert_says(error, "no-such-host.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_api_that_is_not_loopback() {
    let scene = scene();
    let mut options = scene.options();
    options.api = "http://api.invalid".to_owned();
    let error = Client::new(options).expect_err("the token would be readable on the way");
    assert_eq!(error.kind(), Kind::Invalid);
    assert_says(&error, "http://api.invalid");
    assert_says(&error, "https://");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_server_that_is_not_loopback_is_asked_with_tls_only() {
    for (single_max, step) in [(0, Step::Slice), (1 << 20, Step::Single)] {
        let scene = Scene::new(Config {
            servers: 1,
            advertise: vec!["http://upload.invalid".to_owned()],
            ..Config::default()
        });
        let path = scene.file("x", 5);
        let mut options = scene.options();
        options.single_max = single_max;
        options.retry.attempts = 1;
        // Only a host that may see the token is asked at all.
        options.trusted_hosts = vec!["upload.invalid".to_owned()];
        let client = Client::new(options).expect("options that make sense");
        let outcomes = upload(&client, [Item::new(&path)]).await;
        let error = failure(&outcomes[0]);
        assert_facts(error, Kind::Transport, step, &path);
        assert_says(error, "https://upload.invalid");
        assert_eq!(outcomes[0].sent, 0, "nothing leaves in the open");
    }
}

fn scene() -> Scene {
    Scene::new(Config {
        polls: 0,
        ..Config::default()
    })
}

/// Uploads `item` between two good files; its error, once the others have arrived.
async fn fails_alone(scene: &Scene, item: Item) -> Error {
    fails_alone_with(scene.options(), scene, item).await
}

async fn fails_alone_with(options: Options, scene: &Scene, bad: Item) -> Error {
    let tag = scene.emulator.files().len();
    let names = ["before", "after"].map(|name| format!("{name}-{tag}"));
    let good = names
        .clone()
        .map(|name| scene.file(&name, 70_000 + tag as u64));
    let client = Client::new(options).expect("options that make sense");
    let [before, after] = [0, 1].map(|at| item(&good[at], &names[at]));
    let outcomes = upload(&client, [before, bad.clone(), after]).await;
    assert_eq!(outcomes.len(), 3);
    for at in [0, 1] {
        scene.assert_arrived(&good[at], &names[at]);
    }
    let failed: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.status, Status::Failed(_)))
        .collect();
    assert_eq!(failed.len(), 1, "{outcomes:?}");
    assert_eq!(
        (&failed[0].path, &failed[0].remote),
        (&bad.path, &bad.remote)
    );
    let error = failure(failed[0]).clone();
    // Only a single has sent its bytes by the time that it is judged.
    assert_eq!(failed[0].sent > 0, error.operation() == Step::Single);
    error
}

fn assert_facts(error: &Error, kind: Kind, step: Step, path: &Path) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.operation(), step, "{error}");
    assert_eq!(error.path(), Some(path), "{error}");
}

fn assert_says(error: &Error, part: &str) {
    let line = error.to_string();
    assert!(line.contains(part), "{line:?} does not say {part:?}");
    assert!(!line.contains('\n'), "one line: {line:?}");
}
