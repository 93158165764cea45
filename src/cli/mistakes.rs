//! The arguments, read. In: what was typed. Out: what it means, or why it means nothing, with a guess
//! only where it is near. Never: a guess that leads to an option of another meaning.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use panup::Error;

use super::args::Args;
use super::near::is_near;
use super::settings::{self, Mistake};
use super::{USAGE, complain, pages, say_bytes, usage};

/// What was typed and what is set. Ends the process where that is no use of panup, or asks for help.
pub fn arguments() -> Args {
    let words: Vec<_> = std::env::args_os().collect();
    let found =
        settings::in_force(&Args::command(), &words).unwrap_or_else(|mistake| match mistake {
            Mistake::Typed(error) if asks_for_all_of_it(&error, &words) => {
                say_bytes(format!("{}\n", pages::version()).as_bytes());
                std::process::exit(0)
            }
            Mistake::Typed(error) => better(error).exit(),
            Mistake::Setting(error) => {
                complain(&format!("panup: {error}"));
                std::process::exit(i32::from(USAGE))
            }
        });
    if let Some(error) = contradiction(&found.matches) {
        error.exit();
    }
    let warn = |warning: &String| complain(&format!("warning   {warning}"));
    found.warnings.iter().for_each(warn);
    Args::from_arg_matches(&found.matches).unwrap_or_else(|error| error.exit())
}

/// `panup --version -v`
fn asks_for_all_of_it(error: &clap::Error, words: &[OsString]) -> bool {
    let is_verbose = |word: &OsString| {
        let word = word.to_string_lossy();
        let is_short = word.starts_with('-') && !word.starts_with("--") && word.contains('v');
        word == "--verbose" || is_short
    };
    error.kind() == ErrorKind::DisplayVersion && words.iter().any(is_verbose)
}

/// An emulator is the service: another one can be named by the environment, for other runs, but not
/// beside it.
fn contradiction(matches: &ArgMatches) -> Option<clap::Error> {
    let (name, asked) = matches.subcommand()?;
    let typed = |option| {
        let known = asked.try_contains_id(option).is_ok();
        known && asked.value_source(option) == Some(ValueSource::CommandLine)
    };
    let both = matches!(name, "upload" | "tune") && typed("emulator") && typed("api");
    let words = "--emulator is a service of its own: leave out --api";
    both.then(|| Args::command().error(ErrorKind::ArgumentConflict, words))
}

/// PATHs that are no use of panup, as far as it is known before anything starts.
///
/// # Errors
/// What to write instead.
pub fn check_paths(paths: &[PathBuf]) -> Result<(), Error> {
    let is_missing = |path: &&PathBuf| path.as_os_str() != "-" && !path.exists();
    for path in paths.iter().filter(is_missing) {
        let text = path.to_string_lossy();
        if let Some((file, name)) = text.rsplit_once(':')
            && Path::new(file).is_file()
        {
            let message = format!(
                "{text} is not there; to upload {file} under another name, write --as {name} {file}"
            );
            return Err(usage(message));
        }
    }
    Ok(())
}

/// The same error, without a guess that is far off, and with advice where there is some.
fn better(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand)
        && let Some((_, advice)) = ELSEWHERE
            .iter()
            .find(|(names, _)| names.contains(&typed.as_str()))
    {
        for guess in [ContextKind::SuggestedSubcommand, ContextKind::Suggested] {
            error.remove(guess);
        }
        let advice = ContextValue::StyledStrs(vec![(*advice).into()]);
        error.insert(ContextKind::Suggested, advice);
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let advice = SECRETS.contains(&typed.as_str()).then_some(NO_SECRETS);
    let near = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(guess)) => is_near(typed, guess),
        _ => true,
    };
    if advice.is_some() || !near {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Suggested);
        // It is made of the guess.
        error.remove(ContextKind::Usage);
    }
    if let Some(advice) = advice {
        let advice = ContextValue::StyledStrs(vec![advice.into()]);
        error.insert(ContextKind::Suggested, advice);
    }
    error
}

/// Commands of other programs, and what comes nearest to them.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["ls", "list", "dir", "lsf", "find"],
        "panup lists nothing; `panup verify PATH...` says whether files are there, `panup status` what was uploaded",
    ),
    (
        &[
            "rm", "delete", "del", "mv", "move", "rename", "mkdir", "purge",
        ],
        "panup changes nothing that is there; --dest makes folders, --on-conflict overwrite replaces files",
    ),
    (
        &["cp", "copy", "put", "sync", "send", "up", "add"],
        "write `panup upload PATH...`; what is there already is not sent again",
    ),
    (
        &["get", "download", "pull", "mount", "share"],
        "panup only uploads; the rest is for the service's own programs",
    ),
    (
        &["whoami", "account", "quota", "about", "check"],
        "`panup doctor` says which account a token belongs to, and `panup verify` compares files",
    ),
];

/// Options of other programs that take a secret.
const SECRETS: [&str; 6] = [
    "--token",
    "--access-token",
    "--secret",
    "--client-secret",
    "--client-id",
    "--password",
];

const NO_SECRETS: &str = "arguments are seen by everybody on this machine, so no secret is one: set PANUP_TOKEN, or \
                          PANUP_CLIENT_ID and PANUP_CLIENT_SECRET, or use --token-file or `panup login`";
