//! What can be uploaded besides files: parts of them, bytes in memory, contents of a caller's own.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use panup::digest::md5;
use panup::{ByteSource, Client, Item, Kind, Status};

use crate::common::{SLICE, Scene, noise, upload};

/// Sizes that go in one call, in slices, and mapped.
const SIZES: [u64; 3] = [1000, 5 * SLICE + 1, 5 << 20];

#[tokio::test(flavor = "multi_thread")]
async fn bytes_parts_and_sources_arrive_and_are_known_the_next_time() {
    for single_max in [0, 100_000_000] {
        let scene = Scene::small();
        let whole = noise(SIZES.iter().sum(), 1);
        let path = scene.path("whole");
        std::fs::write(&path, &whole).expect("written");
        let mut items = Vec::new();
        let mut expected = Vec::new();
        let mut start = 0;
        for size in SIZES {
            let part = start..start + size;
            let bytes = Bytes::copy_from_slice(&whole[start as usize..part.end as usize]);
            items.extend([
                Item::part(&path, part).to(0, format!("part{size}")),
                Item::bytes("in memory", bytes.clone()).to(0, format!("bytes{size}")),
                Item::source("own", Own::new(bytes.clone())).to(0, format!("own{size}")),
            ]);
            expected.extend(
                ["part", "bytes", "own"].map(|kind| (format!("{kind}{size}"), md5(&bytes))),
            );
            start += size;
        }
        let mut options = scene.sliced();
        (options.single_max, options.concurrency) = (single_max, None);
        let client = Client::new(options.clone()).expect("sound options");
        for outcome in upload(&client, items.clone()).await {
            assert!(outcome.status.error().is_none(), "{outcome:?}");
        }
        for (remote, md5) in &expected {
            assert_eq!(scene.stored(remote).md5, md5.to_string(), "{remote}");
        }
        drop(client);
        let client = Client::new(options).expect("sound options");
        for outcome in upload(&client, items).await {
            assert!(matches!(outcome.status, Status::Skipped(_)), "{outcome:?}");
        }
    }
}

/// Under one name, others each time: the name alone is no promise.
#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_of_the_same_length_and_name_are_sent() {
    let scene = Scene::small();
    let mut options = scene.sliced();
    options.on_conflict = panup::Conflict::Overwrite;
    for seed in [1, 2] {
        let client = Client::new(options.clone()).expect("sound options");
        let bytes = noise(3 * SLICE, seed);
        let expected = md5(&bytes).to_string();
        let outcomes = upload(&client, [Item::bytes("same", bytes)]).await;
        assert!(
            matches!(outcomes[0].status, Status::Uploaded(_)),
            "{outcomes:?}"
        );
        assert_eq!(scene.stored("same").md5, expected);
    }
}

/// Two of one name are two: the second is refused, not taken for the first.
#[tokio::test(flavor = "multi_thread")]
async fn two_for_one_place_are_told_apart() {
    let scene = Scene::small();
    let client = scene.client();
    let path = scene.file("f", 100);
    for items in [
        [Item::bytes("x", "one"), Item::bytes("x", "two")],
        [
            Item::part(&path, 0..10).to(0, "y"),
            Item::part(&path, 10..20).to(0, "y"),
        ],
    ] {
        let outcomes = upload(&client, items).await;
        let failed: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| outcome.status.error())
            .collect();
        assert_eq!(failed.len(), 1, "{outcomes:?}");
        assert_eq!(failed[0].kind(), Kind::Invalid);
    }
    let same = [
        Item::part(&path, 0..10).to(0, "z"),
        Item::part(&path, 0..10).to(0, "z"),
    ];
    let outcomes = upload(&client, same).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.status.error().is_none()),
        "{outcomes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_misbehaves_fails_alone() {
    let faults: [(Fault, Kind, &str); 6] = [
        (Fault::Short, Kind::Source, "gave"),
        (Fault::Fails, Kind::Source, "the tape broke"),
        (Fault::FailsWhenSent, Kind::Source, "the tape broke"),
        (Fault::Panics, Kind::Source, "panicked"),
        (Fault::Changes, Kind::Source, "changed"),
        (Fault::ChangesInSecret, Kind::Integrity, "upload_complete"),
    ];
    for (fault, kind, why) in faults {
        for size in [900, 9 * SLICE, 5 << 20] {
            if fault.is_of_the_second_time() && size == 900 {
                continue;
            }
            let scene = Scene::small();
            let mut options = scene.options();
            options.single_max = 1000;
            let client = Client::new(options).expect("sound options");
            let bad = Own {
                fault: Some(fault),
                ..Own::new(noise(size, 1).into())
            };
            let items = [
                Item::source("bad", bad),
                Item::bytes("good", noise(7 * SLICE, 2)),
            ];
            let outcomes = upload(&client, items).await;
            let of = |name: &str| {
                let mut found = outcomes.iter().filter(|outcome| outcome.remote == name);
                found.next().expect("told")
            };
            assert!(
                of("good").status.error().is_none(),
                "{fault:?} {size}: {outcomes:?}"
            );
            let error = of("bad").status.error().expect("failed");
            assert_eq!(error.kind(), kind, "{fault:?} {size}: {error}");
            assert!(error.to_string().contains(why), "{fault:?} {size}: {error}");
            let there: Vec<_> = scene
                .emulator
                .files()
                .iter()
                .map(|file| file.path.clone())
                .collect();
            assert_eq!(there, ["good"], "{fault:?} {size}");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Fewer bytes than were asked for.
    Short,
    /// An error half way.
    Fails,
    /// An error when it is read for the second time.
    FailsWhenSent,
    Panics,
    /// Other bytes the second time, and it says so.
    Changes,
    /// Other bytes from the second time on, and it does not say so: the service finds out.
    ChangesInSecret,
}

impl Fault {
    /// Contents of one call are read once.
    fn is_of_the_second_time(self) -> bool {
        use Fault::{Changes, ChangesInSecret, FailsWhenSent};
        matches!(self, FailsWhenSent | Changes | ChangesInSecret)
    }
}

/// Contents that lie nowhere in particular.
struct Own {
    bytes: Bytes,
    fault: Option<Fault>,
    read: AtomicU64,
}

impl Own {
    fn new(bytes: Bytes) -> Own {
        Own {
            bytes,
            fault: None,
            read: AtomicU64::new(0),
        }
    }

    fn is_second(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= self.length()
    }
}

impl ByteSource for Own {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let half = self.length() / 2;
        let bytes = self.bytes.slice(range.start as usize..range.end as usize);
        let is_second = self.is_second();
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match self.fault {
            Some(Fault::Short) if !bytes.is_empty() => Ok(bytes.slice(1..)),
            Some(Fault::Fails) if range.end > half => Err(io::Error::other("the tape broke")),
            Some(Fault::FailsWhenSent) if is_second => Err(io::Error::other("the tape broke")),
            Some(Fault::Panics) if range.end > half => panic!("a caller's mistake"),
            Some(Fault::Changes | Fault::ChangesInSecret) if is_second => {
                Ok(vec![0; bytes.len()].into())
            }
            _ => Ok(bytes),
        }
    }

    fn version(&self) -> io::Result<u64> {
        Ok(u64::from(
            self.fault == Some(Fault::Changes) && self.is_second(),
        ))
    }
}
