//! HTTP on an open stream. In: the stream. Out: hyper's handle to send on it, and the side that moves
//! its bytes until it ends. Never: a request of its own, but HTTP/2's pings.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::body::BodyStream;
use super::stream::{ConnectionMeter, Stream};
use crate::http::Version;

/// A connection ready to send, and the side of it that has to be driven.
pub(super) struct Opened {
    pub(super) version: Version,
    pub(super) sender: Sender,
    pub(super) driver: Driver,
    pub(super) meter: Arc<ConnectionMeter>,
}

/// hyper's handle of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    /// One request at a time.
    H1(http1::SendRequest<BodyStream>),
    /// Streams.
    H2(http2::SendRequest<BodyStream>),
}

/// The side of a connection that must be driven, or no byte moves.
pub(super) struct Driver {
    connection: Connection,
    meter: Arc<ConnectionMeter>,
    awaits_settings: bool,
}

/// hyper's side of a connection, which must be polled. It ends when the connection does.
enum Connection {
    H1(Box<http1::Connection<Stream, BodyStream>>),
    H2(Box<http2::Connection<Stream, BodyStream, TokioExecutor>>),
}

/// What happened on a connection.
pub(super) enum ConnectionEvent {
    /// It is over.
    Ended,
    /// The peer's settings were read: so many streams at once are allowed.
    Settings { streams: usize },
    /// The time is up.
    Due,
}

impl Opened {
    /// Begins HTTP on `stream`; over HTTP/2 the peer is pinged where it is silent for `ping`.
    pub(super) async fn new(stream: Stream, ping: Duration) -> hyper::Result<Self> {
        let (version, meter) = (stream.version(), stream.meter());
        let (sender, connection) = match version {
            Version::H1 => {
                let (sender, connection) = h1_settings().handshake(stream).await?;
                (Sender::H1(sender), Connection::H1(Box::new(connection)))
            }
            Version::H2 => {
                let (sender, connection) = h2_settings(ping).handshake(stream).await?;
                (Sender::H2(sender), Connection::H2(Box::new(connection)))
            }
        };
        Ok(Opened {
            version,
            sender,
            driver: Driver {
                connection,
                meter: Arc::clone(&meter),
                awaits_settings: true,
            },
            meter,
        })
    }
}

impl Driver {
    /// Drives the connection until something happens, at `due` at the latest.
    pub(super) async fn turn(&mut self, due: Option<Instant>) -> ConnectionEvent {
        let end = due.unwrap_or_else(Instant::now);
        tokio::select! {
            () = &mut self.connection => ConnectionEvent::Ended,
            () = self.meter.settings_read(), if self.awaits_settings => {
                self.awaits_settings = false;
                ConnectionEvent::Settings { streams: self.connection.streams() }
            }
            () = tokio::time::sleep_until(end), if due.is_some() => ConnectionEvent::Due,
        }
    }
}

impl Connection {
    /// How many streams the peer allows at once, as far as it has said.
    fn streams(&self) -> usize {
        match self {
            Connection::H1(_) => 1,
            Connection::H2(connection) => connection.current_max_send_streams(),
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // How a connection ends is told to its requests, by hyper.
        match self.get_mut() {
            Connection::H1(connection) => Pin::new(connection).poll(cx).map(drop),
            Connection::H2(connection) => Pin::new(connection).poll(cx).map(drop),
        }
    }
}

/// Lenient: servers are reached through gateways that fold headers, put blanks before colons, or add
/// dozens of their own; what is said in them is of little matter.
fn h1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(MOST_HEADERS);
    settings
}

/// Headers of one reply.
const MOST_HEADERS: usize = 1_000;

fn h2_settings(ping: Duration) -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        // Until its settings are read the peer may allow one stream only.
        .initial_max_send_streams(1)
        // Replies are small; these are for the peer's sake, not ours.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 22)
        .max_send_buf_size(H2_SEND_BUFFER)
        .keep_alive_interval(ping)
        .keep_alive_timeout(PING_ANSWERED_WITHIN);
    settings
}

/// What one stream may have queued inside h2: two chunks, so that the next one is ready when a
/// window opens.
const H2_SEND_BUFFER: usize = 256 << 10;

/// A ping stands in line behind what was sent before it, which on a slow link takes its time.
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(15);
