//! Through real gateways: nginx and haproxy with TLS and h2 in front of the emulator, with the
//! habits that cost connections: few requests on each, few streams, and closed when idle.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{noise, within};
use panup::{Client, Event, Http, Item, Options, Status};
use panup_emulator::{Config, Emulator, Operation, Store};

#[test]
fn nginx_over_h2() {
    through(&Front::nginx().http(Http::H2));
}

#[test]
fn nginx_over_h1() {
    through(&Front::nginx().http(Http::H1));
}

#[test]
fn nginx_closes_after_twenty_requests() {
    for http in [Http::H1, Http::H2] {
        through(&Front::nginx().http(http).with("keepalive_requests 20;"));
    }
}

#[test]
fn nginx_takes_two_streams() {
    through(
        &Front::nginx()
            .http(Http::H2)
            .with("http2_max_concurrent_streams 2;"),
    );
}

/// A gateway that spools a body before it passes it on, and one that does not.
#[test]
fn nginx_passes_bodies_on_as_they_come() {
    through(
        &Front::nginx()
            .http(Http::Auto)
            .with("proxy_request_buffering off;"),
    );
}

#[test]
fn haproxy_over_h2_and_h1() {
    for http in [Http::H1, Http::H2] {
        through(&Front::haproxy().http(http));
    }
}

/// Ten thousand slices over eight connections, by the command, which is watched meanwhile: neither its
/// memory nor its sockets become more.
#[test]
fn nginx_takes_ten_thousand_slices() {
    for (http, flag) in [(Http::H1, "1"), (Http::H2, "2")] {
        let front = Front {
            slices: 10_000,
            ..Front::nginx().http(http)
        };
        let Some(program) = installed(&front) else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let gateway = Gateway::start(&front, &program, folder.path());
        let (large, root) = (
            folder.path().join("large.bin"),
            folder.path().join("root.pem"),
        );
        fs::write(&large, noise((front.slices * SLICE) as u64, 0)).expect("written");
        fs::write(&root, &gateway.root).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_panup"))
            .args([
                "upload",
                "--json",
                "--concurrency",
                "8",
                "--connections",
                "4",
            ])
            .args(["--http", flag, "--api", &gateway.address(0), "--ca-cert"])
            .arg(&root)
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .arg(&large)
            .env("PANUP_TOKEN", gateway.emulator.token())
            .stdout(Stdio::null())
            .spawn()
            .expect("the command");
        let seen = watch(&mut child, &gateway);
        assert!(child.wait().expect("a child").success());
        assert_eq!(
            gateway.emulator.stats().of(Operation::Slice).calls,
            10_000,
            "no repeat"
        );
        seen.judge();
    }
}

/// What a process held while it sent its first half, and its second.
#[derive(Debug, Default)]
struct Seen {
    /// KiB of its own memory.
    memory: [u64; 2],
    sockets: [usize; 2],
}

impl Seen {
    /// Looking needs `/proc`; elsewhere nothing was seen.
    fn judge(&self) {
        let [first, second] = self.memory;
        assert!(second <= first + 2048, "KiB of memory: {self:?}");
        // Eight to the servers, two to the base, and those that SQLite and tokio wake up by.
        assert!(
            self.sockets.iter().all(|&sockets| sockets <= 16),
            "{self:?}"
        );
        assert!(
            first > 0 || !Path::new("/proc/self/status").exists(),
            "{self:?}"
        );
    }
}

fn watch(child: &mut Child, gateway: &Gateway) -> Seen {
    let proc = Path::new("/proc").join(child.id().to_string());
    let mut seen = Seen::default();
    while child.try_wait().expect("a child").is_none() {
        let half = usize::from(gateway.emulator.stats().of(Operation::Slice).done > 5000);
        let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        let files = fs::read_dir(proc.join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let sockets = files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count();
        seen.memory[half] = seen.memory[half].max(kib.unwrap_or_default());
        seen.sockets[half] = seen.sockets[half].max(sockets);
        std::thread::sleep(Duration::from_millis(20));
    }
    seen
}

/// Says aloud where the gateway is missing, past the harness, which shows what a passing test prints
/// to nobody.
fn installed(front: &Front) -> Option<PathBuf> {
    let program = program(front.kind);
    if program.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {:?} here", front.kind);
    }
    program
}

/// A gateway, and what goes through it.
struct Front {
    kind: Kind,
    http: Http,
    /// Lines of configuration besides the usual ones.
    extra: &'static str,
    slices: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    Haproxy,
}

impl Front {
    fn nginx() -> Front {
        Front {
            kind: Kind::Nginx,
            http: Http::Auto,
            extra: "",
            slices: SLICES,
        }
    }

