//! What is there at the service already, whoever put it there: another machine, another token, a run
//! whose journal is lost. It is not sent again, and what is not there any more is.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use panup::{Client, Conflict, Item, Look, Options, Outcome, Status};
use panup_emulator::{Action, Change, Cut, Fault, Operation, Tls};

use crate::common::{Scene, outcomes_and_warnings, upload};

/// Files `tree/…`, by slices and in one call, some in a folder of their own.
fn tree(scene: &Scene) -> Vec<Item> {
    let sizes = [300_000, 5_000, 70_000, 10];
    let names = ["tree/a", "tree/b.txt", "tree/你好/c", "tree/你好/d.tar.gz"];
    let files = names.into_iter().zip(sizes).enumerate();
    files
        .map(|(seed, (name, size))| scene.item(name, size, seed as u64).to(0, name))
        .collect()
}

fn scene() -> Scene {
    Scene::small_with(Tls::Off, |config| {
        config.quirks.reuse = panup_emulator::Reuse::Never;
        // Its own hashing would answer the first complete with "still verifying".
        config.verify = false;
    })
}

/// Options as those of another machine: nothing is remembered.
fn elsewhere(scene: &Scene, conflict: Conflict, look: Look) -> Options {
    let mut options = scene.options();
    options.single_max = 64 << 10;
    options.on_conflict = conflict;
    options.look = look;
    options
}

async fn send(scene: &Scene, options: Options, items: &[Item]) -> Vec<Outcome> {
    let _ = scene;
    upload(&Client::new(options).expect("sound"), items.to_vec()).await
}

fn makes(scene: &Scene) -> u64 {
    let stats = scene.emulator.stats();
    [Operation::Create, Operation::Single, Operation::Slice]
        .map(|operation| stats.of(operation).calls)
        .iter()
        .sum()
}

const ALL: [Conflict; 4] = [
    Conflict::Fail,
    Conflict::Skip,
    Conflict::KeepBoth,
    Conflict::Overwrite,
];

/// In every mode: no byte is sent, no second copy made, nothing fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_machine_sent_is_skipped() {
    for look in [Look::Auto, Look::Always] {
        for conflict in ALL {
            let scene = scene();
            let items = tree(&scene);
            send(&scene, elsewhere(&scene, conflict, look), &items).await;
            let before = (scene.emulator.files(), makes(&scene));
            let again = send(&scene, elsewhere(&scene, conflict, look), &items).await;
            for outcome in &again {
                assert!(
                    matches!(outcome.status, Status::Present(_)),
                    "{conflict:?} {look:?}: {outcome:?}"
                );
                assert_eq!(outcome.sent, 0);
            }
            assert_eq!(before, (scene.emulator.files(), makes(&scene)));
        }
    }
}

/// One file costs no listing where the service refuses a name that is taken; it is looked for then.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_looked_for_when_its_name_is_taken() {
    for (conflict, lists) in [
        (Conflict::Fail, 0),
        (Conflict::Skip, 0),
        (Conflict::KeepBoth, 1),
    ] {
        let scene = scene();
        let item = scene.item("f", 100_000, 1);
        let options = || elsewhere(&scene, conflict, Look::Auto);
        send(&scene, options(), std::slice::from_ref(&item)).await;
        assert_eq!(scene.emulator.stats().of(Operation::List).calls, lists);
        let again = send(&scene, options(), &[item]).await;
        assert!(matches!(again[0].status, Status::Present(_)), "{again:?}");
        assert_eq!(scene.emulator.files().len(), 1);
    }
}

/// Other content of the name: each mode as the command line promises.
#[tokio::test(flavor = "multi_thread")]
async fn other_content_of_the_name_is_what_the_modes_are_about() {
    for files in [1, 4] {
        for conflict in ALL {
            let scene = scene();
            let items = &tree(&scene)[..files];
            send(&scene, elsewhere(&scene, conflict, Look::Auto), items).await;
            let before = scene.emulator.files();
            for item in items {
                crate::common::rewrite(&item.path, |bytes| bytes[0] ^= 1);
            }
            let again = send(&scene, elsewhere(&scene, conflict, Look::Auto), items).await;
            let after = scene.emulator.files();
            for outcome in again {
                let what = format!("{conflict:?} {files}: {outcome:?}");
                match (conflict, &outcome.status) {
                    (Conflict::Fail, Status::Failed(error)) => {
                        assert!(error.to_string().contains("another MD5"), "{what}");
                        assert_eq!(before, after, "{what}");
                    }
                    (Conflict::Skip, Status::Kept(Some(_))) => assert_eq!(before, after, "{what}"),
                    (Conflict::KeepBoth, Status::Uploaded(_)) => {
                        assert_eq!(after.len(), 2 * files, "{what}");
                    }
                    (Conflict::Overwrite, Status::Uploaded(_)) => {
                        assert_eq!(after.len(), files, "{what}");
                    }
                    _ => panic!("{what}"),
                }
            }
        }
    }
}

