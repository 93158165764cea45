//! Servers that keep the connection alive and let the request hang: they answer pings, acknowledge
//! settings, trickle bytes. Each limit here is longer than many pings.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::super::{Origin, Pool, Request, Timeouts};
use super::server::{acceptor, listener};
use super::{asking, https, pattern, pool, post};
use crate::error::{Delivery, Error, Kind};
use crate::http::Preference;

/// What a server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hang {
    /// It reads the body and says nothing more.
    Silent,
    /// The same, after word that it is about to close.
    Leaving,
    /// It reads nothing of the body.
    Deaf,
    /// It takes a byte of the body now and then.
    Sipping,
    /// It sends the head of its answer byte by byte, or interim ones for ever.
    TricklingHead,
    /// It sends the body of its answer byte by byte.
    TricklingBody,
}

/// What a request's body has to be for a server to be seen not to read it: more than sockets hold.
const LARGE: usize = 24 << 20;
const SMALL: usize = 2000;

#[tokio::test]
async fn a_request_that_hangs_ends_over_every_version() {
    for (protocols, preference) in [
        (&["http/1.1"][..], Preference::H1),
        (&["h2"], Preference::H2),
        (&["h2", "http/1.1"], Preference::Auto),
    ] {
        for (hang, size, words, delivered) in [
            (Hang::Silent, SMALL, "no answer within", Delivery::Unknown),
            (Hang::Silent, LARGE, "no answer within", Delivery::Unknown),
            (Hang::Leaving, SMALL, "no answer within", Delivery::Unknown),
            (Hang::Deaf, LARGE, "stalled", Delivery::NotDone),
            (Hang::Sipping, LARGE, "stalled", Delivery::NotDone),
            (
                Hang::TricklingHead,
                SMALL,
                "no answer within",
                Delivery::Unknown,
            ),
            (
                Hang::TricklingBody,
                SMALL,
                "no answer within",
                Delivery::Unknown,
            ),
        ] {
            let what = format!("{hang:?} {size} {preference:?}");
            let (pool, origin) = hanging(protocols, hang).await;
            let error = failed(&pool, &origin, asking(preference, sized(size))).await;
            assert_eq!(
                (error.kind(), error.delivery(), error.is_timeout()),
                (Kind::Transport, delivered, true),
                "{what}: {error}"
            );
            assert!(error.message().contains(words), "{what}: {error}");
        }
    }
}

/// What the peer's window never let through was not done, and may be repeated. (The first 64 KiB leave
/// before its settings are read.)
#[tokio::test]
async fn a_body_that_waits_for_a_window_was_not_done() {
    for hang in [Hang::Deaf, Hang::Sipping] {
        let (pool, origin) = hanging(&["h2"], hang).await;
        let error = failed(&pool, &origin, sized(70_000)).await;
        assert_eq!(error.delivery(), Delivery::NotDone, "{hang:?}");
        assert!(error.message().contains("stalled"), "{hang:?}: {error}");
    }
}

/// What other streams move is not what this one moves.
#[tokio::test]
async fn a_busy_neighbour_does_not_keep_a_hanging_request_alive() {
    let (pool, origin) = hanging(&["h2"], Hang::Silent).await;
    let first = {
        let (pool, origin) = (pool.clone(), origin.clone());
        tokio::spawn(async move { failed(&pool, &origin, sized(SMALL)).await })
    };
    let neighbours = tokio::spawn(async move {
        for _ in 0..40 {
            let sending = pool.send(&origin, sized(300_000));
            let _ = tokio::time::timeout(Duration::from_millis(50), sending).await;
        }
    });
    let error = first.await.expect("no panic");
    assert!(error.message().contains("no answer"), "{error}");
    neighbours.abort();
}

/// Slow, but at a pace that leads somewhere: longer than the limits in all, and let finish.
#[tokio::test]
async fn a_slow_reader_is_waited_for() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        let stream = listener.accept().await.expect("bound").0;
        let stream = acceptor(&["h2"]).accept(stream).await.expect("TLS");
        let mut settings = h2::server::Builder::new();
        settings.initial_window_size(4096);
        let mut connection = settings
            .handshake::<_, Bytes>(stream)
            .await
            .expect("HTTP/2");
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(Ok(chunk)) = body.data().await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let _ = body.flow_control().release_capacity(chunk.len());
                }
                let _ = respond.send_response(Response::new(()), true);
            });
        }
    });
    let (stall, answer) = (Duration::from_secs(2), Duration::from_secs(1));
    let (pool, began) = (pinging(stall, answer), Instant::now());
    let reply = pool.send(&https(port), sized(300_000)).await;
    assert_eq!(reply.expect("a reply").status.as_u16(), 200);
    assert!(began.elapsed() > answer + stall);
}

