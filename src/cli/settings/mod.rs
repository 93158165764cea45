//! Settings. In: what was typed, the environment, the configuration file. Out: one set of arguments, as if
//! all had been typed, and where each comes from: typed > environment > profile > file > default. Lists add
//! up. Never: an option that only one of the three ways knows, or a setting that keeps out a stronger one.

mod catalogue;
mod defaults;
mod environment;
mod file;
mod origin;
mod setting;
mod typed;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};
use panup::Error;

use super::usage;
use catalogue::WITHOUT_SETTINGS;
pub use catalogue::{Known, Takes};
use defaults::{check, with_defaults, with_lists};
use environment::Environment;
use file::{ConfigFile, Names};
pub use origin::Origin;
use origin::Written;
pub use setting::Setting;
use typed::is_typed;

/// What is in force.
#[derive(Debug)]
pub struct InForce {
    /// As if all had been typed.
    pub matches: ArgMatches,
    /// What was not typed and is no default.
    pub chosen: Vec<Setting>,
    /// The options of the command.
    pub options: Vec<Known>,
    /// Where the configuration file is, or would be.
    pub file: Option<PathBuf>,
    /// Whether it is there.
    pub has_file: bool,
    /// The profile in use.
    pub profile: Option<String>,
    /// What is to be said.
    pub warnings: Vec<String>,
}

/// Why there are no arguments.
#[derive(Debug)]
pub enum Mistake {
    /// What was typed means nothing, or asks for help.
    Typed(clap::Error),
    /// A setting means nothing.
    Setting(Error),
}

impl From<Error> for Mistake {
    fn from(error: Error) -> Mistake {
        Mistake::Setting(error)
    }
}

/// Puts together what was typed, the program's name first, and what is set.
///
/// # Errors
/// Something means nothing.
pub fn in_force(root: &Command, words: &[OsString]) -> Result<InForce, Mistake> {
    let first = root.clone().try_get_matches_from(words);
    let typed = match &first {
        Ok(matches) => matches.clone(),
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let lenient = root.clone().ignore_errors(true);
            let typed = lenient.try_get_matches_from(words);
            typed.map_err(Mistake::Typed)?
        }
        Err(_) => {
            return first
                .map(|_| unreachable!("an error"))
                .map_err(Mistake::Typed);
        }
    };
    let Some((name, asked)) = typed.subcommand() else {
        let matches = first.map_err(Mistake::Typed)?;
        return Ok(InForce::typed_alone(matches));
    };
    if WITHOUT_SETTINGS.contains(&name) {
        return Ok(InForce::typed_alone(first.map_err(Mistake::Typed)?));
    }
    let found = Found::look(root, name, asked)?;
    let chosen = found.choose(root, asked)?;
    let matches = match chosen.is_empty() {
        true => first.map_err(Mistake::Typed)?,
        false => {
            check(root, name, &chosen)?;
            let command = with_defaults(root.clone(), name, &chosen);
            let words = with_lists(words, &chosen, asked);
            command
                .try_get_matches_from(words)
                .map_err(Mistake::Typed)?
        }
    };
    Ok(InForce {
        matches,
        chosen,
        warnings: found.environment.slips(&found.names),
        options: found.options,
        has_file: found.file.is_some(),
        file: found.place,
        profile: found.profile,
    })
}

impl InForce {
    fn typed_alone(matches: ArgMatches) -> InForce {
        InForce {
            matches,
            chosen: Vec::new(),
            options: Vec::new(),
            file: None,
            has_file: false,
            profile: None,
            warnings: Vec::new(),
        }
    }
}

/// Everything that can say something.
struct Found {
    names: Names,
    command: String,
    options: Vec<Known>,
    environment: Environment,
    place: Option<PathBuf>,
    file: Option<ConfigFile>,
    profile: Option<String>,
}