/// What was deleted, moved to the trash or altered since is sent again; the journal is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_any_more_is_sent_again() {
    let scene = scene();
    let items = tree(&scene);
    let mut options = elsewhere(&scene, Conflict::Overwrite, Look::Always);
    options.state_dir = Some(scene.state());
    send(&scene, options.clone(), &items).await;
    let path = |item: &Item| item.remote.clone();
    for change in [
        Change::Delete {
            path: path(&items[0]),
        },
        Change::Trash {
            path: path(&items[1]),
        },
        Change::Put {
            path: path(&items[2]),
            content: "other".to_owned(),
        },
    ] {
        scene.emulator.change(&change).expect("it is there");
    }
    let mut again = send(&scene, options, &items).await;
    again.sort_by_key(|outcome| outcome.remote.clone());
    let names: Vec<_> = again.iter().map(|outcome| outcome.status.name()).collect();
    assert_eq!(
        names,
        ["uploaded", "uploaded", "uploaded", "skipped"],
        "{again:?}"
    );
    scene.assert_stored(&items.iter().collect::<Vec<_>>());
}

/// The listing is refused: said once, and the uploads go on.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_list_uploads_all_the_same() {
    let refusals = [
        Action::Answer {
            status: 403,
            body: String::new(),
            headers: BTreeMap::new(),
            unread: false,
        },
        Action::Code {
            code: 401,
            message: "no scope".to_owned(),
        },
        Action::Code {
            code: 403,
            message: "无权限".to_owned(),
        },
        Action::RepeatCursor,
    ];
    for refusal in refusals {
        let scene = scene();
        let what = format!("{refusal:?}");
        scene
            .emulator
            .inject(Fault::on(Operation::List, refusal).from(1));
        for number in 0..150 {
            let put = Change::Put {
                path: format!("tree/{number}"),
                content: "x".to_owned(),
            };
            scene.emulator.change(&put).expect("room");
        }
        let items = tree(&scene);
        let mut options = elsewhere(&scene, Conflict::Overwrite, Look::Always);
        options.retry.base = Duration::from_millis(1);
        let client = Client::new(options).expect("sound");
        let run = client.start(items.clone()).expect("threads");
        let (outcomes, warnings) = outcomes_and_warnings(run).await;
        for outcome in &outcomes {
            assert!(
                matches!(outcome.status, Status::Uploaded(_)),
                "{what}: {outcome:?}"
            );
        }
        // Before any call has succeeded a 401 may be the token's fault: nothing is said of listings then.
        let at_least = usize::from(!what.contains("401"));
        assert!(
            (at_least..=1).contains(&warnings.len()),
            "{what}: {warnings:?}"
        );
        for warning in warnings {
            assert!(warning.to_string().contains("does not list"), "{warning}");
        }
    }
}

/// Those who wait for a listing that fails do not ask for it again, each in turn: with a hundred files
/// and a service that says 429 for good that took eight minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_is_asked_for_once_by_all() {
    for action in [
        Action::status(429),
        Action::status(503),
        Action::Close(Cut::BeforeBody),
    ] {
        let scene = scene();
        let what = format!("{action:?}");
        let refused = Fault::on(Operation::List, action).from(1);
        scene.emulator.inject(refused);
        let items: Vec<Item> = (0..100)
            .map(|number| scene.item(&format!("f{number}"), 10 + number, number))
            .collect();
        let mut options = elsewhere(&scene, Conflict::KeepBoth, Look::Auto);
        options.retry.base = Duration::from_millis(1);
        options.retry.throttled_base = Duration::from_millis(1);
        let outcomes = send(&scene, options, &items).await;
        for outcome in &outcomes {
            assert!(
                matches!(outcome.status, Status::Uploaded(_)),
                "{what}: {outcome:?}"
            );
        }
        let lists = scene.emulator.stats().of(Operation::List).calls;
        assert!(lists <= 3 * 5, "{what}: {lists} lists");
    }
}

