//! Where a setting comes from, and what it says there.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::catalogue::{Known, Takes};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Variable(String),
    /// A line of the configuration file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// In which profile.
        profile: Option<String>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Variable(name) => f.write_str(name),
            Origin::File {
                path,
                line,
                profile,
            } => {
                if let Some(profile) = profile {
                    write!(f, "profile {profile} in ")?;
                }
                write!(f, "{}:{line}", path.display())
            }
        }
    }
}

/// What is written there.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// Yes or no.
    Bool(bool),
    /// A text or a number.
    Text(OsString),
    /// Several of them.
    List(Vec<OsString>),
}

impl Written {
    /// The value of a variable: yes and no have several words there, and a list has an entry a line.
    ///
    /// # Errors
    /// It must be yes or no, and is not.
    pub fn in_variable(value: OsString, takes: Takes) -> Result<Written, String> {
        let word = value.to_string_lossy().trim().to_lowercase();
        let yes = match word.as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        };
        match takes {
            Takes::Nothing => {
                let refused = || format!("{word:?} is neither yes nor no; write 1 or 0");
                yes.map(Written::Bool).ok_or_else(refused)
            }
            Takes::OneOrNone => Ok(yes.map_or(Written::Text(value), Written::Bool)),
            Takes::Many => Ok(Written::List(lines(value))),
            Takes::One | Takes::Count => Ok(Written::Text(value)),
        }
    }

    /// As the values that could have been typed; `None` where it says that there is nothing.
    ///
    /// # Errors
    /// The option takes something else.
    pub fn values(
        self,
        known: &Known,
        folder: Option<&Path>,
    ) -> Result<Option<Vec<OsString>>, String> {
        let values = match (known.takes, self) {
            (Takes::Nothing, Written::Bool(yes)) => vec![yes.to_string().into()],
            (Takes::Nothing, _) => return Err("write true or false".to_owned()),
            (Takes::OneOrNone, Written::Bool(false)) => return Ok(None),
            (Takes::OneOrNone, Written::Bool(true)) => vec![OsString::new()],
            (Takes::Count, Written::Bool(yes)) => vec![u8::from(yes).to_string().into()],
            (Takes::One, Written::Bool(true)) => vec!["yes".into()],
            (Takes::One, Written::Bool(false)) => vec!["no".into()],
            (Takes::Many, Written::Bool(_)) => return Err("write a list of texts".to_owned()),
            (Takes::Many, Written::List(list)) => list,
            (Takes::Count, Written::Text(text)) => vec![number(text)?],
            (_, Written::List(_)) => return Err("it takes one value, no list".to_owned()),
            (_, Written::Text(text)) => vec![text],
        };
        let is_path = known.is_path;
        let place = |value: OsString| match folder {
            Some(folder) if is_path => placed(value, folder),
            _ => value,
        };
        Ok(Some(values.into_iter().map(place).collect()))
    }
}

fn number(text: OsString) -> Result<OsString, String> {
    let number = text
        .to_str()
        .and_then(|text| text.trim().parse::<u8>().ok());
    let number = number.ok_or("write a number: 0, 1 or 2")?;
    Ok(number.to_string().into())
}

fn lines(value: OsString) -> Vec<OsString> {
    let value = panup::name_bytes(&value);
    let lines = value.split(|&byte| byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    lines.map(panup::name_from_bytes).collect()
}

/// A path in the file is meant from the file's folder; `~/` is the home folder, since no shell reads it.
fn placed(value: OsString, folder: &Path) -> OsString {
    let home = std::env::var_os(super::super::system::HOME);
    match (value.to_str(), home) {
        (Some("" | "-"), _) => value,
        (Some(text), Some(home)) if text.starts_with("~/") => {
            Path::new(&home).join(&text[2..]).into_os_string()
        }
        _ => folder.join(value).into_os_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_yes_and_no() {
        let flag = |text: &str| Written::in_variable(text.into(), Takes::Nothing);
        for (text, yes) in [
            ("1", true),
            ("on", true),
            ("YES", true),
            ("0", false),
            ("off", false),
        ] {
            assert_eq!(flag(text), Ok(Written::Bool(yes)), "{text}");
        }
        assert!(
            flag("maybe")
                .expect_err("no word for it")
                .contains("1 or 0")
        );
        let list = Written::in_variable("a b\n\nc".into(), Takes::Many);
        assert_eq!(list, Ok(Written::List(vec!["a b".into(), "c".into()])));
    }

    #[test]
    fn paths_of_the_file_are_meant_from_its_folder() {
        let folder = Path::new("/etc/panup");
        for (written, meant) in [
            ("ca.pem", "/etc/panup/ca.pem"),
            ("/ca.pem", "/ca.pem"),
            ("-", "-"),
        ] {
            let placed = placed(written.into(), folder);
            assert_eq!(Path::new(&placed), Path::new(meant));
        }
    }
}
