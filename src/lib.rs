//! panup puts files on the 123pan open platform (upload v2) as fast as disk, processor and link
//! allow, and loses nothing on the way.
//!
//! # One file
//!
//! ```
//! use panup::{Client, Credential, Item, Options, Secret};
//!
//! # let emulator = panup_emulator::Emulator::start(panup_emulator::Config::default())?;
//! # let folder = tempfile::tempdir()?;
//! # let (token, archive) = (emulator.token(), folder.path().join("archive.tar.zst"));
//! # std::fs::write(&archive, "contents")?;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let mut options = Options::new(Credential::Token(Secret::new(token)));
//! # options.api = emulator.api();
//! options.on_conflict = panup::Conflict::Overwrite;
//! let client = Client::new(options)?;
//! let outcome = client.upload(Item::new(&archive)).await?;
//! println!("{} {:?}", outcome.status.name(), outcome.status.file_id());
//! # assert_eq!(outcome.status.name(), "uploaded");
//! # assert_eq!(outcome.status.file_id(), Some(emulator.files()[0].file_id));
//! # Ok::<(), panup::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Client::start`] takes any number of files and gives a [`Run`]: a stream of events, counters to sample, a
//! pause, an end that is graceful or, by dropping it, at once. [`Run::add`] hands in more while it goes, each
//! with a [`FileHandle`]: a future of its [`Outcome`], its progress, an end of its own.
//!
//! Programs that run are in `tools/examples`: `cargo run --example many`, and `one_file`, `resume`.
//!
//! # Cost and limits
//!
//! - **Memory**: a run takes files from its iterator as it can: 32,768 of them at most are under way or wait
//!   to be read by the caller, some hundred bytes each, and 1,024 events; then it waits for its reader. Every
//!   file of a run leaves some 40 bytes, by which two for one remote place are told apart. Small files that
//!   are hashed ahead hold 24 MiB at most, slices that are read instead of mapped as much as the system
//!   grants, bodies in flight nothing of their own: they are views of the map, or of the caller's bytes.
//! - **Threads**: none of a runtime's own, since a run works on the caller's tokio (multi-threaded or not). A
//!   client starts, with its first run, as many threads that hash as there are processors
//!   ([`Options::hash_threads`]), and one that writes the journal; a run has one for its list until that has
//!   ended, and one for what is added. They end with the client and the run.
//! - **File handles**: 256 small and 128 large files at most at a time, and half of what the process may have
//!   open; connections have the rest.
//! - **What is written**: nothing, unless [`Options::state_dir`] names a folder (the journal, in SQLite, some 215
//!   bytes a file and up to [`Options::journal_limit`], and what was found of 64 links; the token cache, of mode
//!   0600) or
//!   [`Options::checkpoint`] a file. Without them nothing resumes.
//! - **The process**: no signal handler unless files are mapped ([`Options::maps`]), no other global, no
//!   environment variable but those of proxies ([`Options::environment_proxies`]).
//! - **Blocking**: a caller's [`ByteSource`] is asked on the threads that hash. One that never returns keeps
//!   its thread; its file ends with [`FileHandle::abort`], and its run with [`Run::interrupt`], within the
//!   grace and a second, or at once by dropping it.
//!
//! # What is logged
//!
//! Decisions are `tracing` events of level INFO, attempts DEBUG. Those of a file are in a span `file` (INFO;
//! `path`, `remote`, `size` in bytes, `tag`), those of a slice in a span `slice` within it (DEBUG; `number`
//! from 1, `bytes`). Without a subscriber they cost a look at a flag.
//!
//! # Features
//!
//! - `cli` (default): the command and its dependencies; the library needs none of them. With it comes
//!   `journal`.
//! - `journal`: what is kept in [`Options::state_dir`] besides tokens, and [`Options::checkpoint`]: uploads that go
//!   on, files that are known, MD5s. It is SQLite, half of the build. Without it such a folder keeps tokens
//!   alone, which each run tells as an [`Event::Warning`], and a checkpoint is refused.
//! - `emulator` (default): `panup emulate` and `--emulator`. Tests of one's own take the crate
//!   `panup-emulator` itself.
//! - `blocking`: `panup::blocking`, for programs without tokio.
//! - `internals`: what panup's own benches and fuzzers look at; it changes without notice.
//!
//! # The map
//!
//! One byte, one path: `file → map → digest → create → plan → slice → body → connection → ack →
//! journal`. Every word is a module or a file of that name, and a module imports only lower layers:
//!
//! | layer | modules |
//! |---|---|
//! | 0 | `system`: what operating systems call differently |
//! | 1 | `error`: every way to fail, and whether repeating can help; `http`: its versions; `sync`: a mutex that goes on after a panic |
//! | 2 | `source`: a file as bytes; [`digest`]: MD5 in lanes; `plan`: what is left to send; `panics`: what a panic becomes |
//! | 3 | `private`: files of ours alone; `wire`: the service's grammar; `policy`: decisions without clock or I/O; `net`: HTTP |
//! | 4 | `hash`: files to MD5s on threads of its own; `service`: the calls, one attempt each; `auth`: the credential; `journal`: what is remembered |
//! | 5 | `options`: every setting, checked once; `transfer`: one body or call to its end, with the one retry loop (`transfer/send.rs`) |
//! | 6 | `upload`: clients, runs, files; `upload/file.rs` reads aloud |
//! | 7 | `blocking`: the same for programs without tokio |
//!
//! Files, sockets, disk and clock live in `source`, `net` and `journal`; what to send, how many at
//! once, whether to repeat and what a reply means are plain functions of their arguments.