    fn haproxy() -> Front {
        Front {
            kind: Kind::Haproxy,
            ..Front::nginx()
        }
    }

    fn http(self, http: Http) -> Front {
        Front { http, ..self }
    }

    fn with(self, extra: &'static str) -> Front {
        Front { extra, ..self }
    }
}

/// Uploads one file of many slices and some small ones through `front`: every call is answered,
/// nothing is sent twice, every byte arrives, and every connection is closed in the end.
fn through(front: &Front) {
    let Some(program) = installed(front) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(front, &program, folder.path());
    let options = options(front, &gateway);
    let client = Client::new(options).expect("sensible");
    let large = folder.path().join("large.bin");
    fs::write(&large, noise((front.slices * SLICE - 77) as u64, 0)).expect("written");
    let mut items = vec![Item::new(&large)];
    for number in 0..SMALL {
        let path = folder.path().join(format!("small-{number}.bin"));
        fs::write(&path, noise(5000, number as u64 + 1)).expect("written");
        items.push(Item::new(path));
    }
    let retries = upload(&client, items);
    assert_eq!(retries, 0, "a gateway's habits cost no repeat");
    judge(front, &gateway, &large);
    connections(front, &client);
}

/// The version that was asked for, connections as the gateway's habits need them, and no more.
fn connections(front: &Front, client: &Client) {
    let servers = client.servers();
    let sum = |what: fn(&panup::ServerReport) -> u64| -> u64 { servers.iter().map(what).sum() };
    let (h1, h2) = (
        sum(|stats| stats.h1_requests),
        sum(|stats| stats.h2_requests),
    );
    // create, complete (asked again while the emulator hashes), domain, slices and small files.
    assert!(h1 + h2 >= (front.slices + SMALL) as u64 + 3);
    match front.http {
        // The base is asked over whatever it offers.
        Http::H1 => assert!(h2 < 60, "{h2} requests over h2"),
        Http::H2 => assert_eq!(h1, 0, "requests over HTTP/1.1"),
        _ => {}
    }
    let (opened, open) = (
        sum(|stats| stats.connections_opened),
        sum(|stats| stats.connections),
    );
    if front.extra.contains("keepalive_requests 20;") {
        assert!(opened >= (h1 + h2) / 20, "{opened} connections");
    }
    assert!(open <= 3 * 64, "{open} connections are open");
}

fn judge(front: &Front, gateway: &Gateway, large: &Path) {
    let emulator = &gateway.emulator;
    let stats = emulator.stats();
    let slices = stats.of(Operation::Slice);
    let twins = slices.done - front.slices as u64;
    assert!(twins <= front.slices as u64 / 50, "{twins} slices too many");
    assert_eq!(slices.calls - slices.done - slices.lost, 0, "{slices:?}");
    assert_eq!(stats.of(Operation::Single).done, SMALL as u64);
    assert_eq!(stats.of(Operation::Single).calls, SMALL as u64);
    assert_eq!(stats.of(Operation::Create).calls, 1);
    for server in 0..SERVERS {
        assert!(stats.server(server).calls > 0, "server {server} is idle");
    }
    let files = emulator.files();
    assert_eq!(files.len(), SMALL + 1);
    let stored = files
        .iter()
        .find(|file| file.path.ends_with("large.bin"))
        .and_then(|file| file.local.clone())
        .expect("stored");
    assert!(
        fs::read(stored).expect("stored") == fs::read(large).expect("sent"),
        "not the bytes that were sent"
    );
}

/// How often a call was repeated.
fn upload(client: &Client, items: Vec<Item>) -> u64 {
    within(HANGS, async {
        let mut run = client.start(items).expect("threads");
        while let Some(event) = run.next().await {
            if let Event::File(outcome) = event {
                assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
            }
        }
        run.progress().snapshot().retries
    })
}

fn options(front: &Front, gateway: &Gateway) -> Options {
    let mut options = common::options(&gateway.emulator);
    options.api = gateway.address(0);
    options.roots = vec![gateway.root.clone().into_bytes()];
    options.http = front.http;
    options
}

/// A running gateway with the emulator behind it. Port 0 is the base, the others the servers.
struct Gateway {
    process: Child,
    ports: Vec<u16>,
    root: String,
    emulator: Emulator,
}

