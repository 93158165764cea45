//! README does not lie, in either language: its transcripts are run and compared, and each option that it
//! names is one that its command has.
#![cfg(unix)]

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::{folder, make};

#[test]
fn transcripts_are_what_happens() {
    for (name, text) in READMES {
        let home = home();
        let mut commands = 0;
        for block in blocks(text).filter(|block| block.language == "console") {
            for (command, said) in transcript(&block.text) {
                let happened = run(home.path(), &command);
                assert_eq!(
                    settled(&happened),
                    settled(&said),
                    "{name}: $ {command}\n{happened}"
                );
                commands += 1;
            }
        }
        assert!(commands >= 3, "{name}: {commands} commands");
    }
}

#[test]
fn options_are_those_of_their_commands() {
    let all_commands = commands();
    for (name, text) in READMES {
        let mut checked = 0;
        for line in code(text) {
            // What stands behind a bar is another program's.
            for call in line
                .split(['|', ';', '&'])
                .filter_map(|part| part.split_once("panup "))
            {
                let call = call.1.split('#').next().unwrap_or_default();
                // `panup config` takes another command's line.
                let call = call.strip_prefix("config ").unwrap_or(call);
                let command = call.split_whitespace().next().unwrap_or_default();
                if !all_commands.iter().any(|known| known == command) {
                    continue;
                }
                let help = help(&[command]);
                for option in options(call) {
                    assert!(
                        has(&help, &option),
                        "{name}: panup {command} has no {option}: {line}"
                    );
                    checked += 1;
                }
            }
        }
        assert!(checked > 10, "{name}: {checked}");
        let all = all_commands
            .iter()
            .map(|command| help(&[command]))
            .collect::<String>();
        for option in code(text).flat_map(|line| options(&line)) {
            let known = has(&all, &option) || OTHERS.contains(&option.as_str());
            assert!(known, "{name}: no command has {option}");
        }
    }
}

#[test]
fn both_name_the_same_options() {
    let [english, chinese] = READMES.map(|(_, text)| -> BTreeSet<String> {
        let options = code(text).flat_map(|line| options(&line));
        options
            .filter(|option| !OTHERS.contains(&option.as_str()))
            .collect()
    });
    let differing: Vec<_> = english.symmetric_difference(&chinese).collect();
    assert!(differing.is_empty(), "in one README only: {differing:?}");
}

/// A folder with the files that the transcripts speak of, and the program on its path.
fn home() -> tempfile::TempDir {
    let home = folder();
    make(&home.path().join("archive.tar.zst"), 9_000_000, 1);
    std::fs::create_dir(home.path().join("photos")).expect("made");
    make(&home.path().join("photos/dawn.jpg"), 300_000, 2);
    std::fs::create_dir(home.path().join(".bin")).expect("made");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_panup"), home.path().join(".bin/panup"))
        .expect("linked");
    home
}

/// What a shell shows of `command`.
fn run(home: &Path, command: &str) -> String {
    let path = format!("{}:/usr/bin:/bin", home.join(".bin").display());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(home);
    shell
        .env_clear()
        .env("HOME", home)
        .env("PATH", path)
        .env("TMPDIR", home);
    let output = shell.output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    assert!(output.status.success(), "$ {command}\n{text}");
    text
}

/// The commands of a transcript, each with what follows it.
fn transcript(block: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((_, said))) => said.push_str(&format!("{line}\n")),
            (None, None) => panic!("a transcript begins with a command: {line}"),
        }
    }
    commands
}

/// The lines without what differs from run to run: times, rates, ids, temporary folders, their order, and where
/// the time of a run went that took long enough for that.
fn settled(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("the time went to"));
    let mut lines: Vec<String> = lines.map(settled_line).collect();
    lines.sort();
    lines
}

fn settled_line(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let settled = words.iter().enumerate().map(|(at, word)| {
        let bare = |at: usize| {
            words
                .get(at)
                .map(|word| word.trim_end_matches([',', ';', ')']))
        };
        let varies = bare(at + 1) == Some("s")
            || bare(at + 1).is_some_and(|unit| unit.ends_with("/s"))
            || at > 0 && words[at - 1].trim_start_matches('(') == "id";
        match () {
            () if word.contains("panup-emulator-") => "DIR".to_owned(),
            () if varies => word.replace(|c: char| c.is_ascii_digit() || c == '.', ""),
            () => (*word).to_owned(),
        }
    });
    settled.collect::<Vec<_>>().join(" ")
}

struct Block {
    language: String,
    text: String,
}

/// Blocks of code.
fn blocks(text: &str) -> impl Iterator<Item = Block> {
    let parts = text.split("\n```").enumerate();
    parts.filter(|(at, _)| at % 2 == 1).map(|(_, part)| {
        let (language, text) = part.split_once('\n').unwrap_or((part, ""));
        Block {
            language: language.to_owned(),
            text: text.to_owned(),
        }
    })
}

/// Lines of code for a shell, in blocks and in sentences.
fn code(text: &str) -> impl Iterator<Item = String> {
    let shell = |block: &Block| ["sh", "bash", "console"].contains(&block.language.as_str());
    let mut lines: Vec<String> = Vec::new();
    for block in blocks(text).filter(shell) {
        lines.extend(block.text.replace("\\\n", " ").lines().map(str::to_owned));
    }
    let prose = text
        .split("\n```")
        .enumerate()
        .filter(|(at, _)| at % 2 == 0);
    for (_, part) in prose {
        // A paragraph's line breaks mean nothing.
        let part = part.replace('\n', " ");
        let spans = part.split('`').enumerate().filter(|(at, _)| at % 2 == 1);
        lines.extend(spans.map(|(_, span)| span.to_owned()));
    }
    lines.retain(|line| !line.contains("cargo "));
    lines.into_iter()
}

/// `--name` of each option, without its value.
fn options(line: &str) -> Vec<String> {
    let words = line.split(|c: char| c.is_whitespace() || "()[]|,，、".contains(c));
    let options = words.filter(|word| word.len() > 2 && word.starts_with("--"));
    let name = |word: &str| {
        let end = word[2..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        word[..end.map_or(word.len(), |end| end + 2)].to_owned()
    };
    options.map(name).collect()
}

fn has(help: &str, option: &str) -> bool {
    let after = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    help.split(option).skip(1).any(after)
}

/// The program's commands, as its help lists them.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let (_, rest) = help.split_once("Commands:\n").expect("commands");
    let lines = rest.lines().take_while(|line| !line.is_empty());
    // What a long line wraps into stands further in.
    let lines = lines.filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 8, "{names:?}");
    names
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_panup"))
        .args(command)
        .arg("--help")
        .output();
    let output = output.expect("it can be started");
    assert!(output.status.success(), "panup {command:?} --help");
    String::from_utf8(output.stdout).expect("UTF-8")
}

const READMES: [(&str, &str); 2] = [
    ("README.md", include_str!("../README.md")),
    (
        ".github/README.zh-CN.md",
        include_str!("../.github/README.zh-CN.md"),
    ),
];

/// Of other programs.
const OTHERS: [&str; 5] = [
    "--queue-url",
    "--wait-time-seconds",
    "--receipt-handle",
    "--unbuffered",
    "--raw",
];
