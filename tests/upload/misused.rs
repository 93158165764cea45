//! What callers do wrong, or cannot help: sources that lie, panic or hang, a runtime that is gone, a state folder
//! that is shared. An error of the right kind each; other items go on, nothing wrong completes, nothing hangs.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use panup::{ByteSource, Client, Item, Kind, Status};
use panup_emulator::{Action, Fault, Operation};

use crate::common::{SLICE, Scene, failure, noise, outcomes, run_within, wait, within};

const PATIENCE: Duration = Duration::from_secs(30);

/// A caller's contents that hang when they are read until they are let go.
#[derive(Default)]
pub struct Hanging {
    free: Mutex<bool>,
    freed: Condvar,
    asked: AtomicBool,
}

impl ByteSource for Hanging {
    fn length(&self) -> u64 {
        3 * SLICE
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.asked.store(true, Ordering::Relaxed);
        let free = self.free.lock().expect("no panic");
        drop(
            self.freed
                .wait_while(free, |free| !*free)
                .expect("no panic"),
        );
        Ok(
            noise(3 * SLICE, 3)[range.start as usize..range.end as usize]
                .to_vec()
                .into(),
        )
    }
}

impl Hanging {
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn free(&self) {
        *self.free.lock().expect("no panic") = true;
        self.freed.notify_all();
    }
}

#[test]
fn a_source_that_blocks_ends_with_an_abort_an_interrupt_or_its_run() {
    enum End {
        Abort,
        Interrupt,
        Drop,
    }
    for end in [End::Abort, End::Interrupt, End::Drop] {
        let scene = Scene::small();
        let mut options = scene.options();
        options.hash_threads = Some(2);
        let client = Client::new(options).expect("sound");
        let source = Arc::new(Hanging::default());
        within(PATIENCE, async {
            let run = client.start([]).expect("threads");
            let handle = run
                .add(Item::source("blocks", Arc::clone(&source)))
                .expect("open");
            tokio::task::block_in_place(|| {
                wait("it is read", || source.is_asked());
            });
            let good = run
                .add(Item::bytes("good", noise(5 << 20, 4)))
                .expect("open");
            assert!(good.await.status.error().is_none());
            match end {
                End::Abort => {
                    handle.abort();
                    assert_eq!(failure(&handle.await).kind(), Kind::Cancelled);
                    let summary = run.finish().await;
                    assert_eq!((summary.uploaded, summary.interrupted), (1, 1));
                }
                End::Interrupt => {
                    run.interrupt();
                    run.finish().await;
                    assert_eq!(failure(&handle.await).kind(), Kind::Cancelled);
                }
                End::Drop => {
                    drop(run);
                    assert_eq!(failure(&handle.await).kind(), Kind::Cancelled);
                }
            }
        });
        source.free();
        assert_eq!(
            scene.emulator.files().len(),
            1,
            "only the good one is there"
        );
    }
}

/// Its thread goes on to the next one: there is only one that hashes.
#[test]
fn a_file_that_was_aborted_is_read_no_further() {
    let scene = Scene::small();
    let mut options = scene.options();
    options.hash_threads = Some(1);
    let client = Client::new(options).expect("sound");
    let source = Arc::new(Endless::default());
    within(PATIENCE, async {
        let run = client.start([]).expect("threads");
        let file = run
            .add(Item::source("endless", Arc::clone(&source)))
            .expect("open");
        tokio::task::block_in_place(|| wait("it is read", || source.0.is_asked()));
        file.abort();
        assert_eq!(failure(&file.await).kind(), Kind::Cancelled);
        source.0.free();
        let next = run
            .add(Item::bytes("next", noise(5 << 20, 4)))
            .expect("open");
        assert!(next.await.status.error().is_none());
    });
    let read = source.1.load(Ordering::Relaxed);
    assert!(read < 4 << 20, "{read} bytes were read");
}

/// Ten gigabytes that hang when they are first read; and how much of them was read.
#[derive(Default)]
struct Endless(Hanging, AtomicU64);

impl ByteSource for Endless {
    fn length(&self) -> u64 {
        10_000_000_000
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.0.bytes(0..1)?;
        let length = range.end - range.start;
        self.1.fetch_add(length, Ordering::Relaxed);
        Ok(vec![0; length as usize].into())
    }
}

/// The handle and the reader are told, the journal is whole, and the next run goes on.
#[test]
fn a_runtime_that_is_dropped_interrupts_its_runs() {
    let scene = Scene::small();
    let item = scene.item("f", 8 * SLICE, 1);
    stalled(&scene, 5);
    let client = scene.sliced_client();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads");
    let (mut run, handle) = runtime.block_on(async {
        let run = client.start([]).expect("threads");
        let handle = run.add(item.clone()).expect("open");
        (run, handle)
    });
    scene.wait_for_acks(4);
    drop(runtime);
    within(PATIENCE, async {
        assert_eq!(failure(&handle.await).kind(), Kind::Cancelled);
        while run.next().await.is_some() {}
        assert_eq!(
            run.add(Item::bytes("g", "g")).expect_err("over").kind(),
            Kind::State
        );
        drop(run);
        drop(client);
        scene
            .sliced_client()
            .upload(item.clone())
            .await
            .expect("goes on");
    });
    scene.assert_stored(&[&item]);
}

