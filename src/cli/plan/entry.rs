//! A file of a plan. In: how it would end. Out: its line, and what of it is still so when it is uploaded.
//! Never: a word on what is in it, but its MD5 where that is known.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use panup::{Error, Outcome, Status};
use serde_json::{Value, json};

use super::super::echo::Echo;
use super::super::objects::{self, File, Line};
use super::super::walk::Refused;
use super::totals::Pace;

/// A planned file: a few hundred bytes, since a plan may have a million.
pub struct Entry {
    /// The object as text, without its cost and shard.
    text: Box<str>,
    /// In seconds.
    pub cost: f64,
    /// It goes up as another one of the plan.
    pub is_twin: bool,
    /// The file of which these are the parts so far.
    of: Option<Box<str>>,
}

impl Entry {
    /// Adds a file that would end so. The parts of one are one: whoever uploads them splits it.
    pub fn add(entries: &mut Vec<Entry>, outcome: &Outcome, pace: &Pace) {
        let part = Echo::from_tag(outcome.tag.as_deref()).into_part();
        let of = part.filter(|part| part.number > 0).map(|part| part.of);
        let cost = match &outcome.status {
            Status::Planned(forecast) => pace.cost(forecast).max(LEAST_COST),
            _ => LEAST_COST,
        };
        let mut line = objects::planned(outcome).value();
        line["action"] = json!(objects::action(&outcome.status));
        let (modified, is_link) = facts(&outcome.path);
        line["mtime"] = json!(modified);
        if is_link {
            line["link"] = json!(true);
        }
        let Some(of) = of else {
            return entries.push(Entry {
                is_twin: matches!(outcome.status, Status::Skipped(None)),
                ..Entry::new(line, cost)
            });
        };
        match entries.last_mut() {
            Some(last) if last.of.as_deref() == Some(&of) => last.absorb(&line, cost),
            _ => {
                line["remote"] = json!(of);
                for name in ["md5", "part", "note"] {
                    drop_key(&mut line, name);
                }
                entries.push(Entry {
                    of: Some(of.into()),
                    ..Entry::new(line, cost)
                });
            }
        }
    }

    /// Of one that the walk refused.
    pub fn refused(refused: &Refused) -> Entry {
        let mut line = Line::File(File::refused(refused)).value();
        line["action"] = json!("fail");
        Entry::new(line, LEAST_COST)
    }

    fn new(mut line: Value, cost: f64) -> Entry {
        line["event"] = json!("planned");
        for name in [
            "status", "file_id", "sent", "seconds", "calls", "to_send", "at",
        ] {
            drop_key(&mut line, name);
        }
        if line["md5"].is_null() {
            drop_key(&mut line, "md5");
        }
        Entry {
            text: line.to_string().into(),
            cost,
            is_twin: false,
            of: None,
        }
    }

    fn absorb(&mut self, part: &Value, cost: f64) {
        let mut line = self.object();
        let size = |line: &Value| line["size"].as_u64().unwrap_or_default();
        line["size"] = json!(size(&line) + size(part));
        // What is to be done for one part is done.
        let rank = |line: &Value| match line["action"].as_str() {
            Some("fail") => 2,
            Some("upload") => 1,
            _ => 0,
        };
        if rank(part) > rank(&line) {
            line["action"] = part["action"].clone();
            if !part["error"].is_null() {
                line["error"] = part["error"].clone();
            }
        }
        self.text = line.to_string().into();
        self.cost += cost;
    }

    fn object(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Its remote path.
    pub fn remote(&self) -> String {
        self.object()["remote"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Its line, in this shard.
    pub fn line(&self, shard: u32) -> String {
        let open = self.text.strip_suffix('}').unwrap_or(&self.text);
        let cost = objects::rounded(self.cost);
        format!("{open},\"cost\":{cost},\"shard\":{shard}}}")
    }
}

fn drop_key(line: &mut Value, name: &str) {
    line.as_object_mut().map(|line| line.remove(name));
}

/// What of a planned file is not so any more; `None` also where there is no file, which an upload finds.
///
/// # Errors
/// How the file at `path` differs from its line.
pub fn unchanged(line: &Value, path: &Path) -> Result<(), String> {
    let is_link = line["link"] == true;
    let facts = match is_link {
        true => std::fs::metadata(path),
        false => std::fs::symlink_metadata(path),
    };
    let Ok(facts) = facts else {
        return Ok(());
    };
    if !is_link && facts.is_symlink() {
        return Err("it is a symbolic link now".to_owned());
    }
    let planned = line["size"].as_u64().filter(|_| line["action"] != "fail");
    if let Some(planned) = planned.filter(|&planned| planned != facts.len()) {
        let now = facts.len();
        return Err(format!("it had {planned} bytes and has {now}"));
    }
    let planned = line["mtime"].as_i64();
    match (planned, modified(&facts)) {
        (Some(planned), Some(now)) if planned != now => Err("it was modified since".to_owned()),
        _ => Ok(()),
    }
}

/// Whose path a line has.
pub fn path_of(line: &Value) -> PathBuf {
    use base64::Engine;
    let coded = line["path_bytes"].as_str();
    let decoded =
        coded.and_then(|coded| base64::engine::general_purpose::STANDARD.decode(coded).ok());
    match decoded {
        Some(bytes) => panup::name_from_bytes(&bytes).into(),
        None => line["path"].as_str().unwrap_or_default().into(),
    }
}

/// Why a planned file is not to be tried at all: no name or size of it fits the service, or another file of
/// the plan goes to its place.
pub fn refusal(line: &Value) -> Option<Error> {
    let error = &line["error"];
    let message = error["message"].as_str()?;
    let is_for_good = line["action"] == "fail" && error["kind"] == "invalid";
    is_for_good.then(|| super::super::usage(format!("as planned: {message}")).for_good())
}

/// When it was modified, in whole seconds since 1970: not every mount tells more; and whether it is a link.
fn facts(path: &Path) -> (Option<i64>, bool) {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
    let facts = std::fs::metadata(path).ok();
    (facts.as_ref().and_then(modified), is_link)
}

fn modified(facts: &Metadata) -> Option<i64> {
    let modified = facts.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs())
            .ok()
            .map(|it| -it),
    }
}

/// Looking at a file takes this long too.
const LEAST_COST: f64 = 0.001;
