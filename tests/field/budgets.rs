//! Budgets of repeats: attempts and waits count, not a clock that ran on while nothing was tried.

use std::time::Duration;

use panup::{Conflict, Credential, Secret, Status};
use panup_emulator::{
    Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation, Outcome as Called,
};

use crate::support::{Scene, item, upload};

/// A time limit far below what one failed attempt takes: as after a night in which the machine was
/// stopped in mid-call. Each call has three attempts all the same.
#[tokio::test(flavor = "multi_thread")]
async fn one_long_attempt_is_not_the_whole_budget() {
    let cases = Operation::ALL.map(|operation| tokio::spawn(survives(operation)));
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
    options.on_conflict = Conflict::Overwrite;
    options.retry.give_up_after = Duration::from_millis(100);
    options.timeouts.answer = Duration::from_millis(700);
    if !matches!(operation, Operation::Single | Operation::Domain) {
        options.single_max = 0;
    }
    if operation == Operation::AccessToken {
        options.credential = Credential::Client {
            id: CLIENT_ID.to_owned(),
            secret: Secret::new(CLIENT_SECRET),
        };
    }
    let stall = Action::StallAnswer { millis: 1_500 };
    scene.emulator.inject(Fault::on(operation, stall).first(2));
    let client = panup::Client::new(options).expect("sensible");
    let outcome = upload(&client, [item(&path, "file.bin")]).await.remove(0);
    let arrived = matches!(outcome.status, Status::Uploaded(_) | Status::Reused(_));
    assert!(arrived, "{operation}: {outcome:?}");
    scene.assert_arrived(&path, "file.bin");
    // A call that was given up is entered when the emulator notices.
    let mut looks = 0..100;
    while scene.emulator.stats().of(operation).calls < 3 {
        assert!(
            looks.next().is_some(),
            "{operation} was not asked three times"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = scene.emulator.stats();
    let refused = stats
        .calls
        .iter()
        .filter(|call| matches!(call.outcome, Called::Refused(_)));
    assert_eq!(refused.count(), 0, "{operation}");
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
    crate::support::failure(&outcome);
    let calls = scene.emulator.stats().of(Operation::Single).calls;
    assert!((3..=6).contains(&calls), "{calls} calls");
}
