//! Databases that are broken, foreign, from the future, read-only or in the way.

use super::*;

#[test]
fn garbage_is_set_aside_and_a_new_journal_begun() {
    for garbage in [
        &b"this is not a database at all, only text"[..],
        &[0xff; 70_000],
    ] {
        let dir = tempdir().unwrap();
        fs::write(database(&dir), garbage).unwrap();
        assert_begins_anew(&dir);
        assert_eq!(
            fs::read(dir.path().join("journal.db.corrupt-1")).unwrap(),
            garbage
        );
    }
}

#[test]
fn each_damaged_database_keeps_a_name_of_its_own() {
    let dir = tempdir().unwrap();
    for number in 1..=3 {
        fs::write(
            database(&dir),
            format!("garbage {number}, longer than nothing"),
        )
        .unwrap();
        assert_begins_anew(&dir);
        let aside =
            fs::read_to_string(dir.path().join(format!("journal.db.corrupt-{number}"))).unwrap();
        assert!(aside.starts_with(&format!("garbage {number}")));
    }
}

/// The format's numbers for writing (18) and reading (19), and the schema's (44 to 47).
#[test]
fn a_header_that_no_sqlite_writes_is_damage() {
    for at in [18, 19, 47] {
        let dir = filled();
        let mut bytes = fs::read(database(&dir)).unwrap();
        bytes[at] = 9;
        fs::write(database(&dir), bytes).unwrap();
        assert_begins_anew(&dir);
    }
}

/// Windows says of what would be below a file only that it is not there.
#[test]
fn a_file_in_the_place_of_the_folder_is_told() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    for state in [file.clone(), file.join("deeper")] {
        for error in [
            Journal::is_in(&state).unwrap_err(),
            Journal::open(&state).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::State, "{error}");
        }
        let error = Journal::is_in(&state).unwrap_err().to_string();
        assert!(error.contains("no folder"), "{error}");
    }
    assert!(!Journal::is_in(&dir.path().join("none/at all")).unwrap());
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn what_cannot_be_written_is_read() {
    // A name that Windows can have, too, but for the question mark.
    let odd = if cfg!(windows) {
        "what is this 50%25 #1"
    } else {
        "what is this? 50%25 #1"
    };
    for name in ["state", odd] {
        let dir = tempdir().unwrap();
        let state = dir.path().join(name);
        let journal = Journal::open(&state).unwrap();
        assert_works(&journal);
        let counts = journal.counts().unwrap();
        drop(journal);
        let store = store::Store::reading(&state, Settings::default().patience).unwrap();
        let journal = Journal::of(store, Settings::default(), None).unwrap();
        assert_eq!(journal.counts().unwrap(), counts);
        let warning = journal.next_warning().expect("said").to_string();
        assert!(
            warning.contains("read-only") && warning.contains("state_dir"),
            "{warning}"
        );
        let error = journal.forget(Forget::Everything).unwrap_err();
        assert!(error.to_string().contains("read-only"), "{error}");
        drop(journal);
        assert_eq!(Journal::open(&state).unwrap().counts().unwrap(), counts);
    }
}

#[test]
fn a_cut_database_is_set_aside() {
    let dir = filled();
    let size = fs::metadata(database(&dir)).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(database(&dir))
        .unwrap()
        .set_len(size / 2)
        .unwrap();
    assert_begins_anew(&dir);
}

#[test]
fn a_database_that_lacks_a_table_is_set_aside() {
    let dir = filled();
    edit(&dir, "DROP TABLE upload");
    assert_begins_anew(&dir);
}

#[test]
fn the_log_goes_aside_with_its_database() {
    let dir = filled();
    fs::write(
        dir.path().join("journal.db-wal"),
        b"what was not yet folded in",
    )
    .unwrap();
    fs::write(dir.path().join("journal.db.damaged"), b"").unwrap();
    assert_begins_anew(&dir);
    let log = fs::read(dir.path().join("journal.db.corrupt-1-wal")).unwrap();
    assert_eq!(log, b"what was not yet folded in");
    assert!(!dir.path().join("journal.db.damaged").exists());
}

#[test]
fn an_empty_file_becomes_a_journal() {
    let dir = tempdir().unwrap();
    fs::write(database(&dir), b"").unwrap();
    assert_works(&Journal::open(dir.path()).unwrap());
}