#![cfg_attr(
    not(feature = "journal"),
    allow(dead_code, unused_imports, reason = "what only the journal asks for")
)]

mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod digest;
mod error;
mod hash;
mod http;
#[cfg(feature = "journal")]
mod journal;
#[cfg(not(feature = "journal"))]
#[path = "journal/absent.rs"]
mod journal;
mod net;
mod options;
mod panics;
mod plan;
mod policy;
mod private;
mod service;
mod source;
mod sync;
mod system;
mod transfer;
mod upload;
mod wire;

pub use auth::{
    Credential, Secret, Token, TokenRequest, TokenSource, private_folder, read_private,
    read_secret, write_private,
};
pub use error::{Delivery, Error, Kind, Operation, Result};
pub use hash::{FileSum, FileSums, HashOptions, HashProgress, HashSnapshot, Input, hash_files};
pub use http::{Preference as Http, Version as HttpVersion};
pub use journal::network_file_system;
pub use journal::{Account, Counts, Finished, FinishedFile, Forget, Unfinished, UploadId};
pub use options::{
    CallRates, Congestion, DEFAULT_API, Look, Lookup, Options, Resume, Retry, Timeouts,
};
pub use source::{ByteSource, Spool, prepare_process};
pub use system::{name_bytes, name_from_bytes, replace_file};
pub use upload::runtime;
pub use upload::{
    Adder, AttemptEnd, CallAttempt, CallCount, Checker, Client, CongestionSignal, Event, Fact,
    FileHandle, FileNow, Forecast, Held, Interrupter, Item, Landing, Origin, Outcome, Planner,
    Progress, Receipt, Run, ServerReport, Snapshot, State, Status, Steering, Step, StepTimes,
    Summary, Wait, WaitsFor, Warning,
};
pub use upload::{Answer, Claimed, Reach, Targets};
pub use wire::{Conflict, remote_folder};

/// README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What fuzzers, benches and tests of single modules look at. Not part of the interface: it changes
/// without notice.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// See the module of that name.
    pub mod journal {
        pub use crate::journal::*;
    }
    /// See the module of that name.
    pub mod net {
        pub use crate::net::*;
    }
    /// See the module of that name.
    pub mod source {
        pub use crate::source::*;
    }
    /// See the module of that name.
    pub mod wire {
        pub use crate::wire::*;
    }
}
