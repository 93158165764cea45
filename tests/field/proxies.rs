//! The way to the service: proxies as the environment names them, and what no waiting mends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use panup_emulator::Emulator;
use serde_json::Value;

use crate::common::program::{Finished, finish, panup, stored, variable};
use crate::common::{Scene, make};

#[test]
fn a_variable_that_cannot_be_read_ends_it_before_anything_starts() {
    let scene = Scene::small();
    scene.file("a", 10);
    for (name, value) in [
        ("http_proxy", "ftp://127.0.0.1:1"),
        ("HTTPS_PROXY", "https://127.0.0.1:1"),
        ("ALL_PROXY", "socks4://127.0.0.1:1"),
        ("http_proxy", "http://127.0.0.1:port"),
        ("no_proxy", "api.*.test"),
    ] {
        let run = through(&scene, "api.test:1", &[(name, value)]).exit(2);
        assert!(run.stderr.contains(&variable(name)), "{run:?}");
        assert_eq!(run.stdout, "", "{name}={value}");
    }
    assert_eq!(stored(&scene.emulator), [""; 0]);
}

#[test]
fn a_password_that_a_proxy_refuses_is_sent_once() {
    let scene = Scene::small();
    for n in 0..8 {
        make(&scene.path(&format!("{n}")), 1_000, n);
    }
    for (status, said) in [(407, "http_proxy"), (403, "NO_PROXY")] {
        let proxy = Proxy::new(move |mut stream| {
            let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
            drop(read_head(&mut stream));
            drop(stream.write_all(head.as_bytes()));
        });
        let named = proxy.named("http://user:wr0ng@");
        let run = through(&scene, "api.test:1", &[("http_proxy", &named)]).exit(1);
        run.hides("wr0ng");
        assert_eq!(proxy.asked(), 1, "{run:?}");
        let (files, summary) = run.report();
        assert_eq!(unsent(&summary), 8, "{run:?}");
        let words = message_of(&files);
        assert!(words.contains(&status.to_string()), "{words}");
        assert!(words.contains(&variable(said)), "{words}");
    }
}

#[test]
fn a_proxy_that_does_not_reach_the_service_is_asked_again() {
    let scene = Scene::small();
    scene.file("a", 10);
    let target = authority(&scene.emulator);
    let tries = AtomicUsize::new(0);
    let proxy = Proxy::new(move |mut stream| {
        drop(read_head(&mut stream));
        if tries.fetch_add(1, Ordering::SeqCst) == 0 {
            drop(stream.write_all(b"HTTP/1.1 503 Later\r\n\r\n"));
            return;
        }
        drop(stream.write_all(b"HTTP/1.1 204 Here\r\nvia: x\r\n\r\n"));
        carry(stream, &target);
    });
    through(
        &scene,
        "api.test:1",
        &[("ALL_PROXY", &proxy.named("http://"))],
    )
    .exit(0);
}

#[test]
fn socks_carries_an_upload_and_looks_names_up() {
    let scene = Scene::small();
    make(&scene.path("a"), 300_000, 1);
    for (scheme, password) in [("socks5", None), ("socks5h", Some("me:s3cret"))] {
        let target = authority(&scene.emulator);
        let proxy = Proxy::new(move |stream| socks(stream, &target, password));
        let named = match password {
            Some(password) => proxy.named(&format!("{scheme}://{password}@")),
            None => proxy.named(&format!("{scheme}://")),
        };
        let run = through(&scene, "api.test:36000", &[("ALL_PROXY", &named)]).exit(0);
        run.hides("s3cret");
        assert!(proxy.asked() > 0);
    }
    let proxy = Proxy::new(|stream| socks(stream, "", Some("me:s3cret")));
    let named = proxy.named("socks5h://me:wr0ng@");
    let run = through(&scene, "api.test:1", &[("all_proxy", &named)]).exit(1);
    assert_eq!(proxy.asked(), 1, "{run:?}");
    let words = message_of(&run.report().0);
    assert!(words.contains(&variable("all_proxy")), "{words}");
}

