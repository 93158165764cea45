//! Which files go up, under which names, and what is said of the others.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use assert_cmd::Command;
use panup::Client;
use panup_emulator::{Config, Operation};
use serde_json::{Value, json};

use crate::common::program::{
    Finished, LONGEST, QUICK, below_root, finish, not_there, panup, plain, stored, upload,
};
use crate::common::{Scene, failure, run_within};

#[test]
fn a_folder_goes_up_as_itself_or_as_its_contents() {
    let scene = scene(&["proj/a", "proj/sub/b"]);
    let whole = scene.path("proj");
    let whole = whole.to_str().expect("Unicode");
    let slash = format!("{whole}/");
    let rows: [(&str, &[&str], &[&str]); 8] = [
        ("", &["proj"], &["proj/a", "proj/sub/b"]),
        ("", &["proj/"], &["a", "sub/b"]),
        ("", &["proj/."], &["a", "sub/b"]),
        ("", &["proj/", "--dest", "d"], &["d/a", "d/sub/b"]),
        ("proj", &["."], &["proj/a", "proj/sub/b"]),
        ("proj", &["./"], &["a", "sub/b"]),
        ("proj/sub", &["../"], &["a", "sub/b"]),
        ("/", &[&slash], &["a", "sub/b"]),
    ];
    for (folder, args, expected) in rows {
        assert_eq!(planned(&scene, folder, args), expected, "{folder} {args:?}");
    }
}

#[test]
fn one_file_can_be_given_another_name() {
    let scene = scene(&["x/a", "b"]);
    finish(upload(&scene).args(["--as", "名 2", "--dest", "d", "x/a"])).exit(0);
    assert_eq!(stored(&scene.emulator), ["d/名 2"]);
    let wrong: [(&[&str], &str); 6] = [
        (&["--as", "n", "x/a", "b"], "names one file"),
        (&["--as", "n", "x"], "is a folder"),
        (&["--as", "n/m", "b"], "folders belong to --dest"),
        (&["--as", "", "b"], "no file's name"),
        (&["--as", "a:b", "b"], "forbidden character"),
        (&["--as", "..", "b"], "do not go up"),
    ];
    for (args, why) in wrong {
        let done = finish(upload(&scene).args(args)).exit(2);
        assert!(
            done.stderr.contains(why) && done.stderr.contains("--as"),
            "{done:?}"
        );
    }
    let globs = ["--as", "n", "--exclude", "b", "b"];
    assert!(planned(&scene, "", &globs).is_empty(), "by its own name");
}

#[test]
fn globs_come_from_a_file_and_match_either_case() {
    let scene = scene(&[
        "proj/P1.JPG",
        "proj/p2.jpg",
        "proj/c",
        "proj/#d",
        "proj/sub/c",
    ]);
    fs::write(
        scene.path("globs"),
        "\u{feff}# pictures\r\n\r\n*.jpg\r\n/c\r\n",
    )
    .expect("room");
    let from = ["proj", "--exclude-from", "globs"];
    assert_eq!(
        planned(&scene, "", &from),
        ["proj/#d", "proj/P1.JPG", "proj/sub/c"]
    );
    let either = ["proj", "--exclude-from", "globs", "--ignore-case"];
    assert_eq!(planned(&scene, "", &either), ["proj/#d", "proj/sub/c"]);
    let included = ["proj", "--include", "*.jPg", "--ignore-case"];
    assert_eq!(
        planned(&scene, "", &included),
        ["proj/P1.JPG", "proj/p2.jpg"]
    );
    fs::write(scene.path("other"), "*.tmp\n*.bak\n").expect("room");
    let unused = [
        "--dry-run",
        "--exclude-from",
        "globs",
        "--exclude-from",
        "other",
        "proj",
    ];
    let done = finish(upload(&scene).args(unused)).exit(0);
    assert!(
        done.stderr
            .contains("--exclude-from other: no glob of it matched"),
        "{done:?}"
    );
    assert!(!done.stderr.contains("globs:"), "{done:?}");
    for (text, why) in [("[a\n", "cannot be read"), ("/\n", "names nothing")] {
        fs::write(scene.path("globs"), text).expect("room");
        let done = finish(upload(&scene).args(from)).exit(2);
        assert!(
            done.stderr.contains("--exclude-from globs") && done.stderr.contains(why),
            "{done:?}"
        );
    }
    finish(upload(&scene).args(["--exclude-from", "none", "proj"])).exit(2);
}

