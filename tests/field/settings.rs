//! Settings by environment and by file: every option's three ways, which of them wins, and what is said of
//! one that means nothing.

use std::path::Path;

use panup_emulator::Config;
use serde_json::{Value, json};

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, stored, upload};

#[test]
fn the_stronger_place_wins() {
    let scene = Scene::new(Config::default());
    let home = scene.local.path();
    configure(
        home,
        "retries = 1\n[upload]\nretries = 2\n[profile.a]\nretries = 3\n",
    );
    let retries = ("PANUP_RETRIES", "4");
    let rows: [Row; 8] = [
        (&[], &[], json!("2"), "file"),
        (&["--profile", "a"], &[], json!("3"), "profile"),
        (&[], &[("PANUP_PROFILE", "a")], json!("3"), "profile"),
        (&["--profile", "a"], &[retries], json!("4"), "environment"),
        (&[], &[("PANUP_RETRIES", " ")], json!("2"), "file"),
        (&["--config", "/dev/null"], &[], Value::Null, "default"),
        (
            &[],
            &[("PANUP_CONFIG", "/dev/null")],
            Value::Null,
            "default",
        ),
        (
            &["upload", "--retries", "5"],
            &[retries],
            json!("5"),
            "typed",
        ),
    ];
    for (typed, variables, value, origin) in &rows {
        let mut command = panup(home);
        command.args(["config", "--json"]).args(*typed);
        let done = finish(command.envs(variables.iter().copied())).exit(0);
        let shown = option(&done, "retries");
        assert_eq!(shown["value"], *value, "{typed:?} {shown}");
        assert_eq!(shown["origin"], *origin, "{typed:?} {shown}");
    }
}

/// Lists add up: an exclude in the file keeps out what a typed one does not name.
#[test]
fn lists_add_up() {
    let scene = Scene::new(Config::default());
    for name in ["d/a.txt", "d/b.tmp", "d/c.log", "d/e.key"] {
        scene.file(name, 10);
    }
    configure(scene.local.path(), "exclude = [\"*.tmp\"]\n");
    let mut command = upload(&scene);
    command
        .env("PANUP_EXCLUDE", "*.log\n")
        .args(["d", "--exclude", "*.key"]);
    finish(&mut command).exit(0);
    assert_eq!(stored(&scene.emulator), ["d/a.txt"]);
}

/// Flags, numbers and paths of the file; a list of files that is set needs no PATH.
#[test]
fn a_file_says_what_is_typed_otherwise() {
    let scene = Scene::new(Config::default());
    scene.file("one", 10);
    scene.file("two", 10);
    let folder = scene.path(".config/panup");
    configure(
        scene.local.path(),
        "quiet = true\nfiles-from = \"list\"\ndest = \"there\"\nsingle-max = 0\ntoken-file = \"token\"\nnewer-than = 2020-01-01\n",
    );
    std::fs::write(folder.join("list"), "one\n").expect("written");
    std::fs::write(folder.join("token"), scene.emulator.token()).expect("written");
    private(&folder.join("token"));
    let mut command = panup(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api()]);
    let done = finish(&mut command).exit(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
    assert_eq!(stored(&scene.emulator), ["there/one"]);
    // A flag that the file sets is unset by the environment.
    let mut command = panup(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api(), "two"]);
    let done = finish(command.env("PANUP_QUIET", "0")).exit(0);
    assert!(done.stdout.contains("uploaded"), "{done:?}");
}

/// What means nothing is named with where it stands, before anything starts.
#[test]
fn what_means_nothing_is_named_with_its_place() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let home = scene.local.path();
    for (text, words) in [
        (
            "\nlimit-rat = 1\n",
            "config.toml:2: \"limit-rat\" is no setting; did you mean limit-rate?",
        ),
        (
            "retries = \"x\"\n",
            "config.toml:1: retries cannot be \"x\": write a whole number",
        ),
        (
            "[profile.a]\nquite = true\n",
            "config.toml:2: \"quite\" is no setting; did you mean quiet?",
        ),
        (
            "on-conflict = \"maybe\"\n",
            "write one of fail, skip, keep-both, overwrite",
        ),
        ("quiet = 1\n", "config.toml:1: quiet: write true or false"),
        ("threads = 2\n", "write it below [hash]"),
        (
            "token = \"abc\"\n",
            "config.toml:1: a secret is not kept here: name a file by token-file",
        ),
        ("a = \n", "config.toml:1: "),
        (
            "retries = [1]\n",
            "config.toml:1: retries: it takes one value, no list",
        ),
        ("[uplod]\nretries = 1\n", "did you mean upload?"),
    ] {
        configure(home, text);
        let said = finish(upload(&scene).arg("f")).exit(2).stderr;
        assert!(
            said.contains(words) && !said.contains("abc"),
            "{text}: {said}"
        );
    }
    configure(home, "");
    for (name, value, words) in [
        (
            "PANUP_CONCURRENCY",
            "x",
            "PANUP_CONCURRENCY: concurrency cannot be \"x\": a number from 1, or auto",
        ),
        (
            "PANUP_QUIET",
            "maybe",
            "PANUP_QUIET: \"maybe\" is neither yes nor no",
        ),
        ("PANUP_VERBOSE", "much", "PANUP_VERBOSE"),
        ("PANUP_PROFILE", "work", "there is no [profile.work]"),
        ("PANUP_CONFIG", "missing.toml", "missing.toml"),
    ] {
        let said = finish(upload(&scene).env(name, value).arg("f"))
            .exit(2)
            .stderr;
        assert!(said.contains(words), "{name}: {said}");
    }
    assert!(scene.emulator.files().is_empty());
    let done = finish(upload(&scene).env("PANUP_CONCURENCY", "1").arg("f")).exit(0);
    assert!(
        done.stderr.contains("did you mean PANUP_CONCURRENCY?"),
        "{done:?}"
    );
}

