//! The configuration of one emulator: one plain struct with a default for everything. Nothing is
//! read from the environment or from a file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::network::{NetworkConditions, Place};
use crate::operation::Operation;

/// Everything that is fixed when an emulator starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API base listens. With a port other than 0 the upload servers take the ports
    /// that follow it; with 0 every port is the system's choice.
    pub listen: SocketAddr,
    /// How many upload servers there are, each on its own port. At least one.
    pub servers: usize,
    /// The addresses that `create` and `domain` hand out, in place of the real ones: for a proxy
    /// that stands in front. Must name as many as there are servers, or be empty.
    pub advertise: Vec<String>,
    /// Plain sockets, or TLS under a certificate authority of the emulator's own.
    pub tls: Tls,
    /// Streams that an h2 client may have open on one connection.
    pub h2_streams: u32,
    /// Bytes that one of them may have on its way before it is granted more; a connection has four times as
    /// many, 2 GiB at most.
    pub h2_window: u32,
    /// Bearer tokens that are good from the start and never run out by themselves.
    pub tokens: Vec<String>,
    /// Refresh tokens that are good from the start; each works once.
    pub refresh_tokens: Vec<String>,
    /// Authorization codes that are good from the start; each works once.
    pub oauth_codes: Vec<String>,
    /// The client id that may log in, and refresh.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where the bytes go.
    pub store: Store,
    /// Whether MD5s are checked. Off, everything else is still checked.
    pub verify: bool,
    /// Bytes of every slice but the last.
    pub slice_size: u64,
    /// How often `upload_complete` answers that it is still verifying before it says so.
    pub polls: u32,
    /// What such an answer looks like.
    pub pending: Pending,
    /// The first id that is given to a file or folder; the next are consecutive.
    pub first_id: i64,
    /// Folders that exist from the start, as remote paths.
    pub folders: Vec<String>,
    /// Harmless differences in how answers are spelled.
    pub quirks: Quirks,
    /// What can also be changed while the emulator runs.
    pub limits: Limits,
    /// Faults that wait from the start.
    pub faults: Vec<Fault>,
    /// Network conditions from the start.
    pub network: Vec<(Place, NetworkConditions)>,
    /// How many calls the statistics keep one by one; counters go on for ever.
    pub calls_kept: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            servers: 2,
            advertise: Vec::new(),
            tls: Tls::Off,
            h2_streams: 100,
            h2_window: 1 << 20,
            tokens: vec![TOKEN.to_owned()],
            refresh_tokens: vec![REFRESH_TOKEN.to_owned()],
            oauth_codes: Vec::new(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            store: Store::Discard,
            verify: true,
            slice_size: 16 << 20,
            polls: 1,
            pending: Pending::Verifying,
            first_id: 11_522_654,
            folders: Vec::new(),
            quirks: Quirks::default(),
            limits: Limits::default(),
            faults: Vec::new(),
            network: Vec::new(),
            calls_kept: 200_000,
        }
    }
}

/// Plain sockets or TLS, and what ALPN offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain `http://`, HTTP/1.1 only: the service's gateway speaks no h2c.
    #[default]
    Off,
    /// `https://`, h2 and http/1.1 offered.
    Both,
    /// `https://`, only http/1.1 offered.
    Http1,
}

/// Where the bytes of accepted files go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Below this folder, each under its remote path. Files that are already there count as
    /// taken names.
    Dir(PathBuf),
    /// Nowhere: bytes are counted and, with `verify`, hashed slice by slice. The MD5 of a whole
    /// file is then checked only for files of one slice and for single uploads.
    #[default]
    Discard,
}

/// How `upload_complete` says "not yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// Body code 20103, as observed.
    #[default]
    Verifying,
    /// Code 0 with `completed: false`, as documented.
    NotCompleted,
    /// One and the other in turn, 20103 first.
    InTurn,
}

