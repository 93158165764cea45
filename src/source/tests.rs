//! Bytes by map and by read, and everything that is not a file.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use tempfile::{NamedTempFile, TempDir, tempdir};

use super::*;

mod changes;
mod origins;
mod storm;

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
            let bytes = source
                .bytes(range.start as u64..range.end as u64, &Memory::default())
                .unwrap();
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
            let error = source.bytes(range, &Memory::default()).unwrap_err();
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
    assert_eq!(source.bytes(0..0, &Memory::default()).unwrap().len(), 0);
    let mut buffer = vec![9; 9];
    source.read_into(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    source.check(Operation::Check).unwrap();
}

#[test]
fn views_outlive_the_source() {
    let (file, content) = sample(4 * PAGE);
    let source = open(&file, &MAPPED);
    let view = source.bytes(PAGE..2 * PAGE, &Memory::default()).unwrap();
    let map = Arc::downgrade(source.map().unwrap().map.as_ref().unwrap());
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
fn pages_leave_the_process_and_come_back_unchanged() {
    let size = 300 << 20;
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    file.as_file().write_all_at(b"end", size - 3).unwrap();
    let source = open(&file, &MAPPED);
    let mapped = source.mapped().unwrap();
    let mut highest = 0;
    for piece in mapped.chunks(1 << 20) {
        assert!(piece.iter().step_by(4096).all(|&byte| byte == 0));
        touched(piece.len() as u64);
        highest = highest.max(resident());
    }
    assert!(highest < 200 << 20, "{highest}");
    assert_eq!(&mapped[mapped.len() - 3..], b"end");
    source.check(Operation::Check).unwrap();
}

/// Bytes of files that are in the memory of this process.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssFile:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() << 10
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
            (error.path(), error.message()),
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
    assert_eq!(
        source.bytes(0..3, &Memory::default()).unwrap(),
        b"abc".as_slice()
    );
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

/// Whatever else is there is left to [`Source::open`], and nothing is waited for.
#[test]
fn what_is_small_and_a_file_is_read_at_once() {
    let (file, content) = sample(100);
    for before in [0, 50, 101, 500] {
        let mut buffer = vec![9; before];
        assert!(read_small(file.path(), 101, &mut buffer));
        assert_eq!(buffer, content);
        assert!(!read_small(file.path(), 100, &mut buffer), "it is large");
    }
    let folder = tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("coreutils").success());
    let others = [&empty, &pipe, folder.path(), &folder.path().join("gone")];
    let devices = ["/dev/zero", "/dev/null", "/proc/version"].map(Path::new);
    for path in others.into_iter().chain(devices) {
        assert!(!read_small(path, 4096, &mut Vec::new()), "{path:?}");
    }
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
    source.bytes(0..PAGE, &Memory::default()).unwrap();
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

#[test]
fn what_a_process_uses_of_the_processors_is_counted() {
    let before = processor_time();
    let began = std::time::Instant::now();
    while processor_time() - before < std::time::Duration::from_millis(50) {
        assert!(began.elapsed().as_secs() < 60, "it does nothing else");
        std::hint::black_box((0..100_000_u64).sum::<u64>());
    }
}
