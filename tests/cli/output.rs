//! Lines for people, objects for scripts, and the exit codes 0, 1, 2 and 3.

use std::fs;

use panup_emulator::{Config, Quirks, Tls};
use serde_json::Value;

use crate::common::program::{finish, local, not_there, panup, stored, upload};
use crate::common::{Scene, folder, make, same_contents};

#[test]
fn the_emulator_inside_stores_the_files_and_says_where() {
    let (home, cloud) = (folder(), folder());
    let path = home.path().join("tree/big.bin");
    make(&path, (5 << 20) + 3, 0);
    make(&home.path().join("tree/a b/small.txt"), 100, 1);
    let mut command = panup(home.path());
    command.arg("upload");
    command.arg(format!("--emulator={}", cloud.path().display()));
    let done = finish(command.arg("tree")).exit(0);
    let said = |part: &str| assert!(done.stdout.contains(part), "{part:?}: {done:?}");
    for name in ["tree/big.bin", "tree/a b/small.txt"] {
        said(&format!("uploaded  {} -> {name}", local(name)));
    }
    said("2 files: 2 uploaded; 5.00 MiB in ");
    said("2 upload servers");
    said(&cloud.path().display().to_string());
    assert!(same_contents(&path, &cloud.path().join("tree/big.bin")));
    assert_eq!(done.stderr, "");
}

#[test]
fn the_emulator_inside_makes_a_folder_where_none_is_named() {
    let home = folder();
    make(&home.path().join("x"), 10, 0);
    let mut command = panup(home.path());
    command.env("TMPDIR", home.path());
    let done = finish(command.args(["upload", "--emulator", "x"])).exit(0);
    let last = done.stdout.lines().last().expect("lines");
    let (_, kept) = last.split_once("stored 1 file in ").expect("where");
    assert_eq!(fs::read(format!("{kept}/x")).expect("there").len(), 10);
}

