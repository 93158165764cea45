use std::collections::BTreeMap;

use clap::CommandFactory;

use super::super::args::Args;
use super::*;

/// Every option of every command can be typed, set by a variable, and written in the file.
#[test]
fn every_option_has_all_three_ways() {
    let root = Args::command();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    let names = Names {
        commands: catalogue::commands(&root)
            .into_iter()
            .map(|name| (name.clone(), catalogue::options(&root, &name)))
            .collect(),
    };
    let mut seen = 0;
    for (command, options) in &names.commands {
        let typed = root
            .find_subcommand(command)
            .expect("listed")
            .get_arguments();
        let typed = typed.filter(|arg| arg.get_long().is_some()).count();
        assert!(options.len() >= typed, "{command} forgets an option");
        for known in options {
            let written = match known.takes {
                Takes::Nothing => "true",
                Takes::Count => "1",
                Takes::One | Takes::OneOrNone => "\"7\"",
                Takes::Many => "[\"7\"]",
            };
            let line = format!("{} = {written}\n", known.name);
            for (text, is_read) in [
                (format!("[{command}]\n{line}"), true),
                (line, known.is_shared),
            ] {
                std::fs::write(&path, text).expect("written");
                let read = ConfigFile::read(&path, &names);
                let said = read.is_ok_and(|file| file.of(command, known, None).count() == 1);
                assert!(said == is_read || !is_read, "{command} {}", known.name);
            }
            assert_eq!(known.variables.len(), 1 + usize::from(known.is_shared));
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen}");
}

/// Yes is what such an option means without a value.
#[test]
fn an_option_that_needs_no_value_can_be_yes() {
    let root = Args::command();
    let mut seen = 0;
    for command in catalogue::commands(&root) {
        let options = catalogue::options(&root, &command);
        for known in options
            .iter()
            .filter(|known| known.takes == Takes::OneOrNone)
        {
            let found = Found {
                names: Names {
                    commands: Vec::new(),
                },
                command: command.clone(),
                options: Vec::new(),
                environment: Environment::from(
                    [(known.variables[0].clone(), "1".into())].into_iter(),
                ),
                place: None,
                file: None,
                profile: None,
            };
            let setting = found.setting(&root, known).expect("yes").expect("set");
            check(&root, &command, std::slice::from_ref(&setting)).expect("a value of its own");
            with_defaults(root.clone(), &command, &[setting]).debug_assert();
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

/// Two options of one variable would each get the other's value.
#[test]
fn a_variable_means_one_option() {
    let root = Args::command();
    let mut meant: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for command in catalogue::commands(&root) {
        for known in catalogue::options(&root, &command) {
            for variable in &known.variables {
                let of = meant.entry(variable.clone()).or_default();
                of.push(known.name.clone());
            }
        }
    }
    meant.values_mut().for_each(Vec::dedup);
    let several: Vec<_> = meant
        .iter()
        .filter(|(_, of)| of.len() > 1)
        .map(|(name, _)| name.as_str())
        .collect();
    // `upload --hash-threads` and `hash --threads` are the same.
    assert_eq!(several, ["PANUP_HASH_THREADS"]);
    for other in environment::OTHERS {
        let own = meant.contains_key(&catalogue::variable(other));
        assert!(!own, "{other} is an option's as well");
    }
}

/// What is shared is the same everywhere: it takes the same.
#[test]
fn shared_options_are_alike() {
    let root = Args::command();
    let upload = catalogue::options(&root, "upload");
    for command in catalogue::commands(&root) {
        for known in catalogue::options(&root, &command)
            .iter()
            .filter(|known| known.is_shared)
        {
            let same = upload
                .iter()
                .find(|other| other.name == known.name)
                .expect("shared with it");
            assert_eq!(
                (known.takes, known.is_path),
                (same.takes, same.is_path),
                "{command} {}",
                known.name
            );
        }
    }
}
