//! Names that only the caller can look up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use panup::{Client, Item, Kind, Lookup};
use panup_emulator::Tls;

use crate::common::{SLICE, Scene, failure, run_within};

const PATIENCE: Duration = Duration::from_secs(30);
const HANGS: &str = "no connection within 200ms";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn the_api_and_upload_servers_are_found_as_the_caller_says() {
    let relay = TcpListener::bind((HERE, 0)).expect("a port");
    let port = relay.local_addr().expect("bound").port();
    let scene = Scene::small_with(Tls::Off, |config| {
        config.servers = 1;
        config.advertise = vec![format!("http://up.cloud.test:{port}")];
    });
    let server = address(&scene.emulator.servers()[0]);
    thread::spawn(move || relayed(&relay, server));
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let mut options = scene.options();
    options.api = format!(
        "http://api.cloud.test:{}",
        address(&scene.emulator.api()).port()
    );
    options.trusted_hosts = vec!["cloud.test".to_owned()];
    (options.allow_http, options.environment_proxies) = (true, false);
    options.single_max = 0;
    let hosts = Arc::clone(&asked);
    options.lookup = Some(Lookup::new(move |host| {
        hosts.lock().expect("no panic").push(host);
        async { Ok(vec![HERE]) }
    }));
    let item = scene.item("f", 3 * SLICE, 1);
    let client = Client::new(options).expect("sound");
    let outcomes = run_within(PATIENCE, &client, vec![item.clone()]);
    assert!(outcomes[0].status.error().is_none(), "{outcomes:?}");
    scene.assert_stored(&[&item]);
    let asked = asked.lock().expect("no panic");
    for host in ["api.cloud.test", "up.cloud.test"] {
        assert!(asked.iter().any(|name| name == host), "{asked:?}");
    }
}

#[test]
fn a_lookup_that_fails_panics_or_hangs_is_a_connection_that_failed() {
    let scene = Scene::small();
    let hang = || std::future::pending::<io::Result<Vec<IpAddr>>>();
    for (lookup, why) in [
        (
            Lookup::new(|_| async { Err(io::Error::other("the zone is gone")) }),
            "the zone is gone",
        ),
        (Lookup::new(|_| async { Ok(Vec::new()) }), "no address"),
        (
            Lookup::new(|_| async { panic!("asked for by a test") }),
            "panicked",
        ),
        (Lookup::new(move |_| hang()), HANGS),
    ] {
        let mut options = scene.options();
        options.api = "http://api.cloud.test:1".to_owned();
        (options.allow_http, options.environment_proxies) = (true, false);
        options.retry.attempts = 1;
        if why == HANGS {
            options.timeouts.connect = Duration::from_millis(200);
        }
        options.lookup = Some(lookup);
        let client = Client::new(options).expect("sound");
        let outcomes = run_within(PATIENCE, &client, vec![Item::bytes("f", "f")]);
        let error = failure(&outcomes[0]);
        assert_eq!(error.kind(), Kind::Transport, "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    assert!(scene.emulator.files().is_empty());
}

fn address(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://");
    address.parse().expect("an address and a port")
}

/// What comes to `from` goes to `to`, and back.
fn relayed(from: &TcpListener, to: SocketAddr) {
    for one in from.incoming() {
        let (one, other) = (one.expect("bound"), TcpStream::connect(to).expect("there"));
        for (mut reads, mut writes) in [(&one, &other), (&other, &one)]
            .map(|(reads, writes)| (reads.try_clone(), writes.try_clone()))
            .map(|(reads, writes)| (reads.expect("open"), writes.expect("open")))
        {
            thread::spawn(move || io::copy(&mut reads, &mut writes));
        }
    }
}
