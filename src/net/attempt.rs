//! One request on one connection. In: a pooled connection and the request. Out: the reply, or what is known
//! about its loss. Never: a second connection.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use tokio::time::Instant;

use super::body::{BodyStream, Ledger};
use super::connection::Sender;
use super::exchange::{Outgoing, Reply};
use super::fault::{self, Failure};
use super::host::{PooledConnection, Reuse};
use super::origin::Origin;
use super::settings::Timeouts;
use super::watch::{Progress, Sight, Verdict, Watch};
use crate::error::Delivery;
use crate::http::Version;

/// A request without a reply.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    pub(super) seen: Seen,
    pub(super) delivery: Delivery,
}

/// Whether the server can have looked at a lost request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It can.
    Maybe,
    /// It cannot: nothing of the request left, or the server says so.
    Never,
    /// The connection was unused for a while, and then dead.
    ConnectionWasDead,
}

/// What all requests of a pool have in context.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) user_agent: HeaderValue,
    pub(super) timeouts: Timeouts,
}

/// Sends `outgoing` and reads the reply to its end.
pub(super) async fn exchange(
    mut pooled: PooledConnection,
    origin: &Origin,
    outgoing: &Outgoing,
    defaults: &Defaults,
) -> Result<Reply, Lost> {
    let version = pooled.version();
    let (body, ledger) = outgoing.body.stream(CHUNK);
    let request =
        request(origin, outgoing, body, (version, &defaults.user_agent)).map_err(|error| Lost {
            failure: Failure::unsendable(&error),
            seen: Seen::Maybe,
            delivery: Delivery::NotDone,
        })?;
    // From here on a dropped future leaves a request cut in two: HTTP/2 resets the stream, on
    // HTTP/1.1 the connection is lost.
    pooled.end_with(if version == Version::H1 {
        Reuse::Close
    } else {
        Reuse::Keep
    });
    let before = pooled.meter().written();
    let course = Course {
        origin,
        outgoing,
        timeouts: defaults.timeouts,
        version,
        before,
        ledger: &ledger,
        started: Instant::now(),
    };
    let reply = match pooled.sender() {
        Sender::H1(sender) => {
            let sending = sender.try_send_request(request);
            course.run(sending, &pooled).await
        }
        Sender::H2(sender) => {
            let sending = sender.try_send_request(request);
            course.run(sending, &pooled).await
        }
    };
    pooled.end_with(course.reuse(&reply));
    reply
}

type Sent = Result<Response<Incoming>, TrySendError<Request<BodyStream>>>;

/// What does not change while one request is on its way.
struct Course<'a> {
    origin: &'a Origin,
    outgoing: &'a Outgoing,
    timeouts: Timeouts,
    version: Version,
    /// Bytes that the connection had written before.
    before: u64,
    ledger: &'a Ledger,
    started: Instant,
}

