//! Servers: all of them are used, over every version of HTTP, however they spell their answers.

use panup::{Http, Item, Options, Outcome};
use panup_emulator::{
    Config, Http as Spoken, NetworkConditions, Operation, Pending, Place, Quirks, Stats, Tls,
};

use crate::common::{Scene, upload_all};

#[tokio::test(flavor = "multi_thread")]
async fn all_servers_are_used_and_slices_go_in_parallel() {
    let stats = send(base(), |options| options.concurrency = Some(8)).await;
    for server in 0..4 {
        let tally = stats.server(server);
        assert!(tally.calls >= 8, "server {server}: {tally:?}");
    }
    let peak = stats.of(Operation::Slice).peak;
    assert!((4..=8).contains(&peak), "{peak} slices at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_body_at_a_time_where_that_is_asked() {
    let stats = send(base(), |options| options.concurrency = Some(1)).await;
    assert_eq!(stats.of(Operation::Slice).peak, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_per_server_where_that_is_asked() {
    let stats = send(base(), |options| {
        options.concurrency = Some(8);
        options.connections = Some(1);
    })
    .await;
    for server in 0..4 {
        assert_eq!(stats.server(server).connections, 1, "server {server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_http_2() {
    let stats = send(tls(Tls::Both), |options| options.http = Http::H2).await;
    assert_eq!(slices_over(&stats, Spoken::Http2), SLICES);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_http_1_where_the_servers_offer_no_other() {
    for http in [Http::Auto, Http::H1, Http::H2] {
        let stats = send(tls(Tls::Http1), |options| options.http = http).await;
        assert_eq!(slices_over(&stats, Spoken::Http1), SLICES, "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_http_1_where_that_is_asked() {
    let stats = send(tls(Tls::Both), |options| options.http = Http::H1).await;
    assert_eq!(slices_over(&stats, Spoken::Http1), SLICES);
    let others = stats.calls.iter().filter(|call| call.http != Spoken::Http1);
    assert_eq!(others.count(), 0, "create and complete as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_whichever_is_faster() {
    let stats = send(tls(Tls::Both), |_| {}).await;
    let both = [Spoken::Http1, Spoken::Http2].map(|http| slices_over(&stats, http));
    assert_eq!(both.iter().sum::<usize>(), SLICES);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_peers_that_allow_few_or_many_streams() {
    for h2_streams in [1, 16, 100] {
        let config = Config {
            h2_streams,
            ..tls(Tls::Both)
        };
        let stats = send(config, |options| {
            options.http = Http::H2;
            options.concurrency = Some(16);
        })
        .await;
        assert_eq!(slices_over(&stats, Spoken::Http2), SLICES, "{h2_streams}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_servers_get_http_1_whatever_is_asked() {
    for http in [Http::Auto, Http::H1, Http::H2] {
        let stats = send(base(), |options| options.http = http).await;
        assert_eq!(slices_over(&stats, Spoken::Http1), SLICES, "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_without_a_scheme_or_with_a_slash_at_the_end() {
    for tls_or_not in [Tls::Off, Tls::Both] {
        for (no_scheme, trailing_slash) in [(true, false), (false, true), (true, true)] {
            let quirks = Quirks {
                no_scheme,
                trailing_slash,
                ..Quirks::default()
            };
            send(
                Config {
                    quirks,
                    ..tls(tls_or_not)
                },
                |_| {},
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_however_they_are_spelt() {
    let quirk = |change: fn(&mut Quirks)| {
        let mut quirks = Quirks::default();
        change(&mut quirks);
        quirks
    };
    let all = [
        quirk(|quirks| quirks.file_id_spelling = true),
        quirk(|quirks| quirks.numbers_as_strings = true),
        quirk(|quirks| quirks.extra_fields = true),
        quirk(|quirks| quirks.no_data = true),
    ];
    for quirks in all {
        let config = Config {
            quirks: quirks.clone(),
            ..base()
        };
        send(config.clone(), |_| {}).await;
        let scene = Scene::new(config);
        let path = scene.file("small", 10);
        let outcomes = upload_all(scene.options(), [Item::new(&path)]).await;
        assert_ids(&scene, &outcomes);
        scene.assert_arrived(&path, "small");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_of_saying_not_yet() {
    for pending in [Pending::Verifying, Pending::NotCompleted] {
        let config = Config {
            polls: 1,
            pending,
            ..base()
        };
        let stats = send(config, |_| {}).await;
        assert!(stats.of(Operation::Complete).pending >= 1, "{pending:?}");
    }
}

/// Sends one file of [`SLICES`] slices, sees it arrive with exactly that many calls, and says what
/// the service saw.
async fn send(config: Config, change: impl FnOnce(&mut Options)) -> Stats {
    let scene = Scene::new(config);
    let mut options = scene.options();
    options.single_max = 0;
    change(&mut options);
    let path = scene.file("file.bin", (SLICES as u64 - 1) * SLICE + 1);
    let outcomes = upload_all(options, [Item::new(&path)]).await;
    assert_ids(&scene, &outcomes);
    scene.assert_arrived(&path, "file.bin");
    let stats = scene.emulator.stats();
    assert_eq!(stats.of(Operation::Create).calls, 1);
    assert_eq!(stats.of(Operation::Slice).done, SLICES as u64);
    assert_eq!(stats.of(Operation::Complete).done, 1);
    stats
}

/// Each outcome has the id under which its file is stored.
fn assert_ids(scene: &Scene, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let stored = scene.stored(&outcome.remote).file_id;
        assert_eq!(outcome.status.file_id(), Some(stored));
    }
}

/// Slices over `http`, all over connections of their own kind.
fn slices_over(stats: &Stats, http: Spoken) -> usize {
    let slices = stats.calls_of(Operation::Slice);
    slices.filter(|call| call.http == http).count()
}

/// Four servers far enough away for slices to overlap.
fn base() -> Config {
    let far = NetworkConditions {
        latency_ms: 10,
        ..NetworkConditions::default()
    };
    Config {
        servers: 4,
        slice_size: SLICE,
        polls: 0,
        network: (0..4).map(|server| (Place::Server(server), far)).collect(),
        ..Config::default()
    }
}

fn tls(tls: Tls) -> Config {
    Config { tls, ..base() }
}

/// Bytes of a slice, small because only their number matters here.
const SLICE: u64 = 64 << 10;

/// Slices of the file: some for each server, whichever takes more.
const SLICES: usize = 64;