/// Damage deep inside shows only when a row is wanted: nothing is known then, one warning, and
/// the next run begins anew.
#[test]
fn damage_met_on_the_way_is_a_warning_once_and_set_aside_by_the_next_run() {
    let dir = filled();
    let mut bytes = fs::read(database(&dir)).unwrap();
    let root: u32 = Connection::open(database(&dir))
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'file_key'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let page = (root as usize - 1) * 4096;
    bytes[page..page + 4096].fill(0x5a);
    fs::write(database(&dir), bytes).unwrap();

    let journal = Journal::open(dir.path()).unwrap();
    let task = task("17");
    assert_eq!(journal.hashes(&task.path, &task.identity), None);
    assert_eq!(journal.hashes(&task.path, &task.identity), None);
    let warning = journal.next_warning().unwrap();
    assert_eq!(warning.kind(), Kind::State);
    assert!(warning.message().contains("damaged"), "{warning}");
    journal.finish(&task, MD5, Some(1));
    assert!(journal.flush().is_err());
    let _ = journal.next_warning();
    assert_eq!(journal.next_warning(), None);
    drop(journal);
    assert_begins_anew(&dir);
}

#[test]
fn a_damaged_database_in_use_is_left_alone() {
    let dir = filled();
    let user = Journal::open(dir.path()).unwrap();
    fs::write(dir.path().join("journal.db.damaged"), b"").unwrap();
    let error = Journal::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert!(
        error.message().contains("in use by another panup"),
        "{error}"
    );
    assert_eq!(
        user.counts().unwrap().finished,
        300,
        "not moved away under its user"
    );
    drop(user);
    assert_begins_anew(&dir);
}

#[test]
fn a_journal_of_a_newer_panup_is_refused_and_not_touched() {
    let dir = filled();
    edit(&dir, "PRAGMA user_version = 99");
    let before = fs::read(database(&dir)).unwrap();
    let error = Journal::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert!(
        error.message().contains("newer panup (schema 99)"),
        "{error}"
    );
    assert!(fs::read(database(&dir)).unwrap() == before);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_state() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = Journal::open(&dir.path().join("file").join("state")).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert_eq!(
        error.path(),
        Some(dir.path().join("file").join("state").as_path())
    );
}

#[test]
fn a_database_that_is_a_folder_is_an_error_of_state() {
    let dir = tempdir().unwrap();
    fs::create_dir(database(&dir)).unwrap();
    assert_eq!(Journal::open(dir.path()).unwrap_err().kind(), Kind::State);
}

/// Somebody holds the database: writing fails, reading goes on, and the caller hears it once.
#[test]
fn a_failed_write_is_reported_once_and_reading_goes_on() {
    let dir = filled();
    let journal = Journal::open(dir.path()).unwrap();
    journal.flush().unwrap();
    edit(&dir, "DROP TABLE finished");
    let task = task("17");
    assert!(journal.hashes(&task.path, &task.identity).is_some());
    journal.finish(&task, MD5, Some(1));
    let error = journal.flush().unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert_eq!(journal.next_warning(), Some(error.clone()));
    assert_eq!(journal.next_warning(), None);
    journal.begin(&task, MD5, &created());
    assert_eq!(journal.flush(), Err(error), "quiet, and honest about it");
    assert!(journal.hashes(&task.path, &task.identity).is_some());
    assert_eq!(journal.next_warning(), None);
}

fn assert_begins_anew(dir: &TempDir) {
    let journal = Journal::open(dir.path()).unwrap();
    let warning = journal.next_warning().expect("a word about it");
    assert_eq!(warning.kind(), Kind::State);
    assert!(warning.message().contains("set aside as"), "{warning}");
    assert_eq!(journal.next_warning(), None);
    assert_eq!(journal.counts().unwrap(), Counts::default());
    assert_works(&journal);
    drop(Journal::open(dir.path()).expect("others can use it meanwhile"));
    drop(journal);
    let again = Journal::open(dir.path()).unwrap();
    assert_eq!(again.next_warning(), None);
    assert_eq!(again.counts().unwrap().finished, 1);
}

fn assert_works(journal: &Journal) {
    journal.finish(&task("new"), MD5, Some(1));
    journal.flush().unwrap();
    assert!(journal.finished(&task("new")).is_some());
}

fn filled() -> TempDir {
    let (dir, journal) = scratch();
    for number in 0..300 {
        journal.finish(&task(&number.to_string()), MD5, Some(number));
    }
    journal.flush().unwrap();
    dir
}

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join("journal.db")
}

fn edit(dir: &TempDir, sql: &str) {
    Connection::open(database(dir))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}
