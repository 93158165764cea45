//! What is set, given to clap: as defaults, so that what is typed wins and nothing contradicts it.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};
use panup::Error;

use super::super::usage;
use super::catalogue::Takes;
use super::setting::Setting;
use super::typed::is_typed;

/// Settings as defaults: what is typed wins, and nothing contradicts it.
pub(super) fn with_defaults(mut root: Command, name: &str, chosen: &[Setting]) -> Command {
    for setting in chosen {
        let values: Vec<clap::builder::OsStr> = setting.values.iter().map(Into::into).collect();
        let give = |arg: Arg| arg.default_values(values);
        root = match setting.known.is_global {
            true => root.mut_arg(&setting.known.id, give),
            false => root.mut_subcommand(name, |command| command.mut_arg(&setting.known.id, give)),
        };
    }
    // A list of files is set, so none must be typed.
    let feeds = |setting: &Setting| ["files_from", "report", "plan"].contains(&setting.id());
    let has_paths = root
        .find_subcommand(name)
        .is_some_and(|command| command.get_arguments().any(|arg| arg.get_id() == "paths"));
    if has_paths && chosen.iter().any(feeds) {
        root = root.mut_subcommand(name, |command| {
            let command = command.mut_arg("paths", |arg| {
                arg.required_unless_present(Resettable::Reset)
            });
            command.mut_args(|arg| arg.requires(Resettable::Reset))
        });
    }
    root
}

/// What is typed of a list is added to what is set of it: those are put where options may stand.
pub(super) fn with_lists(
    words: &[OsString],
    chosen: &[Setting],
    typed: &ArgMatches,
) -> Vec<OsString> {
    let lists = chosen
        .iter()
        .filter(|setting| setting.known.takes == Takes::Many && is_typed(typed, setting.id()));
    let added = lists.flat_map(|setting| {
        setting.values.iter().map(|value| {
            let mut word = OsString::from(format!("--{}=", setting.known.name));
            word.push(value);
            word
        })
    });
    let mut words = words.to_vec();
    let end = words
        .iter()
        .position(|word| word == "--")
        .unwrap_or(words.len());
    words.splice(end..end, added.collect::<Vec<_>>());
    words
}

/// Sees that each value is one: read as if it had been typed.
///
/// # Errors
/// It is none; where it stands is said.
pub(super) fn check(root: &Command, name: &str, chosen: &[Setting]) -> Result<(), Error> {
    let mut words: Vec<OsString> = vec![root.get_name().into(), name.into()];
    for setting in chosen {
        if matches!(setting.known.takes, Takes::Nothing | Takes::Count) {
            continue;
        }
        // An empty one is an option without a value.
        for value in setting.values.iter().filter(|value| !value.is_empty()) {
            let mut word = OsString::from(format!("--{}=", setting.known.name));
            word.push(value);
            words.push(word);
        }
    }
    match root.clone().try_get_matches_from(words) {
        Err(error) => blamed(&error, chosen).map_or(Ok(()), Err),
        Ok(_) => Ok(()),
    }
}

/// The error of a value, with where it stands. Others are of no interest here.
fn blamed(error: &clap::Error, chosen: &[Setting]) -> Option<Error> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (arg, value) = (
        text(ContextKind::InvalidArg)?,
        text(ContextKind::InvalidValue)?,
    );
    let is_it = |setting: &&Setting| {
        let rest = arg
            .trim_start_matches('-')
            .strip_prefix(&setting.known.name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c == '-' || c.is_alphanumeric()))
    };
    let setting = chosen.iter().find(is_it)?;
    let origin = setting.origin_of(value).or(setting.origins().next())?;
    let why = match (
        error.get(ContextKind::ValidValue),
        std::error::Error::source(error),
    ) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("write one of {}", values.join(", "))
        }
        (_, Some(why)) => why.to_string(),
        _ => "it has no value".to_owned(),
    };
    let name = &setting.known.name;
    Some(usage(format!(
        "{origin}: {name} cannot be {value:?}: {why}"
    )))
}
