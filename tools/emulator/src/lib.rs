//! The upload part of the 123pan open platform on loopback, with strict checks, faults and an
//! emulated network.
//!
//! It is what panup is tested and measured against, and its own reading of the service's documents:
//! it shares not a line with the client, because a field name that is misread in one place would
//! otherwise pass every test. It speaks HTTP on real sockets; there is no other way in.
//!
//! ```
//! use panup_emulator::{Action, Config, Cut, Emulator, Fault, Operation};
//!
//! let emulator = Emulator::start(Config::default())?;
//! let third = Fault::on(Operation::Slice, Action::Close(Cut::After(4096))).at(1).nth(3);
//! emulator.inject(third); // the third slice on server 1 is cut off after 4 KiB
//! // … point a client at emulator.api(), with emulator.token() …
//! assert_eq!(emulator.stats().of(Operation::Slice).calls, 0);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Places
//!
//! There is one API base and any number of upload servers, each on a port of its own. `slice` and
//! `single/create` are served by every upload server, all other calls by the base, and a call that comes to the wrong one is answered with
//! HTTP 404 and a message that says so. Plain places speak HTTP/1.1; with [`Tls::Both`] they offer
//! h2 and http/1.1 by ALPN under a certificate authority made at the start
//! ([`Emulator::ca_pem`]). No server speaks h2 without TLS, as the service's gateway does not.
//!
//! # What is checked
//!
//! Nearly every refusal is HTTP 200 with body code 1 and a message that names the field; a token
//! that is not good is code 401, a file still being verified 20103.
//!
//! - Headers: `Authorization: Bearer …`, `Platform: open_platform`, the content type, the method.
//! - JSON: every field there once, of its own type, in any case of letters, and no other.
//! - Forms: every part there once and no other, in any order; texts without a file name and the
//!   file with one; the boundary right up to the last byte. Where the `Content-Length` says that
//!   a file is as long as it has to be and the last delimiter follows, its bytes are counted
//!   rather than searched for the boundary; what follows them is checked all the same.
//! - Names: not empty, not all spaces, at most 255 characters, none of `"\/:*?|><`; with
//!   `containDir` each component by itself. `.`, `..` and NUL are refused too, because nothing
//!   could keep them.
//! - Sizes: not 0, at most 10 GiB in slices, at most 2³⁰ bytes in a single.
//! - Slices: a known preuploadID, a number in range, exactly the right length, exactly the MD5
//!   that was claimed. A slice may come again and replaces the first; a bad attempt never spoils
//!   one that was accepted, nor does one that is cut off.
//! - The end: every slice there, and the MD5 of the whole is the etag; otherwise 文件上传失败, for
//!   good. Before that `upload_complete` answers [`Config::polls`] times, and as long as the whole
//!   is being hashed, that it is still verifying. Asked again after the end it repeats itself.
//! - Names that are taken, by `duplicate`; folders, made along `containDir`; the parent, which has
//!   to exist. Content that is known by MD5 and size is reused.
//! - Two overlapping calls that need the same missing folder are counted
//!   ([`Stats::folder_races`]), and refused where [`Limits::refuse_folder_races`] says so.
//!
//! - Listings: `parentFileId` and a `limit` of 1 to 100, parameters of the query spelled so, once
//!   each, and no other; what is in the trash is listed too, with `trashed` 1. `infos` and `trash`
//!   take 1 to 100 ids; `trash` moves all of them or none.
//! - OAuth: a refresh token or code works once, and ends the access token of the refresh before.
//!
//! # Where the bytes go
//!
//! With [`Store::Dir`] a slice is written at its offset as it arrives, hashed on the way, and the
//! file gets its name when it is complete. The MD5 of the whole follows the slices from the front
//! by reading them back, and is only the slice's own where there is just one. With
//! [`Store::Discard`] nothing is kept: slices are still checked one by one, but the MD5 of a whole
//! file is checked only for files of one slice and for singles. [`Config::verify`] switches all
//! hashing off for benchmarks. No slice is ever held whole: what is read is handed on in batches
//! of 256 KiB.
//!
//! # Faults, limits, network
//!
//! - A [`Fault`] waits for an [`Operation`], perhaps on one server, and is due by ordinal
//!   ([`When`]); its [`Action`] says what happens. Nothing about it is random.
//! - [`Limits`] are what a service restricts: call rates, lifetimes of tokens, calls per
//!   connection, the gateway's patience with a body.
//! - [`NetworkConditions`] are what a link restricts: bandwidth shared by all connections of a place, latency
//!   on every answer and every new connection, and whether the server is up. It is a model: there is
//!   no slow start and no loss of packets, and only what comes in is slowed.
//!
//! All three come from [`Config`], by calls on [`Emulator`], by flags, and as a JSON [`Script`]
//! from a file or by `POST /_emulator/faults` on the API base; `DELETE` there clears the faults.
//!
//! ```json
//! {
//!   "faults": [
//!     {"operation": "slice", "server": 1, "when": {"nth": 3}, "action": {"close": {"after": 4096}}},
//!     {"operation": "create", "when": {"every": 10},
//!      "action": {"http": {"status": 429, "page": "html", "retry_after": "2"}}},
//!     {"operation": "complete", "when": {"first": 2}, "action": "truncated_json"}
//!   ],
//!   "network": [{"place": {"server": 0}, "bandwidth": 12500000, "latency_ms": 80}],
//!   "limits": {"rates": {"create": {"per_second": 5, "answer": "http"}}}
//! }
//! ```
//!
//! # Changes from outside
//!
//! What other clients and the website do to stored files is done by [`Emulator::change`], and by
//! `POST /_emulator/files` with an array of [`Change`]s, in its order:
//!
//! ```json
//! [
//!   {"delete": {"path": "photos/1.jpg"}}, {"trash": {"path": "photos/2.jpg"}},
//!   {"alter": {"path": "photos/3.jpg"}}, {"review": {"path": "photos/4.jpg", "status": 106}},
//!   {"put": {"path": "notes/a.txt", "content": "by another client"}}
//! ]
//! ```
//!
//! # What was seen
//!
//! [`Emulator::stats`], and `GET /_emulator/stats` as JSON: counters for everything, and the first
//! [`Config::calls_kept`] calls one by one. `GET /_emulator/files` lists what is stored, and
//! `GET /_emulator/trash` what is in the trash. These
//! pages need no token and are not counted themselves.

mod action;
mod call_log;
mod change;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod config;
mod connection;
mod control;
mod emulator;
mod endpoints;
mod fault;
mod fault_plan;
#[cfg(feature = "cli")]
mod flags;
mod handler;
mod link;
mod listener;
mod multipart;
mod network;
mod node;
mod operation;
mod queue;
mod rate;
mod reply;
mod request_body;
mod response_body;
mod routes;
mod state;
mod stats;
mod storage;
mod store;
mod system;
mod tls;
mod tokens;
mod tree;
mod upload_table;
mod uploads;
mod writer;

pub use action::{Action, Cut, Page};
pub use change::Change;
pub use config::{
    CLIENT_ID, CLIENT_SECRET, Config, Deadline, Late, Limits, Pending, Quirks, REFRESH_TOKEN, Rate,
    Reuse, Store, TOKEN, Tls, TooFast,
};
pub use emulator::Emulator;
pub use fault::{Fault, When};
pub use network::{NetworkConditions, Place, Service};
pub use operation::Operation;
pub use state::{PlaceConditions, Script};
pub use stats::{Call, Framing, Http, Outcome, PlaceTally, Stats, Tally};
pub use storage::StoredFile;
