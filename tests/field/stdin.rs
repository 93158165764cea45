//! `panup upload -`: standard input, whole or in parts, byte for byte; what makes no sense is refused
//! before a byte is read, and nothing of it stays on the disk, whatever ends the run.

use std::fs;

use crate::common::program::{finish, panup, upload};
use crate::common::{Scene, noise};

const MIB: usize = 1 << 20;

/// A scene with an empty folder for the spool.
fn scene() -> Scene {
    let scene = Scene::small();
    fs::create_dir(scene.path("spool")).expect("made");
    scene
}

fn args(more: &[&'static str]) -> Vec<&'static str> {
    [&["--state-dir", "state", "--spool-dir", "spool"], more].concat()
}

/// The bytes that are stored under `remote`.
fn stored(scene: &Scene, remote: &str) -> Vec<u8> {
    fs::read(scene.stored(remote).local.expect("it is kept")).expect("readable")
}

fn spooled(scene: &Scene) -> usize {
    fs::read_dir(scene.path("spool")).expect("there").count()
}

#[test]
fn a_stream_arrives_byte_for_byte_and_is_known_the_next_time() {
    let scene = scene();
    for (size, remote) in [(1, "one"), (100, "x/y.tar"), (5 * MIB + 1, "x/大.bin")] {
        let bytes = noise(size as u64, size as u64);
        let run = || {
            let mut command = upload(&scene);
            let command = command.args(args(&["--json", "-", "--as", remote]));
            finish(command.write_stdin(bytes.clone())).exit(0)
        };
        let (files, _) = run().report();
        assert_eq!(files[0]["status"], "uploaded", "{files:?}");
        assert_eq!(
            (&files[0]["path"], &files[0]["size"]),
            (&"-".into(), &size.into())
        );
        assert_eq!(stored(&scene, remote), bytes);
        let (files, summary) = run().report();
        assert_eq!(files[0]["status"], "skipped", "{files:?}");
        assert_eq!(summary["sent"], 0);
    }
    assert_eq!(spooled(&scene), 0);
}

#[test]
fn a_stream_that_is_split_is_a_file_that_was_split() {
    let scene = scene();
    let bytes = noise(3 * MIB as u64 + 1, 1);
    let run = |bytes: &[u8], remote: &'static str| {
        let mut command = upload(&scene);
        let command = command.args(args(&["--json", "--dest", "d", "--split", "1M", "-"]));
        finish(command.args(["--as", remote]).write_stdin(bytes))
    };
    let (files, summary) = run(&bytes, "x/s").exit(0).report();
    assert_eq!(summary["uploaded"], 5, "{files:?}");
    let parts = (1..=4).flat_map(|number| stored(&scene, &format!("d/x/s.00{number}")));
    assert!(parts.eq(bytes.iter().copied()), "the parts are the stream");
    // As a user would: in one folder, with md5sum's list.
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["s.001", "s.002", "s.003", "s.004", "s.md5"] {
        let part = stored(&scene, &format!("d/x/{name}"));
        fs::write(folder.path().join(name), part).expect("written");
    }
    fs::write(folder.path().join("s"), &bytes).expect("written");
    let checked = finish(panup(folder.path()).args(["hash", "-c", "s.md5"])).exit(0);
    assert_eq!(checked.stdout.lines().count(), 5, "{checked:?}");
    let (_, summary) = run(&bytes, "x/s").exit(0).report();
    assert_eq!(
        (&summary["skipped"], &summary["sent"]),
        (&5.into(), &0.into())
    );
    // What is one part is no split file; a whole number of parts has no empty last one.
    run(&bytes[..MIB], "one").exit(0);
    assert_eq!(stored(&scene, "d/one"), &bytes[..MIB]);
    let (_, summary) = run(&bytes[..2 * MIB], "two").exit(0).report();
    assert_eq!(summary["uploaded"], 3);
    assert_eq!(spooled(&scene), 0);
}

#[test]
fn a_stream_that_is_none_is_told() {
    let scene = scene();
    let run = |more: &[&'static str]| {
        let mut command = upload(&scene);
        finish(command.args(args(more)).write_stdin("bytes"))
    };
    fs::write(scene.path("f"), "f").expect("written");
    for (more, why) in [
        (&["-"][..], "say --as NAME"),
        (&["-", "f", "--as", "n"], "goes alone"),
        (&["-", "--as", "n", "--dry-run"], "only once"),
        (&["-", "--as", "n", "--shard", "1/2"], "--shard"),
        (&["-", "--as", "n/"], "no file's name"),
        (&["-", "--as", "../n"], "do not go up"),
        (&["-", "--as", "a:b"], "forbidden character"),
    ] {
        let refused = run(more).exit(2);
        assert!(refused.stderr.contains(why), "{more:?}: {refused:?}");
    }
    let mut command = upload(&scene);
    command.args(args(&["-", "--as", "n", "--json"]));
    let (files, _) = finish(command.write_stdin("")).exit(4).report();
    let said = files[0]["error"]["message"].to_string();
    assert!(said.contains("standard input has no bytes"), "{said}");
    let mut command = upload(&scene);
    command.args(args(&["-", "--as", "n", "--empty", "skip"]));
    finish(command.write_stdin("")).exit(0);
    let missing = ["-", "--as", "n", "--spool-dir", "none"];
    let mut command = upload(&scene);
    let failed = finish(command.args(missing).write_stdin("x")).exit(1);
    assert!(
        failed.stderr.contains("no temporary file in none")
            && failed.stderr.contains("--spool-dir"),
        "{failed:?}"
    );
    let mut command = panup(scene.local.path());
    command.args(["verify", "--emulator", "-"]);
    finish(&mut command).exit(2);
    assert_eq!(scene.emulator.files().len(), 0);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_spool_and_no_part_of_a_file() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    use crate::common::program::{plain, wait_until};

    for (split, parts) in [(None, 0), (Some("1M"), 2)] {
        let scene = scene();
        let mut command = plain(scene.local.path());
        command.args(["upload", "--api", &scene.emulator.api(), "--json"]);
        command.args(args(&["-", "--as", "n", "--no-progress"]));
        command.args(split.iter().flat_map(|size| ["--split", size]));
        command.env("PANUP_TOKEN", scene.emulator.token());
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("it says so");
        assert!(line.contains("temporary file in spool"), "{line}");
        let mut stdin = child.stdin.take().expect("piped");
        stdin
            .write_all(&noise(2 * MIB as u64 + 100, 1))
            .expect("read");
        let mut results = BufReader::new(child.stdout.take().expect("piped"));
        let mut told = String::new();
        while told.matches("\"uploaded\",").count() < parts {
            results.read_line(&mut told).expect("readable");
        }
        // Where a file system has no nameless files, each loses its name a moment after it is made.
        wait_until(|| spooled(&scene) == 0);
        let id = i32::try_from(child.id()).expect("an id");
        let id = Pid::from_raw(id).expect("not 0");
        kill_process(id, Signal::INT).expect("it runs");
        results.read_to_string(&mut told).expect("readable");
        assert_eq!(child.wait().expect("ours").code(), Some(130), "{told}");
        drop(stdin);
        assert!(told.contains("\"interrupted\":1"), "{told}");
        assert_eq!(scene.emulator.files().len(), parts, "{told}");
        assert_eq!(spooled(&scene), 0);
    }
}
