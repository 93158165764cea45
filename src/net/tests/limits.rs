//! Queue, maxima, dropping.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_probe::started;
use tokio::sync::Semaphore;

use super::super::Origin;
use super::server::{Manner, Server, listener};
use super::{asking, http, https, pattern, pool, post};
use crate::error::Kind;
use crate::http::{Preference, Version};

mod futures_probe {
    //! Polling without waiting.

    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    /// Polls `future` once, so that it takes its place, and asserts that it has to wait.
    pub(super) async fn started(future: &mut Pin<Box<impl Future>>) {
        poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending(), "no answer yet");
            Poll::Ready(())
        })
        .await;
    }
}

/// Waits until `condition` holds; the test's own time limit is the harness's.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_maximum_of_connections_is_kept_and_the_queue_is_served_in_order() {
    let manner = Manner::plain().held();
    let permits = Arc::clone(&manner.permits);
    let server = Server::start(manner).await;
    let pool = pool(|settings| settings.connections_per_server = Some(2));
    let mut sending = Vec::new();
    for number in 0..8 {
        let (pool, origin) = (pool.clone(), http(server.port));
        let mut send =
            Box::pin(async move { pool.send(&origin, post(&format!("/{number}"), "x")).await });
        started(&mut send).await;
        sending.push(tokio::spawn(send));
    }
    for answered in 0..8 {
        until(|| server.seen.requests.all() == (answered + 2).min(8)).await;
        permits.add_permits(1);
        until(|| server.seen.requests.all() - server.seen.requests.now() > answered).await;
    }
    for send in sending {
        assert_eq!(
            &send.await.expect("no panic").expect("a reply").body[..],
            b"x"
        );
    }
    assert_eq!(
        (
            server.seen.connections.all(),
            server.seen.connections.most()
        ),
        (2, 2)
    );
    let paths = server.seen.paths();
    let mut first: Vec<_> = paths[..2].to_vec();
    first.sort();
    assert_eq!(
        (first, &paths[2..]),
        (
            vec!["/0".to_owned(), "/1".to_owned()],
            &["/2", "/3", "/4", "/5", "/6", "/7"].map(String::from)[..]
        )
    );
}

#[tokio::test]
async fn dropping_gives_the_connection_and_the_place_back() {
    for (manner, preference) in [
        (Manner::plain(), Preference::H1),
        (Manner::tls(&["h2"]), Preference::H2),
    ] {
        let plain = manner.protocols.is_none();
        let manner = manner.held();
        let permits = Arc::clone(&manner.permits);
        let server = Server::start(manner).await;
        let pool = pool(|settings| {
            settings.connections_per_server = Some(1);
            settings.streams_per_connection = Some(1);
        });
        let origin = if plain {
            http(server.port)
        } else {
            https(server.port)
        };
        let send = |path: &str| {
            let (pool, origin, request) = (
                pool.clone(),
                origin.clone(),
                asking(preference, post(path, pattern(100_000))),
            );
            Box::pin(async move { pool.send(&origin, request).await })
        };
        let (mut held, mut waiting) = (send("/held"), send("/waiting"));
        started(&mut held).await;
        started(&mut waiting).await;
        tokio::select! {
            reply = &mut held => panic!("{reply:?}"),
            () = until(|| server.seen.requests.all() == 1) => {}
        }
        drop(waiting);
        drop(held);
        permits.add_permits(10);
        let reply = send("/last").await.expect("a reply");
        assert_eq!(reply.body, pattern(100_000));
        assert_eq!(server.seen.paths(), ["/held", "/last"]);
        // HTTP/1.1 can only close; HTTP/2 resets the one stream.
        let expected = if reply.version == Version::H1 { 2 } else { 1 };
        assert_eq!(server.seen.connections.all(), expected);
        assert_eq!(
            server.seen.connections.most.load(Ordering::SeqCst),
            expected.min(1).max(expected - 1)
        );
    }
}

