//! What is grouped into a commit, and which commits are synced.

use std::path::Path;

use super::*;
use crate::wire::{Conflict, Remote};

#[test]
fn preupload_ids_and_finished_files_are_synced_and_acks_wait() {
    let clerk = clerk(Unsynced::No);
    let ack = || Write::Ack(UploadId(1), Ack::new(1));
    let hashes = || Write::Hashes("a".into(), task().identity, whole());
    assert!(
        clerk.sync_for(&batch(vec![ack(), hashes(), Write::Abandon(UploadId(2))])) == Sync::Later
    );
    let created = Created {
        preupload_id: "p".into(),
        slice_size: 1,
        servers: vec!["s".into()],
    };
    assert!(
        clerk.sync_for(&batch(vec![
            ack(),
            Write::Begin(UploadId(1), task(), [0; 16], created)
        ])) == Sync::Now
    );
    assert!(clerk.sync_for(&batch(vec![Write::Finish(task(), [0; 16], 1), ack()])) == Sync::Now);
    let (reply, _answer) = sync_channel(1);
    assert!(clerk.sync_for(&batch(vec![ack(), Write::Flush(reply)])) == Sync::Now);
}

#[test]
fn acks_are_synced_once_they_lag() {
    let ack = || batch(vec![Write::Ack(UploadId(1), Ack::new(1))]);
    let long_ago = Instant::now()
        .checked_sub(2 * ACK_LAG)
        .expect("up for some seconds");
    assert!(clerk(Unsynced::Since(Instant::now())).sync_for(&ack()) == Sync::Later);
    assert!(clerk(Unsynced::Since(long_ago)).sync_for(&ack()) == Sync::Now);
}

#[test]
fn a_batch_ends_at_its_limit_or_where_somebody_waits() {
    let (queue, posted) = sync_channel(2 * ROWS);
    let ack = |slice| Write::Ack(UploadId(u32::into(slice % 3 + 1)), Ack::new(slice));
    (1..=ROWS as u32).for_each(|slice| queue.send(ack(slice)).unwrap());
    let (reply, _answer) = sync_channel(1);
    queue.send(Write::Flush(reply)).unwrap();
    queue.send(Write::Abandon(UploadId(9))).unwrap();
    drop(queue);
    let next = || Batch::collect(posted.recv().unwrap(), &posted);
    let full = next();
    assert_eq!(
        (full.len, full.acks.len()),
        (ROWS, 3),
        "one row for each upload"
    );
    assert_eq!(full.acks.values().map(Vec::len).sum::<usize>(), ROWS);
    let asked = next();
    assert_eq!((asked.len, asked.questions.len()), (1, 1));
    assert_eq!(next().writes.len(), 1);
    assert!(posted.recv().is_err());
}

fn clerk(unsynced: Unsynced) -> Clerk {
    let connection = Connection::open_in_memory().unwrap();
    let health = Arc::new(Health::new(Path::new("journal.db")));
    Clerk {
        connection,
        health,
        unsynced,
    }
}

fn batch(writes: Vec<Write>) -> Batch {
    let mut batch = Batch::default();
    writes.into_iter().for_each(|write| batch.add(write));
    batch
}

fn whole() -> Hashes {
    Hashes {
        whole: [0; 16],
        slices: None,
    }
}

fn task() -> Box<Task> {
    let account = super::super::entry::Account {
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
