//! What is shown of the journal, and how it is made to forget.

use super::*;

#[test]
fn status_tells_what_there_is() {
    let (_dir, journal) = scratch();
    let (big, small) = (task("big"), task("small"));
    let id = journal.begin(&big, MD5, &created());
    journal.ack(id, Ack::new(5));
    journal.finish(&small, MD5, Some(9));
    journal.flush().unwrap();
    let open = &journal.unfinished().unwrap()[0];
    assert_eq!(
        (open.id, &open.account, &open.path),
        (id, &*big.account, &big.path)
    );
    assert_eq!(
        (open.parent, open.remote.as_str()),
        (big.remote.parent(), big.remote.path())
    );
    assert_eq!((open.size, open.slices, open.acked), (16_001, 1001, 1));
    let done = &journal.finished_files(10).unwrap()[0];
    assert_eq!((&done.account, &done.path), (&*small.account, &small.path));
    assert_eq!(
        (done.parent, done.remote.as_str()),
        (small.remote.parent(), small.remote.path())
    );
    assert_eq!(
        (done.size, done.finished.file_id, done.finished.md5),
        (16_001, Some(9), MD5)
    );
}

#[test]
fn finished_files_come_newest_first_and_no_more_than_asked_for() {
    let (_dir, journal) = scratch();
    (1..=5).for_each(|number| journal.finish(&task(&number.to_string()), MD5, Some(number)));
    journal.flush().unwrap();
    let ids = |limit| -> Vec<i64> {
        let files = journal.finished_files(limit).unwrap();
        files
            .iter()
            .filter_map(|file| file.finished.file_id)
            .collect()
    };
    assert_eq!(ids(3), [5, 4, 3]);
    assert_eq!(ids(9), [5, 4, 3, 2, 1]);
}

#[test]
fn forgetting_a_path_takes_what_is_below_and_no_namesake() {
    let (_dir, journal) = scratch();
    let at = |path: &str| Task {
        path: path.into(),
        ..task(&path.replace('/', "_"))
    };
    for path in [
        "/data/a",
        "/data/a/b",
        "/data/a/c/d",
        "/data/ab",
        "/data",
        "/x/data/a",
    ] {
        journal.finish(&at(path), MD5, Some(1));
        journal.begin(&at(&format!("{path}.part")), MD5, &created());
    }
    assert_eq!(
        journal.forget(Forget::Path("/data/a".into())).unwrap(),
        3 * 2 + 2
    );
    let mut left: Vec<PathBuf> = journal
        .finished_files(9)
        .unwrap()
        .into_iter()
        .map(|row| row.path)
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            Path::new("/data"),
            Path::new("/data/ab"),
            Path::new("/x/data/a")
        ]
    );
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 4,
            finished: 3,
            hashed: 3
        }
    );
    assert_eq!(
        journal
            .forget(Forget::Path("/data/nothing".into()))
            .unwrap(),
        0
    );
}

#[test]
fn forgetting_unfinished_uploads_leaves_the_rest() {
    let (_dir, journal) = scratch();
    journal.finish(&task("done"), MD5, Some(1));
    journal.begin(&task("open"), MD5, &created());
    assert_eq!(journal.forget(Forget::Unfinished).unwrap(), 1);
    assert_eq!(
        journal.counts().unwrap(),
        Counts {
            unfinished: 0,
            finished: 1,
            hashed: 1
        }
    );
}

#[test]
fn forgetting_everything_gives_the_space_back() {
    let (dir, journal) = scratch();
    for number in 0..2000 {
        journal.finish(&task(&number.to_string()), MD5, Some(number));
    }
    journal.flush().unwrap();
    assert_eq!(journal.forget(Forget::Everything).unwrap(), 4000);
    assert_eq!(journal.counts().unwrap(), Counts::default());
    drop(journal);
    let size = fs::metadata(dir.path().join("journal.db")).unwrap().len();
    assert!(size <= 16 * 4096, "{size}");
}
