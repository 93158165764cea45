//! What can be set, as the command's own definition has it, so that no option is forgotten. In: clap's
//! definition. Out: each option's name, kind of value, and variables.

use clap::{Arg, ArgAction, Command, ValueHint};

/// An option of one command.
#[derive(Debug, Clone)]
pub struct Known {
    /// As clap knows it.
    pub id: String,
    /// As it is typed, without the dashes; the key in the file.
    pub name: String,
    /// What it takes.
    pub takes: Takes,
    /// Its values are paths.
    pub is_path: bool,
    /// It belongs to all commands.
    pub is_global: bool,
    /// It is about the service and the account there.
    pub is_of_account: bool,
    /// A key or variable without the command's name means it too.
    pub is_shared: bool,
    /// Its variables, the strongest first.
    pub variables: Vec<String>,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is given or not.
    Nothing,
    /// Nothing, several times.
    Count,
    /// One value.
    One,
    /// One value, or none.
    OneOrNone,
    /// Any number of values.
    Many,
}

/// The options of the command `name` that can be set.
pub fn options(root: &Command, name: &str) -> Vec<Known> {
    let command = root.find_subcommand(name);
    let own = command.into_iter().flat_map(Command::get_arguments);
    let global = root.get_arguments().filter(|arg| arg.is_global_set());
    let of_upload = names(root, "upload");
    let all = own.chain(global).filter(|arg| can_be_set(arg));
    all.filter_map(|arg| known(arg, name, &of_upload)).collect()
}

/// The names of all commands.
pub fn commands(root: &Command) -> Vec<String> {
    let names = root.get_subcommands().map(Command::get_name);
    names
        .filter(|name| !WITHOUT_SETTINGS.contains(name))
        .map(str::to_owned)
        .collect()
}

/// Commands that print what is the same for everybody.
pub const WITHOUT_SETTINGS: [&str; 4] = ["completions", "help", "man", "version"];

fn names(root: &Command, command: &str) -> Vec<String> {
    let command = root.find_subcommand(command);
    let own = command.into_iter().flat_map(Command::get_arguments);
    let names = own.filter(|arg| can_be_set(arg)).filter_map(Arg::get_long);
    names.map(str::to_owned).collect()
}

/// Not where settings are, nor what only asks for help.
fn can_be_set(arg: &Arg) -> bool {
    let excepted = ["config", "profile", "help", "version"];
    arg.get_long().is_some_and(|long| !excepted.contains(&long))
}

fn known(arg: &Arg, command: &str, of_upload: &[String]) -> Option<Known> {
    let name = arg.get_long()?.to_owned();
    let is_own = OF_THEIR_OWN.contains(&(command, &name));
    let is_shared = arg.is_global_set() || (of_upload.contains(&name) && !is_own);
    let mut variables = vec![variable(&format!("{command}-{name}"))];
    if is_shared {
        variables.push(variable(&name));
    }
    Some(Known {
        id: arg.get_id().to_string(),
        takes: takes(arg),
        is_path: is_path(arg),
        is_global: arg.is_global_set(),
        is_of_account: arg.get_help_heading() == Some("Service"),
        is_shared,
        variables,
        name,
    })
}

/// Options that are called as one of `panup upload` is, and mean another thing.
const OF_THEIR_OWN: &[(&str, &str)] = &[
    ("verify", "report"),
    ("merge", "plan"),
    ("tune", "dest"),
    ("tune", "emulator"),
    ("doctor", "emulator"),
    ("hash", "quiet"),
];

/// `limit-rate` is `PANUP_LIMIT_RATE`.
pub fn variable(name: &str) -> String {
    format!("PANUP_{}", name.to_uppercase().replace('-', "_"))
}

fn takes(arg: &Arg) -> Takes {
    match arg.get_action() {
        ArgAction::Count => Takes::Count,
        ArgAction::Append => Takes::Many,
        ArgAction::SetTrue | ArgAction::SetFalse => Takes::Nothing,
        _ if arg
            .get_num_args()
            .is_some_and(|count| count.min_values() == 0) =>
        {
            Takes::OneOrNone
        }
        _ => Takes::One,
    }
}

fn is_path(arg: &Arg) -> bool {
    matches!(
        arg.get_value_hint(),
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
    )
}
