//! Names that were looked at before: links, and files of others in the state folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use panup::{Item, Kind, Outcome, Status};
use panup_emulator::Config;

use super::common::program::{Finished, stored};
use super::common::{Scene, failure, upload};
use super::resources::{limited_std, slow};

/// A tree with `name` in it, uploaded after `exchange` was done to it behind the walker's back.
async fn uploaded(name: &str, exchange: impl Fn(&Path) + Send + 'static) -> (Scene, Vec<Outcome>) {
    let scene = Scene::new(Config::default());
    let file = scene.file(&format!("tree/{name}"), 5_000);
    let root = scene.local.path().join("tree");
    let item = Item::new(&file).to(0, "sent").below(&root);
    exchange(scene.local.path());
    let outcomes = upload(&scene.client(), [item]).await;
    (scene, outcomes)
}

fn is_refused(scene: &Scene, outcomes: &[Outcome]) {
    let error = failure(&outcomes[0]);
    assert_eq!(error.kind(), Kind::Source);
    assert!(
        error.message().contains("is a symbolic link now"),
        "{error}"
    );
    assert!(
        scene.emulator.files().is_empty(),
        "nothing left the machine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_became_a_link_is_not_followed() {
    let (scene, outcomes) = uploaded("a/report", |local| {
        fs::write(local.join("secret"), "of others").expect("written");
        fs::remove_file(local.join("tree/a/report")).expect("ours");
        symlink(local.join("secret"), local.join("tree/a/report")).expect("a link");
    })
    .await;
    is_refused(&scene, &outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_became_a_link_is_not_followed() {
    for target in ["elsewhere", "tree/b"] {
        let (scene, outcomes) = uploaded("a/deep/report", move |local| {
            // Also one that leads to a place in the tree: it is not the file that was found.
            let target = local.join(target);
            fs::create_dir_all(target.join("deep")).expect("a folder");
            fs::write(target.join("deep/report"), "of others").expect("written");
            fs::rename(local.join("tree/a"), local.join("gone")).expect("ours");
            symlink(target, local.join("tree/a")).expect("a link");
        })
        .await;
        is_refused(&scene, &outcomes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_may_be_a_link() {
    let scene = Scene::new(Config::default());
    let file = scene.file("tree/a/report", 5_000);
    let (typed, folder) = (
        scene.local.path().join("typed"),
        scene.local.path().join("folder"),
    );
    symlink(&file, &typed).expect("a link");
    symlink(scene.local.path().join("tree"), &folder).expect("a link");
    let items = [
        Item::new(&typed).to(0, "typed"),
        Item::new(folder.join("a/report"))
            .to(0, "below")
            .below(&folder),
    ];
    for outcome in upload(&scene.client(), items).await {
        let ended = matches!(outcome.status, Status::Uploaded(_) | Status::Reused(_));
        assert!(ended, "{outcome:?}");
    }
}

#[test]
fn the_command_does_not_follow_what_became_a_link_after_it_was_found() {
    let scene = Scene::new(slow());
    for number in 0..12 {
        scene.file(&format!("tree/{number:02}"), 100);
    }
    scene.file("tree/zz/deep", 100);
    let local = scene.local.path();
    fs::create_dir(local.join("outside")).expect("a folder");
    fs::write(local.join("outside/deep"), "of others").expect("written");
    // So few descriptors that one file at a time is open, and the last ones wait for their turn.
    let mut command = limited_std(local, "ulimit -n 34");
    command.args(["upload", "--no-resume", "--json", "tree"]);
    command.args(["--api", &scene.emulator.api()]);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn().expect("it can be started");
    std::thread::sleep(std::time::Duration::from_millis(1000));
    fs::remove_file(local.join("tree/11")).expect("ours");
    symlink(local.join("outside/deep"), local.join("tree/11")).expect("a link");
    fs::rename(local.join("tree/zz"), local.join("gone")).expect("ours");
    symlink(local.join("outside"), local.join("tree/zz")).expect("a link");
    let finished = Finished::from(child.wait_with_output().expect("it ends")).exit(1);
    let links = finished.stdout.matches("is a symbolic link now").count();
    assert_eq!(links, 2, "{finished:?}");
    assert_eq!(stored(&scene.emulator).len(), 11, "{finished:?}");
}
