//! Warning that passes: a lock, a pipe or a link where a file should be. Nothing is lost by it.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn what_was_done_while_another_program_held_the_journal_is_written_later() {
    let (dir, journal) = hasty();
    let (open, done) = (task("open"), task("done"));
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let id = journal.begin(&open, MD5, &created());
    for slice in (1..=30).chain(1..=30) {
        journal.ack(id, Ack::new(slice));
    }
    let error = journal.flush().unwrap_err();
    assert!(
        error.message().contains("keeps the journal locked"),
        "{error}"
    );
    assert_eq!(journal.next_warning(), Some(error), "told at once");
    assert_eq!(journal.unkept(), 31);
    journal.finish(&done, MD5, Some(1));
    assert!(journal.flush().is_err());
    assert_eq!(journal.next_warning(), None, "told once");
    assert_eq!(journal.unkept(), 32);
    other.execute_batch("COMMIT").unwrap();
    journal.flush().unwrap();
    assert_eq!((journal.unkept(), journal.next_warning()), (0, None));
    assert_eq!(journal.unfinished().unwrap()[0].acked, 30);
    assert!(journal.finished(&done).is_some());
}

#[test]
fn it_is_tried_again_without_being_asked() {
    let (dir, journal) = hasty();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.finish(&task("a"), MD5, Some(1));
    assert!(journal.flush().is_err());
    other.execute_batch("COMMIT").unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while journal.finished(&task("a")).is_none() {
        assert!(Instant::now() < until, "never written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_journal_that_stays_locked_does_not_keep_the_end_waiting() {
    let (dir, journal) = hasty();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.finish(&task("a"), MD5, Some(1));
    let started = Instant::now();
    assert!(journal.flush().is_err());
    drop(journal);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// A claim goes with the file that it is for: others wait until that file is on disk.
#[test]
fn a_place_is_held_until_the_finished_file_could_be_written() {
    let (dir, journal) = hasty();
    let task = task("a");
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let claim = journal.claim(&task.account, &task.remote);
    journal.finish(&task, MD5, Some(1));
    drop(claim);
    assert!(journal.flush().is_err());
    assert!(journal.claim(&task.account, &task.remote).is_none());
    other.execute_batch("COMMIT").unwrap();
    journal.flush().unwrap();
    assert!(journal.claim(&task.account, &task.remote).is_some());
}

#[test]
fn a_lock_that_somebody_keeps_is_an_error_and_no_wait_for_ever() {
    let dir = tempdir().unwrap();
    let lock = fs::File::create(dir.path().join("journal.lock")).unwrap();
    lock.lock().unwrap();
    let error = Journal::open_with(dir.path(), HASTY).unwrap_err();
    assert!(
        error.message().contains("keeps journal.lock locked"),
        "{error}"
    );
    drop(lock);
    assert!(Journal::open_with(dir.path(), HASTY).is_ok());
}

#[cfg(unix)]
#[test]
fn what_stands_in_the_place_of_a_file_of_ours_is_neither_followed_nor_waited_for() {
    for name in ["journal.lock", "targets.lock", "journal.db"] {
        for sort in ["a pipe", "a link to a file", "a link to nothing"] {
            let (dir, outside) = (tempdir().unwrap(), tempdir().unwrap());
            let (path, target) = (dir.path().join(name), outside.path().join("precious"));
            match sort {
                "a pipe" => {
                    let made = std::process::Command::new("mkfifo").arg(&path).status();
                    assert!(made.unwrap().success());
                }
                _ => std::os::unix::fs::symlink(&target, &path).unwrap(),
            }
            if sort == "a link to a file" {
                fs::write(&target, b"precious").unwrap();
            }
            let opened = Journal::open_with(dir.path(), HASTY);
            match name {
                // Without claims, and nothing else.
                "targets.lock" => assert!(opened.is_ok(), "{sort}"),
                _ => {
                    let error = opened.unwrap_err();
                    assert_eq!(error.path(), Some(&*path), "{sort}");
                }
            }
            if sort == "a link to a file" {
                assert_eq!(fs::read(&target).unwrap(), b"precious", "{name}");
            } else {
                assert!(!target.exists(), "{name}, {sort}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_mark_of_damage_is_not_written_through_a_link() {
    let (dir, outside) = (tempdir().unwrap(), tempdir().unwrap());
    let target = outside.path().join("precious");
    fs::write(&target, b"precious").unwrap();
    let mark = failure::damage_mark(&dir.path().join("journal.db"));
    std::os::unix::fs::symlink(&target, &mark).unwrap();
    crate::private::mark(&mark).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

fn hasty() -> (TempDir, Journal) {
    let dir = tempdir().unwrap();
    let journal = Journal::open_with(dir.path(), HASTY).unwrap();
    journal.flush().unwrap();
    (dir, journal)
}

const HASTY: Settings = Settings {
    limit: 1 << 30,
    patience: Duration::from_millis(100),
    writes: true,
    ahead: 0,
};
