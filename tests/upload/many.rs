//! Many files, and folders.

use std::path::PathBuf;

use panup::Item;
use panup_emulator::{Config, Limits, NetworkConditions, Operation, Place, Tls};

use crate::common::{Scene, item, make, upload_all};

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_small_files_in_one_call_each() {
    for tls in [Tls::Off, Tls::Both] {
        let scene = Scene::new(Config {
            tls,
            ..Config::default()
        });
        let files: Vec<PathBuf> = (0..300u64).map(|n| small(&scene, n)).collect();
        let outcomes = upload_all(scene.options(), files.iter().map(Item::new)).await;
        assert_eq!(outcomes.len(), files.len());
        for file in &files {
            let name = file.file_name().expect("named").to_str().expect("ASCII");
            scene.assert_arrived(file, name);
        }
        let stats = scene.emulator.stats();
        assert_eq!(stats.of(Operation::Single).calls, 300);
        assert_eq!(stats.of(Operation::Domain).calls, 1);
        assert_eq!(stats.of(Operation::Create).calls, 0);
        assert!((0..2).all(|server| stats.server(server).calls > 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_with_spaces_and_unicode_are_made_by_one_call_each() {
    for single_max in [0, 1 << 20] {
        let scene = folder_scene();
        let mut options = scene.options();
        options.single_max = single_max;
        let files = tree(&scene);
        let items = files.iter().map(|(path, remote)| item(path, remote));
        let outcomes = upload_all(options, items).await;
        assert_eq!(outcomes.len(), files.len());
        for (path, remote) in &files {
            scene.assert_arrived(path, remote);
        }
        let stats = scene.emulator.stats();
        assert_eq!(stats.folder_races, 0);
        let calls = stats.of(Operation::Create).calls + stats.of(Operation::Single).calls;
        assert_eq!(calls, files.len() as u64, "nothing had to be said twice");
        let peak = stats.of(Operation::Create).peak + stats.of(Operation::Single).peak;
        assert!(peak > 1, "siblings of a folder that is there do not wait");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_below_the_parent_that_is_asked() {
    let scene = Scene::new(Config {
        polls: 0,
        ..Config::default()
    });
    let parent = scene.emulator.make_folder("已有/there").expect("made");
    let path = scene.file("x", 3);
    let other = scene.local.path().join("y");
    make(&other, 3, 9);
    let below = |path, remote| {
        let mut item = item(path, remote);
        item.parent_id = parent;
        item
    };
    upload_all(scene.options(), [below(&path, "x"), below(&other, "new/y")]).await;
    scene.assert_arrived(&path, "已有/there/x");
    scene.assert_arrived(&other, "已有/there/new/y");
}

/// A service that refuses calls which race for a folder, far enough away for them to overlap.
fn folder_scene() -> Scene {
    let far = NetworkConditions {
        latency_ms: 5,
        ..NetworkConditions::default()
    };
    Scene::new(Config {
        polls: 0,
        limits: Limits {
            refuse_folder_races: true,
            ..Limits::default()
        },
        network: vec![
            (Place::Api, far),
            (Place::Server(0), far),
            (Place::Server(1), far),
        ],
        ..Config::default()
    })
}

/// A dozen files in each of eight folders, some of them nested and none of them there before.
fn tree(scene: &Scene) -> Vec<(PathBuf, String)> {
    let folders = [
        "照片",
        "照片/夏天 2024",
        "照片/夏天 2024/día uno",
        "a b",
        "a b/ c",
        "a b/ c/d",
        "emoji 🚀/ß",
        "Ünï cödé",
    ];
    let mut files = Vec::new();
    for (at, folder) in folders.iter().enumerate() {
        for n in 0..12u64 {
            let remote = format!("{folder}/文件 {n}.txt");
            let path = scene.local.path().join(&remote);
            make(&path, 1 + at as u64 * 100 + n, 0);
            files.push((path, remote));
        }
    }
    files
}

/// The nth small file: all sizes differ, so none is another's content.
fn small(scene: &Scene, n: u64) -> PathBuf {
    scene.file(&format!("{n}.bin"), 1 + n * 37)
}
