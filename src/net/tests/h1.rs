//! HTTP/1.1 on sockets that are watched, and cut, to the byte.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::{Body, Request, ServerStats};
use super::server::{answer, listener, read_request};
use super::{http, hurried, later, pattern, pool, post};
use crate::error::{Delivery, Kind, Operation};
use crate::http::Version;

fn get() -> Request {
    Request::new(Method::GET, "/upload/v2/file/domain", Operation::Domain)
}

/// Closes with RST, which is what a server's kernel answers to a request that it has no socket for.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("an open socket");
    drop(stream);
}

#[tokio::test]
async fn the_body_is_framed_by_its_exact_length() {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(read_request(&mut stream).await.expect("a request"));
            answer(&mut stream, "").await;
        }
        (seen, stream)
    });
    let pool = pool(|_| ());
    let parts = [
        Bytes::from_static(b"head"),
        pattern(3_000_007),
        Bytes::from_static(b"tail"),
    ];
    let multi = Request {
        body: Body::new(parts.clone()),
        ..post("/slice?a=1", "")
    };
    for request in [multi, post("/empty", ""), get()] {
        let reply = pool.send(&http(port), request).await.expect("a reply");
        assert_eq!(
            (reply.status.as_u16(), &reply.body[..], reply.version),
            (200, &b"ok"[..], Version::H1)
        );
    }
    let (seen, _open) = serving.await.expect("no panic");
    assert!(
        seen[0].head.starts_with("post /slice?a=1 http/1.1\r\n"),
        "{}",
        seen[0].head
    );
    assert!(
        seen[0]
            .head
            .contains(&format!("host: 127.0.0.1:{port}\r\n")),
        "{}",
        seen[0].head
    );
    assert!(
        seen[0].head.contains("content-length: 3000015\r\n"),
        "{}",
        seen[0].head
    );
    assert!(
        seen.iter()
            .all(|raw| !raw.head.contains("transfer-encoding"))
    );
    assert_eq!(seen[0].body, parts.concat());
    assert!(
        seen[1].head.contains("content-length: 0\r\n"),
        "{}",
        seen[1].head
    );
    assert!(!seen[2].head.contains("content-length"), "{}", seen[2].head);
    let (origin, stats) = pool.stats().remove(0);
    let expected = ServerStats {
        opened: 1,
        open: 1,
        h1_requests: 3,
        ..stats.clone()
    };
    assert_eq!((origin, &stats), (http(port), &expected));
    assert!(
        (3_000_015..3_002_000).contains(&stats.bytes),
        "{}",
        stats.bytes
    );
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        for headers in ["", "Connection: close\r\n", ""] {
            let mut stream = listener.accept().await.expect("bound").0;
            read_request(&mut stream).await.expect("a request");
            answer(&mut stream, headers).await;
        }
    });
    let pool = pool(|_| ());
    for _ in 0..3 {
        pool.send(&http(port), post("/", "x"))
            .await
            .expect("a reply");
    }
    assert_eq!(pool.stats()[0].1.opened, 3);
}

/// One request is served; the next one's head is read and the connection reset; then all is well.
async fn reset_when_reused() -> (u16, tokio::task::JoinHandle<usize>) {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        read_request(&mut stream).await.expect("the first request");
        answer(&mut stream, "").await;
        stream.read_u8().await.expect("the second request begins");
        reset(stream);
        let mut stream = listener.accept().await.expect("bound").0;
        let length = read_request(&mut stream)
            .await
            .expect("the second request again")
            .body
            .len();
        answer(&mut stream, "").await;
        length
    });
    (port, serving)
}

#[tokio::test]
async fn the_keep_alive_race_is_not_noticed() {
    for (request, length) in [(post("/", pattern(64 << 20)), 64 << 20), (get(), 0)] {
        let (port, serving) = reset_when_reused().await;
        let pool = pool(|_| ());
        pool.send(&http(port), post("/", "x"))
            .await
            .expect("the first reply");
        later(Duration::from_secs(5)).await;
        pool.send(&http(port), request)
            .await
            .expect("the second reply");
        assert_eq!(serving.await.expect("no panic"), length);
        assert_eq!(pool.stats()[0].1.opened, 2);
    }
}

#[tokio::test]
async fn a_small_request_that_left_in_full_is_not_repeated() {
    let (port, _serving) = reset_when_reused().await;
    let pool = pool(|_| ());
    pool.send(&http(port), post("/", "x"))
        .await
        .expect("the first reply");
    later(Duration::from_secs(5)).await;
    let error = pool
        .send(&http(port), post("/", "small"))
        .await
        .expect_err("reset");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::Unknown)
    );
    assert_eq!(error.operation(), Operation::Slice);
}

