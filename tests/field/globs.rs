//! Patterns that choose files, from any working folder.

use std::fs;
use std::path::Path;

use panup_emulator::Config;

use crate::common::Scene;
use crate::common::program::{finish, panup, stored, upload};

#[test]
fn the_same_patterns_choose_the_same_files_from_two_working_folders() {
    let rows: [(&[&str], &[&str]); 7] = [
        (&["--exclude", "/secret"], &["code.c", "src/secret/x"]),
        (&["--exclude", "secret/*"], &["code.c", "src/secret/x"]),
        (&["--exclude", "./secret/"], &["code.c", "src/secret/x"]),
        (&["--exclude", "secret"], &["code.c"]),
        (&["--include", "src/**"], &["src/secret/x"]),
        (
            &["--include", "*.pem", "--include", "x"],
            &["secret/key.pem", "src/secret/x"],
        ),
        (
            &["--include", "secret", "--exclude", "/src"],
            &["secret/key.pem"],
        ),
    ];
    let scene = scene();
    let proj = scene.local.path().join("proj");
    let whole = proj.to_str().expect("Unicode");
    for (globs, expected) in rows {
        for (folder, path) in [
            (proj.as_path(), "."),
            (scene.local.path(), "proj"),
            (Path::new("/"), whole),
        ] {
            assert_eq!(
                planned(&scene, folder, path, globs),
                expected,
                "{globs:?} {path}"
            );
        }
    }
    let absolute = format!("{whole}/secret");
    for (folder, path) in [
        (proj.as_path(), "."),
        (scene.local.path(), "./proj"),
        (Path::new("/"), whole),
    ] {
        let left = planned(&scene, folder, path, &["--exclude", &absolute]);
        assert_eq!(left, ["code.c", "src/secret/x"], "{path}");
    }
}

#[test]
fn what_was_to_stay_at_home_is_not_sent() {
    let scene = scene();
    let proj = scene.local.path().join("proj");
    let mut command = upload(&scene);
    command
        .current_dir("/")
        .args(["--no-resume", "--exclude", "/secret"])
        .arg(&proj);
    finish(&mut command).exit(0);
    assert_eq!(
        stored(&scene.emulator),
        ["proj/code.c", "proj/src/secret/x"]
    );
}

#[test]
fn an_empty_pattern_is_wrong_usage() {
    let scene = scene();
    for option in ["--include", "--exclude"] {
        for wrong in ["", "/", "[a"] {
            let done = finish(upload(&scene).args([option, wrong, "proj"])).exit(2);
            assert!(done.stderr.contains(option), "{done:?}");
        }
    }
    assert!(scene.emulator.stats().calls.is_empty());
}

#[test]
fn typed_and_listed_files_are_filtered_too() {
    let scene = scene();
    for name in ["a.jpg", "b.txt", "sub/c.jpg", "sub/d.txt", "#e"] {
        scene.file(name, 10);
    }
    fs::write(
        scene.local.path().join("list"),
        "a.jpg\nb.txt\nsub/c.jpg\nsub/d.txt\n",
    )
    .expect("written");
    let plan = |args: &[&str]| {
        let done = finish(upload(&scene).arg("--dry-run").args(args)).exit(0);
        let lines = done.stdout.lines();
        lines
            .map(|line| line.split(" -> ").next().expect("a path"))
            .map(|line| line.strip_prefix("upload    ").expect("sent").to_owned())
            .collect::<Vec<_>>()
    };
    let typed = ["a.jpg", "b.txt", "sub/c.jpg", "#e"];
    assert_eq!(
        plan(&[&["--exclude", "*.jpg"], &typed[..]].concat()),
        ["b.txt", "#e"]
    );
    assert_eq!(plan(&[&["--include", "#*"], &typed[..]].concat()), ["#e"]);
    assert_eq!(
        plan(&["--files-from", "list", "--exclude", "*.jpg"]),
        ["b.txt", "sub/d.txt"]
    );
    assert_eq!(
        plan(&["--files-from", "list", "--include", "sub/"]),
        ["sub/c.jpg", "sub/d.txt"]
    );
    assert_eq!(plan(&["--files-from", "list", "--min-size", "11"]), [""; 0]);
}

#[test]
fn what_matched_nothing_is_said() {
    let scene = scene();
    let done =
        finish(upload(&scene).args(["--exclude", "*.tmp", "--exclude", "*.pem", "proj"])).exit(0);
    assert!(
        done.stderr.contains("--exclude \"*.tmp\" matched nothing"),
        "{done:?}"
    );
    assert!(!done.stderr.contains("*.pem"), "{done:?}");
    let done = finish(upload(&scene).args(["--include", "*.jpg", "proj"])).exit(0);
    assert!(
        done.stderr.contains("no file is left to upload"),
        "{done:?}"
    );
    assert!(done.stderr.contains("matched nothing"), "{done:?}");
    let done = finish(upload(&scene).args(["--dry-run", "--max-size", "1", "proj"])).exit(0);
    assert!(
        done.stderr.contains("no file is left to upload"),
        "{done:?}"
    );
    fs::create_dir(scene.local.path().join("empty")).expect("made");
    let done = finish(upload(&scene).arg("empty")).exit(0);
    assert!(!done.stderr.contains("warning"), "{done:?}");
}

#[test]
fn a_dry_run_says_which_files_want_one_remote_path() {
    let scene = scene();
    for name in ["x/data", "y/data", "z/data/inside"] {
        scene.file(name, 10);
    }
    let dry = |args: &[&str]| {
        finish(
            upload(&scene)
                .args(["--dry-run", "--on-conflict"])
                .args(args),
        )
    };
    let done = dry(&["overwrite", "x/data", "y/data"]).exit(4);
    assert_eq!(done.stdout.lines().count(), 1, "{done:?}");
    for path in ["x/data", "y/data"] {
        assert!(done.stderr.replace('\\', "/").contains(path), "{done:?}");
    }
    dry(&["fail", "x/data", "z/data"]).exit(4);
    assert_eq!(
        dry(&["keep-both", "x/data", "y/data"])
            .exit(0)
            .stdout
            .lines()
            .count(),
        2
    );
    let whole = scene.local.path().join("x/data");
    let whole = whole.to_str().expect("Unicode");
    let same = ["keep-both", "x/data", "./x/data", whole, "y/../x/data"];
    let same = dry(&same).exit(0).stdout;
    assert_eq!(same.matches("upload    ").count(), 1, "{same}");
    assert_eq!(same.matches("skip      ").count(), 3, "{same}");
    let stats = scene.emulator.stats();
    let listed = stats.of(panup_emulator::Operation::List).calls;
    assert_eq!(stats.calls.len() as u64, listed, "it asks what is there");
}

/// The files of the tree that would go up, as they are called below it.
fn planned(scene: &Scene, folder: &Path, path: &str, globs: &[&str]) -> Vec<String> {
    let mut command = panup(scene.local.path());
    command
        .args(["upload", "--dry-run", "--json"])
        .args(globs)
        .arg(path);
    let done = finish(command.current_dir(folder)).exit(0);
    let events = done.events().into_iter();
    let planned = events.filter(|event| event["event"] == "planned");
    planned
        .map(|event| event["remote"].as_str().expect("text").to_owned())
        .map(|remote| remote.strip_prefix("proj/").expect("below it").to_owned())
        .collect()
}

fn scene() -> Scene {
    let scene = Scene::new(Config::default());
    for name in ["code.c", "secret/key.pem", "src/secret/x"] {
        scene.file(&format!("proj/{name}"), 10);
    }
    scene
}
