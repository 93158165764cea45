//! What a round goes on in: a service, an account, some files with their histories, a state folder,
//! and the options that all of its runs have.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use md5::{Digest, Md5};
use panup_emulator::{Config, Emulator, NetworkConditions, Pending, Place, Store, Tls};

use crate::args::Args;
use crate::tokens::Account;

/// A round's world.
pub struct Scene {
    /// The service.
    pub emulator: Emulator,
    /// Who uploads.
    pub account: Account,
    /// What is uploaded.
    pub files: Vec<LocalFile>,
    /// `--on-conflict`
    pub mode: &'static str,
    /// More options of every run.
    options: Vec<String>,
    /// Whether the folder is named, or each file in it.
    by_folder: bool,
    /// Whether the first file is named twice.
    named_twice: bool,
    binary: PathBuf,
    folder: tempfile::TempDir,
    /// The MD5 of each stored file, by its id: an id never gets other bytes.
    sums: HashMap<i64, Sum>,
}

/// A file to upload.
#[derive(Debug)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Where it goes.
    pub remote: String,
    /// The MD5s of all contents that it ever had, the newest last.
    pub versions: Vec<Sum>,
}

impl LocalFile {
    /// What it holds now.
    pub fn current(&self) -> &Sum {
        self.versions.last().expect("it was made with one")
    }
}

/// A file that the service has.
#[derive(Debug)]
pub struct Stored {
    /// Its remote path.
    pub path: String,
    /// Which of the local files it is, by name; `None` where it is nobody's.
    pub file: Option<usize>,
    /// Whether the service gave it a number because the name was taken.
    pub is_copy: bool,
    /// Of what is on the service's disk.
    pub sum: Sum,
    /// Its id.
    pub id: i64,
}

/// An MD5 in hex.
pub type Sum = String;

impl Scene {
    /// All of it by chance.
    pub fn new(args: &Args, chance: &mut fastrand::Rng) -> Scene {
        let folder = tempfile::Builder::new()
            .prefix("soak-")
            .tempdir()
            .expect("a folder");
        for name in ["local", "aside", "remote", "state", "out"] {
            fs::create_dir(folder.path().join(name)).expect("new");
        }
        let tls = [Tls::Off, Tls::Both, Tls::Http1][chance.usize(0..3)];
        let config = config(tls, folder.path().join("remote"), chance);
        let emulator = Emulator::start(config).expect("free ports");
        if let Some(pem) = emulator.ca_pem() {
            fs::write(folder.path().join("ca.pem"), pem).expect("room");
        }
        let mut account = Account::new(chance);
        account.renew(&emulator, chance);
        let modes = ["fail", "keep-both", "overwrite"];
        let mut scene = Scene {
            emulator,
            account,
            files: Vec::new(),
            mode: modes[chance.usize(0..modes.len())],
            options: options(chance),
            by_folder: chance.bool(),
            named_twice: chance.bool(),
            binary: args.panup.clone(),
            folder,
            sums: HashMap::new(),
        };
        scene.make(chance);
        scene
    }

    /// Some more files: a run that finds nothing new is done too soon to be hit by anything.
    pub fn grow(&mut self, chance: &mut fastrand::Rng) {
        for _ in 0..chance.usize(2..9) {
            self.make(chance);
        }
    }

    fn make(&mut self, chance: &mut fastrand::Rng) {
        let size = match chance.u8(0..6) {
            0..3 => chance.usize(1..200_000),
            3..5 => chance.usize(200_000..4 << 20),
            _ => chance.usize(4 << 20..24 << 20),
        };
        let mut bytes = vec![0; size];
        chance.fill(&mut bytes);
        let name = format!("f{}", self.files.len());
        let path = self.path("local").join(&name);
        fs::write(&path, &bytes).expect("room");
        let remote = match self.by_folder {
            true => format!("local/{name}"),
            false => name,
        };
        let versions = vec![sum(&bytes)];
        self.files.push(LocalFile {
            path,
            remote,
            versions,
        });
    }

