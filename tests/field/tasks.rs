//! Tasks that die or block: whoever waits for them is answered. (Panics of panup's own tasks are
//! tested beside `src/session/broken.rs`, where they can be asked for.)

use std::time::Duration;

use panup::{Client, Item, Kind, Status};
use panup_emulator::Config;

use crate::support::{Scene, outcomes};

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
