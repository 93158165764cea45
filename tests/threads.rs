//! Threads belong to the client: a file that is uploaded alone starts none, however short-lived. Counted
//! where the system names a process's threads.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Scene;
use panup_emulator::{Config, NetworkConditions, Place};
use tokio::runtime::{Builder, Runtime};

#[test]
fn a_small_file_starts_no_thread() {
    let _alone = ALONE.lock();
    let scene = slow();
    let runtime = runtime();
    let client = scene.client();
    let upload = |name: &str| {
        let item = scene.item(name, 1000, name.len() as u64);
        let uploaded = runtime.block_on(client.upload(item)).expect("uploaded");
        assert_eq!(uploaded.status.name(), "uploaded");
    };
    upload("first");
    let before = ours();
    assert!(
        before.iter().any(|(_, name)| name.starts_with("panup-")),
        "{before:?}"
    );
    let meanwhile = sampled(|| upload("the second"));
    let started: Vec<_> = meanwhile.difference(&before).collect();
    assert!(started.is_empty(), "{started:?}");
}

/// A run starts one thread, for its list, and hashes on the client's.
#[test]
fn a_run_starts_one_thread() {
    let _alone = ALONE.lock();
    let scene = slow();
    let runtime = runtime();
    let client = scene.client();
    let upload = |name: &str| {
        // One that is read and one that is mapped.
        let items = [(1000, 1), (5 << 20, 2)].map(|(size, seed)| {
            scene.item(&format!("{name}-{size}"), size, seed + name.len() as u64)
        });
        let outcomes = runtime.block_on(common::upload(&client, items));
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.status.name() == "uploaded")
        );
    };
    upload("first");
    let before = ours();
    let meanwhile = sampled(|| upload("the second"));
    let started: Vec<&str> = meanwhile
        .difference(&before)
        .map(|(_, name)| name.as_str())
        .filter(|name| name.starts_with("panup-"))
        .collect();
    assert!(
        started.is_empty() || started == ["panup-list"],
        "{started:?}"
    );
}

/// Held by the one test that counts threads.
static ALONE: Mutex<()> = Mutex::new(());

/// A service that takes long enough for an answer that threads are seen meanwhile.
fn slow() -> Scene {
    let conditions = NetworkConditions {
        latency_ms: 100,
        ..NetworkConditions::default()
    };
    let servers = Config::default().servers;
    let places = (0..servers).map(Place::Server).chain([Place::Api]);
    Scene::new(Config {
        network: places.map(|place| (place, conditions)).collect(),
        ..Config::default()
    })
}

/// A runtime that is told from the emulator's.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("caller").enable_all();
    builder.build().expect("threads")
}

/// Threads of the library and of its caller's runtime, by number and name.
fn ours() -> BTreeSet<(String, String)> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.flatten().filter_map(|task| {
        // It may end while it is looked at.
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((
            task.file_name().into_string().ok()?,
            name.trim_end().to_owned(),
        ))
    });
    names
        .filter(|(_, name)| name.starts_with("panup-") || name == "caller")
        .collect()
}

/// All such threads that were there at some moment while `work` was done.
fn sampled(work: impl FnOnce()) -> BTreeSet<(String, String)> {
    let done = Arc::new(AtomicBool::new(false));
    let sampler = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut seen = ours();
            while !done.load(Ordering::Relaxed) {
                seen.extend(ours());
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        }
    });
    work();
    done.store(true, Ordering::Relaxed);
    sampler.join().expect("no panic")
}
