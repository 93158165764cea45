//! Files arrive whole: at every boundary size, one or many, whatever the servers are like, and what
//! cannot arrive is one clear error that stops no other file.
#![allow(clippy::print_stderr)] // what is measured is said

#[path = "../common/mod.rs"]
mod common;

mod again;
#[cfg(unix)]
mod cost;
mod handles;
mod lookup;
mod many;
mod misused;
mod refused;
mod servers;
mod sizes;