impl Found {
    fn look(root: &Command, command: &str, asked: &ArgMatches) -> Result<Found, Error> {
        let commands = catalogue::commands(root).into_iter();
        let of = |name: String| {
            let options = catalogue::options(root, &name);
            (name, options)
        };
        let names = Names {
            commands: commands.map(of).collect(),
        };
        let environment = Environment::of_process();
        let text = |id: &str, variable: &str| {
            let typed = asked.try_get_raw(id).ok().flatten();
            let typed = typed.and_then(|mut values| values.next().map(ToOwned::to_owned));
            typed.or_else(|| environment.get(variable).cloned())
        };
        let named = text("config", "PANUP_CONFIG").map(PathBuf::from);
        let place = named.clone().or_else(usual_place);
        let is_there = |path: &PathBuf| named.is_some() || path.exists();
        let file = place.as_ref().filter(|path| is_there(path));
        let file = file
            .map(|path| ConfigFile::read(path, &names))
            .transpose()?;
        let profile = text("profile", "PANUP_PROFILE");
        let profile = profile.map(|name| name.to_string_lossy().into_owned());
        if let Some(profile) = &profile {
            exists(profile, file.as_ref(), place.as_ref())?;
        }
        Ok(Found {
            options: catalogue::options(root, command),
            command: command.to_owned(),
            names,
            environment,
            place,
            file,
            profile,
        })
    }

    /// The settings that hold beside what was typed.
    fn choose(&self, root: &Command, typed: &ArgMatches) -> Result<Vec<Setting>, Error> {
        let mut chosen = Vec::new();
        for known in &self.options {
            let is_list = known.takes == Takes::Many;
            if is_list || !is_typed(typed, &known.id) {
                chosen.extend(self.setting(root, known)?);
            }
        }
        let is_typed = |id: &str| is_typed(typed, id);
        chosen = keep_what_goes_with(chosen, root.find_subcommand(&self.command), &is_typed);
        self.drop_weaker_credentials(&mut chosen);
        let of_account = |id: &str| {
            self.options
                .iter()
                .any(|known| known.is_of_account && known.id == id)
        };
        let account_is_typed = self.options.iter().any(|known| {
            ["api", "token_file", "token_command"].contains(&known.id.as_str())
                && is_typed(&known.id)
        });
        if account_is_typed {
            chosen.retain(|setting| setting.id() != EMULATOR);
        }
        if is_typed(EMULATOR)
            || chosen
                .iter()
                .any(|setting| setting.id() == EMULATOR && setting.values != ["false"])
        {
            // The folder and its id are the real account's.
            chosen.retain(|setting| {
                let id = setting.id();
                let is_state = id == "state_dir" && !setting.is_from_environment();
                !of_account(id) && id != "parent_id" && !is_state
            });
        }
        Ok(chosen)
    }

    fn setting(&self, root: &Command, known: &Known) -> Result<Option<Setting>, Error> {
        let mut said = Vec::new();
        if let Some((name, value)) = self.environment.of(known) {
            let refused = |why| usage(format!("{name}: {why}"));
            let written = Written::in_variable(value.clone(), known.takes).map_err(refused)?;
            said.push((Origin::Variable(name.to_owned()), written));
        }
        let file = self.file.iter();
        said.extend(file.flat_map(|file| file.of(&self.command, known, self.profile.as_deref())));
        if known.takes != Takes::Many {
            said.truncate(1);
        }
        let mut setting = Setting {
            known: known.clone(),
            values: Vec::new(),
            origins: Vec::new(),
        };
        for (origin, written) in said.into_iter().rev() {
            let folder = match &origin {
                Origin::File { path, .. } => path.parent(),
                Origin::Variable(_) => None,
            };
            let values = written.values(known, folder);
            let values = values.map_err(|why| usage(format!("{origin}: {}: {why}", known.name)))?;
            let values = match values {
                Some(values) if values == [""] => self.without_value(root, known),
                values => values.unwrap_or_default(),
            };
            if !values.is_empty() {
                setting.origins.push((origin, values.len()));
                setting.values.extend(values);
            }
        }
        Ok(Some(setting).filter(|setting| !setting.values.is_empty()))
    }

