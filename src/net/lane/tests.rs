//! Dials that panic, are dropped, or find no socket.

use super::super::settings::PoolSettings;
use super::super::tests::{https, server};
use super::*;
use crate::error::{Delivery, Kind, Operation};

/// As a pool of at most one connection to a server and `sockets` in all has it.
fn common(sockets: usize) -> Common {
    let settings = PoolSettings::default();
    Common {
        connector: Arc::new(Connector::new(&settings).expect("good settings")),
        sockets: Sockets::new(sockets),
        rules: Rules {
            connections: Some(1),
            streams: 1,
            idle: settings.idle,
        },
        ping: settings.ping,
        lanes: Arc::default(),
    }
}

/// A lane to a server that accepts and says nothing, with a request that waits for its dial.
async fn waiting() -> (Arc<Lane>, JoinHandle<Failure>, tokio::net::TcpListener) {
    let (listener, port) = server::listener().await;
    let lane = Lane::new(https(port), common(1));
    let asking = Arc::clone(&lane);
    let asked =
        tokio::spawn(async move { asking.lease(Preference::H1).await.expect_err("no server") });
    while lane.state().waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    (lane, asked, listener)
}

async fn told(asked: JoinHandle<Failure>) {
    let told = tokio::time::timeout(Duration::from_secs(5), asked).await;
    let failure = told.expect("not for ever").expect("no panic of its own");
    let error = failure.of(Operation::Slice, Delivery::NotDone);
    assert_eq!((error.kind(), error.is_lasting()), (Kind::Transport, false));
}

#[tokio::test]
async fn a_dial_that_panics_is_a_dial_that_failed() {
    let (lane, asked, _listener) = waiting().await;
    let dial = Dial::new(&lane, Offer::H1);
    let ended = tokio::spawn(dial.run(async { panic!("of this test") })).await;
    assert!(ended.expect_err("it panics").is_panic());
    told(asked).await;
}

#[tokio::test]
async fn a_dial_that_is_dropped_unpolled_is_a_dial_that_failed() {
    let (lane, asked, _listener) = waiting().await;
    drop(Dial::new(&lane, Offer::H1));
    told(asked).await;
}

#[tokio::test]
async fn a_runtime_that_ends_answers_those_who_wait_on_another() {
    let (listener, port) = server::listener().await;
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let other = other.expect("a runtime");
    let lane = Lane::new(https(port), common(1));
    let first = Arc::clone(&lane);
    // Dials, and is never polled again.
    drop(other.spawn(async move { first.lease(Preference::H1).await.map(drop) }));
    let ended = std::thread::spawn(move || {
        other.block_on(tokio::task::yield_now());
        other
    });
    let other = ended.join().expect("no panic");
    let waiting = Arc::clone(&lane);
    let asked = tokio::spawn(async move { waiting.lease(Preference::H1).await.map(drop) });
    while lane.state().waiting.len() < 2 {
        tokio::task::yield_now().await;
    }
    std::thread::spawn(move || drop(other))
        .join()
        .expect("no panic");
    drop(listener);
    let told = tokio::time::timeout(Duration::from_secs(5), asked).await;
    told.expect("not for ever")
        .expect("no panic")
        .expect_err("nobody listens");
}

/// A server that answers nothing but takes connections, and a lane whose first dials find no socket.
async fn starving(dials: usize) -> (Arc<Lane>, tokio::net::TcpListener) {
    let (listener, port) = server::listener().await;
    let common = common(1);
    common.connector.short_for(dials);
    let origin = Origin {
        scheme: Scheme::Http,
        ..https(port)
    };
    (Lane::new(origin, common), listener)
}

#[tokio::test]
async fn a_dial_that_finds_no_descriptor_is_made_again() {
    let (lane, _listener) = starving(5).await;
    let leases = lane.lease(Preference::H1);
    let lease = tokio::time::timeout(Duration::from_secs(20), leases).await;
    lease
        .expect("not for ever")
        .expect("a descriptor in the end");
    assert_eq!(lane.tally().stats().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_want_is_said_to_all_with_its_remedy() {
    let (lane, _listener) = starving(usize::MAX).await;
    let began = Instant::now();
    let waiting = [0, 1, 2].map(|_| {
        let lane = Arc::clone(&lane);
        tokio::spawn(async move { lane.lease(Preference::H1).await.expect_err("no descriptor") })
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
