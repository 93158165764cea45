//! An account as a [`Client`]: what it can be asked, and how its runs begin.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::Item;
use super::core::Core;
use super::event::{Event, Outcome, Status};
use super::listing::Lister;
use super::run::Purpose;
use super::stream::Run;
use super::sum;
use super::verify::Checker;
use crate::digest::Md5;
use crate::error::{Operation, Result};
use crate::http::Version;
use crate::journal::Account;
use crate::net::{Origin, ServerStats};
use crate::options::Options;
use crate::transfer::Cancel;

/// An account at the service: connections, token, limits and journal, shared by all its runs.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) core: Arc<Core>,
}

impl Client {
    /// A client that has not said anything to the service yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) where the options make no sense.
    pub fn new(options: Options) -> Result<Client> {
        Core::new(options).map(Client::of)
    }

    /// Uploads one file to its end. Dropping the future cancels it.
    ///
    /// # Errors
    /// What made the file fail.
    pub async fn upload(&self, item: Item) -> Result<Outcome> {
        let mut run = self.begin(Purpose::Upload, [item].into_iter(), Lister::Pool)?;
        let mut ended = None;
        // To the run's end, not the file's: what was done is then on disk.
        while let Some(event) = run.next().await {
            if let Event::File(outcome) = event {
                ended = Some(outcome);
            }
        }
        match ended.ok_or_else(Cancel::error)? {
            Outcome {
                status: Status::Failed(error) | Status::Interrupted(error),
                ..
            } => Err(error),
            outcome => Ok(outcome),
        }
    }