#[tokio::test]
async fn a_reset_within_the_body_is_not_done_and_costs_the_attempt() {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        stream
            .read_exact(&mut [0; 4096])
            .await
            .expect("the beginning");
        reset(stream);
        listener
    });
    let pool = pool(|_| ());
    let error = pool
        .send(&http(port), post("/", pattern(64 << 20)))
        .await
        .expect_err("reset");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::NotDone)
    );
    assert_eq!(
        error.message(),
        format!("http://127.0.0.1:{port}: connection reset")
    );
    assert!(!error.is_timeout());
    drop(serving.await);
    assert_eq!((pool.stats()[0].1.opened, pool.stats()[0].1.open), (1, 0));
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (listener, port) = listener().await;
    drop(listener);
    let error = pool(|_| ())
        .send(&http(port), post("/", "x"))
        .await
        .expect_err("nothing listens");
    assert_eq!(
        (error.kind(), error.delivery()),
        (Kind::Transport, Delivery::NotDone)
    );
    assert_eq!(
        error.to_string(),
        format!("slice: http://127.0.0.1:{port}: connection refused")
    );
}

#[tokio::test]
async fn a_server_that_reads_nothing_stalls_the_request() {
    let (listener, port) = listener().await;
    let accepted = tokio::spawn(async move { listener.accept().await });
    let pool = hurried(200);
    let stalling = post("/", pattern(64 << 20));
    let error = pool.send(&http(port), stalling).await.expect_err("stalled");
    assert_eq!(
        (error.kind(), error.delivery(), error.is_timeout()),
        (Kind::Transport, Delivery::NotDone, true)
    );
    assert!(error.message().contains("stalled"), "{error}");
    drop(accepted.await);
}

#[tokio::test]
async fn an_answer_that_does_not_come_may_have_been_lost() {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        let length = read_request(&mut stream)
            .await
            .expect("a request")
            .body
            .len();
        // The client gives up by closing.
        assert_eq!(stream.read(&mut [0]).await.expect("closed in order"), 0);
        length
    });
    let error = hurried(200)
        .send(&http(port), post("/", pattern(1 << 20)))
        .await;
    let error = error.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.delivery(), error.is_timeout()),
        (Kind::Transport, Delivery::Unknown, true)
    );
    assert!(
        error.message().contains("no answer within 200ms"),
        "{error}"
    );
    assert_eq!(serving.await.expect("no panic"), 1 << 20);
}

#[tokio::test]
async fn an_early_answer_is_taken_and_the_connection_left() {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut kept = Vec::new();
        for _ in 0..2 {
            let mut stream = listener.accept().await.expect("bound").0;
            stream
                .read_exact(&mut [0; 4096])
                .await
                .expect("the beginning");
            stream
                .write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
                .await
                .expect("sent");
            kept.push(stream);
        }
        kept.len()
    });
    let pool = pool(|_| ());
    for _ in 0..2 {
        let reply = pool
            .send(&http(port), post("/", pattern(64 << 20)))
            .await
            .expect("a reply");
        assert_eq!(reply.status.as_u16(), 401);
    }
    assert_eq!(serving.await.expect("no panic"), 2);
}

#[tokio::test]
async fn replies_that_cannot_be_read_are_of_kind_protocol() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}",
        "x".repeat(2_000_000)
    );
    for reply in ["SMTP ready\r\n\r\n".to_owned(), long] {
        let (listener, port) = listener().await;
        tokio::spawn(async move {
            let mut stream = listener.accept().await.expect("bound").0;
            read_request(&mut stream).await.expect("a request");
            // The client closes as soon as it knows enough.
            let _ = stream.write_all(reply.as_bytes()).await;
        });
        let error = pool(|_| ())
            .send(&http(port), post("/", "x"))
            .await
            .expect_err("unreadable");
        assert_eq!(
            (error.kind(), error.delivery()),
            (Kind::Protocol, Delivery::Unknown),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    let (listener, port) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        read_request(&mut stream).await.expect("a request");
        answer(&mut stream, "").await;
        stream.read(&mut [0]).await.expect("closed in order")
    });
    let pool = pool(|settings| settings.idle = Duration::from_secs(30));
    pool.send(&http(port), post("/", "x"))
        .await
        .expect("a reply");
    later(Duration::from_secs(31)).await;
    assert_eq!(serving.await.expect("no panic"), 0);
}

#[tokio::test]
async fn headers_as_odd_gateways_write_them() {
    let many: String = (0..400).map(|n| format!("x-{n}: y\r\n")).collect();
    for headers in [
        "via: a\r\n  b\r\n",
        "server : old\r\n",
        "a bad line\r\n",
        "x-\u{e9}: y\r\n",
        &many,
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok");
        let (listener, port) = listener().await;
        let serving = tokio::spawn(async move {
            let mut stream = listener.accept().await.expect("bound").0;
            read_request(&mut stream).await.expect("a request");
            stream.write_all(head.as_bytes()).await.expect("open");
            stream
        });
        let reply = pool(|_| ()).send(&http(port), get()).await;
        let reply = reply.unwrap_or_else(|error| panic!("{headers:.30}: {error}"));
        assert_eq!(&reply.body[..], b"ok");
        drop(serving.await);
    }
}
