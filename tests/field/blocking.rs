//! `panup::blocking`: the library without a runtime of the caller's, and an error within one.

use panup::blocking::Client;
use panup::{Event, Item, Kind};

use crate::common::{Scene, noise};

#[test]
fn a_plain_program_uploads_and_compares() {
    let scene = Scene::small();
    let client = Client::new(scene.options()).expect("sound");
    client.login().expect("taken");
    let bytes = noise(200_000, 1);
    let outcome = client.upload(Item::bytes("one", bytes.clone()));
    assert_eq!(outcome.expect("uploaded").status.name(), "uploaded");
    let path = scene.file("two", 100_000);
    let items = [Item::new(&path), Item::bytes("three", "3")];
    let run = client.start(items.clone()).expect("started");
    let progress = run.progress().clone();
    assert_eq!(ends(run), ["uploaded", "uploaded"]);
    assert_eq!(progress.snapshot().files_done, 2);
    assert_eq!(ends(client.verify(items).expect("started")), ["skipped"; 2]);
    let md5 = client.md5(&path).expect("readable");
    assert_eq!(Some(md5), scene.stored("two").md5.parse().ok());
    let refused = client.upload(Item::bytes("none", "")).expect_err("empty");
    assert_eq!(refused.kind(), Kind::Invalid);
    // An interrupt ends a run whose list goes on.
    let run = client.start((0..).map(|n| Item::bytes(format!("n{n}"), "n")));
    let run = run.expect("started");
    let interrupter = run.interrupter();
    let mut files = 0;
    for event in run {
        if let Event::File(_) = event {
            files += 1;
            interrupter.interrupt();
        }
    }
    assert!(files > 0);
}

#[test]
fn within_a_runtime_it_is_an_error_and_no_panic() {
    let scene = Scene::small();
    let client = Client::new(scene.options()).expect("sound");
    let mut run = client.start([Item::bytes("f", "f")]).expect("started");
    let options = scene.options();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async move {
        let errors = [
            Client::new(options).map(drop),
            client.upload(Item::bytes("g", "g")).map(drop),
            client.start([]).map(drop),
            client.login(),
        ];
        for error in errors {
            let error = error.expect_err("it would block");
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains("`panup::Client`"), "{error}");
        }
        assert!(matches!(run.next(), Some(Event::Stopped(_))));
        assert!(run.next().is_none());
        // The last ones of this client are dropped here, with its runtime.
        drop((run, client));
    });
}

fn ends(run: panup::blocking::Run) -> Vec<&'static str> {
    run.filter_map(|event| match event {
        Event::File(outcome) => Some(outcome.status.name()),
        _ => None,
    })
    .collect()
}
