//! `panup status` and `panup forget` through the binary, over a journal that real uploads wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use panup::{Client, Credential, Item, Options, Run, Secret, State, Status};
use panup_emulator::{Action, Config, Emulator, Fault, Operation};
use serde_json::Value;
use tempfile::TempDir;

/// Small, because nothing here is about size.
const SLICE: u64 = 64 << 10;

/// A service, a state folder, and files.
struct Desk {
    emulator: Emulator,
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let config = Config {
            slice_size: SLICE,
            polls: 0,
            ..Config::default()
        };
        Desk {
            emulator: Emulator::start(config).expect("free ports"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of `size` bytes that no other name gives.
    fn item(&self, name: &str, size: u64) -> Item {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(size as usize, b'.');
        fs::write(&path, bytes).expect("room");
        Item::new(path)
    }

    fn start(&self, item: Item) -> Run {
        let credential = Credential::Token(Secret::new(self.emulator.token()));
        let mut options = Options::new(credential);
        options.api = self.emulator.api();
        options.state_dir = Some(self.state());
        options.single_max = 0;
        options.concurrency = Some(1);
        let client = Client::new(options).expect("sound options");
        client.start([item]).expect("threads")
    }

    async fn finish(&self, item: Item) {
        let mut run = self.start(item);
        while let Some(event) = run.next().await {
            if let panup::Event::File(outcome) = event {
                assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
            }
        }
    }

    /// Begins to upload `item` and breaks off when `slices` have been acknowledged and written down.
    fn break_off(&self, item: Item, slices: u64) {
        let stall = Action::StallReading {
            after: 1000,
            millis: 600_000,
        };
        let fault = Fault::on(Operation::Slice, stall).from(slices + 1);
        self.emulator.inject(fault);
        let path = item.path.clone();
        let run = self.start(item);
        let state = || State::open(&self.state()).expect("readable");
        poll(|| {
            let unfinished = state().unfinished().expect("readable");
            let mine = unfinished.iter().find(|upload| upload.path == path);
            mine.is_some_and(|upload| upload.acked == slices)
        });
        drop(run);
        self.emulator.clear_faults();
    }

    fn panup(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_panup"))
            .args(args)
            .env("PANUP_STATE_DIR", self.state())
            .current_dir(self.folder.path())
            .output()
            .expect("the binary")
    }

    fn status(&self) -> String {
        text(&self.panup(&["status"]))
    }

    fn objects(&self, args: &[&str]) -> Vec<Value> {
        let args = [&["status", "--json"], args].concat();
        let lines = text(&self.panup(&args));
        let read = |line| serde_json::from_str(line).expect("an object a line");
        lines.lines().map(read).collect()
    }
}

/// What it printed, once it ended well and without a word of complaint.
fn text(output: &Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(complaints, "");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn poll(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn where_nothing_was_nothing_is_made() {
    let desk = Desk::new();
    let nothing = "0 unfinished\n0 finished\n0 files with known MD5s\n";
    assert_eq!(desk.status(), nothing);
    assert_eq!(desk.objects(&[]).len(), 1);
    let output = desk.panup(&["forget", "--all"]);
    assert!(text(&output).starts_with("0 entries forgotten in "));
    assert!(!desk.state().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_is_unfinished_and_what_is_done() {
    let desk = Desk::new();
    desk.finish(desk.item("one", 100)).await;
    desk.finish(desk.item("two", 2 * SLICE)).await;
    tokio::task::block_in_place(|| desk.break_off(desk.item("big", 3 * SLICE + 1), 2));

    let lines = desk.status();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[0], "1 unfinished");
    let big = format!(
        "  {} -> big (192.00 KiB, 50 % sent, begun ",
        desk.path("big").display()
    );
    assert!(lines[1].starts_with(&big), "{}", lines[1]);
    assert_eq!(lines[2], "2 finished");
    let two = format!("  {} -> two (128.00 KiB, id ", desk.path("two").display());
    assert!(lines[3].starts_with(&two), "the newest: {}", lines[3]);
    assert_eq!(lines[4], "2 files with known MD5s");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_as_objects() {
    let desk = Desk::new();
    desk.finish(desk.item("one", 100)).await;
    desk.finish(desk.item("two", 2 * SLICE)).await;
    tokio::task::block_in_place(|| desk.break_off(desk.item("big", 3 * SLICE + 1), 2));

    let objects = desk.objects(&["--finished", "9"]);
    let events: Vec<&Value> = objects.iter().map(|object| &object["event"]).collect();
    assert_eq!(events, ["unfinished", "finished", "finished", "summary"]);
    let big = &objects[0];
    assert_eq!(big["path"], desk.path("big").to_str().expect("text"));
    assert_eq!(big["remote"], "big");
    assert_eq!(big["parent_id"], 0);
    assert_eq!(
        [&big["size"], &big["slices"], &big["acked"], &big["percent"]],
        [3 * SLICE + 1, 4, 2, 50]
    );
    assert_eq!(big["api"], desk.emulator.api());
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_secs();
    let begun = big["begun"].as_u64().expect("seconds");
    assert!((now - 600..=now).contains(&begun), "{begun}");
    let stored = desk.emulator.files();
    for (object, name) in [(&objects[1], "two"), (&objects[2], "one")] {
        let file = stored
            .iter()
            .find(|file| file.path == name)
            .expect("stored");
        assert_eq!(object["remote"], name, "newest first");
        assert_eq!(object["file_id"], file.file_id);
        assert_eq!(object["size"], file.size);
        let bytes = fs::read(desk.path(name)).expect("there");
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
    assert_eq!(desk.objects(&["--finished", "0"]).len(), 2);
    let token = desk.emulator.token();
    assert!(
        !objects
            .iter()
            .any(|object| object.to_string().contains(token))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_forgotten_with_all_below_and_however_it_is_spelled() {
    let desk = Desk::new();
    for name in ["dir/a", "dir/b", "dirt", "c"] {
        desk.finish(desk.item(name, 100)).await;
    }
    std::os::unix::fs::symlink(desk.path("dir"), desk.path("link")).expect("a link");
    let unknown = desk.panup(&["forget", "nothing", "di"]);
    assert_eq!(
        text(&unknown),
        "nothing: nothing is known of it\ndi: nothing is known of it\n"
    );
    let link = text(&desk.panup(&["forget", "link/a"]));
    assert!(
        link.starts_with("link/a: ") && link.ends_with(" forgotten\n"),
        "{link}"
    );
    assert_eq!(finished(&desk), ["c", "dirt", "b"]);
    let dir = text(&desk.panup(&["forget", "./dir/", "dir/../c"]));
    assert_eq!(dir.lines().count(), 2);
    assert_eq!(finished(&desk), ["dirt"]);
}

fn finished(desk: &Desk) -> Vec<String> {
    let objects = desk.objects(&["--finished", "9"]);
    let done = objects
        .iter()
        .filter(|object| object["event"] == "finished");
    let name = |object: &Value| object["remote"].as_str().expect("text").to_owned();
    done.map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unfinished_are_forgotten_or_everything() {
    let desk = Desk::new();
    desk.finish(desk.item("done", 100)).await;
    tokio::task::block_in_place(|| desk.break_off(desk.item("begun", 3 * SLICE), 1));
    let unfinished = text(&desk.panup(&["forget", "--unfinished"]));
    assert!(
        unfinished.starts_with("1 entry forgotten in "),
        "{unfinished}"
    );
    assert!(desk.status().starts_with("0 unfinished\n1 finished\n"));
    // It begins again: all three slices go once more.
    let before = desk.emulator.stats().of(Operation::Slice).calls;
    desk.finish(Item::new(desk.path("begun"))).await;
    assert_eq!(desk.emulator.stats().of(Operation::Slice).calls, before + 3);
    text(&desk.panup(&["forget", "--all"]));
    assert_eq!(desk.objects(&["--finished", "9"]).len(), 1);
    assert!(
        desk.status()
            .ends_with("\n0 finished\n0 files with known MD5s\n")
    );
}

#[test]
fn a_journal_that_cannot_be_read_is_said() {
    let desk = Desk::new();
    fs::create_dir_all(desk.state().join("journal.db")).expect("a folder in its place");
    for args in [&["status"][..], &["forget", "--all"]] {
        let output = desk.panup(args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("panup: "));
    }
}

#[test]
fn a_damaged_journal_is_set_aside_and_said() {
    let desk = Desk::new();
    fs::create_dir_all(desk.state()).expect("made");
    fs::write(desk.state().join("journal.db"), vec![7; 8192]).expect("room");
    let output = desk.panup(&["status"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("warning ") && said.contains("set aside as"),
        "{said}"
    );
    assert!(Path::new(&desk.state().join("journal.db.corrupt-1")).exists());
}

#[test]
fn forget_wants_to_know_what() {
    let desk = Desk::new();
    for args in [
        &["forget"][..],
        &["forget", "--all", "x"],
        &["forget", "--all", "--unfinished"],
    ] {
        assert_eq!(desk.panup(args).status.code(), Some(2), "{args:?}");
    }
}
