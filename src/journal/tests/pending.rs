//! Calls whose answer is not known, in this schema and in the one before it.

use super::*;

#[test]
fn a_pending_call_is_known_until_its_answer_is() {
    let (dir, journal) = scratch();
    type End = fn(&Journal, &Task, UploadId);
    let ends: [(&str, End); 3] = [
        ("abandoned", |journal, _, id| journal.abandon(id)),
        ("begun", |journal, task, _| {
            journal.begin(task, MD5, &created());
        }),
        ("finished", |journal, task, _| {
            journal.finish(task, MD5, Some(1));
        }),
    ];
    for (name, end) in ends {
        let task = keep_both(name);
        let id = journal.begin_call(&task, MD5);
        journal.flush().unwrap();
        let another = Journal::open(dir.path()).unwrap();
        let begun = another.at(&edited(&task), &MD5).begun.unwrap();
        assert!(matches!(begun, Begun::Pending(call) if call.id == id));
        end(&journal, &task, id);
        journal.flush().unwrap();
        assert!(!is_pending(&another, &task), "{name}");
    }
}

/// The service may name an upload as it likes.
#[test]
fn no_text_of_the_service_stands_for_a_pending_call() {
    let (_dir, journal) = scratch();
    let task = keep_both("a");
    let created = Created {
        preupload_id: "?".into(),
        ..created()
    };
    journal.begin(&task, MD5, &created);
    journal.flush().unwrap();
    assert_eq!(begun(&journal, &task, &MD5).unwrap().created, created);
}

#[test]
fn an_unanswered_call_of_the_second_schema_is_pending() {
    let dir = second_schema();
    insert(&raw(&dir), &keep_both("asked"), ("?", "?"));
    insert(&raw(&dir), &keep_both("open"), ("an id", "http://one"));
    let journal = Journal::open(dir.path()).unwrap();
    assert!(is_pending(&journal, &keep_both("asked")));
    assert!(begun(&journal, &keep_both("open"), &MD5).is_some());
    assert_eq!(journal.unfinished().unwrap().len(), 2);
    assert_eq!(journal.next_warning(), None);
}

/// A panup of the second schema that opened the journal before it was brought up to date goes on
/// reading and writing; neither may repeat a call of the other.
#[test]
fn older_and_newer_panups_at_once_see_each_others_pending_calls() {
    let dir = second_schema();
    let older = raw(&dir);
    let journal = Journal::open(dir.path()).unwrap();
    insert(&older, &keep_both("older"), ("?", "?"));
    assert!(is_pending(&journal, &keep_both("older")));

    let task = keep_both("newer");
    journal.begin_call(&task, MD5);
    journal.flush().unwrap();
    let seen: (String, String, i64) = older
        .query_row(
            "SELECT preupload_id, servers, slice_size FROM upload WHERE target = ?1",
            [key(&task)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(
        seen,
        ("?".into(), "?".into(), task.identity.size.cast_signed())
    );
    drop(journal);
    let version: u32 = older
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(
        version, 4,
        "which a panup of the second schema refuses to open"
    );
}

fn is_pending(journal: &Journal, task: &Task) -> bool {
    matches!(journal.at(task, &MD5).begun, Some(Begun::Pending(_)))
}

fn keep_both(name: &str) -> Task {
    Task {
        conflict: Conflict::KeepBoth,
        ..task(name)
    }
}

fn second_schema() -> TempDir {
    let dir = tempdir().unwrap();
    let db = raw(&dir);
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(include_str!("../schema-1.sql")).unwrap();
    db.execute_batch(include_str!("../schema-2.sql")).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    db.execute("INSERT INTO place VALUES (1, 'https://api', 'me')", [])
        .unwrap();
    dir
}

/// As a panup of the second schema writes down an upload.
fn insert(db: &Connection, task: &Task, (preupload_id, servers): (&str, &str)) {
    db.execute(
        "INSERT INTO upload (id, target, place, parent, remote, conflict, path, size, md5, \
         preupload_id, slice_size, servers, started, at, acked) \
         VALUES (abs(random()), ?1, 1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?5, ?8, unixepoch(), unixepoch(), x'')",
        rusqlite::params![
            key(task),
            task.remote.parent(),
            task.remote.path(),
            cell::PathCell(&task.path),
            task.identity.size.cast_signed(),
            MD5,
            preupload_id,
            servers
        ],
    )
    .unwrap();
}

fn key(task: &Task) -> i64 {
    cell::target_key(&task.account, task.remote.parent(), task.remote.path())
}
