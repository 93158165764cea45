//! `--timeout` and `--retries`: how long a silence is borne, and how often a call is repeated.

use panup_emulator::{Action, Config, Fault, Operation};

use crate::common::Scene;
use crate::common::program::{finish, upload};

#[test]
fn a_silence_and_the_repeats_are_counted_as_typed() {
    let scene = Scene::new(Config::default());
    scene.file("f.bin", 1000);
    let never = Action::StallAnswer { millis: 300_000 };
    scene.emulator.inject(Fault::on(Operation::Single, never));
    let mut silent = upload(&scene);
    silent.args(["--timeout", "300ms", "--retries", "1", "--look", "never"]);
    silent.args(["--json", "f.bin"]);
    let (files, _) = finish(&mut silent).exit(1).report();
    assert_eq!(files[0]["error"]["kind"], "transport", "{files:?}");
    assert_eq!(scene.emulator.stats().of(Operation::Single).calls, 2);
}

#[test]
fn no_repeat_at_all() {
    let scene = Scene::new(Config::default());
    scene.file("f.bin", 1000);
    let fault = Fault::on(Operation::Single, Action::status(503));
    scene.emulator.inject(fault);
    let mut once = upload(&scene);
    once.args(["--retries", "0", "--json", "f.bin"]);
    finish(&mut once).exit(1);
    assert_eq!(scene.emulator.stats().of(Operation::Single).calls, 1);
}

#[test]
fn nonsense_is_wrong_usage() {
    let scene = Scene::new(Config::default());
    scene.file("f.bin", 1000);
    for wrong in [
        ["--timeout", "0"],
        ["--timeout", "soon"],
        ["--retries", "many"],
    ] {
        let done = finish(upload(&scene).args(wrong).arg("f.bin"));
        assert!(done.exit(2).stderr.contains(wrong[0]));
    }
}