#[test]
fn ages_and_dates() {
    let scene = scene(&["proj/new", "proj/old", "proj/older"]);
    let now = SystemTime::now();
    aged(&scene, "proj/old", now - DAY * 3);
    // 2001-09-09 01:46:40 UTC
    aged(
        &scene,
        "proj/older",
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    );
    let rows: [(&[&str], &[&str]); 9] = [
        (&["--newer-than", "2d"], &["proj/new"]),
        (&["--newer-than", "1w"], &["proj/new", "proj/old"]),
        (&["--older-than", "12h"], &["proj/old", "proj/older"]),
        (&["--older-than", "1d", "--newer-than", "4d"], &["proj/old"]),
        (&["--older-than", "2001-09-10"], &["proj/older"]),
        (&["--older-than", "2001-09-09T01:46:40Z"], &[]),
        (&["--older-than", "2001-09-09T01:46:41Z"], &["proj/older"]),
        // The zone of the test is eight hours east.
        (&["--older-than", "2001-09-09 09:46:41"], &["proj/older"]),
        (&["--older-than", "2001-09-09 09:46"], &[]),
    ];
    for (args, expected) in rows {
        // Windows takes the zone from no variable.
        if cfg!(windows) && args[1].contains(" 09:46") {
            continue;
        }
        let args = [args, &["proj"]].concat();
        assert_eq!(planned(&scene, "", &args), expected, "{args:?}");
    }
    for wrong in [
        &["--newer-than", "soon"][..],
        &["--newer-than", "7"],
        &["--newer-than", "2d", "--older-than", "3d"],
        &["--min-size", "10M", "--max-size", "1M"],
        &["--hidden", "maybe"],
    ] {
        finish(upload(&scene).args(wrong).arg("proj")).exit(2);
    }
}

#[test]
fn ignore_files_and_hidden_names() {
    let scene = scene(&[
        "repo/a.log",
        "repo/keep.log",
        "repo/b",
        "repo/out/x",
        "repo/sub/out/y",
        "repo/sub/.env",
        "repo/.git/HEAD",
    ]);
    fs::write(scene.path("repo/.gitignore"), "*.log\n/out/\n").expect("room");
    fs::write(scene.path("repo/.panupignore"), "!keep.log\n").expect("room");
    let visible = ["--hidden", "no"];
    let ignoring = ["--hidden", "no", "--ignore-files"];
    for (folder, path) in [
        ("", "repo"),
        ("repo", "."),
        ("/", scene.path("repo").to_str().expect("Unicode")),
    ] {
        let all = [
            "repo/a.log",
            "repo/b",
            "repo/keep.log",
            "repo/out/x",
            "repo/sub/out/y",
        ];
        assert_eq!(
            planned(&scene, folder, &[&visible[..], &[path]].concat()),
            all
        );
        let left = ["repo/b", "repo/keep.log", "repo/sub/out/y"];
        assert_eq!(
            planned(&scene, folder, &[&ignoring[..], &[path]].concat()),
            left
        );
    }
    assert_eq!(
        planned(&scene, "repo", &["--ignore-files", "out", "b", "a.log"]),
        ["b"],
        "typed ones too"
    );
    assert_eq!(
        planned(&scene, "", &["--hidden", "no", "repo/sub/.env", "repo/b"]),
        ["b"]
    );
}

#[test]
fn orders() {
    let scene = Scene::new(Config::default());
    let now = SystemTime::now();
    for (name, size, age) in [("proj/a", 30, 1), ("proj/b", 10, 3), ("proj/c", 20, 2)] {
        scene.file(name, size);
        aged(&scene, name, now - DAY * age);
    }
    for (order, expected) in [
        ("mixed", ["proj/c", "proj/a", "proj/b"]),
        ("size", ["proj/b", "proj/c", "proj/a"]),
        ("name", ["proj/a", "proj/b", "proj/c"]),
        ("mtime", ["proj/b", "proj/c", "proj/a"]),
    ] {
        let args = [
            "--order",
            order,
            "--base",
            "proj",
            "--files-from",
            "-",
            "--dest",
            "proj",
        ];
        let done = finish(
            dry(&scene, "")
                .args(args)
                .write_stdin("proj/c\nproj/a\nproj/b\n"),
        );
        assert_eq!(remotes(&done.exit(0)), expected, "{order}");
    }
}

