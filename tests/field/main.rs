//! Faults that were met in the field, by people's reports and by hostile services, machines and
//! users: one file a kind of fault, each with the sample that was reported and its siblings.
#![allow(clippy::print_stderr)] // what is skipped is said

#[cfg(unix)]
mod access;
mod answers;
mod blocking;
mod budgets;
mod checkpoint;
mod clocks;
#[path = "../common/mod.rs"]
mod common;
mod doctor;
mod dry_run;
mod folders;
mod globs;
#[cfg(unix)]
mod identity;
#[cfg(unix)]
mod journal;
#[cfg(unix)]
mod lengths;
mod limits;
mod links;
mod memory;
mod metrics;
#[cfg(unix)]
mod names;
#[cfg(unix)]
mod oddities;
#[cfg(unix)]
mod outputs;
mod present;
mod proxies;
mod queue;
#[cfg(unix)]
mod resources;
#[cfg(unix)]
mod secrets;
mod selection;
#[cfg(unix)]
mod settings;
mod shards;
mod signals;
mod sources;
mod split;
mod state;
mod stdin;
mod targets;
mod tasks;
mod text;
mod usage;
mod verify;
mod windows;
mod worker;
