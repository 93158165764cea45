//! The handle of a running emulator: start, inspect, disturb, stop. It has threads of its own, so
//! that callers may be async or not.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::unbounded_channel;
use tokio_rustls::TlsAcceptor;

use crate::change::Change;
use crate::config::{Config, Limits, Tls, naming};
use crate::fault::Fault;
use crate::listener::{Listener, serve};
use crate::network::{Network, NetworkConditions, Place, Service};
use crate::state::{ListenerHandle, Script, State, lock};
use crate::stats::Stats;
use crate::storage::StoredFile;
use crate::tls;
use crate::tokens::Grant;

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    runtime: Option<Runtime>,
    state: Arc<State>,
    api: String,
    servers: Vec<String>,
    ca_pem: Option<String>,
}

impl Emulator {
    /// Starts to listen. When this returns, every place accepts.
    ///
    /// # Errors
    /// When a port cannot be had, when the folder cannot be made or read, or when the
    /// configuration contradicts itself.
    pub fn start(config: Config) -> io::Result<Self> {
        check(&config)?;
        let identity = tls::identity(config.tls, config.listen.ip())?;
        let acceptor = identity.as_ref().map(|own| &own.acceptor);
        let (listeners, handles) = bind(&config, acceptor)?;
        let mut bases = Vec::new();
        for listener in &listeners {
            bases.push(base(config.tls, listener.socket.local_addr()?));
        }
        let api = bases.remove(0);
        let advertised = match config.advertise.is_empty() {
            true => bases.iter().map(|base| spelled(&config, base)).collect(),
            false => config.advertise.clone(),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING)
            .thread_name("emulator")
            .enable_all()
            .build()?;
        let state = State::new(config, advertised, handles)?;
        for listener in listeners {
            runtime.spawn(serve(listener, Arc::clone(&state)));
        }
        Ok(Self {
            runtime: Some(runtime),
            state,
            api,
            servers: bases,
            ca_pem: identity.map(|own| own.ca_pem),
        })
    }

    /// The API base, such as `http://127.0.0.1:40001` or `https://localhost:40001`.
    pub fn api(&self) -> String {
        self.api.clone()
    }

    /// The upload servers, by number, as they really listen.
    pub fn servers(&self) -> Vec<String> {
        self.servers.clone()
    }

    /// The certificate that a client has to trust; none on plain sockets.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// A token that is good until [`Emulator::expire_tokens`].
    pub fn token(&self) -> &str {
        let tokens = &self.state.config.tokens;
        tokens.first().map_or("", String::as_str)
    }

    /// One more token that is good.
    pub fn allow_token(&self, token: &str) {
        lock(&self.state.tokens).allow(token);
    }

    /// What was seen so far. A call is entered before its answer leaves, so a client that has an
    /// answer finds it here; one that got none appears when its end is noticed.
    pub fn stats(&self) -> Stats {
        self.state.call_log.snapshot()
    }

    /// The files that were stored, by id.
    pub fn files(&self) -> Vec<StoredFile> {
        self.state.storage.files()
    }

    /// The files that are in the trash, by id, with the path that they had.
    pub fn trash(&self) -> Vec<StoredFile> {
        self.state.storage.files_in_trash()
    }

    /// Changes stored files from outside, as another client or the website would.
    ///
    /// # Errors
    /// When there is no such file, or the disk refuses.
    pub fn change(&self, change: &Change) -> io::Result<()> {
        change.make(&self.state.storage)
    }

    /// One more refresh token that is good once.
    pub fn allow_refresh_token(&self, token: &str) {
        lock(&self.state.tokens).allow_grant(Grant::RefreshToken, token);
    }

    /// A remote folder, made with all above it; its id.
    ///
    /// # Errors
    /// When a file has the name of one of them.
    pub fn make_folder(&self, path: &str) -> io::Result<i64> {
        Ok(self.state.storage.make_folder(path)?)
    }

