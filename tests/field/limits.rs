//! Limits that people set: those under which nothing could arrive, and numbers that no machine has
//! room for, are refused before anything begins.

use panup_emulator::{Config, NetworkConditions, Operation, Place, Service, Tls};

use crate::common::program::{Finished, finish, panup, stored, upload};
use crate::common::{SLICE, Scene, failure, item, upload as send};

fn refused(scene: &Scene, more: &[&str]) -> Finished {
    let done = finish(upload(scene).args(more).arg("f")).exit(2);
    assert!(scene.emulator.stats().calls.is_empty(), "{more:?}");
    done
}

#[test]
fn a_rate_under_which_a_slice_does_not_arrive_in_time_is_refused_with_the_arithmetic() {
    let scene = Scene::small();
    scene.file("f", 10);
    let done = refused(&scene, &["--limit-rate", "100K"]);
    for part in ["102400 bytes/s", "16777216 bytes", "163 s", "60 s", "328K"] {
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
    // A whole file in one call is a body as well.
    let done = refused(&scene, &["--limit-rate", "1M", "--single-max", "100MB"]);
    assert!(done.stderr.contains("100000000 bytes"), "{done:?}");
    finish(upload(&scene).args(["--limit-rate", "328K", "f"])).exit(0);
}

/// The service tells the size of a slice only when the file is created.
#[tokio::test(flavor = "multi_thread")]
async fn larger_slices_need_a_larger_rate() {
    let scene = Scene::new(Config {
        slice_size: 64 << 20,
        ..Config::default()
    });
    let path = scene.file("f", 40 << 20);
    let mut options = scene.options();
    options.limit_rate = Some(400 << 10);
    let client = panup::Client::new(options).expect("sensible for slices of 16 MiB");
    let outcome = send(&client, [item(&path, "f")]).await.remove(0);
    let error = failure(&outcome);
    assert_eq!(error.kind(), panup::Kind::Invalid, "{error}");
    assert!(error.to_string().contains("41943040 bytes"), "{error}");
    assert_eq!(scene.calls(Operation::Slice), (0, 0));
}

#[test]
fn numbers_that_no_machine_has_room_for_are_refused_before_anything_starts() {
    let scene = Scene::small();
    scene.file("f", 10);
    for [option, number] in [
        ["--hash-threads", "100000"],
        ["--concurrency", "1000000"],
        ["--connections", "18446744073709551615"],
    ] {
        let done = refused(&scene, &[option, number]);
        assert!(done.stderr.contains("from 1 to "), "{done:?}");
    }
    let mut hash = panup(scene.local.path());
    let done = finish(hash.args(["hash", "--threads", "100000", "f"])).exit(2);
    assert!(done.stderr.contains("from 1 to 1024"), "{done:?}");
}

/// Ninety-nine of a hundred servers refuse connections: each slice and each small file finds the one
/// that lives.
#[test]
fn one_server_of_a_hundred_is_enough() {
    for single_max in ["0", "4M"] {
        let dead = NetworkConditions {
            service: Service::Dead,
            ..NetworkConditions::default()
        };
        let scene = Scene::small_with(Tls::Off, |config| {
            config.servers = 100;
            let places = (0..100).filter(|&number| number != 57).map(Place::Server);
            config.network = places.map(|place| (place, dead)).collect();
        });
        scene.file("tree/large", 96 * SLICE);
        for number in 0..20 {
            scene.file(&format!("tree/small{number}"), 100 + number);
        }
        let more = ["--no-resume", "--single-max", single_max, "tree"];
        let done = finish(upload(&scene).args(more)).exit(0);
        let stored = stored(&scene.emulator);
        assert_eq!(stored.len(), 21, "{single_max}: {done:?} {stored:?}");
    }
}

/// The first body that the gateway ends is told with what helps, long before the file fails.
#[test]
fn a_body_that_the_gateway_ends_is_told_with_what_helps() {
    let deadline = panup_emulator::Deadline {
        millis: 300,
        answer: panup_emulator::Late::default(),
    };
    let scene = Scene::new(Config {
        slice_size: 256 << 10,
        limits: panup_emulator::Limits {
            body_deadline: Some(deadline),
            ..panup_emulator::Limits::default()
        },
        ..Config::default()
    });
    scene.file("f", 1 << 20);
    let mut command = upload(&scene);
    command.args([
        "--limit-rate",
        "400K",
        "--single-max",
        "0",
        "--retries",
        "1",
        "f",
    ]);
    let done = finish(&mut command).exit(1);
    let told: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_eq!(told.len(), 1, "{done:?}");
    for part in ["262144 bytes", "5 kB/s", "--concurrency"] {
        assert!(told[0].contains(part), "{part} {done:?}");
    }
}