/// Each of these costs its own file, and names it.
#[test]
fn a_source_that_lies_or_panics_anywhere_fails_alone() {
    for lie in [
        Lie::LengthPanics,
        Lie::VersionPanics,
        Lie::MemoryPanics,
        Lie::GivesMore,
        Lie::Grows,
        Lie::MemoryIsShort,
    ] {
        for size in [900, 9 * SLICE, 5 << 20] {
            let scene = Scene::small();
            let mut options = scene.options();
            options.single_max = 1000;
            let client = Client::new(options).expect("sound");
            let liar = Liar {
                lie,
                bytes: noise(size, 1).into(),
                asked: AtomicU64::new(0),
            };
            let items = [
                Item::source("bad", liar),
                Item::bytes("good", noise(7 * SLICE, 2)),
                Item::bytes("mapped", noise(5 << 20, 3)),
            ];
            let ended = run_within(PATIENCE, &client, items.to_vec());
            assert_eq!(ended.len(), 3, "{lie:?} {size}");
            for outcome in &ended {
                match (outcome.remote.as_str(), lie) {
                    // What it says besides is not needed.
                    ("bad", Lie::MemoryPanics | Lie::MemoryIsShort) => {
                        assert!(
                            outcome.status.error().is_none(),
                            "{lie:?} {size}: {outcome:?}"
                        );
                        assert_eq!(scene.stored("bad").size, size);
                    }
                    ("bad", _) => {
                        let error = failure(outcome);
                        assert_eq!(error.kind(), Kind::Source, "{lie:?} {size}: {error}");
                        assert!(!scene.stored_bytes().contains_key("bad"));
                    }
                    _ => assert!(
                        outcome.status.error().is_none(),
                        "{lie:?} {size}: {outcome:?}"
                    ),
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    LengthPanics,
    VersionPanics,
    MemoryPanics,
    /// More than was asked for.
    GivesMore,
    /// Another length each time.
    Grows,
    /// The whole is less than the length.
    MemoryIsShort,
}

struct Liar {
    lie: Lie,
    bytes: Bytes,
    asked: AtomicU64,
}

impl ByteSource for Liar {
    fn length(&self) -> u64 {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::LengthPanics => panic!("asked for by a test"),
            Lie::Grows => self.bytes.len() as u64 + asked,
            _ => self.bytes.len() as u64,
        }
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = (range.end as usize).min(self.bytes.len());
        let bytes = self.bytes.slice((range.start as usize).min(end)..end);
        match self.lie {
            Lie::GivesMore => Ok([&bytes[..], b"more"].concat().into()),
            _ => Ok(bytes),
        }
    }

    fn version(&self) -> io::Result<u64> {
        match self.lie {
            Lie::VersionPanics => panic!("asked for by a test"),
            _ => Ok(0),
        }
    }

    fn memory(&self) -> Option<Bytes> {
        match self.lie {
            Lie::MemoryPanics => panic!("asked for by a test"),
            Lie::MemoryIsShort => Some(self.bytes.slice(1..)),
            _ => None,
        }
    }
}

/// Each file goes up once, and both clients know it afterwards.
#[test]
fn two_clients_with_one_state_folder_do_the_work_once() {
    let scene = Scene::small();
    let items: Vec<Item> = (0..40)
        .map(|n| scene.item(&format!("f{n}"), 3 * SLICE, n))
        .collect();
    let clients = [scene.sliced_client(), scene.sliced_client()];
    within(PATIENCE, async {
        let runs = clients.each_ref().map(|client| {
            let run = client.start(items.clone()).expect("threads");
            tokio::spawn(outcomes(run))
        });
        let mut uploaded = 0;
        for run in runs {
            for outcome in run.await.expect("read") {
                assert!(outcome.status.error().is_none(), "{outcome:?}");
                uploaded += u32::from(matches!(outcome.status, Status::Uploaded(_)));
            }
        }
        assert_eq!(uploaded, 40);
    });
    scene.assert_stored(&items.iter().collect::<Vec<_>>());
}

/// The service stops reading the body of slice call `number`, for longer than any test.
pub fn stalled(scene: &Scene, number: u64) {
    let stall = Action::StallReading {
        after: 1000,
        millis: 600_000,
    };
    let fault = Fault::on(Operation::Slice, stall).nth(number);
    scene.emulator.inject(fault);
}
