//! The emulated network: slow, late, dead and silent servers.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use panup_emulator::{Config, Emulator, NetworkConditions, Place, Service};

use socket2::{Domain, Socket, Type};

use crate::client::*;

fn service(service: Service) -> NetworkConditions {
    NetworkConditions {
        service,
        ..NetworkConditions::default()
    }
}

#[test]
fn a_dead_server_refuses_and_resets_and_comes_back() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let servers = emulator.servers();
    let mut open = Wire::open(&servers[1]).unwrap();
    assert_eq!(open.ask(&single("f", b"x")).unwrap().code(), 0);
    emulator.kill_server(1);
    let refused = Wire::open(&servers[1]).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
    let reset = open.0.read(&mut [0]).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    // No other program gets its port meanwhile, and what a client sends to it.
    let address: SocketAddr = servers[1].strip_prefix("http://").unwrap().parse().unwrap();
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let taken = other.bind(&address.into()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    assert_eq!(single("g", b"x").send(&servers[0]).code(), 0);
    emulator.revive_server(1);
    assert_eq!(single("h", b"x").send(&servers[1]).code(), 0);
}

#[test]
fn a_server_can_be_dead_from_the_start() {
    let config = Config {
        network: vec![(Place::Server(0), service(Service::Dead))],
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let server = &emulator.servers()[0];
    while Wire::open(server).is_ok() {
        std::thread::yield_now();
    }
    emulator.revive_server(0);
    assert_eq!(single("f", b"x").send(server).code(), 0);
}

#[test]
fn a_black_hole_accepts_and_says_nothing() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let server = &emulator.servers()[0];
    let mut open = Wire::open(server).unwrap();
    assert_eq!(open.ask(&single("f", b"x")).unwrap().code(), 0);
    emulator.set_network(Place::Server(0), service(Service::BlackHole));
    let mut new = Wire::open(server).unwrap();
    let patience = Some(Duration::from_millis(50));
    for (wire, name) in [(&mut open, "g"), (&mut new, "h")] {
        wire.0.set_read_timeout(patience).unwrap();
        let silent = wire.ask(&single(name, b"x")).unwrap_err();
        assert!(ran_out_of_patience(&silent), "{silent}");
    }
    // What was sent is still there when it ends.
    emulator.set_network(Place::Server(0), NetworkConditions::default());
    open.0.set_read_timeout(None).unwrap();
    assert_eq!(open.answer().unwrap().code(), 0);
}

#[test]
fn answers_take_their_latency() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let conditions = NetworkConditions {
        latency_ms: 30,
        ..NetworkConditions::default()
    };
    emulator.set_network(Place::Api, conditions);
    let began = Instant::now();
    assert_eq!(Ask::to("GET", DOMAIN).send(&emulator.api()).code(), 0);
    // One for the connection, one for the answer.
    assert!(began.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_narrow_link_is_shared() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let conditions = NetworkConditions {
        bandwidth: Some(4 << 20),
        ..NetworkConditions::default()
    };
    emulator.set_network(Place::Server(0), conditions);
    let server = emulator.servers()[0].clone();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let content = vec![n; 512 << 10];
                let answer = single(&format!("f{n}"), &content).send(server);
                assert_eq!(answer.code(), 0);
            });
        }
    });
    // 2 MiB in all: at least half a second, less the credit of an idle link.
    assert!(began.elapsed() >= Duration::from_millis(480));
    assert_eq!(emulator.files().len(), 4);
}
