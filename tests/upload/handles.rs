//! Runs from outside: files that are added, awaited, aborted; pauses; sums; what becomes of handles when a
//! run does not end as it should.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use panup::{ByteSource, Client, Conflict, Event, FileHandle, Item, Kind, Outcome, Run, Status};
use panup_emulator::{Action, Fault, NetworkConditions, Operation, Place};

use crate::common::{SLICE, Scene, failure, noise, outcomes, wait, within};

/// The service stops reading the body of slice call `number`, for longer than any test.
fn stalled(scene: &Scene, number: u64) {
    let stall = Action::StallReading {
        after: 1000,
        millis: 600_000,
    };
    let fault = Fault::on(Operation::Slice, stall).nth(number);
    scene.emulator.inject(fault);
}

const PATIENCE: Duration = Duration::from_secs(30);

fn tagged(item: Item, tag: &str) -> Item {
    let mut item = item;
    item.tag = Some(tag.into());
    item
}

/// Read as the `Stream` that it is.
async fn events(run: Run) -> Vec<Outcome> {
    let mut run = std::pin::pin!(run);
    let mut outcomes = Vec::new();
    while let Some(event) = std::future::poll_fn(|context| run.as_mut().poll_next(context)).await {
        if let Event::File(outcome) = event {
            outcomes.push(outcome);
        }
    }
    outcomes
}

#[test]
fn added_files_are_told_to_their_handles_and_to_the_run() {
    let scene = Scene::small();
    let listed = [scene.item("listed", 10, 0)];
    let added = [
        scene.item("small", 10, 1),
        scene.item("large", 9 * SLICE, 2),
    ];
    let client = scene.sliced_client();
    within(PATIENCE, async {
        let run = client.start(listed.clone()).expect("threads");
        let handles = added.clone().map(|item| {
            let tag = item.remote.clone();
            run.add(tagged(item, &tag)).expect("open")
        });
        let all = tokio::spawn(events(run));
        for handle in handles {
            let tag = handle.tag().cloned();
            let outcome = handle.await;
            assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
            assert_eq!(outcome.tag, tag);
        }
        let mut names: Vec<_> = all
            .await
            .expect("read")
            .into_iter()
            .map(|file| file.remote)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["large", "listed", "small"]);
    });
    scene.assert_stored(&[&listed[0], &added[0], &added[1]]);
}

/// As a list of parts follows the parts.
#[test]
fn what_an_outcome_leads_to_goes_the_same_way() {
    let scene = Scene::small();
    let client = scene.client();
    within(PATIENCE, async {
        let mut run = client.start([Item::bytes("0", "zero")]).expect("threads");
        let mut count = 0;
        while let Some(event) = run.next().await {
            let Event::File(outcome) = event else {
                continue;
            };
            assert!(outcome.status.error().is_none(), "{outcome:?}");
            count += 1;
            if count < 4 {
                // Every other one only when the run has seen that nothing is left.
                if count % 2 == 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                drop(
                    run.add(Item::bytes(count.to_string(), outcome.remote))
                        .expect("open"),
                );
            }
        }
        let summary = run.summary();
        assert_eq!((count, summary.files, summary.uploaded), (4, 4, 4));
        let refused = run.add(Item::bytes("late", "x")).expect_err("over");
        assert_eq!(refused.kind(), Kind::State);
        assert_eq!(run.adder().expect_err("over").kind(), Kind::State);
    });
}

#[test]
fn an_adder_elsewhere_keeps_the_run_open() {
    let scene = Scene::small();
    let client = scene.client();
    within(PATIENCE, async {
        let run = client.start([]).expect("threads");
        let adder = run.adder().expect("open");
        let adds = tokio::spawn(async move {
            for number in 0..3 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                let handle = adder
                    .add(Item::bytes(number.to_string(), "x"))
                    .expect("open");
                assert!(handle.await.status.error().is_none());
            }
        });
        let summary = run.finish().await;
        adds.await.expect("added");
        assert_eq!((summary.files, summary.failed), (3, 0), "{summary:?}");
    });
}

