//! Files arrive whole: at every boundary size, from one and from many, whatever the servers are like.

mod support;

use panup::{Item, Status};
use panup_emulator::{Config, Operation};
use support::{Scene, upload};

#[tokio::test(flavor = "multi_thread")]
async fn sizes_at_the_boundaries_of_a_slice_of_1_mib() {
    boundaries(1 << 20).await;
}

async fn boundaries(slice_size: u64) {
    let scene = Scene::new(Config {
        slice_size,
        ..Config::default()
    });
    let mut options = scene.options();
    options.single_max = 0;
    let client = panup::Client::new(options).expect("options that make sense");
    let sizes = [
        1,
        slice_size - 1,
        slice_size,
        slice_size + 1,
        3 * slice_size + 7,
    ];
    let name = |size: u64| format!("{size}.bin");
    let items: Vec<Item> = sizes
        .iter()
        .map(|&size| Item::new(scene.file(&name(size), size)))
        .collect();
    let outcomes = upload(&client, items).await;
    assert_eq!(outcomes.len(), sizes.len());
    for outcome in &outcomes {
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
        assert_eq!(outcome.sent, outcome.size);
    }
    for size in sizes {
        scene.assert_arrived(&scene.local.path().join(name(size)), &name(size));
    }
    let stats = scene.emulator.stats();
    assert_eq!(stats.of(Operation::Create).calls, sizes.len() as u64);
    assert_eq!(stats.of(Operation::Slice).calls, 1 + 1 + 1 + 2 + 4);
    assert_eq!(stats.of(Operation::Single).calls, 0);
}
