//! A connection's own task. In: an open stream. Out: hyper's handle to send on it, and the future
//! that moves its bytes until it ends. Never: a request of its own, but HTTP/2's pings.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::body::BodyStream;
use super::lane::Lane;
use super::lease::Sender;
use super::settings::ServerStats;
use super::stream::{Meter, Stream};
use crate::http::Version;

use crate::sync::{Mutex, MutexGuard};

/// A connection ready to send, and the side of it that has to be driven.
pub(super) struct Opened {
    pub(super) version: Version,
    pub(super) sender: Sender,
    pub(super) driver: Driver,
    pub(super) meter: Arc<Meter>,
}

/// hyper's side of a connection, which must be polled. It ends when the connection does.
pub(super) enum Driver {
    H1(Box<http1::Connection<Stream, BodyStream>>),
    H2(Box<http2::Connection<Stream, BodyStream, TokioExecutor>>),
}

impl Opened {
    /// Begins HTTP on `stream`; over HTTP/2 the peer is pinged where it is silent for `ping`.
    pub(super) async fn new(stream: Stream, ping: Duration) -> hyper::Result<Self> {
        let (version, meter) = (stream.version(), stream.meter());
        let (sender, driver) = match version {
            Version::H1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                (Sender::H1(sender), Driver::H1(Box::new(connection)))
            }
            Version::H2 => {
                let (sender, connection) = h2_settings(ping).handshake(stream).await?;
                (Sender::H2(sender), Driver::H2(Box::new(connection)))
            }
        };
        Ok(Opened {
            version,
            sender,
            driver,
            meter,
        })
    }
}

impl Driver {
    /// Drives the connection to its end; tells the lane what the peer allows once that is known,
    /// and lets the connection go when it was idle for too long.
    pub(super) async fn drive(
        mut self,
        lane: Weak<Lane>,
        link: u64,
        (meter, _counted): (Arc<Meter>, OpenCount),
    ) {
        let ending = Ending { lane, link };
        let lane = &ending.lane;
        let mut greeting = Greeting::Awaited;
        let mut look = Some(Instant::now());
        loop {
            let due = look.unwrap_or_else(Instant::now);
            tokio::select! {
                () = &mut self => break,
                () = meter.greeted(), if greeting == Greeting::Awaited => {
                    greeting = Greeting::Heard;
                    if let Some(lane) = lane.upgrade() {
                        lane.allows(link, self.streams());
                    }
                }
                () = tokio::time::sleep_until(due), if look.is_some() => {
                    let left = lane.upgrade().and_then(|lane| lane.close_if_idle(link));
                    look = left.map(|left| Instant::now() + left);
                }
            }
        }
    }

    /// How many streams the peer allows at once, as far as it has said.
    fn streams(&self) -> usize {
        match self {
            Driver::H1(_) => 1,
            Driver::H2(connection) => connection.current_max_send_streams(),
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // How a connection ends is told to its requests, by hyper.
        match self.get_mut() {
            Driver::H1(connection) => Pin::new(connection).poll(cx).map(drop),
            Driver::H2(connection) => Pin::new(connection).poll(cx).map(drop),
        }
    }
}

/// Tells the lane of the connection's end, however it comes: a task that panics or is dropped is an
/// end too, and requests may be waiting for this connection to become free.
struct Ending {
    lane: Weak<Lane>,
    link: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.upgrade() {
            lane.ended(self.link);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Greeting {
    Awaited,
    Heard,
}

/// What happened on one server's connections.
#[derive(Debug, Default)]
pub(super) struct Tally {
    opened: AtomicU64,
    open: AtomicU64,
    h1: AtomicU64,
    h2: AtomicU64,
    bytes: Arc<AtomicU64>,
    round_trip: Mutex<Option<Duration>>,
}

impl Tally {
    /// A connection was opened within `took`, for which its packets went there and back `times`.
    pub(super) fn opened_within(&self, took: Duration, times: u32) {
        let (mut shortest, trip) = (self.shortest(), took / times);
        *shortest = Some(shortest.map_or(trip, |known| known.min(trip)));
    }

    /// The shortest way there and back that was seen, as far as handshakes tell.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        *self.shortest()
    }

    fn shortest(&self) -> MutexGuard<'_, Option<Duration>> {
        self.round_trip.lock()
    }

    /// The count of bytes given to sockets.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    pub(super) fn answered(&self, version: Version) {
        let counter = match version {
            Version::H1 => &self.h1,
            Version::H2 => &self.h2,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            opened: read(&self.opened),
            open: read(&self.open),
            h1_requests: read(&self.h1),
            h2_requests: read(&self.h2),
            bytes: read(&self.bytes),
        }
    }
}

/// Counts a connection as open until its task is gone, however it ends.
pub(super) struct OpenCount(Arc<Tally>);

impl OpenCount {
    pub(super) fn new(tally: &Arc<Tally>) -> Self {
        tally.opened.fetch_add(1, Ordering::Relaxed);
        tally.open.fetch_add(1, Ordering::Relaxed);
        OpenCount(Arc::clone(tally))
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

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
