//! Text that people hand in, as editors, shells and clipboards leave it, and text that people read.

use std::fs;

use assert_cmd::Command;
use panup_emulator::{CLIENT_ID, CLIENT_SECRET, Config};

use crate::common::program::{Finished, QUICK, finish, panup, stored, upload};
use crate::common::{Scene, private};

/// The ways in which one text reaches a file.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let windows = text.replace('\n', "\r\n");
    let wide = |order: fn(u16) -> [u8; 2]| {
        let units = "\u{feff}".encode_utf16().chain(windows.encode_utf16());
        units.flat_map(order).collect::<Vec<u8>>()
    };
    vec![
        text.into(),
        windows.clone().into(),
        format!("\u{feff}{text}").into(),
        format!("\u{feff}{windows}").into(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
    ]
}

#[test]
fn lists_are_read_in_every_spelling() {
    let scene = Scene::new(Config::default());
    scene.file("a.txt", 10);
    scene.file("名.txt", 20);
    for list in spellings("a.txt\n\n名.txt\n") {
        fs::write(scene.path("list"), &list).expect("room");
        let mut command = upload(&scene);
        command.args(["--dry-run", "--json", "--files-from", "list"]);
        let planned: Vec<_> = finish(&mut command).exit(0).events();
        let planned = planned.iter().filter_map(|event| event["path"].as_str());
        assert_eq!(planned.collect::<Vec<_>>(), ["a.txt", "名.txt"], "{list:?}");
    }
}

/// Windows has no such name.
#[cfg(unix)]
#[test]
fn a_name_that_ends_in_a_carriage_return_is_still_a_name() {
    let scene = Scene::new(Config::default());
    scene.file("a\r", 10);
    fs::write(scene.path("list"), "a\r\n").expect("room");
    fs::write(scene.path("nulls"), "a\r\0").expect("room");
    for list in [&["list"][..], &["nulls", "--null"]] {
        let mut command = upload(&scene);
        command
            .args(["--dry-run", "--json", "--files-from"])
            .args(list);
        assert_eq!(finish(&mut command).exit(0).events()[0]["path"], "a\r");
    }
}

#[test]
fn sums_are_read_in_every_spelling() {
    let scene = Scene::new(Config::default());
    for name in ["a", "名"] {
        scene.file(name, 10);
    }
    let home = scene.local.path();
    let sums = finish(panup(home).args(["hash", "a", "名"])).exit(0).stdout;
    for list in spellings(&sums) {
        fs::write(scene.path("sums"), &list).expect("room");
        let checked = finish(panup(home).args(["hash", "--strict", "--check", "sums"])).exit(0);
        assert_eq!(checked.stdout, "a: OK\n名: OK\n", "{list:?}");
    }
}

#[test]
fn tokens_are_taken_in_every_spelling() {
    let scene = Scene::new(Config::default());
    let token = scene.emulator.token();
    let wrapped = [
        "T",
        "T\n",
        " T \n",
        "\"T\"\n",
        "'T'",
        "Bearer T",
        "bearer T\n",
        "Authorization: Bearer T\n",
    ];
    for wrapped in wrapped {
        let text = wrapped.replace('T', token);
        for bytes in spellings(&text) {
            by_file(&scene, &bytes).exit(0);
        }
        by_variable(&scene, text.as_bytes()).exit(0);
    }
}

#[test]
fn a_token_that_cannot_be_one_is_refused_before_any_call() {
    let scene = Scene::new(Config::default());
    let bad: [(&[u8], &str); 9] = [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\"\"", "is empty"),
        (b"Bearer ", "is empty"),
        (b"s3cret one", "U+0020"),
        (b"s3cret\none", "U+000A"),
        (b"s3cret\x1b", "U+001B"),
        (b"{\"access_token\":\"s3cret\"}", "U+007B"),
        ("s3crét".as_bytes(), "U+00E9"),
    ];
    for (token, why) in bad {
        let done = by_file(&scene, token).exit(2);
        assert!(done.stderr.contains(why), "{why} {done:?}");
        done.hides("s3cret").hides("access_token");
        if why != "is empty" {
            let done = by_variable(&scene, token).exit(2);
            assert!(done.stderr.contains(why), "{why} {done:?}");
            done.hides("s3cret");
        }
    }
    // Half a character: Windows can hand that over, too.
    let done = by_variable(&scene, b"s3cret\xed\xa0\x80").exit(2);
    assert!(done.stderr.contains("PANUP_TOKEN is not UTF-8"), "{done:?}");
    assert!(scene.emulator.stats().calls.is_empty(), "nothing was sent");
}

