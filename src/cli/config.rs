//! `panup config`: what is in force. In: the arguments that a command would get. Out: every option, its
//! value, and where that comes from. Never: a secret.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use panup::Error;
use serde_json::Value;

use super::args::{Account, Args, Config};
use super::objects::{Configuration, Line, OptionInForce};
use super::schema::schema;
use super::settings::{self, InForce, Known, Mistake, Origin, Setting, Takes};
use super::{credentials, say, say_bytes, say_object, usage};

/// Shows what is in force.
///
/// # Errors
/// A setting means nothing.
pub fn run(config: &Config, place: (Option<&Path>, Option<&str>)) -> Result<u8, Error> {
    if config.json_schema {
        say_bytes(format!("{:#}\n", schema()).as_bytes());
        return Ok(0);
    }
    let (name, rest) = match config.command.split_first() {
        Some((name, rest)) => (name.to_string_lossy().into_owned(), rest),
        None => ("upload".to_owned(), &[][..]),
    };
    let root = without_files(Args::command(), &name)?;
    let mut words: Vec<OsString> = vec![root.get_name().into()];
    let (file, profile) = place;
    let file = file.map(|file| ("--config", file.as_os_str()));
    let profile = profile.map(|profile| ("--profile", OsStr::new(profile)));
    for (option, value) in file.into_iter().chain(profile) {
        words.extend([option.into(), value.to_owned()]);
    }
    words.push(name.into());
    words.extend_from_slice(rest);
    let found = settings::in_force(&root, &words).map_err(|mistake| match mistake {
        Mistake::Setting(error) => error,
        Mistake::Typed(error) => error.exit(),
    })?;
    show(&found, config.json);
    Ok(0)
}

/// The definition, for a command without files.
fn without_files(root: Command, name: &str) -> Result<Command, Error> {
    let Some(command) = root.find_subcommand(name) else {
        return Err(usage(format!(
            "there is no `panup {name}`; `panup help` lists the commands"
        )));
    };
    let has_paths = command.get_arguments().any(|arg| arg.get_id() == "paths");
    let optional = |arg: Arg| {
        arg.required(false)
            .required_unless_present(clap::builder::Resettable::Reset)
    };
    Ok(match has_paths {
        true => root.mut_subcommand(name, |command| command.mut_arg("paths", optional)),
        false => root,
    })
}

fn show(found: &InForce, json: bool) {
    let Some((_, asked)) = found.matches.subcommand() else {
        return;
    };
    let mut lines: Vec<OptionInForce> = found
        .options
        .iter()
        .map(|known| line(known, asked, &found.chosen))
        .collect();
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    lines.extend(
        Account::from_arg_matches(asked)
            .ok()
            .map(|account| credentials_line(&account)),
    );
    for line in &lines {
        match json {
            true => say_object(&Line::Option(line.clone())),
            false => say(&text(line)),
        }
    }
    let place = found.file.as_ref().map(|path| path.display().to_string());
    if json {
        return say_object(&Line::Configuration(Configuration {
            config_file: place,
            is_there: found.has_file,
            profile: found.profile.clone(),
        }));
    }
    let missing = if found.has_file { "" } else { " (not there)" };
    let place =
        place.unwrap_or_else(|| "none: there is no home folder; name one by --config".to_owned());
    say(&format!("configuration file: {place}{missing}"));
    if let Some(profile) = &found.profile {
        say(&format!("profile: {profile}"));
    }
}

fn line(known: &Known, asked: &ArgMatches, chosen: &[Setting]) -> OptionInForce {
    let setting = chosen.iter().find(|setting| setting.id() == known.id);
    let from: Vec<&Origin> = setting.into_iter().flat_map(Setting::origins).collect();
    let origin = match (asked.value_source(&known.id), from.last()) {
        (Some(ValueSource::CommandLine), _) => "typed",
        (_, Some(Origin::Variable(_))) => "environment",
        (
            _,
            Some(Origin::File {
                profile: Some(_), ..
            }),
        ) => "profile",
        (_, Some(Origin::File { profile: None, .. })) => "file",
        (_, None) => "default",
    };
    OptionInForce {
        name: known.name.clone(),
        value: value(known, asked),
        origin,
        from: from.iter().map(ToString::to_string).collect(),
    }
}

fn value(known: &Known, asked: &ArgMatches) -> Value {
    let raw = asked.get_raw(&known.id).into_iter().flatten();
    let mut texts = raw.map(|value| value.to_string_lossy().into_owned());
    match known.takes {
        Takes::Nothing => asked.get_flag(&known.id).into(),
        Takes::Count => asked.get_count(&known.id).into(),
        Takes::Many => texts.collect::<Vec<_>>().into(),
        Takes::One | Takes::OneOrNone => texts.next().into(),
    }
}

/// Which credential is used, and never what it is.
fn credentials_line(account: &Account) -> OptionInForce {
    let from = credentials::origin(account);
    OptionInForce {
        name: "credentials".to_owned(),
        value: if from.is_some() { "set" } else { "unset" }.into(),
        origin: if from.is_some() {
            "credentials"
        } else {
            "default"
        },
        from: from.into_iter().collect(),
    }
}

fn text(line: &OptionInForce) -> String {
    let value = match &line.value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "yes".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let from = line.from.join(" and ");
    let origin = match (line.origin, from.is_empty()) {
        ("typed", true) | ("default", _) => line.origin.to_owned(),
        ("typed", false) => format!("typed, and {from}"),
        (_, _) => from,
    };
    format!("{:<14} {value:<34} {origin}", line.name)
}
