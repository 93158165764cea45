//! What all runs of a client share: connections, token, limits, servers and journal.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::time::Instant;

use super::attempt::{Terms, call};
use super::descriptors::Shares;
use super::failures::Failures;
use super::fleet::{Crew, Fleet, Plain};
use super::folders::Folders;
use super::gate::Gate;
use super::keyring::Keyring;
use super::rates::Rates;
use super::run::Shared;
use crate::auth::{Secret, Tokens};
use crate::error::{Error, Operation, Result};
use crate::http::Preference;
use crate::journal::{self, Account, Journal};
use crate::net::{Pool, PoolSettings};
use crate::options::Options;
use crate::policy::{Allowance, Bandwidth, Limit, LimitSettings, Repeat, Retry};
use crate::service::Service;
use crate::source::{self, Descriptors, Memory};
use crate::sync::Mutex;

/// What all runs of a client share.
#[derive(Debug)]
pub struct Core {
    pub(super) options: Options,
    pub(super) service: Service,
    pub(super) pool: Pool,
    pub(super) keyring: Keyring,
    pub(super) gate: Arc<Gate>,
    pub(super) rates: Rates,
    pub(super) fleet: Arc<Fleet>,
    pub(super) folders: Arc<Folders>,
    pub(super) journal: Journal,
    /// A journal that could not be opened: told once, and the upload goes on.
    pub(super) trouble: Mutex<Option<Error>>,
    pub(super) account: Arc<Account>,
    pub(super) retry: Retry,
    pub(super) bandwidth: Option<Mutex<Bandwidth>>,
    pub(super) source_settings: source::Settings,
    /// For slices that are read instead of mapped.
    pub(super) memory: Memory,
    /// One file at a time waits for memory as a whole: see `single`.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// Who may hold how many descriptors.
    pub(super) shares: Shares,
    pub(super) hash_threads: usize,
    /// Body bytes that sockets took, of all runs.
    pub(super) carried: AtomicU64,
    /// The slice size that the next create is expected to answer.
    pub(super) slice_size: AtomicU64,
    /// The servers for single/create, once asked for.
    pub(super) single: tokio::sync::Mutex<Option<Crew>>,
    /// Times that they were asked for in vain.
    pub(super) unasked: Failures,
}

impl Core {
    /// What `options` ask for; nothing has been said to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the options make no sense.
    pub(super) fn new(options: Options) -> Result<Core> {
        let api = options.check()?;
        let shares = Shares::of(Descriptors::now());
        let pool = Pool::new(pool_settings(&options, shares))?;
        // A user who wants HTTP/1.1 wants it for every call.
        let asked = match options.http {
            Preference::H1 => Preference::H1,
            Preference::Auto | Preference::H2 => Preference::Auto,
        };
        let service = Service::new(pool.clone(), api.clone(), asked);
        let tokens = Tokens::new(
            options.credential.clone(),
            &api.to_string(),
            options.state_dir.as_deref(),
        );
        let kept = journal::Settings {
            limit: options.journal_limit,
            ..journal::Settings::default()
        };
        let open = |dir| Journal::open_with(dir, kept);
        let (journal, trouble) = match options.state_dir.as_deref().map(open) {
            Some(Ok(journal)) => (journal, None),
            Some(Err(error)) => (
                Journal::off(),
                Some(error.advice("this run cannot be resumed")),
            ),
            None => (Journal::off(), None),
        };
        let limit = LimitSettings {
            fixed: options
                .concurrency
                .map(|fixed| fixed.min(shares.connections)),
            max: LimitSettings::default().max.min(shares.bodies()),
            ..LimitSettings::default()
        };
        let plain = if options.allow_http {
            Plain::Allowed
        } else {
            Plain::Refused
        };
        let maps = source::Settings {
            maps: options.maps,
            ..source::Settings::default()
        };
        let account = Arc::new(Account {
            api: api.to_string(),
            name: options.account_name(),
        });
        journal.adopt(&account, options.credential.legacy_account().as_deref());
        Ok(Core {
            keyring: Keyring::new(tokens, service.clone(), options.retry),
            service,
            pool,
            gate: Gate::new(Limit::new(limit, Instant::now())),
            rates: Rates::new(&options.call_rates),
            fleet: Fleet::new(plain, api.scheme, options.http),
            folders: Arc::default(),
            journal,
            trouble: Mutex::new(trouble),
            account,
            retry: options.retry,
            bandwidth: options
                .limit_rate
                .map(|rate| Mutex::new(Bandwidth::new(rate))),
            source_settings: maps,
            memory: Memory::default(),
            reading: tokio::sync::Mutex::default(),
            shares,
            hash_threads: options.hash_threads.unwrap_or_else(processors),
            carried: AtomicU64::new(0),
            slice_size: AtomicU64::new(USUAL_SLICE),
            single: tokio::sync::Mutex::default(),
            unasked: Failures::default(),
            options,
        })
    }

    /// The servers for single/create, asked for once.
    pub(super) async fn single_crew(
        &self,
        shared: &Shared,
        allowance: &Mutex<Allowance>,
    ) -> Result<Crew> {
        let failed = self.unasked.count();
        let mut known = self.single.lock().await;
        if let Some(crew) = &*known {
            return Ok(Arc::clone(crew));
        }
        self.unasked.since(failed)?;
        let terms = Terms {
            repeat: Repeat::Safe,
            allowance,
        };
        let once = |token: Secret| {
            let service = self.service.clone();
            async move { service.domain(token.expose()).await }
        };
        let (names, _) = call(shared, Operation::Domain, terms, once)
            .await
            .inspect_err(|error| self.unasked.note(error))?;
        let crew = self.fleet.admit(&names)?;
        *known = Some(Arc::clone(&crew));
        Ok(crew)
    }
}

fn pool_settings(options: &Options, shares: Shares) -> PoolSettings {
    PoolSettings {
        connections_per_server: shares.per_server(options.connections),
        connections: shares.connections,
        roots: options.roots.clone(),
        timeouts: options.timeouts,
        // A peer that vanished is to be noticed before a request would have stalled.
        ping: (options.timeouts.stall * 3 / 4).min(LONGEST_SILENCE),
        ..PoolSettings::default()
    }
}

/// One hashing thread for each.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// After so long without a word a server is pinged, over HTTP/2.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// `sliceSize` in every observation. It is only a guess of what create will say: hashing slices of
/// another size was work in vain, and nothing worse.
const USUAL_SLICE: u64 = 16 << 20;
