//! What this process does of a whole that many do: its shard, and its share of what is for all of them.

use panup::{Error, Options};

use super::args::Upload;
use super::complain;
use super::shard::{Shard, resolve};
use super::size::human;

/// One process of many, or the only one.
pub struct Part {
    /// Whose files; all where there is none.
    pub shard: Option<Shard>,
    /// How many run at once.
    workers: u32,
    /// Nobody said how many run at once.
    by_shards: bool,
    quiet: bool,
}

impl Part {
    /// As the options and the environment have it. Says what was chosen.
    ///
    /// # Errors
    /// It is not said which shard this is, or of how many.
    pub fn of(upload: &Upload) -> Result<Part, Error> {
        let asked = upload.parts.shard;
        let shard = asked.map(|asked| resolve(asked, variable)).transpose()?;
        let quiet = upload.output.quiet;
        if let (Some((shard, Some(by))), false) = (shard, quiet) {
            complain(&format!("shard {shard}, by {by}"));
        }
        let shard = shard.map(|(shard, _)| shard);
        let workers = upload.parts.workers;
        Ok(Part {
            shard,
            workers: workers.unwrap_or_else(|| shard.map_or(1, Shard::count)),
            by_shards: workers.is_none(),
            quiet,
        })
    }

    /// How many processes run at once.
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// Takes this process's share of rates that are for all, and says so.
    pub fn divide(&self, options: &mut Options) {
        let workers = self.workers;
        if workers <= 1 {
            return;
        }
        let mut said = Vec::new();
        if let Some(rate) = &mut options.limit_rate {
            let whole = std::mem::replace(rate, (*rate / u64::from(workers)).max(1));
            said.push(format!(
                "--limit-rate {}/s is {}/s",
                human(whole),
                human(*rate)
            ));
        }
        let rates = &mut options.call_rates;
        for (name, rate) in [
            ("create", &mut rates.create),
            ("complete", &mut rates.complete),
            ("single", &mut rates.single),
            ("list", &mut rates.list),
        ] {
            if let Some(rate) = rate {
                let whole = std::mem::replace(rate, *rate / f64::from(workers));
                said.push(format!("--call-rate {name}={whole} is {rate:.3}"));
            }
        }
        if said.is_empty() || self.quiet {
            return;
        }
        let why = match self.by_shards {
            true => "one for each shard; --workers says how many run at once",
            false => "--workers",
        };
        complain(&format!(
            "{} here: divided by {workers} ({why})",
            said.join(", ")
        ));
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