#[test]
fn what_no_waiting_mends_ends_the_run_soon() {
    let scene = Scene::small();
    for n in 0..200 {
        make(&scene.path(&format!("{n}")), 100, n);
    }
    let refuse = |reply: &'static [u8]| {
        Proxy::new(move |mut stream| {
            let mut hello = [0; 16];
            drop(stream.read(&mut hello));
            drop(stream.write_all(reply));
            drop(stream.shutdown(std::net::Shutdown::Write));
            drop(stream.read_to_end(&mut Vec::new()));
        })
    };
    // A fatal alert protocol_version, and a server that speaks plain HTTP.
    for (reply, said) in [
        (&[21, 3, 1, 0, 2, 2, 70][..], "TLS 1.2 and 1.3"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
    ] {
        let server = refuse(reply);
        let run = through(&scene, &server.named("https://"), &[]).exit(1);
        let (files, summary) = run.report();
        assert_eq!(unsent(&summary), 200, "{run:?}");
        assert!(message_of(&files).contains(said), "{run:?}");
        assert!(server.asked() < 20, "{} handshakes", server.asked());
    }
    let run = through(&scene, "no-such-host.invalid", &[]).exit(1);
    assert!(
        message_of(&run.report().0).contains("host not found"),
        "{run:?}"
    );
}

/// `panup upload` of all of the scene to `api`, with these variables.
fn through(scene: &Scene, api: &str, variables: &[(&str, &str)]) -> Finished {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = panup(home.path());
    let api = match api.contains("://") {
        true => api.to_owned(),
        false if api.contains(':') => format!("http://{api}"),
        false => format!("https://{api}"),
    };
    command.args([
        "upload",
        "--json",
        "--allow-http",
        "--no-resume",
        "--api",
        &api,
    ]);
    command.args(["--trust-host", "127.0.0.1", "--on-conflict", "overwrite"]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.envs(variables.iter().copied());
    command.arg(scene.local.path());
    finish(&mut command)
}

/// Files that failed, those included that the run ended before.
fn unsent(summary: &Value) -> u64 {
    summary["failed"].as_u64().expect("a number")
}

fn message_of(files: &[Value]) -> String {
    let mut messages = files
        .iter()
        .filter_map(|file| file["error"]["message"].as_str());
    messages.next().unwrap_or_default().to_owned()
}

fn authority(emulator: &Emulator) -> String {
    emulator.api().trim_start_matches("http://").to_owned()
}

/// Something that listens.
struct Proxy {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (asked, serve) = (Arc::<AtomicUsize>::default(), Arc::new(serve));
        let counted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Proxy { address, asked }
    }

    fn named(&self, before: &str) -> String {
        format!("{before}{}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

/// SOCKS 5 for names alone: whatever is asked for is `target`.
fn socks(mut stream: TcpStream, target: &str, password: Option<&str>) {
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        stream
            .read_exact(&mut bytes)
            .map(|()| bytes)
            .unwrap_or_default()
    };
    let methods = read(2);
    let offered = read(usize::from(methods[1]));
    let method = if password.is_some() { 2 } else { 0 };
    assert!(offered.contains(&method), "{offered:?}");
    drop(stream.write_all(&[5, method]));
    if let Some(password) = password {
        let mut read = |count: usize| {
            let mut bytes = vec![0; count];
            stream
                .read_exact(&mut bytes)
                .map(|()| bytes)
                .unwrap_or_default()
        };
        let user = usize::from(read(2)[1]);
        let user = read(user);
        let length = usize::from(read(1)[0]);
        let told = [user, read(length)].join(&b':');
        let good = told == password.as_bytes();
        drop(stream.write_all(&[1, u8::from(!good)]));
        if !good {
            return;
        }
    }
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("a request");
    let mut name = vec![0; usize::from(head[4]) + 2];
    stream.read_exact(&mut name).expect("a name");
    assert_eq!((head[3], name.starts_with(b"api.test")), (3, true));
    drop(stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    carry(stream, target);
}

fn carry(stream: TcpStream, target: &str) {
    let server = TcpStream::connect(target).expect("the emulator");
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(std::net::Shutdown::Write));
    };
    let (from, to) = (
        stream.try_clone().expect("one"),
        server.try_clone().expect("one"),
    );
    let back = thread::spawn(move || copy(from, to));
    copy(server, stream);
    drop(back.join());
}