/// An early answer to a body of which the rest lies in our own buffers, and is never read: such a
/// connection must not count as busy for ever. How much sockets hold is not known, so sizes are tried.
#[tokio::test]
async fn an_early_answer_to_an_unread_body_gives_the_connection_up() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.read_u8().await.expect("a request begins");
                tokio::time::sleep(Duration::from_millis(200)).await;
                let answer = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.expect("sent");
                pending::<()>().await;
            });
        }
    });
    let body = pattern(16 << 20);
    let sending = (1..50).map(|step| {
        let body = body.slice(..step * 300_000);
        tokio::spawn(async move {
            let pool = pool(|settings| {
                settings.connections_per_server = Some(1);
                settings.timeouts.answer = PATIENT;
                settings.timeouts.stall = PATIENT;
            });
            let reply = pool.send(&super::http(port), post("/", body)).await;
            assert_eq!(reply.expect("a reply").status.as_u16(), 401);
            // On the same connection it stalls, on a new one it is answered.
            let sending = pool.send(&super::http(port), sized(100)).await;
            drop(sending);
        })
    });
    for sent in sending.collect::<Vec<_>>() {
        let ended = tokio::time::timeout(Duration::from_secs(20), sent).await;
        ended.expect("not for ever").expect("no panic");
    }
}

/// A reply in chunks of one byte costs what it weighs.
#[tokio::test]
async fn a_reply_in_tiny_chunks_is_read_whole() {
    let (listener, port) = listener().await;
    let length = 200_000;
    tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("bound").0;
        super::server::read_request(&mut stream)
            .await
            .expect("a request");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        let reply = head + &"1\r\nx\r\n".repeat(length) + "0\r\n\r\n";
        stream.write_all(reply.as_bytes()).await.expect("read");
    });
    let pool = pool(|settings| settings.timeouts.answer = EMULATED);
    let reply = pool.send(&super::http(port), post("/", "x")).await;
    assert_eq!(
        reply.expect("a reply").body,
        Bytes::from(vec![b'x'; length])
    );
}

const STALL: Duration = Duration::from_millis(300);
const ANSWER: Duration = Duration::from_millis(600);

/// Longer than a busy machine takes for an early answer.
const PATIENT: Duration = Duration::from_secs(2);

/// An emulated processor takes minutes for what takes another one a second.
const EMULATED: Duration = Duration::from_secs(600);

/// Whatever the processor, sooner than by the limit that is not to be reached.
const ENOUGH: Duration = Duration::from_secs(300);

/// A dozen of them within the shorter limit.
const PING: Duration = Duration::from_millis(25);

/// How often a server trickles.
const NOW_AND_THEN: Duration = Duration::from_millis(20);

fn pinging(stall: Duration, answer: Duration) -> Pool {
    pool(|settings| {
        settings.ping = PING;
        settings.timeouts = Timeouts {
            answer,
            stall,
            connect: EMULATED,
        };
    })
}

fn sized(size: usize) -> Request {
    post("/", pattern(size))
}

async fn failed(pool: &Pool, origin: &Origin, request: Request) -> Error {
    let sent = tokio::time::timeout(ENOUGH, pool.send(origin, request)).await;
    sent.expect("not for ever").expect_err("it hangs")
}

async fn hanging(protocols: &'static [&'static str], hang: Hang) -> (Pool, Origin) {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(stream) = acceptor(protocols).accept(stream).await else {
                    return;
                };
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    hang_h1(stream, hang).await;
                } else if hang == Hang::TricklingHead {
                    trickle_head(stream).await;
                } else {
                    hang_h2(stream, hang).await;
                }
            });
        }
    });
    // A processor that is slow is not a server that hangs: the other limit is not to be reached.
    let pool = match hang {
        Hang::Deaf | Hang::Sipping => pinging(STALL, EMULATED),
        _ => pinging(EMULATED, ANSWER),
    };
    (pool, https(port))
}

