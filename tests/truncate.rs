//! Files that change under the hash and under the send: an error that says what changed, never a
//! signal, never a wrong file, and the others go on.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Scene, failure, noise, outcomes_and_warnings, wait};
use panup::{Client, Item, Kind, Options, Outcome, Status};
use panup_emulator::{NetworkConditions, Operation, Place, Tls};

/// Mapped, not read: from 4 MiB on.
const LARGE: u64 = 5 << 20;

/// What is done to a file, and what its error says.
const CHANGES: [(Change, &str); 6] = [
    (Change::Truncate, "truncated from"),
    (Change::Empty, "truncated from"),
    (Change::Append, "grown from"),
    (Change::Edit, "modified in place"),
    (Change::Replace, "replaced"),
    (Change::Overwrite, ""),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Truncate,
    Empty,
    Append,
    Edit,
    Replace,
    /// Truncated to nothing and written anew, as `>` and many editors do.
    Overwrite,
}

fn make(change: Change, path: &Path, seed: u64) {
    let open = || OpenOptions::new().write(true).open(path).expect("ours");
    match change {
        Change::Truncate => open().set_len(4096 + seed % 100_000).expect("ours"),
        Change::Empty => open().set_len(0).expect("ours"),
        Change::Append => {
            let mut file = OpenOptions::new().append(true).open(path).expect("ours");
            file.write_all(b"more").expect("room");
        }
        Change::Edit => {
            let mut file = open();
            let at = seed.wrapping_mul(7919) % LARGE;
            file.seek(SeekFrom::Start(at)).expect("ours");
            file.write_all(&[seed as u8 ^ 0x5a, 1, 2, 3][..])
                .expect("room");
        }
        Change::Replace => {
            let beside = path.with_extension("new");
            fs::write(&beside, noise(LARGE, seed + 1_000_000)).expect("room");
            if cfg!(windows) {
                // What is open keeps its name until it has another, on file systems without POSIX's way.
                fs::rename(path, path.with_extension("old")).expect("ours");
            }
            fs::rename(beside, path).expect("ours");
        }
        Change::Overwrite => fs::write(path, noise(LARGE, seed + 2_000_000)).expect("room"),
    }
}

fn options(scene: &Scene) -> Options {
    let mut options = scene.sliced();
    options.concurrency = Some(4);
    options.hash_threads = Some(2);
    options
}

/// A file of that name is either not there or what it was when the upload began.
fn nothing_wrong(scene: &Scene, before: &[(String, Vec<u8>)]) {
    for (name, bytes) in scene.stored_bytes() {
        let known = before.iter().find(|(known, _)| *known == name);
        let (_, wanted) = known.expect("nothing else was handed in");
        assert!(bytes == *wanted, "{name} is not what it was");
    }
}

fn slow(scene: &Scene, bandwidth: Option<u64>) {
    for server in 0..2 {
        let conditions = NetworkConditions {
            bandwidth,
            ..NetworkConditions::default()
        };
        scene
            .emulator
            .set_network(Place::Server(server), conditions);
    }
}

/// Each change in the middle of the send, beside a file that is left alone.
async fn under_the_send(tls: Tls, maps: bool) {
    for (at, (change, says)) in CHANGES.into_iter().enumerate() {
        let scene = Scene::small_with(tls, |config| config.slice_size = 256 << 10);
        let changing = scene.item("changing", LARGE, at as u64);
        let quiet = scene.item("quiet", LARGE, 50 + at as u64);
        let before = [&changing, &quiet]
            .map(|item| (item.remote.clone(), fs::read(&item.path).expect("there")));
        slow(&scene, Some(4 << 20));
        let mut options = options(&scene);
        options.maps = maps;
        let client = Client::new(options).expect("sound");
        let run = client
            .start([changing.clone(), quiet.clone()])
            .expect("threads");
        tokio::task::block_in_place(|| {
            wait("both are being sent", || {
                scene.calls(Operation::Create).0 == 2 && scene.calls(Operation::Slice).0 >= 3
            });
            make(change, &changing.path, at as u64);
            slow(&scene, None);
        });
        let (outcomes, warnings) = outcomes_and_warnings(run).await;
        assert_eq!((outcomes.len(), warnings.len()), (2, 0), "{warnings:?}");
        let failed = of(&outcomes, &changing);
        let error = failure(failed);
        assert_eq!(error.kind(), Kind::Source, "{change:?}: {error}");
        assert!(error.to_string().contains(says), "{change:?}: {error}");
        assert_eq!(error.path(), Some(changing.path.as_path()));
        assert!(matches!(of(&outcomes, &quiet).status, Status::Uploaded(_)));
        nothing_wrong(&scene, &before);
        assert_eq!(scene.stored_bytes().len(), 1, "the quiet one");
        assert_eq!(scene.unfinished(), [], "of no use to a later run");
    }
}

