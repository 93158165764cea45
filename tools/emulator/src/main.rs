//! The emulator as a program of its own, without panup.

use std::process::ExitCode;

use clap::Parser;

/// The upload service on loopback, until it is interrupted.
#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: panup_emulator::cli::Args,
}

fn main() -> ExitCode {
    panup_emulator::cli::run(Command::parse().args)
}
