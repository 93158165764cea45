//! Servers that are dead, deaf, slow, or die in the middle: the others take over.

use std::fs;
use std::time::Duration;

use panup::{Client, Item, Status};
use panup_emulator::{
    Action, Config, Emulator, Fault, NetworkConditions, Operation, Place, Service,
};

use crate::common::noise;
use crate::row::{self, Row};

#[test]
fn a_server_that_is_dead_from_the_start() {
    for server in 0..2 {
        Row::new(format!("server {server}"))
            .network(Place::Server(server), service(Service::Dead))
            .calls("create 1, slice 3, complete 1")
            .check();
    }
}

#[test]
fn no_server_is_left() {
    Row::new("both dead")
        .network(Place::Server(0), service(Service::Dead))
        .network(Place::Server(1), service(Service::Dead))
        .fails(panup::Kind::Transport)
        .says("connection refused")
        .calls("create 1")
        .check();
    Row::new("the base too")
        .network(Place::Api, service(Service::Dead))
        .fails(panup::Kind::Transport)
        .says("connection refused")
        .calls("")
        .check();
}

/// It accepts, and then nothing: calls there count when they are given up.
#[test]
fn a_server_that_is_deaf() {
    Row::new("deaf")
        .network(Place::Server(0), service(Service::BlackHole))
        .patience(Duration::from_millis(500))
        .calls("create 1, slice 3, complete 1")
        .check();
}

#[test]
fn a_server_that_fails_everything_is_left() {
    let emulator = emulator(Config {
        faults: vec![Fault::on(Operation::Slice, Action::status(502)).at(1)],
        ..small(2)
    });
    assert_all_arrive(&emulator, 64, |_| {});
    let stats = emulator.stats();
    assert_eq!(stats.of(Operation::Slice).done, 64);
    let failed = stats.server(1).calls;
    assert!(failed >= 1, "never tried");
    assert!(failed <= 16, "{failed} slices went to it");
}

#[test]
fn one_of_four_dies_in_the_middle() {
    // A hiccup of the machine during a server's first slice makes it a slow one for the tenth of a
    // second that all this takes: one time in thirty. Three times in a row is no chance.
    let mut seen = Vec::new();
    let takes_over = |_| {
        let emulator = emulator(Config {
            faults: vec![Fault::on(Operation::Slice, Action::Kill { server: 2 }).nth(60)],
            ..small(4)
        });
        assert_all_arrive(&emulator, 256, |_| {});
        let stats = emulator.stats();
        let tally = stats.of(Operation::Slice);
        assert_eq!(tally.done - repeated(&emulator), 256);
        // What was in flight there, and what was tried before it was known.
        assert!(tally.calls <= 256 + 32, "{tally:?}");
        // On loopback the shares differ by chance; each takes some of what the dead one would have.
        let idle = [0, 1, 3].map(|server| stats.server(server).calls < 10);
        seen.push(stats.places);
        !idle.contains(&true)
    };
    let taken_over = (0..3).any(takes_over);
    assert!(taken_over, "some server did not take over: {seen:?}");
}

#[test]
fn one_of_four_is_slow() {
    let slow = NetworkConditions {
        latency_ms: 200,
        ..NetworkConditions::default()
    };
    let emulator = emulator(Config {
        network: vec![(Place::Server(3), slow)],
        ..small(4)
    });
    assert_all_arrive(&emulator, 256, |_| {});
    let stats = emulator.stats();
    let slow = stats.server(3).calls;
    assert!(slow >= 1, "never tried");
    assert!(slow <= 64, "{slow} of 256 slices went to the slow one");
}

#[test]
fn a_server_that_comes_back() {
    let faults = vec![
        Fault::on(Operation::Slice, Action::Kill { server: 1 }).nth(10),
        Fault::on(Operation::Slice, Action::Revive { server: 1 }).nth(60),
    ];
    let emulator = emulator(Config { faults, ..small(2) });
    assert_all_arrive(&emulator, 256, |_| {});
    assert_eq!(
        emulator.stats().of(Operation::Slice).done - repeated(&emulator),
        256
    );
}

/// Slices that were done twice: a twin, or one whose answer was lost with its server.
fn repeated(emulator: &Emulator) -> u64 {
    let stats = emulator.stats();
    let done = stats
        .calls_of(Operation::Slice)
        .filter(|call| call.outcome == panup_emulator::Outcome::Done);
    let mut numbers: Vec<Option<u32>> = done.map(|call| call.slice_no).collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    (all - numbers.len()) as u64
}

fn assert_all_arrive(emulator: &Emulator, slices: usize, change: impl FnOnce(&mut panup::Options)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.bin");
    fs::write(&path, noise((slices * SLICE - 7) as u64, 0)).expect("written");
    let mut options = row::quick(emulator);
    options.single_max = 0;
    change(&mut options);
    let client = Client::new(options).expect("sensible");
    let outcomes = row::run(&client, vec![Item::new(&path)]);
    assert!(
        matches!(outcomes[0].status, Status::Uploaded(_)),
        "{outcomes:?}"
    );
}

fn emulator(config: Config) -> Emulator {
    Emulator::start(config).expect("an emulator")
}

fn small(servers: usize) -> Config {
    Config {
        servers,
        slice_size: SLICE as u64,
        polls: 0,
        ..Config::default()
    }
}

fn service(service: Service) -> NetworkConditions {
    NetworkConditions {
        service,
        ..NetworkConditions::default()
    }
}

const SLICE: usize = 16 << 10;
