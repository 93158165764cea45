//! One request on one connection. In: a pooled connection and the request. Out: the response, or what
//! is known about its loss. Never: a second connection.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Uri};
use tokio::time::Instant;

use super::body::{BodyProgress, BodyStream};
use super::connection::Sender;
use super::fault::{self, Failure};
use super::host::{PooledConnection, Reuse};
use super::origin::Origin;
use super::request::{Request, Response};
use super::settings::Timeouts;
use super::stall::{BodyState, Observation, StallCheck, StallDetector};
use crate::error::Delivery;
use crate::http::Version;

/// A request without a response.
#[derive(Debug)]
pub(super) struct ExchangeError {
    pub(super) failure: Failure,
    pub(super) processed: Processed,
    pub(super) delivery: Delivery,
}

/// Whether the server can have processed a request without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processed {
    /// It can.
    Maybe,
    /// It cannot: nothing of the request left, or the server says so.
    Never,
    /// The connection was unused for a while, and then dead.
    ConnectionWasDead,
    /// It has not, and wants it over HTTP/1.1.
    WantsH1,
}

/// What all requests of a pool have in common.
#[derive(Debug)]
pub(super) struct RequestDefaults {
    pub(super) user_agent: HeaderValue,
    pub(super) timeouts: Timeouts,
}

/// Sends `request` and reads the response to its end.
pub(super) async fn exchange(
    mut pooled: PooledConnection,
    origin: &Origin,
    request: &Request,
    defaults: &RequestDefaults,
) -> Result<Response, ExchangeError> {
    let version = pooled.version();
    let (body, progress) = request.body.stream(CHUNK);
    let message = message(origin, request, body, (version, &defaults.user_agent));
    let message = message.map_err(|error| ExchangeError {
        failure: Failure::unsendable(&error),
        processed: Processed::Maybe,
        delivery: Delivery::NotDone,
    })?;
    // From here on a dropped future leaves a request cut in two: HTTP/2 resets the stream, on
    // HTTP/1.1 the connection is lost.
    pooled.end_with(if version == Version::H1 {
        Reuse::Close
    } else {
        Reuse::Keep
    });
    pooled.meter().expect_answer();
    let before = pooled.meter().written();
    let exchange = Exchange {
        origin,
        request,
        timeouts: defaults.timeouts,
        version,
        before,
        progress: &progress,
        started: Instant::now(),
    };
    let response = match pooled.sender() {
        Sender::H1(sender) => {
            let sending = sender.try_send_request(message);
            exchange.run(sending, &pooled).await
        }
        Sender::H2(sender) => {
            let sending = sender.try_send_request(message);
            exchange.run(sending, &pooled).await
        }
    };
    pooled.end_with(exchange.reuse(&response));
    response
}

type Sent = Result<hyper::Response<Incoming>, TrySendError<hyper::Request<BodyStream>>>;

/// What does not change while one request is on its way.
struct Exchange<'a> {
    origin: &'a Origin,
    request: &'a Request,
    timeouts: Timeouts,
    version: Version,
    /// Bytes that the connection had written before.
    before: u64,
    progress: &'a BodyProgress,
    started: Instant,
}