#[test]
fn room_for_others_goes_together_with_a_limit_and_slices() {
    let home = folder();
    make(&home.path().join("x"), 300_000, 0);
    for more in [&["--yield"][..], &["--yield", "--limit-rate=4M"]] {
        let mut command = panup(home.path());
        command.env("TMPDIR", home.path());
        command.args(["upload", "--emulator", "--single-max=0", "--json", "x"]);
        command.args(more);
        let done = finish(&mut command).exit(0);
        assert!(done.stdout.contains(r#""status":"uploaded""#), "{done:?}");
        // Elsewhere nothing is known of the link's queue, which a run so short may end before it finds out.
        let warns = done.stderr.contains("no room is left");
        assert!(!warns || cfg!(not(target_os = "linux")), "{}", done.stderr);
    }
}

#[test]
fn every_line_of_json_is_an_object_as_documented() {
    let home = folder();
    make(&home.path().join("x"), 10, 0);
    let mut command = panup(home.path());
    let done = finish(command.args(["upload", "--emulator", "--json", "x", "missing"])).exit(1);
    let (files, summary) = done.report();
    let of = |path: &str| -> &Value {
        let found = files.iter().find(|file| file["path"] == path);
        found.unwrap_or_else(|| panic!("{path}: {files:?}"))
    };
    let good = of("x");
    assert_eq!(good["remote"], "x");
    assert_eq!(good["status"], "uploaded");
    assert!(good["file_id"].as_i64().expect("an id") > 0);
    assert_eq!(good["md5"].as_str().expect("hex").len(), 32);
    assert_eq!((&good["size"], &good["sent"]), (&10.into(), &10.into()));
    assert!(good["seconds"].is_number());
    assert_eq!(good.get("error"), None);
    let bad = of("missing");
    assert_eq!(bad["status"], "failed");
    assert_eq!(bad["error"]["kind"], "source");
    let message = bad["error"]["message"].as_str().expect("words");
    let expected = format!("missing: {}", not_there());
    assert!(message.starts_with(&expected), "{message}");
    for (name, number) in [
        ("files", 2),
        ("uploaded", 1),
        ("reused", 0),
        ("skipped", 0),
        ("failed", 1),
        ("bytes", 10),
        ("sent", 10),
    ] {
        assert_eq!(summary[name], number, "{name}");
    }
    assert!(summary["seconds"].is_number());
}

#[test]
fn a_refusal_of_the_service_names_file_call_code_and_trace_id() {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    let orphan = ["--parent-id", "4711", "x"];
    let text = finish(upload(&scene).args(orphan)).exit(4);
    assert!(
        text.stderr.starts_with("failed    x: single/create: "),
        "{text:?}"
    );
    let json = finish(upload(&scene).arg("--json").args(orphan)).exit(4);
    let error = &json.report().0[0]["error"];
    assert_eq!(error["kind"], "rejected");
    assert_eq!(error["code"], 1);
    assert_eq!(error["call"], "single/create");
    let trace = error["trace_id"].as_str().expect("the service gave one");
    assert!(error["message"].as_str().expect("words").contains(trace));
    assert!(text.stderr.contains("code 1, trace id "), "{text:?}");
}

#[test]
fn what_was_decided_goes_where_it_was_asked_for_with_its_time() {
    let scene = Scene::new(Config::default());
    scene.file("big", 5 << 20);
    let args = ["--log-file", "log.txt", "big"];
    let done = finish(upload(&scene).args(args)).exit(0);
    assert_eq!(done.stderr, "");
    let log = fs::read_to_string(scene.local.path().join("log.txt")).expect("written");
    assert!(
        log.contains("DEBUG") && log.contains("create: to be sent"),
        "{log}"
    );
    let is_time =
        |line: &str| line.len() > 23 && line.as_bytes()[10] == b' ' && &line[13..14] == ":";
    assert!(log.lines().all(is_time), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    let done = finish(upload(&scene).args(["-v", "--force", "--on-conflict", "overwrite", "big"]));
    let done = done.exit(0);
    assert!(!done.stderr.contains("DEBUG"), "{done:?}");
    let done = finish(upload(&scene).args(["--log-file", "no/such/folder/log", "big"])).exit(2);
    assert!(
        done.stderr.contains("--log-file no/such/folder/log: "),
        "{done:?}"
    );
}

#[test]
fn few_words_for_many_failures() {
    let scene = Scene::new(Config::default());
    fs::create_dir(scene.local.path().join("d")).expect("made");
    for number in 0..50 {
        fs::write(scene.local.path().join(format!("d/{number}")), "").expect("written");
    }
    let done = finish(upload(&scene).arg("d")).exit(4);
    let told = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("failed "));
    assert_eq!(told.count(), 20, "{done:?}");
    assert!(done.stderr.contains("50 files failed: "), "{done:?}");
    assert!(done.stderr.contains("what to do: --empty skip"), "{done:?}");
    assert!(done.stdout.starts_with("50 files: 50 failed; "), "{done:?}");
    assert!(
        !done.stdout.contains("0 uploaded") && !done.stdout.contains("0 B"),
        "{done:?}"
    );
}

#[test]
fn quiet_prints_errors_only() {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    let good = finish(upload(&scene).args(["--quiet", "x"])).exit(0);
    assert_eq!((good.stdout.as_str(), good.stderr.as_str()), ("", ""));
    let bad = finish(upload(&scene).args(["-q", "missing"])).exit(1);
    assert_eq!(bad.stdout, "");
    let expected = format!("missing: {}", not_there());
    assert!(bad.stderr.contains(&expected), "{bad:?}");
}

#[test]
fn wrong_usage_is_2_and_nothing_is_sent() {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    let wrong: [&[&str]; 9] = [
        &[],
        &["--no-such-option", "x"],
        &["--http", "3", "x"],
        &["--concurrency", "0", "x"],
        &["--single-max", "2G", "x"],
        &["--limit-rate", "0", "x"],
        &["--call-rate", "slice=5", "x"],
        &["--files-from", "missing"],
        &["--include", "a[", "x"],
    ];
    for args in wrong {
        let done = finish(upload(&scene).args(args)).exit(2);
        assert_eq!(done.stdout, "", "{args:?}");
        assert!(!done.stderr.is_empty(), "{args:?}");
    }
    let mut lost = panup(scene.local.path());
    let done = finish(lost.args(["upload", "--api", &scene.emulator.api(), "x"])).exit(2);
    assert!(done.stderr.contains("no credentials"), "{done:?}");
    assert!(done.stderr.contains("--emulator"), "{done:?}");
    let plain = ["--api", "http://api.invalid", "x"];
    let mut exposed = panup(scene.local.path());
    let done = finish(
        exposed
            .arg("upload")
            .args(plain)
            .env("PANUP_TOKEN", "t0ken"),
    )
    .exit(2);
    done.hides("t0ken");
    assert!(scene.emulator.stats().calls.is_empty());
}

#[test]
fn refused_credentials_are_3() {
    for http_401 in [false, true] {
        let scene = Scene::new(Config {
            quirks: Quirks {
                http_401,
                ..Quirks::default()
            },
            ..Config::default()
        });
        scene.file("x", 10);
        let mut command = upload(&scene);
        let done = finish(command.arg("x").env("PANUP_TOKEN", "n0t-good")).exit(3);
        assert!(done.stderr.contains("pasted"), "{done:?}");
        done.hides("n0t-good");
        assert_eq!(scene.emulator.stats().logins, 0);
    }
}

#[test]
fn tls_needs_the_authority_and_takes_it_from_a_file() {
    let scene = Scene::new(Config {
        tls: Tls::Both,
        ..Config::default()
    });
    let path = scene.file("x", 10);
    let refused = finish(upload(&scene).arg("x")).exit(1);
    assert!(refused.stderr.contains("not trusted"), "{refused:?}");
    assert!(refused.stderr.contains("--ca-cert"), "{refused:?}");
    let pem = scene.local.path().join("ca.pem");
    fs::write(&pem, scene.emulator.ca_pem().expect("TLS")).expect("written");
    for http in ["1", "2", "auto"] {
        let named = format!("x-{http}");
        fs::copy(&path, scene.local.path().join(&named)).expect("copied");
        let args = ["--ca-cert", "ca.pem", "--http", http, &named];
        finish(upload(&scene).args(args)).exit(0);
    }
    assert_eq!(stored(&scene.emulator), ["x-1", "x-2", "x-auto"]);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let scene = Scene::new(Config::default());
    scene.file("x", 10);
    let mut command = crate::common::program::plain(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api(), "x"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
}
