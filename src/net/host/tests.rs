//! Dials that panic, are dropped, or find no socket.

use super::super::settings::PoolSettings;
use super::super::tests::{https, server};
use super::*;
use crate::error::{Delivery, Kind, Operation};

/// As a pool of at most one connection to a server and `sockets` in all has it.
fn context(sockets: usize) -> HostContext {
    let settings = PoolSettings::default();
    HostContext {
        connector: Arc::new(Connector::new(&settings).expect("good settings")),
        sockets: SocketLimit::new(sockets),
        limits: HostLimits {
            connections: Some(1),
            streams: 1,
            calls: 1,
            idle: settings.idle,
        },
        ping: settings.ping,
        hosts: Arc::default(),
    }
}

/// The host of a server that accepts and says nothing, with a request that waits for its dial.
async fn waiting() -> (Arc<Host>, JoinHandle<Failure>, tokio::net::TcpListener) {
    let (listener, port) = server::listener().await;
    let host = Host::new(https(port), context(1));
    let asking = Arc::clone(&host);
    let asked =
        tokio::spawn(async move { asking.acquire(Preference::H1).await.expect_err("no server") });
    while host.inner().waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    (host, asked, listener)
}

async fn fails(asked: JoinHandle<Failure>) {
    let ended = tokio::time::timeout(Duration::from_secs(5), asked).await;
    let failure = ended.expect("not for ever").expect("no panic of its own");
    let error = failure.of(Operation::Slice, Delivery::NotDone);
    assert_eq!((error.kind(), error.is_lasting()), (Kind::Transport, false));
}

#[tokio::test]
async fn a_dial_that_panics_is_a_dial_that_failed() {
    let (host, asked, _listener) = waiting().await;
    let dial = Dial::new(&host, Alpn::H1);
    let ended = tokio::spawn(dial.run(async { panic!("of this test") })).await;
    assert!(ended.expect_err("it panics").is_panic());
    fails(asked).await;
}

#[tokio::test]
async fn a_dial_that_is_dropped_unpolled_is_a_dial_that_failed() {
    let (host, asked, _listener) = waiting().await;
    drop(Dial::new(&host, Alpn::H1));
    fails(asked).await;
}

#[tokio::test]
async fn a_runtime_that_ends_answers_those_who_wait_on_another() {
    let (listener, port) = server::listener().await;
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let other = other.expect("a runtime");
    let host = Host::new(https(port), context(1));
    let first = Arc::clone(&host);
    // Dials, and is never polled again.
    drop(other.spawn(async move { first.acquire(Preference::H1).await.map(drop) }));
    let ended = std::thread::spawn(move || {
        other.block_on(tokio::task::yield_now());
        other
    });
    let other = ended.join().expect("no panic");
    let waiting = Arc::clone(&host);
    let asked = tokio::spawn(async move { waiting.acquire(Preference::H1).await.map(drop) });
    while host.inner().waiting.len() < 2 {
        tokio::task::yield_now().await;
    }
    std::thread::spawn(move || drop(other))
        .join()
        .expect("no panic");
    drop(listener);
    let ended = tokio::time::timeout(Duration::from_secs(5), asked).await;
    ended
        .expect("not for ever")
        .expect("no panic")
        .expect_err("nothing listens");
}

/// A server that answers nothing but takes connections, and a host whose first dials find no socket.
async fn starving(dials: usize) -> (Arc<Host>, tokio::net::TcpListener) {
    let (listener, port) = server::listener().await;
    let context = context(1);
    context.connector.short_for(dials);
    let origin = Origin {
        scheme: Scheme::Http,
        ..https(port)
    };
    (Host::new(origin, context), listener)
}

#[tokio::test]
async fn a_dial_that_finds_no_descriptor_is_made_again() {
    let (host, _listener) = starving(5).await;
    let acquiring = host.acquire(Preference::H1);
    let pooled = tokio::time::timeout(Duration::from_secs(20), acquiring).await;
    pooled
        .expect("not for ever")
        .expect("a descriptor in the end");
    assert_eq!(host.metrics().stats().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_shortage_fails_all_requests_with_its_remedy() {
    let (host, _listener) = starving(usize::MAX).await;
    let began = Instant::now();
    let waiting = [0, 1, 2].map(|_| {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            host.acquire(Preference::H1)
                .await
                .expect_err("no descriptor")
        })
    });
    for waited in waiting {
        let failure = waited.await.expect("no panic");
        let error = failure.of(Operation::Slice, Delivery::NotDone);
        assert!(error.is_lasting(), "{error}");
        assert!(error.message().contains("ulimit -n"), "{error}");
    }
    let took = began.elapsed();
    assert!((60..63).contains(&took.as_secs()), "{took:?}");
}