/// Harmless differences in how answers are spelled: a client must cope with every one.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// Server addresses come without `http://` or `https://`.
    pub no_scheme: bool,
    /// Server addresses end in `/`.
    pub trailing_slash: bool,
    /// `fileId` instead of `fileID`, and the other way round.
    pub file_id_spelling: bool,
    /// Numbers inside `data` come as strings.
    pub numbers_as_strings: bool,
    /// The envelope and `data` carry undocumented fields.
    pub extra_fields: bool,
    /// `data` is left out where it would be null.
    pub no_data: bool,
    /// What create answers when the content is already there.
    pub reuse: Reuse,
    /// `mkdir` answers without `dirID`.
    pub no_dir_id: bool,
    /// A refused token is answered with HTTP 401 instead of body code 401.
    pub http_401: bool,
}

/// What create answers when the content is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// `reuse: true` with the id of the new file.
    #[default]
    WithId,
    /// `reuse: true` with `fileID` 0.
    WithoutId,
    /// Nothing is ever reused: benchmarks may send the same bytes again.
    Never,
}

/// What the service restricts; can be changed while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bodies without a `Content-Length` are answered with HTTP 411.
    pub refuse_chunked: bool,
    /// Calls on one connection; with the last comes `Connection: close` or GOAWAY.
    pub calls_per_connection: Option<u64>,
    /// How long a slice or single body may take to arrive.
    pub body_deadline: Option<Deadline>,
    /// Calls per second of an operation, over all clients.
    pub rates: BTreeMap<Operation, Rate>,
    /// After so many calls under one fetched token it has run out.
    pub calls_per_token: Option<u64>,
    /// Lifetime of a fetched token in seconds.
    pub token_seconds: u64,
    /// Lifetime of an access token of OAuth in seconds.
    pub oauth_seconds: u64,
    /// Lifetime of a refresh token in seconds.
    pub refresh_seconds: u64,
    /// Tokens that live at once per client id; one more kicks out the oldest.
    pub live_tokens: usize,
    /// Logins after which each further one is refused: the number of tokens is exceeded.
    pub logins: Option<u64>,
    /// The status of every file that is stored from now on; above 100 review has refused it.
    pub review: i64,
    /// A call that needs a folder which an overlapping call is just making is refused.
    pub refuse_folder_races: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            refuse_chunked: false,
            calls_per_connection: None,
            body_deadline: None,
            rates: BTreeMap::new(),
            calls_per_token: None,
            token_seconds: 30 * 24 * 3600,
            oauth_seconds: 7200,
            refresh_seconds: 90 * 24 * 3600,
            live_tokens: 3,
            logins: None,
            review: 0,
            refuse_folder_races: false,
        }
    }
}

/// The gateway's patience with the body of a slice or single call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// Milliseconds from the request's head to the last byte of its body.
    pub millis: u64,
    /// What the HTTP 500 that follows has in its body.
    #[serde(default)]
    pub answer: Late,
}

/// Body of the HTTP 500 for a body that came too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The text `i/o timeout`.
    #[default]
    IoTimeout,
    /// Nothing.
    Empty,
}

/// A call rate, and how going over it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls per second.
    pub per_second: f64,
    /// Calls that may come at once; at least 1.
    #[serde(default = "one")]
    pub burst: f64,
    /// How one too many is answered.
    #[serde(default)]
    pub answer: TooFast,
}

/// How a call over the rate is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooFast {
    /// HTTP 200 with body code 429.
    #[default]
    Code,
    /// HTTP 429, empty, with `Retry-After: 1`.
    Http,
}

fn one() -> f64 {
    1.0
}

/// The token that is good unless the configuration says otherwise.
pub const TOKEN: &str = "emulator-token";
/// The refresh token that is good, once, unless the configuration says otherwise.
pub const REFRESH_TOKEN: &str = "emulator-refresh-token";
/// The client id that may log in unless the configuration says otherwise.
pub const CLIENT_ID: &str = "emulator-client";
/// The secret of [`CLIENT_ID`].
pub const CLIENT_SECRET: &str = "emulator-secret";

/// The error with what it is about.
pub(crate) fn naming(what: impl std::fmt::Display, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{what}: {error}"))
}
