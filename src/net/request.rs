//! One request and its response. In: what to send. Out: what came back. Never: a connection; these
//! are plain values.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};

use super::body::Body;
use crate::error::Operation;
use crate::http::{Preference, Version};

/// A request without its origin.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Headers without `Host` and `Content-Length`, which the pool adds.
    pub headers: HeaderMap,
    /// The body; its exact length becomes `Content-Length`.
    pub body: Body,
    /// The HTTP version asked for.
    pub version: Preference,
    /// The call that an error names.
    pub operation: Operation,
}

impl Request {
    /// A request without headers, with whatever version the server prefers.
    pub fn new(method: Method, path: impl Into<String>, operation: Operation) -> Self {
        Request {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            version: Preference::Auto,
            operation,
        }
    }
}

/// What came back, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
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
    /// From the request's hand-over to a connection to the end of the response; without the time
    /// spent waiting for a connection.
    pub took: Duration,
}
