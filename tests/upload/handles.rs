//! Runs from outside: files that are added, awaited, aborted; pauses, steps and sums.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_core::Stream;
use panup::{
    Client, Conflict, Event, FileHandle, Item, Kind, Look, Outcome, Run, Status, Step, WaitsFor,
};
use panup_emulator::{NetworkConditions, Operation, Place};

use crate::common::{SLICE, Scene, failure, noise, outcomes, wait, within};
use crate::misused::{Hanging, stalled};

/// So many bytes a second to each server.
fn crawl(scene: &Scene, bandwidth: u64) {
    let slow = NetworkConditions {
        bandwidth: Some(bandwidth),
        ..NetworkConditions::default()
    };
    for server in 0..2 {
        scene.emulator.set_network(Place::Server(server), slow);
    }
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

#[test]
fn a_warning_of_one_item_has_its_tag() {
    let scene = Scene::small();
    let client = scene.client();
    let items = ["name", "NAME"].map(|name| tagged(Item::bytes(name, name), name));
    within(PATIENCE, async {
        let mut run = client.start(items).expect("threads");
        let mut tags = Vec::new();
        while let Some(event) = run.next().await {
            if let Event::Warning(warning) = event {
                assert_eq!(warning.error.kind(), Kind::Invalid, "{warning}");
                tags.push(warning.tag);
            }
        }
        assert_eq!(tags, [Some(Arc::from("NAME"))]);
    });
}

#[test]
fn a_paused_run_begins_nothing() {
    let scene = Scene::small();
    let item = scene.item("f", 6 * SLICE, 1);
    crawl(&scene, 4 * SLICE);
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

/// Behind one that holds up the only thread that hashes.
#[test]
fn the_higher_priority_goes_first() {
    let scene = Scene::small();
    let mut options = scene.options();
    (options.hash_threads, options.concurrency, options.look) = (Some(1), Some(1), Look::Never);
    let client = Client::new(options).expect("sound");
    let source = Arc::new(Hanging::default());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let run = client.start([]).expect("threads");
        let add = |item| drop(run.add(item).expect("open"));
        add(Item::source("blocks", Arc::clone(&source)));
        wait("it is read", || source.is_asked());
        let known = run.snapshot().bytes;
        for (name, priority) in [("low", -1), ("middle", 0), ("highest", 9)] {
            let mut item = Item::bytes(name, name);
            item.priority = priority;
            add(item);
        }
        wait("all are known", || run.snapshot().bytes == known + 16);
        std::thread::sleep(Duration::from_millis(200));
        source.free();
        let ended = tokio::time::timeout(PATIENCE, outcomes(run)).await;
        assert_eq!(ended.expect("it ends").len(), 4);
    });
    let files = scene.emulator.files();
    let mut names: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    names.retain(|name| *name != "blocks");
    assert_eq!(names, ["highest", "middle", "low"]);
}

#[test]
fn a_folder_that_is_not_to_be_made_must_be_there() {
    let scene = Scene::small();
    let client = scene.client();
    let to = |remote: &str, make_folders| {
        let mut item = Item::bytes("f", remote.to_owned()).to(0, remote);
        item.make_folders = make_folders;
        item
    };
    within(PATIENCE, async {
        let error = client
            .upload(to("a/b/f", false))
            .await
            .expect_err("no folder");
        assert_eq!(error.kind(), Kind::Rejected);
        assert!(error.to_string().contains("a/b"), "{error}");
        assert_eq!(scene.emulator.stats().of(Operation::Single).calls, 0);
        client.upload(to("a/b/f", true)).await.expect("made");
        client
            .upload(to("a/b/g", false))
            .await
            .expect("there by now");
        client
            .upload(to("h", false))
            .await
            .expect("the root always is");
    });
}

