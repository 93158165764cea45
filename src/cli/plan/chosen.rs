//! The files of a plan that one upload takes. In: a plan, a shard. Out: items, and what is wrong with the
//! others. Never: a file that is not what was planned.

use std::path::Path;
use std::sync::mpsc::Sender;

use panup::{Error, Item, Kind, Operation};
use serde_json::Value;

use super::super::echo::Echo;
use super::super::rebase::{Rebase, moved};
use super::super::shard::Shard;
use super::super::usage;
use super::super::walk::{News, Refused};
use super::entry::{path_of, refusal, unchanged};
use super::file::PlanFile;

/// Which of a plan's files, and where they are.
pub struct Choice {
    pub shard: Option<Shard>,
    pub rebase: Vec<Rebase>,
    pub parent_id: i64,
    /// Told what is wrong.
    pub news: Sender<News>,
}

impl Choice {
    /// The files of `plan` that are chosen.
    ///
    /// # Errors
    /// The plan is for another number of shards, or cannot be read.
    pub fn items(self, plan: &PlanFile) -> Result<Box<dyn Iterator<Item = Item> + Send>, Error> {
        let planned = plan.shards;
        if let Some(shard) = self.shard.filter(|_| planned > 1)
            && shard.count() != planned
        {
            let message = format!(
                "the plan has {planned} shards, and this is to be one of {}: give the number that it was made for, or \
                 plan again",
                shard.count()
            );
            return Err(usage(message));
        }
        let lines = plan.lines()?;
        Ok(Box::new(lines.filter_map(move |line| {
            self.has(&line, planned).then(|| self.item(&line)).flatten()
        })))
    }

    fn has(&self, line: &Value, planned: u32) -> bool {
        let remote = line["remote"].as_str().unwrap_or_default();
        match self.shard {
            None => true,
            Some(shard) if planned > 1 => line["shard"] == shard.index(),
            Some(shard) if remote.is_empty() => shard.is_first(),
            Some(shard) => shard.has(remote),
        }
    }

    fn item(&self, line: &Value) -> Option<Item> {
        let path = moved(&self.rebase, &path_of(line));
        let remote = line["remote"].as_str().unwrap_or_default();
        let tag = Some(line["tag"].clone()).filter(|tag| !tag.is_null());
        let echo = Echo::new(tag, None);
        let changed = || unchanged(line, &path).map_err(|why| changed(&path, &why));
        if let Some(error) = refusal(line).or_else(|| changed().err()) {
            let refused = Refused {
                error: error.with_path(&path),
                path,
                remote: remote.to_owned(),
                echo,
            };
            drop(self.news.send(News::Refused(refused)));
            return None;
        }
        let mut item = Item::new(path).to(self.parent_id, remote);
        item.md5 = line["md5"].as_str().and_then(|md5| md5.parse().ok());
        item.tag = echo.into_tag();
        Some(item)
    }
}

fn changed(path: &Path, why: &str) -> Error {
    let message = format!("the file is not what was planned: {why}");
    let error = Error::new(Kind::Source, Operation::Check, message);
    error.with_path(path).for_good().advice("plan again")
}
