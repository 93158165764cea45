//! The same content again, and the same name again.

use std::path::Path;

use panup::{Client, Conflict, Item, Kind, Operation as Step, Options, Status};
use panup_emulator::{Config, Operation, Quirks, Reuse};

use crate::common::{Scene, failure, item, make, same_contents, upload, upload_all};

#[tokio::test(flavor = "multi_thread")]
async fn known_content_is_reused_and_not_a_byte_is_sent() {
    let (scene, options) = sliced(Reuse::WithId);
    let path = scene.file("a.bin", SIZE);
    upload_all(options.clone(), [item(&path, "first.bin")]).await;
    let client = Client::new(options).expect("options that make sense");
    let outcomes = upload(&client, [item(&path, "second.bin")]).await;
    let id = scene.stored("second.bin").file_id;
    assert!(
        matches!(outcomes[0].status, Status::Reused(Some(told)) if told == id),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[0].sent, 0);
    scene.assert_arrived(&path, "second.bin");
    let stats = scene.emulator.stats();
    assert_eq!(stats.of(Operation::Create).calls, 2);
    assert_eq!(stats.of(Operation::Create).reused, 1);
    assert_eq!(stats.of(Operation::Slice).calls, 3, "the first file's");
    assert_eq!(stats.of(Operation::Complete).done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_without_an_id_is_reuse() {
    let (scene, options) = sliced(Reuse::WithoutId);
    let path = scene.file("a.bin", SIZE);
    upload_all(options.clone(), [item(&path, "first.bin")]).await;
    let client = Client::new(options).expect("options that make sense");
    let outcome = client.upload(item(&path, "second.bin")).await;
    let outcome = outcome.expect("reused");
    assert!(
        matches!(outcome.status, Status::Reused(None)),
        "{outcome:?}"
    );
    assert_eq!(outcome.status.file_id(), None);
    scene.assert_arrived(&path, "second.bin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_fails_by_default() {
    for single_max in [0, SIZE] {
        let (scene, old, new) = two_contents();
        let outcomes = twice(&scene, &old, &new, |options| {
            options.single_max = single_max;
        })
        .await;
        let error = failure(&outcomes[0]);
        assert_eq!(error.kind(), Kind::Rejected);
        let step = if single_max == 0 {
            Step::Create
        } else {
            Step::Single
        };
        assert_eq!(error.operation(), step);
        assert_eq!(error.code(), Some(1));
        assert!(error.trace_id().is_some(), "{error}");
        assert_eq!(error.path(), Some(new.as_path()));
        scene.assert_arrived(&old, NAME);
        assert_eq!(scene.emulator.files().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_are_kept_where_that_is_asked() {
    for single_max in [0, SIZE] {
        let (scene, old, new) = two_contents();
        let outcomes = twice(&scene, &old, &new, |options| {
            options.single_max = single_max;
            options.on_conflict = Conflict::KeepBoth;
        })
        .await;
        scene.assert_arrived(&old, NAME);
        let files = scene.emulator.files();
        assert_eq!(files.len(), 2, "{files:?}");
        let added = files.iter().find(|file| file.path != NAME);
        let added = added.expect("the second has another name");
        assert_eq!(outcomes[0].status.file_id(), Some(added.file_id));
        assert!(same_contents(&new, added.local.as_deref().expect("stored")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_one_takes_the_name_where_that_is_asked() {
    for single_max in [0, SIZE] {
        let (scene, old, new) = two_contents();
        let outcomes = twice(&scene, &old, &new, |options| {
            options.single_max = single_max;
            options.on_conflict = Conflict::Overwrite;
        })
        .await;
        assert!(
            matches!(outcomes[0].status, Status::Uploaded(_)),
            "{outcomes:?}"
        );
        scene.assert_arrived(&new, NAME);
        assert_eq!(scene.emulator.files().len(), 1);
    }
}

fn sliced(reuse: Reuse) -> (Scene, Options) {
    let scene = Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        quirks: Quirks {
            reuse,
            ..Quirks::default()
        },
        ..Config::default()
    });
    let mut options = scene.options();
    options.single_max = 0;
    (scene, options)
}

/// Two files of one size and different contents.
fn two_contents() -> (Scene, std::path::PathBuf, std::path::PathBuf) {
    let (scene, _) = sliced(Reuse::WithId);
    let new = scene.local.path().join("new.bin");
    make(&new, SIZE, 1);
    let old = scene.file("old.bin", SIZE);
    (scene, old, new)
}

/// Uploads `old`, then `new` under the same remote name; how the second ended.
async fn twice(
    scene: &Scene,
    old: &Path,
    new: &Path,
    change: impl FnOnce(&mut Options),
) -> Vec<panup::Outcome> {
    let mut options = scene.options();
    change(&mut options);
    upload_all(options.clone(), [item(old, NAME)]).await;
    let client = Client::new(options).expect("options that make sense");
    let named: Vec<Item> = vec![item(new, NAME)];
    upload(&client, named).await
}

const NAME: &str = "name.bin";

/// Two slices and a bit.
const SIZE: u64 = (128 << 10) + 5;
