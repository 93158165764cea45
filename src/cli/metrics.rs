//! `--metrics`: the run's counters for Prometheus, over plain HTTP. In: a run. Out: its numbers, whenever they
//! are asked for. Never: a name of a file, a wait of the run for who asks, more than some askers at once.

use std::convert::Infallible;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use panup::{Client, Error, Held, Kind, Operation, Outcome, Progress, Snapshot, Summary};
use tokio::sync::Semaphore;

use super::complain;

/// Where the numbers are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(SocketAddr);

impl FromStr for Address {
    type Err = String;

    /// A port, of loopback, or an address in full.
    fn from_str(text: &str) -> Result<Address, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = port.parse::<u16>() {
            return Ok(Address((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse().map(Address).map_err(|_| {
            "a port, such as 9123, or an address with one, such as 127.0.0.1:9123 or [::1]:9123"
                .to_owned()
        })
    }
}

/// The numbers of one run, served until the process ends.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Numbers>>);

#[derive(Default)]
struct Numbers {
    /// While the run goes on.
    run: Option<(Client, Arc<Progress>)>,
    files: Summary,
    /// What the run said last.
    last: String,
}

impl Metrics {
    /// Serves them at `address`; the first line on standard error says where.
    ///
    /// # Errors
    /// Nothing can listen there.
    pub fn serve(Address(address): Address) -> Result<Metrics, Error> {
        let failed = |error: std::io::Error| {
            let message = format!("--metrics {address}: {error}");
            Error::new(Kind::Invalid, Operation::Configure, message)
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Metrics::default();
        let served = metrics.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        std::thread::Builder::new()
            .name("panup-metrics".to_owned())
            .spawn(move || runtime.block_on(listen(listener, served)))
            .map_err(failed)?;
        complain(&format!("metrics   http://{address}/metrics"));
        if !is_loopback(address.ip()) {
            complain(
                "warning   whoever reaches this address can read the metrics: they go without encryption and ask for \
                 no password",
            );
        }
        Ok(metrics)
    }

    /// Of this run.
    pub fn follow(&self, client: &Client, progress: &Arc<Progress>) {
        self.numbers().run = Some((client.clone(), Arc::clone(progress)));
    }

    /// A file ended.
    pub fn count(&self, outcome: &Outcome) {
        self.numbers().files.count(outcome);
    }

    /// The run is over: what it said last stays, and nothing of it is held.
    pub fn end(&self) {
        let last = self.text();
        let mut numbers = self.numbers();
        numbers.last = last;
        let run = numbers.run.take();
        drop(numbers);
        drop(run);
    }

    fn text(&self) -> String {
        let numbers = self.numbers();
        let Some((client, progress)) = numbers.run.clone() else {
            let mut page = Page::default();
            page.build();
            return match numbers.last.is_empty() {
                true => page.text,
                false => numbers.last.clone(),
            };
        };
        let files = numbers.files;
        drop(numbers);
        let mut page = Page::default();
        page.build();
        page.files(&files, &progress.snapshot());
        page.bytes(&progress.snapshot());
        page.calls(&progress);
        page.servers(&client);
        let commits = client.journal_commits();
        page.one(
            "panup_journal_commits_total",
            "Groups of facts that the journal wrote.",
            "counter",
            commits,
        );
        page.text
    }

    fn numbers(&self) -> std::sync::MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: TcpListener, metrics: Metrics) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let places = Arc::new(Semaphore::new(ASKERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((socket, _)) = listener.accept().await else {
            // Out of descriptors, for a moment.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = hyper::service::service_fn(|request| {
                let answer = answer(&request, &metrics);
                async { Ok::<_, Infallible>(answer) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            http.keep_alive(false).max_buf_size(16 << 10);
            let served = http.serve_connection(TokioIo::new(socket), service);
            drop(tokio::time::timeout(2 * PATIENCE, served).await);
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<String> {
    let mut response = Response::new(String::new());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
    } else if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.body_mut() = "the metrics are at /metrics\n".to_owned();
    } else {
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        *response.body_mut() = metrics.text();
    }
    response
}

/// The text as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn build(&mut self) {
        self.head("panup_build_info", "The version that runs.", "gauge");
        self.line(
            "panup_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.one(
            "panup_last_seen_timestamp_seconds",
            "When this was told.",
            "gauge",
            now.as_secs(),
        );
    }

    fn files(&mut self, files: &Summary, now: &Snapshot) {
        self.head("panup_files_total", "Files that ended, by how.", "counter");
        for (status, count) in [
            ("uploaded", files.uploaded),
            ("reused", files.reused),
            ("skipped", files.skipped),
            ("failed", files.failed),
            ("interrupted", files.interrupted),
        ] {
            self.line("panup_files_total", &[("status", status)], count);
        }
        let queued = now.files.saturating_sub(now.files_done);
        self.one(
            "panup_files_listed_total",
            "Files that were handed in.",
            "counter",
            now.files,
        );
        self.one(
            "panup_files_queued",
            "Files that were handed in and have not ended.",
            "gauge",
            queued,
        );
        self.head("panup_files_at", "Files under way, by step.", "gauge");
        for (step, count) in [
            ("hashing", now.hashing),
            ("sending", now.sending),
            ("verifying", now.verifying),
        ] {
            self.line("panup_files_at", &[("step", step)], count as u64);
        }
    }

    fn bytes(&mut self, now: &Snapshot) {
        self.one(
            "panup_bytes_sent_total",
            "Content bytes that went to sockets, resends included.",
            "counter",
            now.sent,
        );
        // These can be taken back: by a file that changes, by an upload that begins again.
        self.one(
            "panup_bytes_listed",
            "Bytes of the files that were handed in.",
            "gauge",
            now.bytes,
        );
        self.one(
            "panup_bytes_hashed",
            "Bytes of which the MD5 is known.",
            "gauge",
            now.hashed,
        );
        self.one(
            "panup_bytes_acked",
            "Bytes that the service has.",
            "gauge",
            now.acked,
        );
        self.one(
            "panup_bytes_resumed",
            "Bytes that an earlier run had sent.",
            "gauge",
            now.resumed,
        );
        self.one(
            "panup_bytes_failed",
            "Bytes of the files that failed.",
            "gauge",
            now.failed,
        );
        self.one(
            "panup_bytes_on_wire",
            "Bytes that sockets took and nobody acknowledged yet.",
            "gauge",
            now.on_wire,
        );
        self.one(
            "panup_bodies_in_flight",
            "Bodies that are being sent.",
            "gauge",
            now.in_flight as u64,
        );
        self.one(
            "panup_permits",
            "Bodies that may be in flight at once.",
            "gauge",
            now.permits as u64,
        );
        if let Some(rate) = now.call_rate {
            self.head(
                "panup_calls_per_second",
                "Calls that are granted, of the call for which files wait.",
                "gauge",
            );
            self.line("panup_calls_per_second", &[], rate);
        }
        self.head(
            "panup_held",
            "What holds the run back: 1 for one of them.",
            "gauge",
        );
        for held in Held::ALL {
            self.line(
                "panup_held",
                &[("by", name(held))],
                u64::from(now.held == Some(held)),
            );
        }
    }

    fn calls(&mut self, progress: &Progress) {
        self.one(
            "panup_retries_total",
            "Attempts that were repeated.",
            "counter",
            progress.snapshot().retries,
        );
        self.head(
            "panup_calls_total",
            "Attempts at calls of the service, by call and outcome.",
            "counter",
        );
        for count in progress.calls() {
            let outcome = count.failure.map_or("ok", Kind::name);
            let labels = [("call", count.operation.name()), ("outcome", outcome)];
            self.line("panup_calls_total", &labels, count.attempts);
        }
    }

    fn servers(&mut self, client: &Client) {
        let servers = client.servers();
        self.head(
            "panup_server_bytes_sent_total",
            "Bytes given to a server's sockets, TLS and headers included.",
            "counter",
        );
        for report in &servers {
            self.line(
                "panup_server_bytes_sent_total",
                &[("server", &report.server)],
                report.bytes,
            );
        }
        self.head(
            "panup_server_connections",
            "Connections that are open.",
            "gauge",
        );
        for report in &servers {
            self.line(
                "panup_server_connections",
                &[("server", &report.server)],
                report.connections,
            );
        }
        self.head(
            "panup_server_requests_total",
            "Requests that a server answered, by HTTP version.",
            "counter",
        );
        for report in &servers {
            for (version, count) in [("1.1", report.h1_requests), ("2", report.h2_requests)] {
                let labels = [("server", report.server.as_str()), ("version", version)];
                self.line("panup_server_requests_total", &labels, count);
            }
        }
    }

    fn one(&mut self, name: &str, help: &str, kind: &str, value: u64) {
        self.head(name, help, kind);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let quoted = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        };
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", quoted(text)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

fn name(held: Held) -> &'static str {
    match held {
        Held::Disk => "disk",
        Held::Hash => "hash",
        Held::Link => "link",
        Held::Limit => "limit",
        Held::Others => "others",
        Held::Service => "service",
        Held::CallRate => "calls",
        Held::Verifying => "verifying",
        _ => "waiting",
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Connections at a time.
const ASKERS: usize = 16;

/// For a request to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_unless_an_address_is_typed_in_full() {
        let address = |text: &str| text.parse().map(|Address(address)| address.to_string());
        assert_eq!(address("9123").as_deref(), Ok("127.0.0.1:9123"));
        assert_eq!(address(":0").as_deref(), Ok("127.0.0.1:0"));
        assert_eq!(address("[::1]:9").as_deref(), Ok("[::1]:9"));
        assert_eq!(address("0.0.0.0:9").as_deref(), Ok("0.0.0.0:9"));
        for wrong in ["", "localhost", "0.0.0.0", "70000", "1.2.3.4:", "http://x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_quoted() {
        let mut page = Page::default();
        page.line("x", &[("a", "q\"b\\c\nd")], 1);
        assert_eq!(page.text, "x{a=\"q\\\"b\\\\c\\nd\"} 1\n");
    }
}
