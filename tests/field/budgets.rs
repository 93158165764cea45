//! Budgets of repeats: attempts and waits count, not a clock that ran on while nothing was tried.

use std::time::Duration;

use panup::{Credential, Secret, Status};
use panup_emulator::{Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation};

use crate::common::{Scene, item, upload};

/// A time limit far below what one failed attempt takes: as after a night in which the machine was
/// stopped in mid-call. Each call has three attempts all the same.
#[tokio::test(flavor = "multi_thread")]
async fn one_long_attempt_is_not_the_whole_budget() {
    let cases = Operation::UPLOAD.map(|operation| tokio::spawn(survives(operation)));
    for case in cases {
        case.await.expect("it arrives");
    }
}

async fn survives(operation: Operation) {
    let scene = Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        ..Config::default()
    });
    let path = scene.file("file.bin", 60_000);
    let mut options = scene.options();
    options.retry.give_up_after = Duration::from_millis(100);
    options.retry.throttled_base = Duration::from_millis(2);
    if !matches!(operation, Operation::Single | Operation::Domain) {
        options.single_max = 0;
    }
    if operation == Operation::AccessToken {
        options.credential = Credential::Client {
            id: CLIENT_ID.to_owned(),
            secret: Secret::new(CLIENT_SECRET),
        };
    }
    for action in [Action::status(503), Action::StallAnswer { millis: 400 }] {
        scene.emulator.inject(Fault::on(operation, action).first(2));
    }
    let client = panup::Client::new(options).expect("sensible");
    let outcome = upload(&client, [item(&path, "file.bin")]).await.remove(0);
    let arrived = matches!(outcome.status, Status::Uploaded(_) | Status::Reused(_));
    assert!(arrived, "{operation}: {outcome:?}");
    scene.assert_arrived(&path, "file.bin");
    let tally = scene.emulator.stats().of(operation);
    assert_eq!((tally.calls, tally.faulted), (3, 2), "{operation}");
}

/// The limit is one: attempts that fail for ever end by it, long before their number is used up.
#[tokio::test(flavor = "multi_thread")]
async fn time_ends_it_from_the_third_attempt_on() {
    let scene = Scene::new(Config::default());
    let path = scene.file("file.bin", 60_000);
    let mut options = scene.options();
    options.retry.attempts = 100;
    options.retry.give_up_after = Duration::from_millis(40);
    let down = Fault::on(Operation::Single, Action::status(503));
    scene.emulator.inject(down);
    let client = panup::Client::new(options).expect("sensible");
    let outcome = upload(&client, [item(&path, "file.bin")]).await.remove(0);
    crate::common::failure(&outcome);
    let calls = scene.emulator.stats().of(Operation::Single).calls;
    assert!((3..=6).contains(&calls), "{calls} calls");
}
