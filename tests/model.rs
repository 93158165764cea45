//! Random scripts of edits, faults, kills and restarts against a small model: nothing wrong is
//! ever completed, nothing done is lost, calls are bounded, and in the end everything is there.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use common::{Scene, noise, outcomes_and_warnings, wait};
use panup::{Client, Conflict, Item, Kind, Look, Options, Outcome, Run, Status};
use panup_emulator::{Action, Change, Cut, Fault, Operation, Tls};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One slice of the service; files of half a slice go in one call, those of 4 MiB are mapped.
const SLICE: u64 = 1 << 20;

/// Few files, so that steps meet each other.
const FILES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// The file has so many bytes that were never seen before.
    Write(usize, u64),
    /// One byte differs.
    Edit(usize),
    /// Some bytes more.
    Append(usize),
    Delete(usize),
    /// The nth such call goes wrong.
    Fault(Operation, Action, u64),
    /// The service forgets what was not completed.
    Forget,
    /// Another client, or the website, changes what is stored of a file; the run before knows nothing of
    /// it.
    Outside(usize, Outside),
    Run(End),
}

/// What others do to a stored file.
#[derive(Clone, Copy, Debug)]
enum Outside {
    Deleted,
    Trashed,
    Replaced,
}

/// How a run ends.
#[derive(Clone, Debug)]
enum End {
    Whole,
    /// As kill -9 would end it, once so many calls were made.
    Killed(u64),
    Interrupted(u64),
    /// A file is edited once so many calls were made.
    Edited(u64, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..FILES;
    let size = prop_oneof![1..SLICE / 2, SLICE..3 * SLICE, 4 * SLICE..6 * SLICE];
    let operation = prop_oneof![
        1 => Just(Operation::Create),
        4 => Just(Operation::Slice),
        2 => Just(Operation::Complete),
        1 => Just(Operation::Single),
    ];
    let end = prop_oneof![
        2 => Just(End::Whole),
        1 => (1..12_u64).prop_map(End::Killed),
        1 => (1..12_u64).prop_map(End::Interrupted),
        1 => ((1..12_u64), file.clone()).prop_map(|(calls, file)| End::Edited(calls, file)),
    ];
    let outside = prop_oneof![
        Just(Outside::Deleted),
        Just(Outside::Trashed),
        Just(Outside::Replaced)
    ];
    let step = prop_oneof![
        3 => (file.clone(), size).prop_map(|(file, size)| Step::Write(file, size)),
        1 => file.clone().prop_map(Step::Edit),
        1 => file.clone().prop_map(Step::Append),
        1 => file.clone().prop_map(Step::Delete),
        2 => (file, outside).prop_map(|(file, what)| Step::Outside(file, what)),
        3 => (operation, actions(), 1..4_u64).prop_map(|(on, what, nth)| Step::Fault(on, what, nth)),
        1 => Just(Step::Forget),
        4 => end.prop_map(Step::Run),
    ];
    prop::collection::vec(step, 4..14)
}

/// What one repeat overcomes, and what it does not.
fn actions() -> impl Strategy<Value = Action> {
    let business = Action::Code {
        code: 1,
        message: "no".to_owned(),
    };
    prop_oneof![
        Just(Action::Close(Cut::BeforeBody)),
        Just(Action::Close(Cut::After(5000))),
        Just(Action::Close(Cut::AfterBody)),
        Just(Action::Close(Cut::AfterCommit)),
        Just(Action::Close(Cut::InAnswer)),
        Just(Action::Reset),
        Just(Action::TruncatedJson),
        Just(Action::WrongJson),
        Just(Action::NoFileId),
        Just(Action::NotCompleted),
        Just(Action::ForgetUploads),
        Just(Action::LastCall),
        Just(business),
    ]
}

/// What a careful person would know of the service.
struct Model {
    scene: Scene,
    options: Options,
    /// What each file was, ever; the last is what it is, where it is there.
    versions: [Vec<Vec<u8>>; FILES],
    there: [bool; FILES],
    /// What a run said was done, and nothing was uploaded since that could replace it.
    settled: BTreeMap<usize, Vec<u8>>,
    /// What others put in a file's place, ever.
    foreign: BTreeMap<usize, Vec<Vec<u8>>>,
    faults: u64,
    seeds: u64,
}

impl Model {
    fn new(conflict: Conflict, look: Look) -> Model {
        let scene = Scene::small_with(Tls::Off, |config| config.slice_size = SLICE);
        let mut options = scene.sliced();
        options.single_max = SLICE / 2;
        options.concurrency = Some(3);
        options.on_conflict = conflict;
        options.look = look;
        // A call whose answer is lost is known as not done after this; the service here is quick.
        options.timeouts.answer = Duration::from_millis(400);
        Model {
            scene,
            options,
            versions: Default::default(),
            there: [false; FILES],
            settled: BTreeMap::new(),
            foreign: BTreeMap::new(),
            faults: 0,
            seeds: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Write(file, size) => {
                self.seeds += 1;
                let bytes = noise(size, self.seeds);
                self.becomes(file, bytes);
            }
            Step::Edit(file) | Step::Append(file) if !self.there[file] => {}
            Step::Edit(file) => self.edit(file),
            Step::Append(file) => {
                self.seeds += 1;
                let more = noise(1 + self.seeds % 5000, self.seeds);
                let bytes = [&self.now(file)[..], &more].concat();
                self.becomes(file, bytes);
            }
            Step::Delete(file) => {
                self.there[file] = false;
                drop(fs::remove_file(self.path(file)));
            }
            Step::Fault(operation, action, nth) => {
                self.faults += 1;
                let fault = Fault::on(operation, action).nth(nth);
                self.scene.emulator.inject(fault);
            }
            Step::Forget => {
                self.faults += 1;
                self.scene.emulator.forget_uploads();
            }
            Step::Outside(file, what) => self.outside(file, what),
            Step::Run(end) => self.run(end).await,
        }
    }

