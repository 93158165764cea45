//! A remote place has one upload at a time: in a client, between clients, between processes.

use super::*;

#[test]
fn a_place_is_held_by_one_at_a_time() {
    let (dir, journal) = scratch();
    let other = Journal::open(dir.path()).unwrap();
    let task = task("a.bin");
    let claim = journal.claim(&task.account, &task.remote).unwrap();
    for who in [&journal, &journal.clone(), &other] {
        assert!(who.claim(&task.account, &task.remote).is_none());
    }
    for (what, elsewhere) in others(&task) {
        let free = other.claim(&elsewhere.account, &elsewhere.remote).is_some();
        let another = ["api", "account", "parent", "remote"].contains(&what);
        assert_eq!(free, another, "{what}");
    }
    drop(claim);
    journal.flush().unwrap();
    let claim = other.claim(&task.account, &task.remote);
    assert!(claim.is_some());
    assert!(journal.claim(&task.account, &task.remote).is_none());
    drop((claim, other));
    assert!(journal.claim(&task.account, &task.remote).is_some());
}

/// Whoever was kept waiting finds the finished file, every time.
#[test]
fn a_place_is_given_back_after_what_was_told_before_is_on_disk() {
    let (dir, journal) = scratch();
    let other = Journal::open(dir.path()).unwrap();
    for number in 1..=50 {
        let task = task(&number.to_string());
        let claim = journal.claim(&task.account, &task.remote).unwrap();
        journal.finish(&task, MD5, Some(number));
        drop(claim);
        let waited = std::iter::repeat_with(|| other.claim(&task.account, &task.remote));
        let claim = waited.flatten().next().unwrap();
        assert_eq!(
            other.at(&task, &MD5).finished.unwrap().file_id,
            Some(number)
        );
        drop(claim);
    }
}

#[test]
fn a_journal_that_is_off_refuses_no_place() {
    let (journal, task) = (Journal::off(), task("a.bin"));
    let one = journal.claim(&task.account, &task.remote);
    assert!(one.is_some() && journal.claim(&task.account, &task.remote).is_some());
}

#[test]
fn the_last_clone_may_be_a_claims() {
    let (dir, journal) = scratch();
    let task = task("a.bin");
    let claim = journal.claim(&task.account, &task.remote).unwrap();
    journal.finish(&task, MD5, Some(1));
    drop(journal);
    drop(claim);
    let journal = Journal::open(dir.path()).unwrap();
    assert!(journal.finished(&task).is_some());
    assert!(journal.claim(&task.account, &task.remote).is_some());
}
