//! panup puts files on the 123pan open platform as fast as disk, processor and link allow.

mod error;
mod options;
mod plan;
mod service;
mod session;
mod token;

pub mod digest;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod policy;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod wire;

pub use error::{Delivery, Error, Kind, Operation, Result};
pub use options::{CallRates, DEFAULT_API, Http, Options, Resume};
pub use session::{Client, Event, Item, Outcome, Progress, Run, Status, Summary};
pub use token::{Credential, Secret, read_private, write_private};
pub use wire::Conflict;