fn of<'a>(outcomes: &'a [Outcome], item: &Item) -> &'a Outcome {
    let of = outcomes.iter().find(|outcome| outcome.path == item.path);
    of.expect("every file ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_under_the_send_plain() {
    under_the_send(Tls::Off, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_under_the_send_encrypted() {
    under_the_send(Tls::Both, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_under_the_send_read_not_mapped() {
    under_the_send(Tls::Off, false).await;
}

/// Each change in the middle of the hash of a large file.
#[tokio::test(flavor = "multi_thread")]
async fn changed_under_the_hash() {
    for (at, (change, says)) in CHANGES.into_iter().enumerate() {
        let scene = Scene::small_with(Tls::Off, |config| config.slice_size = 1 << 20);
        let size = 64 << 20;
        let item = scene.item("f", size, at as u64);
        let client = Client::new(options(&scene)).expect("sound");
        let run = client.start([item.clone()]).expect("threads");
        tokio::task::block_in_place(|| {
            let hashed = || run.progress().snapshot().hashed;
            wait("it is being hashed", || hashed() > 0);
            assert!(hashed() < size, "too late");
            make(change, &item.path, at as u64);
        });
        let (outcomes, _) = outcomes_and_warnings(run).await;
        let error = failure(&outcomes[0]);
        assert_eq!(error.kind(), Kind::Source, "{change:?}: {error}");
        assert!(error.to_string().contains(says), "{change:?}: {error}");
        assert_eq!(scene.calls(Operation::Create).1, 0, "not even announced");
    }
}

/// A file that is deleted, but open and unchanged, may finish.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_under_the_send() {
    let scene = Scene::small_with(Tls::Off, |config| config.slice_size = 256 << 10);
    let item = scene.item("f", LARGE, 1);
    let before = fs::read(&item.path).expect("there");
    slow(&scene, Some(4 << 20));
    let run = Client::new(options(&scene))
        .expect("sound")
        .start([item.clone()]);
    let run = run.expect("threads");
    tokio::task::block_in_place(|| {
        wait("it is being sent", || scene.calls(Operation::Slice).0 >= 3);
        fs::remove_file(&item.path).expect("ours");
        slow(&scene, None);
    });
    let (outcomes, _) = outcomes_and_warnings(run).await;
    assert!(
        matches!(outcomes[0].status, Status::Uploaded(_)),
        "{outcomes:?}"
    );
    assert!(scene.stored_bytes()["f"] == before);
}

/// Many files, each truncated, edited, replaced or restored over and over, while runs go on.
async fn storm(tls: Tls, rounds: u64) {
    let scene = Scene::small_with(tls, |config| config.slice_size = 256 << 10);
    let (mut ends, mut wrong) = ([0_u64; 2], 0);
    let truncations = AtomicU64::new(0);
    for round in 0..rounds {
        let items: Vec<Item> = (0..4)
            .map(|at| scene.item(&format!("r{round}-{at}"), LARGE, round * 10 + at))
            .collect();
        let before: Vec<Vec<u8>> = items
            .iter()
            .map(|item| fs::read(&item.path).expect("there"))
            .collect();
        let client = Client::new(options(&scene)).expect("sound");
        let run = client.start(items.clone()).expect("threads");
        let over = AtomicBool::new(false);
        let outcomes = thread::scope(|scope| {
            // The last file is left alone.
            for (at, item) in items[..3].iter().enumerate() {
                let (over, truncations) = (&over, &truncations);
                scope.spawn(move || {
                    let count = tease(&item.path, round * 10 + at as u64, over);
                    truncations.fetch_add(count, Ordering::Relaxed);
                });
            }
            let told = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(outcomes_and_warnings(run))
            });
            over.store(true, Ordering::Relaxed);
            told.0
        });
        assert_eq!(outcomes.len(), 4);
        let stored = scene.stored_bytes();
        for (item, before) in items.iter().zip(&before) {
            let outcome = of(&outcomes, item);
            match &outcome.status {
                Status::Failed(error) => {
                    ends[0] += 1;
                    assert_eq!(error.kind(), Kind::Source, "{error}");
                    assert!(!stored.contains_key(&item.remote), "{error}");
                }
                _ => {
                    ends[1] += 1;
                    wrong += u64::from(stored[&item.remote] != *before);
                }
            }
        }
        assert!(matches!(
            of(&outcomes, &items[3]).status,
            Status::Uploaded(_)
        ));
    }
    assert_eq!(wrong, 0);
    assert!(ends[0] >= rounds, "files must be caught: {ends:?}");
    let truncations = truncations.into_inner();
    assert!(truncations >= 1000, "thousands of them: {truncations}");
}

/// Truncates at some moment of the upload and from then on until it is over; how often.
fn tease(path: &Path, seed: u64, over: &AtomicBool) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    // Not synchronisation: the moment is random on purpose, from before the hash to the end.
    thread::sleep(Duration::from_micros(rng.u64(0..500_000)));
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        count += 1;
        let file = File::options().write(true).open(path).expect("ours");
        file.set_len(rng.u64(0..LARGE)).expect("ours");
        thread::sleep(Duration::from_micros(rng.u64(0..500)));
        file.set_len(LARGE).expect("ours");
        thread::sleep(Duration::from_micros(rng.u64(0..2000)));
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_over_and_over_plain() {
    storm(Tls::Off, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_over_and_over_encrypted() {
    storm(Tls::Both, 12).await;
}
