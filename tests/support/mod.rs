//! What the integration tests stand on: an emulator that stores what it gets, files to send, and a
//! comparison of both by contents. Each test binary uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use panup::{CallRates, Client, Credential, Event, Item, Options, Outcome, Run, Secret, Status};
use panup_emulator::{Config, Emulator, Store, StoredFile};
use tempfile::TempDir;

/// An emulator, the folder behind it, and a folder for the files that are sent.
pub struct Scene {
    /// The service.
    pub emulator: Emulator,
    /// Where the test makes its files.
    pub local: TempDir,
    /// Where the emulator stores what it took.
    pub cloud: TempDir,
}

impl Scene {
    /// An emulator as `config` says that stores its files in a folder of its own.
    pub fn new(config: Config) -> Scene {
        let (local, cloud) = (folder(), folder());
        let store = Store::Dir(cloud.path().to_owned());
        let emulator = Emulator::start(Config { store, ..config }).expect("an emulator");
        Scene {
            emulator,
            local,
            cloud,
        }
    }

    /// A local file of `size` bytes; folders of `name` are made.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.local.path().join(name);
        make(&path, size, 0);
        path
    }

    /// Options for this emulator that keep no state.
    pub fn options(&self) -> Options {
        options(&self.emulator)
    }

    /// A client with [`Scene::options`].
    pub fn client(&self) -> Client {
        Client::new(self.options()).expect("options that make sense")
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
}

/// Options for `emulator` that keep no state, trust its authority, and start at a call rate that a
/// test does not wait for.
pub fn options(emulator: &Emulator) -> Options {
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();
    options.roots = emulator
        .ca_pem()
        .map(|pem| pem.as_bytes().to_vec())
        .into_iter()
        .collect();
    options.call_rates = CallRates {
        create: Some(QUICK),
        complete: Some(QUICK),
        single: Some(QUICK),
    };
    options
}

/// Uploads `items` in one run; every file's outcome, in the order in which they ended.
pub async fn upload(client: &Client, items: impl IntoIterator<Item = Item>) -> Vec<Outcome> {
    let items: Vec<Item> = items.into_iter().collect();
    outcomes(client.start(items).expect("threads")).await
}

/// Follows a run to its end.
pub async fn outcomes(mut run: Run) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Some(event) = run.next().await {
        if let Event::File(outcome) = event {
            outcomes.push(outcome);
        }
    }
    outcomes
}

/// The error of a file that was meant to fail.
pub fn failure(outcome: &Outcome) -> &panup::Error {
    match &outcome.status {
        Status::Failed(error) => error,
        status => panic!("{} did not fail: {status:?}", outcome.path.display()),
    }
}

/// Uploads `items` with `options`; every one must arrive.
pub async fn upload_all(options: Options, items: impl IntoIterator<Item = Item>) -> Vec<Outcome> {
    let client = Client::new(options).expect("options that make sense");
    let outcomes = upload(&client, items).await;
    for outcome in &outcomes {
        assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
    }
    outcomes
}

/// An item below the root folder, under the remote path `remote`.
pub fn item(path: &Path, remote: &str) -> Item {
    let mut item = Item::new(path);
    remote.clone_into(&mut item.remote);
    item
}

/// Writes a file of `size` bytes that differ from those of another `seed`. The period is prime, so
/// that no two slices, blocks or pages of a file are the same.
pub fn make(path: &Path, size: u64, seed: u8) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a folder");
    }
    let mut file = fs::File::create(path).expect("a file");
    let piece: Vec<u8> = (0..PIECE).map(|at| (at % PERIOD) as u8 ^ seed).collect();
    let mut left = size;
    while left > 0 {
        let next = left.min(PIECE);
        file.write_all(&piece[..next as usize]).expect("written");
        left -= next;
    }
}

/// Whether both files hold the same bytes.
pub fn same_contents(one: &Path, other: &Path) -> bool {
    let open = |path: &Path| std::io::BufReader::new(fs::File::open(path).expect("readable"));
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
    loop {
        let (filled, there) = (fill(&mut one, &mut left), fill(&mut other, &mut right));
        if filled != there || left[..filled] != right[..there] {
            return false;
        }
        if filled == 0 {
            return true;
        }
    }
}

/// A folder that goes with the test.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]).expect("readable") {
            0 => break,
            read => filled += read,
        }
    }
    filled
}

/// Calls per second: more than a test makes.
const QUICK: f64 = 10_000.0;

/// The contents repeat after so many bytes.
const PERIOD: u64 = 251;

/// Bytes that are made or compared at once, a whole number of periods.
const PIECE: u64 = PERIOD << 12;
