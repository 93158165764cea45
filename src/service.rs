//! The calls of the service, one attempt each. In: a token, what to say, where to say it. Out: the
//! reply as a value, or one error with its kind. Never: a second attempt, a pause, a decision.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::Method;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};

use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::http::{Preference, Version};
use crate::net::{Body, Origin, Pool, Request, Response, Throttle};
use crate::wire::{
    self, Completed, CreateReply, Entry, Fields, FileFacts, Framed, ListPage, Login, Raw, Refresh,
    Refreshed, SingleReply,
};

/// The service behind one API base.
#[derive(Debug, Clone)]
pub struct Service {
    pool: Pool,
    api: Arc<Origin>,
    /// For the calls without content; those with it say theirs in [`RequestOptions`].
    version: Preference,
}

/// How a body is to be sent.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// The upload server.
    pub server: Origin,
    /// The HTTP version asked for.
    pub version: Preference,
    /// Counts the body's bytes as sockets take them, framing included.
    pub sent: Arc<AtomicU64>,
    /// Slows the body down, and sees every chunk.
    pub throttle: Throttle,
}

/// How a body was sent: what the next choice of version wants to know.
#[derive(Debug, Clone, Copy)]
pub struct TransferStats {
    /// The HTTP version used.
    pub version: Version,
    /// Whether the server takes HTTP/2, where it was asked.
    pub offers_h2: Option<bool>,
    /// From the hand-over to a connection to the end of the reply.
    pub took: Duration,
}

/// The answer to a call without a token.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP version used.
    pub version: Version,
    /// The server's clock.
    pub date: Option<SystemTime>,
}

/// One slice to send.
#[derive(Debug, Clone)]
pub struct SliceCall {
    /// The upload.
    pub preupload_id: Arc<str>,
    /// The slice's number from 1.
    pub number: u32,
    /// Its MD5.
    pub md5: Md5,
    /// Its bytes.
    pub content: Bytes,
}

impl Service {
    /// The service at `api`, spoken to through `pool`.
    #[must_use]
    pub fn new(pool: Pool, api: Origin, version: Preference) -> Service {
        Service {
            pool,
            api: Arc::new(api),
            version,
        }
    }

    /// Opens the connection over which the first call will go. `false` where the API is this machine's, and there is
    /// nothing to gain.
    pub async fn warm(&self) -> bool {
        if self.api.is_loopback() {
            return false;
        }
        self.pool.warm(&self.api, self.version, 1).await;
        true
    }

