//! panup puts files on the 123pan open platform as fast as disk, processor and link allow.
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
//! A [`Client`] is an account: connections, token, limits and journal. [`Client::start`] takes any
//! number of files and gives a [`Run`], which tells how each [`Item`] ended; dropping either cancels.
//! README has the map of the house: which room does what, and which may import which.

mod error;
mod options;
mod plan;
mod service;
mod session;
mod token;
mod wire;

pub mod digest;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod policy;
#[doc(hidden)]
pub mod source;

pub use error::{Delivery, Error, Kind, Operation, Result};
pub use options::{CallRates, DEFAULT_API, Http, Options, Resume};
pub use session::{Client, Event, Item, Outcome, Progress, Run, Status, Summary};
pub use token::{Credential, Secret, read_private, write_private};
pub use wire::Conflict;

/// README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
