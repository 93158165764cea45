//! The command line. In: arguments and the environment. Out: lines for people, objects for
//! scripts, an exit code for both. Never: a name of the library that is not public.

mod account;
mod ahead;
mod args;
mod credentials;
mod duration;
mod emulator;
mod globs;
mod hash;
mod journal;
mod plan;
mod report;
mod screen;
mod signals;
mod size;
mod tune;
mod upload;
mod walk;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use panup::{Error, Kind};

use args::{Args, Command};

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let args = Args::parse();
    log(args.verbose);
    let outcome = match args.command {
        Command::Upload(upload) => upload::run(&upload, args.verbose > 0),
        Command::Hash(hash) => hash::run(&hash),
        #[cfg(feature = "emulator")]
        Command::Emulate(emulate) => {
            // It ends at the first one by itself; the second is for whatever keeps it.
            let _signals = signals::Signals::new();
            return panup_emulator::cli::run(*emulate);
        }
        Command::Tune(tune) => tune::run(&tune),
        Command::Status(status) => journal::status(&status),
        Command::Forget(forget) => journal::forget(&forget),
        Command::Login(login) => credentials::login(&login),
        Command::Logout(logout) => credentials::logout(&logout),
        Command::Completions { shell } => completions(shell),
    };
    outcome.unwrap_or_else(|error| fail(&error))
}

/// Wrong usage or configuration, and credentials that were refused, before anything was uploaded.
fn fail(error: &Error) -> ExitCode {
    complain(&format!("panup: {error}"));
    ExitCode::from(if error.kind() == Kind::Auth {
        REFUSED
    } else {
        USAGE
    })
}

/// Some files failed, the others are done.
const SOME_FAILED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The service refused the credentials.
const REFUSED: u8 = 3;
/// Interrupted, resumable: 128 and the number of SIGINT, as shells say it.
const INTERRUPTED: u8 = 130;

fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "panup", &mut script);
    say_bytes(&script);
    Ok(ExitCode::SUCCESS)
}

/// A line on standard output. A reader that went away is no failure.
fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

fn say_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    match written {
        // Whoever wanted the output has seen enough; an upload goes on, and its exit code tells.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("panup: standard output: {error}"));
        }
        _ => {}
    }
}

/// A line on standard error. Errors are ignored: standard error is the last resort.
fn complain(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// `--verbose` shows what the library decides, twice what it tries; `PANUP_LOG` says it in detail.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "panup=info",
        _ => "panup=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PANUP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        // Said on standard error, which is what could not be written: that would panic.
        .log_internal_errors(false)
        .init();
}

/// `--state-dir`, or the platform's state folder.
fn state_dir(asked: Option<&Path>) -> Option<PathBuf> {
    if let Some(asked) = asked {
        return Some(asked.to_owned());
    }
    let dirs = directories::ProjectDirs::from("", "", "panup")?;
    Some(
        dirs.state_dir()
            .unwrap_or_else(|| dirs.data_local_dir())
            .to_owned(),
    )
}
