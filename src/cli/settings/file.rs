//! The configuration file. In: TOML. Out: what it says, each with its line. Never: a key that is not known,
//! or a secret.

use std::ops::Range;
use std::path::{Path, PathBuf};

use panup::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::near::nearest;
use super::super::system::writable_by_all;
use super::super::usage;
use super::catalogue::Known;
use super::origin::{Origin, Written};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    entries: Vec<Entry>,
    /// The profiles in it.
    pub profiles: Vec<String>,
}

/// One line of it.
#[derive(Debug, Clone)]
struct Entry {
    profile: Option<String>,
    /// The command in whose table it stands.
    command: Option<String>,
    key: String,
    written: Written,
    line: usize,
}

/// The names that a file may use.
#[derive(Debug)]
pub struct Names {
    /// Each command with its options.
    pub commands: Vec<(String, Vec<Known>)>,
}

impl ConfigFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or has a key that means nothing.
    pub fn read(path: &Path, names: &Names) -> Result<ConfigFile, Error> {
        let refused = |why: String| usage(format!("{}: {why}", path.display()));
        guard(path).map_err(refused)?;
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let reader = Reader {
            path,
            text: &text,
            names,
        };
        let table = DeTable::parse(&text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            reader.wrong(&at, error.message())
        })?;
        let mut file = ConfigFile {
            path: path.to_owned(),
            entries: Vec::new(),
            profiles: Vec::new(),
        };
        reader.table(table.get_ref(), &Place::default(), &mut file)?;
        Ok(file)
    }

    /// What it says of an option of a command, the strongest first.
    pub fn of<'a>(
        &'a self,
        command: &'a str,
        known: &'a Known,
        profile: Option<&'a str>,
    ) -> impl Iterator<Item = (Origin, Written)> + 'a {
        let places = [
            (profile, Some(command)),
            (profile, None),
            (None, Some(command)),
            (None, None),
        ];
        let skip = if profile.is_some() { 0 } else { 2 };
        let places = places.into_iter().skip(skip);
        let is_meant = move |entry: &&Entry| {
            entry.key == known.name && (known.is_shared || entry.command.is_some())
        };
        places.flat_map(move |(profile, command)| {
            let here = move |entry: &&Entry| {
                entry.profile.as_deref() == profile && entry.command.as_deref() == command
            };
            let found = self.entries.iter().filter(here).filter(is_meant);
            found.map(|entry| (self.origin(entry), entry.written.clone()))
        })
    }

    fn origin(&self, entry: &Entry) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: entry.line,
            profile: entry.profile.clone(),
        }
    }
}

/// What it says may run a command with the user's rights.
fn guard(path: &Path) -> Result<(), String> {
    let found = writable_by_all(path).map_err(|error| error.to_string())?;
    match found {
        Some(mode) => Err(format!(
            "everybody on this machine can write it (mode {mode:o}), and it may name a command; chmod 600 it"
        )),
        None => Ok(()),
    }
}

/// The table that is read.
#[derive(Debug, Clone, Default)]
struct Place {
    profile: Option<String>,
    command: Option<String>,
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    names: &'a Names,
}