impl Exchange<'_> {
    async fn run(
        &self,
        sending: impl Future<Output = Sent>,
        pooled: &PooledConnection,
    ) -> Result<Response, ExchangeError> {
        let (head, body) = self.head(sending, pooled).await?.into_parts();
        let limit = self.timeouts.answer;
        let body = match tokio::time::timeout(limit, collect(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(ReadError::TooLong)) => {
                return Err(self.failed(Failure::too_long(self.origin, RESPONSE_MAX), pooled));
            }
            Ok(Err(ReadError::Http(error))) => {
                return Err(self.failed(Failure::exchange(self.origin, error), pooled));
            }
            Err(_) => return Err(self.failed(Failure::unanswered(self.origin, limit), pooled)),
        };
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
            version: self.version,
            offers_h2: None,
            took: self.started.elapsed(),
        })
    }

    /// Waits for the response's head, as long as this request moves.
    async fn head(
        &self,
        sending: impl Future<Output = Sent>,
        pooled: &PooledConnection,
    ) -> Result<hyper::Response<Incoming>, ExchangeError> {
        let mut sending = pin!(sending);
        let mut detector = StallDetector::new(self.timeouts, self.request.body.len(), self.started);
        loop {
            let failure = match detector.check(self.observe(), Instant::now()) {
                StallCheck::WaitUntil(next) => {
                    tokio::select! {
                        sent = &mut sending => return sent.map_err(|error| self.broken(error, pooled)),
                        () = tokio::time::sleep_until(next) => continue,
                    }
                }
                StallCheck::Stalled => Failure::stalled(self.origin, self.timeouts.stall),
                StallCheck::TooSlow(taken) => {
                    Failure::too_slow(self.origin, (self.progress.written(), taken))
                }
                StallCheck::Unanswered => Failure::unanswered(self.origin, self.timeouts.answer),
            };
            return Err(self.failed(failure, pooled));
        }
    }

    fn observe(&self) -> Observation {
        let body = match (self.progress.is_written(), self.progress.is_held()) {
            (true, _) => BodyState::Written,
            (false, true) => BodyState::Held,
            (false, false) => BodyState::Moving,
        };
        Observation {
            written: self.progress.written(),
            body,
        }
    }

    /// Bytes that the connection wrote since this request began.
    fn written(&self, pooled: &PooledConnection) -> u64 {
        pooled.meter().written() - self.before
    }

    /// The connection broke, or was about to close.
    fn broken(
        &self,
        mut error: TrySendError<hyper::Request<BodyStream>>,
        pooled: &PooledConnection,
    ) -> ExchangeError {
        let returned = error.take_message().is_some();
        let error = error.into_error();
        let wants_h1 = fault::wants_h1(&error);
        let unseen = returned || fault::is_refused_unseen(&error);
        let closed = error.is_closed() || error.is_incomplete_message() || fault::is_cut(&error);
        let error = self.failed(Failure::exchange(self.origin, error), pooled);
        if unseen || wants_h1 {
            let processed = match wants_h1 {
                true => Processed::WantsH1,
                false => Processed::Never,
            };
            return ExchangeError {
                processed,
                delivery: Delivery::NotDone,
                ..error
            };
        }
        // The server closed an idle connection while the request was on its way to it.
        let stale = pooled.idle_for().is_some_and(|idle| idle >= STALE_AFTER);
        let harmless = error.delivery == Delivery::NotDone || self.request.method == Method::GET;
        if closed && stale && harmless {
            return ExchangeError {
                processed: Processed::ConnectionWasDead,
                ..error
            };
        }
        error
    }

    fn failed(&self, failure: Failure, pooled: &PooledConnection) -> ExchangeError {
        ExchangeError {
            failure,
            processed: Processed::Maybe,
            delivery: self.delivery(pooled),
        }
    }

    fn delivery(&self, pooled: &PooledConnection) -> Delivery {
        match (self.progress.is_written(), self.version) {
            (true, version) => delivery(version, self.request.body.len(), self.written(pooled)),
            (false, _) => Delivery::NotDone,
        }
    }

    /// What becomes of the connection.
    fn reuse(&self, response: &Result<Response, ExchangeError>) -> Reuse {
        match (self.version, response) {
            (_, Ok(_)) if self.progress.is_written() => Reuse::Keep,
            // The answer came before the body was sent, which is not worth finishing.
            (Version::H2, Ok(_)) => {
                self.progress.abandon();
                Reuse::Keep
            }
            (Version::H1, _) => Reuse::Close,
            // Nothing moved, or the peer is leaving: other streams may finish, new ones go elsewhere.
            (Version::H2, Err(error)) if error.failure.is_of_connection() => Reuse::Retire,
            (Version::H2, Err(_)) => Reuse::Keep,
        }
    }
}

/// Where a body was written in full, as far as HTTP knows: a request of which the last byte was not
/// `written` cannot have been carried out. HTTP/1.1 connections write nothing else, so there the
/// socket knows; on HTTP/2, where other streams write too, any byte may have been the last one.
fn delivery(version: Version, total: u64, written: u64) -> Delivery {
    let needed = match version {
        Version::H1 => total.max(1),
        Version::H2 => 1,
    };
    if written < needed {
        Delivery::NotDone
    } else {
        Delivery::Unknown
    }
}

fn message(
    origin: &Origin,
    request: &Request,
    body: BodyStream,
    (version, user_agent): (Version, &HeaderValue),
) -> Result<hyper::Request<BodyStream>, hyper::http::Error> {
    let authority = origin.authority();
    let uri = match version {
        Version::H1 => Uri::try_from(request.path.as_str())?,
        Version::H2 => Uri::builder()
            .scheme(origin.scheme.name())
            .authority(authority.as_str())
            .path_and_query(request.path.as_str())
            .build()?,
    };
    let mut message = hyper::Request::builder()
        .method(request.method.clone())
        .uri(uri)
        .body(body)?;
    let headers = message.headers_mut();
    *headers = request.headers.clone();
    if version == Version::H1 {
        headers.insert(HOST, HeaderValue::try_from(authority)?);
    }
    // hyper leaves it out where a body is empty, and gateways answer 411 to such a POST.
    if request.method != Method::GET {
        headers.insert(CONTENT_LENGTH, request.body.len().into());
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    Ok(message)
}

enum ReadError {
    TooLong,
    Http(hyper::Error),
}

/// The response's body. One chunk, which is all that most responses have, is not copied; of several each
/// is copied once, however small they are.
async fn collect(mut body: Incoming) -> Result<Bytes, ReadError> {
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(ReadError::Http)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + chunk.len() > RESPONSE_MAX {
            return Err(ReadError::TooLong);
        }
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&chunk);
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}

/// How much of a body is handed over at a time. Between 64 KiB and 1 MiB the size makes no
/// difference to the processor, and the smaller one says sooner how far a body has come.
const CHUNK: usize = 128 << 10;

/// Responses are JSON of a few hundred bytes, or an error page.
const RESPONSE_MAX: usize = 1 << 20;

/// A connection in steady use is not closed for idleness. Servers wait for seconds at least.
const STALE_AFTER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_was_not_done() {
        for (version, total, written, expected) in [
            (Version::H1, 100, 0, Delivery::NotDone),
            (Version::H1, 100, 99, Delivery::NotDone),
            (Version::H1, 100, 100, Delivery::Unknown),
            (Version::H1, 0, 0, Delivery::NotDone),
            (Version::H1, 0, 50, Delivery::Unknown),
            (Version::H2, 100, 0, Delivery::NotDone),
            (Version::H2, 100, 1, Delivery::Unknown),
        ] {
            assert_eq!(
                delivery(version, total, written),
                expected,
                "{version:?} {total} {written}"
            );
        }
    }
}
