//! One run of the client, and what it cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use panup::{
    Client, Conflict, Credential, Event, Http, Item, Options, Progress, Resume, Run, Secret, Status,
};
use tokio::runtime::Runtime;

use crate::corpus::Corpus;
use crate::emulator::Emulator;
use crate::{GIB, MIB, arrived};

/// Sends to one emulator, each run with a client of its own.
pub struct Sender {
    runtime: Runtime,
    options: Options,
    runs: AtomicU64,
}

/// What to send, and how.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    corpus: &'a Corpus,
    concurrency: Option<usize>,
    http: Http,
}

impl<'a> Job<'a> {
    pub fn new(corpus: &'a Corpus) -> Job<'a> {
        Job {
            corpus,
            concurrency: None,
            http: Http::Auto,
        }
    }

    pub fn concurrency(self, concurrency: Option<usize>) -> Self {
        Job {
            concurrency,
            ..self
        }
    }

    pub fn http(self, http: Http) -> Self {
        Job { http, ..self }
    }
}

/// What a run came to.
#[derive(Clone, Copy)]
pub struct Cost {
    pub bytes: u64,
    pub wall: f64,
    /// User and system time of this process, all threads.
    pub cpu: f64,
    /// Bodies that could be in flight at the end.
    pub permits: usize,
}

impl Cost {
    pub fn goodput(self) -> f64 {
        self.bytes as f64 / MIB / self.wall
    }

    pub fn cpu_per_gib(self) -> f64 {
        self.cpu / (self.bytes as f64 / GIB)
    }
}

impl Sender {
    /// With `state`, hashes are remembered there from one run to the next.
    pub fn new(emulator: &Emulator, state: Option<&Path>) -> Sender {
        let credential = Credential::Token(Secret::new(&emulator.token));
        let mut options = Options::new(credential);
        options.api.clone_from(&emulator.api);
        options.roots.clone_from(&emulator.roots);
        options.on_conflict = Conflict::Overwrite;
        options.resume = Resume::SendAgain;
        options.state_dir = state.map(Path::to_owned);
        let rates = &mut options.call_rates;
        (rates.create, rates.complete) = (Some(RATE), Some(RATE));
        (rates.single, rates.list) = (Some(RATE), Some(RATE));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Sender {
            runtime: runtime.enable_all().build().expect("a runtime"),
            options,
            runs: AtomicU64::new(0),
        }
    }

    /// Every file to its end.
    pub fn send(&self, job: &Job) -> Cost {
        let cost = self.send_paths(&job.corpus.paths, self.client(job));
        Cost {
            bytes: job.corpus.bytes(),
            ..cost
        }
    }

    /// Several kinds of files at once.
    pub fn send_mixed(&self, corpora: &[&Corpus]) -> Cost {
        let paths = corpora.iter().flat_map(|corpus| corpus.paths.clone());
        let paths: Vec<PathBuf> = paths.collect();
        let client = Client::new(self.options.clone()).expect("good options");
        Cost {
            bytes: corpora.iter().map(|corpus| corpus.bytes()).sum(),
            ..self.send_paths(&paths, client)
        }
    }

    /// Every file to its end, hashed by so many threads: how files share them decides whether
    /// their slices' MD5s are remembered too.
    pub fn teach(&self, corpus: &Corpus, hash_threads: usize) {
        let mut options = self.options.clone();
        options.hash_threads = Some(hash_threads);
        self.send_paths(&corpus.paths, Client::new(options).expect("good options"));
    }

    fn send_paths(&self, paths: &[PathBuf], client: Client) -> Cost {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let permits = self.runtime.block_on(async {
            let mut run = client.start(self.items(paths)).expect("threads");
            let mut done = 0;
            while let Some(event) = run.next().await {
                done += usize::from(is_done(&event));
            }
            assert_eq!(done, paths.len(), "every file arrives");
            permits(run.progress())
        });
        Cost {
            bytes: 0,
            wall: wall.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - cpu,
            permits,
        }
    }

    /// The same files again and again: what the server read between `warm_up` and `until`, both
    /// counted from the first byte. Ended by dropping, with what is in flight.
    pub fn flow(&self, job: &Job, warm_up: Duration, until: Duration) -> Cost {
        let client = self.client(job);
        self.runtime.block_on(async {
            let corpus = job.corpus.paths.clone();
            let again = std::iter::repeat_with(move || corpus.clone()).flatten();
            let prefix = self.prefix();
            let items = again.enumerate().map(move |(number, path)| {
                let mut item = Item::new(path);
                item.remote = format!("{prefix}-{number}");
                item
            });
            let mut run = client.start(items).expect("threads");
            let progress = Arc::clone(run.progress());
            let began = Instant::now();
            while sent(&progress) == 0 {
                assert!(began.elapsed() < PATIENCE, "no byte leaves");
                look(&mut run, BEAT).await;
            }
            let first = Instant::now();
            watch(&mut run, first + warm_up).await;
            let (cpu, wall, before) = (cpu_seconds(), Instant::now(), self.arrived());
            watch(&mut run, first + until).await;
            Cost {
                bytes: self.arrived() - before,
                wall: wall.elapsed().as_secs_f64(),
                cpu: cpu_seconds() - cpu,
                permits: permits(&progress),
            }
        })
    }

    fn arrived(&self) -> u64 {
        arrived::bytes(&self.options.api)
    }

    fn client(&self, job: &Job) -> Client {
        let mut options = self.options.clone();
        options.concurrency = job.concurrency;
        options.http = job.http;
        Client::new(options).expect("good options")
    }

    /// Under names that no run had before: nothing is resumed.
    fn items(&self, paths: &[PathBuf]) -> Vec<Item> {
        let prefix = self.prefix();
        let item = |(number, path)| {
            let mut item = Item::new(path);
            item.remote = format!("{prefix}-{number}");
            item
        };
        paths.iter().enumerate().map(item).collect()
    }

    fn prefix(&self) -> String {
        format!("run-{}", self.runs.fetch_add(1, Ordering::Relaxed))
    }
}

/// Follows a run until `deadline`.
async fn watch(run: &mut Run, deadline: Instant) {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        look(run, left).await;
    }
}

/// The next event, or nothing within `time`.
async fn look(run: &mut Run, time: Duration) {
    if let Ok(event) = tokio::time::timeout(time, run.next()).await {
        is_done(&event.expect("it goes on for ever"));
    }
}

fn is_done(event: &Event) -> bool {
    match event {
        Event::File(outcome) => {
            if let Status::Failed(error) = &outcome.status {
                panic!("{error}");
            }
            true
        }
        _ => false,
    }
}

fn permits(progress: &Progress) -> usize {
    progress.snapshot().permits
}

fn sent(progress: &Progress) -> u64 {
    progress.snapshot().sent
}

pub fn cpu_seconds() -> f64 {
    panup::internals::source::processor_time().as_secs_f64()
}

/// As many calls as it can make: the service's limits are not what is measured here.
/// Calls a second.
const RATE: f64 = 10_000.0;
const BEAT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
