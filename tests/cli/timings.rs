//! `--timings`: a page that is there in one piece, says what happened, and draws itself in a browser.
#![cfg(unix)]

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use panup_emulator::{Action, Fault, Operation};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, plain, upload};

#[test]
fn a_run_is_a_page_with_all_that_happened() {
    let scene = Scene::small();
    let fault = Fault::on(Operation::Slice, Action::status(503)).nth(2);
    scene.emulator.inject(fault);
    scene.file("big.bin", 600_000);
    scene.file("small.txt", 10);
    // Neither a name that reads like HTML nor one that is no text becomes anything else.
    scene.file("d/</script><script>document.title='x'</script>", 10);
    let odd = scene.path("d").join(OsStr::from_bytes(b"odd\xff.bin"));
    std::fs::write(odd, "x").expect("a name without Unicode");
    let done = finish(upload(&scene).args([
        "--single-max=4K",
        "--timings=run.html",
        "big.bin",
        "small.txt",
        "d",
    ]));
    let done = done.exit(4);
    assert!(done.stderr.contains("as a picture: run.html"), "{done:?}");
    let page = read(&scene.path("run.html"));
    assert!(!page.contains("<script>document"), "escaped");
    let data = data(&page);
    assert_eq!(data["summary"]["files"], 4, "{data}");
    assert_eq!(data["summary"]["uploaded"], 2, "{data}");
    let names: Vec<_> = rows(&data["files"]["rows"], "name");
    assert!(names.contains(&"big.bin".to_owned()), "{names:?}");
    let failed = rows(&data["files"]["failed"], "name");
    assert!(
        failed.iter().any(|name| name.contains("document.title")),
        "{failed:?}"
    );
    assert!(
        failed.iter().any(|name| name.starts_with("d/odd")),
        "{failed:?}"
    );
    let calls = &data["calls"];
    assert_eq!(calls["failures"][0]["status"], 503, "{calls}");
    assert_eq!(
        data["bodies"]["count"],
        600_000_u64.div_ceil(64 << 10) + 1 + 1,
        "{data}"
    );
    let left = rows_beside(&scene, ".part");
    assert!(left.is_empty(), "{left:?}");
    drawn(
        &scene.path("run.html"),
        &[
            ("file-row", names.len()),
            ("retry-row", 1),
            ("failed-row", 2),
        ],
    );
}

#[test]
fn an_interrupted_run_has_one_too_under_a_name_of_its_own() {
    let scene = Scene::small();
    scene.file("big.bin", 4_000_000);
    let mut command = plain(scene.local.path());
    command.args([
        "upload",
        "--api",
        &scene.emulator.api(),
        "--limit-rate=400K",
        "--single-max=0",
        "--timings",
        "--json",
        "big.bin",
    ]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("started");
    while scene.emulator.stats().of(Operation::Slice).done == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("alive");
    let done = Finished::from(child.wait_with_output().expect("it ends")).exit(130);
    done.events();
    let pages = rows_beside(&scene, ".html");
    let [page] = &pages[..] else {
        panic!("{pages:?}")
    };
    assert!(
        page.starts_with("panup-timings-20") && page.ends_with("Z.html"),
        "{page}"
    );
    assert!(done.stderr.contains(page.as_str()), "{done:?}");
    assert_eq!(data(&read(&scene.path(page)))["summary"]["interrupted"], 1);
}

#[test]
fn where_no_page_can_be_written_nothing_starts() {
    let scene = Scene::small();
    scene.file("small.txt", 10);
    let done = finish(upload(&scene).args(["--timings=no/such/folder.html", "small.txt"])).exit(2);
    assert!(
        done.stderr.contains("--timings no/such/folder.html"),
        "{done:?}"
    );
    assert_eq!(scene.emulator.files(), []);
}

#[test]
fn a_measurement_is_a_page_as_well() {
    let home = tempfile::tempdir().expect("a folder");
    let mut tune = panup(home.path());
    tune.args([
        "tune",
        "--emulator",
        "--budget=4M",
        "--try=1,2",
        "--timings=tune.html",
    ]);
    let done = finish(&mut tune).exit(0);
    assert!(done.stderr.contains("as a picture: tune.html"), "{done:?}");
    let data = data(&read(&home.path().join("tune.html")));
    assert_eq!(data["rows"].as_array().map(Vec::len), Some(3), "{data}");
    drawn(&home.path().join("tune.html"), &[("setting-row", 3)]);
}

/// Sees that a browser draws `page` without a complaint, with so many rows of each class.
fn drawn(page: &Path, expected: &[(&str, usize)]) {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| is_here(name))
    else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no Chromium here to draw {}",
            page.display()
        );
        return;
    };
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=2000",
        ])
        .args([
            "--enable-logging=stderr",
            "--window-size=1280,900",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("it can be started");
    let (dom, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(dom.contains("<svg"), "nothing is drawn: {log}");
    for (class, count) in expected {
        assert_eq!(
            dom.matches(&format!("class=\"{class}")).count(),
            *count,
            "{class}"
        );
    }
    assert!(dom.contains("<title>panup"), "no script of a name's ran");
}

fn is_here(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The data of a page.
fn data(page: &str) -> Value {
    let begin = "<script type=\"application/json\" id=\"data\">";
    let (_, rest) = page.split_once(begin).expect("data");
    let (data, _) = rest.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

fn rows(all: &Value, key: &str) -> Vec<String> {
    let all = all.as_array().expect("rows");
    all.iter()
        .map(|row| row[key].as_str().expect("text").to_owned())
        .collect()
}

fn rows_beside(scene: &Scene, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(scene.local.path()).expect("a folder");
    let names = entries.map(|entry| {
        entry
            .expect("readable")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    names.filter(|name| name.ends_with(end)).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a page")
}
