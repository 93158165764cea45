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
mod door;
mod dry_run;
mod event;
mod file;
mod folder;
mod folders;
mod forecast;
mod handle;
mod held;
mod landing;
mod listing;
mod look;
mod pending;
mod planner;
mod present;
mod probe;
mod remote;
mod run;
mod runtime;
mod single;
mod slices;
mod state;
mod steps;
mod stream;
mod sum;
mod targets;
mod turn;
mod under_way;
mod verify;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use client::{Client, ServerReport};
pub use door::Adder;
pub use event::{Event, Outcome, Progress, Snapshot, Status, Summary, Warning};
pub use forecast::Forecast;
pub use handle::FileHandle;
pub use held::Held;
pub use landing::Landing;
pub use planner::Planner;
pub use probe::{Answer, Reach};
pub use runtime::runtime;
pub use state::State;
pub use stream::{Interrupter, Run};
pub use targets::{Claimed, Targets};
pub use under_way::{FileNow, Step, StepTimes};
pub use verify::{Checker, Receipt};

pub use crate::policy::{CongestionSignal, Steering};
pub use crate::transfer::{AttemptEnd, CallAttempt, CallCount, Fact, Wait, WaitsFor};

use crate::digest::Md5;
use crate::source::{self, ByteSource};
use crate::wire::Conflict;

/// A file to upload, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The local file; of what comes from a [caller](Origin::Caller) only the name that it is called by.
    pub path: PathBuf,
    /// Where the bytes come from.
    pub origin: Origin,
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
    /// What happens where the remote name is taken; `None` (default) is
    /// [`Options::on_conflict`](crate::Options::on_conflict).
    pub conflict: Option<Conflict>,
    /// Another remote path below `parent_id` that no other local file of the run may have: what the
    /// caller makes of this one goes there, such as a list of its parts.
    pub reserved: Option<String>,
    /// Whether remote folders that are missing are made, which is the default. Where not, a folder that is
    /// missing fails the file with [`Kind::Rejected`](crate::Kind::Rejected); listings tell.
    pub make_folders: bool,
    /// Where files wait, to be hashed or for a body's turn, those with a higher one go first. What the
    /// service grants in calls per second is taken in order of asking. 0 by default.
    pub priority: i8,
    /// Anything of the caller's, handed back in the file's [`Outcome`] and in every event that concerns it.
    pub tag: Option<Arc<str>>,
}

/// Where an item's bytes come from.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Origin {
    /// The whole file at the item's path.
    #[default]
    File,
    /// These bytes of the file at the item's path: a part of an archive, a partition of an image.
    Part(Range<u64>),
    /// Contents of the caller's own.
    Caller(Arc<dyn ByteSource>),
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
            origin: Origin::File,
            parent_id: 0,
            remote,
            below: None,
            md5: None,
            trust_md5: false,
            conflict: None,
            reserved: None,
            make_folders: true,
            priority: 0,
            tag: None,
        }
    }

    /// The bytes of `range` of the file at `path`, as a file of its own. It needs a name of its own:
    /// see [`to`](Self::to).
    #[must_use]
    pub fn part(path: impl Into<PathBuf>, range: Range<u64>) -> Item {
        Item {
            origin: Origin::Part(range),
            ..Item::new(path)
        }
    }

    /// Bytes in memory, as a file called `name` in the root folder. They are not copied.
    #[must_use]
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Item {
        Item::source(name, bytes.into())
    }

    /// Contents of the caller's own, as a file called `name` in the root folder.
    #[must_use]
    pub fn source(name: impl Into<PathBuf>, source: impl ByteSource + 'static) -> Item {
        Item {
            origin: Origin::Caller(Arc::new(source)),
            ..Item::new(name)
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

    /// How many bytes it has, and whether it is a file: what is said of it by its name, good for a first
    /// guess only.
    fn first_guess(&self) -> (u64, bool) {
        let facts = match (&self.origin, &self.below) {
            // One that panics fails when it is opened, alone.
            (Origin::Caller(source), _) => {
                let length = catch_unwind(AssertUnwindSafe(|| source.length()));
                return (length.unwrap_or(0), true);
            }
            (_, Some(_)) => std::fs::symlink_metadata(&self.path),
            (_, None) => source::facts(&self.path),
        };
        let Ok(facts) = facts else {
            return (0, false);
        };
        match &self.origin {
            Origin::Part(part) => (part.end.saturating_sub(part.start), facts.is_file()),
            _ => (facts.len(), facts.is_file()),
        }
    }

    /// What tells it from every other item, as a path: a part is below its file, where no path can lead.
    fn local(&self) -> PathBuf {
        match &self.origin {
            Origin::File => self.path.clone(),
            Origin::Part(part) => self.path.join(format!("bytes {}-{}", part.start, part.end)),
            Origin::Caller(_) => self.path.join("bytes of the caller"),
        }
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::File, Origin::File) => true,
            (Origin::Part(one), Origin::Part(other)) => one == other,
            (Origin::Caller(one), Origin::Caller(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File => f.write_str("File"),
            Origin::Part(part) => write!(f, "Part({part:?})"),
            Origin::Caller(source) => write!(f, "Caller({} bytes)", source.length()),
        }
    }
}
