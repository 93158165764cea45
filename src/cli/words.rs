//! The library's errors, in words of the command. In: a message. Out: the same, with the options called as
//! they are typed. Never: a name that only the library knows.

use std::borrow::Cow;

/// The library's errors name its options; the user of the command has others.
pub fn in_words_of_the_command(line: &str) -> Cow<'_, str> {
    let mut line = Cow::Borrowed(line);
    for (library, command) in OPTIONS {
        if line.contains(library) {
            line = Cow::Owned(line.replace(library, command));
        }
    }
    line
}

/// Options of the library as its errors name them, and what the command calls them.
const OPTIONS: &[(&str, &str)] = &[
    ("`Options::allow_http`", "--allow-http"),
    ("`Options::roots`", "--ca-cert"),
    ("`Options::trusted_hosts`", "--trust-host"),
    ("`Options::state_dir`", "--state-dir"),
    ("`Options::checkpoint`", "--checkpoint"),
    ("`Options::concurrency`", "--concurrency"),
    ("`Options::limit_rate`", "--limit-rate"),
    ("`Options::on_conflict`", "--on-conflict"),
    ("`Item::part`", "--split"),
    ("`Options::look` set to never", "--look never"),
    ("`Options::look` set to always", "--look always"),
    // The command has none of its own.
    ("the lookup in `Options::lookup`", "the lookup of names"),
    ("`Options::resume` set to nothing", "--no-resume"),
    ("name it in `Options::account`", "name it with --account"),
    (
        "give the new refresh token in `Credential::OAuth`",
        "give the new refresh token to `panup login --oauth` or PANUP_OAUTH_REFRESH_TOKEN",
    ),
    (
        "check the text of `Credential::Token`",
        "check PANUP_TOKEN or the token file",
    ),
    ("have it forgotten by `State::forget`", "`panup forget` it"),
    (
        "have the file forgotten by `State::forget`",
        "`panup forget` the file",
    ),
    (
        "interrupted; the same upload goes on there",
        "interrupted; rerun the same command to resume",
    ),
    (
        "the same upload goes on where it was",
        "the same command goes on where it was",
    ),
    (": see `Item::make_folders`", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_the_commands_names() {
        let line = "a private CA is named in `Options::roots`, not in `Options::state_dir`";
        let expected = "a private CA is named in --ca-cert, not in --state-dir";
        assert_eq!(in_words_of_the_command(line), expected);
        assert_eq!(in_words_of_the_command("f`Options"), "f`Options");
    }

    /// No message of the library names an option of which the command does not know the name.
    #[test]
    fn every_option_that_a_message_names_has_a_name_here() {
        for entry in ignore::Walk::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")) {
            let entry = entry.expect("readable");
            let is_code = entry.path().extension().is_some_and(|end| end == "rs");
            let text = if is_code
                && !entry
                    .path()
                    .components()
                    .any(|part| part.as_os_str() == "cli")
            {
                std::fs::read_to_string(entry.path()).expect("text")
            } else {
                continue;
            };
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                let told = in_words_of_the_command(line);
                let left = ["`Options::", "`Item::", "`Credential::", "`State::"];
                let left = left.iter().any(|name| told.contains(name));
                assert!(!left, "{}: {line}", entry.path().display());
            }
        }
    }
}
