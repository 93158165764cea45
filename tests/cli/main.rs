//! The command: what it prints, for people and for scripts, and how it ends.

#[path = "../common/mod.rs"]
mod common;

mod account;
mod budgets;
mod interrupt;
mod others;
mod output;
mod progress;
mod selection;
mod timings;
