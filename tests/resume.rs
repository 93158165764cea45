//! Nothing that was acknowledged is sent again: killed after each ack in turn and resumed, with
//! the bytes counted by the service.

mod common;

use std::fs;
use std::process::Output;
use std::time::Duration;

use common::{Killed, SLICE, Scene, failure, outcomes_and_warnings, wait};
use panup::{Item, Kind, Resume, Status};
use panup_emulator::{Action, Cut, Fault, Limits, NetworkConditions, Operation, Place};

/// Six full slices and a short one.
const SIZE: u64 = 6 * SLICE + SLICE / 2;
const SLICES: u64 = 7;

/// The slice after the first `acks` ones is on its way for ever.
fn stalled(scene: &Scene, acks: u64) {
    let stall = Action::StallReading {
        after: 1000,
        millis: 600_000,
    };
    scene
        .emulator
        .inject(Fault::on(Operation::Slice, stall).from(acks + 1));
}

fn once_each(scene: &Scene) {
    let times = scene.times_taken();
    assert_eq!(times.len() as u64, SLICES);
    assert!(times.values().all(|&times| times == 1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_goes_on_after_each_ack() {
    for acks in 0..SLICES {
        let scene = Scene::small();
        let item = scene.item("f", SIZE, acks);
        stalled(&scene, acks);
        let run = scene
            .sliced_client()
            .start([item.clone()])
            .expect("threads");
        tokio::task::block_in_place(|| {
            scene.wait_for_acks(acks);
            scene.wait_in_flight(Operation::Slice, 1);
        });
        drop(run);
        scene.emulator.clear_faults();
        let outcome = scene
            .sliced_client()
            .upload(item.clone())
            .await
            .expect("resumed");
        assert!(matches!(outcome.status, Status::Uploaded(_)));
        assert_eq!(outcome.sent, SIZE - acks * SLICE, "only what was left");
        once_each(&scene);
        assert_eq!(scene.calls(Operation::Create), (1, 1));
        scene.assert_stored(&[&item]);
        assert_eq!(scene.unfinished(), []);
    }
}

#[test]
fn a_killed_process_goes_on_after_each_ack() {
    for acks in 0..SLICES {
        let scene = Scene::small();
        let item = scene.item("f", SIZE, acks);
        stalled(&scene, acks);
        let process = Killed(scene.sliced_upload(&item, &[]).spawn().expect("a binary"));
        scene.wait_for_acks(acks);
        scene.wait_in_flight(Operation::Slice, 1);
        drop(process);
        scene.emulator.clear_faults();
        let file = only_file(
            &scene.sliced_upload(&item, &[]).output().expect("a binary"),
            0,
        );
        assert_eq!(file["status"], "uploaded");
        assert_eq!(file["sent"], SIZE - acks * SLICE, "only what was left");
        once_each(&scene);
        assert_eq!(scene.calls(Operation::Create), (1, 1));
        scene.assert_stored(&[&item]);
    }
}

#[test]
fn killed_before_the_acks_are_on_disk_costs_only_those() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    stalled(&scene, 5);
    let process = Killed(scene.sliced_upload(&item, &[]).spawn().expect("a binary"));
    wait("five slices arrived", || {
        scene.calls(Operation::Slice).0 == 5
    });
    drop(process);
    scene.emulator.clear_faults();
    let known: u64 = scene.unfinished().iter().map(|upload| upload.acked).sum();
    let file = only_file(
        &scene.sliced_upload(&item, &[]).output().expect("a binary"),
        0,
    );
    assert_eq!(file["status"], "uploaded");
    assert_eq!(file["sent"], SIZE - known * SLICE);
    scene.assert_stored(&[&item]);
}

#[test]
fn killed_while_complete_is_asked() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    let stall = Action::StallAnswer { millis: 600_000 };
    scene
        .emulator
        .inject(Fault::on(Operation::Complete, stall).nth(1));
    let process = Killed(scene.sliced_upload(&item, &[]).spawn().expect("a binary"));
    scene.wait_for_acks(SLICES);
    scene.wait_in_flight(Operation::Complete, 1);
    drop(process);
    let file = only_file(
        &scene.sliced_upload(&item, &[]).output().expect("a binary"),
        0,
    );
    assert_eq!(
        (&file["status"], &file["sent"]),
        (&"uploaded".into(), &0.into())
    );
    once_each(&scene);
    assert_eq!(scene.calls(Operation::Create), (1, 1));
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_lets_what_is_in_flight_land() {
    let scene = Scene::small();
    let item = scene.item("f", 40 * SLICE, 1);
    let slow = NetworkConditions {
        bandwidth: Some(8 * SLICE),
        ..NetworkConditions::default()
    };
    for server in 0..2 {
        scene.emulator.set_network(Place::Server(server), slow);
    }
    let mut options = scene.sliced();
    options.concurrency = Some(4);
    let client = panup::Client::new(options).expect("sound");
    let run = client.start([item.clone()]).expect("threads");
    tokio::task::block_in_place(|| {
        wait("some slices arrived", || {
            scene.calls(Operation::Slice).0 >= 4
        });
    });
    run.interrupt();
    let (outcomes, _) = outcomes_and_warnings(run).await;
    assert_eq!(failure(&outcomes[0]).kind(), Kind::Cancelled);
    drop(client);
    let stats = scene.emulator.stats().of(Operation::Slice);
    assert_eq!(stats.lost, 0, "a body in flight was cut off: {stats:?}");
    assert!(stats.done < 40, "it was interrupted");
    assert_eq!(scene.unfinished()[0].acked, stats.done, "all acks are kept");
    for server in 0..2 {
        scene
            .emulator
            .set_network(Place::Server(server), NetworkConditions::default());
    }
    scene
        .sliced_client()
        .upload(item.clone())
        .await
        .expect("resumed");
    assert_eq!(scene.emulator.stats().of(Operation::Slice).done, 40);
    scene.assert_stored(&[&item]);
}

/// As the end of a console has it, after which the system leaves the process some seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_with_no_time_left_waits_for_no_body() {
    let scene = Scene::small();
    let item = scene.item("f", 4 * SLICE, 1);
    let slow = NetworkConditions {
        bandwidth: Some(SLICE / 20),
        ..NetworkConditions::default()
    };
    for server in 0..2 {
        scene.emulator.set_network(Place::Server(server), slow);
    }
    let client = scene.sliced_client();
    let run = client.start([item]).expect("threads");
    tokio::task::block_in_place(|| {
        wait("a body is in flight", || {
            scene.emulator.stats().of(Operation::Slice).in_flight > 0
        });
    });
    run.interrupter().interrupt_within(Duration::ZERO);
    let (outcomes, _) = outcomes_and_warnings(run).await;
    assert_eq!(failure(&outcomes[0]).kind(), Kind::Cancelled);
    assert_eq!(scene.emulator.stats().of(Operation::Slice).done, 0);
}

#[cfg(unix)]
#[test]
fn sigint_ends_with_130_and_the_second_at_once() {
    use std::os::unix::process::ExitStatusExt;
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    stalled(&scene, 2);
    let mut process = Killed(scene.sliced_upload(&item, &[]).spawn().expect("a binary"));
    scene.wait_for_acks(2);
    scene.wait_in_flight(Operation::Slice, 1);
    let pid = rustix::process::Pid::from_child(&process.0);
    let signal = || {
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it lives");
    };
    signal();
    let begun = std::time::Instant::now();
    let mut second = false;
    let status = loop {
        if let Some(status) = process.0.try_wait().expect("ours") {
            break status;
        }
        // Two signals of one kind at once are one: the second has to come after the first was seen.
        if !second && begun.elapsed() > std::time::Duration::from_millis(300) {
            second = true;
            signal();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(
        (status.code(), status.signal()),
        (Some(130), None),
        "{status}"
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(4));
    scene.emulator.clear_faults();
    only_file(
        &scene.sliced_upload(&item, &[]).output().expect("a binary"),
        0,
    );
    once_each(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_file_is_skipped_until_it_or_its_place_changes() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    let first = scene
        .sliced_client()
        .upload(item.clone())
        .await
        .expect("uploaded");
    let calls = scene.emulator.stats().calls.len();
    let again = scene
        .sliced_client()
        .upload(item.clone())
        .await
        .expect("skipped");
    assert!(matches!(again.status, Status::Skipped(_)));
    assert_eq!(again.status.file_id(), first.status.file_id());
    assert_eq!((again.md5, again.sent), (first.md5, 0));
    assert_eq!(scene.emulator.stats().calls.len(), calls, "not a call");

    let elsewhere = item.clone().to(0, "folder/g");
    let other = scene
        .sliced_client()
        .upload(elsewhere.clone())
        .await
        .expect("sent");
    assert!(
        matches!(other.status, Status::Reused(_)),
        "the service has the bytes"
    );

    common::rewrite(&item.path, |bytes| bytes[0] ^= 1);
    let mut options = scene.sliced();
    options.on_conflict = panup::Conflict::Overwrite;
    let client = panup::Client::new(options).expect("sound");
    let changed = client.upload(item.clone()).await.expect("sent");
    assert!(matches!(changed.status, Status::Uploaded(_)));
    assert_eq!(changed.sent, SIZE);
    assert!(scene.stored_bytes()["f"] == fs::read(&item.path).expect("there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn force_sends_a_finished_file_again() {
    let scene = Scene::small_with(panup_emulator::Tls::Off, |config| {
        config.quirks.reuse = panup_emulator::Reuse::Never;
    });
    let item = scene.item("f", SIZE, 1);
    let mut options = scene.sliced();
    options.on_conflict = panup::Conflict::Overwrite;
    let client = panup::Client::new(options.clone()).expect("sound");
    client.upload(item.clone()).await.expect("uploaded");
    drop(client);
    options.resume = Resume::SendAgain;
    let client = panup::Client::new(options).expect("sound");
    let outcome = client.upload(item.clone()).await.expect("uploaded");
    assert!(matches!(outcome.status, Status::Uploaded(_)));
    assert_eq!(outcome.sent, SIZE);
    scene.assert_stored(&[&item]);
}

/// A wrong MD5 put into the journal for exactly this file comes out again: no byte was hashed. The
/// service refuses it, and then the file is hashed.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_hashed_before_is_not_hashed_again() {
    let scene = Scene::small();
    let item = scene.item("f", 5 << 20, 1);
    let options = scene.sliced();
    let open = panup::internals::source::Source::open(
        &item.path,
        &panup::internals::source::Settings::default(),
    );
    let identity = open.expect("readable").identity();
    let journal = panup::internals::journal::Journal::open(&scene.state()).expect("a journal");
    let hashes = panup::digest::FileDigest::new(panup::digest::Md5([7; 16]), 5 << 20);
    journal.remember(&item.path, &identity, hashes);
    journal.flush().expect("room");
    let client = panup::Client::new(options.clone()).expect("sound");
    let outcome = client.upload(item.clone()).await.expect("hashed anew");
    assert_ne!(outcome.md5, Some(panup::digest::Md5([7; 16])));
    let creates = scene
        .emulator
        .stats()
        .of(panup_emulator::Operation::Create)
        .calls;
    assert_eq!(
        creates, 2,
        "the first had the wrong MD5, and the service looked"
    );
    assert_eq!(outcome.sent, 2 * (5 << 20));
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_that_was_interrupted_is_not_remembered() {
    let scene = Scene::small();
    let item = scene.item("f", 64 << 20, 1);
    let mut options = scene.sliced();
    options.maps = false;
    for _ in 0..5 {
        let client = panup::Client::new(options.clone()).expect("sound");
        let run = client.start([item.clone()]).expect("threads");
        tokio::task::block_in_place(|| {
            wait("some of it is hashed", || {
                run.progress().snapshot().hashed > 0
            });
        });
        run.interrupt();
        drop(outcomes_and_warnings(run).await);
    }
    let client = panup::Client::new(options).expect("sound");
    client.upload(item.clone()).await.expect("its true etag");
    assert_eq!(scene.calls(Operation::Create), (1, 1));
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_service_forgot_begins_again_once() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    stalled(&scene, 3);
    let run = scene
        .sliced_client()
        .start([item.clone()])
        .expect("threads");
    tokio::task::block_in_place(|| {
        scene.wait_for_acks(3);
        scene.wait_in_flight(Operation::Slice, 1);
    });
    drop(run);
    scene.emulator.clear_faults();
    scene.emulator.forget_uploads();
    let outcome = scene
        .sliced_client()
        .upload(item.clone())
        .await
        .expect("begun again");
    assert!(matches!(outcome.status, Status::Uploaded(_)));
    assert_eq!(scene.calls(Operation::Create), (2, 2), "the second time");
    scene.assert_stored(&[&item]);
    assert_eq!(scene.unfinished(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_forgotten_again_fails() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    scene
        .emulator
        .inject(Fault::on(Operation::Slice, Action::ForgetUploads));
    let error = scene
        .sliced_client()
        .upload(item)
        .await
        .expect_err("no use");
    assert_eq!(error.kind(), Kind::Rejected);
    assert_eq!(scene.calls(Operation::Create), (2, 2), "no third");
    assert_eq!(scene.unfinished(), [], "of no use to a later run");
    assert_eq!(scene.emulator.files(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_of_that_name_does_not_go_on_there() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    stalled(&scene, 3);
    let run = scene
        .sliced_client()
        .start([item.clone()])
        .expect("threads");
    tokio::task::block_in_place(|| scene.wait_for_acks(3));
    drop(run);
    scene.emulator.clear_faults();
    common::rewrite(&item.path, |bytes| bytes[0] ^= 1);
    let outcome = scene
        .sliced_client()
        .upload(item.clone())
        .await
        .expect("anew");
    assert_eq!(outcome.sent, SIZE);
    assert_eq!(scene.calls(Operation::Create), (2, 2));
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_kept_is_a_warning() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    let blocked = scene.path("no-folder");
    fs::write(&blocked, "in the way").expect("room");
    let mut options = scene.sliced();
    options.state_dir = Some(blocked.join("state"));
    let client = panup::Client::new(options).expect("a warning, not an error");
    let (outcomes, warnings) =
        outcomes_and_warnings(client.start([item.clone()]).expect("threads")).await;
    assert!(matches!(outcomes[0].status, Status::Uploaded(_)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].kind(), Kind::State);
    assert!(warnings[0].to_string().contains("cannot be resumed"));
    scene.assert_stored(&[&item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_journal_is_set_aside() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    fs::create_dir_all(scene.state()).expect("made");
    fs::write(scene.state().join("journal.db"), common::noise(50_000, 7)).expect("room");
    let (outcomes, warnings) = outcomes_and_warnings(
        scene
            .sliced_client()
            .start([item.clone()])
            .expect("threads"),
    )
    .await;
    assert!(matches!(outcomes[0].status, Status::Uploaded(_)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].to_string().contains("set aside"));
    assert!(scene.state().join("journal.db.corrupt-1").exists());
    let again = scene.sliced_client().upload(item).await.expect("skipped");
    assert!(
        matches!(again.status, Status::Skipped(_)),
        "the new one works"
    );
}

#[test]
fn two_at_once_on_one_state_folder() {
    let scene = Scene::small();
    let items: Vec<Item> = (0..8)
        .map(|at| scene.item(&format!("f{at}"), SIZE, at))
        .collect();
    let halves = [&items[..4], &items[4..]].map(|half| {
        let mut command = scene.sliced_upload(&half[0], &[]);
        command.args(half[1..].iter().map(|item| &item.path));
        command.spawn().expect("a binary")
    });
    for half in halves {
        let output = half.wait_with_output().expect("ours");
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    scene.assert_stored(&items.iter().collect::<Vec<_>>());
    let journal = panup::internals::journal::Journal::open(&scene.state()).expect("sound");
    let counts = journal.counts().expect("readable");
    assert_eq!((counts.finished, counts.unfinished), (8, 0));
}

/// The answer is lost, the deed is done: no call makes a second copy.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_never_make_two_files() {
    use panup::Conflict::{Fail, KeepBoth, Overwrite};
    for conflict in [Fail, Overwrite, KeepBoth] {
        for operation in [Operation::Create, Operation::Complete, Operation::Single] {
            let scene = Scene::small();
            let item = scene.item("f", 3 * SLICE, 1);
            let lost = Action::Close(Cut::AfterCommit);
            scene.emulator.inject(Fault::on(operation, lost).nth(1));
            let mut options = scene.sliced();
            options.on_conflict = conflict;
            options.timeouts.answer = std::time::Duration::from_millis(500);
            if operation == Operation::Single {
                options.single_max = 4 * SLICE;
            }
            let client = panup::Client::new(options).expect("sound");
            let outcome = client.upload(item.clone()).await;
            let files = scene.emulator.files().len();
            let what = format!("{operation} under {conflict:?}: {outcome:?}");
            match (operation, conflict) {
                (Operation::Complete, _) | (_, Overwrite) | (Operation::Create, Fail) => {
                    assert!(outcome.is_ok(), "{what}");
                    scene.assert_stored(&[&item]);
                }
                (Operation::Single, _) => {
                    // The first call did it, and a look into the folder tells.
                    let uploaded = outcome.expect(&what);
                    assert!(matches!(uploaded.status, Status::Uploaded(_)), "{what}");
                    assert_eq!(files, 1, "{what}");
                }
                (Operation::Create, _) => {
                    // It made no file yet: once that is sure, the file is sent.
                    assert!(outcome.is_ok(), "{what}");
                    assert_eq!(files, 1, "{what}");
                    scene.assert_stored(&[&item]);
                }
                _ => unreachable!(),
            }
        }
    }
}

/// Where the account may not list, a lost answer stays lost, and nothing is doubled.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_listing_lost_answers_are_told_and_never_make_two_files() {
    use panup::Conflict::{Fail, KeepBoth};
    for (operation, conflict, word) in [
        (Operation::Single, Fail, "may be this file"),
        (Operation::Single, KeepBoth, "may have arrived"),
        (Operation::Create, KeepBoth, "may have arrived"),
    ] {
        let scene = Scene::small();
        let item = scene.item("f", 3 * SLICE, 1);
        let lost = Action::Close(Cut::AfterCommit);
        scene.emulator.inject(Fault::on(operation, lost).nth(1));
        let mut options = scene.sliced();
        options.on_conflict = conflict;
        options.look = panup::Look::Never;
        if operation == Operation::Single {
            options.single_max = 4 * SLICE;
        }
        let client = panup::Client::new(options).expect("sound");
        let error = client.upload(item).await.expect_err(word);
        assert!(error.to_string().contains(word), "{error}");
        assert!(scene.emulator.files().len() <= 1, "{error}");
        if conflict == KeepBoth {
            assert_eq!(scene.calls(operation).1, 1, "not repeated: {error}");
        }
        assert_eq!(scene.emulator.stats().of(Operation::List).calls, 0);
    }
}

/// The same under fail: the name is taken, and a look tells that it is by this file.
#[tokio::test(flavor = "multi_thread")]
async fn a_completed_upload_that_is_forgotten_is_what_took_the_name() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    // Each, as the first may still be told to wait.
    let stall = Action::StallAnswer { millis: 3000 };
    scene
        .emulator
        .inject(Fault::on(Operation::Complete, stall).from(1));
    let run = scene
        .sliced_client()
        .start([item.clone()])
        .expect("threads");
    tokio::task::block_in_place(|| {
        scene.wait_for_acks(SLICES);
        scene.wait_for_files(1);
    });
    drop(run);
    scene.emulator.clear_faults();
    scene.emulator.forget_uploads();
    let outcome = scene.sliced_client().upload(item.clone()).await;
    let outcome = outcome.expect("it is there");
    assert!(matches!(outcome.status, Status::Present(_)), "{outcome:?}");
    assert_eq!(scene.emulator.files().len(), 1);
    scene.assert_stored(&[&item]);
}

/// Killed after complete was carried out: whether the file is there, only the service knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_completed_upload_that_is_forgotten_is_not_doubled_under_keep_both() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    // Each, as the first may still be told to wait.
    let stall = Action::StallAnswer { millis: 3000 };
    scene
        .emulator
        .inject(Fault::on(Operation::Complete, stall).from(1));
    let mut options = scene.sliced();
    options.on_conflict = panup::Conflict::KeepBoth;
    let client = panup::Client::new(options.clone()).expect("sound");
    let run = client.start([item.clone()]).expect("threads");
    tokio::task::block_in_place(|| {
        scene.wait_for_files(1);
    });
    // No wait for the journal here: before complete is asked, every ack is on disk.
    assert_eq!(scene.unfinished()[0].acked, SLICES);
    drop(run);
    drop(client);
    scene.emulator.clear_faults();
    scene.emulator.forget_uploads();
    let client = panup::Client::new(options).expect("sound");
    let outcome = client.upload(item.clone()).await.expect("it is there");
    assert!(matches!(outcome.status, Status::Present(_)), "{outcome:?}");
    assert_eq!(outcome.sent, 0);
    assert_eq!(scene.emulator.files().len(), 1);
    assert_eq!(scene.calls(Operation::Create), (1, 1));
}

/// A token that runs out in the middle costs a login and not a slice.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_between_slices_costs_nothing_twice() {
    let scene = Scene::small();
    let item = scene.item("f", SIZE, 1);
    scene.emulator.set_limits(Limits {
        calls_per_token: Some(4),
        ..Limits::default()
    });
    let credential = panup::Credential::Client {
        id: panup_emulator::CLIENT_ID.to_owned(),
        secret: panup::Secret::new(panup_emulator::CLIENT_SECRET),
    };
    let client = panup::Client::new(scene.sliced_by(credential)).expect("sound");
    client.upload(item.clone()).await.expect("uploaded");
    once_each(&scene);
    assert_eq!(
        scene.emulator.stats().logins,
        3,
        "ten calls or eleven, four each"
    );
    scene.assert_stored(&[&item]);
}

/// Killed between the service's commit and its answer: the next run looks, and does not make a second
/// copy. One that may not look refuses, until the file is forgotten.
#[test]
fn under_keep_both_a_killed_single_is_not_repeated() {
    let scene = Scene::small();
    let item = scene.item("f", 1000, 1);
    let path = item.path.to_str().expect("Unicode");
    let kept = ["upload", "--json", "--on-conflict=keep-both", path];
    let upload = || scene.panup(&[&kept[..], &["--look=never"]].concat());
    let stall = Action::StallAnswer { millis: 600_000 };
    scene
        .emulator
        .inject(Fault::on(Operation::Single, stall).nth(1));
    let process = Killed(upload().spawn().expect("a binary"));
    wait("the file is there", || scene.stored_bytes().len() == 1);
    drop(process);
    let file = only_file(&upload().output().expect("a binary"), 4);
    assert_eq!(file["error"]["kind"], "rejected");
    let message = file["error"]["message"].as_str().expect("a text");
    assert!(message.contains("may be there"), "{message}");
    assert_eq!(
        scene.emulator.stats().of(Operation::Single).calls,
        1,
        "not asked again"
    );
    let looked = only_file(&scene.panup(&kept).output().expect("a binary"), 0);
    assert_eq!(looked["status"], "skipped");
    assert_eq!(scene.emulator.files().len(), 1);
    let forgot = scene.panup(&["forget", path]).status().expect("a binary");
    assert!(forgot.success());
    assert_eq!(
        only_file(&upload().output().expect("a binary"), 0)["status"],
        "uploaded"
    );
}

#[test]
fn under_keep_both_a_refused_single_may_be_tried_again() {
    let scene = Scene::small();
    let item = scene.item("f", 1000, 1);
    let path = item.path.to_str().expect("Unicode");
    let upload = || scene.panup(&["upload", "--json", "--on-conflict=keep-both", path]);
    let refused = Action::Code {
        code: 1,
        message: "no".to_owned(),
    };
    scene
        .emulator
        .inject(Fault::on(Operation::Single, refused).nth(1));
    assert_eq!(
        only_file(&upload().output().expect("a binary"), 4)["error"]["kind"],
        "rejected"
    );
    assert_eq!(
        only_file(&upload().output().expect("a binary"), 0)["status"],
        "uploaded"
    );
    scene.assert_stored(&[&item]);
}

/// The one file of a `--json` run that ended with `code`.
fn only_file(output: &Output, code: i32) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let files: Vec<serde_json::Value> = lines
        .filter(|line: &serde_json::Value| line["event"] == "file")
        .collect();
    assert_eq!(files.len(), 1, "{text}");
    files.into_iter().next().expect("one")
}
