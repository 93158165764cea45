//! The command line. In: arguments and the environment. Out: lines for people, objects for
//! scripts, an exit code for both. Never: a name of the library that is not public.

mod account;
mod ahead;
mod args;
mod config;
mod credentials;
mod doctor;
mod duration;
mod echo;
mod emulator;
mod ending;
mod ends;
mod folders;
mod foot;
mod globs;
mod hash;
mod journal;
mod left_out;
mod local;
mod log;
mod merge;
mod metrics;
mod mistakes;
mod moment;
mod near;
mod number;
mod objects;
mod out;
mod pages;
mod part;
mod plan;
mod rebase;
mod report;
mod report_file;
mod run_options;
mod schema;
mod screen;
mod settings;
mod shard;
mod signals;
mod size;
mod split;
mod stdin;
mod system;
mod text;
mod timetable;
mod timings;
mod token_command;
mod tune;
mod upload;
mod verify;
mod walk;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use panup::{Error, Kind, Operation};

use args::Command;
use out::{complain, say, say_bytes, say_object};

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    keep_memory_private();
    let args = mistakes::arguments();
    if let Err(error) = log::start(args.verbose, args.log_file.as_deref()) {
        return fail(&error);
    }
    let outcome = match args.command {
        Command::Upload(upload) => upload::run(&upload, args.verbose > 0),
        Command::Verify(verify) => verify::run(&verify),
        Command::Plan(plan) => plan::run(&plan),
        Command::Merge(merge) => merge::run(&merge),
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
        Command::Config(config) => {
            config::run(&config, (args.config.as_deref(), args.profile.as_deref()))
        }
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Completions { shell } => Ok(pages::completions(shell)),
        Command::Man { dir } => pages::man(dir.as_deref()),
        Command::Version => {
            say_bytes(format!("{}\n", pages::version()).as_bytes());
            Ok(0)
        }
    };
    match outcome {
        Ok(0 | FOR_GOOD) if out::is_lost() => ExitCode::from(SOME_FAILED),
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

/// A core dump would hold the token in several copies, and whoever runs as the same user could read it
/// out of the memory. On Linux `RLIMIT_CORE` is not enough: a dump that is piped to a program does not heed it.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            complain(&format!(
                "warning   a core dump may hold the token: {error}"
            ));
        }
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: getrlimit(Resource::Core).maximum,
        };
        if let Err(error) = setrlimit(Resource::Core, none) {
            complain(&format!(
                "warning   a core dump may hold the token: {error}"
            ));
        }
    }
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

/// The files that were not done.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    failed: u64,
    /// Those of them that would fail again for the same reason.
    for_good: u64,
    interrupted: u64,
}

impl Tally {
    /// What it says to the caller.
    fn code(self) -> u8 {
        match self {
            Tally {
                interrupted: 1.., ..
            } => INTERRUPTED,
            Tally { failed: 0, .. } => 0,
            Tally {
                failed, for_good, ..
            } if failed == for_good => FOR_GOOD,
            _ => SOME_FAILED,
        }
    }
}

/// Some files failed, and repeating the same may help.
const SOME_FAILED: u8 = 1;
/// Some files failed, each of them for good: by its name, size or content, a permission or a refusal.
const FOR_GOOD: u8 = 4;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The service refused the credentials.
const REFUSED: u8 = 3;
/// Interrupted, resumable: 128 and the number of SIGINT, as shells say it.
const INTERRUPTED: u8 = 130;

/// `--dest`, cleaned.
///
/// # Errors
/// It cannot be a remote folder: nothing was looked at yet.
fn dest(asked: &str) -> Result<String, Error> {
    panup::remote_folder(asked)
        .map_err(|error| usage(format!("--dest {asked:?}: {}", error.message())))
}

/// Wrong usage.
fn usage(message: String) -> Error {
    Error::new(Kind::Invalid, Operation::Configure, message)
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
