//! Many files: one that fails stops and slows no other, and a dead service costs a bounded number
//! of calls.

use std::fs;
use std::path::Path;

use panup::{Client, Item, Kind, Outcome, Status};
use panup_emulator::{Action, Config, Emulator, Fault, Operation};

use crate::row;

#[test]
fn a_file_that_fails_stops_no_other() {
    let emulator = emulator(Vec::new());
    let folder = tempfile::tempdir().expect("a folder");
    let mut items = files(folder.path(), 40);
    items[7].parent_id = 4_711;
    items[23].parent_id = 4_711;
    fs::remove_file(&items[31].path).expect("there");
    let outcomes = upload(&emulator, 4 << 20, items);
    assert_eq!(outcomes.len(), 40);
    assert_eq!(count(&outcomes, None), 37);
    assert_eq!(count(&outcomes, Some(Kind::Rejected)), 2);
    assert_eq!(count(&outcomes, Some(Kind::Source)), 1);
    let stats = emulator.stats();
    assert_eq!(stats.of(Operation::Single).calls, 39);
    assert_eq!(stats.of(Operation::Domain).calls, 1);
}

#[test]
fn every_third_call_fails_and_every_file_arrives() {
    for (single_max, operation, least) in [
        (4 << 20, Operation::Single, 120),
        (0, Operation::Slice, 120),
    ] {
        let faults = [Operation::Create, Operation::Slice, Operation::Complete]
            .into_iter()
            .chain([Operation::Single])
            .map(|operation| Fault::on(operation, Action::status(502)).every(3))
            .collect();
        let emulator = emulator(faults);
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = row::quick(&emulator);
        options.single_max = single_max;
        options.retry.attempts = 12;
        let client = Client::new(options).expect("sensible");
        let outcomes = row::run(&client, files(folder.path(), 120));
        assert_eq!(count(&outcomes, None), 120, "{outcomes:?}");
        let tally = emulator.stats().of(operation);
        assert_eq!(tally.done, least);
        assert_eq!(tally.calls, tally.done + tally.faulted);
    }
}

/// Who waits for what one task asks for shares its failure.
#[test]
fn a_question_for_everybody_fails_for_everybody_at_once() {
    for (operation, client) in [(Operation::Domain, false), (Operation::AccessToken, true)] {
        let emulator = emulator(vec![Fault::on(operation, Action::status(503))]);
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = row::quick(&emulator);
        if client {
            options.credential = panup::Credential::Client {
                id: panup_emulator::CLIENT_ID.to_owned(),
                secret: panup::Secret::new(panup_emulator::CLIENT_SECRET),
            };
        }
        let client = Client::new(options).expect("sensible");
        let outcomes = row::run(&client, files(folder.path(), 60));
        assert_eq!(count(&outcomes, Some(Kind::Throttled)), 60);
        let calls = emulator.stats().of(operation).calls;
        // A file whose turn comes when the first failure is over asks anew.
        assert!(calls <= 4 * 20, "{calls} calls of {operation} for 60 files");
    }
}

#[test]
fn a_dead_service_costs_a_bounded_number_of_calls() {
    const FILES: usize = 2000;
    let emulator = emulator(vec![Fault::on(Operation::Single, Action::status(503))]);
    let folder = tempfile::tempdir().expect("a folder");
    let outcomes = upload(&emulator, 4 << 20, files(folder.path(), FILES));
    assert_eq!(count(&outcomes, Some(Kind::Throttled)), FILES);
    let calls = emulator.stats().of(Operation::Single).calls;
    assert!(
        calls <= FILES as u64 + 4096,
        "{calls} calls: more repeats than a run may make"
    );
}

#[test]
fn refused_credentials_end_the_run() {
    let refused = Action::Code {
        code: 401,
        message: "token is expired".to_owned(),
    };
    let emulator = emulator(vec![Fault::on(Operation::Single, refused).from(5)]);
    let folder = tempfile::tempdir().expect("a folder");
    let items = files(folder.path(), 200);
    let mut options = row::quick(&emulator);
    options.concurrency = Some(4);
    let client = Client::new(options).expect("sensible");
    let outcomes = row::run(&client, items);
    assert!(count(&outcomes, Some(Kind::Auth)) >= 1);
    assert_eq!(count(&outcomes, None), 4);
    // Four at once: those that were on their way when the first refusal came.
    let calls = emulator.stats().of(Operation::Single).calls;
    assert!(calls <= 4 + 4, "{calls} calls: a storm");
}

fn emulator(faults: Vec<Fault>) -> Emulator {
    Emulator::start(Config {
        slice_size: 16 << 10,
        polls: 0,
        faults,
        ..Config::default()
    })
    .expect("an emulator")
}

fn upload(emulator: &Emulator, single_max: u64, items: Vec<Item>) -> Vec<Outcome> {
    let mut options = row::quick(emulator);
    options.single_max = single_max;
    let client = Client::new(options).expect("sensible");
    row::run(&client, items)
}

/// Small files, no two the same.
fn files(folder: &Path, count: usize) -> Vec<Item> {
    (0..count)
        .map(|number| {
            let path = folder.join(format!("{number}.txt"));
            fs::write(&path, format!("file number {number}")).expect("written");
            Item::new(path)
        })
        .collect()
}

/// Files that failed with this kind, or that did not fail.
fn count(outcomes: &[Outcome], kind: Option<Kind>) -> usize {
    let kind_of = |outcome: &Outcome| match &outcome.status {
        Status::Failed(error) => Some(error.kind()),
        _ => None,
    };
    outcomes
        .iter()
        .filter(|outcome| kind_of(outcome) == kind)
        .count()
}
