//! The state that all calls of one emulator share: configuration, storage, faults, network.
//! Tests, the control page and faults change it in the same way.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use crate::call_log::CallLog;
use crate::config::{Config, Limits};
use crate::fault::{Fault, Faults};
use crate::network::{Network, NetworkConditions, Place, Service};
use crate::rate::Rates;
use crate::storage::Storage;
use crate::tokens::{Grant, Tokens};
use crate::upload_table::UploadTable;

/// What the calls share.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) storage: Storage,
    pub(crate) uploads: UploadTable,
    pub(crate) call_log: Arc<CallLog>,
    pub(crate) tokens: Mutex<Tokens>,
    pub(crate) rates: Mutex<Rates>,
    pub(crate) faults: Mutex<Faults>,
    /// Upload servers as `create` and `domain` spell them.
    pub(crate) servers: Vec<String>,
    limits: Mutex<Arc<Limits>>,
    listeners: Vec<ListenerHandle>,
    moments: AtomicU64,
}

/// The handle on one listening place.
pub(crate) struct ListenerHandle {
    pub(crate) network: Arc<Network>,
    pub(crate) commands: UnboundedSender<ListenerCommand>,
}

/// A command to a listening place. It answers when it is done.
pub(crate) enum ListenerCommand {
    /// Refuse and reset.
    Close(SyncSender<()>),
    /// Listen again.
    Open(SyncSender<()>),
}

/// What can be changed at once, by a file or over HTTP.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Faults to inject, in this command, after those that wait already.
    pub faults: Vec<Fault>,
    /// Network conditions to set.
    #[serde(alias = "weather")]
    pub network: Vec<PlaceConditions>,
    /// The limits from now on, if they are to change. What it does not name has its default.
    pub limits: Option<Limits>,
}

/// Network conditions for a place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceConditions {
    /// Where.
    pub place: Place,
    /// What it will be like.
    #[serde(flatten)]
    pub conditions: NetworkConditions,
}

impl State {
    pub(crate) fn new(
        config: Config,
        servers: Vec<String>,
        listeners: Vec<ListenerHandle>,
    ) -> io::Result<Arc<Self>> {
        let storage = Storage::open(&config)?;
        for folder in &config.folders {
            storage.make_folder(folder)?;
        }
        let mut tokens = Tokens::default();
        config.tokens.iter().for_each(|token| tokens.allow(token));
        for token in &config.refresh_tokens {
            tokens.allow_grant(Grant::RefreshToken, token);
        }
        for code in &config.oauth_codes {
            tokens.allow_grant(Grant::AuthorizationCode, code);
        }
        let mut faults = Faults::default();
        config.faults.iter().cloned().for_each(|f| faults.inject(f));
        Ok(Arc::new(Self {
            storage,
            uploads: UploadTable::default(),
            call_log: Arc::new(CallLog::new(config.servers, config.calls_kept)),
            tokens: Mutex::new(tokens),
            rates: Mutex::default(),
            faults: Mutex::new(faults),
            servers,
            limits: Mutex::new(Arc::new(config.limits.clone())),
            listeners,
            moments: AtomicU64::new(1),
            config,
        }))
    }

    /// A moment later than all before. Calls overlap where their moments do.
    pub(crate) fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&lock(&self.limits))
    }

    pub(crate) fn limit(&self, limits: Limits) {
        self.storage.set_review(limits.review);
        *lock(&self.limits) = Arc::new(limits);
    }

    pub(crate) fn apply(&self, script: Script) {
        if let Some(limits) = script.limits {
            self.limit(limits);
        }
        for at in script.network {
            let _ = self.change_network(at.place, at.conditions);
        }
        let mut faults = lock(&self.faults);
        script.faults.into_iter().for_each(|f| faults.inject(f));
    }

    /// Changes the network, and returns how to wait until a change of service has happened.
    pub(crate) fn change_network(
        &self,
        place: Place,
        conditions: NetworkConditions,
    ) -> ServiceChange {
        let Some(listener) = self.listener(place) else {
            return ServiceChange(None);
        };
        let before = listener.network.conditions().service;
        listener.network.change(conditions);
        let (done, waiting) = sync_channel(1);
        let command = match (before, conditions.service) {
            (Service::Dead, Service::Dead) => return ServiceChange(None),
            (_, Service::Dead) => ListenerCommand::Close(done),
            (Service::Dead, _) => ListenerCommand::Open(done),
            _ => return ServiceChange(None),
        };
        // The receiver is gone only when the emulator is stopping.
        let _ = listener.commands.send(command);
        ServiceChange(Some(waiting))
    }

    /// The same conditions with another service.
    pub(crate) fn change_service(&self, place: Place, service: Service) -> ServiceChange {
        let Some(listener) = self.listener(place) else {
            return ServiceChange(None);
        };
        let conditions = NetworkConditions {
            service,
            ..listener.network.conditions()
        };
        self.change_network(place, conditions)
    }

    pub(crate) fn network(&self, place: Place) -> Arc<Network> {
        let listener = self.listener(place).expect("calls come in by a listener");
        Arc::clone(&listener.network)
    }

    fn listener(&self, place: Place) -> Option<&ListenerHandle> {
        match place {
            Place::Api => self.listeners.first(),
            Place::Server(server) => self.listeners.get(server.checked_add(1)?),
        }
    }
}

/// A change of service that is being made.
pub(crate) struct ServiceChange(Option<std::sync::mpsc::Receiver<()>>);

impl ServiceChange {
    /// Blocks until it is made.
    pub(crate) fn wait(self) {
        if let Some(waiting) = self.0 {
            let _ = waiting.recv_timeout(LONGEST_CHANGE);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change takes milliseconds; a longer wait is for an emulator that is gone.
const LONGEST_CHANGE: Duration = Duration::from_secs(5);