impl Gateway {
    fn start(front: &Front, program: &Path, folder: &Path) -> Gateway {
        let ports = free_ports(SERVERS + 1);
        let advertise = ports[1..].iter().map(|&port| address(port)).collect();
        let emulator = Emulator::start(Config {
            servers: SERVERS,
            slice_size: SLICE as u64,
            polls: 0,
            store: Store::Dir(folder.join("cloud")),
            advertise,
            ..Config::default()
        })
        .expect("an emulator");
        let root = certificate(folder);
        let behind: Vec<String> = std::iter::once(emulator.api())
            .chain(emulator.servers())
            .collect();
        let config = folder.join("gateway.conf");
        let text = match front.kind {
            Kind::Nginx => nginx(front, folder, &ports, &behind),
            Kind::Haproxy => haproxy(folder, &ports, &behind),
        };
        fs::write(&config, text).expect("written");
        let mut command = Command::new(program);
        match front.kind {
            Kind::Nginx => command.arg("-p").arg(folder).arg("-c").arg(&config),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&config),
        };
        let log = fs::File::create(folder.join("gateway.log")).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the gateway starts");
        let mut gateway = Gateway {
            process,
            ports,
            root,
            emulator,
        };
        gateway.wait(folder);
        gateway
    }

    fn address(&self, at: usize) -> String {
        address(self.ports[at])
    }

    /// Until every port accepts.
    fn wait(&mut self, folder: &Path) {
        let deadline = Instant::now() + STARTS;
        for &port in &self.ports {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let ended = self.process.try_wait().expect("a child");
                let log = || fs::read_to_string(folder.join("gateway.log")).unwrap_or_default();
                assert!(
                    ended.is_none() && Instant::now() < deadline,
                    "the gateway does not start: {}",
                    log()
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A killed nginx leaves nobody behind: it runs without a master.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nginx(front: &Front, folder: &Path, ports: &[u16], behind: &[String]) -> String {
    let at = folder.display();
    let mut text = format!(
        "daemon off;\nmaster_process off;\nerror_log {at}/error.log warn;\npid {at}/gateway.pid;\n\
         events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n\
         client_max_body_size 0;\nclient_body_buffer_size 64k;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n\
         fastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
         ssl_certificate {at}/chain.pem;\nssl_certificate_key {at}/key.pem;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $host;\n\
         {}\n",
        front.extra
    );
    for (number, (port, target)) in ports.iter().zip(behind).enumerate() {
        let target = target.trim_start_matches("http://");
        let _ = write!(
            text,
            "upstream place{number} {{ server {target}; keepalive 32; }}\n\
             server {{ listen 127.0.0.1:{port} ssl http2;\n\
             location / {{ proxy_pass http://place{number}; }} }}\n"
        );
    }
    text + "}\n"
}

fn haproxy(folder: &Path, ports: &[u16], behind: &[String]) -> String {
    let at = folder.display();
    let mut text = String::from(
        "global\n  maxconn 500\n  tune.ssl.default-dh-param 2048\ndefaults\n  mode http\n\
         \x20 timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n",
    );
    for (number, (port, target)) in ports.iter().zip(behind).enumerate() {
        let target = target.trim_start_matches("http://");
        let _ = write!(
            text,
            "frontend front{number}\n  bind 127.0.0.1:{port} ssl crt {at}/bundle.pem alpn h2,http/1.1\n\
             \x20 default_backend back{number}\nbackend back{number}\n  server place {target}\n"
        );
    }
    text
}

/// An authority and a certificate for localhost in `folder`; the authority as PEM.
fn certificate(folder: &Path) -> String {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("fine");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let root = authority.self_signed(&authority_key).expect("signed");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("written");
    write("chain.pem", &leaf.pem());
    write("key.pem", &key.serialize_pem());
    write("bundle.pem", &(leaf.pem() + &key.serialize_pem()));
    root.pem()
}

fn address(port: u16) -> String {
    format!("https://localhost:{port}")
}

/// Ports that were free a moment ago; all are held until the last one is found. None is of those that the system
/// gives to whoever asks for any: another test would have it before the gateway has.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = std::iter::repeat_with(|| fastrand::u16(20_000..32_000))
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .take(count)
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().expect("bound").port())
        .collect()
}

/// Where the gateway's program is, if it is installed.
fn program(kind: Kind) -> Option<PathBuf> {
    let name = match kind {
        Kind::Nginx => "nginx",
        Kind::Haproxy => "haproxy",
    };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Enough for every connection to see twenty requests several times.
const SLICES: usize = 1000;

/// Small, so that it is requests that are many and not bytes.
const SLICE: usize = 16 << 10;

/// Files that go in one call.
const SMALL: usize = 40;

const SERVERS: usize = 2;

/// No run takes a tenth of it.
const HANGS: Duration = Duration::from_secs(200);

const STARTS: Duration = Duration::from_secs(10);
