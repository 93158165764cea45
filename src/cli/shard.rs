//! Which of many processes this one is, and which files are its own. In: `--shard`, and what schedulers
//! say in the environment. Out: a shard. Never: a guess at how many there are.

use std::str::FromStr;

use panup::{Error, digest};

use super::usage;

/// One of so many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    index: u32,
    count: u32,
}

/// `--shard`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The environment says.
    Auto,
    /// The environment says of how many.
    Index(u32),
    /// This one.
    Of(Shard),
}

impl Shard {
    /// Shard `index` of `count`, from 1.
    pub fn new(index: u64, count: u64) -> Option<Shard> {
        let (index, count) = (u32::try_from(index).ok()?, u32::try_from(count).ok()?);
        (1..=count)
            .contains(&index)
            .then_some(Shard { index, count })
    }

    /// Which one it is, from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether it is the first, which also tells what is no shard's.
    pub fn is_first(self) -> bool {
        self.index == 1
    }

    /// Whether the file that goes to `remote` is its own. The same on every machine and in every version.
    pub fn has(self, remote: &str) -> bool {
        let remote = panup::remote_folder(remote).unwrap_or_else(|_| remote.to_owned());
        let md5 = digest::md5(remote.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&md5.as_bytes()[..8]);
        let share = u128::from(u64::from_be_bytes(first)) * u128::from(self.count);
        share >> 64 == u128::from(self.index - 1)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Asked, String> {
        if text == "auto" {
            return Ok(Asked::Auto);
        }
        let refused = || "write K/N, from 1/N to N/N, or auto".to_owned();
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (index, Some(count)),
            None => (text, None),
        };
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| refused());
        let index = number(index)?;
        match count {
            Some(count) => {
                let shard = Shard::new(index, number(count)?);
                shard.map(Asked::Of).ok_or_else(refused)
            }
            None => {
                let index = u32::try_from(index).ok().filter(|index| *index > 0);
                index.map(Asked::Index).ok_or_else(refused)
            }
        }
    }
}

/// The shard that is meant, and what said so where that was the environment.
///
/// # Errors
/// The environment does not say which one, or of how many.
pub fn resolve(
    asked: Asked,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Shard, Option<&'static str>), Error> {
    let environment = Environment(variable);
    match asked {
        Asked::Of(shard) => Ok((shard, None)),
        Asked::Index(index) => {
            let shard = environment.counted("--shard", u64::from(index), COUNT)?;
            Ok((shard, Some(COUNT)))
        }
        Asked::Auto => environment.shard().map(|(shard, by)| (shard, Some(by))),
    }
}

struct Environment<F>(F);

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    fn shard(&self) -> Result<(Shard, &'static str), Error> {
        if let Some(own) = self.text("PANUP_SHARD").filter(|own| own != "auto") {
            let wrong = |why: String| usage(format!("PANUP_SHARD is {own:?}: {why}; {EXPLICIT}"));
            return match own.parse::<Asked>().map_err(wrong)? {
                Asked::Of(shard) => Ok((shard, "PANUP_SHARD")),
                Asked::Index(index) => {
                    let shard = self.counted("PANUP_SHARD", u64::from(index), COUNT)?;
                    Ok((shard, "PANUP_SHARD"))
                }
                Asked::Auto => Err(none()),
            };
        }
        if let Some(index) = self.number(KUBERNETES)? {
            let shard = self.counted(KUBERNETES, index + 1, COUNT)?;
            return Ok((shard, KUBERNETES));
        }
        if let Some(id) = self.number(SLURM)? {
            return Ok((self.slurm(id)?, SLURM));
        }
        if let Some(index) = self.number(BATCH)? {
            let shard = self.counted(BATCH, index + 1, "AWS_BATCH_JOB_ARRAY_SIZE")?;
            return Ok((shard, BATCH));
        }
        Err(none())
    }

    /// An array may begin anywhere and have steps; one with gaps, or a part of one that runs again, does
    /// not say which part of the whole a task is.
    fn slurm(&self, id: u64) -> Result<Shard, Error> {
        let need = |name: &str| {
            let missing = || usage(format!("{SLURM} is set and {name} is not; {EXPLICIT}"));
            self.number(name)?.ok_or_else(missing)
        };
        let (least, most) = (need("SLURM_ARRAY_TASK_MIN")?, need("SLURM_ARRAY_TASK_MAX")?);
        let step = self.number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let whole = most.saturating_sub(least) / step + 1;
        let count = self.number("SLURM_ARRAY_TASK_COUNT")?.unwrap_or(whole);
        if count != whole {
            let message = format!(
                "the Slurm array has {count} tasks from {least} to {most}: with gaps, a task does not say which \
                 part of the whole it is; {EXPLICIT}"
            );
            return Err(usage(message));
        }
        if count == 1 && id > 1 {
            let message = format!(
                "the Slurm array is task {id} alone, which does not say of how many; {EXPLICIT}"
            );
            return Err(usage(message));
        }
        self.agrees(SLURM, count)?;
        let index = id.checked_sub(least).map_or(0, |after| after / step + 1);
        Shard::new(index, count).ok_or_else(|| outside(SLURM, index, count))
    }

    /// Shard `index`, of as many as `name` says, or [`COUNT`].
    fn counted(&self, whose: &str, index: u64, name: &str) -> Result<Shard, Error> {
        let count = match self.number(name)? {
            Some(count) => count,
            None => self.number(COUNT)?.ok_or_else(|| {
                usage(format!(
                    "{whose} says that this is shard {index}, and nothing says of how many: set {COUNT}, for an indexed \
                     job to its completions; {EXPLICIT}"
                ))
            })?,
        };
        self.agrees(name, count)?;
        Shard::new(index, count).ok_or_else(|| outside(whose, index, count))
    }

    fn agrees(&self, name: &str, count: u64) -> Result<(), Error> {
        match self.number(COUNT)? {
            Some(own) if own != count => Err(usage(format!(
                "{COUNT} is {own}, and by {name} there are {count} shards; {EXPLICIT}"
            ))),
            _ => Ok(()),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| *number < u64::MAX);
        let wrong = || {
            usage(format!(
                "{name} is {text:?}, which is no whole number; {EXPLICIT}"
            ))
        };
        number.map(Some).ok_or_else(wrong)
    }

    /// An empty variable is one that is not set.
    fn text(&self, name: &str) -> Option<String> {
        let text = (self.0)(name)?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }
}