#[test]
fn client_credentials_are_taken_in_every_spelling() {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    let mut command = bare(&scene);
    command.env("PANUP_CLIENT_ID", format!("\u{feff}\"{CLIENT_ID}\""));
    command.env("PANUP_CLIENT_SECRET", format!("'{CLIENT_SECRET}'\r\n"));
    finish(command.arg("x")).exit(0);

    let state = scene.path("kept");
    fs::create_dir(&state).expect("room");
    private(&state, 0o700);
    let kept = state.join("credentials");
    for text in spellings(&format!("{CLIENT_ID}\n{CLIENT_SECRET}\n"))
        .into_iter()
        .take(4)
    {
        fs::write(&kept, text).expect("room");
        private(&kept, 0o600);
        let mut command = bare(&scene);
        command.arg("--state-dir").arg(&state);
        finish(command.args(["--no-resume", "x"])).exit(0);
    }
    let mut command = bare(&scene);
    command.env("PANUP_CLIENT_ID", "an id");
    let done = finish(command.env("PANUP_CLIENT_SECRET", "s3cret").arg("x")).exit(2);
    assert!(
        done.stderr.contains("PANUP_CLIENT_ID has U+0020"),
        "{done:?}"
    );
}

/// A name cannot end its line, act on the terminal, or turn it around.
#[test]
fn names_for_people_are_quoted_on_every_way_out() {
    let scene = Scene::new(Config::default());
    let names = [
        "innocent\nuploaded  payroll.db (9.99 GiB, id 99999)",
        "t\u{1b}]0;pwned\u{7}",
        "c\r1",
        "\u{9b}2J",
        "b\u{202e}txt.exe",
        "plain 名",
    ];
    let folder = scene.path("d");
    fs::create_dir(&folder).expect("room");
    // Windows has no files with most of them; they can be typed all the same.
    let fits = |name: &&str| cfg!(unix) || !name.contains(|c: char| c.is_ascii_control());
    let there = names.into_iter().filter(fits).count();
    for name in names.into_iter().filter(fits) {
        fs::write(folder.join(name), name).expect("room");
    }
    let home = scene.local.path();
    let mut dry = upload(&scene);
    let dry = finish(dry.args(["--dry-run", "d"])).exit(0);
    assert_eq!(dry.stdout.lines().count(), there);
    let mut up = upload(&scene);
    let up = finish(up.args(["-v", "d"]));
    assert_eq!(
        stored(&scene.emulator).len() + up.stderr.matches("failed ").count(),
        there
    );
    let status = finish(panup(home).arg("status")).exit(0);
    let mut missing = upload(&scene);
    let missing = finish(missing.args(names)).exit(1);
    // What is to be done about them comes after them.
    let lines = missing.stderr.lines();
    let lines = lines.take_while(|line| !line.starts_with("6 files failed"));
    assert_eq!(lines.count(), names.len(), "{missing:?}");
    let forget = finish(panup(home).arg("forget").args(names)).exit(1);
    let hash = finish(panup(home).arg("hash").args(names)).exit(1);
    for done in [&dry, &up, &status, &missing, &forget, &hash] {
        is_plain(done);
    }
    assert!(dry.stdout.contains("plain 名"), "{dry:?}");
    let told = if cfg!(unix) {
        &dry.stdout
    } else {
        &missing.stderr
    };
    assert!(told.contains(r"innocent\nuploaded"), "{told}");
    assert!(told.contains(r"t\u{1b}]0;pwned\u{7}"), "{told}");
}

#[track_caller]
fn is_plain(done: &Finished) {
    let acts = |c: &char| *c != '\n' && (c.is_control() || *c == '\u{202e}');
    for text in [&done.stdout, &done.stderr] {
        assert_eq!(text.chars().find(acts), None, "{done:?}");
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("uploaded  payroll")),
            "{done:?}"
        );
    }
}

fn by_file(scene: &Scene, token: &[u8]) -> Finished {
    let path = scene.path("token");
    fs::write(&path, token).expect("room");
    private(&path, 0o600);
    scene.file("x", 10);
    let mut command = bare(scene);
    finish(command.args(["--no-resume", "--token-file", "token", "x"]))
}

fn by_variable(scene: &Scene, token: &[u8]) -> Finished {
    scene.file("x", 10);
    let mut command = bare(scene);
    command.env("PANUP_TOKEN", panup::name_from_bytes(token));
    finish(command.args(["--no-resume", "x"]))
}

/// `panup upload` without credentials.
fn bare(scene: &Scene) -> Command {
    let mut command = panup(scene.local.path());
    command.args([
        "upload",
        "--on-conflict",
        "overwrite",
        "--api",
        &scene.emulator.api(),
    ]);
    command.args(QUICK);
    command
}
