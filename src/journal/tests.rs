//! What the journal remembers, for whom, and what it costs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::error::Kind;
use crate::plan::Acked;
use crate::wire::{Conflict, Remote};

mod damage;
mod garbage;
mod processes;

#[test]
fn an_upload_goes_on_in_the_next_run() {
    let dir = tempdir().unwrap();
    let task = task("a.bin");
    let id = {
        let journal = Journal::open(dir.path()).unwrap();
        let id = journal.begin(&task, MD5, &created());
        for slice in [1, 9, 10, 100] {
            journal.ack(id, Ack::new(slice));
        }
        id
    };
    let journal = Journal::open(dir.path()).unwrap();
    let upload = journal.resume(&task, &MD5).unwrap();
    assert_eq!((upload.id, &upload.created), (id, &created()));
    let acked: Vec<u32> = (1..=200).filter(|&slice| upload.acked.has(slice)).collect();
    assert_eq!(acked, [1, 9, 10, 100]);
    assert_eq!(journal.trouble(), None);
}

#[test]
fn an_upload_is_of_one_file_to_one_place_for_one_account() {
    let (_dir, journal) = scratch();
    let base = task("a.bin");
    journal.begin(&base, MD5, &created());
    journal.flush().unwrap();
    assert!(journal.resume(&base, &MD5).is_some());
    assert!(journal.resume(&base, &[0; 16]).is_none());
    for (what, other) in others(&base) {
        assert!(journal.resume(&other, &MD5).is_none(), "{what}");
    }
}

#[test]
fn a_finished_file_is_of_one_file_to_one_place_for_one_account() {
    let (_dir, journal) = scratch();
    let base = task("a.bin");
    journal.finish(&base, MD5, 42);
    journal.flush().unwrap();
    let finished = journal.finished(&base).unwrap();
    assert_eq!((finished.md5, finished.file_id), (MD5, 42));
    for (what, other) in others(&base) {
        let matters = what != "conflict";
        assert_eq!(journal.finished(&other).is_none(), matters, "{what}");
    }
}

#[test]
fn acks_count_only_for_slices_that_the_file_has() {
    let (_dir, journal) = scratch();
    let task = task("a.bin"); // 1,000 slices of 16, one of 1
    let id = journal.begin(&task, MD5, &created());
    for slice in [0, 1, 1001, 1002, 4096, u32::MAX] {
        journal.ack(id, Ack::new(slice));
    }
    journal.ack(UploadId(77), Ack::new(3));
    journal.flush().unwrap();
    let mut expected = Acked::default();
    [1, 1001].into_iter().for_each(|slice| expected.set(slice));
    assert_eq!(journal.resume(&task, &MD5).unwrap().acked, expected);
    let status = &journal.unfinished().unwrap()[0];
    assert_eq!((status.acked, status.slices), (2, 1001));
}

#[test]
fn acks_of_two_runs_add_up() {
    let (dir, journal) = scratch();
    let other = Journal::open(dir.path()).unwrap();
    let task = task("a.bin");
    let id = journal.begin(&task, MD5, &created());
    journal.flush().unwrap();
    journal.ack(id, Ack::new(1));
    other.ack(id, Ack::new(2));
    journal.flush().unwrap();
    other.flush().unwrap();
    journal.ack(id, Ack::new(3));
    journal.flush().unwrap();
    assert_eq!(other.unfinished().unwrap()[0].acked, 3);
}

#[test]
fn a_second_begin_takes_the_place_of_the_first() {
    let (_dir, journal) = scratch();
    let (old, new) = (task("a.bin"), edited(&task("a.bin")));
    let first = journal.begin(&old, MD5, &created());
    let second = journal.begin(&new, [2; 16], &created());
    journal.ack(first, Ack::new(1));
    journal.flush().unwrap();
    assert!(journal.resume(&old, &MD5).is_none());
    assert_eq!(journal.resume(&new, &[2; 16]).unwrap().id, second);
    assert_eq!(journal.unfinished().unwrap().len(), 1);
}

