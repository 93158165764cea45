//! The library for programs without tokio. In: the same options and items. Out: the same outcomes and
//! events, waited for on the thread that asks. Never: a call from within a runtime, whose thread would
//! stand still: that is an error.
//!
//! Names are those of the crate; a [`Client`] here has a small runtime of its own, which its runs share.
//!
//! ```
//! use panup::blocking::Client;
//! use panup::{Credential, Item, Options, Secret};
//!
//! # let emulator = panup_emulator::Emulator::start(panup_emulator::Config::default())?;
//! # let token = emulator.token();
//! let mut options = Options::new(Credential::Token(Secret::new(token)));
//! # options.api = emulator.api();
//! let client = Client::new(options)?;
//! let outcome = client.upload(Item::bytes("notes.txt", "contents"))?;
//! println!("{} {:?}", outcome.status.name(), outcome.status.file_id());
//! # assert_eq!(outcome.status.name(), "uploaded");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Handle, Runtime};

use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::journal::Account;
use crate::options::Options;
use crate::upload::{Client as AsyncClient, Event, Interrupter, Item, Outcome, Progress};
use crate::upload::{Run as AsyncRun, runtime};

/// An account at the service, as [`crate::Client`]. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Client {
    // Declared, and so dropped, before the runtime that it needs.
    client: AsyncClient,
    runtime: Arc<Own>,
}

/// A client's runtime. It ends without waiting: it may be dropped where waiting is not allowed.
#[derive(Debug)]
struct Own(Option<Runtime>);

impl Client {
    /// A client that has not said anything to the service yet, with a runtime of its own.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where the options make no sense, or within a tokio runtime;
    /// [`Kind::State`] where no thread can be had.
    pub fn new(options: Options) -> Result<Client> {
        outside()?;
        let runtime = runtime()?;
        let client = {
            let _inside = runtime.enter();
            AsyncClient::new(options)?
        };
        let runtime = Arc::new(Own(Some(runtime)));
        Ok(Client { client, runtime })
    }

    /// Uploads one file to its end.
    ///
    /// # Errors
    /// What made the file fail; [`Kind::Invalid`] within a tokio runtime.
    pub fn upload(&self, item: Item) -> Result<Outcome> {
        self.wait(self.client.upload(item))?
    }

    /// Starts uploading files, as [`crate::Client::start`].
    ///
    /// # Errors
    /// As there; [`Kind::Invalid`] within a tokio runtime.
    pub fn start<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        self.begin(|client| client.start(items))
    }

    /// Starts comparing files with what the service has, as [`crate::Client::verify`].
    ///
    /// # Errors
    /// As there; [`Kind::Invalid`] within a tokio runtime.
    pub fn verify<I>(&self, items: I) -> Result<Run>
    where
        I: IntoIterator<Item = Item>,
        I::IntoIter: Send + 'static,
    {
        self.begin(|client| client.verify(items))
    }

    /// The MD5 of the file at `path`, as [`crate::Client::md5`].
    ///
    /// # Errors
    /// As there; [`Kind::Invalid`] within a tokio runtime.
    pub fn md5(&self, path: &Path) -> Result<Md5> {
        self.wait(self.client.md5(path))?
    }

    /// Sees that the credential is taken, as [`crate::Client::login`].
    ///
    /// # Errors
    /// As there; [`Kind::Invalid`] within a tokio runtime.
    pub fn login(&self) -> Result<()> {
        self.wait(self.client.login())?
    }

    /// What tells this account from others, as [`crate::Client::account`].
    ///
    /// # Errors
    /// As there; [`Kind::Invalid`] within a tokio runtime.
    pub fn account(&self) -> Result<Account> {
        self.wait(self.client.account())?
    }

    /// The client itself, for what has no form here and needs no waiting.
    #[must_use]
    pub fn client(&self) -> &AsyncClient {
        &self.client
    }

    fn begin(&self, start: impl FnOnce(&AsyncClient) -> Result<AsyncRun>) -> Result<Run> {
        outside()?;
        let run = {
            let _inside = self.runtime.get().enter();
            start(&self.client)?
        };
        Ok(Run {
            run,
            runtime: Arc::clone(&self.runtime),
            is_over: false,
        })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        outside()?;
        Ok(self.runtime.get().block_on(work))
    }
}

/// Files on their way, as [`crate::Run`]: its events, one after the other. Dropping it cancels what has not
/// ended.
#[derive(Debug)]
pub struct Run {
    // Declared, and so dropped, before the runtime that it needs.
    run: AsyncRun,
    runtime: Arc<Own>,
    is_over: bool,
}

impl Run {
    /// The run's counters, to be sampled on any thread.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        self.run.progress()
    }

    /// Starts nothing new and lets what is in flight land, as [`crate::Run::interrupt`].
    pub fn interrupt(&self) {
        self.run.interrupt();
    }

    /// The run itself, for what has no form here and needs no waiting: adding files, pausing.
    #[must_use]
    pub fn run(&self) -> &AsyncRun {
        &self.run
    }

    /// Interrupts this run from elsewhere, such as a thread that waits for signals.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.run.interrupter()
    }
}

/// Waits for the next event. Where a run is taken into a tokio runtime, [`Event::Stopped`] says so, and
/// ends it.
impl Iterator for Run {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        if let Err(error) = outside() {
            self.is_over = true;
            return Some(Event::Stopped(error));
        }
        let event = self.runtime.get().block_on(self.run.next());
        self.is_over = event.is_none();
        event
    }
}

impl Own {
    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken by drop alone")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Sees that nobody else's runtime would stand still.
fn outside() -> Result<()> {
    if Handle::try_current().is_err() {
        return Ok(());
    }
    let message =
        "panup::blocking was called within a tokio runtime, whose thread it would hold up";
    let error = Error::new(Kind::Invalid, Operation::Configure, message);
    Err(error.advice("use `panup::Client` there, or a thread of its own (`std::thread::spawn`)"))
}
