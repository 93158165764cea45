//! The conductor. In: options and files. Out: events, counters, and in the end every file's
//! outcome. Never: a decision that a lower room could make, or a file that stops another.

mod attempt;
mod chain;
mod event;
mod feed;
mod file;
mod fleet;
mod folders;
mod gate;
mod hash;
mod keyring;
mod rates;
mod run;
mod sending;
mod slice;
mod state;
mod sums;
mod window;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use event::{Event, Outcome, Progress, Status, Summary};
pub use state::State;
pub use sums::{FileSum, FileSums, HashOptions, Input, Sum, hash_files};

use crate::error::{Error, Kind, Operation, Result};
use crate::journal::{Account, Journal};
use crate::net::{Pool, PoolSettings};
use crate::options::{Http, Options};
use crate::policy::{Bandwidth, Limit, LimitSettings, Repeat, Retry, version};
use crate::service::Service;
use crate::source;
use crate::token::{Secret, Tokens};
use attempt::call;
use fleet::{Crew, Fleet, Plain};
use folders::Folders;
use gate::Gate;
use hash::{Admitted, Hashed};
use keyring::Keyring;
use rates::Rates;
use run::{Parts, Shared};
use window::{Size, Window};

/// A file to upload, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The local file.
    pub path: PathBuf,
    /// The remote folder's id; 0 is the root.
    pub parent_id: i64,
    /// The name below that folder, or a path `folder/…/name`; missing folders are made.
    pub remote: String,
}

impl Item {
    /// A file that goes to the root folder under its own name.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Item {
        let path = path.into();
        let remote = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Item {
            path,
            parent_id: 0,
            remote,
        }
    }
}

/// An account at the service: connections, token, limits and journal, shared by all its runs.
#[derive(Debug, Clone)]
pub struct Client {
    core: Arc<Core>,
}

/// What all runs of a client share.
#[derive(Debug)]
struct Core {
    options: Options,
    service: Service,
    pool: Pool,
    keyring: Keyring,
    gate: Arc<Gate>,
    rates: Rates,
    fleet: Arc<Fleet>,
    folders: Arc<Folders>,
    journal: Journal,
    /// A journal that could not be opened: told once, and the upload goes on.
    trouble: Mutex<Option<Error>>,
    account: Arc<Account>,
    retry: Retry,
    bandwidth: Option<Mutex<Bandwidth>>,
    source_settings: source::Settings,
    hash_threads: usize,
    /// Body bytes that sockets took, of all runs.
    carried: AtomicU64,
    /// The slice size that the next create is expected to answer.
    slice_size: AtomicU64,
    /// The servers for single/create, once asked for.
    single: tokio::sync::Mutex<Option<Crew>>,
}

/// Slices hashed ahead of the dispatcher; with those in flight it is the read-ahead.
const CHANNEL: usize = 32;

/// `sliceSize` in every observation. It is only a guess of what create will say: hashing slices of
/// another size was work in vain, and nothing worse.
const USUAL_SLICE: u64 = 16 << 20;

/// Small files in memory at once, hashed and not yet uploaded.
const SMALL_WINDOW: Size = Size {
    files: 256,
    bytes: 24 << 20,
};

/// Mapped files hashed and not yet uploaded: bounded by open files, and by what the page cache is
/// likely to still hold when it is sent.
const LARGE_WINDOW: Size = Size {
    files: 128,
    bytes: 4 << 30,
};

/// Interrupted: what is in flight may take this long to land.
const GRACE: Duration = Duration::from_secs(5);

impl Client {
    /// A client that has not said anything to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where the options make no sense.
    pub fn new(options: Options) -> Result<Client> {
        let api = options.check()?;
        let pool = Pool::new(pool_settings(&options))?;
        let service = Service::new(pool.clone(), api.clone(), options.timeouts.limits());
        let tokens = Tokens::new(
            options.credential.clone(),
            &api.to_string(),
            options.state_dir.as_deref(),
        );
        let (journal, trouble) = match options.state_dir.as_deref().map(Journal::open) {
            Some(Ok(journal)) => (journal, None),
            Some(Err(error)) => (
                Journal::off(),
                Some(error.advice("this run cannot be resumed")),
            ),
            None => (Journal::off(), None),
        };
        let limit = LimitSettings {
            fixed: options.concurrency,
            ..LimitSettings::default()
        };
        let plain = if options.allow_http {
            Plain::Allowed
        } else {
            Plain::Refused
        };
        let wish = match options.http {
            Http::Auto => version::Wish::Auto,
            Http::H1 => version::Wish::H1,
            Http::H2 => version::Wish::H2,
        };
        let maps = source::Settings {
            maps: options.maps,
            ..source::Settings::default()
        };
        let core = Core {
            keyring: Keyring::new(tokens, service.clone()),
            service,
            pool,
            gate: Gate::new(Limit::new(limit, Instant::now())),
            rates: Rates::new(&options.call_rates),
            fleet: Fleet::new(plain, api.scheme, wish),
            folders: Arc::default(),
            journal,
            trouble: Mutex::new(trouble),
            account: Arc::new(Account {
                api: api.to_string(),
                name: options.credential.account(),
            }),
            retry: options.retry.rules(),
            bandwidth: options
                .limit_rate
                .map(|rate| Mutex::new(Bandwidth::new(rate))),
            source_settings: maps,
            hash_threads: options.hash_threads.unwrap_or_else(processors),
            carried: AtomicU64::new(0),
            slice_size: AtomicU64::new(USUAL_SLICE),
            single: tokio::sync::Mutex::default(),
            options,
        };
        Ok(Client {
            core: Arc::new(core),
        })
    }

