//! One upload on many machines: plans, shards, merged reports.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use panup_emulator::{Operation, Tls};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::program::{Finished, QUICK, finish, local, not_there, plain, stored, upload};
use crate::common::{Scene, folder};

/// Eight processes as each scheduler starts them: every file goes up once, and the reports make the whole.
#[test]
fn schedulers_start_shards_that_are_disjoint_and_complete() {
    let slurm = |number: usize| {
        vec![
            ("SLURM_ARRAY_TASK_ID", (number + 4).to_string()),
            ("SLURM_ARRAY_TASK_MIN", "4".to_owned()),
            ("SLURM_ARRAY_TASK_MAX", "11".to_owned()),
            ("SLURM_ARRAY_TASK_COUNT", "8".to_owned()),
        ]
    };
    let kubernetes = |number: usize| {
        vec![
            ("JOB_COMPLETION_INDEX", number.to_string()),
            ("PANUP_SHARDS", "8".to_owned()),
        ]
    };
    let batch = |number: usize| {
        vec![
            ("AWS_BATCH_JOB_ARRAY_INDEX", number.to_string()),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "8".to_owned()),
        ]
    };
    let own = |number: usize| vec![("PANUP_SHARD", format!("{}/8", number + 1))];
    let kinds: [&dyn Fn(usize) -> Vec<(&'static str, String)>; 4] =
        [&kubernetes, &slurm, &batch, &own];
    for (number, kind) in kinds.into_iter().enumerate() {
        let scene = tree(60);
        let plan = ["-o", "plan", "--shards", "8", "tree"];
        finish(&mut planner(&scene, &plan)).exit(0);
        // Half of them without a plan.
        let files: &[&str] = match number % 2 {
            0 => &["--plan", "plan"],
            _ => &["tree"],
        };
        let homes = machines(&scene, files, kind);
        assert_eq!(stored(&scene.emulator).len(), 60);
        let made = scene.calls(Operation::Single).1;
        assert_eq!(made, 60, "no file is sent twice");
        let reports: Vec<PathBuf> = homes
            .iter()
            .map(|home| home.path().join("report"))
            .collect();
        let mut merge = crate::common::program::panup(scene.local.path());
        merge.args(["merge", "--plan", "plan"]).args(&reports);
        let merged = finish(&mut merge).exit(0);
        let (lines, summary) = merged.report();
        assert_eq!(lines.len(), 60);
        assert_eq!(summary["uploaded"], 60, "{summary}");
        assert_eq!(summary["overlapping"], 0, "{summary}");
        merge.arg("--out").arg("merged");
        finish(&mut merge).exit(0);
        let mut partial = crate::common::program::panup(scene.local.path());
        partial
            .args(["merge", "--plan", "plan"])
            .args(&reports[..7]);
        let partial = finish(&mut partial).exit(1);
        let missing = partial.report().1["missing"].as_u64();
        assert!(missing.is_some_and(|missing| missing > 0), "{partial:?}");
    }
}

#[test]
fn a_plan_is_whole_and_of_the_same_options_or_it_is_refused() {
    let scene = tree(12);
    finish(&mut planner(
        &scene,
        &["-o", "plan", "--shards", "3", "tree"],
    ))
    .exit(0);
    let whole = fs::read_to_string(scene.path("plan")).expect("written");
    let refused = |text: &str, more: &[&str], words: &str| {
        fs::write(scene.path("other"), text).expect("room");
        let done = finish(upload(&scene).args(["--plan", "other"]).args(more)).exit(2);
        assert!(done.stderr.contains(words), "{words}: {done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    };
    let last = whole.trim_end().rfind('\n').expect("lines") + 1;
    refused(&whole[..last], &[], "its last line is missing");
    refused(&whole[..last / 2], &[], "its last line is missing");
    refused(
        &whole[..whole.len() - 9],
        &[],
        "cut off within its last line",
    );
    refused(&whole.replace("tree/1\"", "tree/2\""), &[], "was edited");
    refused(
        &whole.replacen("\"shard\":1", "\"shard\":2", 1),
        &[],
        "was edited",
    );
    refused(&format!("{whole}{{}}\n"), &[], "was edited");
    refused(
        &whole.replacen("\"schema\":1", "\"schema\":2", 1),
        &[],
        "schema 2",
    );
    refused("tree/1\n", &[], "no plan");
    refused("", &[], "no plan");
    refused(
        &whole,
        &["--on-conflict", "skip"],
        "--on-conflict fail, and now --on-conflict skip",
    );
    refused(&whole, &["--dest", "d"], "no --dest, and now --dest d");
    refused(&whole, &["--shard", "1/4"], "the plan has 3 shards");
    assert!(scene.emulator.stats().calls.is_empty(), "before any call");
    finish(upload(&scene).args(["--plan", "plan"])).exit(0);
    assert_eq!(stored(&scene.emulator).len(), 12);
}

#[test]
fn planned_files_that_are_gone_or_changed_fail_and_the_others_go_up() {
    let scene = tree(6);
    finish(&mut planner(&scene, &["-o", "plan", "tree"])).exit(0);
    fs::remove_file(scene.path("tree/1")).expect("there");
    fs::write(
        scene.path("tree/2"),
        "longer than it was, in any case, by far and for all",
    )
    .expect("room");
    let touched = File::options().write(true).open(scene.path("tree/3"));
    let moved = SystemTime::now() - Duration::from_secs(7200);
    touched
        .and_then(|file| file.set_modified(moved))
        .expect("ours");
    fs::rename(scene.path("tree/4"), scene.path("aside")).expect("there");
    // On Windows not everybody may make a link: there it is just gone.
    #[cfg(unix)]
    std::os::unix::fs::symlink("../aside", scene.path("tree/4")).expect("a link");
    let gone = not_there();
    let link = if cfg!(windows) {
        &gone
    } else {
        "symbolic link now"
    };
    let done = finish(upload(&scene).args(["--plan", "plan", "--json"])).exit(1);
    let errors: BTreeMap<String, String> = done
        .report()
        .0
        .iter()
        .filter(|line| line["status"] == "failed")
        .map(|line| (text(line, "path"), text(&line["error"], "message")))
        .collect();
    for (path, words) in [
        ("tree/1", gone.as_str()),
        ("tree/2", "bytes and has"),
        ("tree/3", "modified since"),
        ("tree/4", link),
    ] {
        assert!(errors[&local(path)].contains(words), "{errors:?}");
    }
    assert_eq!(stored(&scene.emulator), ["tree/0", "tree/5"]);
    // The same files elsewhere.
    fs::rename(scene.path("tree"), scene.path("moved")).expect("there");
    let rebased = [
        "--plan",
        "plan",
        "--rebase",
        "tree=moved",
        "--force",
        "--on-conflict",
        "fail",
    ];
    let done = finish(upload(&scene).args(rebased).arg("--json")).exit(1);
    let skipped = done.report().0;
    let skipped = skipped.iter().filter(|line| line["status"] == "skipped");
    assert_eq!(skipped.count(), 2, "{done:?}");
}

/// What cannot be sent fails once, in the shard that has it. Windows has no such name.
#[cfg(unix)]
#[test]
fn what_a_plan_refuses_is_told_by_one_shard() {
    let scene = tree(9);
    scene.file("other/tree/1", 7);
    scene.file("tree/a:b", 7);
    let paths = ["tree", "other/tree/", "tree/1"];
    let planned = ["-o", "plan", "--shards", "3", "--dest", "tree"];
    finish(planner(&scene, &planned).args(["tree/", "other/tree/", "tree/1"])).exit(4);
    let mut failed = std::collections::BTreeSet::new();
    let mut files = 0;
    for shard in ["1/3", "2/3", "3/3"] {
        let mut run = upload(&scene);
        run.args(["--plan", "plan", "--shard", shard, "--json"]);
        let (lines, summary) = finish(&mut run).report();
        files += summary["files"].as_u64().expect("a count");
        for line in lines.iter().filter(|line| line["status"] == "failed") {
            assert!(failed.insert(text(line, "path")), "{line}");
        }
    }
    let expected = ["other/tree/1", "tree/a:b"].map(str::to_owned);
    assert_eq!(failed, expected.into(), "{paths:?}");
    // The file that was typed twice is one with itself.
    assert_eq!(files, 12);
    assert_eq!(stored(&scene.emulator).len(), 9);
}

#[test]
fn rates_are_divided_by_the_workers() {
    let scene = tree(4);
    let rated = ["--limit-rate", "40M", "--shard", "1/8", "--dry-run", "tree"];
    let by_shards = finish(upload(&scene).args(rated)).exit(0).stderr;
    assert!(
        by_shards.contains("--limit-rate 40.00 MiB/s is 5.00 MiB/s"),
        "{by_shards}"
    );
    assert!(by_shards.contains("create=10000 is 1250"), "{by_shards}");
    assert!(by_shards.contains("one for each shard"), "{by_shards}");
    let by_workers = finish(upload(&scene).args(rated).args(["--workers", "2"]))
        .exit(0)
        .stderr;
    assert!(by_workers.contains("MiB/s is 20.00 MiB/s"), "{by_workers}");
    let few = ["--limit-rate", "2M", "--shard", "1/16", "tree"];
    let few = finish(upload(&scene).args(few)).exit(2).stderr;
    assert!(
        few.contains("divided by 16") && few.contains("50 s"),
        "{few}"
    );
}

/// Two runs that took one shard, a run that was killed, a file that was made good later.
#[test]
fn a_merged_report_has_the_last_word_on_each_file() {
    let scene = tree(0);
    let line = |path: &str, status: &str, at: u64| {
        format!(
            "{{\"event\":\"file\",\"path\":\"{path}\",\"remote\":\"d/{path}\",\"status\":\"{status}\",\"file_id\":null,\"md5\":null,\"size\":3,\"sent\":3,\"seconds\":0.0,\"at\":{at},\"error\":{{\"kind\":\"source\",\"message\":\"x\",\"call\":\"read\",\"code\":null,\"http_status\":null,\"slice\":null,\"trace_id\":null,\"final\":{}}}}}\n",
            status == "failed" && path.starts_with("bad")
        )
    };
    let merge = |reports: &[String], code: i32| {
        let names = reports.iter().enumerate().map(|(number, report)| {
            let name = format!("r{number}");
            fs::write(scene.path(&name), report).expect("room");
            name
        });
        let mut merge = crate::common::program::panup(scene.local.path());
        finish(merge.arg("merge").args(names)).exit(code)
    };
    let first = line("a", "failed", 5) + &line("b", "uploaded", 6) + "{\"event\":\"file\",\"pa";
    let second = line("a", "uploaded", 9) + &line("b", "uploaded", 4);
    let done = merge(&[first.clone(), second.clone()], 0);
    let (lines, summary) = done.report();
    assert_eq!(lines.len(), 2, "{done:?}");
    assert_eq!(
        (&summary["doubled"], &summary["overlapping"]),
        (&1.into(), &2.into())
    );
    assert_eq!(
        summary["sent"], 12,
        "what was sent twice was sent: {summary}"
    );
    for words in ["r0: line 3 ends within an object", "\"d/b\"", "one number"] {
        assert!(done.stderr.contains(words), "{words} {done:?}");
    }
    // The order in which they are named does not matter.
    assert_eq!(merge(&[second, first], 0).report().0.len(), 2);
    let mixed = [line("bad", "failed", 1) + &line("c", "interrupted", 1)];
    assert_eq!(merge(&mixed, 1).report().1["interrupted"], 1);
    merge(&[line("bad", "failed", 1) + &line("c", "skipped", 1)], 4);
    let mut none = crate::common::program::panup(scene.local.path());
    finish(none.args(["merge", "not there"])).exit(2);
}

/// A run goes on with the report of one that was killed.
#[test]
fn a_report_that_ends_within_a_line_is_gone_on_with() {
    let scene = tree(3);
    let mut report = File::create(scene.path("r")).expect("made");
    report.write_all(b"{\"event\":\"fi").expect("room");
    finish(upload(&scene).args(["--report", "r", "tree"])).exit(0);
    let mut merge = crate::common::program::panup(scene.local.path());
    let merged = finish(merge.args(["merge", "r"])).exit(0);
    assert_eq!(merged.report().0.len(), 3, "{merged:?}");
}

/// The same files are one upload or its parts.
#[test]
fn a_split_file_is_one_in_a_plan() {
    let scene = tree(2);
    scene.file("tree/big", 3_000_000);
    finish(planner(&scene, &["-o", "plan", "--split", "1M"]).arg("tree")).exit(0);
    let plan = fs::read_to_string(scene.path("plan")).expect("written");
    assert_eq!(plan.lines().count(), 5, "{plan}");
    let plain = finish(upload(&scene).args(["--plan", "plan"])).exit(2);
    assert!(
        plain.stderr.contains("--split 1048576, and now no --split"),
        "{plain:?}"
    );
    let args = ["--plan", "plan", "--split", "1M", "--report", "r"];
    finish(upload(&scene).args(args)).exit(0);
    assert_eq!(stored(&scene.emulator).len(), 6);
    let mut merge = crate::common::program::panup(scene.local.path());
    finish(merge.args(["merge", "r", "--plan", "plan"])).exit(0);
}

#[test]
fn an_analysis_tells_sizes_and_what_would_suit_them() {
    let scene = tree(30);
    scene.file("tree/big", 5_000_000);
    let told = finish(planner(&scene, &["--analyze"]).arg("tree"))
        .exit(0)
        .stdout;
    for words in [
        "to 4 KiB",
        "to 16 MiB",
        "calls: 30 single, 1 create",
        "shards: --shards",
        "single-max: ",
    ] {
        assert!(told.contains(words), "{words} {told}");
    }
}

/// Eight machines at once, each with a home of its own.
fn machines(
    scene: &Scene,
    files: &[&str],
    kind: &dyn Fn(usize) -> Vec<(&'static str, String)>,
) -> Vec<TempDir> {
    let start = |number: usize| {
        let home = folder();
        let mut command = plain(home.path());
        command.current_dir(scene.local.path());
        command.args(["upload", "--api", &scene.emulator.api(), "--shard", "auto"]);
        // Eight share what is given.
        command
            .args(QUICK)
            .args(["--report"])
            .arg(home.path().join("report"));
        command.args(files).envs(kind(number));
        command.env("PANUP_TOKEN", scene.emulator.token());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (home, command.spawn().expect("a process"))
    };
    let started: Vec<_> = (0..8).map(start).collect();
    let ended = started
        .into_iter()
        .enumerate()
        .map(|(number, (home, process))| {
            let done = Finished::from(process.wait_with_output().expect("it ends")).exit(0);
            let chosen = format!("shard {}/8", number + 1);
            assert!(done.stderr.contains(&chosen), "{done:?}");
            home
        });
    ended.collect()
}

fn planner(scene: &Scene, args: &[&str]) -> assert_cmd::Command {
    let mut command = crate::common::program::panup(scene.local.path());
    command.args(["plan", "--api", &scene.emulator.api(), "--look", "never"]);
    command
        .args(args)
        .env("PANUP_TOKEN", scene.emulator.token());
    command
}

fn text(line: &Value, name: &str) -> String {
    line[name].as_str().unwrap_or_default().to_owned()
}

/// So many small files.
fn tree(files: usize) -> Scene {
    let scene = Scene::small_with(Tls::Off, |_| {});
    for number in 0..files {
        let path: &Path = &scene.path(&format!("tree/{number}"));
        crate::common::make(path, 100 + number as u64, number as u8);
    }
    scene
}
