//! One row: a file, what goes wrong on its way, how it ends and at which price.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use panup::{Client, Conflict, Credential, Item, Kind, Options, Outcome, Secret, Status, Timeouts};
use panup_emulator::{
    CLIENT_ID, CLIENT_SECRET, Config, Emulator, Fault, Limits, NetworkConditions, Operation, Place,
};

use crate::common::{self, Scene};

/// Operations, and the calls of a file that meets one failure on its way.
pub const ONCE_MORE: [(Operation, &str); 6] = [
    (Operation::Create, "create 2, slice 3, complete 1"),
    (Operation::Slice, "create 1, slice 2, complete 1"),
    (Operation::Complete, "create 1, slice 3, complete 2"),
    (Operation::Domain, "domain 2, single 1"),
    (Operation::Single, "domain 1, single 2"),
    (
        Operation::AccessToken,
        "create 1, slice 3, complete 1, access_token 2",
    ),
];

/// The same where every call fails, and four attempts are all there are.
pub const FOUR_TIMES: [(Operation, &str); 6] = [
    (Operation::Create, "create 4"),
    (Operation::Slice, "create 1, slice 4"),
    (Operation::Complete, "create 1, slice 3, complete 4"),
    (Operation::Domain, "domain 4"),
    (Operation::Single, "domain 1, single 4"),
    (Operation::AccessToken, "access_token 4"),
];

/// The same where the first failure is final.
pub const NOT_REPEATED: [(Operation, &str); 6] = [
    (Operation::Create, "create 1"),
    (Operation::Slice, "create 1, slice 1"),
    (Operation::Complete, "create 1, slice 3, complete 1"),
    (Operation::Domain, "domain 1"),
    (Operation::Single, "domain 1, single 1"),
    (Operation::AccessToken, "access_token 1"),
];

/// A file on its way through faults.
pub struct Row {
    name: String,
    way: Way,
    conflict: Conflict,
    credential: Key,
    config: Config,
    timeouts: Timeouts,
    ends: Ends,
    calls: &'static str,
    says: Option<&'static str>,
    slices: usize,
}

/// How the file goes up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In [`SLICES`] slices, one after the other: create, slice, complete.
    Sliced,
    /// In one call: domain, single.
    Single,
}

/// With what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Pasted,
    Client,
}

/// How the file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Uploaded,
    Reused,
    Failed(Kind),
}

impl Row {
    /// A sliced file under `fail` with a pasted token, nothing wrong.
    pub fn new(name: impl Into<String>) -> Row {
        Row {
            name: name.into(),
            way: Way::Sliced,
            conflict: Conflict::Fail,
            credential: Key::Pasted,
            config: Config {
                slice_size: SLICE_SIZE as u64,
                polls: 0,
                // The contents are compared here; hashing them costs a poll, a second each.
                verify: false,
                ..Config::default()
            },
            timeouts: Timeouts::default(),
            ends: Ends::Uploaded,
            calls: "",
            says: None,
            slices: SLICES,
        }
    }

    /// The way that meets `operation`, and the credentials if it takes those.
    pub fn meeting(name: impl Into<String>, operation: Operation) -> Row {
        let row = Row::new(name);
        match operation {
            Operation::Slice => row.one_slice(),
            Operation::Domain | Operation::Single => row.single(),
            Operation::AccessToken => row.client(),
            _ => row,
        }
    }

    pub fn single(mut self) -> Row {
        self.way = Way::Single;
        self.one_slice()
    }

    pub fn client(mut self) -> Row {
        self.credential = Key::Client;
        self
    }

    pub fn conflict(mut self, conflict: Conflict) -> Row {
        self.conflict = conflict;
        self
    }

    pub fn fault(mut self, fault: Fault) -> Row {
        self.config.faults.push(fault);
        self
    }

    pub fn limits(mut self, limits: Limits) -> Row {
        self.config.limits = limits;
        self
    }

    pub fn network(mut self, place: Place, conditions: NetworkConditions) -> Row {
        self.config.network.push((place, conditions));
        self
    }

    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Row {
        change(&mut self.config);
        self
    }

    /// Slices of this size.
    pub fn slice_size(mut self, bytes: usize) -> Row {
        self.config.slice_size = bytes as u64;
        self
    }

    /// A file of one slice, for faults that strike every slice: with several, which one fails
    /// first is not said.
    pub fn one_slice(mut self) -> Row {
        self.slices = 1;
        self
    }

    /// Patience with silence, for rows about silence.
    pub fn patience(mut self, limit: Duration) -> Row {
        self.timeouts.answer = limit;
        self.timeouts.stall = limit;
        self.timeouts.connect = limit;
        self
    }

    pub fn ends(mut self, ends: Ends) -> Row {
        self.ends = ends;
        self
    }

    pub fn fails(self, kind: Kind) -> Row {
        self.ends(Ends::Failed(kind))
    }

    /// What the error has to say.
    pub fn says(mut self, words: &'static str) -> Row {
        self.says = Some(words);
        self
    }

    /// Every call of every operation, such as `create 1, slice 4, complete 1`.
    pub fn calls(mut self, calls: &'static str) -> Row {
        self.calls = calls;
        self
    }