#[tokio::test]
async fn a_peer_that_allows_one_stream_gets_one() {
    let streams = [(1, 1), (16, 4), (100, 4)];
    for (allowed, expected) in streams {
        let manner = Manner {
            streams: allowed,
            ..Manner::tls(&["h2", "http/1.1"])
        }
        .held();
        let permits: Arc<Semaphore> = Arc::clone(&manner.permits);
        let server = Server::start(manner).await;
        let pool = pool(|settings| settings.connections_per_server = Some(1));
        let sending: Vec<_> = (0..12)
            .map(|number| {
                let (pool, origin) = (pool.clone(), https(server.port));
                let body = pattern(200_000 + number);
                tokio::spawn(
                    async move { (pool.send(&origin, post("/", body.clone())).await, body) },
                )
            })
            .collect();
        until(|| server.seen.requests.now() == expected).await;
        permits.add_permits(12);
        for send in sending {
            let (reply, body) = send.await.expect("no panic");
            let reply = reply.expect("a reply");
            assert_eq!((reply.body, reply.version), (body, Version::H2));
        }
        assert_eq!(server.seen.requests.most(), expected, "{allowed} allowed");
        assert_eq!(server.seen.connections.all(), 1);
    }
}

#[tokio::test]
async fn without_a_maximum_each_h1_request_has_its_connection_and_h2_spreads() {
    for (preference, connections) in [(Preference::H1, 12), (Preference::H2, 4)] {
        let manner = Manner::tls(&["h2", "http/1.1"]).held();
        let permits = Arc::clone(&manner.permits);
        let server = Server::start(manner).await;
        let pool = pool(|_| ());
        let sending: Vec<_> = (0..12)
            .map(|_| {
                let (pool, origin) = (pool.clone(), https(server.port));
                tokio::spawn(
                    async move { pool.send(&origin, asking(preference, post("/", "x"))).await },
                )
            })
            .collect();
        until(|| server.seen.requests.now() == 12).await;
        assert_eq!(server.seen.connections.all(), connections, "{preference:?}");
        permits.add_permits(12);
        for send in sending {
            send.await.expect("no panic").expect("a reply");
        }
    }
}

#[tokio::test]
async fn connections_that_end_in_good_order_cost_nothing() {
    for preference in [Preference::H1, Preference::H2] {
        let manner = Manner {
            served_at_most: 20,
            ..Manner::tls(&["h2", "http/1.1"])
        };
        let server = Server::start(manner).await;
        let pool = pool(|settings| settings.connections_per_server = Some(3));
        let sending: Vec<_> = (0..600)
            .map(|number| {
                let (pool, origin) = (pool.clone(), https(server.port));
                let request = asking(preference, post("/", pattern(number * 97)));
                tokio::spawn(async move { (number, pool.send(&origin, request).await) })
            })
            .collect();
        for send in sending {
            let (number, reply) = send.await.expect("no panic");
            assert_eq!(reply.expect("a reply").body, pattern(number * 97));
        }
        assert!(
            server.seen.connections.all() >= 600 / 24,
            "{}",
            server.seen.connections.all()
        );
    }
}

/// As over a distance: handshakes fail one after another, and the next is always under way.
#[tokio::test]
async fn a_server_that_refuses_each_handshake_in_its_own_time_is_heard_of() {
    let (listener, port) = listener().await;
    let accepting = tokio::spawn(async move {
        for number in 0_u32.. {
            let (stream, _) = listener.accept().await.expect("bound");
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20 + 7 * u64::from(number % 5))).await;
                drop(stream);
            });
        }
    });
    let pool = pool(|_| {});
    let sending = (0..6).map(|_| {
        let (pool, origin) = (pool.clone(), https(port));
        tokio::spawn(async move { pool.send(&origin, post("/", "x")).await })
    });
    for send in sending.collect::<Vec<_>>() {
        let ended = tokio::time::timeout(Duration::from_secs(20), send).await;
        let outcome = ended.expect("not for ever").expect("no panic");
        assert_eq!(outcome.expect_err("no TLS").kind(), Kind::Transport);
    }
    accepting.abort();
}