    /// `create`: announces a file.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn create(&self, token: &str, facts: &FileFacts) -> Result<CreateReply> {
        let body = Some(wire::create_body(facts));
        wire::create_reply(
            &self
                .json(Operation::Create, Some(token), wire::path::CREATE, body)
                .await?,
        )
    }

    /// `upload_complete`: ends an upload, or asks how far it is.
    ///
    /// # Errors
    /// As the service or the way to it fails; a code 20103 is [`Completed::Pending`], no error.
    pub async fn complete(&self, token: &str, preupload_id: &str) -> Result<Completed> {
        let body = Some(wire::complete_body(preupload_id));
        match self
            .json(Operation::Complete, Some(token), wire::path::COMPLETE, body)
            .await
        {
            Ok(data) => wire::complete_reply(&data),
            Err(error) if wire::is_verifying(&error) => Ok(Completed::Pending),
            Err(error) => Err(error),
        }
    }

    /// `domain`: the upload servers for single/create, as they came.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn domain(&self, token: &str) -> Result<Vec<String>> {
        wire::domain_reply(
            &self
                .json(Operation::Domain, Some(token), wire::path::DOMAIN, None)
                .await?,
        )
    }

    /// `slice`: sends one slice.
    ///
    /// # Errors
    /// As the service or the way to it fails; names the slice.
    pub async fn slice(
        &self,
        token: &str,
        call: &SliceCall,
        options: &RequestOptions,
    ) -> Result<TransferStats> {
        let boundary = wire::boundary(&mut fastrand::Rng::new());
        let frame = wire::slice_frame(&boundary, &call.preupload_id, call.number, &call.md5);
        let request = Request::new(Method::POST, wire::path::SLICE, Operation::Slice);
        let body = (boundary, frame, call.content.clone());
        let (_, stats) = self
            .multipart(token, request, body, options)
            .await
            .map_err(|error| error.with_slice(call.number))?;
        Ok(stats)
    }

    /// `single/create`: sends a whole small file in one call.
    ///
    /// # Errors
    /// As the service or the way to it fails; a code 20103 is [`SingleReply::Unfinished`].
    pub async fn single(
        &self,
        token: &str,
        facts: &FileFacts,
        content: Bytes,
        options: &RequestOptions,
    ) -> Result<(SingleReply, Option<TransferStats>)> {
        let boundary = wire::boundary(&mut fastrand::Rng::new());
        let frame = wire::single_frame(&boundary, facts);
        let request = Request::new(Method::POST, wire::path::SINGLE, Operation::Single);
        let body = (boundary, frame, content);
        match self.multipart(token, request, body, options).await {
            Ok((data, stats)) => Ok((wire::single_reply(&data)?, Some(stats))),
            Err(error) if wire::is_verifying(&error) => Ok((SingleReply::Unfinished, None)),
            Err(error) => Err(error),
        }
    }

    /// `access_token`: trades client credentials for a token.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn login(&self, client_id: &str, client_secret: &str) -> Result<Login> {
        let body = Some(wire::login_body(client_id, client_secret));
        wire::login_reply(
            &self
                .json(Operation::Login, None, wire::path::TOKEN, body)
                .await?,
        )
    }

    /// `oauth2/access_token`: trades a refresh token, which works once, for an access token and the
    /// next refresh token.
    ///
    /// # Errors
    /// As the service or the way to it fails; without a secret in it.
    pub async fn refresh(&self, refresh: Refresh<'_>) -> Result<Refreshed> {
        let operation = Operation::Login;
        let mut request = Request::new(Method::POST, refresh.path(), operation);
        request.headers = headers(operation, None)?;
        request.version = self.version;
        let reply = self.pool.send(&self.api, request).await.map_err(not_ours)?;
        refresh.reply(raw(operation, &self.api.to_string(), &reply))
    }

    /// `file/list`: the page of `folder` (0 is the root) that begins after the entry `after`.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn list(&self, token: &str, folder: i64, after: Option<i64>) -> Result<ListPage> {
        let path = wire::list_path(folder, after);
        wire::list_reply(&self.json(Operation::List, Some(token), &path, None).await?)
    }

    /// `file/detail`: one file; `None` where there is no file of this id.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn detail(&self, token: &str, id: i64) -> Result<Option<Entry>> {
        let path = wire::detail_path(id);
        match self.json(Operation::Detail, Some(token), &path, None).await {
            Ok(data) => wire::detail_reply(&data).map(Some),
            Err(error) if wire::is_unknown_file(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `file/infos`: those of `ids`, [`wire::PAGE`] at most, that are there.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn infos(&self, token: &str, ids: &[i64]) -> Result<Vec<Entry>> {
        let body = Some(wire::infos_body(ids));
        let data = self
            .json(Operation::Infos, Some(token), wire::path::INFOS, body)
            .await?;
        wire::infos_reply(&data)
    }

    /// `mkdir`: makes a folder below `parent`; its id, where it is said. That it is there already is an
    /// error, see [`wire::is_folder_there`].
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn mkdir(&self, token: &str, parent: i64, name: &str) -> Result<Option<i64>> {
        let body = Some(wire::mkdir_body(parent, name));
        let data = self
            .json(Operation::Mkdir, Some(token), wire::path::MKDIR, body)
            .await?;
        wire::mkdir_reply(&data)
    }

    /// `trash`: moves files, [`wire::PAGE`] at most, to where the user can take them back from.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn trash(&self, token: &str, ids: &[i64]) -> Result<()> {
        let body = Some(wire::trash_body(ids));
        self.json(Operation::Trash, Some(token), wire::path::TRASH, body)
            .await
            .map(drop)
    }

    /// The server of the calls without content.
    #[must_use]
    pub fn api(&self) -> &Origin {
        &self.api
    }

    /// By which proxy `server` is reached, and which variable says so.
    #[must_use]
    pub fn proxy(&self, server: &Origin) -> Option<String> {
        self.pool.proxy(server)
    }

    /// One way there and back, as far as handshakes tell; `None` before the first.
    #[must_use]
    pub fn round_trip(&self, server: &Origin) -> Option<Duration> {
        self.pool.round_trip(server)
    }

    /// A call without a token: whatever `server` answers, it is reached.
    ///
    /// # Errors
    /// As the way to it fails.
    pub async fn probe(&self, server: &Origin) -> Result<Probed> {
        let mut request = Request::new(Method::GET, wire::path::DOMAIN, Operation::Check);
        request.version = self.version;
        let reply = self.pool.send(server, request).await?;
        let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
        Ok(Probed {
            status: reply.status.as_u16(),
            version: reply.version,
            date: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        })
    }

    async fn json(
        &self,
        operation: Operation,
        token: Option<&str>,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Fields> {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = Request::new(method, path, operation);
        request.headers = headers(operation, token)?;
        request
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Body::new(body.map(Bytes::from));
        request.version = self.version;
        let reply = self.pool.send(&self.api, request).await;
        open(operation, &self.api, &reply.map_err(not_ours)?)
    }

    async fn multipart(
        &self,
        token: &str,
        mut request: Request,
        (boundary, frame, content): (String, Framed, Bytes),
        options: &RequestOptions,
    ) -> Result<(Fields, TransferStats)> {
        let operation = request.operation;
        request.headers = headers(operation, Some(token))?;
        request.headers.insert(
            CONTENT_TYPE,
            ascii(operation, &wire::content_type(&boundary))?,
        );
        request.body = Body::new([frame.head, content, frame.tail])
            .counted(Arc::clone(&options.sent))
            .throttled(options.throttle.clone());
        request.version = options.version;
        let reply = self.pool.send(&options.server, request).await;
        let reply = reply.map_err(not_ours)?;
        let stats = TransferStats {
            version: reply.version,
            offers_h2: reply.offers_h2,
            took: reply.took,
        };
        let fields = open(operation, &options.server, &reply)?;
        Ok((fields, stats))
    }
}

fn headers(operation: Operation, token: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(
        HeaderName::from_static("platform"),
        HeaderValue::from_static("open_platform"),
    );
    if let Some(token) = token {
        let mut bearer = ascii(operation, &format!("Bearer {token}"))?;
        // Keeps it out of debug output, and out of HPACK's tables.
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// The text as a header value; the text itself may be a secret and is not repeated.
fn ascii(operation: Operation, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| {
        Error::new(
            Kind::Auth,
            operation,
            "the access token has characters that no header can carry",
        )
        .advice("check the text of `Credential::Token`")
    })
}

/// What cannot be read as HTTP, or is longer than any reply of the service, was not sent by the service.
fn not_ours(error: Error) -> Error {
    match error.kind() {
        Kind::Protocol => error.foreign(),
        _ => error,
    }
}

fn open(operation: Operation, server: &Origin, reply: &Response) -> Result<Fields> {
    wire::open(raw(operation, &server.to_string(), reply))
}

fn raw<'a>(operation: Operation, host: &'a str, reply: &'a Response) -> Raw<'a> {
    let header = |name| reply.headers.get(name)?.to_str().ok();
    let retry_after = header(RETRY_AFTER).and_then(|value| delay(value, SystemTime::now()));
    Raw {
        operation,
        host,
        status: reply.status.as_u16(),
        location: header(LOCATION),
        retry_after,
        body: &reply.body,
    }
}

/// `Retry-After`, in seconds or as a date. What is absurd is judged by the policy, not here.
fn delay(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT")
            .expect("RFC 9110's own date");
        assert_eq!(delay("120", now), Some(Duration::from_secs(120)));
        assert_eq!(
            delay("Sun, 06 Nov 1994 08:49:47 GMT", now),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            delay("Sun, 06 Nov 1994 08:49:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(delay("soon", now), None);
    }

    #[test]
    fn a_token_is_marked_sensitive_and_a_broken_one_is_not_repeated() {
        let headers = headers(Operation::Create, Some("s3cret")).expect("fine");
        assert!(headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{headers:?}").contains("s3cret"));
        let error = super::headers(Operation::Create, Some("s3cret\n")).expect_err("no header");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