    /// What an option means that is typed without a value.
    fn without_value(&self, root: &Command, known: &Known) -> Vec<OsString> {
        let words =
            [root.get_name(), &self.command, &format!("--{}", known.name)].map(OsString::from);
        let matches = root.clone().ignore_errors(true).try_get_matches_from(words);
        let raw = matches.ok().and_then(|matches| {
            let (_, asked) = matches.subcommand()?;
            let raw = asked.try_get_raw(&known.id).ok()??;
            Some(raw.map(ToOwned::to_owned).collect())
        });
        raw.unwrap_or_default()
    }

    /// A token in the environment is stronger than any way to one that is not typed; the other credentials
    /// there are stronger than the file.
    fn drop_weaker_credentials(&self, chosen: &mut Vec<Setting>) {
        let has_token = self.environment.has(&["PANUP_TOKEN"]);
        let has_other = self.environment.has(CREDENTIALS);
        chosen.retain(|setting| {
            let is_credential = ["token_file", "token_command"].contains(&setting.id());
            let weaker = has_token || (has_other && !setting.is_from_environment());
            !(is_credential && weaker)
        });
    }
}

const EMULATOR: &str = "emulator";

/// Credentials that are no option.
const CREDENTIALS: &[&str] = &[
    "PANUP_CLIENT_ID",
    "PANUP_CLIENT_SECRET",
    "PANUP_OAUTH_CLIENT_ID",
    "PANUP_OAUTH_CLIENT_SECRET",
    "PANUP_OAUTH_REFRESH_TOKEN",
];

fn usual_place() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "panup")?;
    Some(dirs.config_dir().join("config.toml"))
}

/// # Errors
/// There is no such profile.
fn exists(profile: &str, file: Option<&ConfigFile>, place: Option<&PathBuf>) -> Result<(), Error> {
    let place = place.map_or("no configuration file".to_owned(), |path| {
        path.display().to_string()
    });
    let Some(file) = file else {
        let message = format!(
            "there is no profile {profile:?}: {place} is not there; `panup config` shows where it is looked for"
        );
        return Err(usage(message));
    };
    if file.profiles.iter().any(|name| name == profile) {
        return Ok(());
    }
    let known = match file.profiles.is_empty() {
        true => "none".to_owned(),
        false => file.profiles.join(", "),
    };
    Err(usage(format!(
        "there is no [profile.{profile}] in {place}; its profiles: {known}"
    )))
}

/// What cannot go with something stronger is left out.
fn keep_what_goes_with(
    chosen: Vec<Setting>,
    command: Option<&Command>,
    is_typed: &dyn Fn(&str) -> bool,
) -> Vec<Setting> {
    let Some(command) = command else {
        return chosen;
    };
    let conflict = |one: &str, other: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_id() == one);
        let conflicts = arg.filter(|arg| !arg.is_global_set());
        let conflicts = conflicts.map(|arg| command.get_arg_conflicts_with(arg));
        conflicts.is_some_and(|all| all.iter().any(|arg| arg.get_id() == other))
    };
    let typed: Vec<&str> = command
        .get_arguments()
        .map(|arg| arg.get_id().as_str())
        .filter(|id| is_typed(id))
        .collect();
    let against = |one: &str, other: &str| conflict(one, other) || conflict(other, one);
    let from_environment: Vec<String> = chosen
        .iter()
        .filter(|setting| setting.is_from_environment())
        .map(|setting| setting.id().to_owned())
        .collect();
    let goes = |setting: &Setting| {
        let by_typed = typed
            .iter()
            .any(|id| *id != setting.id() && against(id, setting.id()));
        let stronger = |id: &String| id != setting.id() && against(id, setting.id());
        let by_variable = !setting.is_from_environment() && from_environment.iter().any(stronger);
        !by_typed && !by_variable
    };
    chosen.into_iter().filter(|setting| goes(setting)).collect()
}

#[cfg(test)]
mod tests;
