//! panup puts files on the 123pan open platform as fast as disk, processor and link allow.
#![warn(missing_docs)]

mod error;

pub mod digest;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod policy;
#[doc(hidden)]
pub mod source;

mod plan;
mod wire;

pub use error::{Delivery, Error, Kind, Operation, Result};
