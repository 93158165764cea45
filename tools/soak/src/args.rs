//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use crate::kind::Kind;

/// How to soak.
#[derive(Debug)]
pub struct Args {
    /// No round begins after this long.
    pub lasts: Duration,
    /// Chance begins here.
    pub seed: u64,
    /// Only this round.
    pub round: Option<u64>,
    /// Only this weather; all where it is empty.
    pub only: Vec<Kind>,
    /// Rounds at a time.
    pub jobs: u64,
    /// The binary.
    pub panup: PathBuf,
}

impl Args {
    /// The command line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse() -> Result<Args, String> {
        let mut args = Args {
            lasts: Duration::from_secs(30 * 60),
            seed: fastrand::u64(..),
            round: None,
            only: Vec::new(),
            jobs: 2,
            panup: beside(),
        };
        let mut typed = std::env::args().skip(1);
        while let Some(flag) = typed.next() {
            let value = typed.next().ok_or(format!("{flag} needs a value"))?;
            let number = || {
                let number = value.parse::<u64>();
                number.map_err(|_| format!("{flag} needs a number, not {value}"))
            };
            match flag.as_str() {
                "--minutes" => args.lasts = Duration::from_secs(60 * number()?),
                "--seed" => args.seed = number()?,
                "--round" => args.round = Some(number()?),
                "--jobs" => args.jobs = number()?,
                "--panup" => args.panup = PathBuf::from(value),
                "--only" => args.only = kinds(&value)?,
                _ => return Err(format!("there is no {flag}")),
            }
        }
        if !args.panup.is_file() {
            return Err(format!("{} is not built", args.panup.display()));
        }
        Ok(args)
    }
}

fn kinds(text: &str) -> Result<Vec<Kind>, String> {
    let named = |name: &str| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let known = || Kind::ALL.map(Kind::name).join(", ");
        kind.ok_or_else(|| format!("there is no {name} among {}", known()))
    };
    text.split(',').map(named).collect()
}

/// Cargo puts every binary of a profile into one folder.
fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("panup")
}