#[test]
fn an_upload_ends_by_abandon_and_by_finish() {
    let (_dir, journal) = scratch();
    let (left, done, open) = (task("left"), task("done"), task("open"));
    let id = journal.begin(&left, MD5, &created());
    journal.begin(&done, MD5, &created());
    journal.begin(&open, MD5, &created());
    journal.abandon(id);
    journal.finish(&done, MD5, 7);
    journal.flush().unwrap();
    let paths: Vec<PathBuf> = journal
        .unfinished()
        .unwrap()
        .into_iter()
        .map(|row| row.path)
        .collect();
    assert_eq!(paths, [open.path]);
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 1,
            finished: 1,
            hashed: 1
        }
    );
}

#[test]
fn hashes_are_of_one_identity() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    let hashes = Hashes {
        whole: MD5,
        slices: Some(slices(16, 1001)),
    };
    journal.remember(&task.path, &task.identity, hashes.clone());
    journal.flush().unwrap();
    assert_eq!(journal.hashes(&task.path, &task.identity), Some(hashes));
    assert_eq!(journal.hashes(&task.path, &edited(&task).identity), None);
    assert_eq!(
        journal.hashes(Path::new("/data/b.bin"), &task.identity),
        None
    );
}

#[test]
fn slice_hashes_stay_while_the_file_does() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    let whole = |whole| Hashes {
        whole,
        slices: None,
    };
    let sliced = Hashes {
        whole: MD5,
        slices: Some(slices(16, 1001)),
    };
    journal.remember(&task.path, &task.identity, sliced.clone());
    journal.remember(&task.path, &task.identity, whole(MD5));
    journal.finish(&task, MD5, 1);
    journal.flush().unwrap();
    assert_eq!(journal.hashes(&task.path, &task.identity), Some(sliced));
    let edited = edited(&task);
    journal.remember(&task.path, &edited.identity, whole([2; 16]));
    journal.flush().unwrap();
    assert_eq!(
        journal.hashes(&task.path, &edited.identity),
        Some(whole([2; 16]))
    );
    assert_eq!(journal.hashes(&task.path, &task.identity), None);
    assert_eq!(journal.counts().unwrap().hashed, 1);
}

#[test]
fn slice_hashes_that_do_not_make_the_file_are_not_given_out() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    for wrong in [0, 1000, 1002] {
        let hashes = Hashes {
            whole: MD5,
            slices: Some(slices(16, wrong)),
        };
        journal.remember(&task.path, &task.identity, hashes);
        journal.flush().unwrap();
        let known = journal.hashes(&task.path, &task.identity).unwrap();
        assert_eq!(
            known,
            Hashes {
                whole: MD5,
                slices: None
            }
        );
    }
}

#[test]
fn a_file_displaced_by_another_is_not_skipped() {
    let (_dir, journal) = scratch();
    let first = Task {
        conflict: Conflict::Overwrite,
        ..task("one")
    };
    let second = Task {
        path: "/data/two".into(),
        ..first.clone()
    };
    journal.finish(&first, MD5, 1);
    journal.finish(&second, [2; 16], 2);
    journal.flush().unwrap();
    assert!(journal.finished(&first).is_none());
    assert_eq!(journal.finished(&second).unwrap().file_id, 2);
}

#[test]
fn files_of_one_name_that_are_both_kept_are_both_known() {
    let (_dir, journal) = scratch();
    let first = Task {
        conflict: Conflict::KeepBoth,
        ..task("one")
    };
    let second = Task {
        path: "/data/two".into(),
        ..first.clone()
    };
    journal.finish(&first, MD5, 1);
    journal.finish(&second, [2; 16], 2);
    journal.finish(&first, MD5, 3); // sent again by force
    journal.flush().unwrap();
    assert_eq!(journal.finished(&first).unwrap().file_id, 3);
    assert_eq!(journal.finished(&second).unwrap().file_id, 2);
    assert_eq!(journal.counts().unwrap().finished, 2);
}

