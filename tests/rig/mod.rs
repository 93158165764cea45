//! A folder of files, an emulator that stores what it gets, clients of one state folder, and the
//! real binary: what the tests of lost and unlost work stand on.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use panup::journal::{Journal, Unfinished};
use panup::{Client, Credential, Error, Event, Item, Options, Outcome, Run, Secret, Status};
use panup_emulator::{Call, Config, Emulator, Operation, Store, Tls};

/// Bytes of every slice but the last: small, because most of these tests are not about size.
pub const SLICE: u64 = 64 << 10;

/// An emulator, and the folders around it.
pub struct Rig {
    /// The service.
    pub emulator: Emulator,
    folder: tempfile::TempDir,
}

impl Rig {
    /// A plain service.
    pub fn new() -> Rig {
        Rig::with(Tls::Off, |_| {})
    }

    /// A service that differs from the usual one.
    pub fn with(tls: Tls, change: impl FnOnce(&mut Config)) -> Rig {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["local", "remote", "state"] {
            fs::create_dir(folder.path().join(name)).expect("new");
        }
        let mut config = Config {
            slice_size: SLICE,
            store: Store::Dir(folder.path().join("remote")),
            polls: 0,
            tls,
            ..Config::default()
        };
        change(&mut config);
        let emulator = Emulator::start(config).expect("free ports");
        Rig { emulator, folder }
    }

    /// The state folder of all clients.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A local path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("local").join(name)
    }

    /// A local file of `size` bytes that no other seed gives.
    pub fn file(&self, name: &str, size: u64, seed: u64) -> Item {
        let path = self.path(name);
        fs::write(&path, noise(size, seed)).expect("room on the disk");
        Item::new(path)
    }

    /// Options for this service, everything in slices, one body at a time, one file's journal.
    pub fn options(&self) -> Options {
        self.options_for(Credential::Token(Secret::new(self.emulator.token())))
    }

    /// The same for a credential.
    pub fn options_for(&self, credential: Credential) -> Options {
        let mut options = Options::new(credential);
        options.api = self.emulator.api();
        options.state_dir = Some(self.state());
        options.single_max = 0;
        options.concurrency = Some(1);
        options.hash_threads = Some(1);
        options.roots = self
            .emulator
            .ca_pem()
            .map(|pem| pem.as_bytes().to_vec())
            .into_iter()
            .collect();
        options
    }

    /// A client as a new process would have it.
    pub fn client(&self) -> Client {
        Client::new(self.options()).expect("sound options")
    }

    /// What the journal says of unfinished uploads.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let journal = Journal::open(&self.state()).expect("a journal");
        journal.unfinished().expect("readable")
    }

    /// Waits until the journal has `acks` slices of the one unfinished upload on disk.
    pub fn wait_for_acks(&self, acks: u64) {
        let journal = Journal::open(&self.state()).expect("a journal");
        wait(&format!("the journal has {acks} acks"), || {
            let unfinished = journal.unfinished().expect("readable");
            unfinished.len() == 1 && unfinished[0].acked == acks
        });
    }

    /// Waits until the service has so many files, whoever has heard of it.
    pub fn wait_for_files(&self, count: usize) {
        wait(&format!("{count} files are there"), || {
            self.emulator.files().len() == count
        });
    }

    /// Waits until `count` calls of `operation` are under way.
    pub fn wait_in_flight(&self, operation: Operation, count: u64) {
        wait("calls are under way", || {
            self.emulator.stats().of(operation).in_flight == count
        });
    }

    /// The stored bytes of every remote path.
    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.emulator.files().into_iter();
        files
            .map(|file| {
                let local = file.local.expect("kept");
                (file.path, fs::read(local).expect("stored"))
            })
            .collect()
    }

    /// Sees that exactly these items are stored, byte by byte.
    pub fn assert_stored(&self, items: &[&Item]) {
        let stored = self.stored();
        let names: Vec<&str> = stored.keys().map(String::as_str).collect();
        let mut wanted: Vec<&str> = items.iter().map(|item| item.remote.as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        for item in items {
            let local = fs::read(&item.path).expect("still there");
            assert!(stored[&item.remote] == local, "{} differs", item.remote);
        }
    }

    /// Calls of `operation` so far, by how many were done and how many there were.
    pub fn calls(&self, operation: Operation) -> (u64, u64) {
        let tally = self.emulator.stats().of(operation);
        (tally.done + tally.pending, tally.calls)
    }

    /// How often each slice was taken.
    pub fn times_taken(&self) -> BTreeMap<u32, u32> {
        let mut times = BTreeMap::new();
        let stats = self.emulator.stats();
        let done = |call: &&Call| call.outcome == panup_emulator::Outcome::Done;
        for call in stats.calls_of(Operation::Slice).filter(done) {
            *times.entry(call.slice_no.expect("named")).or_default() += 1;
        }
        times
    }

    /// The binary on `args`, `upload` first, with the token in its environment.
    pub fn panup(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env_clear()
            .env("PANUP_API", self.emulator.api())
            .env("PANUP_STATE_DIR", self.state())
            .env("PANUP_TOKEN", self.emulator.token())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The binary uploading `item` slice by slice.
    pub fn upload(&self, item: &Item, more: &[&str]) -> Command {
        let path = item.path.to_str().expect("Unicode");
        let fixed = ["upload", "--json", "--single-max=0"];
        let one = ["--concurrency=1"];
        let one = match more.iter().any(|flag| flag.starts_with("--concurrency")) {
            true => &[][..],
            false => &one[..],
        };
        self.panup(&[&fixed[..], one, more, &[path]].concat())
    }
}

/// A process that is killed with SIGKILL, and waited for, when it goes.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The binary: cargo names it to tests; examples find it in the folder above theirs.
fn binary() -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().expect("this runs");
        own.ancestors()
            .nth(2)
            .expect("a target folder")
            .join("panup")
    };
    option_env!("CARGO_BIN_EXE_panup").map_or_else(beside, PathBuf::from)
}

/// Bytes that differ from seed to seed.
pub fn noise(size: u64, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; usize::try_from(size).expect("small")];
    rng.fill(&mut bytes);
    bytes
}

/// Everything a run tells.
pub async fn told(mut run: Run) -> (Vec<Outcome>, Vec<Error>) {
    let (mut outcomes, mut warnings) = (Vec::new(), Vec::new());
    while let Some(event) = run.next().await {
        match event {
            Event::File(outcome) => outcomes.push(outcome),
            Event::Warning(warning) => warnings.push(warning),
            _ => {}
        }
    }
    (outcomes, warnings)
}

/// The error of a file that failed.
pub fn failure(outcome: &Outcome) -> &Error {
    match &outcome.status {
        Status::Failed(error) => error,
        status => panic!("{} is {}", outcome.remote, status.name()),
    }
}

/// Looks until it is so; not for ever.
pub fn wait(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The times of a file moved, as an editor would.
pub fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("there");
    change(&mut bytes);
    fs::write(path, bytes).expect("writable");
}