async fn hang_h1(mut stream: impl AsyncRead + AsyncWrite + Unpin, hang: Hang) {
    let mut space = vec![0; 1 << 16];
    let trickle = match hang {
        Hang::Deaf => return pending().await,
        Hang::Sipping => loop {
            let _ = stream.read(&mut space[..1]).await;
            tokio::time::sleep(NOW_AND_THEN).await;
        },
        Hang::Silent | Hang::Leaving => None,
        Hang::TricklingHead => Some("HTTP/1.1 103 Early Hints\r\n\r\n"),
        Hang::TricklingBody => Some("1\r\nx\r\n"),
    };
    let mut read = 0;
    while read < SMALL {
        read += stream.read(&mut space).await.unwrap_or(usize::MAX >> 1);
    }
    if hang == Hang::TricklingBody {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head).await;
    }
    loop {
        if let Some(trickle) = trickle {
            if stream.write_all(trickle.as_bytes()).await.is_err() {
                return;
            }
            let _ = stream.flush().await;
            tokio::time::sleep(NOW_AND_THEN).await;
        } else if stream.read(&mut space).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn hang_h2(stream: impl AsyncRead + AsyncWrite + Unpin, hang: Hang) {
    let mut settings = h2::server::Builder::new();
    if matches!(hang, Hang::Deaf | Hang::Sipping) {
        settings.initial_window_size(0);
    }
    let Ok(mut connection) = settings.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let mut kept = Vec::new();
    let mut window = 0;
    loop {
        let accepted = tokio::time::timeout(NOW_AND_THEN, poll_fn(|cx| connection.poll_accept(cx)));
        let (request, mut respond) = match accepted.await {
            Ok(Some(Ok(stream))) => stream,
            Ok(_) => return,
            Err(_) => {
                if hang == Hang::Sipping {
                    window += 1;
                    let _ = connection.set_initial_window_size(window);
                }
                continue;
            }
        };
        let mut body = request.into_body();
        kept.push(tokio::spawn(async move {
            let mut trickle = (hang == Hang::TricklingBody).then(|| {
                respond
                    .send_response(Response::new(()), false)
                    .expect("open")
            });
            while let Some(Ok(chunk)) = body.data().await {
                let _ = body.flow_control().release_capacity(chunk.len());
            }
            while let Some(trickle) = &mut trickle {
                if trickle.send_data(Bytes::from_static(b"x"), false).is_err() {
                    return;
                }
                tokio::time::sleep(NOW_AND_THEN).await;
            }
            // Dropping it would reset the stream.
            pending::<()>().await;
            drop(respond);
        }));
        if hang == Hang::Leaving {
            connection.graceful_shutdown();
        }
    }
}

/// The head of an answer, a byte of its one frame now and then; the frames are made by hand.
async fn trickle_head(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let frame_head = |length: u8, kind: u8, stream: u8| [0, 0, length, kind, 0, 0, 0, 0, stream];
    let (settings, headers) = (4, 1);
    let _ = stream.write_all(&frame_head(0, settings, 0)).await;
    let (mut space, mut read) = (vec![0; 1 << 16], 0);
    while read < SMALL {
        read += stream.read(&mut space).await.unwrap_or(usize::MAX >> 1);
    }
    let _ = stream.write_all(&frame_head(255, headers, 1)).await;
    // `:status: 200`, and then a literal header whose name has 100 bytes.
    let bytes = [0x88, 0x00, 100].into_iter().chain(std::iter::repeat(b'x'));
    for byte in bytes {
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(NOW_AND_THEN).await;
    }
}

/// Interim answers, or frames of which none means anything, for as long as the client reads: it does
/// not read for ever.
#[tokio::test]
async fn a_flood_ends_at_the_size_of_an_answer() {
    for (protocol, preference) in [("http/1.1", Preference::H1), ("h2", Preference::H2)] {
        let (listener, port) = listener().await;
        let sent = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&sent);
        let flood = tokio::spawn(async move {
            let stream = listener.accept().await.expect("bound").0;
            let mut stream = acceptor(&[protocol]).accept(stream).await.expect("TLS");
            let _ = stream.read(&mut [0; 4096]).await;
            let piece = match protocol {
                "h2" => {
                    // SETTINGS, then frames of a type that nobody knows.
                    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
                    stream.write_all(&settings).await.expect("read");
                    [0, 0, 0, 0xee, 0, 0, 0, 0, 0].repeat(1 << 10)
                }
                _ => b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1 << 9),
            };
            while stream.write_all(&piece).await.is_ok() {
                counter.fetch_add(piece.len(), Ordering::SeqCst);
            }
        });
        let pool = pool(|settings| settings.timeouts.answer = EMULATED);
        let request = asking(preference, post("/", "x"));
        let error = pool
            .send(&https(port), request)
            .await
            .expect_err("no answer");
        let words = "more than any answer has";
        assert!(error.message().contains(words), "{protocol}: {error}");
        flood.await.expect("no panic");
        // What the sockets hold comes to it.
        assert!(sent.load(Ordering::SeqCst) < 32 << 20, "{protocol}");
    }
}
