//! TLS and HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::Reason;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::super::{Origin, Proxies, Scheme};
use super::server::{Manner, Server, acceptor, listener};
use super::{asking, https, pattern, pool, post};
use crate::error::{Delivery, Kind};
use crate::http::{Preference, Version};

#[tokio::test]
async fn bodies_arrive_whole_over_both_versions() {
    let server = Server::start(Manner::tls(&["h2", "http/1.1"])).await;
    let pool = pool(|_| ());
    for (preference, version) in [
        (Preference::H1, Version::H1),
        (Preference::H2, Version::H2),
        (Preference::Auto, Version::H1),
    ] {
        let sending: Vec<_> = [0, 1, 16_383, 16_384, 300_000, 5_000_011]
            .into_iter()
            .map(|length| {
                let (pool, origin) = (pool.clone(), https(server.port));
                let request = asking(preference, post("/a?b=c", pattern(length)));
                tokio::spawn(async move { (length, pool.send(&origin, request).await) })
            })
            .collect();
        for send in sending {
            let (length, reply) = send.await.expect("no panic");
            if length > 1 << 20 {
                // The server sends the body back, more than is ever read.
                assert_eq!(reply.expect_err("too long").kind(), Kind::Protocol);
                continue;
            }
            let reply = reply.expect("a reply");
            assert_eq!(reply.body, pattern(length));
            assert_eq!(
                reply.headers.get("etag").expect("a length"),
                &length.to_string()
            );
            assert!(preference == Preference::Auto || reply.version == version);
            assert_eq!(
                reply.offers_h2,
                (preference != Preference::H1).then_some(true)
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_h2_gets_h1() {
    let server = Server::start(Manner::tls(&["http/1.1"])).await;
    let pool = pool(|_| ());
    for _ in 0..2 {
        let reply = pool
            .send(&https(server.port), asking(Preference::H2, post("/", "x")))
            .await
            .expect("a reply");
        assert_eq!((reply.version, reply.offers_h2), (Version::H1, Some(false)));
    }
    assert_eq!(server.seen.connections.all(), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_named_with_the_remedy() {
    let server = Server::start(Manner::tls(&["h2"])).await;
    let pool = pool(|settings| settings.roots = Vec::new());
    let error = pool
        .send(&https(server.port), post("/", "x"))
        .await
        .expect_err("not trusted");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::NotDone)
    );
    assert!(
        error.message().contains("certificate not trusted"),
        "{error}"
    );
    assert!(error.is_lasting(), "no waiting makes it trusted");
    assert!(error.message().contains("`Options::roots`"), "{error}");
}

/// Serves HTTP/2 by hand: what to do with each request is a function of its number from 0.
async fn by_hand(act: fn(usize) -> Hand) -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listener().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut number = 0;
        loop {
            let stream = listener.accept().await.expect("bound").0;
            counter.fetch_add(1, Ordering::SeqCst);
            let stream = acceptor(&["h2"]).accept(stream).await.expect("TLS");
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let done = act(number);
                number += 1;
                match done {
                    Hand::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
                    Hand::Cancel => respond.send_reset(Reason::INTERNAL_ERROR),
                    Hand::GoAway => {
                        connection.abrupt_shutdown(Reason::NO_ERROR);
                    }
                    Hand::Answer => {
                        tokio::spawn(async move {
                            let mut body = request.into_body();
                            let mut length = 0;
                            while let Some(Ok(chunk)) = body.data().await {
                                length += chunk.len();
                                let _ = body.flow_control().release_capacity(chunk.len());
                            }
                            let mut send = respond
                                .send_response(Response::new(()), false)
                                .expect("open");
                            let _ = send.send_data(Bytes::from(length.to_string()), true);
                        });
                    }
                }
            }
        }
    });
    (port, connections)
}

#[derive(Clone, Copy)]
enum Hand {
    Answer,
    Refuse,
    Cancel,
    GoAway,
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_without_a_word() {
    let (port, connections) = by_hand(|number| {
        if number == 0 {
            Hand::Refuse
        } else {
            Hand::Answer
        }
    })
    .await;
    let reply = pool(|_| ())
        .send(&https(port), post("/", pattern(100_000)))
        .await
        .expect("a reply");
    assert_eq!(&reply.body[..], b"100000");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_refuses_always_is_believed_in_the_end() {
    let (port, _) = by_hand(|_| Hand::Refuse).await;
    let error = pool(|_| ())
        .send(&https(port), post("/", "x"))
        .await
        .expect_err("refused");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::NotDone)
    );
}

#[tokio::test]
async fn a_stream_reset_for_another_reason_costs_the_attempt() {
    let (port, _) = by_hand(|_| Hand::Cancel).await;
    let error = pool(|_| ())
        .send(&https(port), post("/", "x"))
        .await
        .expect_err("reset");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::Unknown)
    );
    assert!(
        error.message().contains("the server reset the stream"),
        "{error}"
    );
}

