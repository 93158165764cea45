//! The soak: real processes against a service, a machine and people that go wrong at random, and
//! after each process the question whether every byte is where it belongs.
//!
//! `cargo build && cargo run -p panup-soak -- --minutes 30`. `--seed N` (by the clock) and `--round N`
//! lead back to a round, `--only KIND,…` has no other weather, `--jobs N` (2) rounds go on at a time,
//! `--panup FILE` is the binary (the one beside this program).

mod args;
mod judge;
mod kind;
mod moment;
mod process;
mod round;
mod scene;
mod shim;
mod strike;
mod table;
mod tokens;

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use args::Args;
use round::Round;
use shim::Shim;
use table::Table;

fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(args) => args,
        Err(wrong) => {
            say(&wrong);
            return ExitCode::from(2);
        }
    };
    say(&format!("{:?}, seed {}", args.lasts, args.seed));
    let shim = Shim::compile();
    let end = Instant::now() + args.lasts;
    let table = Mutex::new(Table::default());
    let next = AtomicU64::new(args.round.unwrap_or(0));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                while Instant::now() < end {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let told = Round::new(&args, &shim, number).run();
                    merge(&table, &told);
                    if args.round.is_some() {
                        return;
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    say(&table.to_string());
    match table.is_sound() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn merge(table: &Mutex<Table>, told: &Table) {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.add(told);
}

/// A line on standard output.
pub fn say(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
