//! Uploads that go on, for whom they do, and what it costs.

use std::fs;
use std::path::PathBuf;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::error::Kind;
use crate::plan::Acked;
use crate::wire::{Conflict, Remote};

mod age;
mod claims;
mod damage;
mod forget;
mod garbage;
mod known;
mod links;
mod migration;
mod passing;
mod pending;
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
    let upload = begun(&journal, &task, &MD5).unwrap();
    assert_eq!((upload.id, &upload.created), (id, &created()));
    let acked: Vec<u32> = (1..=200).filter(|&slice| upload.acked.has(slice)).collect();
    assert_eq!(acked, [1, 9, 10, 100]);
    assert_eq!(journal.next_warning(), None);
}

#[test]
fn an_upload_is_of_one_content_to_one_place_for_one_account() {
    let (_dir, journal) = scratch();
    let base = task("a.bin");
    journal.begin(&base, MD5, &created());
    journal.flush().unwrap();
    assert!(journal.at(&base, &MD5).begun.is_some());
    assert!(journal.at(&base, &Md5([0; 16])).begun.is_none());
    // Neither the file it is read from nor that file's state has a part in it.
    let no_matter = ["path", "dev", "inode", "mtime", "ctime"];
    for (what, other) in others(&base) {
        let known = journal.at(&other, &MD5).begun.is_some();
        assert_eq!(known, no_matter.contains(&what), "{what}");
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
    assert_eq!(begun(&journal, &task, &MD5).unwrap().acked, expected);
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
    let second = journal.begin(&new, Md5([2; 16]), &created());
    journal.ack(first, Ack::new(1));
    journal.flush().unwrap();
    assert!(journal.at(&old, &MD5).begun.is_none());
    assert_eq!(begun(&journal, &new, &Md5([2; 16])).unwrap().id, second);
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
    journal.finish(&done, MD5, Some(7));
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
fn a_path_that_is_not_text_is_a_path_all_the_same() {
    let (_dir, journal) = scratch();
    let strange = Task {
        path: crate::system::name_from_bytes(b"/data/\xed\xa0\x80\xff").into(),
        ..task("a")
    };
    journal.finish(&strange, MD5, Some(1));
    journal.begin(&strange, MD5, &created());
    journal.flush().unwrap();
    assert!(journal.finished(&strange).is_some() && journal.at(&strange, &MD5).begun.is_some());
    assert_eq!(journal.unfinished().unwrap()[0].path, strange.path);
    assert_eq!(journal.forget(Forget::Path("/data".into())).unwrap(), 3);
}

#[test]
fn off_keeps_nothing_and_complains_of_nothing() {
    let journal = Journal::off();
    let task = task("a.bin");
    let id = journal.begin(&task, MD5, &created());
    journal.ack(id, Ack::new(1));
    journal.finish(&task, MD5, Some(1));
    journal.flush().unwrap();
    assert!(journal.at(&task, &MD5).begun.is_none() && journal.finished(&task).is_none());
    assert_eq!(journal.counts().unwrap(), Counts::default());
    assert_eq!(journal.forget(Forget::Everything).unwrap(), 0);
    assert_eq!(journal.next_warning(), None);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("state").join("panup");
    let journal = Journal::open(&folder).unwrap();
    journal.finish(&task("a"), MD5, Some(1));
    journal.flush().unwrap();
    use std::os::unix::fs::PermissionsExt;
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
            "journal.lock",
            "targets.lock"
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
            Some(number),
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
        let hashes = sliced(MD5, 16, count as usize);
        journal.remember(&task.path, &identity, hashes);
        journal.flush().unwrap();
    }
    let all = journal.unfinished().unwrap();
    assert!(all.len() == 50 && all.iter().all(|row| row.acked == 640));
    drop(journal);
    let each = (size(&dir) - 50 * 512) / (50 * u64::from(count));
    assert!(each <= 64, "{each} bytes a slice");
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

fn sliced(md5: Md5, size: u64, count: usize) -> FileDigest {
    let md5s = (0..count).map(|at| Md5([at as u8; 16])).collect();
    let of = task("any").identity.size;
    FileDigest::new(md5, of).with_slices(size, md5s)
}

/// The upload of this content that can go on.
fn begun(journal: &Journal, task: &Task, md5: &Md5) -> Option<Upload> {
    match journal.at(task, md5).begun? {
        Begun::Upload(upload) => Some(upload),
        Begun::Pending(_) => None,
    }
}

fn whole(md5: Md5) -> FileDigest {
    FileDigest::new(md5, task("any").identity.size)
}

const MD5: Md5 = Md5([0xab; 16]);

/// The database itself.
fn raw(dir: &TempDir) -> Connection {
    Connection::open(store::database(dir.path())).unwrap()
}