    /// Starts uploading files.
    ///
    /// ```
    /// use panup::{Client, Credential, Event, Item, Options, Secret, Status};
    ///
    /// # let emulator = panup_emulator::Emulator::start(panup_emulator::Config::default())?;
    /// # let folder = tempfile::tempdir()?;
    /// # let token = emulator.token();
    /// # for name in ["a", "b"] {
    /// #     std::fs::write(folder.path().join(name), name)?;
    /// # }
    /// # let found = ["a", "b"].map(|name| folder.path().join(name));
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let mut options = Options::new(Credential::Token(Secret::new(token)));
    /// # options.api = emulator.api();
    /// options.concurrency = Some(8);
    /// let client = Client::new(options)?;
    /// let items = found.map(|path| Item::new(path));
    /// let mut run = client.start(items)?;
    /// while let Some(event) = run.next().await {
    ///     match event {
    ///         Event::File(outcome) => match outcome.status {
    ///             Status::Failed(error) => eprintln!("{error}"),
    ///             status => println!("{} {}", status.name(), outcome.path.display()),
    ///         },
    ///         Event::Warning(warning) => eprintln!("{warning}"),
    ///         _ => {}
    ///     }
    /// }
    /// let end = run.progress().snapshot();
    /// assert_eq!((end.files, end.files_done), (2, 2));
    /// # Ok::<(), panup::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Items are taken from `items` as the work goes on, so a hundred thousand of them cost no memory; more
    /// can be [added](Run::add) while it does. Nothing happens in the caller's thread.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) outside a tokio runtime with time and I/O, or with a journal
    /// where none can be kept; [`Kind::State`](crate::Kind::State) where no thread can be started.
    pub fn start<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        self.begin(Purpose::Upload, items.into_iter(), Lister::OwnThread)
    }

    /// Starts comparing files with what the service has where an upload would put them: each ends as
    /// [`Status::Present`], [`Status::Missing`], [`Status::Different`], or as [`Status::Failed`] where that
    /// cannot be told. Nothing is sent and nothing is changed. MD5s of earlier runs are taken where a file
    /// is still the same, unless [`Options::resume`] is [`Resume::Nothing`](crate::Resume::Nothing).
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn verify<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        self.begin(Purpose::Verify, items.into_iter(), Lister::OwnThread)
    }

    /// Compares receipts of uploaded files with what the service has.
    #[must_use]
    pub fn checker(&self) -> Checker {
        Checker::new(Arc::clone(&self.core.transfer))
    }

    pub(super) fn of(core: Core) -> Client {
        let core = Arc::new(core);
        Client { core }
    }

    pub(super) fn begin<I>(&self, purpose: Purpose, items: I, lister: Lister) -> Result<Run>
    where
        I: Iterator<Item = Item> + Send + 'static,
    {
        if purpose == Purpose::Upload {
            self.core.is_fit()?;
        }
        Run::begin(purpose, &self.core, (items, lister))
    }

    /// The MD5 of the file at `path`: the journal's, where the file is still the same, or worked out on a
    /// thread of its own. Dropping the future stops that.
    ///
    /// # Errors
    /// [`Kind::Source`](crate::Kind::Source): it cannot be read, or changed meanwhile.
    pub async fn md5(&self, path: &Path) -> Result<Md5> {
        sum::md5(&self.core, path).await
    }

    /// Fetches a token, or finds a good one in the cache: sees that the credential is taken.
    ///
    /// # Errors
    /// [`Kind::Auth`](crate::Kind::Auth) where the service refuses it.
    pub async fn login(&self) -> Result<()> {
        self.core.transfer.token().await.map(drop)
    }

    /// What tells this account from others in the journal. May ask for a token, where only that tells it.
    ///
    /// # Errors
    /// As the login fails.
    pub async fn account(&self) -> Result<Account> {
        self.core.settle_account().await?;
        Ok((*self.core.account()).clone())
    }

    /// The id of the remote folder `name` below the folder `parent` (0 is the root), which is made where
    /// it is not there.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn make_folder(&self, parent: i64, name: &str) -> Result<i64> {
        let transfer = &self.core.transfer;
        transfer
            .make_folder(transfer.own_scope(), parent, name)
            .await
    }

    /// Sees that there is a remote folder `name` below the folder `parent` (0 is the root): makes it
    /// where it is not there, and says whether it did. Costs one call, whatever is there.
    ///
    /// # Errors
    /// As the service or the way to it fails.
    pub async fn ensure_folder(&self, parent: i64, name: &str) -> Result<bool> {
        let transfer = &self.core.transfer;
        let scope = transfer.own_scope();
        transfer.ensure_folder(scope, parent, name).await
    }

    /// Moves files to the trash, from where the account's owner can take them back.
    ///
    /// # Errors
    /// As the service or the way to it fails; some of them may be there by then.
    pub async fn trash(&self, ids: &[i64]) -> Result<()> {
        let transfer = &self.core.transfer;
        transfer.trash(transfer.own_scope(), ids).await
    }

    /// What went wrong with the token cache since the last call, or whom a login waits for. A run
    /// tells it as [`Event::Warning`].
    #[must_use]
    pub fn next_warning(&self) -> Option<crate::Error> {
        self.core.transfer.take_warning()
    }

    /// From now on all runs of this client send no more than `rate` bytes of content a second, or as fast as
    /// they can: in the place of [`Options::limit_rate`], at any time.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid) as for that option; the rate stays what it was.
    pub fn set_limit_rate(&self, rate: Option<u64>) -> Result<()> {
        self.core.options.check_limit_rate(rate)?;
        self.core.transfer.set_limit_rate(rate, Instant::now());
        Ok(())
    }

    /// Calls per second that are granted now, as far as is known, by call.
    #[must_use]
    pub fn call_rates(&self) -> Vec<(Operation, f64)> {
        self.core.transfer.call_rates()
    }

    /// Groups of facts that the journal has written so far.
    #[must_use]
    pub fn journal_commits(&self) -> u64 {
        self.core.journal.commits()
    }

    /// What is known of each server that was spoken to so far.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerReport> {
        let transfer = &self.core.transfer;
        let versions: HashMap<_, _> = transfer.versions().into_iter().collect();
        let report = |(origin, stats): (Origin, ServerStats)| ServerReport {
            faster: versions.get(&origin).copied().flatten(),
            server: origin.to_string(),
            connections_opened: stats.opened,
            connections: stats.open,
            h1_requests: stats.h1_requests,
            h2_requests: stats.h2_requests,
            bytes: stats.bytes,
        };
        transfer.stats().into_iter().map(report).collect()
    }
}

/// What is known of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Its address, such as `https://upload.example.com`.
    pub server: String,
    /// The HTTP version that was found faster; `None` where it is not known yet.
    pub faster: Option<Version>,
    /// Connections opened so far.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections: u64,
    /// Requests answered over HTTP/1.1.
    pub h1_requests: u64,
    /// Requests answered over HTTP/2.
    pub h2_requests: u64,
    /// Bytes given to sockets, TLS and headers included.
    pub bytes: u64,
}
