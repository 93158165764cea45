//! Failures of connections and requests, in words. In: the errors of TCP, TLS and HTTP, chained as
//! they come. Out: one line that a user understands, and whether the peer says that it did nothing.
//! Never: a decision to repeat.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::handshake;
use super::lookup::LookupError;
use super::origin::Origin;
use super::proxy::ProxyError;
use super::shortage;
use crate::error::{Delivery, Error, Kind, Operation};

/// A failure before it is known whose it is: one refused connection fails every request that
/// waited for it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: Kind,
    message: String,
    timed_out: bool,
    /// Waiting does not mend it.
    lasting: bool,
    /// Nor is there another way to this server.
    unreachable: bool,
    /// Nor to any other.
    ends_run: bool,
    /// The certificate is not trusted.
    distrusted: bool,
    /// The host's name was not found.
    unnamed: bool,
    /// The machine, or the pool, has no socket left.
    scarce: bool,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            message: message.into(),
            timed_out: false,
            lasting: false,
            unreachable: false,
            ends_run: false,
            distrusted: false,
            unnamed: false,
            scarce: false,
            cause: None,
        }
    }

    /// No connection came about.
    pub(super) fn connect(origin: &Origin, error: Box<dyn StdError + Send + Sync>) -> Self {
        let unnamed = is_unnamed(&*error);
        let found = chain(&*error)
            .filter_map(|link| link.downcast_ref::<io::Error>())
            .find(|error| shortage::is_shortage(error))
            .map(ToString::to_string);
        let hidden = || shortage::shortage_now().map(|error| error.to_string());
        let short = found.or_else(|| unnamed.then(hidden).flatten());
        let words = match &short {
            Some(words) => words.clone(),
            None => connect_words(&*error, &origin.host),
        };
        let message = format!("{origin}: {words}");
        let refused = chain(&*error).find_map(|link| link.downcast_ref::<ProxyError>());
        let refused = refused.is_some_and(|proxy| proxy.refuses);
        let unreachable = refused || is_hopeless(&*error);
        Failure {
            lasting: unreachable,
            unreachable,
            ends_run: refused,
            distrusted: is_distrust(&*error),
            unnamed: unnamed && short.is_none(),
            scarce: short.is_some(),
            cause: Some(error.into()),
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// The same, given up soon if the name was not found, where `hopeless` says so.
    pub(super) fn hopeless_if_unnamed(mut self, hopeless: bool) -> Self {
        self.unreachable |= self.unnamed && hopeless;
        self.lasting |= self.unreachable;
        self
    }

    /// The pool has its maximum of connections.
    pub(super) fn no_socket(origin: &Origin, most: usize) -> Self {
        let message = format!("{origin}: all {most} connections are in use");
        Failure {
            scarce: true,
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// Whether it is a want of sockets here, which says nothing about the server.
    pub(super) fn is_scarcity(&self) -> bool {
        self.scarce
    }

    /// The same, after a long wait for something to be closed.
    pub(super) fn of_a_machine_without_sockets(mut self) -> Self {
        self.message += "; raise the limit of open files (ulimit -n), or ask for fewer connections";
        self.lasting = true;
        self
    }

    /// No connection came about in time.
    pub(super) fn connect_timed_out(origin: &Origin, limit: Duration) -> Self {
        let message = format!("{origin}: no connection within {limit:?}");
        Failure {
            timed_out: true,
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// A connection broke, or spoke no HTTP.
    pub(super) fn exchange(origin: &Origin, error: hyper::Error) -> Self {
        let kind = if error.is_parse() {
            Kind::Protocol
        } else {
            Kind::Transport
        };
        let message = format!("{origin}: {}", exchange_words(&error));
        let timed_out = error.is_timeout();
        Failure {
            timed_out,
            cause: Some(Arc::new(error)),
            ..Failure::new(kind, message)
        }
    }

    /// The task that opened a connection ended before it was done: it panicked, or its runtime went.
    pub(super) fn given_up(origin: &Origin) -> Self {
        Failure::new(
            Kind::Transport,
            format!("{origin}: no connection, the attempt to open one was broken off"),
        )
    }

    /// No address can be made of it.
    pub(super) fn no_address(origin: &Origin) -> Self {
        Failure {
            lasting: true,
            ..Failure::new(
                Kind::Invalid,
                format!("{origin}: no such address can be called"),
            )
        }
    }

    /// Nothing moved for `limit` while the body was sent.
    pub(super) fn stalled(origin: &Origin, limit: Duration) -> Self {
        let message = format!("{origin}: stalled, next to nothing was accepted for {limit:?}");
        Failure {
            timed_out: true,
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// It moved all the time, but so slowly that it would take for ever.
    pub(super) fn too_slow(origin: &Origin, (written, taken): (u64, Duration)) -> Self {
        let seconds = taken.as_secs();
        let message =
            format!("{origin}: too slow, {written} bytes of the body were taken in {seconds} s");
        Failure {
            timed_out: true,
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// The body left, and no complete answer came within `limit`.
    pub(super) fn unanswered(origin: &Origin, limit: Duration) -> Self {
        let message = format!("{origin}: no answer within {limit:?}");
        Failure {
            timed_out: true,
            ..Failure::new(Kind::Transport, message)
        }
    }

    /// The reply is longer than any reply may be.
    pub(super) fn too_long(origin: &Origin, limit: usize) -> Self {
        Failure::new(
            Kind::Protocol,
            format!("{origin}: the reply is longer than {limit} bytes"),
        )
    }

    /// The request cannot be put into HTTP.
    pub(super) fn unsendable(error: &hyper::http::Error) -> Self {
        Failure::new(
            Kind::Invalid,
            format!("the request cannot be sent: {error}"),
        )
    }

    /// Whether it speaks of the connection rather than of this one request.
    pub(super) fn is_of_connection(&self) -> bool {
        let h2 = self.cause.as_deref().and_then(|cause| h2_error(cause));
        self.timed_out || h2.is_none_or(|error| !error.is_reset())
    }

    /// The failure of one request.
    pub(super) fn of(self, operation: Operation, delivery: Delivery) -> Error {
        let mut error = Error::new(self.kind, operation, self.message).with_delivery(delivery);
        if self.timed_out {
            error = error.timed_out();
        }
        if self.lasting {
            error = error.lasting();
        }
        if self.unreachable {
            error = error.unreachable();
        }
        if self.distrusted {
            error = error.distrusted();
        }
        if self.ends_run {
            error = error.of_the_run();
        }
        match self.cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }
}

/// Whether the peer said that it never looked at this request: GOAWAY with a lower last stream,
/// or REFUSED_STREAM (RFC 9113, 8.7). h2 reports the former only for streams above the last one.
pub(super) fn is_refused_unseen(error: &(dyn StdError + 'static)) -> bool {
    h2_error(error).is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (error.is_go_away() || refused)
    })
}

/// Whether the peer wants this request over HTTP/1.1 (RFC 9113, 7): it has not done it.
pub(super) fn wants_h1(error: &(dyn StdError + 'static)) -> bool {
    let wants = |error: &h2::Error| error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED);
    h2_error(error).is_some_and(|error| error.is_remote() && wants(error))
}

/// Whether the connection was cut from the other side.
pub(super) fn is_cut(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error)
        .filter_map(|link| link.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            )
        })
}

/// Whether the peer's certificate is not trusted.
fn is_distrust(error: &(dyn StdError + 'static)) -> bool {
    chain(error)
        .filter_map(|link| link.downcast_ref::<rustls::Error>())
        .any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// Whether TLS will fail in the same way in a minute.
fn is_hopeless(error: &(dyn StdError + 'static)) -> bool {
    chain(error)
        .filter_map(|link| link.downcast_ref::<rustls::Error>())
        .any(handshake::is_hopeless)
}

fn h2_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a h2::Error> {
    chain(error).find_map(|link| link.downcast_ref::<h2::Error>())
}

/// Whether the name lookup failed; hyper-util has no type for it, only these words.
fn is_unnamed(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|link| link.to_string() == "dns error")
}

fn connect_words(error: &(dyn StdError + 'static), host: &str) -> String {
    let proxy = chain(error).find_map(|link| link.downcast_ref::<ProxyError>());
    if is_unnamed(error) {
        let words = match proxy {
            Some(proxy) => format!("proxy {}: host not found", proxy.name),
            None => format!("host not found: {host}"),
        };
        let own = chain(error).find_map(|link| link.downcast_ref::<LookupError>());
        return own.map_or_else(|| words.clone(), |own| format!("{words}; {own}"));
    }
    let words = io_words(error).or_else(|| tls_words(error));
    match (proxy, words) {
        (Some(proxy), Some(words)) => format!("proxy {}: {words}", proxy.name),
        (Some(proxy), None) => proxy.to_string(),
        (None, Some(words)) => words,
        (None, None) => deepest(error),
    }
}

fn tls_words(error: &(dyn StdError + 'static)) -> Option<String> {
    let tls = chain(error).find_map(|link| link.downcast_ref::<rustls::Error>())?;
    Some(handshake::words(tls))
}

fn exchange_words(error: &hyper::Error) -> String {
    if let Some(h2) = h2_error(error)
        && !h2.is_io()
    {
        return h2_words(h2);
    }
    if error.is_parse() {
        return format!("no HTTP reply: {}", deepest(error));
    }
    if error.is_timeout() {
        return "the connection is dead, its ping was not answered".to_owned();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "the server closed the connection without an answer".to_owned();
    }
    io_words(error).unwrap_or_else(|| deepest(error))
}

fn h2_words(error: &h2::Error) -> String {
    let reason = error
        .reason()
        .map(|reason| format!(": {}", reason.description()));
    let reason = reason.unwrap_or_default();
    match (error.is_go_away(), error.is_reset()) {
        (true, _) => format!("the server is closing the connection (GOAWAY{reason})"),
        (_, true) => format!("the server reset the stream{reason}"),
        _ => error.to_string(),
    }
}

fn io_words(error: &(dyn StdError + 'static)) -> Option<String> {
    let io = chain(error)
        .filter_map(|link| link.downcast_ref::<io::Error>())
        .find(|error| {
            error.kind() != io::ErrorKind::Other && error.kind() != io::ErrorKind::InvalidData
        })?;
    Some(match io.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => "connection reset".to_owned(),
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => io.to_string(),
    })
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// An error and all below it. `io::Error` hides the error that it wraps from `source`, which
/// answers that one's source: it is looked into.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error: impl StdError + Send + Sync + 'static) -> String {
        connect_words(&error, "a.b")
    }

    #[test]
    fn wrapped_errors_are_found() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(
            words(wrapped),
            "certificate not trusted: UnknownIssuer; a private CA is named in `Options::roots`"
        );
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(words(refused), "connection refused");
    }

    #[cfg(unix)]
    #[test]
    fn a_want_of_descriptors_is_known_however_deep_it_lies() {
        let origin = Origin::parse("a.b", super::super::Scheme::Https).expect("an address");
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS] {
            let error = io::Error::other(io::Error::from_raw_os_error(code));
            let failure = Failure::connect(&origin, error.into());
            assert!(failure.is_scarcity(), "{failure:?}");
        }
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert!(!Failure::connect(&origin, refused.into()).is_scarcity());
    }

    #[test]
    fn a_proxy_is_named() {
        let error = io::Error::from(io::ErrorKind::ConnectionRefused).into();
        let error = ProxyError {
            name: "p:3128".to_owned(),
            refuses: false,
            error,
        };
        assert_eq!(words(error), "proxy p:3128: connection refused");
    }
}
