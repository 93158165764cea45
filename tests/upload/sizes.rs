//! The boundary sizes, and the two ways for a file to go up.

use panup::{Item, Options};
use panup_emulator::{Config, Emulator, Framing, Operation};

use crate::common::{Scene, folder, make, options, upload_all};

#[tokio::test(flavor = "multi_thread")]
async fn around_a_slice_of_1_mib() {
    boundaries(1 << 20, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn around_a_slice_of_an_odd_size() {
    boundaries(5_000_011, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn around_a_slice_of_16_mib() {
    boundaries(16 << 20, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn around_a_slice_with_files_that_are_read_and_not_mapped() {
    boundaries(5_000_011, |options| options.maps = false).await;
}

/// Files of 1 byte to 3 slices and 7 bytes in one run, always in slices.
async fn boundaries(slice_size: u64, change: impl FnOnce(&mut Options)) {
    let scene = Scene::new(Config {
        slice_size,
        polls: 0,
        ..Config::default()
    });
    let mut options = scene.options();
    options.single_max = 0;
    change(&mut options);
    let sizes = [
        1,
        slice_size - 1,
        slice_size,
        slice_size + 1,
        3 * slice_size + 7,
    ];
    let name = |size: u64| format!("{size}.bin");
    let items = sizes.map(|size| Item::new(scene.file(&name(size), size)));
    let outcomes = upload_all(options, items).await;
    assert_eq!(outcomes.len(), sizes.len());
    for outcome in &outcomes {
        assert_eq!(outcome.sent, outcome.size);
        let md5 = outcome.md5.expect("it was hashed").to_string();
        assert_eq!(scene.stored(&outcome.remote).md5, md5);
    }
    for size in sizes {
        scene.assert_arrived(&scene.local.path().join(name(size)), &name(size));
    }
    let stats = scene.emulator.stats();
    assert_eq!(stats.of(Operation::Create).calls, 5);
    assert_eq!(stats.of(Operation::Slice).calls, 1 + 1 + 1 + 2 + 4);
    // The emulator asks for patience for as long as it hashes what it stored.
    let completes = stats.of(Operation::Complete);
    assert_eq!(completes.done, 5);
    assert_eq!(completes.calls, completes.done + completes.pending);
    assert_eq!(stats.of(Operation::Single).calls, 0);
    assert!(!stats.framings.contains_key(&Framing::Chunked));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_up_to_the_limit_for_singles_and_slices_above_it() {
    let scene = Scene::new(Config {
        polls: 2,
        slice_size: 64 << 10,
        ..Config::default()
    });
    let mut options = scene.options();
    options.single_max = 100_000;
    let sizes = [1, 100_000, 100_001];
    let name = |size: u64| format!("{size}.bin");
    let items = sizes.map(|size| Item::new(scene.file(&name(size), size)));
    upload_all(options, items).await;
    for size in sizes {
        scene.assert_arrived(&scene.local.path().join(name(size)), &name(size));
    }
    let stats = scene.emulator.stats();
    let calls = |operation| stats.of(operation).calls;
    assert_eq!(calls(Operation::Domain), 1);
    assert_eq!(calls(Operation::Single), 2);
    assert_eq!(calls(Operation::Create), 1);
    assert_eq!(calls(Operation::Slice), 2);
    assert!(calls(Operation::Complete) >= 3, "two polls and the end");
    assert_eq!(calls(Operation::AccessToken), 0, "the token was pasted");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_call_more_than_it_takes() {
    // Nothing is stored, so nothing but `polls` says how often complete has to be asked.
    let emulator = Emulator::start(Config {
        slice_size: 10_000,
        polls: 2,
        ..Config::default()
    });
    let emulator = emulator.expect("an emulator");
    let mut options = options(&emulator);
    options.single_max = 0;
    let local = folder();
    let path = local.path().join("file.bin");
    make(&path, 70_000, 0);
    upload_all(options, [Item::new(&path)]).await;
    let stats = emulator.stats();
    let calls = Operation::UPLOAD.map(|operation| (operation.name(), stats.of(operation).calls));
    let expected = [
        ("create", 1),
        ("slice", 7),
        ("complete", 3),
        ("domain", 0),
        ("single", 0),
        ("access_token", 0),
    ];
    assert_eq!(calls, expected);
    assert_eq!(stats.calls.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_one_call_where_the_limit_allows_it() {
    let scene = Scene::new(Config::default());
    let mut options = scene.options();
    options.single_max = 16 << 20;
    // Above 4 MiB a file is mapped, and the single's body is a view of the map.
    let path = scene.file("mapped.bin", (9 << 20) + 1);
    upload_all(options, [Item::new(&path)]).await;
    scene.assert_arrived(&path, "mapped.bin");
    let stats = scene.emulator.stats();
    assert_eq!(stats.of(Operation::Single).calls, 1);
    assert_eq!(stats.of(Operation::Create).calls, 0);
}