fn outside(whose: &str, index: u64, count: u64) -> Error {
    usage(format!(
        "by {whose} this is shard {index} of {count}, which there is not; {EXPLICIT}"
    ))
}

fn none() -> Error {
    usage(format!(
        "--shard auto: the environment has neither PANUP_SHARD nor {KUBERNETES}, {SLURM} or {BATCH}; {EXPLICIT}"
    ))
}

const COUNT: &str = "PANUP_SHARDS";
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
const SLURM: &str = "SLURM_ARRAY_TASK_ID";
const BATCH: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
const EXPLICIT: &str = "or say it by --shard K/N";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn by(asked: &str, environment: &[(&str, &str)]) -> Result<String, String> {
        let set: HashMap<&str, &str> = environment.iter().copied().collect();
        let asked: Asked = asked.parse().expect("an argument");
        let found = resolve(asked, |name| set.get(name).map(ToString::to_string));
        let found = found.map(|(shard, _)| shard.to_string());
        found.map_err(|error| error.message().to_owned())
    }

    proptest! {
        #[test]
        fn shards_are_disjoint_and_complete(remote in "\\PC{1,40}", count in 1_u64..=64) {
            let mine = (1..=count).filter(|&index| {
                Shard::new(index, count).is_some_and(|shard| shard.has(&remote))
            });
            prop_assert_eq!(mine.count(), 1);
        }
    }

    #[test]
    fn a_file_is_in_the_same_shard_for_ever_and_shards_are_even() {
        let of = |remote: &str| {
            (1..=8).find(|&index| Shard::new(index, 8).is_some_and(|shard| shard.has(remote)))
        };
        assert_eq!(
            ["a", "tree/a.txt", "照片/1.jpg"].map(of),
            [Some(1), Some(1), Some(3)]
        );
        assert_eq!(of("/tree//a.txt"), of("tree/a.txt"));
        let mut counts = [0_u32; 8];
        for number in 0..8000 {
            counts[of(&format!("d/{number}")).expect("one") as usize - 1] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn arguments() {
        assert_eq!("auto".parse(), Ok(Asked::Auto));
        assert_eq!("7".parse(), Ok(Asked::Index(7)));
        assert_eq!(by("3/8", &[]), Ok("3/8".to_owned()));
        for wrong in ["", "0", "0/8", "9/8", "1/0", "a", "1/", "/2", "-1/2"] {
            assert!(wrong.parse::<Asked>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn schedulers_say_which_and_of_how_many() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_MAX", "16"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        let batch = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "7"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "8"),
        ];
        for (environment, shard) in [
            (
                &[("JOB_COMPLETION_INDEX", "0"), ("PANUP_SHARDS", "8")][..],
                "1/8",
            ),
            (&slurm, "3/4"),
            (&batch, "8/8"),
            (&[("PANUP_SHARD", "2/5")], "2/5"),
            (&[("PANUP_SHARD", "2"), ("PANUP_SHARDS", "5")], "2/5"),
            (&[("PANUP_SHARD", "auto"), batch[0], batch[1]], "8/8"),
        ] {
            assert_eq!(
                by("auto", environment),
                Ok(shard.to_owned()),
                "{environment:?}"
            );
        }
        assert_eq!(by("2", &[("PANUP_SHARDS", "5")]), Ok("2/5".to_owned()));
    }

    #[test]
    fn what_does_not_say_of_how_many_is_refused() {
        let slurm = |more: &[(&'static str, &'static str)]| {
            [&[("SLURM_ARRAY_TASK_ID", "5")], more].concat()
        };
        let lone = slurm(&[("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_MAX", "5")]);
        let gaps = slurm(&[
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "7"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
        ]);
        let bare = slurm(&[]);
        for (environment, words) in [
            (&[][..], "neither PANUP_SHARD nor"),
            (&[("JOB_COMPLETION_INDEX", "3")], "set PANUP_SHARDS"),
            (
                &[("JOB_COMPLETION_INDEX", "8"), ("PANUP_SHARDS", "8")],
                "shard 9 of 8",
            ),
            (&[("JOB_COMPLETION_INDEX", "x")], "no whole number"),
            (&[("AWS_BATCH_JOB_ARRAY_INDEX", "3")], "of how many"),
            (&[("PANUP_SHARD", "3")], "of how many"),
            (&[("PANUP_SHARD", "0")], "K/N"),
            (&lone, "alone"),
            (&gaps, "gaps"),
            (&bare, "SLURM_ARRAY_TASK_MIN is not"),
            (
                &[
                    ("AWS_BATCH_JOB_ARRAY_INDEX", "3"),
                    ("AWS_BATCH_JOB_ARRAY_SIZE", "8"),
                    ("PANUP_SHARDS", "9"),
                ],
                "PANUP_SHARDS is 9",
            ),
        ] {
            let refused = by("auto", environment).expect_err("no count");
            assert!(refused.contains(words), "{refused}");
            assert!(refused.contains("--shard K/N"), "{refused}");
        }
    }
}