    /// Uploads one file to its end. Dropping the future cancels it.
    ///
    /// # Errors
    /// What made the file fail.
    pub async fn upload(&self, item: Item) -> Result<Outcome> {
        let mut run = self.start([item])?;
        let mut ended = None;
        // To the run's end, not the file's: what was done is then on disk.
        while let Some(event) = run.next().await {
            if let Event::File(outcome) = event {
                ended = Some(outcome);
            }
        }
        match ended.ok_or_else(Shared::cancelled)? {
            Outcome {
                status: Status::Failed(error),
                ..
            } => Err(error),
            outcome => Ok(outcome),
        }
    }

    /// Starts uploading files. They are taken from `items` as the work goes on, so a hundred
    /// thousand of them cost no memory. Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        let (events, received) = mpsc::unbounded_channel();
        let (orders, ordered) = unbounded();
        let (slices, sliced) = bounded(CHANNEL);
        let shared = Shared::new(Parts {
            core: Arc::clone(&self.core),
            window: Window::new(LARGE_WINDOW),
            small: Window::new(SMALL_WINDOW),
            orders,
            events,
        });
        let feeders = threads("panup-feed", self.core.hash_threads)?;
        for _ in 0..self.core.hash_threads {
            let (ordered, slices) = (ordered.clone(), slices.clone());
            feeders.spawn(move || feed::run(&ordered, &slices));
        }
        let (gate, runtime) = (
            Arc::clone(&self.core.gate),
            tokio::runtime::Handle::current(),
        );
        let dispatcher = std::thread::Builder::new().name("panup-dispatch".to_owned());
        let started = dispatcher.spawn(move || slice::dispatch(&sliced, &gate, &runtime));
        started.map_err(|error| no_thread(&error))?;
        let (out, hashed) = mpsc::unbounded_channel();
        hash::start(&shared, items.into_iter(), &out)?;
        drop(out);
        let unopened = self
            .core
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        unopened
            .into_iter()
            .for_each(|trouble| shared.tell(Event::Warning(trouble)));
        let progress = Arc::clone(&shared.progress);
        let conductor = tokio::spawn(conduct(Arc::clone(&shared), hashed));
        Ok(Run {
            shared,
            events: received,
            progress,
            conductor,
        })
    }

    /// Fetches a token, or finds a good one in the cache: sees that the credential is taken.
    ///
    /// # Errors
    /// [`Kind::Auth`] where the service refuses it.
    pub async fn login(&self) -> Result<()> {
        self.core.keyring.token().await.map(drop)
    }

    /// Connections and requests so far, by server.
    #[must_use]
    pub fn servers(&self) -> Vec<(crate::net::Origin, crate::net::ServerStats)> {
        self.core.pool.stats()
    }

    /// The HTTP version that was found faster, by server; `None` where it is not known yet.
    #[must_use]
    pub fn versions(&self) -> Vec<(crate::net::Origin, Option<version::Version>)> {
        self.core.fleet.versions()
    }
}

impl Core {
    /// The servers for single/create, asked for once.
    async fn single_crew(&self, shared: &Shared) -> Result<Crew> {
        let mut known = self.single.lock().await;
        if let Some(crew) = &*known {
            return Ok(Arc::clone(crew));
        }
        let once = |token: Secret| {
            let service = self.service.clone();
            async move { service.domain(token.expose()).await }
        };
        let (names, _) = call(shared, Operation::Domain, Repeat::Safe, once).await?;
        let crew = self.fleet.admit(&names)?;
        *known = Some(Arc::clone(&crew));
        Ok(crew)
    }
}

/// Files on their way. Dropping it cancels what has not ended; the journal knows how to go on.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Option<Event>>,
    progress: Arc<Progress>,
    conductor: tokio::task::JoinHandle<()>,
}

