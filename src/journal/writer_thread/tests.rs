//! What is grouped into a commit, and which commits are synced.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use super::super::batch::{GROUP, MOST, ROWS};
use super::super::entry::{Account, Ack, Task, UploadId};
use super::*;
use crate::digest::{FileDigest, Md5};
use crate::source::Identity;
use crate::wire::{Conflict, Created, Remote};

#[test]
fn preupload_ids_and_finished_files_are_synced_and_acks_wait() {
    let thread = thread(Unsynced::No);
    let ack = || Write::Ack(UploadId(1), Ack::new(1));
    let hashes = || Write::Hashes("a".into(), task().identity, whole());
    assert!(
        thread.sync_for(
            &batch(vec![ack(), hashes(), Write::Abandon(UploadId(2))]),
            false
        ) == Sync::Later
    );
    let created = Created {
        preupload_id: "p".into(),
        slice_size: 1,
        servers: vec!["s".into()],
    };
    assert!(
        thread.sync_for(
            &batch(vec![
                ack(),
                Write::Begin(UploadId(1), task(), Md5([0; 16]), Some(created))
            ]),
            false
        ) == Sync::Now
    );
    let finish = Write::Finish(task(), Md5([0; 16]), Some(1));
    assert!(thread.sync_for(&batch(vec![finish, ack()]), false) == Sync::Now);
    assert!(thread.sync_for(&batch(vec![ack()]), true) == Sync::Now);
}

#[test]
fn acks_are_synced_once_they_lag() {
    let ack = || batch(vec![Write::Ack(UploadId(1), Ack::new(1))]);
    let long_ago = Instant::now()
        .checked_sub(2 * ACK_LAG)
        .expect("up for some seconds");
    assert!(thread(Unsynced::Since(Instant::now())).sync_for(&ack(), false) == Sync::Later);
    assert!(thread(Unsynced::Since(long_ago)).sync_for(&ack(), false) == Sync::Now);
}

#[test]
fn a_batch_ends_at_its_limit_or_where_somebody_waits() {
    let (queue, posted) = sync_channel(2 * ROWS);
    let ack = |slice| Write::Ack(UploadId(i64::from(slice % 3 + 1)), Ack::new(slice));
    (1..=ROWS as u32).for_each(|slice| queue.send(ack(slice)).unwrap());
    let (reply, _answer) = sync_channel(1);
    queue.send(Write::Request(Request::Flush(reply))).unwrap();
    queue.send(Write::Abandon(UploadId(9))).unwrap();
    drop(queue);
    let next = || {
        let mut batch = Batch::default();
        batch.collect(posted.recv().unwrap(), &posted, GROUP);
        batch
    };
    let full = next();
    assert_eq!(full.acks.len(), 3, "one row for each upload");
    assert_eq!(full.len(), ROWS as u64);
    let asked = next();
    assert_eq!((asked.len(), asked.requests.len()), (0, 1));
    assert_eq!(next().writes.len(), 1);
    assert!(posted.recv().is_err());
}

#[test]
fn what_waits_is_bounded_and_acks_of_one_slice_are_one() {
    let mut waiting = Batch::default();
    for _ in 0..1000 {
        waiting.add(Write::Ack(UploadId(1), Ack::new(7)));
    }
    assert_eq!(waiting.len(), 1);
    let files = 200_000;
    for _ in 0..files {
        waiting.add(Write::Finish(task(), Md5([0; 16]), Some(1)));
    }
    let kept = waiting.writes.len();
    assert!(
        (30_000..files).contains(&kept),
        "{kept} files in {MOST} bytes"
    );
    assert_eq!(
        waiting.len(),
        files as u64 + 1,
        "what is refused is counted"
    );
}

fn thread(unsynced: Unsynced) -> WriterThread {
    let connection = Connection::open_in_memory().unwrap();
    let health = Arc::new(Health::new(Path::new("journal.db")));
    WriterThread {
        unsynced,
        ..WriterThread::new(connection, health, Settings::default(), None)
    }
}

fn batch(writes: Vec<Write>) -> Batch {
    let mut batch = Batch::default();
    writes.into_iter().for_each(|write| batch.add(write));
    batch
}

fn whole() -> FileDigest {
    FileDigest::new(Md5([0; 16]), 1)
}

fn task() -> Box<Task> {
    let account = Account {
        api: "api".into(),
        name: "me".into(),
    };
    Box::new(Task {
        account: Arc::new(account),
        remote: Remote::new(0, "a").unwrap(),
        conflict: Conflict::Fail,
        path: "/a".into(),
        identity: Identity::from_bytes(&[0; Identity::BYTES]),
    })
}
