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
//! [`Client::start`] takes any number of files and gives a [`Run`]: events as they happen, counters
//! to sample, an end that is graceful or, by dropping it, at once. It runs on the caller's tokio.
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

mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod digest;
mod error;
mod hash;
mod http;
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
pub use options::{CallRates, DEFAULT_API, Look, Options, Resume, Retry, Timeouts};
pub use source::{ByteSource, Spool, prepare_process};
pub use system::{name_bytes, name_from_bytes};
pub use upload::runtime;
pub use upload::{
    Adder, AttemptEnd, CallAttempt, CallCount, Checker, Client, CongestionSignal, Event, Fact,
    FileHandle, FileNow, Forecast, Held, Interrupter, Item, Landing, Origin, Outcome, Planner,
    Progress, Receipt, Run, ServerReport, Snapshot, State, Status, Steering, Step, StepTimes,
    Summary, Wait,
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