    /// Lets calls go wrong from now on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.state.faults).inject(fault);
    }

    /// Faults, network conditions and limits at once, as a file or the control page brings them.
    pub fn apply(&self, script: Script) {
        self.state.apply(script);
    }

    /// No fault waits any more. Limits and network conditions stay.
    pub fn clear_faults(&self) {
        lock(&self.state.faults).clear();
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.state.limit(limits);
    }

    /// Every token has run out, the one of [`Emulator::token`] too.
    pub fn expire_tokens(&self) {
        lock(&self.state.tokens).expire_all();
    }

    /// No preuploadID is known any more.
    pub fn forget_uploads(&self) {
        self.state.uploads.forget();
    }

    /// Upload server `server` refuses connections, and those that were open are reset. Returns
    /// when that has happened.
    pub fn kill_server(&self, server: usize) {
        let change = self
            .state
            .change_service(Place::Server(server), Service::Dead);
        change.wait();
    }

    /// Upload server `server` is there again, on its old listener.
    pub fn revive_server(&self, server: usize) {
        let change = self
            .state
            .change_service(Place::Server(server), Service::Up);
        change.wait();
    }

    /// Other network conditions from now on.
    pub fn set_network(&self, place: Place, conditions: NetworkConditions) {
        self.state.change_network(place, conditions).wait();
    }

    /// Stops: pending are free and files closed when this returns.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        self.state.uploads.end();
        // A runtime must not be waited for on a thread that drives another one.
        let waiter = std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
        let _ = waiter.join();
        self.state.storage.close();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator")
            .field("api", &self.api)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

fn check(config: &Config) -> io::Result<()> {
    let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if config.servers == 0 {
        return wrong("at least one upload server is needed");
    }
    if config.slice_size == 0 {
        return wrong("slices need at least one byte");
    }
    if !config.advertise.is_empty() && config.advertise.len() != config.servers {
        return wrong("as many addresses have to be advertised as there are upload servers");
    }
    Ok(())
}

/// A socket for the API base and one for each upload server, with the handle on each.
fn bind(
    config: &Config,
    acceptor: Option<&TlsAcceptor>,
) -> io::Result<(Vec<Listener>, Vec<ListenerHandle>)> {
    let (mut listeners, mut handles) = (Vec::new(), Vec::new());
    for at in 0..=config.servers {
        let place = at.checked_sub(1).map_or(Place::Api, Place::Server);
        let address = address(config.listen, at)?;
        let socket = TcpListener::bind(address).map_err(|error| naming(address, &error))?;
        socket.set_nonblocking(true)?;
        let network = Arc::new(Network::new(conditions(config, place)));
        let (sender, commands) = unbounded_channel();
        handles.push(ListenerHandle {
            network: Arc::clone(&network),
            commands: sender,
        });
        listeners.push(Listener {
            place,
            socket,
            acceptor: acceptor.cloned(),
            commands,
            network,
        });
    }
    Ok((listeners, handles))
}

/// The API base listens at the configured address, the servers on the pending after it.
fn address(listen: SocketAddr, at: usize) -> io::Result<SocketAddr> {
    if listen.port() == 0 {
        return Ok(listen);
    }
    let port = u16::try_from(at)
        .ok()
        .and_then(|at| listen.port().checked_add(at));
    let too_high = || io::Error::new(io::ErrorKind::InvalidInput, "no pending are left");
    let port = port.ok_or_else(too_high)?;
    Ok(SocketAddr::new(listen.ip(), port))
}

fn base(tls: Tls, address: SocketAddr) -> String {
    match tls {
        Tls::Off => format!("http://{address}"),
        Tls::Both | Tls::Http1 if address.ip().is_loopback() => {
            format!("https://localhost:{}", address.port())
        }
        Tls::Both | Tls::Http1 => format!("https://{address}"),
    }
}

fn spelled(config: &Config, base: &str) -> String {
    let mut spelled = base;
    if config.quirks.no_scheme {
        spelled = spelled.split_once("://").map_or(spelled, |(_, rest)| rest);
    }
    let slash = if config.quirks.trailing_slash {
        "/"
    } else {
        ""
    };
    format!("{spelled}{slash}")
}

fn conditions(config: &Config, place: Place) -> NetworkConditions {
    let last = config.network.iter().rev().find(|(at, _)| *at == place);
    last.map(|(_, conditions)| *conditions).unwrap_or_default()
}

/// Sockets and framing need little; on a small machine the client shall have the rest.
const WORKERS: usize = 2;

/// Hashing and writing: more than the cores, because some of them wait for the disk.
const BLOCKING: usize = 8;

/// What blocking work may take to end: a batch takes a millisecond, the check of a large file
/// is given up.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
