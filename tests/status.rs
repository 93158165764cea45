//! `panup status` and `panup forget` through the binary, over a journal that real uploads wrote.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{SLICE, Scene, outcomes, wait};
use panup::{Item, Run, Status};
use panup_emulator::{Action, Fault, Operation};
use serde_json::Value;

/// A file of `size` bytes that no other name gives.
fn item(scene: &Scene, name: &str, size: u64) -> Item {
    let seed = name
        .bytes()
        .fold(0, |seed, byte| seed * 256 + u64::from(byte));
    scene.item(name, size, seed)
}

fn start(scene: &Scene, item: Item) -> Run {
    scene.sliced_client().start([item]).expect("threads")
}

async fn finish(scene: &Scene, item: Item) {
    for outcome in outcomes(start(scene, item)).await {
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
    }
}

/// Begins to upload `item` and breaks off when `slices` have been acknowledged and written down.
fn break_off(scene: &Scene, item: Item, slices: u64) {
    let stall = Action::StallReading {
        after: 1000,
        millis: 600_000,
    };
    let fault = Fault::on(Operation::Slice, stall).from(slices + 1);
    scene.emulator.inject(fault);
    let path = item.path.clone();
    let run = start(scene, item);
    wait("the acknowledgements are written down", || {
        let unfinished = scene.unfinished();
        let mine = unfinished.iter().find(|upload| upload.path == path);
        mine.is_some_and(|upload| upload.acked == slices)
    });
    drop(run);
    scene.emulator.clear_faults();
}

fn panup(scene: &Scene, args: &[&str]) -> Output {
    let mut command = scene.panup(args);
    command.current_dir(scene.local.path());
    command.output().expect("the binary")
}

fn status(scene: &Scene) -> String {
    text(&panup(scene, &["status"]))
}

fn status_objects(scene: &Scene, args: &[&str]) -> Vec<Value> {
    let args = [&["status", "--json"], args].concat();
    let lines = text(&panup(scene, &args));
    let read = |line| serde_json::from_str(line).expect("an object a line");
    lines.lines().map(read).collect()
}

