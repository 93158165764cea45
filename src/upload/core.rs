//! What all runs of a client share beside its transfers: the journal, the folders, and what this
//! machine has room for.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::descriptors::Shares;
use super::folders::Folders;
use crate::auth::{self, Tokens};
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::{LazyPools, processors};
use crate::http::Preference;
use crate::journal::{self, Account, Journal};
use crate::net::{Congestion, Origin, PoolSettings, Proxies};
use crate::options::Options;
use crate::policy::{LimitSettings, USUAL_SLICE};
use crate::source::{self, Descriptors, Memory};
use crate::sync::Mutex;
use crate::transfer::{self, Lesson, Plain, Transfer};

/// What all runs of a client share.
#[derive(Debug)]
pub struct Core {
    pub(super) options: Options,
    pub(super) transfer: Arc<Transfer>,
    pub(super) folders: Arc<Folders>,
    pub(super) journal: Journal,
    /// A journal that could not be opened: told once, and the upload goes on.
    pub(super) unopened: Mutex<Option<Error>>,
    /// The account's name in the journal; not known before a first token where only that tells it.
    account: OnceLock<Arc<Account>>,
    /// The API base, as the journal has it.
    api: String,
    pub(super) source_settings: source::Settings,
    /// For slices that are read instead of mapped.
    pub(super) memory: Memory,
    /// One file at a time waits for memory as a whole: see `single`.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// Bytes that slices hashed ahead of the senders may have, in [`READ_AHEAD_UNIT`]s.
    pub(super) read_ahead: Arc<Semaphore>,
    /// How many descriptors files and connections may hold.
    pub(super) shares: Shares,
    /// The threads that hash.
    pub(super) hash_pools: LazyPools,
    /// The slice size that the next create is expected to answer. Only a guess: hashing slices of
    /// another size was work in vain, and nothing worse.
    pub(super) slice_size: Arc<AtomicU64>,
}

impl Core {
    /// What `options` ask for; nothing has been said to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the options make no sense.
    pub(super) fn new(options: Options) -> Result<Core> {
        let opened = open_journal(&options, journal::network_file_system)?;
        Core::with(options, opened)
    }

    /// The same for runs that leave everything as it is: there is a journal where one was, and nothing
    /// is written to it.
    ///
    /// # Errors
    /// As [`Core::new`].
    pub(super) fn to_read(options: Options) -> Result<Core> {
        let opened = read_journal(&options);
        Core::with(options, opened)
    }

    fn with(options: Options, (journal, unopened): (Journal, Option<Error>)) -> Result<Core> {
        let api = options.check()?;
        let shares = Shares::of(Descriptors::now());
        let tokens = Tokens::new(
            options.credential.clone(),
            &api.to_string(),
            options.state_dir.as_deref(),
        );
        let base = api.to_string();
        let transfer = Transfer::new(transfer_settings(&options, api, shares), tokens)?;
        let hash_threads = options.hash_threads.unwrap_or_else(processors);
        let name = options.account_name();
        let core = Core {
            transfer,
            folders: Arc::default(),
            journal,
            unopened: Mutex::new(unopened),
            account: OnceLock::new(),
            api: base,
            source_settings: source::Settings {
                maps: options.maps,
                ..source::Settings::default()
            },
            memory: Memory::default(),
            reading: tokio::sync::Mutex::default(),
            read_ahead: Arc::new(Semaphore::new(READ_AHEAD_UNITS)),
            shares,
            hash_pools: LazyPools::new(hash_threads),
            slice_size: Arc::new(AtomicU64::new(USUAL_SLICE)),
            options,
        };
        if let Some(name) = name {
            core.name_account(name)?;
        }
        core.transfer.remembers(core.journal.links());
        Ok(core)
    }

    /// Remembers what was found of the links in use, for later runs.
    pub(super) fn keep_links(&self) {
        for lesson in self.transfer.lessons() {
            match lesson {
                Lesson::Keep(link) => self.journal.keep_link(link),
                Lesson::Forget(network, server) => self.journal.forget_link(&network, &server),
            }
        }
    }

