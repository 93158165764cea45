//! A database with any bytes in any place is read, repaired, set aside or refused; never a panic.
//! What it gives for a file is either right in form or nothing.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use panup::Conflict;
use panup::digest::{FileDigest, Md5};
use panup::internals::journal::{Account, Begun, Journal, Task};
use panup::internals::source::Identity;
use panup::internals::wire::{Created, Remote};

fuzz_target!(|data: &[u8]| {
    let mut database = sound().clone();
    for patch in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([patch[0], patch[1]])) * 3;
        let at = at % database.len();
        database[at] = patch[2];
        let next = (at + 1) % database.len();
        database[next] ^= patch[3];
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("journal.db"), &database).expect("room");
    let Ok(journal) = Journal::open(folder.path()) else {
        return;
    };
    let task = task();
    let _ = journal.finished(&task);
    if let Some(Begun::Upload(upload)) = journal.at(&task, &MD5).begun {
        assert!(upload.created.slice_size > 0);
    }
    let _ = journal.hashes(&task.path, &task.identity);
    let _ = (journal.unfinished(), journal.finished_files(10), journal.counts());
    journal.finish(&task, MD5, Some(9));
    let _ = journal.flush();
});

/// A database with a row of each sort.
fn sound() -> &'static Vec<u8> {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("a new one");
        let task = task();
        let hashes = FileDigest::new(MD5, 128).with_slices(16, vec![Md5([1; 16]); 8]);
        journal.remember(&task.path, &task.identity, hashes);
        let created = Created {
            preupload_id: "an id".to_owned(),
            slice_size: 16,
            servers: vec!["http://127.0.0.1:1".to_owned()],
        };
        journal.begin(&task, MD5, &created);
        let mut other = task.clone();
        other.remote = Remote::new(0, "g").expect("a name");
        journal.finish(&other, MD5, Some(11));
        journal.flush().expect("room");
        drop(journal);
        std::fs::read(folder.path().join("journal.db")).expect("there")
    })
}

fn task() -> Task {
    Task {
        account: Arc::new(Account {
            api: "http://127.0.0.1:1".to_owned(),
            name: "somebody".to_owned(),
        }),
        remote: Remote::new(0, "f").expect("a name"),
        conflict: Conflict::Fail,
        path: PathBuf::from("/somewhere/f"),
        identity: Identity::from_bytes(&[9; Identity::BYTES]),
    }
}

const MD5: Md5 = Md5([7; 16]);