#[test]
fn one_file_to_two_places_is_known_at_both() {
    let (_dir, journal) = scratch();
    let here = task("a.bin");
    let there = Task {
        remote: Remote::new(0, "b/a.bin").unwrap(),
        ..here.clone()
    };
    journal.finish(&here, MD5, 1);
    journal.finish(&there, MD5, 2);
    journal.flush().unwrap();
    assert_eq!(journal.finished(&here).unwrap().file_id, 1);
    assert_eq!(journal.finished(&there).unwrap().file_id, 2);
    // Known content of the file changed: neither counts, whatever the identity says.
    journal.remember(
        &here.path,
        &here.identity,
        Hashes {
            whole: [3; 16],
            slices: None,
        },
    );
    journal.flush().unwrap();
    assert!(journal.finished(&here).is_none() && journal.finished(&there).is_none());
}

#[test]
fn status_tells_what_there_is() {
    let (_dir, journal) = scratch();
    let (big, small) = (task("big"), task("small"));
    let id = journal.begin(&big, MD5, &created());
    journal.ack(id, Ack::new(5));
    journal.finish(&small, MD5, 9);
    journal.flush().unwrap();
    let open = &journal.unfinished().unwrap()[0];
    assert_eq!(
        (open.id, &open.account, &open.path),
        (id, &*big.account, &big.path)
    );
    assert_eq!(
        (open.parent, open.remote.as_str()),
        (big.remote.parent(), big.remote.path())
    );
    assert_eq!((open.size, open.slices, open.acked), (16_001, 1001, 1));
    let done = &journal.finished_files(10).unwrap()[0];
    assert_eq!((&done.account, &done.path), (&*small.account, &small.path));
    assert_eq!(
        (done.parent, done.remote.as_str()),
        (small.remote.parent(), small.remote.path())
    );
    assert_eq!(
        (done.size, done.finished.file_id, done.finished.md5),
        (16_001, 9, MD5)
    );
}

#[test]
fn finished_files_come_newest_first_and_no_more_than_asked_for() {
    let (_dir, journal) = scratch();
    (1..=5).for_each(|number| journal.finish(&task(&number.to_string()), MD5, number));
    journal.flush().unwrap();
    let ids = |limit| -> Vec<i64> {
        let files = journal.finished_files(limit).unwrap();
        files.iter().map(|file| file.finished.file_id).collect()
    };
    assert_eq!(ids(3), [5, 4, 3]);
    assert_eq!(ids(9), [5, 4, 3, 2, 1]);
}

#[test]
fn forgetting_a_path_takes_what_is_below_and_no_namesake() {
    let (_dir, journal) = scratch();
    let at = |path: &str| Task {
        path: path.into(),
        ..task(&path.replace('/', "_"))
    };
    for path in [
        "/data/a",
        "/data/a/b",
        "/data/a/c/d",
        "/data/ab",
        "/data",
        "/x/data/a",
    ] {
        journal.finish(&at(path), MD5, 1);
        journal.begin(&at(&format!("{path}.part")), MD5, &created());
    }
    assert_eq!(
        journal.forget(Forget::Path("/data/a".into())).unwrap(),
        3 * 2 + 2
    );
    let mut left: Vec<PathBuf> = journal
        .finished_files(9)
        .unwrap()
        .into_iter()
        .map(|row| row.path)
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            Path::new("/data"),
            Path::new("/data/ab"),
            Path::new("/x/data/a")
        ]
    );
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 4,
            finished: 3,
            hashed: 3
        }
    );
    assert_eq!(
        journal
            .forget(Forget::Path("/data/nothing".into()))
            .unwrap(),
        0
    );
}

#[test]
fn forgetting_unfinished_uploads_leaves_the_rest() {
    let (_dir, journal) = scratch();
    journal.finish(&task("done"), MD5, 1);
    journal.begin(&task("open"), MD5, &created());
    assert_eq!(journal.forget(Forget::Unfinished).unwrap(), 1);
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 0,
            finished: 1,
            hashed: 1
        }
    );
}