/// A run that is killed after the service carried a call out and before it answered: the next run, on the
/// same machine or on another, makes no second copy and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_request_and_answer_costs_nothing() {
    for conflict in ALL {
        for operation in [Operation::Single, Operation::Complete] {
            for remembers in [true, false] {
                let scene = scene();
                let item = scene.item("f", 100_000, 1);
                let silent = Action::StallAnswer { millis: 60_000 };
                scene.emulator.inject(Fault::on(operation, silent).nth(1));
                let mut options = elsewhere(&scene, conflict, Look::Auto);
                if operation == Operation::Single {
                    options.single_max = 1 << 20;
                }
                options.state_dir = remembers.then(|| scene.state());
                let client = Client::new(options.clone()).expect("sound");
                let run = client.start([item.clone()]).expect("threads");
                tokio::task::block_in_place(|| scene.wait_for_files(1));
                drop((run, client));
                let what = format!("{conflict:?} {operation} {remembers}");
                assert_eq!(scene.emulator.files().len(), 1, "{what}");
                let sent = scene.emulator.stats().of(Operation::Slice).calls;
                let again = send(&scene, options, &[item]).await;
                let there = !matches!(again[0].status, Status::Failed(_) | Status::Interrupted(_));
                assert!(there, "{what}: {again:?}");
                assert_eq!(scene.emulator.files().len(), 1, "{what}");
                assert_eq!(
                    scene.emulator.stats().of(Operation::Slice).calls,
                    sent,
                    "{what}"
                );
            }
        }
    }
}

/// A name that differs by case or by composition is another file, and told.
#[tokio::test(flavor = "multi_thread")]
async fn a_similar_name_is_another_file_and_told() {
    for (there, here) in [("README", "readme"), ("caf\u{e9}", "cafe\u{301}")] {
        let scene = scene();
        let put = Change::Put {
            path: there.to_owned(),
            content: "x".to_owned(),
        };
        scene.emulator.change(&put).expect("room");
        let item = scene.item(here, 100, 1);
        let options = elsewhere(&scene, Conflict::Fail, Look::Always);
        let client = Client::new(options).expect("sound");
        let (outcomes, warnings) =
            outcomes_and_warnings(client.start([item]).expect("threads")).await;
        assert!(
            matches!(outcomes[0].status, Status::Uploaded(_)),
            "{outcomes:?}"
        );
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0]
                .to_string()
                .contains("only by case or composition")
        );
        assert_eq!(scene.emulator.files().len(), 2);
    }
}

/// Ten thousand files that are there: calls counted, for each way to look. `benches/README.md` has the
/// figures.
#[tokio::test(flavor = "multi_thread")]
async fn looking_costs_a_call_for_a_hundred_files() {
    const FILES: usize = 2_000;
    let scene = scene();
    for number in 0..FILES {
        let name = format!("tree/{}/{number}", number % 10);
        fs::create_dir_all(scene.path(&name).parent().expect("a folder")).expect("made");
        fs::write(scene.path(&name), number.to_string()).expect("room");
        let put = Change::Put {
            path: name,
            content: number.to_string(),
        };
        scene.emulator.change(&put).expect("room");
    }
    let items = || {
        (0..FILES).map(|number| {
            let name = format!("tree/{}/{number}", number % 10);
            Item::new(scene.path(&name)).to(0, name)
        })
    };
    for (look, most) in [(Look::Auto, 60), (Look::Always, 60), (Look::Never, 0)] {
        let before = scene.emulator.stats();
        let outcomes = send(
            &scene,
            elsewhere(&scene, Conflict::Fail, look),
            &items().collect::<Vec<_>>(),
        )
        .await;
        let after = scene.emulator.stats();
        let calls = |operation| after.of(operation).calls - before.of(operation).calls;
        let present = outcomes
            .iter()
            .filter(|o| matches!(o.status, Status::Present(_)))
            .count();
        let (lists, singles) = (calls(Operation::List), calls(Operation::Single));
        eprintln!("{look:?}: {lists} lists, {singles} singles, {present} present");
        assert!(lists <= most, "{look:?}: {lists}");
        if look == Look::Never {
            assert_eq!((present, singles), (0, FILES as u64));
        } else {
            assert_eq!(present, FILES, "{look:?}");
            assert!(singles < 40, "{look:?}: {singles}");
        }
    }
}