impl Reader<'_> {
    fn table(
        &self,
        table: &DeTable<'_>,
        place: &Place,
        file: &mut ConfigFile,
    ) -> Result<(), Error> {
        for (key, value) in table {
            self.key(key.get_ref(), (&key.span(), value), place, file)?;
        }
        Ok(())
    }

    fn key(
        &self,
        key: &str,
        (at, value): (&Range<usize>, &Spanned<DeValue<'_>>),
        place: &Place,
        file: &mut ConfigFile,
    ) -> Result<(), Error> {
        let Some(table) = value.get_ref().as_table() else {
            self.known(key, at, place)?;
            file.entries.push(Entry {
                profile: place.profile.clone(),
                command: place.command.clone(),
                key: key.to_owned(),
                written: self.written(value)?,
                line: self.line(at),
            });
            return Ok(());
        };
        if key == "profile" && place.profile.is_none() && place.command.is_none() {
            for (name, value) in table {
                let inner = value.get_ref().as_table();
                let words = "a profile is a table: [profile.NAME]";
                let inner = inner.ok_or_else(|| self.wrong(&name.span(), words))?;
                let profile = Some(name.get_ref().to_string());
                file.profiles.extend(profile.clone());
                let place = Place {
                    profile,
                    command: None,
                };
                self.table(inner, &place, file)?;
            }
            return Ok(());
        }
        let is_command = self.names.commands.iter().any(|(name, _)| name == key);
        if !is_command || place.command.is_some() {
            return Err(self.unknown(key, at, place));
        }
        let place = Place {
            command: Some(key.to_owned()),
            ..place.clone()
        };
        self.table(table, &place, file)
    }

    /// # Errors
    /// No option is called that here.
    fn known(&self, key: &str, at: &Range<usize>, place: &Place) -> Result<(), Error> {
        if SECRETS.contains(&key) && place.command.as_deref() != Some("emulate") {
            let words = "a secret is not kept here: name a file by token-file or a command by token-command, or run \
                         `panup login`";
            return Err(self.wrong(at, words));
        }
        if self.keys(place).iter().any(|name| name == key) {
            return Ok(());
        }
        Err(self.unknown(key, at, place))
    }

    fn unknown(&self, key: &str, at: &Range<usize>, place: &Place) -> Error {
        let elsewhere = self.names.commands.iter().find(|(_, options)| {
            place.command.is_none() && options.iter().any(|option| option.name == key)
        });
        let mut names = self.keys(place);
        if place.command.is_none() {
            names.extend(self.names.commands.iter().map(|(name, _)| name.clone()));
            names.push("profile".to_owned());
        }
        let advice = match (elsewhere, nearest(key, &names)) {
            (Some((command, _)), _) => {
                format!("; it belongs to `panup {command}`: write it below [{command}]")
            }
            (None, Some(name)) => format!("; did you mean {name}?"),
            (None, None) => "; `panup config` lists the keys".to_owned(),
        };
        self.wrong(at, &format!("{key:?} is no setting{advice}"))
    }

    /// The options that can be set here.
    fn keys(&self, place: &Place) -> Vec<String> {
        let here = |name: &str, known: &Known| match &place.command {
            Some(command) => command == name,
            None => known.is_shared,
        };
        let all = self.names.commands.iter();
        let here =
            all.flat_map(|(name, options)| options.iter().filter(move |known| here(name, known)));
        here.map(|known| known.name.clone()).collect()
    }

    fn written(&self, value: &Spanned<DeValue<'_>>) -> Result<Written, Error> {
        match value.get_ref() {
            DeValue::Boolean(yes) => Ok(Written::Bool(*yes)),
            DeValue::Array(list) => {
                let texts = list.iter().map(|value| self.text(value));
                let texts = texts
                    .map(|text| text.map(Into::into))
                    .collect::<Result<_, _>>();
                texts.map(Written::List)
            }
            _ => self.text(value).map(|text| Written::Text(text.into())),
        }
    }

    fn text(&self, value: &Spanned<DeValue<'_>>) -> Result<String, Error> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(number.to_string()),
            DeValue::Float(number) => Ok(number.to_string()),
            DeValue::Datetime(time) => Ok(time.to_string()),
            _ => Err(self.wrong(&value.span(), "a text or a number is wanted here")),
        }
    }

    fn wrong(&self, at: &Range<usize>, why: &str) -> Error {
        let (path, line) = (self.path.display(), self.line(at));
        usage(format!("{path}:{line}: {why}"))
    }

    fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// Names under which a secret would be looked for.
const SECRETS: [&str; 8] = [
    "token",
    "access-token",
    "client-id",
    "client-secret",
    "oauth-client-id",
    "oauth-client-secret",
    "oauth-refresh-token",
    "refresh-token",
];
