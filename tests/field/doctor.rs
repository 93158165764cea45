//! `panup doctor`: each thing that stands in the way is named, with what to do; what the command says of
//! itself.

use panup_emulator::{Config, Emulator, Tls};

use crate::common::Scene;
use crate::common::program::{Finished, finish, panup, variable};

#[test]
fn where_all_is_well_it_says_so() {
    let scene = Scene::new(Config::default());
    let done = run(&scene, &[], &[("PANUP_TOKEN", scene.emulator.token())]).exit(0);
    done.hides(scene.emulator.token());
    for (name, status) in [
        ("API", "ok"),
        ("clock", "ok"),
        ("token", "ok"),
        ("upload server", "ok"),
    ] {
        assert_eq!(statuses(&done, name)[0], status, "{name} {done:?}");
    }
    assert_eq!(statuses(&done, "upload server").len(), 2);
    let mut command = panup(scene.local.path());
    let done = finish(command.args(["doctor", "--emulator"])).exit(0);
    assert!(done.stdout.ends_with("all is well\n"), "{done:?}");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let scene = Scene::new(Config::default());
    let token = ("PANUP_TOKEN", scene.emulator.token());
    let refused = run(&scene, &[], &[("PANUP_TOKEN", "s3cret")]).exit(3);
    refused.hides("s3cret");
    assert_eq!(statuses(&refused, "token"), ["fail"]);
    assert_eq!(
        statuses(&run(&scene, &[], &[]).exit(1), "credentials"),
        ["fail"]
    );
    let gone = run(&scene, &["--api", "http://127.0.0.1:1"], &[token]).exit(1);
    assert_eq!(statuses(&gone, "API"), ["fail"]);
    scene.file("state/x", 1);
    let state = scene.path("state/x").display().to_string();
    let full = run(&scene, &["--state-dir", &state], &[token]).exit(1);
    assert_eq!(statuses(&full, "state folder"), ["fail"]);
    let tls = Emulator::start(Config {
        tls: Tls::Both,
        ..Config::default()
    });
    let tls = tls.expect("an emulator");
    let distrusted = run(&scene, &["--api", &tls.api()], &[token]).exit(1);
    assert!(distrusted.stdout.contains("--ca-cert"), "{distrusted:?}");
    let proxy = [
        token,
        ("http_proxy", "http://127.0.0.1:1"),
        ("no_proxy", ""),
    ];
    let proxied = run(
        &scene,
        &["--api", "http://elsewhere.invalid", "--allow-http"],
        &proxy,
    );
    assert!(proxied.exit(1).stdout.contains(&variable("http_proxy")));
}

#[test]
fn pages_for_every_command_and_a_long_version() {
    let scene = Scene::new(Config::default());
    let home = scene.local.path();
    let all = finish(panup(home).arg("man")).exit(0).stdout;
    assert!(
        all.contains(".TH panup 1") && all.contains("panup\\-upload"),
        "no pages"
    );
    finish(panup(home).args(["man", "--dir", "man"])).exit(0);
    let upload = std::fs::read_to_string(scene.path("man/panup-upload.1")).expect("a page");
    assert!(upload.contains("\\-\\-on\\-conflict"), "{upload}");
    let version = finish(panup(home).arg("version")).exit(0).stdout;
    assert!(
        version.contains("MD5") && version.contains("rustls"),
        "{version}"
    );
    for words in [["--version", "-v"], ["-V", "-v"]] {
        assert_eq!(finish(panup(home).args(words)).exit(0).stdout, version);
    }
}

fn run(scene: &Scene, typed: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut command = panup(scene.local.path());
    command.args(["doctor", "--json"]);
    if !typed.contains(&"--api") {
        command.args(["--api", &scene.emulator.api()]);
    }
    finish(command.args(typed).envs(variables.iter().copied()))
}

fn statuses(done: &Finished, name: &str) -> Vec<String> {
    let checks = done
        .events()
        .into_iter()
        .filter(|event| event["name"] == name);
    checks
        .map(|check| check["status"].as_str().expect("one").to_owned())
        .collect()
}
