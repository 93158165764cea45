//! Files that change under a reader, and everything that is not a file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use tempfile::{NamedTempFile, TempDir, tempdir};

use super::*;

const MAPPED: Settings = Settings {
    map_from: 1,
    maps: true,
};
const READ: Settings = Settings {
    map_from: 1,
    maps: false,
};
const PAGE: u64 = 4096;

#[test]
fn a_range_is_the_same_mapped_and_read() {
    let (file, content) = sample(3 * PAGE + 7);
    for settings in [MAPPED, READ] {
        let source = open(&file, &settings);
        assert_eq!(source.mapped().is_some(), settings.maps);
        for range in [
            0..content.len(),
            0..1,
            5..5,
            4095..4097,
            8000..content.len(),
        ] {
            let bytes = source.bytes(range.start as u64..range.end as u64).unwrap();
            assert_eq!(bytes, content[range]);
        }
        source.check(Operation::Check).unwrap();
    }
}

#[test]
fn a_range_outside_the_file_is_an_error() {
    let (file, _) = sample(10);
    for settings in [MAPPED, READ] {
        let source = open(&file, &settings);
        #[allow(clippy::reversed_empty_ranges)] // the mistake that is tested
        for range in [0..11, 11..11, 5..4, 0..u64::MAX] {
            let error = source.bytes(range).unwrap_err();
            assert_eq!(
                (error.kind(), error.operation()),
                (Kind::Source, Operation::Read)
            );
        }
    }
}

#[test]
fn small_files_are_read_and_nothing_is_mapped_before_it_is_asked_for() {
    let (file, _) = sample(PAGE);
    let at = |map_from| {
        open(
            &file,
            &Settings {
                map_from,
                maps: true,
            },
        )
    };
    assert!(at(PAGE + 1).mapped().is_none());
    let source = at(PAGE);
    assert!(source.0.map.get().is_none());
    assert!(source.mapped().is_some());
}

#[test]
fn an_empty_file_opens_and_has_no_bytes() {
    let (file, _) = sample(0);
    let source = open(
        &file,
        &Settings {
            map_from: 0,
            maps: true,
        },
    );
    assert!(source.is_empty() && source.mapped().is_none());
    assert_eq!(source.bytes(0..0).unwrap().len(), 0);
    let mut buffer = vec![9; 9];
    source.read_into(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    source.check(Operation::Check).unwrap();
}

#[test]
fn views_outlive_the_source() {
    let (file, content) = sample(4 * PAGE);
    let source = open(&file, &MAPPED);
    let view = source.bytes(PAGE..2 * PAGE).unwrap();
    let map = Arc::downgrade(&source.map().unwrap().map);
    drop(source);
    assert_eq!(view, content[4096..8192]);
    let tail = view.slice(4090..);
    drop(view);
    assert_eq!(tail, content[8186..8192]);
    assert_eq!(map.strong_count(), 1);
    drop(tail);
    assert_eq!(map.strong_count(), 0, "the last view unmaps");
}

#[test]
fn released_ranges_come_back_unchanged() {
    let (file, content) = sample(5 * PAGE + 100);
    let source = open(&file, &MAPPED);
    source.release(0..PAGE); // not mapped yet
    source.advise_sequential();
    assert_eq!(source.mapped().unwrap(), content);
    for range in [
        0..5 * PAGE + 100,
        1..PAGE + 1,
        4000..9000,
        3 * PAGE..5 * PAGE + 100,
        7..7,
        0..u64::MAX,
    ] {
        source.release(range);
        assert_eq!(source.mapped().unwrap(), content);
    }
    assert!(!source.is_spoiled());
}

#[test]
fn a_buffer_is_reused_from_file_to_file() {
    let mut buffer = Vec::new();
    for len in [5000, 3, 0, 4999, 5000] {
        let (file, content) = sample(len);
        open(&file, &READ).read_into(&mut buffer).unwrap();
        assert_eq!(buffer, content);
    }
}

#[test]
fn a_truncated_file_is_named_and_never_a_signal() {
    for settings in [MAPPED, READ] {
        let (file, _) = sample(100 * PAGE);
        let source = open(&file, &settings);
        let view = settings.maps.then(|| source.bytes(0..100 * PAGE).unwrap());
        file.as_file().set_len(PAGE + 1).unwrap();
        if let Some(view) = view {
            assert!(view[..=4096].iter().any(|&byte| byte != 0));
            assert!(view[4097..].iter().all(|&byte| byte == 0));
            assert!(source.is_spoiled());
        }
        assert_eq!(why(&source), "truncated from 409600 to 4097 bytes");
        let error = source.bytes(50 * PAGE..51 * PAGE).unwrap_err();
        assert!(words(error).contains("truncated from 409600"));
        let error = source.read_into(&mut Vec::new()).unwrap_err();
        assert_eq!(
            words(error),
            "changed while it was used: truncated from 409600 to 4097 bytes"
        );
    }
}

#[test]
fn a_file_truncated_and_restored_stays_spoiled() {
    let (file, content) = sample(16 * PAGE);
    let source = open(&file, &MAPPED);
    let view = source.bytes(0..16 * PAGE).unwrap();
    file.as_file().set_len(0).unwrap();
    assert_eq!(view[9], 0);
    fs::write(file.path(), &content).unwrap();
    assert!(source.is_spoiled());
    assert_eq!(
        view[9], 0,
        "the zeros stay, so that no digest mixes the two"
    );
    assert!(source.bytes(0..1).is_err());
    assert_eq!(why(&source), "modified in place");
}

#[test]
fn a_spoiled_map_of_an_unchanged_file_is_still_refused() {
    let (file, _) = sample(2 * PAGE);
    let mut source = open(&file, &MAPPED);
    let view = source.bytes(0..2 * PAGE).unwrap();
    file.as_file().set_len(0).unwrap();
    assert_eq!(view[0], 0);
    // As if nothing had happened but the fault: what a bad sector looks like.
    drop(view);
    let now = Identity::of(&file.as_file().metadata().unwrap());
    Arc::get_mut(&mut source.0).unwrap().identity = now;
    assert!(why(&source).starts_with("a part of it could not be read"));
}

#[test]
fn each_way_to_change_is_told_apart() {
    for settings in [MAPPED, READ] {
        let grown = |path: &Path| {
            fs::OpenOptions::new()
                .append(true)
                .open(path)
                .unwrap()
                .set_len(2 * PAGE + 5)
                .unwrap()
        };
        assert_eq!(after(&settings, grown), "grown from 8192 to 8197 bytes");
        let edited = |path: &Path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(b"x", 5).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        assert_eq!(after(&settings, edited), "modified in place");
        let touched =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            after(&settings, touched),
            "its change time moved (attributes or contents)"
        );
        let replaced = |path: &Path| {
            let other = path.with_extension("new");
            fs::write(&other, vec![0; 2 * PAGE as usize]).unwrap();
            fs::rename(other, path).unwrap();
        };
        assert_eq!(after(&settings, replaced), "replaced by another file");
        assert_eq!(
            after(&settings, |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap()
            }),
            "replaced by another file"
        );
    }
}

