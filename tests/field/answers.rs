//! Answers without the service's envelope, and refusals that are answers.

use std::fs;

use panup::{
    CallRates, Client, Conflict, Credential, Item, Kind, Options, Outcome, Secret, Status,
};
use panup_emulator::{Action, CLIENT_ID, CLIENT_SECRET, Config, Fault, Operation, Place};

use crate::common::{Scene, failure, item, upload};

/// A captive portal, a firewall, a page about maintenance: one of them on one call, whichever.
#[tokio::test(flavor = "multi_thread")]
async fn one_page_of_somebody_else_costs_no_file() {
    let pages = [
        Action::answer(200, "<html><body>Sign in</body></html>"),
        Action::answer(200, "x".repeat(2 << 20)),
        Action::answer(202, ""),
        Action::redirect(302, "http://portal.example/login"),
        Action::redirect(307, "http://portal.example/login"),
        Action::redirect(308, "http://portal.example/login"),
        Action::answer(400, r#"{"message":"An unexpected error occurred"}"#),
        Action::answer(403, "<html>blocked</html>"),
        Action::answer(404, "<html>not found</html>"),
        Action::answer(405, "<html>not allowed</html>"),
        Action::answer(413, "<html>too large</html>"),
        Action::answer(451, ""),
    ];
    let met = |operation, page: Action| {
        tokio::spawn(async move {
            let scene = scene();
            let path = scene.file("file.bin", SIZE);
            scene
                .emulator
                .inject(Fault::on(operation, page.clone()).first(1));
            let outcome = send(quick(&scene, operation), &path).await;
            let arrived = matches!(outcome.status, Status::Uploaded(_));
            assert!(arrived, "{page:?} on {operation}: {outcome:?}");
            scene.assert_arrived(&path, "file.bin");
            assert_eq!(scene.emulator.files().len(), 1, "{page:?} on {operation}");
        })
    };
    for operation in Operation::UPLOAD {
        let cases: Vec<_> = pages
            .iter()
            .map(|page| met(operation, page.clone()))
            .collect();
        for case in cases {
            case.await.expect("it arrives");
        }
    }
}

/// A gateway in front of one upload server: the other one is asked, and takes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_firewall_is_left_to_itself() {
    for operation in [Operation::Slice, Operation::Single] {
        let scene = scene();
        let path = scene.file("file.bin", SIZE);
        let blocked = Action::answer(403, "<html>blocked</html>");
        scene.emulator.inject(Fault::on(operation, blocked).at(0));
        let mut options = quick(&scene, operation);
        options.retry.attempts = 3;
        let outcome = send(options, &path).await;
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
        let stats = scene.emulator.stats();
        let done = stats
            .calls_of(operation)
            .filter(|call| call.code == Some(0));
        let places: Vec<Place> = done.map(|call| call.place).collect();
        assert!(!places.is_empty());
        assert!(places.iter().all(|&place| place == Place::Server(1)));
    }
}

/// While everything is answered by somebody else, the whole run waits, and then goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_for_some_seconds_costs_no_file_and_few_calls() {
    let cases = [Operation::Single, Operation::Create].map(|operation| {
        tokio::spawn(async move {
            let scene = scene();
            let portal = Action::redirect(302, "http://portal.example/login");
            scene.emulator.inject(Fault::on(operation, portal));
            let mut options = quick(&scene, operation);
            options.retry = panup::Retry::default();
            let outage = async {
                tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
                scene.emulator.clear_faults();
            };
            let (outcomes, ()) = tokio::join!(many(&scene, options, FILES), outage);
            let arrived = |outcome: &&Outcome| matches!(outcome.status, Status::Uploaded(_));
            let arrived = outcomes.iter().filter(arrived).count();
            assert_eq!(arrived, FILES, "{operation}: {outcomes:?}");
            let times = times(&scene, operation);
            assert!(times.len() <= 4 * FILES, "{operation}: {times:?}");
            let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(longest >= Some(700), "{operation} did not pause: {times:?}");
        })
    });
    for case in cases {
        case.await.expect("every file arrives");
    }
}

