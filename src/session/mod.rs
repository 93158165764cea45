//! The conductor. In: options and files. Out: events, counters, and in the end every file's
//! outcome. Never: a decision that a lower room could make, or a file that stops another.

mod admit;
mod attempt;
mod chain;
mod client;
mod conduct;
mod core;
mod event;
mod failures;
mod feed;
mod file;
mod fleet;
mod folders;
mod gate;
mod hash;
mod intent;
mod keyring;
mod rates;
mod run;
mod sending;
mod single;
mod slice;
mod state;
mod sums;
mod targets;
mod window;

use std::path::PathBuf;

pub use client::{Client, Run};
pub use event::{Event, Outcome, Progress, Status, Summary};
pub use state::State;
pub use sums::{FileSum, FileSums, HashOptions, Input, Sum, hash_files};
pub use targets::{Claimed, Targets};

use crate::error::{Error, Kind, Operation, Result};

/// A file to upload, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The local file.
    pub path: PathBuf,
    /// The remote folder's id; 0 is the root.
    pub parent_id: i64,
    /// The name below that folder, or a path `folder/…/name`; missing folders are made.
    pub remote: String,
}

impl Item {
    /// A file that goes to the root folder under its own name.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Item {
        let path = path.into();
        let remote = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Item {
            path,
            parent_id: 0,
            remote,
        }
    }
}

/// A pool of named threads; its threads end when their work does.
fn threads(name: &'static str, count: usize) -> Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
    builder
        .thread_name(move |index| format!("{name}-{index}"))
        .build()
        .map_err(|error| no_thread(&error))
}

fn no_thread(error: &dyn std::error::Error) -> Error {
    Error::new(
        Kind::State,
        Operation::Configure,
        format!("no thread could be started: {error}"),
    )
}
