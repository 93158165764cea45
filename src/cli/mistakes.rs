//! The arguments, read. In: what was typed. Out: what it means, or why it means nothing, with a guess
//! only where it is near. Never: a guess that leads to an option of another meaning.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::args::Args;
use super::near::is_near;
use super::settings::{self, Mistake};
use super::{USAGE, complain};

/// What was typed and what is set. Ends the process where that is no use of panup, or asks for help.
pub fn arguments() -> Args {
    let words: Vec<_> = std::env::args_os().collect();
    let found =
        settings::in_force(&Args::command(), &words).unwrap_or_else(|mistake| match mistake {
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

/// The same error, without a guess that is far off, and with advice where there is some.
fn better(mut error: clap::Error) -> clap::Error {
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
