//! What an earlier run has found of a link: this one begins with it, and finds out whether it is wrong.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Output};

use panup_emulator::{Config, NetworkConditions, Place, Tls};
use rusqlite::{Connection, params};

use crate::common::Scene;
use crate::common::program::Finished;

/// Bytes of a slice, many times what the slow link carries in a second.
const SLICE: u64 = 4 << 20;

/// A link that carried a gigabyte a second carries next to nothing: of eight slices that set out at once seven go
/// back, none counts as a failure, and what was known is forgotten.
#[test]
fn a_link_that_carries_less_than_before_costs_no_slice() {
    let Some(own) = own_address() else {
        eprintln!("skipped: this machine has no IPv4 address but loopback");
        return;
    };
    let scene = Scene::new(Config {
        listen: SocketAddr::new(own, 0),
        servers: 1,
        slice_size: SLICE,
        polls: 0,
        tls: Tls::Http1,
        ..Config::default()
    });
    let pem = scene.emulator.ca_pem().expect("it speaks TLS");
    std::fs::write(scene.path("ca.pem"), pem).expect("room");
    let server = scene.emulator.servers().remove(0);
    let (_, server) = server.split_once("://").expect("a scheme");
    scene.file("small", 10);
    let large = scene.file("large", 16 * SLICE);
    ended(upload(&scene, "small").output());
    let journal = Connection::open(scene.state().join("journal.db")).expect("a database");
    for network in [network(own), "203.0.113.0/24".to_owned()] {
        let row = "INSERT INTO link VALUES (?1, ?2, 8, 1000000000, 0, 2000000000)";
        let row = journal.execute(row, params![network, server]);
        assert_eq!(row.expect("a row"), 1);
    }
    carries(&scene, Some(50_000));
    let mut process = upload(&scene, "large").spawn().expect("a binary");
    let told = BufReader::new(process.stderr.take().expect("piped"));
    let goes_back = |line: std::io::Result<String>| line.expect("UTF-8").contains("go back");
    assert!(
        told.lines().any(goes_back),
        "it has ended without a word of it"
    );
    carries(&scene, None);
    ended(process.wait_with_output());
    scene.assert_arrived(&large, "large");
    let left = journal.query_row("SELECT group_concat(network) FROM link", [], |row| {
        row.get::<_, String>(0)
    });
    assert_eq!(left.expect("rows"), "203.0.113.0/24", "that one was wrong");
}

fn upload(scene: &Scene, name: &str) -> Command {
    let mut command = scene.panup(&["upload", "--json", "-v", "--single-max=1K", "--retries=0"]);
    command
        .args(["--ca-cert", "ca.pem", name])
        .current_dir(scene.local.path());
    command
}

fn ended(output: std::io::Result<Output>) -> Finished {
    Finished::from(output.expect("a binary")).exit(0)
}

/// The server takes so many bytes a second.
fn carries(scene: &Scene, bandwidth: Option<u64>) {
    let conditions = NetworkConditions {
        bandwidth,
        ..NetworkConditions::default()
    };
    scene.emulator.set_network(Place::Server(0), conditions);
}

/// This machine's, as the way out of it has it; nothing is sent there.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Its network, as the journal has it.
fn network(own: IpAddr) -> String {
    let own = own.to_string();
    let (front, _) = own.rsplit_once('.').expect("IPv4");
    format!("{front}.0/24")
}