/// What it printed, once it ended well and without a word of complaint.
fn text(output: &Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(complaints, "");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn where_nothing_was_nothing_is_made() {
    let scene = Scene::small();
    let nothing = "0 unfinished\n0 finished\n0 files with known MD5s\n";
    assert_eq!(status(&scene), nothing);
    assert_eq!(status_objects(&scene, &[]).len(), 1);
    let output = panup(&scene, &["forget", "--all"]);
    assert!(text(&output).starts_with("0 entries forgotten in "));
    assert!(!scene.state().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_is_unfinished_and_what_is_done() {
    let scene = Scene::small();
    finish(&scene, item(&scene, "one", 100)).await;
    finish(&scene, item(&scene, "two", 2 * SLICE)).await;
    tokio::task::block_in_place(|| break_off(&scene, item(&scene, "big", 3 * SLICE + 1), 2));

    let lines = status(&scene);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[0], "1 unfinished");
    let big = format!(
        "  {} -> big (192.00 KiB, 50 % sent, begun ",
        scene.path("big").display()
    );
    assert!(lines[1].starts_with(&big), "{}", lines[1]);
    assert_eq!(lines[2], "2 finished");
    let two = format!("  {} -> two (128.00 KiB, id ", scene.path("two").display());
    assert!(lines[3].starts_with(&two), "the newest: {}", lines[3]);
    assert_eq!(lines[4], "2 files with known MD5s");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_as_objects() {
    let scene = Scene::small();
    finish(&scene, item(&scene, "one", 100)).await;
    finish(&scene, item(&scene, "two", 2 * SLICE)).await;
    tokio::task::block_in_place(|| break_off(&scene, item(&scene, "big", 3 * SLICE + 1), 2));

    let objects = status_objects(&scene, &["--finished", "9"]);
    let events: Vec<&Value> = objects.iter().map(|object| &object["event"]).collect();
    assert_eq!(events, ["unfinished", "finished", "finished", "summary"]);
    let big = &objects[0];
    assert_eq!(big["path"], scene.path("big").to_str().expect("text"));
    assert_eq!(big["remote"], "big");
    assert_eq!(big["parent_id"], 0);
    assert_eq!(
        [&big["size"], &big["slices"], &big["acked"], &big["percent"]],
        [3 * SLICE + 1, 4, 2, 50]
    );
    assert_eq!(big["api"], scene.emulator.api());
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_secs();
    let begun = big["begun"].as_u64().expect("seconds");
    assert!((now - 600..=now).contains(&begun), "{begun}");
    let stored = scene.emulator.files();
    for (object, name) in [(&objects[1], "two"), (&objects[2], "one")] {
        let file = stored
            .iter()
            .find(|file| file.path == name)
            .expect("stored");
        assert_eq!(object["remote"], name, "newest first");
        assert_eq!(object["file_id"], file.file_id);
        assert_eq!(object["size"], file.size);
        let bytes = fs::read(scene.path(name)).expect("there");
        assert_eq!(object["md5"], panup::digest::md5(&bytes).to_string());
    }
    let summary = &objects[3];
    assert_eq!(
        [
            &summary["unfinished"],
            &summary["finished"],
            &summary["hashed"]
        ],
        [1, 2, 2],
        "small files are read again: only what arrived is known"
    );
    assert_eq!(status_objects(&scene, &["--finished", "0"]).len(), 2);
    let token = scene.emulator.token();
    assert!(
        !objects
            .iter()
            .any(|object| object.to_string().contains(token))
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_forgotten_with_all_below_and_however_it_is_spelled() {
    let scene = Scene::small();
    for name in ["dir/a", "dir/b", "dirt", "c"] {
        finish(&scene, item(&scene, name, 100)).await;
    }
    std::os::unix::fs::symlink(scene.path("dir"), scene.path("link")).expect("a link");
    let unknown = panup(&scene, &["forget", "nothing", "di"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert_eq!(
        String::from_utf8_lossy(&unknown.stderr),
        "nothing: nothing is known of it\ndi: nothing is known of it\n"
    );
    let link = text(&panup(&scene, &["forget", "link/a"]));
    assert!(
        link.starts_with("link/a: ") && link.ends_with(" forgotten\n"),
        "{link}"
    );
    assert_eq!(finished(&scene), ["c", "dirt", "b"]);
    let dir = text(&panup(&scene, &["forget", "./dir/", "dir/../c"]));
    assert_eq!(dir.lines().count(), 2);
    assert_eq!(finished(&scene), ["dirt"]);
}

#[cfg(unix)]
fn finished(scene: &Scene) -> Vec<String> {
    let objects = status_objects(scene, &["--finished", "9"]);
    let done = objects
        .iter()
        .filter(|object| object["event"] == "finished");
    let name = |object: &Value| object["remote"].as_str().expect("text").to_owned();
    done.map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unfinished_are_forgotten_or_everything() {
    let scene = Scene::small();
    finish(&scene, item(&scene, "done", 100)).await;
    tokio::task::block_in_place(|| break_off(&scene, item(&scene, "begun", 3 * SLICE), 1));
    let unfinished = text(&panup(&scene, &["forget", "--unfinished"]));
    assert!(
        unfinished.starts_with("1 entry forgotten in "),
        "{unfinished}"
    );
    assert!(status(&scene).starts_with("0 unfinished\n1 finished\n"));
    // It begins again: all three slices go once more.
    let before = scene.emulator.stats().of(Operation::Slice).calls;
    finish(&scene, Item::new(scene.path("begun"))).await;
    assert_eq!(
        scene.emulator.stats().of(Operation::Slice).calls,
        before + 3
    );
    text(&panup(&scene, &["forget", "--all"]));
    assert_eq!(status_objects(&scene, &["--finished", "9"]).len(), 1);
    assert!(status(&scene).ends_with("\n0 finished\n0 files with known MD5s\n"));
}

#[test]
fn a_journal_that_cannot_be_read_is_said() {
    let scene = Scene::small();
    fs::create_dir_all(scene.state().join("journal.db")).expect("a folder in its place");
    for args in [&["status"][..], &["forget", "--all"]] {
        let output = panup(&scene, args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("panup: "));
    }
}

#[test]
fn a_damaged_journal_is_set_aside_and_said() {
    let scene = Scene::small();
    fs::create_dir_all(scene.state()).expect("made");
    fs::write(scene.state().join("journal.db"), vec![7; 8192]).expect("room");
    let output = panup(&scene, &["status"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("warning ") && said.contains("set aside as"),
        "{said}"
    );
    assert!(Path::new(&scene.state().join("journal.db.corrupt-1")).exists());
}

#[test]
fn forget_wants_to_know_what() {
    let scene = Scene::small();
    for args in [
        &["forget"][..],
        &["forget", "--all", "x"],
        &["forget", "--all", "--unfinished"],
    ] {
        assert_eq!(panup(&scene, args).status.code(), Some(2), "{args:?}");
    }
}
