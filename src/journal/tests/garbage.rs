//! Any value in any cell: rows are facts or they are not there.

use proptest::prelude::*;
use rusqlite::types::Value;

use super::*;

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        ".{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Value::Blob),
        any::<[u8; Identity::BYTES]>().prop_map(|bytes| Value::Blob(bytes.into())),
        any::<[u8; 16]>().prop_map(|bytes| Value::Blob(bytes.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn garbage_in_a_cell_is_never_a_panic(
        at in 0..CELLS.len(), value in cell(), second in 0..CELLS.len(), other in cell(),
    ) {
        let (dir, journal) = scratch();
        let task = task("a.bin");
        let id = journal.begin(&task, MD5, &created());
        journal.ack(id, Ack::new(4));
        journal.finish(&Task { remote: Remote::new(0, "z").unwrap(), ..task.clone() }, MD5, Some(1));
        journal.flush().unwrap();
        let raw = Connection::open(dir.path().join("journal.db")).unwrap();
        raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        for (at, value) in [(at, value), (second, other)] {
            let (table, column) = CELLS[at];
            // NOT NULL and UNIQUE refuse some; those cannot happen then.
            let _ = raw.execute(&format!("UPDATE {table} SET {column} = ?1"), [value]);
        }
        let _ = journal.at(&task, &MD5);
        let _ = journal.finished(&task);
        journal.adopt(&Account { name: "new".into(), ..(*task.account).clone() }, Some("me")).unwrap();
        if let Some(FileDigest { slices: Some(slices), .. }) = journal.hashes(&task.path, &task.identity) {
            prop_assert_eq!(slices.md5s.len() as u64, task.identity.size.div_ceil(slices.size));
        }
        for row in journal.unfinished().unwrap() {
            prop_assert!(row.acked <= row.slices);
        }
        journal.finished_files(9).unwrap();
        journal.counts().unwrap();
        // Writing over it works too, and mends it.
        journal.ack(id, Ack::new(5));
        journal.finish(&task, MD5, Some(2));
        journal.begin(&task, MD5, &created());
        prop_assert_eq!(journal.flush(), Ok(()));
        prop_assert_eq!(journal.finished(&task).unwrap().file_id, Some(2));
        prop_assert!(journal.at(&task, &MD5).begun.is_some());
        prop_assert_eq!(journal.next_warning(), None);
    }

    #[test]
    fn rows_round_trip(
        name in "[^\"\\\\/:*?|><\u{0}]{1,20}", path in prop::collection::vec(1_u8.., 1..60), identity in any::<[u8; Identity::BYTES]>(),
        (md5, count) in (any::<[u8; 16]>().prop_map(Md5), 0_usize..50), preupload_id in "[!-~]{1,300}",
        servers in prop::collection::vec("https?://[a-z.]{1,20}(:[0-9]{1,5})?/?", 1..4),
    ) {
        prop_assume!(!name.trim().is_empty());
        let Ok(remote) = Remote::new(3, &name) else { return Ok(()) };
        let identity = Identity { size: 1000 * count as u64, ..Identity::from_bytes(&identity) };
        let path = crate::system::name_from_bytes(&path).into();
        let task = Task { remote, path, identity, ..task("a") };
        let created = Created { preupload_id, slice_size: 1000, servers };
        let hashes = FileDigest { size: identity.size, ..sliced(md5, 1000, count) };
        let (_dir, journal) = scratch();
        journal.begin(&task, md5, &created);
        journal.remember(&task.path, &task.identity, hashes.clone());
        journal.flush().unwrap();
        prop_assert_eq!(begun(&journal, &task, &md5).unwrap().created, created);
        prop_assert_eq!(journal.hashes(&task.path, &task.identity), Some(hashes));
        journal.finish(&task, md5, Some(-1));
        journal.flush().unwrap();
        prop_assert_eq!(journal.finished(&task).unwrap().md5, md5);
        prop_assert_eq!(&journal.finished_files(1).unwrap()[0].path, &task.path);
    }
}

const CELLS: &[(&str, &str)] = &[
    ("place", "api"),
    ("place", "account"),
    ("file", "key"),
    ("file", "path"),
    ("file", "identity"),
    ("file", "md5"),
    ("file", "at"),
    ("file", "slice_size"),
    ("file", "slices"),
    ("finished", "target"),
    ("finished", "file"),
    ("finished", "place"),
    ("finished", "parent"),
    ("finished", "remote"),
    ("finished", "md5"),
    ("finished", "size"),
    ("finished", "file_id"),
    ("finished", "at"),
    ("upload", "target"),
    ("upload", "place"),
    ("upload", "parent"),
    ("upload", "remote"),
    ("upload", "conflict"),
    ("upload", "path"),
    ("upload", "size"),
    ("upload", "md5"),
    ("upload", "preupload_id"),
    ("upload", "slice_size"),
    ("upload", "servers"),
    ("upload", "started"),
    ("upload", "at"),
    ("upload", "acked"),
    ("pruned", "at"),
];