/// The one line that is left of it says who answers for whom, and where it would lead.
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_stays_is_named() {
    let scene = scene();
    let path = scene.file("file.bin", SIZE);
    let portal = Action::redirect(302, format!("http://portal.example/{}", "x".repeat(4_000)));
    scene.emulator.inject(Fault::on(Operation::Create, portal));
    let outcome = send(quick(&scene, Operation::Create), &path).await;
    let error = failure(&outcome);
    assert_eq!(error.kind(), Kind::Protocol);
    let said = error.to_string();
    let wanted = format!(
        "create: after 4 attempts: a login page or firewall answers for {} (HTTP 302, redirects to http://portal.example/xx",
        scene.emulator.api()
    );
    assert!(said.contains(&wanted), "{said}");
    assert!(said.lines().count() == 1 && said.len() < 400, "{said}");
}

/// Behind a page that claims success the file may be there: a look tells, once the service's own limit
/// for an answer has passed. A refusal on the way has made none.
#[tokio::test(flavor = "multi_thread")]
async fn under_keep_both_a_page_is_no_second_file() {
    let rows = [
        (Action::answer(200, "<html>hello</html>"), 2),
        (Action::TruncatedJson, 1),
        (Action::answer(403, "<html>blocked</html>"), 2),
        (Action::redirect(302, "http://portal.example/"), 2),
    ];
    for (page, calls) in rows {
        let scene = scene();
        let path = scene.file("file.bin", 60_000);
        scene
            .emulator
            .inject(Fault::on(Operation::Single, page.clone()).first(1));
        let mut options = quick(&scene, Operation::Single);
        options.on_conflict = Conflict::KeepBoth;
        options.look = panup::Look::Auto;
        options.timeouts.answer = std::time::Duration::from_millis(500);
        let outcome = send(options, &path).await;
        assert_eq!(
            scene.emulator.stats().of(Operation::Single).calls,
            calls,
            "{page:?}"
        );
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
        assert_eq!(scene.emulator.files().len(), 1, "{page:?}");
    }
}

/// At five calls a second, which nobody had asked for, sixty refusals took twelve seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_answer() {
    let refusals = [
        Action::Code {
            code: 1,
            message: "该目录下文件名已存在".to_owned(),
        },
        Action::answer(400, r#"{"code":1,"message":"名称不合法","data":null}"#),
    ];
    for refusal in refusals {
        let scene = scene();
        scene.emulator.inject(Fault::on(Operation::Single, refusal));
        let mut options = quick(&scene, Operation::Single);
        options.call_rates = CallRates::default();
        let outcomes = many(&scene, options, FILES).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| failure(outcome).kind() == Kind::Rejected)
        );
        let times = times(&scene, Operation::Single);
        assert_eq!(times.len(), FILES);
        let took = times[FILES - 1] - times[0];
        assert!(took < 9_000, "the rate was not raised: {took} ms");
    }
}

/// When the calls came: they are entered as they end.
fn times(scene: &Scene, operation: Operation) -> Vec<u64> {
    let stats = scene.emulator.stats();
    let mut times: Vec<u64> = stats.calls_of(operation).map(|call| call.at_ms).collect();
    times.sort_unstable();
    times
}

async fn send(options: Options, path: &std::path::Path) -> Outcome {
    let client = Client::new(options).expect("sensible");
    upload(&client, [item(path, "file.bin")]).await.remove(0)
}

async fn many(scene: &Scene, options: Options, count: usize) -> Vec<Outcome> {
    let items = (0..count).map(|number| {
        let path = scene.local.path().join(format!("{number}.txt"));
        fs::write(&path, format!("file number {number}")).expect("written");
        Item::new(path)
    });
    let items: Vec<Item> = items.collect();
    upload(&Client::new(options).expect("sensible"), items).await
}

/// Options for the way that meets `operation`, whose repeats a test does not wait for.
fn quick(scene: &Scene, operation: Operation) -> Options {
    let mut options = scene.options();
    options.retry.attempts = 4;
    options.retry.base = std::time::Duration::from_millis(2);
    if !matches!(operation, Operation::Single | Operation::Domain) {
        options.single_max = 0;
    }
    if operation == Operation::AccessToken {
        options.credential = Credential::Client {
            id: CLIENT_ID.to_owned(),
            secret: Secret::new(CLIENT_SECRET),
        };
    }
    options
}

fn scene() -> Scene {
    Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        ..Config::default()
    })
}

const FILES: usize = 60;

/// Five slices.
const SIZE: u64 = 5 * (64 << 10) - 7;
