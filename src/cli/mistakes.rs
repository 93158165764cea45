//! The arguments, read. In: what was typed. Out: what it means, or why it means nothing, with a guess
//! only where it is near. Never: a guess that leads to an option of another meaning.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::args::Args;

/// What was typed. Ends the process where that is no use of panup, or asks for help.
pub fn arguments() -> Args {
    let matches = Args::command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| better(error).exit());
    if let Some(error) = contradiction(&matches) {
        error.exit();
    }
    Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
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

/// Whether `typed` is `guess` but for a slip: a beginning of it, or a letter or two.
fn is_near(typed: &str, guess: &str) -> bool {
    let [typed, guess] = [typed, guess].map(|option| option.trim_start_matches('-'));
    let begins = typed.len() >= 3 && (guess.starts_with(typed) || typed.starts_with(guess));
    begins || distance(typed, guess) <= (typed.len() / 3).min(2)
}

/// Letters to put in, take out or replace, as Levenshtein counts them.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_a_slip_away() {
        for (typed, guess, near) in [
            ("--exclud", "--exclude", true),
            ("--inculde", "--include", true),
            ("--files", "--files-from", true),
            ("--limitrate", "--limit-rate", true),
            ("--no-progress", "--no-resume", false),
            ("--color", "--follow", false),
            ("--order", "--force", false),
            ("--as", "--api", false),
        ] {
            assert_eq!(is_near(typed, guess), near, "{typed} {guess}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
