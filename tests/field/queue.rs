//! The service's own sentence about its instant-upload queue: the task was taken and has no id yet.

use std::time::Duration;

use panup::{Conflict, Look, Options, Outcome, Status};
use panup_emulator::{Action, Config, Fault, Operation};

use crate::common::{Scene, failure, item, upload};

/// Every meaning of a taken name, every call that can make a file, and a file that appears before
/// the call is repeated, after it, or never.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_took_is_one_file_whatever_becomes_of_it() {
    let mut cases = Vec::new();
    for conflict in [Conflict::Fail, Conflict::Overwrite, Conflict::KeepBoth] {
        for operation in [Operation::Create, Operation::Single, Operation::Complete] {
            for appears_after in [Some(200), Some(2_500), None] {
                let case = Case {
                    conflict,
                    operation,
                    appears_after,
                };
                cases.push(tokio::spawn(case.check()));
            }
        }
    }
    for case in cases {
        case.await.expect("as it should be");
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    conflict: Conflict,
    operation: Operation,
    appears_after: Option<u64>,
}

impl Case {
    async fn check(self) {
        let scene = scene();
        let path = scene.file("file.bin", SIZE);
        let options = self.options(&scene);
        if self.operation == Operation::Create {
            // The queue is for content that is known already.
            send(&scene, options.clone(), "known.bin").await;
        }
        let before = scene.emulator.stats().of(self.operation).calls;
        let Case { appears_after, .. } = self;
        let queued = Action::Queued { appears_after };
        scene
            .emulator
            .inject(Fault::on(self.operation, queued).first(1));
        let outcome = send(&scene, options, "file.bin").await;
        self.judge(&outcome);
        let times: Vec<u64> = scene
            .emulator
            .stats()
            .calls_of(self.operation)
            .skip(before as usize)
            .map(|call| call.at_ms)
            .collect();
        let again = times.get(1).map(|again| again - times[0]);
        if self.is_repeated() {
            assert!(
                again.is_some_and(|after| after >= 1_000),
                "{self:?}: {times:?}"
            );
        } else {
            assert_eq!(times.len(), 1, "{self:?} was repeated");
        }
        self.wait_for_the_queue().await;
        let files = scene.emulator.files();
        let there = files.iter().filter(|file| file.path.starts_with("file"));
        assert_eq!(there.count(), 1, "{self:?}: {files:?}");
        scene.assert_arrived(&path, "file.bin");
    }

    fn options(&self, scene: &Scene) -> Options {
        let mut options = scene.options();
        options.on_conflict = self.conflict;
        options.timeouts.answer = ANSWER;
        if self.operation != Operation::Single {
            options.single_max = 0;
        }
        options
    }

    /// complete may always be asked again; a file that both are kept of is sent again where it was seen
    /// that the queue has not made it.
    fn is_repeated(&self) -> bool {
        let may_double =
            self.conflict == Conflict::KeepBoth && self.operation != Operation::Complete;
        !(may_double && self.appears_after.is_some())
    }

    fn judge(&self, outcome: &Outcome) {
        let arrived = matches!(outcome.status, Status::Uploaded(_) | Status::Reused(_));
        assert!(arrived, "{self:?}: {outcome:?}");
    }

    async fn wait_for_the_queue(&self) {
        let millis = self.appears_after.unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(millis + 300)).await;
    }
}

/// The queue that takes no more has taken nothing: asked again, also under keep-both.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_took_nothing() {
    for operation in [Operation::Create, Operation::Single, Operation::Complete] {
        let scene = scene();
        scene.file("file.bin", SIZE);
        let case = Case {
            conflict: Conflict::KeepBoth,
            operation,
            appears_after: None,
        };
        scene
            .emulator
            .inject(Fault::on(operation, Action::queue_full()).first(1));
        let outcome = send(&scene, case.options(&scene), "file.bin").await;
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
        assert_eq!(scene.emulator.files().len(), 1);
    }
}

/// What one run was told, the next one knows.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_does_not_send_what_the_queue_has() {
    let scene = scene();
    scene.file("file.bin", SIZE);
    let state = crate::common::folder();
    let mut options = scene.options();
    options.on_conflict = Conflict::KeepBoth;
    options.state_dir = Some(state.path().to_owned());
    let queued = Action::Queued {
        appears_after: Some(100),
    };
    scene
        .emulator
        .inject(Fault::on(Operation::Single, queued).first(1));
    // One that may not list says what it does not know, and sends nothing.
    for _ in 0..2 {
        options.look = Look::Never;
        let outcome = send(&scene, options.clone(), "file.bin").await;
        let said = failure(&outcome).to_string();
        assert!(said.contains("sending it again would keep both"), "{said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for _ in 0..2 {
        options.look = Look::Auto;
        let outcome = send(&scene, options.clone(), "file.bin").await;
        assert_eq!(outcome.status.name(), "skipped", "{outcome:?}");
    }
    assert_eq!(scene.emulator.files().len(), 1);
    assert_eq!(scene.emulator.stats().of(Operation::Single).calls, 1);
}

async fn send(scene: &Scene, options: Options, remote: &str) -> Outcome {
    let client = panup::Client::new(options).expect("sensible");
    let file = scene.local.path().join("file.bin");
    upload(&client, [item(&file, remote)]).await.remove(0)
}

fn scene() -> Scene {
    Scene::new(Config {
        slice_size: 64 << 10,
        polls: 0,
        ..Config::default()
    })
}

const SIZE: u64 = 150_000;

/// Longer than the queue takes here.
const ANSWER: Duration = Duration::from_secs(3);
