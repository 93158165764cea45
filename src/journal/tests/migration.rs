//! Journals of earlier versions, and accounts that had another name there.

use super::*;

/// Writes a journal as the first schema had it: one finished file, one whose content changed
/// since, one upload with slices 1 and 3.
fn first_schema(account: &str) -> TempDir {
    let dir = tempdir().unwrap();
    let db = Connection::open(dir.path().join("journal.db")).unwrap();
    db.execute_batch(include_str!("../schema-1.sql")).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let identity = |task: &Task| [&7_u64.to_le_bytes()[..], &task.identity.to_bytes()].concat();
    db.execute("INSERT INTO place VALUES (1, 'https://api', ?1)", [account])
        .unwrap();
    for (id, name, was) in [(1, "done", MD5), (2, "changed", Md5([1; 16]))] {
        let task = named(name, account);
        db.execute(
            "INSERT INTO file (id, key, path, identity, md5, at) VALUES (?1, ?2, ?3, ?4, ?5, unixepoch())",
            rusqlite::params![
                id,
                cell::path_key(&task.path),
                cell::PathCell(&task.path),
                identity(&task),
                MD5
            ],
        )
        .unwrap();
        db.execute(
            "INSERT INTO finished (target, file, place, parent, remote, md5, file_id, at) \
             VALUES (?1, ?2, 1, 5, ?3, ?4, 42, unixepoch())",
            rusqlite::params![key(&task), id, name, was],
        )
        .unwrap();
    }
    let task = named("open", account);
    let created = created();
    db.execute(
        "INSERT INTO upload VALUES (3, ?1, 1, 5, 'open', 0, ?2, ?3, ?4, ?5, 16, ?6, 8, unixepoch(), x'05')",
        rusqlite::params![
            key(&task),
            cell::PathCell(&task.path),
            identity(&task),
            MD5,
            created.preupload_id,
            created.servers.join("\n")
        ],
    )
    .unwrap();
    dir
}

#[test]
fn rows_of_the_first_schema_keep_working() {
    let dir = first_schema("me");
    let journal = Journal::open(dir.path()).unwrap();
    let done = task("done");
    assert_eq!(journal.finished(&done).unwrap().file_id, Some(42));
    assert_eq!(
        journal.at(&edited(&done), &MD5).finished.unwrap().file_id,
        Some(42)
    );
    assert!(journal.finished(&task("changed")).is_none());
    assert!(
        journal
            .hashes(&task("changed").path, &done.identity)
            .is_some()
    );
    let upload = begun(&journal, &edited(&task("open")), &MD5).unwrap();
    assert_eq!(upload.created, created());
    assert!(upload.acked.has(1) && !upload.acked.has(2) && upload.acked.has(3));
    assert_eq!(journal.unfinished().unwrap()[0].size, 16_001);
    assert_eq!(journal.finished_files(9).unwrap()[0].size, 16_001);
    assert_eq!(journal.next_warning(), None);
}

#[test]
fn what_a_token_did_is_the_accounts_own() {
    let dir = first_schema(TOKEN);
    let journal = Journal::open(dir.path()).unwrap();
    let (done, open) = (task("done"), task("open"));
    assert!(journal.finished(&done).is_none() && journal.at(&open, &MD5).begun.is_none());
    journal.adopt(&done.account, Some(TOKEN)).unwrap();
    assert_eq!(journal.finished(&done).unwrap().file_id, Some(42));
    assert!(begun(&journal, &open, &MD5).unwrap().acked.has(3));
    assert_eq!(journal.next_warning(), None);
    drop(journal);
    let journal = Journal::open(dir.path()).unwrap();
    journal.adopt(&done.account, Some(TOKEN)).unwrap();
    assert!(
        journal.finished(&done).is_some(),
        "once more changes nothing"
    );
}

/// Skipping a file that is not there is worse than sending one twice.
#[test]
fn of_another_token_only_what_the_service_can_refuse_is_taken() {
    let dir = first_schema(TOKEN);
    let journal = Journal::open(dir.path()).unwrap();
    let (done, open) = (task("done"), task("open"));
    journal
        .adopt(&done.account, Some("token-of-today"))
        .unwrap();
    assert!(journal.at(&open, &MD5).begun.is_some());
    assert!(journal.finished(&done).is_none());
}

#[test]
fn of_two_other_tokens_nothing_is_taken_nor_where_the_account_has_rows_of_its_own() {
    let dir = first_schema(TOKEN);
    let journal = Journal::open(dir.path()).unwrap();
    let second = named("two", "token-ffffffffffffffffffffffffffffffff");
    journal.begin(&second, MD5, &created());
    journal.flush().unwrap();
    journal.adopt(&task("open").account, None).unwrap();
    assert!(journal.at(&task("open"), &MD5).begun.is_none());

    let dir = first_schema(TOKEN);
    let journal = Journal::open(dir.path()).unwrap();
    journal.finish(&task("mine"), MD5, Some(1));
    journal.flush().unwrap();
    journal.adopt(&task("open").account, None).unwrap();
    assert!(journal.at(&task("open"), &MD5).begun.is_none());
}

#[test]
fn where_both_names_know_a_place_the_newest_row_counts() {
    for (theirs, ours, left) in [(10, 20, 2), (20, 10, 1)] {
        let (dir, journal) = scratch();
        let (old, new) = (named("a", TOKEN), task("a"));
        journal.finish(&new, MD5, Some(1));
        journal.finish(&old, Md5([2; 16]), Some(2));
        journal.finish(&named("b", TOKEN), MD5, Some(3));
        journal.flush().unwrap();
        let db = Connection::open(dir.path().join("journal.db")).unwrap();
        for (id, at) in [(1, theirs), (2, ours)] {
            db.execute("UPDATE finished SET at = ?2 WHERE file_id = ?1", [id, at])
                .unwrap();
        }
        journal.adopt(&new.account, Some(TOKEN)).unwrap();
        let files = journal.finished_files(9).unwrap();
        let mut ids: Vec<i64> = files
            .iter()
            .filter_map(|file| file.finished.file_id)
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [left, 3]);
        assert!(files.iter().all(|file| file.account == *new.account));
    }
}

fn named(name: &str, account: &str) -> Task {
    Task {
        account: Arc::new(Account {
            api: "https://api".into(),
            name: account.into(),
        }),
        ..task(name)
    }
}

fn key(task: &Task) -> i64 {
    cell::target_key(&task.account, task.remote.parent(), task.remote.path())
}

const TOKEN: &str = "token-0123456789abcdef0123456789abcdef";