impl Run {
    /// The next event; `None` when every file has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await.flatten()
    }

    /// The run's counters.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Starts nothing new and lets what is in flight land, for some seconds at most. Files that
    /// have not ended then fail with [`Kind::Cancelled`]; [`Run::next`] tells.
    pub fn interrupt(&self) {
        self.shared.drain();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.drain();
        self.conductor.abort();
    }
}

/// Takes files from the hashers, sets each on its way, and tells how it ended.
async fn conduct(shared: Arc<Shared>, mut hashed: mpsc::UnboundedReceiver<Admitted>) {
    let mut files = Files {
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        active: HashMap::new(),
    };
    let ticker = tokio::spawn(tick(Arc::downgrade(&shared)));
    let mut open = true;
    while open || !files.tasks.is_empty() {
        tokio::select! {
            admitted = hashed.recv(), if open => match admitted {
                Some(Admitted::Ready(file)) => files.start(*file),
                Some(Admitted::Ended(outcome)) => files.ended(*outcome),
                None => open = false,
            },
            Some(ended) = files.tasks.join_next_with_id(), if !files.tasks.is_empty() => files.joined(ended),
            () = shared.draining() => break,
        }
    }
    files.drain().await;
    ticker.abort();
    finish(&shared).await;
}

/// The files on their way, and what to say of one whose task did not end by itself.
struct Files {
    shared: Arc<Shared>,
    tasks: JoinSet<Outcome>,
    active: HashMap<tokio::task::Id, Outcome>,
}

impl Files {
    fn start(&mut self, file: Hashed) {
        let unfinished = Outcome {
            path: file.source.path().to_owned(),
            remote: file.task.remote.path().to_owned(),
            status: Status::Failed(Shared::cancelled().path(file.source.path())),
            size: file.source.len(),
            md5: Some(file.md5),
            sent: 0,
            elapsed: Duration::ZERO,
        };
        let handle = self
            .tasks
            .spawn(file::upload(Arc::clone(&self.shared), file));
        self.active.insert(handle.id(), unfinished);
    }

    fn joined(&mut self, ended: Result<(tokio::task::Id, Outcome), tokio::task::JoinError>) {
        match ended {
            Ok((id, outcome)) => {
                self.active.remove(&id);
                self.ended(outcome);
            }
            Err(error) => {
                if let Some(outcome) = self.active.remove(&error.id()) {
                    self.ended(outcome);
                }
            }
        }
    }

    fn ended(&self, outcome: Outcome) {
        // Refused credentials are refused for every file: the run ends.
        if matches!(&outcome.status, Status::Failed(error) if error.kind() == Kind::Auth) {
            self.shared.drain();
        }
        Progress::add(&self.shared.progress.files_done, 1);
        self.shared.tell(Event::File(outcome));
    }

    /// After an interrupt: what is in flight may land, then every file that is left is told off.
    async fn drain(&mut self) {
        let deadline = tokio::time::Instant::now() + GRACE;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(deadline, self.tasks.join_next_with_id()).await
        {
            self.joined(ended);
        }
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.joined(ended);
        }
    }
}

/// The journal last: what was acknowledged is on disk when the run has ended.
async fn finish(shared: &Arc<Shared>) {
    let journal = shared.core.journal.clone();
    let flushed = tokio::task::spawn_blocking(move || journal.flush()).await;
    if let Ok(Err(error)) = flushed {
        shared.tell(Event::Warning(error));
    }
    shared
        .core
        .keyring
        .take_trouble()
        .into_iter()
        .for_each(|trouble| shared.tell(Event::Warning(trouble)));
    while let Some(trouble) = shared.core.journal.trouble() {
        shared.tell(Event::Warning(trouble));
    }
    shared.tell_end();
}

/// Ten times a second: tells the gate how much sockets have taken, and shows its load.
async fn tick(shared: std::sync::Weak<Shared>) {
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        beat.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let gate = &shared.core.gate;
        gate.progressed(Instant::now(), shared.core.carried.load(Ordering::Relaxed));
        let (in_flight, permits) = gate.load();
        shared
            .progress
            .in_flight
            .store(in_flight, Ordering::Relaxed);
        shared.progress.permits.store(permits, Ordering::Relaxed);
    }
}

fn pool_settings(options: &Options) -> PoolSettings {
    PoolSettings {
        connections_per_server: options.connections,
        roots: options.roots.clone(),
        connect: options.timeouts.connect,
        ..PoolSettings::default()
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// A pool of named threads; its threads end when their work does.
fn threads(name: &'static str, count: usize) -> Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
    builder
        .thread_name(move |index| format!("{name}-{index}"))
        .build()
        .map_err(|error| no_thread(&error))
}

fn no_thread(error: &dyn std::error::Error) -> Error {
    Error::new(
        Kind::State,
        Operation::Configure,
        format!("no thread could be started: {error}"),
    )
}
