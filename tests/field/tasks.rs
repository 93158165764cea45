//! Tasks that die or block: whoever waits for them is answered. (Panics of panup's own tasks are
//! tested beside `src/upload/broken.rs`, where they can be asked for.)

use std::time::Duration;

use panup::{Client, Item, Kind, Status};
use panup_emulator::Config;

use crate::common::{Scene, failure, item, outcomes, upload};

/// A caller's list that panics in the middle is no list that has ended: what was in it arrives, and
/// the run says that it is not the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_panics_ends_the_run_with_a_failure() {
    let scene = Scene::new(Config::default());
    let mut left: Vec<Item> = ["a", "b"]
        .map(|name| Item::new(scene.file(name, 999)))
        .into();
    let items = std::iter::from_fn(move || Some(left.pop().expect("asked for by this test")));
    let client: Client = scene.client();
    let run = client.start(items).expect("threads");
    let ended = tokio::time::timeout(Duration::from_secs(30), outcomes(run)).await;
    let ended = ended.expect("the run ends");
    let internal =
        |status: &Status| matches!(status, Status::Failed(error) if error.kind() == Kind::Internal);
    let broken = ended.iter().filter(|outcome| internal(&outcome.status));
    assert_eq!((ended.len(), broken.count()), (3, 1), "{ended:?}");
    assert_eq!(scene.emulator.files().len(), 2);
}

/// Server names that no address can be made of, for slices and for small files: an error, never a wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_name_that_is_no_address_is_answered() {
    let long = format!("http://{}", "a".repeat(65_524));
    let label = format!("http://{}.b", "a".repeat(64));
    for bad in [
        long.as_str(),
        &label,
        "http://a..b",
        "http://-a.b",
        "http://a%41",
    ] {
        for size in [1000, 6_000_000] {
            let scene = Scene::new(Config {
                servers: 1,
                advertise: vec![bad.to_owned()],
                ..Config::default()
            });
            let path = scene.file("file.bin", size);
            let client = scene.client();
            let sending = upload(&client, [item(&path, "file.bin")]);
            let outcomes = tokio::time::timeout(Duration::from_secs(20), sending).await;
            let outcomes = outcomes.expect("not for ever");
            let error = failure(&outcomes[0]);
            assert!(
                error.to_string().len() < 2000,
                "{} octets of error",
                error.to_string().len()
            );
        }
    }
}
