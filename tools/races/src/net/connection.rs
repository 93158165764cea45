//! HTTP on a stream. In: the stream. Out: the handle to send on it, and what the host is told about the
//! connection: its streams, its idle time, its end, each when chance has it. Never: a byte.

use std::sync::Arc;
use std::time::Duration;

use hyper::Wire;
use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use super::body::BodyStream;
use super::server::Server;
use super::stream::{ConnectionMeter, Stream};
use crate::chance::{below, linger, once_in, one_of};
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

/// The side of a connection that must be driven. Dropped, it ends the connection.
pub(super) struct Driver {
    wire: Arc<Wire>,
    server: Arc<Server>,
    settings: SettingsState,
    /// How often the time will be up.
    dues: usize,
    /// The host is told before this is dropped.
    ended: bool,
}

/// When the peer's first words come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettingsState {
    /// Nothing has happened yet.
    Unknown,
    /// With the first reply.
    Awaited,
    /// They came.
    Read,
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
    /// Begins HTTP on `stream`.
    pub(super) async fn new(stream: Stream, _ping: Duration) -> Result<Self, hyper::Error> {
        linger(1).await;
        let (version, server) = (stream.version, stream.dialling.server());
        if server.refuses() {
            return Err(hyper::Error);
        }
        let wire = server.accept(version);
        let sender = match version {
            Version::H1 => Sender::H1(http1::SendRequest::new(Arc::clone(&wire))),
            Version::H2 => Sender::H2(http2::SendRequest::new(Arc::clone(&wire))),
        };
        Ok(Opened {
            version,
            sender,
            meter: Arc::new(ConnectionMeter { wire: wire.id() }),
            driver: Driver {
                wire,
                server,
                settings: SettingsState::Unknown,
                dues: below(4),
                ended: false,
            },
        })
    }
}

impl Driver {
    /// Drives the connection until something happens.
    pub(super) async fn turn(&mut self, due: Option<Instant>) -> ConnectionEvent {
        linger(2).await;
        if self.settings == SettingsState::Unknown {
            self.settings = SettingsState::Awaited;
            if !self.server.waits_for_a_request(&self.wire) {
                return self.read_settings();
            }
        }
        if due.is_some() && self.dues > 0 {
            self.dues -= 1;
            if self.server.is_moody() && once_in(4) {
                self.wire.cut();
            }
            tokio::time::advance(one_of(&[0, 10, 40]) * SECOND);
            return ConnectionEvent::Due;
        }
        while self.wire.turn().await == hyper::Turn::Answered {
            linger(1).await;
            self.wire.turn_over();
            if self.settings == SettingsState::Awaited {
                return self.read_settings();
            }
        }
        self.wire.cut();
        self.ended = true;
        ConnectionEvent::Ended
    }

    fn read_settings(&mut self) -> ConnectionEvent {
        self.settings = SettingsState::Read;
        let streams = self.server.streams(&self.wire);
        ConnectionEvent::Settings { streams }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.wire.cut();
        if self.ended {
            self.server.left(&self.wire);
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
