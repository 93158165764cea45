//! One request and its reply. In: what to send and how long to wait. Out: what came back. Never:
//! a connection; these are plain values.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};

use super::body::Body;
use crate::error::Operation;
use crate::http::{Preference, Version};

/// A request without its origin.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Headers without `Host` and `Content-Length`, which the pool adds.
    pub headers: HeaderMap,
    /// The body; its exact length becomes `Content-Length`.
    pub body: Body,
    /// How long to wait for what.
    pub limits: Limits,
    /// The HTTP version asked for.
    pub version: Preference,
    /// The call that an error names.
    pub operation: Operation,
}

impl Outgoing {
    /// A request without headers, with the default limits and whatever version the server prefers.
    pub fn new(method: Method, path: impl Into<String>, operation: Operation) -> Self {
        Outgoing {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            limits: Limits::default(),
            version: Preference::Auto,
            operation,
        }
    }
}

/// How long a request may make no progress. Time spent waiting for a connection does not count;
/// connecting has a limit of its own in [`PoolSettings`](super::PoolSettings).
///
/// Only what the request itself moves counts: not the connection's pings and acknowledgements, and
/// not other streams. Behind the limits of silence stand absolute ones, so that a trickle ends too: a
/// body has ten times `answer` and a second for each 32 KiB, without the time that its own pace held
/// it back; the head of the reply has `answer` from the body's last byte, its body `answer` from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the last byte of the body to the reply's head, and from there to its end.
    pub answer: Duration,
    /// While the body is sent: without as much as 1 KiB/s accepted.
    pub stall: Duration,
}

impl Default for Limits {
    /// 60 s for an answer, which is the gateway's own limit, and 20 s without progress.
    fn default() -> Self {
        Limits {
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(20),
        }
    }
}

/// What came back, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status, whatever it is.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body; at most 1 MiB, a longer one is an error of kind `Protocol`.
    pub body: Bytes,
    /// The version that was used.
    pub version: Version,
    /// Whether the server takes HTTP/2, where it was ever asked (by ALPN).
    pub offers_h2: Option<bool>,
    /// From the request's hand-over to a connection to the end of the reply; without the time
    /// spent waiting for a connection.
    pub took: Duration,
}