    /// One of the round's folders.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `panup upload` on all files; with `shell`, that is run first in the same process.
    pub fn upload(&self, shell: Option<&str>) -> Command {
        let mut command = match shell {
            None => Command::new(&self.binary),
            Some(first) => {
                let mut command = Command::new("sh");
                let script = format!("{first}; exec \"$@\"");
                command.args(["-c", &script, "sh"]).arg(&self.binary);
                command
            }
        };
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.current_dir(self.folder.path());
        command.args(["upload", "--json", "--on-conflict", self.mode]);
        command.args(&self.options);
        command.arg("--api").arg(self.emulator.api());
        command.arg("--state-dir").arg(self.path("state"));
        if self.emulator.ca_pem().is_some() {
            command.arg("--ca-cert").arg(self.path("ca.pem"));
        }
        self.account.introduce(&mut command);
        match self.by_folder {
            true => drop(command.arg("local")),
            false => {
                command.args(self.files.iter().map(|file| &file.path));
                // In other words: it is one file all the same.
                command.args(self.named_twice.then_some("local/../local/./f0"));
            }
        }
        command.stdin(Stdio::null());
        command
    }

    /// Whether every run reads its files where it could map them.
    pub fn is_read(&self) -> bool {
        self.options.iter().any(|option| option == "--no-mmap")
    }

    /// The sky clears: no fault, every server there, the token good.
    pub fn clear(&self) {
        self.emulator.clear_faults();
        let servers = self.emulator.servers().len();
        for place in (0..servers).map(Place::Server).chain([Place::Api]) {
            self.emulator
                .set_network(place, NetworkConditions::default());
        }
        for server in 0..servers {
            self.emulator.revive_server(server);
        }
        self.account.mend(&self.emulator);
    }

    /// What the service has, by what is on its disk.
    pub fn stored(&mut self) -> Vec<Stored> {
        let files = self.emulator.files().into_iter();
        let stored = files.filter_map(|file| {
            let local = file.local.expect("kept");
            let sum = match self.sums.get(&file.file_id) {
                Some(known) => known.clone(),
                // Replaced between the list and the look: the next look sees what is there then.
                None => sum(&fs::read(local).ok()?),
            };
            self.sums.insert(file.file_id, sum.clone());
            let named = |name: &str| self.files.iter().position(|file| file.remote == name);
            let (plain, is_copy) = match named(&file.path) {
                Some(_) => (file.path.as_str(), false),
                None => (
                    file.path.rsplit_once('(').map_or("", |(stem, _)| stem),
                    true,
                ),
            };
            let at = named(plain);
            Some(Stored {
                file: at,
                is_copy,
                sum,
                id: file.file_id,
                path: file.path,
            })
        });
        stored.collect()
    }

    /// Leaves everything on the disk for whoever looks; says where.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

/// Lower-case hex.
pub fn sum(bytes: &[u8]) -> Sum {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn config(tls: Tls, store: PathBuf, chance: &mut fastrand::Rng) -> Config {
    let mut config = Config {
        tls,
        store: Store::Dir(store),
        slice_size: SLICE,
        polls: chance.u32(0..2),
        pending: [Pending::Verifying, Pending::NotCompleted, Pending::InTurn][chance.usize(0..3)],
        ..Config::default()
    };
    config.quirks.numbers_as_strings = chance.bool();
    config.quirks.http_401 = chance.bool();
    config.quirks.no_scheme = chance.bool();
    config.quirks.file_id_spelling = chance.bool();
    config
}

fn options(chance: &mut fastrand::Rng) -> Vec<String> {
    let http = ["auto", "1", "2"][chance.usize(0..3)];
    let mut options = vec![format!("--http={http}")];
    if chance.bool() {
        options.push("--single-max=0".to_owned());
    }
    if chance.bool() {
        options.push("--concurrency=4".to_owned());
    }
    if chance.u8(0..4) == 0 {
        options.push("--no-mmap".to_owned());
    }
    options
}

/// Small enough that files have many.
const SLICE: u64 = 1 << 20;