#[test]
fn a_deleted_or_moved_file_may_finish_unless_it_changed_too() {
    for settings in [MAPPED, READ] {
        assert_eq!(after(&settings, |path| fs::remove_file(path).unwrap()), "");
        assert_eq!(
            after(&settings, |path| fs::rename(
                path,
                path.with_extension("away")
            )
            .unwrap()),
            ""
        );
        let hard_link = |path: &Path| {
            fs::hard_link(path, path.with_extension("link")).unwrap();
            fs::remove_file(path).unwrap();
        };
        assert_eq!(after(&settings, hard_link), "");
        let shortened = |path: &Path| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1)
                .unwrap();
            fs::remove_file(path).unwrap();
        };
        assert_eq!(
            after(&settings, shortened),
            "truncated from 8192 to 1 bytes"
        );
    }
}

#[test]
fn growth_is_seen_by_the_read_itself() {
    let (file, _) = sample(100);
    let source = open(&file, &READ);
    file.as_file().set_len(150).unwrap();
    let error = source.read_into(&mut Vec::new()).unwrap_err();
    assert_eq!(
        words(error),
        "changed while it was used: grown from 100 to 150 bytes"
    );
}

#[test]
fn the_operation_of_a_check_is_kept() {
    let (file, _) = sample(10);
    let source = open(&file, &READ);
    file.as_file().set_len(1).unwrap();
    let error = source.check(Operation::Complete).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (Kind::Source, Operation::Complete)
    );
    assert_eq!(error.file(), Some(file.path()));
}

/// Thousands of times: map, look at some, truncate anywhere, look at the rest.
#[test]
fn truncation_under_a_reader_is_survived_every_time() {
    let (file, content) = sample(16 * PAGE);
    let mut spoiled = 0;
    for round in 0..4000_u64 {
        fs::write(file.path(), &content).unwrap();
        let source = open(&file, &MAPPED);
        let memory = source.mapped().unwrap();
        let looked = (round % 16 * PAGE) as usize;
        assert_eq!(memory[..looked], content[..looked]);
        let left = round * 997 % (16 * PAGE);
        file.as_file().set_len(left).unwrap();
        let edge = left.next_multiple_of(PAGE) as usize;
        assert_eq!(memory[..left as usize], content[..left as usize]);
        assert!(memory[left as usize..].iter().all(|&byte| byte == 0));
        assert_eq!(source.is_spoiled(), edge < memory.len(), "round {round}");
        spoiled += usize::from(source.is_spoiled());
        assert_eq!(
            why(&source),
            format!("truncated from 65536 to {left} bytes")
        );
    }
    assert!(spoiled > 3500, "{spoiled}");
}

