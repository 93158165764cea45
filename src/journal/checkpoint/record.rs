//! What the lines of a checkpoint say: whose it is, who writes it, and groups of facts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fact::Fact;
use crate::journal::cell::now;
use crate::journal::entry::Account;
use crate::system::host_name;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    panup: String,
    pub(super) version: u64,
    pub(super) api: String,
    pub(super) account: String,
}

/// A line behind it: an owner or facts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) generation: u64,
    /// Its number within the generation; the owner's is 0.
    pub(super) n: u64,
    /// Seconds since 1970.
    pub(super) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Who>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) facts: Vec<Fact>,
}

/// A run that has, or had, the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) generation: u64,
    who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    id: String,
    host: String,
    process: u32,
}

impl Header {
    pub(super) fn of(account: &Account) -> Header {
        Header {
            panup: NAME.to_owned(),
            version: VERSION,
            api: account.api.clone(),
            account: account.name.clone(),
        }
    }
}

impl Record {
    pub(super) fn owner(owner: &Owner) -> Record {
        Record {
            generation: owner.generation,
            n: 0,
            at: now(0),
            owner: Some(owner.who.clone()),
            facts: Vec::new(),
        }
    }

    pub(super) fn group(owner: &Owner, n: u64, at: i64, facts: Vec<Fact>) -> Record {
        Record {
            generation: owner.generation,
            n,
            at,
            owner: None,
            facts,
        }
    }

    /// Who became the owner by it.
    pub(super) fn as_owner(&self) -> Option<Owner> {
        let who = self.owner.clone()?;
        let generation = self.generation;
        Some(Owner { generation, who })
    }
}

impl Owner {
    /// This process, after `generation`.
    pub(super) fn next(generation: u64) -> Owner {
        Owner {
            generation: generation + 1,
            who: Who {
                id: format!("{:016x}", fastrand::u64(..)),
                host: host_name(),
                process: std::process::id(),
            },
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What another machine wrote: nothing of it reaches a terminal raw.
        let host: String = self.who.host.escape_debug().take(80).collect();
        write!(f, "process {} on {host}", self.who.process)
    }
}

/// The beginning of every checkpoint, of every version.
pub(super) const MAGIC: &[u8] = b"{\"panup\":\"checkpoint\",\"version\":";

const NAME: &str = "checkpoint";

/// Of what is written here; what is older is read.
pub(super) const VERSION: u64 = 1;
