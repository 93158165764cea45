//! The wire alone: `net` to a sink that throws everything away, in a process of its own so that
//! the client's CPU time is the client's. Plain and TLS, HTTP/1.1 and HTTP/2, by connections and
//! streams. Criterion's report shows the usual settings; the table at the end shows all of them:
//!
//! ```text
//! cargo bench --bench net                     # criterion, then the table
//! cargo bench --bench net -- nothing          # the table alone
//! PANUP_BENCH_GIB=4 cargo bench --bench net -- nothing
//! ```
//!
//! On one machine client and sink share processors, so GiB/s is a floor for the client. CPU seconds
//! per GiB are what a tuning decision is taken from.

#![allow(clippy::print_stdout, missing_docs)]

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use panup::Http;
use panup::Operation;
use panup::internals::net::{
    Body, Origin, Pool, PoolSettings, Proxies, Request, Scheme, SystemRoots,
};

fn main() {
    if std::env::var_os(SINK).is_some() {
        return runtime().block_on(sink());
    }
    let sink = Sink::spawn();
    let bytes = payload();
    let mut criterion = Criterion::default().configure_from_args();
    report(&mut criterion, &sink, &bytes);
    criterion.final_summary();
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--bench") {
        table(&sink, &bytes);
    }
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    scheme: Scheme,
    preference: Http,
    connections: usize,
    streams: usize,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [1, 2, 4, 8] {
        let row = |name, scheme, preference, streams| Row {
            name,
            scheme,
            preference,
            connections,
            streams,
        };
        rows.push(row("plain h1", Scheme::Http, Http::H1, 1));
        rows.push(row("TLS h1", Scheme::Https, Http::H1, 1));
        rows.extend([1, 2, 4].map(|streams| row("TLS h2", Scheme::Https, Http::H2, streams)));
    }
    rows.sort_by_key(|row| {
        (
            row.name != "plain h1",
            row.name,
            row.streams,
            row.connections,
        )
    });
    rows
}

fn report(criterion: &mut Criterion, sink: &Sink, bytes: &Bytes) {
    let mut group = criterion.benchmark_group("net");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Bytes(REPORTED as u64));
    for row in rows()
        .into_iter()
        .filter(|row| row.connections == 4 && row.streams != 2)
    {
        let (runtime, pool) = (runtime(), sink.pool(row));
        group.bench_function(format!("{} 4x{}", row.name, row.streams), |bencher| {
            bencher.iter(|| {
                runtime.block_on(send_all(
                    &pool,
                    sink.origin(row),
                    row,
                    black_box(bytes),
                    REPORTED,
                ))
            });
        });
    }
    group.finish();
}