/// Four readers in the same maps while a fifth truncates; each map is given up by whoever is last.
#[test]
fn truncation_under_many_readers_is_survived_every_time() {
    let rounds = 1000;
    let (file, content) = sample(64 * PAGE);
    let spoiled = AtomicUsize::new(0);
    for round in 0..rounds {
        fs::write(file.path(), &content).unwrap();
        let source = open(&file, &MAPPED);
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            for reader in 0..4 {
                let view = source
                    .bytes(reader * 16 * PAGE..(reader + 1) * 16 * PAGE)
                    .unwrap();
                let (started, content) = (&started, &content);
                scope.spawn(move || {
                    started.store(true, Ordering::Release);
                    let expected = &content[(reader * 16 * PAGE) as usize..];
                    for (byte, expected) in view.iter().zip(expected) {
                        assert!(byte == expected || *byte == 0);
                    }
                });
            }
            while !started.load(Ordering::Acquire) {
                thread::yield_now();
            }
            file.as_file().set_len(round % 64 * PAGE).unwrap();
        });
        assert!(source.check(Operation::Check).is_err());
        // Whoever came too late for the fault above, meets it here.
        assert_eq!(source.mapped().unwrap().last(), Some(&0));
        spoiled.fetch_add(usize::from(source.is_spoiled()), Ordering::Relaxed);
    }
    assert_eq!(spoiled.into_inner(), rounds as usize);
}

/// Maps come and go on some threads while others fault: slots change hands under the handler.
#[test]
fn slots_change_hands_while_others_fault() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (file, content) = sample(3 * PAGE);
                while !done.load(Ordering::Relaxed) {
                    let source = open(&file, &MAPPED);
                    assert_eq!(source.mapped().unwrap(), content);
                    assert!(!source.is_spoiled());
                }
            });
        }
        let (file, content) = sample(8 * PAGE);
        for _ in 0..2000 {
            fs::write(file.path(), &content).unwrap();
            let source = open(&file, &MAPPED);
            let view = source.bytes(0..8 * PAGE).unwrap();
            file.as_file().set_len(PAGE).unwrap();
            assert_eq!(view[..4096], content[..4096]);
            assert_eq!(view[5 * 4096], 0);
            assert!(source.is_spoiled());
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_not_a_regular_file_is_named() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    symlink("pipe", at("link")).unwrap();
    let rows = [
        (
            folder.path().to_owned(),
            "is a directory, not a regular file",
        ),
        (at("pipe"), "is a named pipe, not a regular file"),
        (at("link"), "is a named pipe, not a regular file"),
        (at("socket"), "is a socket, not a regular file"),
        (
            "/dev/zero".into(),
            "is a character device, not a regular file",
        ),
    ];
    for (path, expected) in rows {
        let error = Source::open(&path, &MAPPED).unwrap_err();
        assert_eq!(
            (error.kind(), error.operation()),
            (Kind::Source, Operation::Read)
        );
        assert_eq!(
            (error.file(), error.message()),
            (Some(path.as_path()), expected)
        );
    }
}

#[test]
fn a_link_to_a_file_is_that_file_and_a_dead_one_is_missing() {
    let folder = tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    symlink("target", &link).unwrap();
    assert!(
        Source::open(&link, &MAPPED)
            .unwrap_err()
            .message()
            .contains("No such file")
    );
    fs::write(&target, b"abc").unwrap();
    let source = Source::open(&link, &MAPPED).unwrap();
    assert_eq!(source.bytes(0..3).unwrap(), b"abc".as_slice());
    source.check(Operation::Check).unwrap();
}

#[test]
fn an_unreadable_file_says_so() {
    let (file, _) = sample(10);
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o000)).unwrap();
    let path = file.path().to_owned();
    let error = thread::spawn(move || as_nobody(|| Source::open(&path, &MAPPED).unwrap_err()))
        .join()
        .unwrap();
    assert_eq!(error.kind(), Kind::Source);
    assert!(error.message().contains("Permission denied"), "{error}");
}

#[test]
fn sources_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let (file, _) = sample(1);
    shared(&open(&file, &MAPPED));
}

/// Root may read everything: file accesses of this one thread go under another user's id.
#[allow(unsafe_code)]
fn as_nobody<T>(act: impl FnOnce() -> T) -> T {
    // SAFETY: `setfsuid` has no preconditions and concerns the calling thread only; it fails
    // silently without the right, and then the caller is not root to begin with.
    unsafe { libc::setfsuid(65534) };
    act()
}

fn sample(len: u64) -> (NamedTempFile, Vec<u8>) {
    let file = NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..len).map(|at| (at % 251 + 1) as u8).collect();
    fs::write(file.path(), &content).unwrap();
    (file, content)
}

fn open(file: &NamedTempFile, settings: &Settings) -> Source {
    Source::open(file.path(), settings).unwrap()
}

/// What a check says after `change` was done to a file of two pages; empty if it passes.
fn after(settings: &Settings, change: impl FnOnce(&Path)) -> String {
    let folder: TempDir = tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![1; 2 * PAGE as usize]).unwrap();
    let source = Source::open(&path, settings).unwrap();
    source.bytes(0..PAGE).unwrap();
    change(&path);
    match source.check(Operation::Check) {
        Ok(()) => String::new(),
        Err(error) => words(error).replace("changed while it was used: ", ""),
    }
}

fn why(source: &Source) -> String {
    words(source.check(Operation::Check).unwrap_err()).replace("changed while it was used: ", "")
}

fn words(error: Error) -> String {
    assert_eq!(error.kind(), Kind::Source);
    error.message().to_owned()
}