    /// Seen by a run that always looks, and by no other.
    fn outside(&mut self, file: usize, what: Outside) {
        let path = format!("f{file}");
        let is_there = self.scene.stored_bytes().contains_key(&path);
        if !is_there || self.options.look != Look::Always {
            return;
        }
        self.settled.remove(&file);
        let change = match what {
            Outside::Deleted => Change::Delete { path },
            Outside::Trashed => Change::Trash { path },
            Outside::Replaced => {
                self.seeds += 1;
                let content = format!("foreign {}", self.seeds);
                let all = self.foreign.entry(file).or_default();
                all.push(content.clone().into_bytes());
                Change::Put { path, content }
            }
        };
        self.scene.emulator.change(&change).expect("it is there");
    }

    fn edit(&mut self, file: usize) {
        self.seeds += 1;
        let mut bytes = self.now(file).clone();
        // Eight bytes that no other edit makes.
        let at = bytes.len().saturating_sub(8) / 2;
        let mark = self.seeds.to_le_bytes();
        let end = bytes.len().min(at + 8);
        for (byte, mark) in bytes[at..end].iter_mut().zip(mark) {
            *byte ^= mark;
        }
        self.becomes(file, bytes);
    }

    fn becomes(&mut self, file: usize, bytes: Vec<u8>) {
        fs::write(self.path(file), &bytes).expect("room");
        self.versions[file].push(bytes);
        self.there[file] = true;
    }

    fn now(&self, file: usize) -> &Vec<u8> {
        self.versions[file].last().expect("written before")
    }

    fn path(&self, file: usize) -> std::path::PathBuf {
        self.scene.path(&format!("f{file}"))
    }

    fn items(&self) -> Vec<Item> {
        let there = (0..FILES).filter(|&file| self.there[file]);
        there.map(|file| Item::new(self.path(file))).collect()
    }

    async fn run(&mut self, end: End) {
        let before = self.counts();
        let slices = self.slices();
        let items = self.items();
        let client = Client::new(self.options.clone()).expect("sound");
        let run = client.start(items.clone()).expect("threads");
        let (outcomes, edited) = self.ended(run, end).await;
        drop(client);
        tokio::task::block_in_place(|| {
            wait("nothing is under way", || {
                let stats = self.scene.emulator.stats();
                stats.operations.values().all(|tally| tally.in_flight == 0)
            });
        });
        for outcome in &outcomes {
            self.settle(outcome, edited);
        }
        self.see_that_nothing_is_wrong();
        self.see_that_calls_are_bounded(before, items.len() as u64, slices);
    }