/// Each step comes in order, before the end, with the tag; what it waits for is said.
#[test]
fn steps_are_told_where_they_are_asked_for() {
    let scene = Scene::small_with(panup_emulator::Tls::Off, |config| config.polls = 1);
    let client = scene.sliced_client();
    within(PATIENCE, async {
        let mut run = client.start([]).expect("threads");
        run.tell_steps();
        let item = Item::bytes("f", noise(3 * SLICE, 1));
        drop(run.add(tagged(item, "a tag")).expect("open"));
        let (mut steps, mut waits, mut ended) = (Vec::new(), Vec::new(), false);
        while let Some(event) = run.next().await {
            match event {
                Event::Step(file) => {
                    assert!(!ended, "{file:?} after the end");
                    assert_eq!(file.tag.as_deref(), Some("a tag"));
                    steps.push(file.step);
                    waits.extend(file.waits_for);
                }
                Event::File(outcome) => {
                    assert!(outcome.status.error().is_none(), "{outcome:?}");
                    ended = true;
                }
                _ => {}
            }
        }
        steps.dedup();
        assert!(
            steps.ends_with(&[Step::Sending, Step::Verifying]),
            "{steps:?}"
        );
        assert!(waits.contains(&WaitsFor::Answer), "{waits:?}");
        assert!(ended);
    });
}

/// A reader that takes nothing: the list is not taken far beyond what may be under way, whether steps are
/// told or not.
#[test]
fn a_slow_reader_slows_the_run() {
    const FILES: u64 = 60_000;
    let scene = Scene::small();
    let client = scene.client();
    for tells_steps in [false, true] {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let items = (0..FILES).map(move |number| {
            counted.fetch_add(1, Ordering::Relaxed);
            Item::new(format!("/nowhere/{number}"))
        });
        within(PATIENCE * 4, async {
            let mut run = client.start(items).expect("threads");
            if tells_steps {
                run.tell_steps();
            }
            let mut before = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let now = asked.load(Ordering::Relaxed);
                if now > 1024 && now == before {
                    break;
                }
                before = now;
            }
            assert!(before < (1 << 15) + 1024 + 8, "{before} were taken");
            let mut ended = 0;
            while let Some(event) = run.next().await {
                ended += u64::from(matches!(event, Event::File(_)));
            }
            assert_eq!((ended, run.summary().failed), (FILES, FILES));
        });
    }
}

/// What is logged of a file and of a slice is within a span of it; tasks of one thread, so that one
/// subscriber sees them.
#[test]
fn what_is_logged_of_a_file_and_a_slice_is_in_a_span_of_it() {
    let scene = Scene::small();
    let client = scene.sliced_client();
    let spans = Arc::<Spans>::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    // The spans are known to tracing before anybody listens: one that another test's thread is making known
    // at that moment stays unheard.
    let first = client.upload(Item::bytes("first", noise(SLICE, 2)));
    runtime.block_on(first).expect("uploaded");
    tracing::subscriber::with_default(Arc::clone(&spans), || {
        let item = tagged(Item::bytes("f", noise(3 * SLICE, 1)), "a tag");
        let upload = async { tokio::time::timeout(PATIENCE, client.upload(item)).await };
        runtime
            .block_on(upload)
            .expect("it ends")
            .expect("uploaded");
    });
    let told = spans.0.lock().expect("no panic").clone();
    let file = format!("INFO file path=f remote=f size={} tag=a tag", 3 * SLICE);
    assert!(told.contains(&file), "{told:?}");
    for number in 1..=3 {
        let slice = format!("DEBUG slice number={number} bytes={SLICE}");
        assert!(told.contains(&slice), "{told:?}");
    }
}

/// The spans of panup, each in a line.
#[derive(Default)]
struct Spans(std::sync::Mutex<Vec<String>>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        of.target().starts_with("panup::")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let of = span.metadata();
        let mut line = Line(format!("{} {}", of.level(), of.name()));
        span.record(&mut line);
        let mut lines = self.0.lock().expect("no panic");
        lines.push(line.0);
        tracing::span::Id::from_u64(lines.len() as u64)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0 += &format!(" {}={value}", field.name());
    }
}
