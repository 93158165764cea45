//! The command: what it prints, for people and for scripts, and how it ends.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod budgets;
mod interrupt;
mod others;
mod output;
mod program;
mod selection;
