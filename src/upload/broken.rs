//! What those who wait for a task are told when it ends by a panic. A task of panup's own that
//! fails so is a fault of panup; it costs one file, and hangs nothing.

use std::path::Path;

use super::event::{Outcome, Status};
use crate::error::Error;
pub use crate::panics::{broken, trip};

/// How a file ended of which not even the name is known.
#[must_use]
pub fn nameless(error: Error) -> Outcome {
    Outcome::unsent((Path::new(""), ""), Status::Failed(error), None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use panup_emulator::{Config, Emulator};

    use super::trip::{Asked, Step, ask};
    use super::*;
    use crate::auth::{Credential, Secret};
    use crate::error::Kind;
    use crate::journal::Journal;
    use crate::options::{CallRates, Options};
    use crate::upload::{Client, Event, Item};

    /// Wherever a task panics, its file fails with what to do, the others go on, and the run ends.
    #[test]
    fn a_panic_costs_one_file_and_hangs_nothing() {
        let steps = [Step::Hash, Step::File, Step::Feed, Step::Slice];
        for (step, size) in steps
            .into_iter()
            .flat_map(|step| [(step, LARGE), (step, SMALL)])
        {
            if size == SMALL && matches!(step, Step::Feed | Step::Slice) {
                continue;
            }
            let scene = scene();
            // Three large ones are hashed together, and small ones are a batch.
            let items: Vec<Item> = (0..3).map(|n| file(&scene, &n.to_string(), size)).collect();
            ask(step, &items[1].path, Asked::Panic);
            let outcomes = run(&scene, items.clone());
            assert_eq!(outcomes.len(), 3, "{step:?} {outcomes:?}");
            let mut failed = outcomes
                .iter()
                .filter(|outcome| outcome.path == items[1].path);
            let error = failure(failed.next().expect("told"));
            assert_eq!(error.kind(), Kind::Internal, "{step:?} {size}: {error}");
            assert_eq!(error.path(), Some(items[1].path.as_path()));
            for outcome in outcomes
                .iter()
                .filter(|outcome| outcome.path != items[1].path)
            {
                // Those that were hashed in one batch with it share its fate.
                let shared = step == Step::Hash
                    && matches!(&outcome.status, Status::Failed(e) if e.kind() == Kind::Internal);
                assert!(
                    shared || matches!(outcome.status, Status::Uploaded(_)),
                    "{step:?} {outcome:?}"
                );
            }
            // The same once more, without a panic.
            for outcome in run(&scene, items) {
                assert!(
                    !matches!(outcome.status, Status::Failed(_)),
                    "{step:?} {outcome:?}"
                );
            }
        }
    }

    /// A list of files whose end is a panic is no list that has ended.
    #[test]
    fn a_list_that_panics_is_a_failure() {
        let scene = scene();
        let first = file(&scene, "0", SMALL);
        let mut left = vec![first];
        let items = std::iter::from_fn(move || Some(left.pop().expect("asked for by a test")));
        let outcomes = run(&scene, items);
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        let kinds = outcomes.iter().filter(|outcome| matches!(&outcome.status, Status::Failed(error) if error.kind() == Kind::Internal));
        assert_eq!(kinds.count(), 1, "{outcomes:?}");
    }

    /// A disk that coughs says nothing of the bytes that were sent.
    #[test]
    fn an_upload_is_kept_when_the_file_cannot_be_read_for_a_moment() {
        for step in [Step::Feed, Step::Slice] {
            let scene = scene();
            let item = file(&scene, "0", 40 * SLICE);
            ask(step, &item.path, Asked::Fail);
            let outcomes = run(&scene, vec![item.clone()]);
            assert_eq!(failure(&outcomes[0]).kind(), Kind::Source);
            let journal = Journal::open(&scene.folder.path().join("state")).expect("a journal");
            assert_eq!(journal.unfinished().expect("readable").len(), 1, "{step:?}");
            drop(journal);
            let outcomes = run(&scene, vec![item]);
            assert!(
                matches!(outcomes[0].status, Status::Uploaded(_)),
                "{outcomes:?}"
            );
            let creates = scene
                .emulator
                .stats()
                .of(panup_emulator::Operation::Create)
                .calls;
            assert_eq!(creates, 1, "it goes on");
        }
    }

    struct Scene {
        emulator: Emulator,
        folder: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let emulator = Emulator::start(Config {
            slice_size: SLICE,
            polls: 0,
            ..Config::default()
        });
        Scene {
            emulator: emulator.expect("an emulator"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(scene: &Scene, name: &str, size: u64) -> Item {
        let path = scene.folder.path().join(name);
        let seed = name.as_bytes()[0];
        let contents: Vec<u8> = (0..size).map(|at| (at % 251) as u8 ^ seed).collect();
        std::fs::write(&path, contents).expect("written");
        Item::new(path)
    }

    fn run<I>(scene: &Scene, items: I) -> Vec<Outcome>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        let token = Secret::new(scene.emulator.token());
        let mut options = Options::new(Credential::Token(token));
        options.api = scene.emulator.api();
        options.state_dir = Some(scene.folder.path().join("state"));
        options.single_max = 1 << 20;
        options.call_rates = CallRates {
            create: Some(1e4),
            complete: Some(1e4),
            single: Some(1e4),
            ..CallRates::default()
        };
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let all = async {
            let client = Client::new(options).expect("sensible");
            let mut run = client.start(items).expect("threads");
            let mut outcomes = Vec::new();
            while let Some(event) = run.next().await {
                if let Event::File(outcome) = event {
                    outcomes.push(outcome);
                }
            }
            outcomes
        };
        let bounded = async { tokio::time::timeout(PATIENCE, all).await };
        runtime.block_on(bounded).expect("it ends")
    }

    fn failure(outcome: &Outcome) -> &Error {
        match &outcome.status {
            Status::Failed(error) => error,
            status => panic!("{status:?}"),
        }
    }

    const SLICE: u64 = 128 << 10;
    const LARGE: u64 = 5 << 20;
    const SMALL: u64 = 1000;
    const PATIENCE: Duration = Duration::from_secs(300);
}