#[test]
fn forgetting_everything_gives_the_space_back() {
    let (dir, journal) = scratch();
    for number in 0..2000 {
        journal.finish(&task(&number.to_string()), MD5, number);
    }
    journal.flush().unwrap();
    assert_eq!(journal.forget(Forget::Everything).unwrap(), 4000);
    assert_eq!(journal.counts().unwrap(), Counts::default());
    drop(journal);
    let size = fs::metadata(dir.path().join("journal.db")).unwrap().len();
    assert!(size <= 16 * 4096, "{size}");
}

#[test]
fn a_path_that_is_not_text_is_a_path_all_the_same() {
    let (_dir, journal) = scratch();
    let strange = Task {
        path: OsStr::from_bytes(b"/data/\xff\xfe").into(),
        ..task("a")
    };
    journal.finish(&strange, MD5, 1);
    journal.begin(&strange, MD5, &created());
    journal.flush().unwrap();
    assert!(journal.finished(&strange).is_some() && journal.resume(&strange, &MD5).is_some());
    assert_eq!(journal.unfinished().unwrap()[0].path, strange.path);
    assert_eq!(journal.forget(Forget::Path("/data".into())).unwrap(), 3);
}

#[test]
fn off_keeps_nothing_and_complains_of_nothing() {
    let journal = Journal::off();
    let task = task("a.bin");
    let id = journal.begin(&task, MD5, &created());
    journal.ack(id, Ack::new(1));
    journal.finish(&task, MD5, 1);
    journal.flush().unwrap();
    assert!(journal.resume(&task, &MD5).is_none() && journal.finished(&task).is_none());
    assert_eq!(journal.counts().unwrap(), Counts::default());
    assert_eq!(journal.forget(Forget::Everything).unwrap(), 0);
    assert_eq!(journal.trouble(), None);
}

#[test]
fn nobody_else_may_read_it() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("state").join("panup");
    let journal = Journal::open(&folder).unwrap();
    journal.finish(&task("a"), MD5, 1);
    journal.flush().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let names: Vec<&str> = files
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "journal.db",
            "journal.db-shm",
            "journal.db-wal",
            "journal.lock"
        ]
    );
    files
        .iter()
        .for_each(|path| assert_eq!(mode(path), 0o600, "{path:?}"));
}

/// The bounds of the design: 512 bytes a file, 64 bytes a slice.
#[test]
fn rows_cost_what_was_promised() {
    let files = 10_000;
    let (dir, journal) = scratch();
    for number in 0..files {
        let name = format!("a folder of photographs/2026/{number:06}.jpg");
        let path = format!("/home/somebody/pictures/{name}").into();
        journal.finish(
            &Task {
                path,
                ..task(&name)
            },
            MD5,
            number,
        );
    }
    drop(journal);
    let size = |dir: &TempDir| fs::metadata(dir.path().join("journal.db")).unwrap().len();
    let each = size(&dir) / files as u64;
    assert!(each <= 512, "{each} bytes a file");

    let (dir, journal) = scratch();
    let count = 640;
    for number in 0..50 {
        let task = task(&number.to_string());
        let identity = Identity {
            size: 16 * u64::from(count),
            ..task.identity
        };
        let task = Task { identity, ..task };
        let id = journal.begin(&task, MD5, &created());
        (1..=count).for_each(|slice| journal.ack(id, Ack::new(slice)));
        let hashes = Hashes {
            whole: MD5,
            slices: Some(slices(16, count as usize)),
        };
        journal.remember(&task.path, &identity, hashes);
        journal.flush().unwrap();
    }
    let all = journal.unfinished().unwrap();
    assert!(all.len() == 50 && all.iter().all(|row| row.acked == 640));
    drop(journal);
    let each = (size(&dir) - 50 * 512) / (50 * u64::from(count));
    assert!(each <= 64, "{each} bytes a slice");
}

