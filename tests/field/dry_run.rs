//! What a dry run says is what happens.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use panup_emulator::{Operation, Tls};

use crate::common::program::{Finished, QUICK, finish, local, panup, upload};
use crate::common::{Scene, make};

/// Every way for a file to end, planned and then done.
#[test]
fn what_is_planned_is_what_happens() {
    for (conflict, look) in [
        ("fail", "auto"),
        ("fail", "always"),
        ("skip", "auto"),
        ("keep-both", "auto"),
        ("overwrite", "auto"),
        ("overwrite", "never"),
    ] {
        let scene = scene();
        let args = ["--json", "--on-conflict", conflict, "--look", look];
        let paths = ["tree", "missing", "x/data", "y/data", "./x/data"];
        let run = |more: &[&str]| {
            let mut command = upload(&scene);
            finish(command.args(args).args(more).args(paths))
        };
        let journal = kept(&scene);
        let before = changes(&scene);
        let plan = run(&["--dry-run"]).exit(1);
        assert_eq!(changes(&scene), before, "nothing is changed there");
        assert_eq!(kept(&scene), journal, "nothing is written down");
        let done = run(&[]).exit(1);
        assert_eq!(ends(&plan), ends(&done), "{conflict} {look}");
        let (planned, done) = (plan.report().1, done.report().1);
        let sent =
            done["uploaded"].as_u64().expect("a count") + done["reused"].as_u64().expect("one");
        assert_eq!(planned["planned"], sent, "{planned} {done}");
        for count in ["files", "skipped", "failed"] {
            assert_eq!(planned[count], done[count], "{count} {planned} {done}");
        }
    }
}

/// Only what may be there is read: a file without a counterpart of its size is not.
#[test]
fn a_file_is_hashed_only_to_be_compared() {
    let scene = scene();
    let plan = finish(upload(&scene).args(["--dry-run", "--json", "tree"])).exit(4);
    let (_, summary) = plan.report();
    // touched, there_same and there_other.
    assert_eq!(summary["hashed"], 3, "{summary}");
    let again = ["--dry-run", "--json", "--look", "never", "tree"];
    let (_, summary) = finish(upload(&scene).args(again)).exit(4).report();
    assert_eq!(summary["hashed"], 1, "the journal knows of one: {summary}");
    assert_eq!(summary["not_asked"], "--look never", "{summary}");
}

#[test]
fn without_credentials_it_is_said_that_nobody_was_asked() {
    let scene = scene();
    let mut command = panup(scene.local.path());
    let plan = finish(command.args(["upload", "--dry-run", "x"])).exit(0);
    assert!(
        plan.stdout.contains(&format!(
            "upload    {} -> x/data (10 bytes)",
            local("x/data")
        )),
        "{plan:?}"
    );
    assert!(
        plan.stderr.contains("not asked (no credentials)"),
        "{plan:?}"
    );
    let home = crate::common::folder();
    let mut bare = panup(home.path());
    bare.current_dir(scene.local.path());
    finish(bare.args(["upload", "--dry-run", "x"])).exit(0);
    let mut made = fs::read_dir(home.path()).expect("there");
    assert!(made.next().is_none(), "a dry run makes nothing");
    let mut wrong = upload(&scene);
    wrong.env("PANUP_TOKEN", "wrong");
    let wrong = finish(wrong.args(["--dry-run", "x"])).exit(3);
    assert!(!wrong.stdout.contains("upload"), "{wrong:?}");
}

/// The cost is the run's own.
#[test]
fn bytes_calls_and_times_are_told() {
    let scene = scene();
    let args = [
        "--dry-run",
        "--json",
        "--limit-rate",
        "10M",
        "tree/new",
        "tree/large",
    ];
    let (_, summary) = finish(upload(&scene).args(args)).exit(0).report();
    assert_eq!(summary["to_send"], 100 + 5_000_000, "{summary}");
    let calls = &summary["calls"];
    let count = |name: &str| calls[name].as_u64().expect("a count");
    let names = ["single", "create", "slice", "complete"];
    assert_eq!(names.map(count), [1, 1, 1, 1], "{summary}");
    let seconds = summary["seconds_by_link"]["10.00 MiB/s"].as_f64();
    assert!(
        (0.4..0.6).contains(&seconds.expect("one rate")),
        "{summary}"
    );
    let told = finish(upload(&scene).args(["--dry-run", "tree/new"])).exit(0);
    for words in ["calls: 1 single", "100 Mbit/s", "1 Gbit/s"] {
        assert!(told.stderr.contains(words), "{words} {told:?}");
    }
}

/// How each file ends, by path: `upload`, `skip` or `fail` with its kind.
fn ends(done: &Finished) -> BTreeMap<(String, String), String> {
    let mut ends = BTreeMap::new();
    for event in done.events() {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let end = match (text("event").as_str(), text("status").as_str()) {
            ("planned", _) => text("action"),
            ("file", "uploaded" | "reused") => "upload".to_owned(),
            ("file", "skipped") => "skip".to_owned(),
            ("file", "failed") => format!("fail {}", event["error"]["kind"]),
            _ => continue,
        };
        ends.insert((text("path"), text("remote")), end);
    }
    assert!(ends.len() > 12, "{ends:?}");
    ends
}

/// Calls that change something.
fn changes(scene: &Scene) -> u64 {
    let stats = scene.emulator.stats();
    let calls = |operation| stats.of(operation).calls;
    stats.calls.len() as u64 - calls(Operation::List)
}

/// What the state folder holds.
fn kept(scene: &Scene) -> String {
    let mut command = panup(scene.local.path());
    let told = finish(command.args(["status", "--json", "--finished", "99"])).exit(0);
    assert!(told.stdout.contains("finished"), "{told:?}");
    told.stdout
}

/// A tree with a file for every case.
fn scene() -> Scene {
    let scene = Scene::small_with(Tls::Off, |_| {});
    let path = |name: &str| scene.path(&format!("tree/{name}"));
    for (name, size, seed) in [
        ("known", 100, 1),
        ("touched", 101, 2),
        ("there_same", 102, 3),
        ("there_other", 103, 4),
        ("there_longer", 104, 5),
    ] {
        make(&path(name), size, seed);
    }
    finish(upload(&scene).args(["tree/known", "tree/touched", "--dest", "tree"])).exit(0);
    // Another machine, of whose uploads this one's journal knows nothing.
    let elsewhere = crate::common::folder();
    let mut other = panup(elsewhere.path());
    other.current_dir(scene.local.path());
    other
        .args(["upload", "--api", &scene.emulator.api()])
        .args(QUICK);
    other.env("PANUP_TOKEN", scene.emulator.token());
    let names = ["tree/there_same", "tree/there_other", "tree/there_longer"];
    finish(other.args(["--dest", "tree"]).args(names)).exit(0);
    make(&path("there_other"), 103, 14);
    make(&path("there_longer"), 204, 15);
    let touched = File::options().write(true).open(path("touched"));
    let moved = SystemTime::now() - Duration::from_secs(3600);
    touched
        .and_then(|file| file.set_modified(moved))
        .expect("ours");
    make(&path("new"), 100, 6);
    make(&path("large"), 5_000_000, 7);
    File::create(path("empty")).expect("made");
    make(&path("a:b"), 100, 8);
    let huge = File::create(path("huge")).expect("made");
    huge.set_len((10 << 30) + 1).expect("sparse");
    make(&scene.path("x/data"), 10, 9);
    make(&scene.path("y/data"), 11, 10);
    scene
}
