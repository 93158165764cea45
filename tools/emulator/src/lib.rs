//! The upload service on loopback.

mod body;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod cloud;
mod config;
mod control;
mod desk;
mod emulator;
mod fault;
#[cfg(feature = "cli")]
mod flags;
mod judge;
mod link;
mod multipart;
mod port;
mod rate;
mod reply;
mod sheet;
mod stats;
mod store;
mod strike;
mod tls;
mod tokens;
mod tree;
mod uploads;
mod weather;
mod world;

pub use cloud::StoredFile;
pub use config::{
    CLIENT_ID, CLIENT_SECRET, Config, Deadline, Late, Limits, Pending, Quirks, Rate, Reuse, Store,
    TOKEN, Tls, TooFast,
};
pub use emulator::Emulator;
pub use fault::{Action, Cut, Fault, Operation, Page, When};
pub use stats::{Call, Framing, Http, Outcome, PlaceTally, Stats, Tally};
pub use weather::{Place, Service, Weather};
pub use world::{Forecast, Script};
