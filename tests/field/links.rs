//! What an earlier run has found of a link: this one begins with it, and finds out whether it is wrong.

use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use panup::{ByteSource, Client, Item, Status};
use panup_emulator::{Config, NetworkConditions, Place, Tls};
use rusqlite::{Connection, params};

use crate::common::Scene;
use crate::common::program::{Finished, LONGEST};
use crate::common::run_within;

/// Bodies that an earlier run has found.
const FOUND: u32 = 8;

/// Longer than eight handshakes take on a busy machine.
const OPENED_WITHIN: Duration = Duration::from_secs(60);

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
    let scene = scene(own);
    let large = scene.file("large", 16 * SLICE);
    let journal = known(&scene, own);
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

/// While the first file by slices is hashed, as many connections are opened as bodies will begin with; its contents
/// are not told before.
#[test]
fn connections_are_open_before_the_first_file_is_hashed() {
    let Some(own) = own_address() else {
        eprintln!("skipped: this machine has no IPv4 address but loopback");
        return;
    };
    let scene = Arc::new(scene(own));
    drop(known(&scene, own));
    let mut options = scene.options();
    options.state_dir = Some(scene.state());
    options.single_max = 1 << 10;
    let client = Client::new(options).expect("sound");
    let items = vec![Item::source("large", Held(Arc::clone(&scene)))];
    let outcomes = run_within(LONGEST, &client, items);
    assert!(
        matches!(outcomes[0].status, Status::Uploaded(_)),
        "{outcomes:?}"
    );
}

/// Bytes that are not told before the connections are open.
struct Held(Arc<Scene>);

impl ByteSource for Held {
    fn length(&self) -> u64 {
        2 * SLICE
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let deadline = Instant::now() + OPENED_WITHIN;
        let opened = || self.0.emulator.stats().server(0).connections;
        while opened() < u64::from(FOUND) {
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("{} connections", opened())));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(vec![7; (range.end - range.start) as usize].into())
    }
}

fn scene(own: IpAddr) -> Scene {
    Scene::new(Config {
        listen: SocketAddr::new(own, 0),
        servers: 1,
        slice_size: SLICE,
        polls: 0,
        tls: Tls::Http1,
        ..Config::default()
    })
}

/// A small file has made a journal, in which it stands what the way to the server carries, from here and from
/// elsewhere.
fn known(scene: &Scene, own: IpAddr) -> Connection {
    let pem = scene.emulator.ca_pem().expect("it speaks TLS");
    std::fs::write(scene.path("ca.pem"), pem).expect("room");
    let server = scene.emulator.servers().remove(0);
    let (_, server) = server.split_once("://").expect("a scheme");
    scene.file("small", 10);
    ended(upload(scene, "small").output());
    let journal = Connection::open(scene.state().join("journal.db")).expect("a database");
    for network in [network(own), "203.0.113.0/24".to_owned()] {
        let row = "INSERT INTO link VALUES (?1, ?2, ?3, 1000000000, 0, 2000000000)";
        let row = journal.execute(row, params![network, server, FOUND]);
        assert_eq!(row.expect("a row"), 1);
    }
    journal
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