/// More servers than sockets: unused connections of others are closed, and busy ones when they become
/// free, so that every request is served and the maximum is kept.
#[tokio::test]
async fn the_maximum_over_all_servers_is_kept_and_none_goes_without() {
    for (most, tls) in [(1, false), (2, false), (3, true), (5, true)] {
        let mut servers = Vec::new();
        for _ in 0..4 {
            let manner = if tls {
                Manner::tls(&["h2", "http/1.1"])
            } else {
                Manner::plain()
            };
            servers.push(Server::start(manner).await);
        }
        let pool = pool(|settings| settings.connections = most);
        let sending: Vec<_> = (0..80)
            .map(|number| {
                let port = servers[number % 4].port;
                let origin = if tls { https(port) } else { http(port) };
                let preference = [Preference::H1, Preference::H2, Preference::Auto][number % 3];
                let (pool, body) = (pool.clone(), pattern(10_000 + number));
                tokio::spawn(async move {
                    let request = asking(preference, post("/", body.clone()));
                    (pool.send(&origin, request).await, body)
                })
            })
            .collect();
        for send in sending {
            let sent = tokio::time::timeout(Duration::from_secs(30), send).await;
            let (reply, body) = sent.expect("not for ever").expect("no panic");
            assert_eq!(reply.expect("a reply").body, body);
        }
        let open: u64 = pool.stats().iter().map(|(_, stats)| stats.open).sum();
        assert!(open <= most as u64 + 4, "{open} of {most}");
    }
}

/// A server whose requests never leave a connection idle gives one up for a server that has none.
#[tokio::test]
async fn a_busy_server_gives_way() {
    let (busy, other) = (
        Server::start(Manner::plain()).await,
        Server::start(Manner::plain()).await,
    );
    let pool = pool(|settings| settings.connections = 1);
    let streams = [0, 1, 2].map(|_| {
        let (pool, origin) = (pool.clone(), http(busy.port));
        tokio::spawn(async move {
            loop {
                pool.send(&origin, post("/", "x")).await.expect("a reply");
            }
        })
    });
    until(|| busy.seen.requests.all() > 10).await;
    for _ in 0..3 {
        let (pool, origin) = (pool.clone(), http(other.port));
        let sending = tokio::spawn(async move { pool.send(&origin, post("/", "y")).await });
        let reply = tokio::time::timeout(Duration::from_secs(20), sending).await;
        let reply = reply.expect("not for ever").expect("no panic");
        assert_eq!(&reply.expect("a reply").body[..], b"y");
    }
    let before = busy.seen.requests.all();
    until(|| busy.seen.requests.all() > before + 10).await;
    streams.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Each of ever new servers that a service names is one to remember, if only for a while.
#[tokio::test]
async fn servers_out_of_use_are_forgotten_and_a_connection_is_kept() {
    let server = Server::start(Manner::plain()).await;
    // However long that many refusals take: out of use is not too long unused.
    let pool = pool(|settings| settings.idle = Duration::from_secs(3600));
    let sent = pool.send(&http(server.port), post("/", "x")).await;
    sent.expect("a reply");
    // Nobody listens there.
    let (_, closed) = listener().await;
    for number in 0..2_000 {
        let host = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        let origin = Origin {
            host,
            ..http(closed)
        };
        let refused = pool.send(&origin, post("/", "x")).await;
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(Kind::Transport)
        );
    }
    let known = pool.stats();
    assert!(known.len() <= 512, "{} servers", known.len());
    let (_, kept) = known
        .iter()
        .find(|(origin, _)| *origin == http(server.port))
        .expect("it has a connection");
    assert_eq!((kept.opened, kept.open), (1, 1));
}
