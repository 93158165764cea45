//! What the journal keeps, whatever the clock, the disk or another process does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use panup::{Client, Event, Item, Options, Status};
use panup_emulator::{Action, Config, Fault, Operation};
use rusqlite::{Connection, params};

use super::common::program::{finish, panup, upload};
use super::common::{Scene, item};

/// Rows that an earlier version wrote under a digest of the token are the account's own.
#[test]
fn a_file_that_an_earlier_version_finished_is_skipped() {
    let scene = Scene::new(Config::default());
    let path = scene.file("old.bin", 5000);
    let state = scene.local.path().join("state");
    first_schema(&scene, &path, &state);
    let mut command = upload(&scene);
    command
        .arg("--json")
        .arg("--state-dir")
        .arg(&state)
        .arg(&path);
    let (files, _) = finish(&mut command).exit(0).report();
    assert_eq!(files[0]["status"], "skipped", "{files:?}");
    assert_eq!(scene.emulator.files(), []);
}

/// A run that is killed after the service took the new content, and before it could write that down,
/// leaves a journal that knows of the old content only. The file is then made what it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_is_not_skipped_when_it_comes_back() {
    for single_max in [0, 1 << 20] {
        let scene = Scene::new(Config::default());
        let path = scene.file("f.bin", 50_000);
        let (old, new) = (fs::read(&path).expect("there"), vec![7; 50_000]);
        let mut options = scene.options();
        options.state_dir = Some(scene.local.path().join("state"));
        options.on_conflict = panup::Conflict::Overwrite;
        options.single_max = single_max;
        let again = async |content: &[u8]| {
            fs::write(&path, content).expect("written");
            let client = Client::new(options.clone()).expect("options that make sense");
            client
                .upload(item(&path, "f.bin"))
                .await
                .expect("it arrives")
                .status
        };
        assert!(matches!(again(&old).await, Status::Uploaded(_)));
        let silent = Action::StallAnswer { millis: 60_000 };
        for last in [Operation::Single, Operation::Complete] {
            scene
                .emulator
                .inject(Fault::on(last, silent.clone()).nth(1));
        }
        let killed = tokio::time::timeout(Duration::from_secs(2), again(&new)).await;
        assert!(killed.is_err(), "its last call is not answered");
        let status = again(&old).await;
        // Looked for, since the service may not have come to replace it.
        let is_asked = !matches!(status, Status::Skipped(_));
        assert!(is_asked, "single up to {single_max}: {status:?}");
        scene.assert_arrived(&path, "f.bin");
    }
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_the_journal_is_a_warning_and_the_upload_goes_on() {
    for (name, sort) in [
        ("journal.lock", "pipe"),
        ("journal.lock", "link"),
        ("journal.db", "pipe"),
        ("journal.db", "link"),
    ] {
        let scene = Scene::new(Config::default());
        let path = scene.file("f.bin", 5000);
        let state = scene.local.path().join("state");
        fs::create_dir(&state).expect("new");
        let precious = scene.file("precious", 77);
        let before = fs::read(&precious).expect("there");
        let made = match sort {
            "pipe" => Command::new("mkfifo").arg(state.join(name)).status(),
            _ => Command::new("ln")
                .arg("-s")
                .arg(&precious)
                .arg(state.join(name))
                .status(),
        };
        assert!(made.expect("a program").success());
        let mut command = upload(&scene);
        command.arg("--state-dir").arg(&state).arg(&path);
        let ended = finish(&mut command).exit(0);
        assert!(ended.stderr.contains(name), "{name}, {sort}: {ended:?}");
        assert!(ended.stderr.contains("cannot be resumed"), "{ended:?}");
        assert_eq!(fs::read(&precious).expect("there"), before);
        scene.assert_arrived(&path, "f.bin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_keeps_to_its_limit_and_says_what_it_drops() {
    let scene = Scene::new(Config::default());
    let state = scene.local.path().join("state");
    let items: Vec<Item> = (0..400)
        .map(|number| {
            let name = format!("{number:03}");
            item(&scene.file(&name, 100 + number), &name)
        })
        .collect();
    let options = |limit| {
        let mut options = scene.options();
        options.state_dir = Some(state.clone());
        options.journal_limit = limit;
        options
    };
    let (uploaded, warnings) = run(options(1 << 30), items.clone()).await;
    assert_eq!((uploaded, warnings), (400, vec![]));
    let (uploaded, warnings) = run(options(64 << 10), vec![]).await;
    assert_eq!(uploaded, 0);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("larger than its limit"),
        "{warnings:?}"
    );
    let counted = finish(
        panup(scene.local.path())
            .args(["status", "--state-dir"])
            .arg(&state),
    )
    .exit(0);
    assert!(!counted.stdout.contains("400 finished"), "{counted:?}");
}

/// Files uploaded, and what was warned of.
async fn run(options: Options, items: Vec<Item>) -> (usize, Vec<String>) {
    let client = Client::new(options).expect("options that make sense");
    let mut run = client.start(items).expect("threads");
    let (mut uploaded, mut warnings) = (0, Vec::new());
    while let Some(event) = run.next().await {
        match event {
            Event::File(file) => {
                uploaded += usize::from(matches!(file.status, Status::Uploaded(_)))
            }
            Event::Warning(warning) => warnings.push(warning.to_string()),
            _ => {}
        }
    }
    (uploaded, warnings)
}

/// A journal as the first version left it, with `path` finished at the root.
fn first_schema(scene: &Scene, path: &Path, state: &Path) {
    fs::create_dir(state).expect("new");
    let db = Connection::open(state.join("journal.db")).expect("a database");
    db.execute_batch(include_str!("../../src/journal/schema-1.sql"))
        .expect("its own schema");
    db.pragma_update(None, "user_version", 1).expect("written");
    let api = scene.emulator.api();
    let digest = |bytes: &[u8]| panup::digest::md5(bytes);
    let account = format!("token-{}", digest(scene.emulator.token().as_bytes()));
    let facts = fs::metadata(path).expect("there");
    let identity: Vec<u8> = [
        facts.dev().to_le_bytes(),
        facts.ino().to_le_bytes(),
        facts.len().to_le_bytes(),
        (facts.mtime() * 1_000_000_000 + facts.mtime_nsec()).to_le_bytes(),
        (facts.ctime() * 1_000_000_000 + facts.ctime_nsec()).to_le_bytes(),
    ]
    .concat();
    let md5 = digest(&fs::read(path).expect("there")).0;
    let name = path.file_name().expect("a name").to_str().expect("text");
    let text = path.to_str().expect("text");
    let target = key(&[
        api.as_bytes(),
        account.as_bytes(),
        &0_i64.to_le_bytes(),
        name.as_bytes(),
    ]);
    db.execute(
        "INSERT INTO place VALUES (1, ?1, ?2)",
        params![api, account],
    )
    .expect("written");
    db.execute(
        "INSERT INTO file (id, key, path, identity, md5, at) VALUES (1, ?1, ?2, ?3, ?4, unixepoch())",
        params![key(&[text.as_bytes()]), text, identity, md5],
    )
    .expect("written");
    db.execute(
        "INSERT INTO finished (target, file, place, parent, remote, md5, file_id, at) \
         VALUES (?1, 1, 1, 0, ?2, ?3, 42, unixepoch())",
        params![target, name, md5],
    )
    .expect("written");
}

/// The hash of texts that the journal's indexes have.
fn key(parts: &[&[u8]]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash.cast_signed()
}
