//! What is known of a file: its MD5s, and where it was finished.

use super::*;

#[test]
fn a_finished_file_is_known_without_a_read_by_its_identity() {
    let (_dir, journal) = scratch();
    let base = task("a.bin");
    journal.finish(&base, MD5, Some(42));
    journal.flush().unwrap();
    let finished = journal.finished(&base).unwrap();
    assert_eq!((finished.md5, finished.file_id), (MD5, Some(42)));
    for (what, other) in others(&base) {
        let known = journal.finished(&other).is_some();
        assert_eq!(known, ["conflict", "dev"].contains(&what), "{what}");
    }
}

#[test]
fn once_hashed_a_finished_file_is_known_by_target_md5_and_size() {
    let base = task("a.bin");
    let no_matter = ["conflict", "path", "dev", "inode", "mtime", "ctime"];
    for (what, other) in others(&base) {
        let (_dir, journal) = scratch();
        journal.finish(&base, MD5, Some(42));
        journal.flush().unwrap();
        assert!(journal.at(&base, &Md5([0; 16])).finished.is_none());
        let known = journal.at(&other, &MD5).finished.is_some();
        assert_eq!(known, no_matter.contains(&what), "{what}");
        journal.flush().unwrap();
        let next_time = journal.finished(&other).is_some();
        assert_eq!(next_time, known, "{what}: the next time without a read");
        assert_eq!(journal.counts().unwrap().finished, 1);
    }
}

#[test]
fn md5s_that_were_found_wrong_are_forgotten_and_where_the_file_went_is_not() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    journal.finish(&task, MD5, Some(42));
    journal.forget_hashes(&task.path);
    journal.flush().unwrap();
    assert_eq!(journal.hashes(&task.path, &task.identity), None);
    assert!(journal.finished(&task).is_none());
    assert_eq!(journal.finished_files(9).unwrap()[0].path, task.path);
    assert_eq!(journal.at(&task, &MD5).finished.unwrap().file_id, Some(42));
    journal.flush().unwrap();
    assert!(journal.finished(&task).is_some());
}

#[test]
fn hashes_are_of_one_identity() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    let hashes = sliced(MD5, 16, 1001);
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
    let sliced = sliced(MD5, 16, 1001);
    journal.remember(&task.path, &task.identity, sliced.clone());
    journal.remember(&task.path, &task.identity, whole(MD5));
    journal.finish(&task, MD5, Some(1));
    journal.flush().unwrap();
    assert_eq!(journal.hashes(&task.path, &task.identity), Some(sliced));
    let edited = edited(&task);
    journal.remember(&task.path, &edited.identity, whole(Md5([2; 16])));
    journal.flush().unwrap();
    assert_eq!(
        journal.hashes(&task.path, &edited.identity),
        Some(whole(Md5([2; 16])))
    );
    assert_eq!(journal.hashes(&task.path, &task.identity), None);
    assert_eq!(journal.counts().unwrap().hashed, 1);
}

#[test]
fn slice_hashes_that_do_not_make_the_file_are_not_given_out() {
    let (_dir, journal) = scratch();
    let task = task("a.bin");
    for wrong in [0, 1000, 1002] {
        let hashes = sliced(MD5, 16, wrong);
        journal.remember(&task.path, &task.identity, hashes);
        journal.flush().unwrap();
        let known = journal.hashes(&task.path, &task.identity).unwrap();
        assert_eq!(known, whole(MD5));
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
    journal.finish(&first, MD5, Some(1));
    journal.finish(&second, Md5([2; 16]), Some(2));
    journal.flush().unwrap();
    assert!(journal.finished(&first).is_none() && journal.at(&first, &MD5).finished.is_none());
    assert_eq!(journal.finished(&second).unwrap().file_id, Some(2));
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
    journal.finish(&first, MD5, Some(1));
    journal.finish(&second, Md5([2; 16]), Some(2));
    journal.finish(&first, MD5, Some(3)); // sent again by force
    journal.flush().unwrap();
    assert_eq!(journal.finished(&first).unwrap().file_id, Some(3));
    assert_eq!(journal.finished(&second).unwrap().file_id, Some(2));
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
    journal.finish(&here, MD5, Some(1));
    journal.finish(&there, MD5, Some(2));
    journal.flush().unwrap();
    assert_eq!(journal.finished(&here).unwrap().file_id, Some(1));
    assert_eq!(journal.finished(&there).unwrap().file_id, Some(2));
    // Known content of the file changed: neither counts, whatever the identity says.
    journal.remember(&here.path, &here.identity, whole(Md5([3; 16])));
    journal.flush().unwrap();
    assert!(journal.finished(&here).is_none() && journal.finished(&there).is_none());
}

#[test]
fn a_content_of_a_size_is_known_at_its_place() {
    let (_dir, journal) = scratch();
    let base = task("a.bin");
    assert!(!journal.knows_of_size(&base));
    journal.finish(&base, MD5, Some(42));
    journal.flush().unwrap();
    for (what, other) in others(&base) {
        let elsewhere = ["api", "account", "parent", "remote", "size"].contains(&what);
        assert_eq!(journal.knows_of_size(&other), !elsewhere, "{what}");
    }
    let (_dir, journal) = scratch();
    let _id = journal.begin(&base, MD5, &created());
    journal.flush().unwrap();
    assert!(journal.knows_of_size(&base), "begun");
}

#[test]
fn a_journal_that_is_only_read_stays_as_it_is() {
    let (dir, journal) = scratch();
    let (known, new) = (task("a.bin"), task("b.bin"));
    journal.finish(&known, MD5, Some(42));
    journal.flush().unwrap();
    let settings = Settings {
        writes: false,
        ..Settings::default()
    };
    let reader = Journal::open_with(dir.path(), settings).unwrap();
    assert!(reader.finished(&known).is_some());
    reader.finish(&new, MD5, Some(43));
    reader.adopt(&known.account, Some("old")).unwrap();
    assert!(reader.next_warning().is_none(), "as was asked");
    drop(reader);
    assert_eq!(journal.counts().unwrap().finished, 1);
}