/// Windows has no such names.
#[cfg(unix)]
#[test]
fn empty_files_and_bad_names_can_be_left_out() {
    let scene = scene(&["proj/a", "proj/b:c", "proj/d*/e"]);
    File::create(scene.path("proj/none")).expect("made");
    let failing = finish(upload(&scene).args(["--json", "proj"])).exit(4);
    assert_eq!(failing.report().1["failed"], 3, "{failing:?}");
    let done =
        finish(upload(&scene).args(["--json", "--empty", "skip", "--bad-names", "skip", "proj"]))
            .exit(0);
    let (_, summary) = done.report();
    let by = &summary["left_out_by"];
    assert_eq!(
        (&by["empty_file"], &by["bad_name"]),
        (&json!(1), &json!(2)),
        "{done:?}"
    );
    assert_eq!(summary["left_out"], 3);
    assert_eq!(stored(&scene.emulator), ["proj/a"]);
}

/// Windows has no such names.
#[cfg(unix)]
#[test]
fn bad_names_can_be_written_in_full_width() {
    let scene = scene(&["proj/b:c", "proj/d*/e?"]);
    fs::create_dir(scene.path("proj/  ")).expect("made");
    scene.file("proj/  /f", 5);
    let done = finish(upload(&scene).args(["--json", "--bad-names", "fullwidth", "proj"])).exit(0);
    assert_eq!(
        stored(&scene.emulator),
        ["proj/b：c", "proj/d＊/e？", "proj/␠␠/f"]
    );
    let (files, _) = done.report();
    let mapped = files
        .iter()
        .find(|file| file["path"] == "proj/b:c")
        .expect("told");
    assert_eq!(mapped["remote"], "proj/b：c");
    assert!(
        mapped["note"]
            .as_str()
            .expect("a note")
            .contains("full-width"),
        "{mapped}"
    );
    // What goes to the same name after that is refused.
    scene.file("proj/b：c", 9);
    let done = finish(upload(&scene).args([
        "--no-resume",
        "--json",
        "--bad-names",
        "fullwidth",
        "--on-conflict",
        "overwrite",
        "proj",
    ]))
    .exit(4);
    let (files, _) = done.report();
    let refused: Vec<&Value> = files
        .iter()
        .filter(|file| file["status"] == "failed")
        .collect();
    assert_eq!(refused.len(), 1, "{done:?}");
    let message = refused[0]["error"]["message"].as_str().expect("text");
    assert!(
        message.contains("proj/b:c") && message.contains("proj/b：c"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_left_out_is_counted_and_named() {
    let scene = scene(&["proj/a", "proj/b.tmp", "proj/big"]);
    scene.file("proj/big", 5000);
    fs::create_dir(scene.path("proj/void")).expect("made");
    std::os::unix::fs::symlink("a", scene.path("proj/link")).expect("made");
    let options = ["--exclude", "*.tmp", "--max-size", "1K", "proj"];
    let done = finish(upload(&scene).args(options)).exit(0);
    assert!(
        done.stdout
            .contains("4 left out (1 symbolic link, 1 empty folder, 1 by glob, 1 by size)"),
        "{done:?}"
    );
    let named = finish(upload(&scene).arg("-v").args(options)).exit(0);
    for name in ["proj/b.tmp", "proj/big", "proj/void", "proj/link"] {
        assert!(
            named.stderr.contains(&format!("left out {name}:")),
            "{named:?}"
        );
    }
    let events = |args: &[&str]| {
        let done = finish(upload(&scene).args(args).args(options)).exit(0);
        assert_eq!(done.report().1["left_out"], 4, "{done:?}");
        let events = done.events().into_iter();
        let mut left: Vec<_> = events
            .filter(|event| event["event"] == "left_out")
            .map(|event| format!("{} {}", event["why"], event["path"]).replace('"', ""))
            .collect();
        left.sort();
        left
    };
    assert_eq!(
        events(&["--json"]),
        ["empty_folder proj/void", "link proj/link"]
    );
    assert_eq!(
        events(&["--json", "-v"]),
        [
            "empty_folder proj/void",
            "glob proj/b.tmp",
            "link proj/link",
            "size proj/big"
        ]
    );
    let warned = finish(upload(&scene).args(["--json", "--exclude", "*.zip", "proj/a"])).exit(0);
    let mut events = warned.events().into_iter();
    let warning = events
        .find(|event| event["event"] == "warning")
        .expect("told");
    assert!(
        warning["message"]
            .as_str()
            .expect("text")
            .contains("--exclude \"*.zip\" matched nothing"),
        "{warning}"
    );
}

#[test]
fn listed_paths_keep_all_their_folders_or_those_below_a_base() {
    let scene = scene(&["x/f", "y/f"]);
    let home = scene.local.path().to_str().expect("Unicode").to_owned();
    let list = format!("{home}/x/f\n{home}/y/f\n");
    fs::write(scene.path("list"), &list).expect("room");
    let bare = below_root(scene.local.path());
    let at = |args: &[&str], folder: &str| planned(&scene, folder, args);
    let list = scene.path("list");
    let from = ["--files-from", list.to_str().expect("Unicode")];
    for folder in ["", "/", "x"] {
        assert_eq!(
            at(&from, folder),
            [format!("{bare}/x/f"), format!("{bare}/y/f")]
        );
        assert_eq!(
            at(&[&from[..], &["--base", &home]].concat(), folder),
            ["x/f", "y/f"]
        );
    }
    fs::write(scene.path("relative"), "x/f\n../y/f\n").expect("room");
    let done = finish(dry(&scene, "").args(["--files-from", "relative", "--base", "./"])).exit(4);
    assert_eq!(
        remotes(&done),
        ["x/f"],
        "the other one is elsewhere: {done:?}"
    );
    let relative = scene.path("relative");
    let from = ["--files-from", relative.to_str().expect("Unicode")];
    let done = finish(dry(&scene, "").args(from)).exit(1);
    assert_eq!(
        remotes(&done),
        ["x/f"],
        "the other one is missing: {done:?}"
    );
    finish(upload(&scene).args(["--base", "x", "x/f"])).exit(2);
}

#[test]
fn objects_in_a_list_say_where_to_and_what_and_are_echoed() {
    let scene = scene(&["x/f", "x/g", "x/h", "x/i"]);
    let md5 = |name: &str| {
        let sums = finish(panup(scene.local.path()).args(["hash", name]))
            .exit(0)
            .stdout;
        sums[..32].to_owned()
    };
    let lines = [
        json!({"path": "x/f", "remote": "to/名", "md5": md5("x/f"), "size": 100, "tag": {"job": 7}}),
        json!({"path": "x/g", "md5": "0123456789abcdef0123456789abcdef", "tag": "wrong sum"}),
        json!({"path": "x/h", "size": 99, "tag": "wrong size"}),
        json!({"path": "missing", "tag": 3}),
        json!({"remote": "nothing"}),
    ];
    let list: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut command = upload(&scene);
    command.args(["--json", "--dest", "d", "--files-from", "-"]);
    let done = finish(command.write_stdin(format!("{list}x/i\n"))).exit(1);
    assert_eq!(stored(&scene.emulator), ["d/to/名", "d/x/i"]);
    let (files, _) = done.report();
    let of = |tag: Value| files.iter().find(|file| file["tag"] == tag).expect("told");
    assert_eq!(of(json!({"job": 7}))["status"], "uploaded");
    for (tag, why, is_final) in [
        (
            json!("wrong sum"),
            "0123456789abcdef0123456789abcdef was expected",
            true,
        ),
        (json!("wrong size"), "the list says 99", true),
        (json!(3), not_there().as_str(), false),
    ] {
        let error = &of(tag)["error"];
        assert!(
            error["message"].as_str().expect("text").contains(why),
            "{error}"
        );
        assert_eq!(error["final"], is_final, "{error}");
    }
    assert!(done.stdout.contains("without a \\\"path\\\""), "{done:?}");
    let singles = scene.emulator.stats().of(Operation::Single).calls;
    assert_eq!(singles, 2, "of the others nothing was sent");
}

#[test]
fn a_list_is_read_as_it_comes() {
    let scene = scene(&["a", "b"]);
    let mut command = plain(scene.local.path());
    command.args([
        "upload",
        "--json",
        "--files-from",
        "-",
        "--api",
        &scene.emulator.api(),
    ]);
    command
        .args(QUICK)
        .env("PANUP_TOKEN", scene.emulator.token());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut queue = child.stdin.take().expect("piped");
    let mut results = BufReader::new(child.stdout.take().expect("piped")).lines();
    for (name, tag) in [("a", 1), ("b", 2)] {
        writeln!(queue, "{}", json!({"path": name, "tag": tag})).expect("it reads");
        // The next line comes when this one is done.
        let result = results.next().expect("a line").expect("text");
        let result: Value = serde_json::from_str(&result).expect("JSON");
        assert_eq!(
            (&result["status"], &result["tag"]),
            (&json!("uploaded"), &json!(tag))
        );
    }
    drop(queue);
    let summary = results.next().expect("a line").expect("text");
    assert!(summary.contains("\"uploaded\":2"), "{summary}");
    assert!(child.wait().expect("it ends").success());
}

#[cfg(unix)]
#[test]
fn a_report_fed_back_is_what_is_not_done() {
    let scene = scene(&["p/a", "p/b", "p/c:d"]);
    let report = ["--report", "out.jsonl", "--dest", "d"];
    fs::set_permissions(
        scene.path("p/b"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .expect("ours");
    fs::rename(scene.path("p/b"), scene.path("kept")).expect("ours");
    std::os::unix::fs::symlink("gone", scene.path("p/b")).expect("made");
    finish(upload(&scene).args(report).args(["--follow", "p"])).exit(1);
    let lines = fs::read_to_string(scene.path("out.jsonl")).expect("there");
    let files: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(files.len(), 3, "{lines}");
    assert!(
        files
            .iter()
            .all(|file| file["event"] == "file" && file["path"].is_string()),
        "{lines}"
    );
    let done = files
        .iter()
        .find(|file| file["path"] == "p/a")
        .expect("told");
    assert_eq!(
        (&done["status"], &done["size"]),
        (&json!("uploaded"), &json!(100))
    );
    assert!(
        done["file_id"].is_i64() && done["md5"].is_string(),
        "{done}"
    );
    fs::remove_file(scene.path("p/b")).expect("ours");
    fs::rename(scene.path("kept"), scene.path("p/b")).expect("ours");
    // Whatever the folder and --dest, the remote paths are those of the report.
    let again = ["--bad-names", "fullwidth", "--files-from", "out.jsonl"];
    let done = finish(upload(&scene).args(report).args(again).arg("--json")).exit(0);
    let (files, _) = done.report();
    assert_eq!(files.len(), 2, "{done:?}");
    assert_eq!(stored(&scene.emulator), ["d/p/a", "d/p/b", "d/p/c：d"]);
    let all = fs::read_to_string(scene.path("out.jsonl")).expect("there");
    assert!(
        all.starts_with(&lines) && all.lines().count() == 5,
        "appended: {all}"
    );
}

#[test]
fn md5s_of_a_list_are_taken_unless_one_is_wrong() {
    let scene = Scene::new(Config::default());
    for (name, size) in [("x/big", 5 << 20), ("x/small", 100)] {
        scene.file(name, size);
    }
    let home = scene.local.path();
    let sums = finish(panup(home).args(["hash", "x/big", "x/small"]))
        .exit(0)
        .stdout;
    let late = SystemTime::now() + DAY;
    let written = |text: &str| {
        fs::write(scene.path("sums"), text).expect("room");
        aged(&scene, "sums", late);
    };
    let from = ["--md5-from", "sums", "--no-resume"];
    written(&sums);
    // From another folder the list's paths would be others'.
    finish(upload(&scene).args(from).arg(scene.path("x"))).exit(0);
    assert_eq!(stored(&scene.emulator), ["x/big", "x/small"]);
    let calls = scene.emulator.stats().calls.len();
    let wrong = format!("{0}  x/big\n{0}  x/small\n", "0".repeat(32));
    let two = format!("{sums}{}  x/big\n", "0".repeat(32));
    for (text, why) in [
        (wrong.as_str(), "the whole list is refused"),
        (&two, "has two MD5s"),
        ("x/big\n", "line 1 is no line of md5sum's"),
    ] {
        written(text);
        let done = finish(upload(&scene).args(from).arg("x")).exit(2);
        assert!(
            done.stderr.contains(why) && done.stderr.contains("--md5-from sums"),
            "{done:?}"
        );
    }
    assert_eq!(
        scene.emulator.stats().calls.len(),
        calls,
        "nothing was sent"
    );
    // What was modified after the list was written is hashed.
    written(&wrong);
    for name in ["x/big", "x/small"] {
        aged(&scene, name, late + DAY);
    }
    let args = ["--on-conflict", "overwrite", "x"];
    let done = finish(upload(&scene).args(from).args(args)).exit(0);
    assert!(
        done.stderr
            .contains("2 files were modified after it was written"),
        "{done:?}"
    );
    finish(upload(&scene).args(["--md5-from", "none", "x"])).exit(2);
}

#[test]
fn a_trusted_md5_is_what_the_service_is_asked_for_and_compares_with() {
    let scene = Scene::small();
    let [there, other] =
        [("there", 1), ("other", 2)].map(|(name, seed)| scene.item(name, 5 << 20, seed));
    let client = Client::new(scene.sliced()).expect("sensible");
    let outcomes = run_within(LONGEST, &client, vec![there]);
    let md5 = outcomes[0].md5;
    let trusting = |remote: &str, md5| {
        let mut item = other.clone().to(0, remote);
        (item.md5, item.trust_md5) = (md5, true);
        run_within(LONGEST, &client, vec![item]).remove(0)
    };
    let taken = trusting("copy", md5);
    assert_eq!(
        taken.status.name(),
        "reused",
        "not a byte was looked at: {taken:?}"
    );
    let refused = trusting("wrong", Some(panup::digest::Md5([7; 16])));
    let error = failure(&refused);
    assert!(error.message().contains("was expected"), "{error}");
    assert!(error.is_final());
    assert_eq!(stored(&scene.emulator), ["copy", "there"]);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_starts() {
    let scene = scene(&["a"]);
    let done = finish(upload(&scene).args(["--report", "none/out", "a"])).exit(2);
    assert!(
        done.stderr.contains("--report") && done.stderr.contains("none/out"),
        "{done:?}"
    );
    if Path::new("/dev/full").exists() {
        let done = finish(upload(&scene).args(["--report", "/dev/full", "a"])).exit(1);
        assert!(done.stderr.contains("--report /dev/full"), "{done:?}");
        assert_eq!(stored(&scene.emulator), ["a"], "the upload goes on");
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_no_unicode_come_back_through_a_report() {
    let scene = scene(&[]);
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"p/\xff");
    fs::create_dir(scene.path("p")).expect("made");
    fs::write(scene.local.path().join(name), "x").expect("room");
    let done = finish(upload(&scene).args(["--json", "--report", "r", "p"])).exit(4);
    assert_eq!(done.report().0[0]["path_bytes"], "cC//");
    let again = finish(upload(&scene).args(["--json", "--files-from", "r"])).exit(4);
    assert_eq!(again.report().0[0]["path_bytes"], "cC//", "{again:?}");
}

#[cfg(unix)]
#[test]
fn failures_for_good_have_a_code_of_their_own() {
    let scene = scene(&["a", "b?", "dir/f"]);
    File::create(scene.path("none")).expect("made");
    let status = |args: &[&str]| finish(upload(&scene).args(args)).code;
    assert_eq!(status(&["a", "b?"]), 4, "a name");
    assert_eq!(status(&["none"]), 4, "a size");
    assert_eq!(status(&["dir/f", "a", "none", "b?"]), 4);
    assert_eq!(
        status(&["b?", "missing"]),
        1,
        "one of them may be there the next time"
    );
    assert_eq!(status(&["--no-resume", "a"]), 0, "it is there");
    assert_eq!(status(&["--dry-run", "b?", "a"]), 4);
    assert_eq!(status(&["a"]), 0);
    scene.file("a", 77);
    assert_eq!(status(&["--no-resume", "a"]), 4, "its name is taken");
    let locked = scene.file("locked", 5);
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("ours");
    if File::open(&locked).is_err() {
        assert_eq!(status(&["locked"]), 4, "a permission");
    } else {
        eprintln!("skipped: permissions mean nothing to this user");
    }
}

/// A run that uploads nothing and tells its plan.
fn dry(scene: &Scene, folder: &str) -> Command {
    let mut command = panup(scene.local.path());
    command.args(["upload", "--dry-run", "--json"]);
    command
        .current_dir(scene.local.path().join(folder))
        .env("TZ", "CST-8");
    command
}

/// The remote paths that a plan of `args` in `folder` has, sorted.
fn planned(scene: &Scene, folder: &str, args: &[&str]) -> Vec<String> {
    let mut planned = remotes(&finish(dry(scene, folder).args(args)).exit(0));
    planned.sort();
    planned
}

fn remotes(done: &Finished) -> Vec<String> {
    let events = done.events().into_iter();
    let planned = events.filter(|event| event["event"] == "planned");
    planned
        .map(|event| event["remote"].as_str().expect("text").to_owned())
        .collect()
}

fn aged(scene: &Scene, name: &str, when: SystemTime) {
    let file = File::options().write(true).open(scene.path(name));
    file.and_then(|file| file.set_modified(when)).expect("ours");
}

fn scene(files: &[&str]) -> Scene {
    let scene = Scene::new(Config::default());
    for name in files {
        scene.file(name, 100);
    }
    scene
}

const DAY: Duration = Duration::from_secs(24 * 3600);