fn table(sink: &Sink, bytes: &Bytes) {
    let gib: f64 = std::env::var("PANUP_BENCH_GIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    let total = (gib * GIB) as usize;
    println!(
        "\n{:<10} {:>11} {:>8} {:>8} {:>16}",
        "wire", "connections", "streams", "GiB/s", "client CPU s/GiB"
    );
    for row in rows() {
        let (runtime, pool) = (runtime(), sink.pool(row));
        runtime.block_on(send_all(
            &pool,
            sink.origin(row),
            row,
            bytes,
            SLICE * row.connections * row.streams,
        ));
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        runtime.block_on(send_all(&pool, sink.origin(row), row, bytes, total));
        let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
        let gib = total as f64 / GIB;
        println!(
            "{:<10} {:>11} {:>8} {:>8.2} {:>16.3}",
            row.name,
            row.connections,
            row.streams,
            gib / wall,
            cpu / gib
        );
    }
}

/// Sends `total` bytes in slices, as many at once as the row has places.
async fn send_all(pool: &Pool, origin: Origin, row: Row, bytes: &Bytes, total: usize) {
    let slices = total / SLICE;
    let mut sending = JoinSet::new();
    for number in 0..slices {
        if sending.len() == row.connections * row.streams {
            sending
                .join_next()
                .await
                .expect("not empty")
                .expect("no panic");
        }
        let (pool, origin) = (pool.clone(), origin.clone());
        let at = number * SLICE % bytes.len();
        let body = Body::from(bytes.slice(at..at + SLICE));
        let request = Request {
            body,
            version: row.preference,
            ..Request::new(Method::POST, "/", Operation::Slice)
        };
        sending.spawn(async move { pool.send(&origin, request).await.expect("a reply") });
    }
    while let Some(sent) = sending.join_next().await {
        sent.expect("no panic");
    }
}

/// User and system time of this process, all threads.
fn cpu_seconds() -> f64 {
    panup::internals::source::processor_time().as_secs_f64()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// More than any cache holds, so that bytes come from memory as a mapped file's do.
fn payload() -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(PAYLOAD);
    while bytes.len() < PAYLOAD {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.into()
}

/// The other process.
struct Sink {
    child: Child,
    plain: u16,
    tls: u16,
    pem: String,
}

impl Sink {
    fn spawn() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env(SINK, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = || {
            let mut line = String::new();
            lines.read_line(&mut line).expect("the sink speaks");
            line.trim().to_owned()
        };
        let (plain, tls) = (
            line().parse().expect("a port"),
            line().parse().expect("a port"),
        );
        let mut pem = String::new();
        while !pem.contains("END CERTIFICATE") {
            pem += &line();
            pem.push('\n');
        }
        Sink {
            child,
            plain,
            tls,
            pem,
        }
    }

    fn origin(&self, row: Row) -> Origin {
        let port = if row.scheme == Scheme::Http {
            self.plain
        } else {
            self.tls
        };
        Origin {
            scheme: row.scheme,
            host: "localhost".to_owned(),
            port,
        }
    }

    fn pool(&self, row: Row) -> Pool {
        let mut settings = PoolSettings::default();
        settings.connections_per_server = Some(row.connections);
        settings.streams_per_connection = Some(row.streams);
        settings.roots = vec![self.pem.clone().into_bytes()];
        settings.system_roots = SystemRoots::Ignored;
        settings.proxies = Proxies::Off;
        Pool::new(settings).expect("good settings")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // A sink that is gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says its two ports and its certificate, then takes everything until it is ended.
async fn sink() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a valid name");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("the key is the certificate's");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let plain = TcpListener::bind(any).await.expect("a port");
    let tls = TcpListener::bind(any).await.expect("a port");
    let [plain_port, tls_port] =
        [&plain, &tls].map(|listener| listener.local_addr().expect("bound").port());
    print!("{plain_port}\n{tls_port}\n{}", made.cert.pem());
    // A parent that is gone, however it ended, closes this.
    std::thread::spawn(|| {
        let ended = std::io::stdin().read(&mut [0]);
        std::process::exit(i32::from(ended.is_err()));
    });
    tokio::spawn(take(plain, None));
    take(tls, Some(TlsAcceptor::from(Arc::new(config)))).await;
}

async fn take(listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let (stream, _) = listener.accept().await.expect("still bound");
        let tls = tls.clone();
        tokio::spawn(async move {
            let Some(tls) = tls else {
                return swallow(stream, Http::H1).await;
            };
            let stream = tls.accept(stream).await.expect("TLS");
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            swallow(stream, if h2 { Http::H2 } else { Http::H1 }).await;
        });
    }
}

async fn swallow(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, version: Http) {
    let service = service_fn(|request: hyper::Request<Incoming>| async {
        let mut body = request.into_body();
        while body.frame().await.is_some() {}
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    // A client that goes away in the middle is how a benchmark ends.
    let _ = match version {
        Http::H2 => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20)
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        _ => {
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
    };
}

const SINK: &str = "PANUP_BENCH_SINK";
const GIB: f64 = (1_u64 << 30) as f64;
/// The size that the service asks for.
const SLICE: usize = 16 << 20;
const PAYLOAD: usize = 256 << 20;
/// Bytes of one criterion iteration.
const REPORTED: usize = 128 << 20;
