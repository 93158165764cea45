//! The fixture of all integration tests: an emulator that stores what it gets, files to send, the
//! library's and the command's way there, and a comparison by contents. Each test binary uses a
//! part of it.
#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use panup::{Client, Credential, Item, Options, Secret, State, Unfinished};
use panup_emulator::{Call, Config, Emulator, Operation, Store, StoredFile, Tls};
use tempfile::TempDir;

pub use files::{folder, item, make, noise, private, rewrite, same_contents};
pub use runs::{
    failure, outcomes, outcomes_and_warnings, run_within, upload, upload_all, wait, within,
};

mod files;
pub mod program;
mod runs;
pub mod schema;

/// Bytes of every slice but the last in [`Scene::small`]: most of those tests are not about size.
pub const SLICE: u64 = 64 << 10;

/// An emulator, the folder behind it, a folder for the files that are sent, and one for the state.
pub struct Scene {
    /// The service.
    pub emulator: Emulator,
    /// Where the test makes its files.
    pub local: TempDir,
    /// Where the emulator stores what it took.
    pub remote: TempDir,
    home: TempDir,
}

impl Scene {
    /// An emulator as `config` says that stores its files in a folder of its own.
    pub fn new(config: Config) -> Scene {
        let (local, remote) = (folder(), folder());
        let store = Store::Dir(remote.path().to_owned());
        let emulator = Emulator::start(Config { store, ..config }).expect("an emulator");
        Scene {
            emulator,
            local,
            remote,
            home: folder(),
        }
    }

    /// A plain service of small slices, whose upload_complete is final at once.
    pub fn small() -> Scene {
        Scene::small_with(Tls::Off, |_| {})
    }

    /// The same with differences.
    pub fn small_with(tls: Tls, change: impl FnOnce(&mut Config)) -> Scene {
        let mut config = Config {
            slice_size: SLICE,
            polls: 0,
            tls,
            ..Config::default()
        };
        change(&mut config);
        Scene::new(config)
    }

    /// The state folder of [`Scene::sliced`] and [`Scene::panup`]; its first user makes it.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// A local path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.local.path().join(name)
    }

    /// A local file of `size` bytes; folders of `name` are made.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        make(&path, size, 0);
        path
    }

    /// A local file of `size` bytes that no other seed gives; folders of `name` are made.
    pub fn item(&self, name: &str, size: u64, seed: u64) -> Item {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, noise(size, seed)).expect("room on the disk");
        Item::new(path)
    }

    /// Options for this emulator that keep no state.
    pub fn options(&self) -> Options {
        options(&self.emulator)
    }

    /// A client with [`Scene::options`].
    pub fn client(&self) -> Client {
        Client::new(self.options()).expect("options that make sense")
    }

    /// Options that keep state: everything in slices, one body and one hash at a time.
    pub fn sliced(&self) -> Options {
        self.sliced_by(Credential::Token(Secret::new(self.emulator.token())))
    }

    /// The same with another credential.
    pub fn sliced_by(&self, credential: Credential) -> Options {
        let mut options = Options::new(credential);
        options.api = self.emulator.api();
        options.roots = roots(&self.emulator);
        options.state_dir = Some(self.state());
        options.single_max = 0;
        options.concurrency = Some(1);
        options.hash_threads = Some(1);
        options
    }

    /// A client with [`Scene::sliced`], as a new process would have it.
    pub fn sliced_client(&self) -> Client {
        Client::new(self.sliced()).expect("sound options")
    }

    /// What the emulator stored under `remote`; one such file must be there.
    pub fn stored(&self, remote: &str) -> StoredFile {
        let files = self.emulator.files();
        let found = files.iter().find(|file| file.path == remote);
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        found
            .unwrap_or_else(|| panic!("no {remote:?} among {names:?}"))
            .clone()
    }

    /// The stored bytes are the local ones.
    pub fn assert_arrived(&self, local: &Path, remote: &str) {
        let stored = self.stored(remote);
        let kept = stored.local.expect("the emulator stores files");
        assert_eq!(
            stored.size,
            fs::metadata(local).expect("there").len(),
            "{remote}"
        );
        assert!(
            same_contents(local, &kept),
            "{remote} differs from its file"
        );
    }

    /// The stored bytes of every remote path.
    pub fn stored_bytes(&self) -> BTreeMap<String, Vec<u8>> {
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
        let stored = self.stored_bytes();
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

    /// What the journal says of unfinished uploads.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let state = State::open(&self.state()).expect("a journal");
        state.unfinished().expect("readable")
    }

    /// Waits until the journal has `acks` slices of the one unfinished upload on disk.
    pub fn wait_for_acks(&self, acks: u64) {
        wait(&format!("the journal has {acks} acks"), || {
            let unfinished = self.unfinished();
            unfinished.len() == 1 && unfinished[0].acked == acks
        });
    }

    /// Waits until the service has so many files, whether or not a run was told.
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

    /// The binary with `args`, the token and the state folder in its environment.
    pub fn panup(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panup"));
        program::bare(&mut command)
            .args(args)
            .env("PANUP_API", self.emulator.api())
            .env("PANUP_STATE_DIR", self.state())
            .env("PANUP_TOKEN", self.emulator.token())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The binary uploading `item` slice by slice.
    pub fn sliced_upload(&self, item: &Item, more: &[&str]) -> Command {
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

/// Options for `emulator` that keep no state, trust its authority, and start at a call rate that a
/// test does not wait for.
pub fn options(emulator: &Emulator) -> Options {
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();
    options.roots = roots(emulator);
    let rates = &mut options.call_rates;
    for rate in [
        &mut rates.create,
        &mut rates.complete,
        &mut rates.single,
        &mut rates.list,
    ] {
        *rate = Some(QUICK);
    }
    options
}

/// The emulator's authority, where it speaks TLS.
fn roots(emulator: &Emulator) -> Vec<Vec<u8>> {
    let pem = emulator.ca_pem().map(|pem| pem.as_bytes().to_vec());
    pem.into_iter().collect()
}

/// A process that is killed with SIGKILL, and waited for, when it goes.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Calls per second: more than a test makes.
const QUICK: f64 = 10_000.0;
