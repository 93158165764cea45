//! Files arrive whole: at every boundary size, one or many, whatever the servers are like, and what
//! cannot arrive is one clear error that stops no other file.

#[path = "../common/mod.rs"]
mod common;

mod again;
mod handles;
mod many;
mod refused;
mod servers;
mod sizes;