impl Course<'_> {
    async fn run(
        &self,
        sending: impl Future<Output = Sent>,
        pooled: &PooledConnection,
    ) -> Result<Reply, Lost> {
        let (head, body) = self.head(sending, pooled).await?.into_parts();
        let limit = self.timeouts.answer;
        let body = match tokio::time::timeout(limit, collect(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(ReadError::TooLong)) => {
                return Err(self.lost(Failure::too_long(self.origin, REPLY_MAX), pooled));
            }
            Ok(Err(ReadError::Http(error))) => {
                return Err(self.lost(Failure::exchange(self.origin, error), pooled));
            }
            Err(_) => return Err(self.lost(Failure::unanswered(self.origin, limit), pooled)),
        };
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body,
            version: self.version,
            offers_h2: None,
            took: self.started.elapsed(),
        })
    }

    /// Waits for the reply's head, as long as this request moves.
    async fn head(
        &self,
        sending: impl Future<Output = Sent>,
        pooled: &PooledConnection,
    ) -> Result<Response<Incoming>, Lost> {
        let mut sending = pin!(sending);
        let mut watch = Watch::new(self.timeouts, self.outgoing.body.len(), self.started);
        loop {
            let failure = match watch.look(self.sight(), Instant::now()) {
                Verdict::WaitUntil(next) => {
                    tokio::select! {
                        sent = &mut sending => return sent.map_err(|error| self.broken(error, pooled)),
                        () = tokio::time::sleep_until(next) => continue,
                    }
                }
                Verdict::Stalled => Failure::stalled(self.origin, self.timeouts.stall),
                Verdict::TooSlow(taken) => {
                    Failure::too_slow(self.origin, (self.ledger.written(), taken))
                }
                Verdict::Unanswered => Failure::unanswered(self.origin, self.timeouts.answer),
            };
            return Err(self.lost(failure, pooled));
        }
    }

    fn sight(&self) -> Sight {
        let body = match (self.ledger.is_written(), self.ledger.is_held()) {
            (true, _) => Progress::Written,
            (false, true) => Progress::Held,
            (false, false) => Progress::Moving,
        };
        Sight {
            written: self.ledger.written(),
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
        mut error: TrySendError<Request<BodyStream>>,
        pooled: &PooledConnection,
    ) -> Lost {
        let returned = error.take_message().is_some();
        let error = error.into_error();
        let unseen = returned || fault::is_refused_unseen(&error);
        let closed = error.is_closed() || error.is_incomplete_message() || fault::is_cut(&error);
        let lost = self.lost(Failure::exchange(self.origin, error), pooled);
        if unseen {
            return Lost {
                seen: Seen::Never,
                delivery: Delivery::NotDone,
                ..lost
            };
        }
        // The server closed an idle connection while the request was on its way to it.
        let stale = pooled.idle_for().is_some_and(|idle| idle >= STALE_AFTER);
        let harmless = lost.delivery == Delivery::NotDone || self.outgoing.method == Method::GET;
        if closed && stale && harmless {
            return Lost {
                seen: Seen::ConnectionWasDead,
                ..lost
            };
        }
        lost
    }

    fn lost(&self, failure: Failure, pooled: &PooledConnection) -> Lost {
        Lost {
            failure,
            seen: Seen::Maybe,
            delivery: self.delivery(pooled),
        }
    }

    fn delivery(&self, pooled: &PooledConnection) -> Delivery {
        match (self.ledger.is_written(), self.version) {
            (true, version) => delivery(version, self.outgoing.body.len(), self.written(pooled)),
            (false, _) => Delivery::NotDone,
        }
    }

    /// What becomes of the connection.
    fn reuse(&self, reply: &Result<Reply, Lost>) -> Reuse {
        match (self.version, reply) {
            (_, Ok(_)) if self.ledger.is_written() => Reuse::Keep,
            // The answer came before the body was sent, which is not worth finishing.
            (Version::H2, Ok(_)) => {
                self.ledger.abandon();
                Reuse::Keep
            }
            (Version::H1, _) => Reuse::Close,
            // Nothing moved, or the peer is leaving: other streams may finish, new ones go elsewhere.
            (Version::H2, Err(lost)) if lost.failure.is_of_connection() => Reuse::Retire,
            (Version::H2, Err(_)) => Reuse::Keep,
        }
    }
}

/// Where a body was written in full, as far as HTTP knows: a request of which the last byte was not `written` cannot
/// have been carried out. HTTP/1.1 connections write nothing else, so there the socket knows; on
/// HTTP/2, where other streams write too, any byte may have been the last one.
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

fn request(
    origin: &Origin,
    outgoing: &Outgoing,
    body: BodyStream,
    (version, user_agent): (Version, &HeaderValue),
) -> Result<Request<BodyStream>, hyper::http::Error> {
    let authority = origin.authority();
    let uri = match version {
        Version::H1 => Uri::try_from(outgoing.path.as_str())?,
        Version::H2 => Uri::builder()
            .scheme(origin.scheme.name())
            .authority(authority.as_str())
            .path_and_query(outgoing.path.as_str())
            .build()?,
    };
    let mut request = Request::builder()
        .method(outgoing.method.clone())
        .uri(uri)
        .body(body)?;
    let headers = request.headers_mut();
    *headers = outgoing.headers.clone();
    if version == Version::H1 {
        headers.insert(HOST, HeaderValue::try_from(authority)?);
    }
    // hyper leaves it out where a body is empty, and gateways answer 411 to such a POST.
    if outgoing.method != Method::GET {
        headers.insert(CONTENT_LENGTH, outgoing.body.len().into());
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    Ok(request)
}

enum ReadError {
    TooLong,
    Http(hyper::Error),
}

/// The reply's body. One chunk, which is all that most replies have, is not copied; of several each
/// is copied once, however small they are.
async fn collect(mut body: Incoming) -> Result<Bytes, ReadError> {
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(ReadError::Http)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + chunk.len() > REPLY_MAX {
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

/// Replies are JSON of a few hundred bytes, or an error page.
const REPLY_MAX: usize = 1 << 20;

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
