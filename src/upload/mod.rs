//! Clients, runs and files. In: options and files. Out: events, counters, and in the end every file's
//! outcome. Never: a decision that a lower module could make, or a file that stops another.

mod admit;
mod broken;
mod client;
mod conduct;
mod contents;
mod core;
mod descriptors;
mod disk;
mod event;
mod file;
mod folder;
mod folders;
mod held;
mod landing;
mod listing;
mod look;
mod pending;
mod present;
mod remote;
mod run;
mod runtime;
mod single;
mod slices;
mod state;
mod targets;
mod turn;
mod under_way;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

pub use client::{Client, Interrupter, Run, ServerReport};
pub use event::{Event, Outcome, Progress, Snapshot, Status, Summary};
pub use held::Held;
pub use landing::Landing;
pub use runtime::runtime;
pub use state::State;
pub use targets::{Claimed, Targets};
pub use under_way::{FileNow, Step};
pub use verify::{Checker, Receipt};

pub use crate::transfer::Wait;

use crate::digest::Md5;

/// A file to upload, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The local file.
    pub path: PathBuf,
    /// The remote folder's id; 0 is the root.
    pub parent_id: i64,
    /// The name below that folder, or a path `folder/…/name`; missing folders are made.
    pub remote: String,
    /// The folder in which the file was found by walking. No symbolic link below it is followed,
    /// whatever became of the names since; the folder itself may be one. `None` (default): `path` was
    /// typed, and links on it are meant.
    pub below: Option<PathBuf>,
    /// What the whole file's MD5 must be: the file fails, before anything is sent, where it is another one.
    pub md5: Option<Md5>,
    /// Whether `md5` is taken instead of hashing. The service compares what arrives with it; what it has
    /// already under that MD5 is taken for the file. Files below 4 MiB are hashed all the same.
    pub trust_md5: bool,
    /// Anything of the caller's, handed back in the file's [`Outcome`].
    pub tag: Option<Arc<str>>,
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
            below: None,
            md5: None,
            trust_md5: false,
            tag: None,
        }
    }

    /// To the name or path `remote` below the folder `parent_id`.
    #[must_use]
    pub fn to(self, parent_id: i64, remote: impl Into<String>) -> Item {
        Item {
            parent_id,
            remote: remote.into(),
            ..self
        }
    }

    /// Found in the folder `root` by walking: see [`below`](Self::below).
    #[must_use]
    pub fn below(self, root: impl Into<PathBuf>) -> Item {
        Item {
            below: Some(root.into()),
            ..self
        }
    }

    /// What the system says of the file by its name: good for a first guess only.
    fn facts(&self) -> std::io::Result<std::fs::Metadata> {
        match &self.below {
            Some(_) => std::fs::symlink_metadata(&self.path),
            None => std::fs::metadata(&self.path),
        }
    }
}
