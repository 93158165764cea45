//! Calls that hang: every limit fires, over every version of HTTP.

use std::time::{Duration, Instant};

use panup::{Credential, Http, Options, Secret};
use panup_emulator::{Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation, Tls};

use crate::common::{Scene, item, upload_all};

/// A service whose answer to one call never comes, and which goes on acknowledging pings. The pings
/// are more frequent than the limit of stalls, and that one is shorter than the one of answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_is_repeated_over_every_version() {
    let silent = Action::StallAnswer { millis: FOR_EVER };
    for (operation, size) in [
        (Operation::Create, SLICED),
        (Operation::Slice, SLICED),
        (Operation::Complete, SLICED),
        (Operation::Domain, SMALL),
        (Operation::Single, SMALL),
        (Operation::AccessToken, SMALL),
    ] {
        repeated(operation, size, &silent).await;
    }
}

/// A server that stops reading: over HTTP/2 it opens no window any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_read_is_sent_again_over_every_version() {
    let deaf = Action::StallReading {
        after: 1000,
        millis: FOR_EVER,
    };
    repeated(Operation::Slice, LARGE, &deaf).await;
    repeated(Operation::Single, 4_000_000, &deaf).await;
}

/// One file arrives although the first call of `operation` hangs, over every version at once.
async fn repeated(operation: Operation, size: u64, hang: &Action) {
    let ways = [
        (Tls::Off, Http::Auto),
        (Tls::Both, Http::H1),
        (Tls::Both, Http::H2),
        (Tls::Both, Http::Auto),
    ];
    for sent in ways.map(|way| tokio::spawn(arrives(operation, size, hang.clone(), way))) {
        sent.await.expect("it arrives");
    }
}

async fn arrives(operation: Operation, size: u64, hang: Action, (tls, http): (Tls, Http)) {
    let what = format!("{operation} of {size} bytes, {tls:?}, {http:?}, {hang:?}");
    let scene = Scene::new(Config {
        tls,
        servers: 1,
        ..Config::default()
    });
    scene.emulator.inject(Fault::on(operation, hang).nth(1));
    let path = scene.file("file.bin", size);
    let began = Instant::now();
    let sending = upload_all(hurried(&scene, http), [item(&path, "file.bin")]);
    let ended = tokio::time::timeout(ENOUGH, sending).await;
    ended.unwrap_or_else(|_| panic!("{what}: hangs"));
    scene.assert_arrived(&path, "file.bin");
    // The emulator has a call in its books when it ends, which the hanging one does much later: that it
    // was met shows in the time.
    assert!(began.elapsed() >= STALL, "{what}: before any limit");
}

/// Options that log in, overwrite (so that every lost answer may be repeated), and do not wait long.
fn hurried(scene: &Scene, http: Http) -> Options {
    let mut options = scene.options();
    options.credential = Credential::Client {
        id: CLIENT_ID.to_owned(),
        secret: Secret::new(CLIENT_SECRET),
    };
    options.http = http;
    options.on_conflict = panup::Conflict::Overwrite;
    options.timeouts.stall = STALL;
    options.timeouts.answer = STALL * 2;
    options
}

/// Pings are sent after three quarters of it.
const STALL: Duration = Duration::from_millis(800);

const FOR_EVER: u64 = 400_000;

const SMALL: u64 = 100_000;
const SLICED: u64 = 6_000_000;

/// More than sockets hold.
const LARGE: u64 = 40_000_000;

const ENOUGH: Duration = Duration::from_secs(30);