    /// Whether files can be uploaded with these options.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): the journal is where none can be kept.
    pub(super) fn is_fit(&self) -> Result<()> {
        let unopened = self.unopened.lock();
        let unfit = unopened
            .as_ref()
            .filter(|error| error.kind() == Kind::Invalid);
        unfit.map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Sees that the account's name is known: asks for a token where only that tells it. May wait for
    /// the journal.
    ///
    /// # Errors
    /// As the token cannot be had.
    pub(super) async fn settle_account(&self) -> Result<()> {
        if self.account.get().is_none() {
            let token = self.transfer.token().await?;
            self.name_account(auth::account_of(&self.options.credential, &token))?;
        }
        Ok(())
    }

    /// What tells this account from others in the journal; [settled](Core::settle_account) before.
    pub(super) fn account(&self) -> Arc<Account> {
        let known = self.account.get().cloned();
        known.unwrap_or_else(|| self.named(String::new()))
    }

    fn name_account(&self, name: String) -> Result<()> {
        let account = self.named(name);
        let legacy = self.options.credential.legacy_account();
        self.journal.adopt(&account, legacy.as_deref())?;
        self.account.get_or_init(|| account);
        Ok(())
    }

    fn named(&self, name: String) -> Arc<Account> {
        let api = self.api.clone();
        Arc::new(Account { api, name })
    }
}

/// A checkpoint that cannot be used ends the run before it begins: who names one counts on it.
fn open_journal(
    options: &Options,
    network: impl Fn(&Path) -> Option<String>,
) -> Result<(Journal, Option<Error>)> {
    let settings = journal::Settings {
        limit: options.journal_limit,
        ..journal::Settings::default()
    };
    if let Some(checkpoint) = &options.checkpoint {
        let locks = options.state_dir.as_deref();
        return Ok((Journal::travelling(checkpoint, locks, settings)?, None));
    }
    if let Some(dir) = options.state_dir.as_deref()
        && let Some(kind) = network(dir)
    {
        return Ok((Journal::off(), Some(on_network(dir, &kind))));
    }
    let open = |dir| Journal::open_with(dir, settings);
    Ok(match options.state_dir.as_deref().map(open) {
        Some(Ok(journal)) => (journal, None),
        Some(Err(error)) => {
            let error = error.advice("this run cannot be resumed");
            (Journal::off(), Some(error))
        }
        None => (Journal::off(), None),
    })
}

/// A state folder that other machines have too: no upload is begun with it. Who only asks needs none.
fn on_network(dir: &Path, kind: &str) -> Error {
    let message = format!(
        "the state folder lies on a network file system ({kind}), where the journal is not safe"
    );
    let error = Error::new(Kind::Invalid, Operation::Journal, message).with_path(dir);
    error.advice(
        "name a folder on a disk of this machine in `Options::state_dir`, or a file in `Options::checkpoint`, which \
         may lie there",
    )
}

fn read_journal(options: &Options) -> (Journal, Option<Error>) {
    if let Some(checkpoint) = &options.checkpoint {
        let message = "the checkpoint is left alone: what it knows is not taken into account";
        let error = Error::new(Kind::State, Operation::Journal, message);
        return (Journal::off(), Some(error.with_path(checkpoint)));
    }
    let settings = journal::Settings {
        limit: u64::MAX,
        writes: false,
        ..journal::Settings::default()
    };
    let open = |dir: &Path| match Journal::is_in(dir)? {
        true => Journal::open_with(dir, settings),
        false => Ok(Journal::off()),
    };
    match options.state_dir.as_deref().map(open) {
        Some(Ok(journal)) => (journal, None),
        Some(Err(error)) => {
            let error = error.advice("what it may know is not taken into account");
            (Journal::off(), Some(error))
        }
        None => (Journal::off(), None),
    }
}

fn transfer_settings(options: &Options, api: Origin, shares: Shares) -> transfer::Settings {
    let limit = LimitSettings {
        fixed: options
            .concurrency
            .map(|fixed| fixed.min(shares.connections)),
        max: LimitSettings::default().max.min(shares.bodies()),
        ..LimitSettings::default()
    };
    transfer::Settings {
        api,
        // A user who wants HTTP/1.1 wants it for every call.
        api_version: match options.http {
            Preference::H1 => Preference::H1,
            Preference::Auto | Preference::H2 => Preference::Auto,
        },
        version: options.http,
        plain: if options.allow_http {
            Plain::Allowed
        } else {
            Plain::Refused
        },
        trusted_hosts: options.trusted_hosts.clone(),
        pool: pool_settings(options, shares),
        retry: options.retry,
        limit,
        call_rates: options.call_rates,
        limit_rate: options.limit_rate,
        yields: options.yields,
    }
}

fn pool_settings(options: &Options, shares: Shares) -> PoolSettings {
    let proxies = match (&options.proxy, options.environment_proxies) {
        (Some(proxy), _) => Proxies::Named(proxy.expose().to_owned()),
        (None, true) => Proxies::Environment,
        (None, false) => Proxies::Off,
    };
    let usual = PoolSettings::default();
    PoolSettings {
        proxies,
        connections_per_server: shares.per_server(options.connections),
        connections: shares.connections,
        roots: options.roots.clone(),
        timeouts: options.timeouts,
        congestion: congestion(options),
        watches_queue: options.yields,
        lookup: options.lookup.clone(),
        // A peer that vanished is to be noticed before a request would have stalled.
        ping: (options.timeouts.stall * 3 / 4).min(LONGEST_SILENCE),
        user_agent: options.user_agent.clone().unwrap_or(usual.user_agent),
        ..PoolSettings::default()
    }
}

/// Where room is left for others the pace is ours, and what they make us lose is not to slow connections beyond it: after
/// it CUBIC's take many seconds to carry the pace again, BBR's a few round trips. Where the kernel refuses BBR its own
/// choice stays.
fn congestion(options: &Options) -> Congestion {
    match options.congestion {
        Congestion::Auto if options.yields => Congestion::Bbr,
        asked => asked,
    }
}

/// After so long without a word a server is pinged, over HTTP/2.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// What the read-ahead is counted in, in bytes.
pub(super) const READ_AHEAD_UNIT: u64 = 64 << 10;

/// The read-ahead of all files together: 512 MiB, two groups of sixteen slices of 16 MiB, so that one
/// is hashed while the other waits for permits.
pub(super) const READ_AHEAD_UNITS: usize = (512 << 20) / READ_AHEAD_UNIT as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Credential, Secret};
    use crate::upload::Client;

    #[test]
    fn where_room_is_left_connections_are_bbrs_unless_asked_otherwise() {
        let mut options = Options::new(Credential::Token(Secret::new("t")));
        assert_eq!(congestion(&options), Congestion::Auto);
        options.yields = true;
        assert_eq!(congestion(&options), Congestion::Bbr);
        for asked in [Congestion::Cubic, Congestion::System] {
            options.congestion = asked;
            assert_eq!(congestion(&options), asked);
        }
    }

    #[test]
    fn a_state_folder_on_a_network_is_refused_and_a_checkpoint_there_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options::new(Credential::Token(Secret::new("t")));
        options.state_dir = Some(folder.path().join("state"));
        let nfs = |_: &Path| Some("nfs".to_owned());
        let opened = open_journal(&options, nfs).expect("no checkpoint");
        let core = Core::with(options.clone(), opened).expect("may log in");
        let client = Client::of(core);
        let error = client.start([]).expect_err("refused");
        assert_eq!(error.kind(), Kind::Invalid);
        let told = error.to_string();
        assert!(
            told.contains("(nfs)") && told.contains("checkpoint"),
            "{told}"
        );
        assert!(!folder.path().join("state").exists(), "nothing is made");
        options.checkpoint = Some(folder.path().join("checkpoint"));
        let (_, unopened) = open_journal(&options, nfs).expect("a checkpoint");
        assert_eq!(unopened, None);
    }
}