    /// Uploads the file and compares.
    pub fn check(self) {
        let ran = self.run();
        if let Err(difference) = self.judge(&ran) {
            panic!("{}: {difference}", self.name);
        }
    }

    /// Uploads the file; the emulator is still there to be looked at.
    pub fn run(&self) -> Ran {
        let scene = Scene::new(self.config.clone());
        let size = self.config.slice_size * self.slices as u64 - 1000;
        let item = scene.item("file.bin", size, 0);
        let outcome = upload(self.options(&scene.emulator), item);
        Ran { scene, outcome }
    }

    fn options(&self, emulator: &Emulator) -> Options {
        let mut options = quick(emulator);
        options.on_conflict = self.conflict;
        options.concurrency = Some(1);
        options.timeouts = self.timeouts;
        if self.way == Way::Sliced {
            options.single_max = 0;
        }
        if self.credential == Key::Client {
            options.credential = Credential::Client {
                id: CLIENT_ID.to_owned(),
                secret: Secret::new(CLIENT_SECRET),
            };
        }
        options
    }

    fn judge(&self, ran: &Ran) -> Result<(), String> {
        let mut wrong = String::new();
        let ended = ran.ended();
        if ended != self.ends {
            let _ = write!(wrong, "\n  ended {ended:?}, not {:?}", self.ends);
        }
        let calls = calls_when_still(&ran.scene.emulator, self.calls);
        if calls != self.calls {
            let _ = write!(wrong, "\n  called {calls:?}, not {:?}", self.calls);
        }
        let said = ran.said();
        if self.says.is_some_and(|words| !said.contains(words)) {
            let _ = write!(wrong, "\n  does not say {:?}", self.says);
        }
        if !matches!(self.ends, Ends::Failed(_)) {
            wrong.push_str(&ran.difference());
        }
        match wrong.as_str() {
            "" => Ok(()),
            _ => Err(format!("{wrong}\n  {said}")),
        }
    }
}

/// What a row came to.
pub struct Ran {
    pub scene: Scene,
    pub outcome: Outcome,
}

impl Ran {
    fn ended(&self) -> Ends {
        match &self.outcome.status {
            Status::Uploaded(_) => Ends::Uploaded,
            Status::Reused(_) => Ends::Reused,
            Status::Failed(error) => Ends::Failed(error.kind()),
            status => panic!("nothing is remembered here: {status:?}"),
        }
    }

    pub fn said(&self) -> String {
        match &self.outcome.status {
            Status::Failed(error) => error.to_string(),
            _ => String::new(),
        }
    }

    /// What is there is one file, and it is the one that was sent.
    fn difference(&self) -> String {
        let there = self.scene.remote.path().join("file.bin");
        let same = fs::read(&there).ok() == fs::read(&self.outcome.path).ok();
        match (same, self.scene.emulator.files().len()) {
            (true, 1) => String::new(),
            (_, count) => format!("\n  {count} files there, the content equal: {same}"),
        }
    }
}

/// Options whose repeats do not make a test wait.
pub fn quick(emulator: &Emulator) -> Options {
    let mut options = common::options(emulator);
    // What a listing saves is shown in tests/field/present.rs; here the calls of an upload are counted.
    options.look = panup::Look::Never;
    let retry = &mut options.retry;
    retry.attempts = ATTEMPTS;
    retry.base = Duration::from_millis(2);
    retry.throttled_base = Duration::from_millis(2);
    retry.cap = Duration::from_millis(20);
    options
}

fn upload(options: Options, item: Item) -> Outcome {
    let client = Client::new(options).expect("sensible options");
    let mut outcomes = run(&client, vec![item]);
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// Every outcome of a run. A run that hangs is a failure of its own.
pub fn run(client: &Client, items: Vec<Item>) -> Vec<Outcome> {
    common::run_within(HANGS, client, items)
}

/// The calls, once they are as `wanted` and none is under way, or when they do not get there.
pub fn calls_when_still(emulator: &Emulator, wanted: &str) -> String {
    let deadline = Instant::now() + LANDS;
    loop {
        let stats = emulator.stats();
        let still = Operation::ALL.iter().all(|&op| stats.of(op).in_flight == 0);
        let calls: Vec<String> = Operation::ALL
            .iter()
            // How often it is told to wait depends on how fast the emulator hashes.
            .map(|&op| (op, stats.of(op).calls - stats.of(op).pending))
            .filter(|&(_, count)| count > 0)
            .map(|(op, count)| format!("{op} {count}"))
            .collect();
        let calls = calls.join(", ");
        if still && calls == wanted || Instant::now() > deadline {
            return calls;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Slices of a sliced file.
pub const SLICES: usize = 3;

/// Small, because nothing here depends on it.
pub const SLICE_SIZE: usize = 64 << 10;

/// Attempts at one call: enough to see that there is an end.
pub const ATTEMPTS: u32 = 4;

/// No row takes a hundredth of it, but for an emulated processor.
const HANGS: Duration = Duration::from_secs(300);

/// A call without an answer is entered when its end is noticed.
const LANDS: Duration = Duration::from_secs(30);
