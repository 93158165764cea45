//! What the pool is tested against.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::sync::Mutex;

/// The one certificate of all tests, its own authority.
pub(in crate::net) struct Authority {
    pub(in crate::net) pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

pub(in crate::net) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let names = ["localhost", "127.0.0.1", "upload.test"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("names are valid");
        Authority {
            pem: made.cert.pem(),
            certificate: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        }
    })
}

pub(in crate::net) fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let Authority {
        certificate, key, ..
    } = authority();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .expect("the key is the certificate's");
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsAcceptor::from(Arc::new(config))
}

pub(in crate::net) async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// A request as it was on the wire.
pub(super) struct Raw {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// Reads one HTTP/1.1 request with `Content-Length`; `None` where the connection ends first.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<Raw> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(head);
    let head = String::from_utf8(bytes)
        .expect("heads are ASCII")
        .to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.map_or(0, |text| text.parse().expect("a number"));
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    assert_eq!(body.len(), length, "nothing follows a body unasked");
    Some(Raw { head, body })
}

pub(super) async fn answer(stream: &mut TcpStream, headers: &str) {
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{headers}\r\nok");
    stream
        .write_all(reply.as_bytes())
        .await
        .expect("the client reads");
}

/// A well-behaved server that counts, and answers each request when it may.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) seen: Arc<Seen>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: Peak,
    pub(super) requests: Peak,
    /// Paths in the order of arrival.
    pub(super) paths: Mutex<Vec<String>>,
    pub(super) versions: Mutex<Vec<Version>>,
}

impl Seen {
    pub(super) fn paths(&self) -> Vec<String> {
        self.paths.lock().clone()
    }
}

/// How many there were, are, and were at once at most.
#[derive(Default)]
pub(super) struct Peak {
    pub(super) all: AtomicUsize,
    pub(super) now: AtomicUsize,
    pub(super) most: AtomicUsize,
}

impl Peak {
    fn enter(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// How a [`Server`] is reached and when it answers.
#[derive(Clone)]
pub(super) struct Manner {
    /// TLS with these protocols, or plain.
    pub(super) protocols: Option<Vec<&'static str>>,
    pub(super) streams: u32,
    /// Each request waits for a permit and uses it up.
    pub(super) permits: Arc<Semaphore>,
    /// After so many requests a connection is ended in good order: GOAWAY, or `Connection: close`.
    pub(super) served_at_most: usize,
}

impl Manner {
    pub(super) fn plain() -> Self {
        Manner {
            protocols: None,
            streams: 100,
            permits: Arc::new(Semaphore::new(1 << 20)),
            served_at_most: usize::MAX,
        }
    }

    pub(super) fn tls(protocols: &[&'static str]) -> Self {
        Manner {
            protocols: Some(protocols.to_vec()),
            ..Manner::plain()
        }
    }

    pub(super) fn held(self) -> Self {
        Manner {
            permits: Arc::new(Semaphore::new(0)),
            ..self
        }
    }
}

impl Server {
    pub(super) async fn start(manner: Manner) -> Server {
        let (listener, port) = listener().await;
        let seen = Arc::<Seen>::default();
        tokio::spawn(accept(listener, manner, Arc::clone(&seen)));
        Server { port, seen }
    }
}

async fn accept(listener: TcpListener, manner: Manner, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.expect("still bound");
        let (manner, seen) = (manner.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            seen.connections.enter();
            match &manner.protocols {
                None => serve(stream, false, &manner, &seen).await,
                Some(protocols) => {
                    if let Ok(stream) = acceptor(protocols).accept(stream).await {
                        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(stream, h2, &manner, &seen).await;
                    }
                }
            }
            seen.connections.leave();
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    h2: bool,
    manner: &Manner,
    seen: &Arc<Seen>,
) {
    let (served, ending) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let service = service_fn(|request| {
        if served.fetch_add(1, Ordering::SeqCst) + 1 == manner.served_at_most {
            ending.notify_one();
        }
        respond(request, manner.permits.clone(), Arc::clone(seen))
    });
    // Clients cut connections in these tests; that is no failure of the server's.
    if h2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(manner.streams)
            .clone();
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = &mut serving => return,
            () = ending.notified() => serving.as_mut().graceful_shutdown(),
        }
        let _ = serving.await;
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = &mut serving => return,
            () = ending.notified() => serving.as_mut().graceful_shutdown(),
        }
        let _ = serving.await;
    }
}

/// Answers with the body that came, so that every byte is compared.
async fn respond(
    request: Request<Incoming>,
    permits: Arc<Semaphore>,
    seen: Arc<Seen>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    struct Leave(Arc<Seen>);
    impl Drop for Leave {
        fn drop(&mut self) {
            self.0.requests.leave();
        }
    }
    seen.requests.enter();
    let leave = Leave(Arc::clone(&seen));
    seen.paths.lock().push(request.uri().path().to_owned());
    seen.versions.lock().push(request.version());
    let length = request.headers().get("content-length").cloned();
    permits.acquire().await.expect("never closed").forget();
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    drop(leave);
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .extend(length.map(|length| (hyper::header::ETAG, length)));
    Ok(response)
}
