//! Several processes at one journal, and one that is killed while it writes.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::*;

#[test]
fn several_processes_share_one_journal() {
    let dir = tempdir().unwrap();
    // Nobody has made the database yet: they also race for that.
    let children: Vec<Child> = (0..4).map(|number| child("share", &dir, number)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 4,
            finished: 200,
            hashed: 200
        }
    );
    assert!(
        journal
            .unfinished()
            .unwrap()
            .iter()
            .all(|row| row.acked == 50)
    );
    assert_eq!(journal.next_warning(), None);
}

/// Where the first opens a database and the last closes it SQLite refuses the others without waiting.
#[test]
fn who_opens_a_journal_while_others_open_and_close_it_has_one() {
    for _ in 0..10 {
        let dir = tempdir().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        Journal::open(dir.path()).unwrap().flush().unwrap();
                    }
                });
            }
        });
    }
}

#[test]
fn several_threads_share_one_handle() {
    let (_dir, journal) = scratch();
    thread::scope(|scope| {
        for number in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || share(&journal, number));
        }
    });
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 4,
            finished: 200,
            hashed: 200
        }
    );
}

/// Killed at any moment, what was flushed is there, and nothing else than what was posted.
#[test]
fn a_killed_process_loses_nothing_that_was_flushed() {
    let dir = tempdir().unwrap();
    let mut known = 0;
    for round in 0..10 {
        let mut child = child("until killed", &dir, round);
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        let flushed = told
            .filter_map(|line| line.unwrap().strip_prefix("flushed ")?.parse::<u32>().ok())
            .nth(round)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.next_warning(), None);
        let upload = begun(&journal, &task("a.bin"), &MD5).unwrap();
        let acked = (1..=1001).filter(|&slice| upload.acked.has(slice)).count() as u32;
        assert!(
            (1..=acked).all(|slice| upload.acked.has(slice)),
            "in order, so without a gap"
        );
        assert!(
            acked >= flushed && acked >= known,
            "{acked} of {flushed}, {known} before"
        );
        known = acked;
        drop(journal);
        let sound: String = Connection::open(dir.path().join("journal.db"))
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
    }
    assert!(known >= 10);
}

/// A file may not grow beyond 128 KiB in the child, as on a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_is_a_warning_and_not_a_stop() {
    let dir = tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(CHILD)
        .env(WHAT, "fill")
        .env(FOLDER, dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(
        journal.next_warning(),
        None,
        "a disk with room again is no trouble"
    );
    let kept = journal.counts().unwrap().finished;
    assert!(
        (1..5000).contains(&kept),
        "{kept} files of 5,000 before it was full"
    );
}

fn share(journal: &Journal, number: usize) {
    for file in 0..50 {
        journal.finish(&task(&format!("{number}-{file}")), MD5, Some(1));
    }
    let id = journal.begin(&task(&format!("{number}-open")), MD5, &created());
    for slice in 1..=50 {
        journal.ack(id, Ack::new(slice));
        if slice % 10 == 0 {
            journal.flush().unwrap();
        }
    }
}

fn ack_until_killed(journal: &Journal) {
    let task = task("a.bin");
    let id = begun(journal, &task, &MD5)
        .map_or_else(|| journal.begin(&task, MD5, &created()), |upload| upload.id);
    journal.flush().unwrap();
    for slice in 1.. {
        journal.ack(id, Ack::new(slice));
        if slice % 3 == 0 {
            journal.flush().unwrap();
            say(&format!("flushed {}", slice.min(1001)));
        }
    }
}

fn fill(journal: &Journal) {
    let known = task("known");
    journal.remember(&known.path, &known.identity, whole(MD5));
    journal.flush().unwrap();
    for number in 0..5000 {
        journal.finish(&task(&number.to_string()), MD5, Some(number));
        if number % 100 == 0 {
            let _ = journal.flush();
        }
    }
    let error = journal.flush().unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert_eq!(journal.next_warning(), Some(error));
    assert_eq!(journal.next_warning(), None);
    assert!(
        journal.hashes(&known.path, &known.identity).is_some(),
        "reading goes on"
    );
}

#[test]
#[ignore = "runs in the child processes of the tests above"]
fn in_a_child() {
    let (Ok(what), Some(folder)) = (env::var(WHAT), env::var_os(FOLDER)) else {
        return;
    };
    let journal = Journal::open(Path::new(&folder)).unwrap();
    match what.split_once(' ').unwrap_or((&what, "")) {
        ("share", number) => share(&journal, number.parse().unwrap()),
        ("until", _) => ack_until_killed(&journal),
        ("fill", _) => fill(&journal),
        _ => unreachable!("{what}"),
    }
}

fn child(what: &str, dir: &TempDir, number: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(CHILD)
        .env(
            WHAT,
            if what == "share" {
                format!("share {number}")
            } else {
                what.into()
            },
        )
        .env(FOLDER, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// To the parent, at once: the test harness writes to the same pipe.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

const CHILD: [&str; 4] = [
    "--exact",
    "journal::tests::processes::in_a_child",
    "--ignored",
    "--nocapture",
];
const WHAT: &str = "PANUP_TEST_JOURNAL";
const FOLDER: &str = "PANUP_TEST_FOLDER";