    /// What the run outcomes_and_warnings, and the file that was edited while it went on.
    async fn ended(&mut self, run: Run, end: End) -> (Vec<Outcome>, Option<usize>) {
        let calls = self.scene.emulator.stats().calls.len() as u64;
        let reached = |world: &Model, run: &Run, after: u64| {
            tokio::task::block_in_place(|| {
                wait("so many calls, or the end", || {
                    let progress = run.progress();
                    let made = world.scene.emulator.stats().calls.len() as u64 - calls;
                    let done = progress.snapshot().files_done;
                    made >= after || done == world.items().len() as u64
                });
            });
        };
        match end {
            End::Whole => (outcomes_and_warnings(run).await.0, None),
            End::Killed(after) => {
                reached(self, &run, after);
                drop(run);
                // What was about to set out may still be counted, in the next run's account.
                self.faults += 3;
                (Vec::new(), None)
            }
            End::Interrupted(after) => {
                reached(self, &run, after);
                run.interrupt();
                (outcomes_and_warnings(run).await.0, None)
            }
            End::Edited(_, file) if !self.there[file] => (outcomes_and_warnings(run).await.0, None),
            End::Edited(after, file) => {
                reached(self, &run, after);
                self.edit(file);
                (outcomes_and_warnings(run).await.0, Some(file))
            }
        }
    }

    /// What is told as done is there.
    fn settle(&mut self, outcome: &Outcome, edited: Option<usize>) {
        let file = (0..FILES).find(|&file| self.path(file) == outcome.path);
        let file = file.expect("nothing else was handed in");
        match &outcome.status {
            Status::Failed(_) | Status::Interrupted(_) => {}
            // Another content is there, and left.
            Status::Kept(_) => {}
            status => {
                let stored = self.stored(file);
                let versions = &self.versions[file];
                // An edit may have come when all of it was there already.
                let count = if edited == Some(file) { 2 } else { 1 };
                let possible = &versions[versions.len() - count..];
                let is_stored = |version: &&Vec<u8>| stored.contains(version);
                let newest = possible.iter().rev().find(is_stored).cloned();
                let stored = newest.or_else(|| self.named(file));
                let stored = &stored.unwrap_or_else(|| panic!("f{file} is not there"));
                let status = status.name();
                assert!(
                    possible.contains(stored),
                    "f{file} was told as {status} and is not"
                );
                self.settled.insert(file, stored.clone());
            }
        }
    }

    /// Every stored file is what the local one was at some time, and what was settled is still
    /// that, or something newer.
    fn see_that_nothing_is_wrong(&self) {
        let stored = self.scene.stored_bytes();
        let keeps_both = self.options.on_conflict == Conflict::KeepBoth;
        for file in 0..FILES {
            let mut copies = self.stored(file);
            let count = copies.len();
            copies.sort();
            copies.dedup();
            assert_eq!(copies.len(), count, "f{file} is there twice");
            assert!(keeps_both || count <= 1, "f{file} has a second name");
        }
        for (name, bytes) in &stored {
            let file: usize = file_of(name);
            if self
                .foreign
                .get(&file)
                .is_some_and(|all| all.contains(bytes))
            {
                continue;
            }
            let known = self.versions[file].iter().position(|known| known == bytes);
            let at = known.unwrap_or_else(|| panic!("{name} was never that"));
            let settled = self.settled.get(&file);
            let since = settled.and_then(|settled| {
                let mut versions = self.versions[file].iter();
                versions.position(|known| known == settled)
            });
            let is_newer = since.is_none_or(|since| at >= since);
            assert!(keeps_both || is_newer, "{name} went back");
        }
        for (file, settled) in &self.settled {
            let stored = self.stored(*file);
            assert!(!stored.is_empty(), "f{file} is lost");
            assert!(!keeps_both || stored.contains(settled), "f{file} is lost");
        }
    }

    /// All that is stored of a file, under whatever name the service gave it.
    fn stored(&self, file: usize) -> Vec<Vec<u8>> {
        let stored = self.scene.stored_bytes().into_iter();
        let of = stored.filter(|(name, _)| file_of(name) == file);
        of.map(|(_, bytes)| bytes).collect()
    }

