//! What is kept for how long, and what a wrong clock does to it.

use super::*;

/// A journal whose clock is so many days ahead; gone at the end of the statement.
fn on_day(dir: &TempDir, day: i64) -> Journal {
    let settings = Settings {
        ahead: day * DAY,
        ..Settings::default()
    };
    Journal::open_with(dir.path(), settings).unwrap()
}

#[test]
fn a_file_that_is_skipped_every_day_is_known_for_years() {
    let dir = tempdir().unwrap();
    let daily = task("daily");
    on_day(&dir, 0).finish(&daily, MD5, Some(1));
    for day in [0, 1, 100, 200, 300, 364, 366, 367, 368, 800, 1200] {
        let journal = on_day(&dir, day);
        assert!(journal.finished(&daily).is_some(), "day {day}");
        assert_eq!(journal.next_warning(), None);
    }
    // The sibling: a file whose MD5 alone is of use.
    let hashed = task("hashed");
    let hashes = whole(MD5);
    on_day(&dir, 0).remember(&hashed.path, &hashed.identity, hashes);
    for day in [400, 800, 1200] {
        let journal = on_day(&dir, day);
        assert!(journal.hashes(&hashed.path, &hashed.identity).is_some());
    }
}

#[test]
fn a_use_renews_a_row_once_a_week() {
    let dir = tempdir().unwrap();
    let task = task("a");
    on_day(&dir, 0).finish(&task, MD5, Some(1));
    let times = || -> (i64, i64) {
        raw(&dir)
            .query_row(
                "SELECT finished.at, file.at FROM finished JOIN file ON file.id = file",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap()
    };
    let (first, _) = times();
    let _ = on_day(&dir, 6).finished(&task);
    assert_eq!(times(), (first, first), "no write for each skip");
    let _ = on_day(&dir, 8).finished(&task);
    let (finished, file) = times();
    assert!(finished > first + 7 * DAY && file > first + 7 * DAY);
    let _ = on_day(&dir, -20_000).finished(&task);
    assert_eq!(
        times(),
        (finished, file),
        "a clock in the past makes nothing older"
    );
}

#[test]
fn one_run_with_a_wrong_clock_drops_nothing() {
    for wrong in [100, 730, 36_500, -30_000] {
        let dir = tempdir().unwrap();
        {
            let journal = on_day(&dir, 0);
            journal.finish(&task("done"), MD5, Some(1));
            journal.begin(&task("open"), MD5, &created());
        }
        on_day(&dir, wrong).finish(&task("meanwhile"), MD5, Some(2));
        for day in [0, 1, 4, 8] {
            let journal = on_day(&dir, day);
            journal.flush().unwrap();
            assert!(journal.finished(&task("done")).is_some(), "{wrong}, {day}");
            assert!(
                journal.at(&task("open"), &MD5).begun.is_some(),
                "{wrong}, {day}"
            );
            assert_eq!(journal.next_warning(), None);
        }
    }
}

/// Two runs agree, but everything there is is as old: nobody has used panup meanwhile, or the clock
/// is far ahead for days.
#[test]
fn nothing_is_dropped_by_a_clock_that_is_far_ahead_of_every_row() {
    let dir = tempdir().unwrap();
    on_day(&dir, 0).begin(&task("open"), MD5, &created());
    for day in [730, 735, 740] {
        on_day(&dir, day).flush().unwrap();
    }
    assert!(on_day(&dir, 741).at(&task("open"), &MD5).begun.is_some());
}

#[test]
fn an_upload_that_is_not_resumed_is_dropped_with_a_word_and_a_used_one_is_not() {
    let dir = tempdir().unwrap();
    {
        let journal = on_day(&dir, 0);
        journal.begin(&task("left"), MD5, &created());
        journal.begin(&task("used"), MD5, &created());
    }
    let mut words = Vec::new();
    for day in [0, 40, 80, 95, 99, 103] {
        let journal = on_day(&dir, day);
        assert!(journal.at(&task("used"), &MD5).begun.is_some(), "day {day}");
        journal.finish(&task(&format!("of day {day}")), MD5, Some(1));
        journal.flush().unwrap();
        words.extend(journal.next_warning());
    }
    let journal = on_day(&dir, 104);
    assert!(journal.at(&task("left"), &MD5).begun.is_none());
    assert!(journal.at(&task("used"), &MD5).begun.is_some());
    assert_eq!(words.len(), 1);
    let word = words[0].message();
    assert!(
        word.starts_with("1 unfinished uploads that were not resumed"),
        "{word}"
    );
}

#[test]
fn no_number_of_files_is_too_many_but_bytes_are_and_the_oldest_unused_go() {
    let dir = tempdir().unwrap();
    let name = |number: i64| task(&format!("{number:05}"));
    {
        let journal = on_day(&dir, 0);
        (0..10_000).for_each(|number| journal.finish(&name(number), MD5, Some(number)));
        journal.flush().unwrap();
        // Of use later than all others, though written first.
        let journal = on_day(&dir, 30);
        (0..100).for_each(|number| assert!(journal.finished(&name(number)).is_some()));
    }
    let open = |limit| {
        let settings = Settings {
            limit,
            ..Settings::default()
        };
        let journal = Journal::open_with(dir.path(), settings).unwrap();
        journal.flush().unwrap();
        journal
    };
    assert_eq!(open(100 << 20).counts().unwrap().finished, 10_000);
    let limit = 1 << 20;
    let journal = open(limit);
    let word = journal.next_warning().expect("a word about it");
    assert!(word.message().contains("larger than its limit"), "{word}");
    assert_eq!(journal.next_warning(), None);
    let counts = journal.counts().unwrap();
    assert!((1000..9000).contains(&counts.finished), "{counts:?}");
    assert_eq!(counts.finished, counts.hashed);
    for number in 0..100 {
        assert!(journal.finished(&name(number)).is_some(), "{number}");
    }
    assert!(journal.finished(&name(100)).is_none() && journal.finished(&name(9_999)).is_some());
    drop(journal);
    assert!(fs::metadata(dir.path().join("journal.db")).unwrap().len() <= limit);
    assert_eq!(open(limit).next_warning(), None, "once is enough");
}

const DAY: i64 = 24 * 60 * 60;