#[tokio::test]
async fn goaway_costs_a_connection_and_nothing_else() {
    let (port, connections) = by_hand(|number| {
        if number == 1 {
            Hand::GoAway
        } else {
            Hand::Answer
        }
    })
    .await;
    let pool = pool(|settings| settings.connections_per_server = Some(1));
    let first = pool
        .send(&https(port), post("/", "1234"))
        .await
        .expect("a reply");
    assert_eq!(&first.body[..], b"4");
    let second = pool.send(&https(port), post("/", pattern(50_000))).await;
    // abrupt_shutdown names the stream as seen, so it is lost, and honestly so.
    let error = second.expect_err("the server looked at it");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::Unknown)
    );
    let third = pool
        .send(&https(port), post("/", pattern(70_000)))
        .await
        .expect("a reply");
    assert_eq!(&third.body[..], b"70000");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_proxy_is_asked_to_connect_and_sees_nothing_else() {
    let server = Server::start(Manner::tls(&["h2"])).await;
    let (listener, port) = listener().await;
    let proxying = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        stream
            .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
            .await
            .expect("sent");
        let mut upstream = TcpStream::connect(("127.0.0.1", server.port))
            .await
            .expect("listening");
        tokio::spawn(async move { copy_bidirectional(&mut stream, &mut upstream).await });
        String::from_utf8(head).expect("ASCII")
    });
    let pool = pool(|settings| {
        settings.proxies = Proxies::Named(format!("http://me:pw@127.0.0.1:{port}"))
    });
    let origin = Origin {
        scheme: Scheme::Https,
        host: "upload.test".to_owned(),
        port: 443,
    };
    let reply = pool
        .send(&origin, post("/", "through"))
        .await
        .expect("a reply");
    assert_eq!(
        (&reply.body[..], reply.version),
        (&b"through"[..], Version::H2)
    );
    let head = proxying.await.expect("no panic");
    assert!(
        head.starts_with("CONNECT upload.test:443 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic bWU6cHc=\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_dead_proxy_is_named_and_loopback_needs_none() {
    let (gone, port) = listener().await;
    drop(gone);
    let server = Server::start(Manner::tls(&["h2"])).await;
    let pool =
        pool(|settings| settings.proxies = Proxies::Named(format!("http://127.0.0.1:{port}")));
    let origin = Origin {
        scheme: Scheme::Https,
        host: "upload.test".to_owned(),
        port: 443,
    };
    let error = pool
        .send(&origin, post("/", "x"))
        .await
        .expect_err("no proxy");
    assert_eq!(
        error.message(),
        format!("https://upload.test: proxy 127.0.0.1:{port}: connection refused")
    );
    pool.send(&https(server.port), post("/", "x"))
        .await
        .expect("loopback is never proxied");
}

/// RFC 9113, 7: a server, or a gateway before it, that offers HTTP/2 and wants HTTP/1.1 for what it is
/// asked.
#[tokio::test]
async fn a_server_that_requires_http_1_1_gets_it() {
    let (port, asked) = wants_h1().await;
    let pool = pool(|_| ());
    let sending: Vec<_> = (0..6)
        .map(|number| {
            let (pool, origin) = (pool.clone(), https(port));
            let preference = [Preference::H2, Preference::Auto][number % 2];
            let request = asking(preference, post("/", pattern(200_000)));
            tokio::spawn(async move { pool.send(&origin, request).await })
        })
        .collect();
    for send in sending {
        let reply = send.await.expect("no panic").expect("a reply");
        assert_eq!((reply.version, reply.offers_h2), (Version::H1, Some(false)));
        assert_eq!(&reply.body[..], b"ok");
    }
    // It is remembered: nothing is asked over HTTP/2 again.
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..3 {
        let request = asking(Preference::H2, post("/", "x"));
        let reply = pool.send(&https(port), request).await.expect("a reply");
        assert_eq!(reply.version, Version::H1);
    }
    assert!(before > 0 && asked.load(Ordering::SeqCst) == before);
}

/// Offers both versions, and answers HTTP/1.1 only; counts what it was asked over HTTP/2.
async fn wants_h1() -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listener().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.expect("bound").0;
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let accepted = acceptor(&["h2", "http/1.1"]).accept(stream).await;
                let Ok(stream) = accepted else { return };
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    let service = hyper::service::service_fn(answer_ok);
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    return;
                }
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    respond.send_reset(Reason::HTTP_1_1_REQUIRED);
                }
            });
        }
    });
    (port, asked)
}

async fn answer_ok(request: hyper::Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let whole = request.into_body().collect().await;
    whole.map(|_| Response::new(Full::new(Bytes::from_static(b"ok"))))
}