#[test]
fn what_is_old_or_too_much_goes_once_a_day() {
    let (dir, journal) = scratch();
    let (old, new) = (task("old"), task("new"));
    for task in [&old, &new] {
        journal.finish(task, MD5, 1);
        journal.begin(task, MD5, &created());
    }
    drop(journal);
    let edit = |sql: &str| {
        Connection::open(dir.path().join("journal.db"))
            .unwrap()
            .execute_batch(sql)
            .unwrap()
    };
    edit("UPDATE file SET at = at - 366 * 86400 WHERE path LIKE '%old'");
    edit("UPDATE upload SET at = at - 91 * 86400 WHERE path LIKE '%old'");
    let counts = || {
        let journal = Journal::open(dir.path()).unwrap();
        journal.flush().unwrap();
        journal.counts().unwrap()
    };
    assert_eq!(
        counts(),
        Counts {
            unfinished: 2,
            finished: 2,
            hashed: 2
        },
        "looked for today"
    );
    edit("UPDATE pruned SET at = at - 86401");
    assert_eq!(
        counts(),
        Counts {
            unfinished: 1,
            finished: 1,
            hashed: 1
        }
    );
    let journal = Journal::open(dir.path()).unwrap();
    assert!(journal.finished(&new).is_some() && journal.resume(&new, &MD5).is_some());
}

/// Tasks that differ from `base` in one thing each.
fn others(base: &Task) -> Vec<(&'static str, Task)> {
    let account = |api: &str, name: &str| Task {
        account: Arc::new(Account {
            api: api.into(),
            name: name.into(),
        }),
        ..base.clone()
    };
    let remote = |parent, path: &str| Task {
        remote: Remote::new(parent, path).unwrap(),
        ..base.clone()
    };
    let identity = |change: fn(&mut Identity)| {
        let mut other = base.clone();
        change(&mut other.identity);
        other
    };
    vec![
        ("api", account("https://other", "me")),
        ("account", account("https://api", "you")),
        ("parent", remote(1, base.remote.path())),
        ("remote", remote(base.remote.parent(), "other")),
        (
            "conflict",
            Task {
                conflict: Conflict::Overwrite,
                ..base.clone()
            },
        ),
        (
            "path",
            Task {
                path: "/data/other".into(),
                ..base.clone()
            },
        ),
        ("dev", identity(|identity| identity.dev += 1)),
        ("inode", identity(|identity| identity.inode += 1)),
        ("size", identity(|identity| identity.size += 1)),
        ("mtime", identity(|identity| identity.mtime_ns += 1)),
        ("ctime", identity(|identity| identity.ctime_ns += 1)),
    ]
}

fn edited(task: &Task) -> Task {
    let identity = Identity {
        mtime_ns: task.identity.mtime_ns + 1,
        ..task.identity
    };
    Task {
        identity,
        ..task.clone()
    }
}

fn scratch() -> (TempDir, Journal) {
    let dir = tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    (dir, journal)
}

fn task(name: &str) -> Task {
    Task {
        account: Arc::new(Account {
            api: "https://api".into(),
            name: "me".into(),
        }),
        remote: Remote::new(5, name).unwrap(),
        conflict: Conflict::Fail,
        path: Path::new("/data").join(name),
        identity: Identity {
            dev: 1,
            inode: 2,
            size: 16_001,
            mtime_ns: 3,
            ctime_ns: 4,
        },
    }
}

fn created() -> Created {
    Created {
        preupload_id: "WvjyUgonimrlBq2PVJ3bSyjPVJYP4IGeSxGdSly".into(),
        slice_size: 16,
        servers: vec!["http://one".into(), "http://two:81".into()],
    }
}

fn slices(size: u64, count: usize) -> SliceHashes {
    SliceHashes {
        size,
        md5s: (0..count).map(|at| [at as u8; 16]).collect(),
    }
}

const MD5: Md5 = [0xab; 16];