/// A typed credential is stronger than any other; a variable is stronger than the file.
#[test]
fn the_stronger_credential_is_used() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    scene.file("good", 0);
    let good = scene.path("good");
    std::fs::write(&good, scene.emulator.token()).expect("written");
    private(&good);
    configure(scene.local.path(), "token-command = \"echo wrong\"\n");
    let run = |variables: &[(&str, &str)], typed: &[&str]| {
        let mut command = panup(scene.local.path());
        command.args(["upload", "--force", "--on-conflict=overwrite"]);
        command
            .args(["--api", &scene.emulator.api()])
            .args(typed)
            .arg("f");
        finish(command.envs(variables.iter().copied())).code
    };
    assert_eq!(run(&[], &[]), 3);
    assert_eq!(run(&[], &["--token-file", "good"]), 0);
    assert_eq!(
        run(&[("PANUP_TOKEN", "wrong")], &["--token-file", "good"]),
        0
    );
    assert_eq!(run(&[("PANUP_TOKEN_FILE", "good")], &[]), 0);
    assert_eq!(
        run(
            &[("PANUP_TOKEN_FILE", "good")],
            &["--token-command", "echo wrong"]
        ),
        3
    );
    assert_eq!(run(&[("PANUP_TOKEN", scene.emulator.token())], &[]), 0);
}

/// What is set for a real account does not disturb an emulator.
#[test]
fn an_emulator_heeds_no_account_of_the_file() {
    let scene = Scene::new(Config::default());
    scene.file("f", 10);
    let text = "api = \"https://elsewhere.invalid\"\ntoken-file = \"missing\"\nca-cert = [\"missing\"]\nparent-id = 4711\naccount = \"me\"\n";
    configure(scene.local.path(), text);
    let done = finish(panup(scene.local.path()).args(["upload", "--emulator", "f"])).exit(0);
    assert!(done.stdout.contains("uploaded"), "{done:?}");
    let mut command = panup(scene.local.path());
    let done = finish(command.env("PANUP_EMULATOR", "1").args(["upload", "f"])).exit(0);
    assert!(done.stdout.contains("the emulator"), "{done:?}");
}

/// Secrets are set or unset; nothing of them is printed.
#[test]
fn secrets_are_not_shown() {
    let scene = Scene::new(Config::default());
    let mut command = panup(scene.local.path());
    command.env("PANUP_TOKEN", "s3cret").arg("config");
    let done = finish(&mut command).exit(0);
    done.hides("s3cret");
    assert!(done.stdout.contains("PANUP_TOKEN"), "{done:?}");
    let usual = scene.path(".config/panup/config.toml");
    assert!(
        done.stdout
            .contains(&format!("{} (not there)", usual.display())),
        "{done:?}"
    );
    let shown = option(&finish(command.arg("--json")).exit(0), "credentials");
    assert_eq!(shown["value"], json!("set"));
}

/// A file that everybody can write could name a command to run.
#[test]
fn a_file_that_everybody_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(Config::default());
    configure(scene.local.path(), "quiet = true\n");
    let path = scene.path(".config/panup/config.toml");
    let mode = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&path, mode).expect("ours");
    let said = finish(panup(scene.local.path()).arg("config"))
        .exit(2)
        .stderr;
    assert!(said.contains("chmod 600"), "{said}");
}

/// What is typed, variables, the value and its origin.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Value, &'a str);

fn configure(home: &Path, text: &str) {
    let folder = home.join(".config/panup");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("config.toml"), text).expect("written");
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("ours");
}

/// An option's line of `panup config --json`; null where there is none.
fn option(done: &Finished, name: &str) -> Value {
    let found = done
        .events()
        .into_iter()
        .find(|event| event["name"] == name);
    found.unwrap_or(Value::Null)
}
