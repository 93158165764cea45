//! Settings in the environment. A variable that is empty is one that is not set: that is how some launchers
//! unset it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::super::near::nearest;
use super::catalogue::{Known, variable};
use super::file::Names;

/// The variables of this program that are set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Environment {
        Environment::from(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))),
        )
    }

    /// Those of `all` that are panup's.
    pub fn from(all: impl Iterator<Item = (String, OsString)>) -> Environment {
        let is_set = |value: &OsString| !value.as_encoded_bytes().trim_ascii().is_empty();
        Environment(
            all.filter(|(name, value)| name.starts_with(PREFIX) && is_set(value))
                .collect(),
        )
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    /// Whether one of them is set.
    pub fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    /// The first variable of an option that is set.
    pub fn of<'a>(&'a self, known: &'a Known) -> Option<(&'a str, &'a OsString)> {
        let names = known.variables.iter();
        names
            .map(String::as_str)
            .find_map(|name| Some((name, self.get(name)?)))
    }

    /// What is to be said of variables that are misspelt, as it seems.
    pub fn slips(&self, names: &Names) -> Vec<String> {
        let options = names.commands.iter().flat_map(|(_, options)| options);
        let mut known: Vec<String> = options
            .flat_map(|option| option.variables.clone())
            .collect();
        known.extend(OTHERS.map(variable));
        let unknown = self.0.keys().filter(|name| !known.contains(name));
        let slip = |name: &String| {
            let near = nearest(
                name.strip_prefix(PREFIX)?,
                &known
                    .iter()
                    .map(|known| known[PREFIX.len()..].to_owned())
                    .collect::<Vec<_>>(),
            )?
            .to_owned();
            Some(format!(
                "{name} is not a variable of panup; did you mean {PREFIX}{near}?"
            ))
        };
        unknown.filter_map(slip).collect()
    }
}

const PREFIX: &str = "PANUP_";

/// Variables that are no option's.
pub const OTHERS: [&str; 11] = [
    "token",
    "client-id",
    "client-secret",
    "oauth-client-id",
    "oauth-client-secret",
    "oauth-refresh-token",
    "token-refused",
    "log",
    "config",
    "profile",
    "shards",
];