    /// What is stored under its own name.
    fn named(&self, file: usize) -> Option<Vec<u8>> {
        self.scene.stored_bytes().remove(&format!("f{file}"))
    }

    fn counts(&self) -> [u64; 3] {
        let stats = self.scene.emulator.stats();
        [Operation::Create, Operation::Single, Operation::Slice].map(|on| stats.of(on).calls)
    }

    fn slices(&self) -> u64 {
        let there = (0..FILES).filter(|&file| self.there[file]);
        there
            .map(|file| (self.now(file).len() as u64).div_ceil(SLICE))
            .sum()
    }

    /// An upload is begun again once at most; each fault costs one call more at most, or one for
    /// each slice in flight.
    fn see_that_calls_are_bounded(&self, before: [u64; 3], files: u64, slices: u64) {
        let after = self.counts();
        let [creates, singles, sent] = std::array::from_fn(|at| after[at] - before[at]);
        assert!(creates <= 2 * files + self.faults, "{creates} creates");
        assert!(singles <= files + self.faults, "{singles} singles");
        assert!(
            sent <= 2 * slices + 3 * self.faults,
            "{sent} slices for {slices}"
        );
    }

    /// With nothing in the way, one more run does all that is left, and the next does nothing.
    async fn end(&mut self) {
        self.scene.emulator.clear_faults();
        // Those of a run killed just before.
        self.faults = self.faults.min(3);
        self.run(End::Whole).await;
        for file in (0..FILES).filter(|&file| self.there[file]) {
            let stored = self.stored(file);
            // Under `fail` and `skip` an older version may hold the name.
            let (fails, skips) = (Conflict::Fail, Conflict::Skip);
            let any = [fails, skips].contains(&self.options.on_conflict) && !stored.is_empty();
            assert!(
                any || stored.contains(self.now(file)),
                "f{file} is not the newest"
            );
        }
        let client = Client::new(self.options.clone()).expect("sound");
        let calls = self.scene.emulator.stats().calls.len();
        let (outcomes, warnings) =
            outcomes_and_warnings(client.start(self.items()).expect("threads")).await;
        assert!(warnings.is_empty(), "{warnings:?}");
        for outcome in outcomes {
            match outcome.status {
                Status::Skipped(_) | Status::Present(_) => {}
                Status::Kept(_) if self.options.on_conflict == Conflict::Skip => {}
                Status::Failed(error) if self.options.on_conflict == Conflict::Fail => {
                    assert_eq!(error.kind(), Kind::Rejected, "the name is taken: {error}");
                }
                status => panic!("{} is {} again", outcome.remote, status.name()),
            }
        }
        let made = self.scene.emulator.stats().calls.len() - calls;
        if self.options.on_conflict == Conflict::Overwrite && self.options.look != Look::Always {
            assert_eq!(made, 0, "not a call");
        }
    }
}

/// The file whose own or numbered name this is.
fn file_of(name: &str) -> usize {
    let number = name[1..].split('(').next().expect("the first part");
    number.parse().expect("one of ours")
}

fn play(conflict: Conflict, look: Look) {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::with_cases(cases())
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let played = TestRunner::new(config).run(&steps(), |script| {
        runtime.block_on(async {
            let mut world = Model::new(conflict, look);
            for step in script {
                world.step(step).await;
            }
            world.end().await;
        });
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}

/// Enough for every pair of steps; the soak and a night set more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(12)
}

#[test]
fn random_scripts_under_overwrite() {
    play(Conflict::Overwrite, Look::Auto);
}

#[test]
fn random_scripts_under_fail() {
    play(Conflict::Fail, Look::Auto);
}

#[test]
fn random_scripts_under_keep_both() {
    play(Conflict::KeepBoth, Look::Auto);
}

/// Others change what is stored as well.
#[test]
fn random_scripts_beside_others_under_overwrite() {
    play(Conflict::Overwrite, Look::Always);
}

#[test]
fn random_scripts_beside_others_under_keep_both() {
    play(Conflict::KeepBoth, Look::Always);
}

#[test]
fn random_scripts_beside_others_under_skip() {
    play(Conflict::Skip, Look::Always);
}
