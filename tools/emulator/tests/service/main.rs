//! The emulator seen from outside, by a client that shares nothing with it but the documents:
//! each strict rule is seen to refuse, each fault is seen to act.

#![allow(clippy::unwrap_used)]

mod client;
mod encrypted;
mod faults;
mod files;
mod limits;
mod network;
mod oauth;
#[cfg(feature = "cli")]
mod program;
mod remote;
mod rules;