#[test]
fn one_file_is_aborted_and_the_others_go_on_and_it_goes_on_later() {
    let scene = Scene::small();
    let (item, other) = (
        scene.item("f", 8 * SLICE, 1),
        scene.item("other", 3 * SLICE, 2),
    );
    // Two slices arrive, the third hangs.
    stalled(&scene, 3);
    let mut options = scene.sliced();
    options.concurrency = Some(2);
    let client = Client::new(options).expect("sound");
    within(PATIENCE, async {
        let run = client.start([]).expect("threads");
        let handle = run.add(item.clone()).expect("open");
        tokio::task::block_in_place(|| scene.wait_for_acks(7));
        let now = handle.now().expect("under way");
        assert_eq!((now.acked_slices, now.slices), (7, 8));
        handle.abort();
        let second = run.add(other.clone()).expect("open");
        let outcome = handle.await;
        assert!(
            matches!(outcome.status, Status::Interrupted(_)),
            "{outcome:?}"
        );
        assert_eq!(failure(&outcome).kind(), Kind::Cancelled);
        assert!(outcome.sent >= 7 * SLICE, "{outcome:?}");
        assert!(second.await.status.error().is_none());
        let summary = run.finish().await;
        assert_eq!(
            (summary.interrupted, summary.uploaded),
            (1, 1),
            "{summary:?}"
        );
        let before = scene.calls(Operation::Slice).0;
        client.upload(item.clone()).await.expect("goes on");
        assert_eq!(
            scene.calls(Operation::Slice).0 - before,
            1,
            "what was acknowledged is kept"
        );
    });
    scene.assert_stored(&[&item, &other]);
}

/// A caller's contents that hang when they are read until they are let go.
#[derive(Default)]
struct Hanging {
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
    fn free(&self) {
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
                wait("it is read", || source.asked.load(Ordering::Relaxed));
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

#[test]
fn a_paused_run_begins_nothing() {
    let scene = Scene::small();
    let item = scene.item("f", 6 * SLICE, 1);
    let slow = NetworkConditions {
        bandwidth: Some(4 * SLICE),
        ..NetworkConditions::default()
    };
    for server in 0..2 {
        scene.emulator.set_network(Place::Server(server), slow);
    }
    let mut options = scene.sliced();
    options.concurrency = Some(1);
    let client = Client::new(options).expect("sound");
    within(PATIENCE, async {
        let run = client.start([item.clone()]).expect("threads");
        tokio::task::block_in_place(|| scene.wait_in_flight(Operation::Slice, 1));
        run.pause();
        assert!(run.snapshot().is_paused);
        let late = run.add(Item::bytes("late", "late")).expect("open");
        // The body in flight goes to its end, and no other sets out.
        tokio::task::block_in_place(|| scene.wait_for_acks(1));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let calls = scene.emulator.stats();
        assert_eq!(calls.of(Operation::Slice).calls, 1);
        assert_eq!(calls.of(Operation::Create).calls, 1);
        run.resume();
        let all = tokio::spawn(outcomes(run));
        assert!(late.await.status.error().is_none());
        assert_eq!(all.await.expect("read").len(), 2);
    });
    assert_eq!(scene.emulator.files().len(), 2);
}

#[test]
fn a_paused_run_is_interrupted() {
    let scene = Scene::small();
    let client = scene.client();
    within(PATIENCE, async {
        let run = client.start([]).expect("threads");
        run.pause();
        let handle = run.add(Item::bytes("f", "f")).expect("open");
        run.interrupt();
        let summary = run.finish().await;
        assert_eq!((summary.files, summary.interrupted), (1, 1), "{summary:?}");
        assert_eq!(failure(&handle.await).kind(), Kind::Cancelled);
    });
    assert!(scene.emulator.files().is_empty());
}

#[test]
fn an_item_says_what_happens_where_its_name_is_taken() {
    let scene = Scene::small();
    let client = scene.client();
    let of = |name: &str, text: &'static str, conflict| {
        let mut item = Item::bytes(name, text);
        item.conflict = conflict;
        item
    };
    within(PATIENCE, async {
        let first = ["fail", "overwrite", "skip"].map(|name| of(name, "old", None));
        assert_eq!(
            client
                .start(first)
                .expect("threads")
                .finish()
                .await
                .uploaded,
            3
        );
        let run = client.start([]).expect("threads");
        let handles: [FileHandle; 3] = [
            of("fail", "new", None),
            of("overwrite", "new", Some(Conflict::Overwrite)),
            of("skip", "new", Some(Conflict::Skip)),
        ]
        .map(|item| run.add(item).expect("open"));
        let all = tokio::spawn(run.finish());
        let [fail, overwrite, skip] = handles;
        assert_eq!(failure(&fail.await).kind(), Kind::Rejected);
        assert!(matches!(overwrite.await.status, Status::Uploaded(_)));
        assert!(matches!(skip.await.status, Status::Kept(_)));
        all.await.expect("read");
    });
    let stored = scene.stored_bytes();
    assert_eq!(stored["overwrite"], b"new");
    assert_eq!(stored["skip"], b"old");
    assert_eq!(stored["fail"], b"old");
}

#[test]
fn outside_a_runtime_a_run_is_refused() {
    let scene = Scene::small();
    let error = scene
        .client()
        .start([Item::bytes("f", "f")])
        .expect_err("no runtime");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("tokio"), "{error}");
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
