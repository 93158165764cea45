//! The facts that the journal takes and gives: plain values. Never: a statement of SQL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::digest::Md5;
use crate::plan::Acked;
use crate::policy::Found;
use crate::source::Identity;
use crate::wire::{Conflict, Created, Remote};

/// Whose files: nothing that was done for one account counts for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// The API base, normalised, since it is compared as text.
    pub api: String,
    /// What tells accounts apart at that base: a client id, a digest of a token. Never a token.
    pub name: String,
}

/// One file on its way to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Whose file it will be.
    pub account: Arc<Account>,
    /// Where it goes.
    pub remote: Remote,
    /// What happens when the name is taken.
    pub conflict: Conflict,
    /// The local file, as an absolute path: the journal outlives the working directory.
    pub path: PathBuf,
    /// The local file's state when it was opened.
    pub identity: Identity,
}

/// A file that was uploaded in an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// The MD5 of what was uploaded.
    pub md5: Md5,
    /// The service's id of the file, where it was said.
    pub file_id: Option<i64>,
    /// When it was finished.
    pub at: SystemTime,
}

/// What uploads have found of the way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The network of this machine, by its address.
    pub network: String,
    /// The server's host and port.
    pub server: String,
    /// How many bodies in flight carry how much.
    pub found: Found,
    /// Packets are lost on it that no full queue lost.
    pub loses: bool,
}

/// What is known of a content at a place.
#[derive(Debug, Default)]
pub struct Place {
    /// It was uploaded.
    pub finished: Option<Finished>,
    /// It was begun.
    pub begun: Option<Begun>,
    /// Another content was uploaded there.
    pub replaced: bool,
}

/// An upload that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// `create` was answered: it can go on where it stopped.
    Upload(Upload),
    /// A call that can make the file was about to leave, and its answer is not known.
    Pending(PendingCall),
}

impl Begun {
    /// The journal's name for it.
    #[must_use]
    pub fn id(&self) -> UploadId {
        match self {
            Begun::Upload(upload) => upload.id,
            Begun::Pending(call) => call.id,
        }
    }
}

/// A call whose answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingCall {
    /// The journal's name for it.
    pub id: UploadId,
    /// When it was about to leave.
    pub started: SystemTime,
}

/// An upload that can go on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The journal's name for it.
    pub id: UploadId,
    /// What `create` answered.
    pub created: Created,
    /// The slices that have arrived.
    pub acked: Acked,
    /// When `create` answered.
    pub started: SystemTime,
}

/// The journal's name for one upload: random, so that it is known before the row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub(super) i64);

impl UploadId {
    pub(super) fn new() -> UploadId {
        UploadId(fastrand::i64(1..))
    }
}

/// The proof that the service has a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    slice: u32,
}

impl Ack {
    /// Slice `slice`, from 1. To be called where a success was parsed, and nowhere else.
    pub(crate) fn new(slice: u32) -> Ack {
        Ack { slice }
    }

    /// The slice's number, from 1.
    #[must_use]
    pub fn slice(self) -> u32 {
        self.slice
    }
}

/// An unfinished upload, as `panup status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The journal's name for it.
    pub id: UploadId,
    /// Whose file it is.
    pub account: Account,
    /// The remote folder's id.
    pub parent: i64,
    /// The path below that folder.
    pub remote: String,
    /// The local file.
    pub path: PathBuf,
    /// The local file's length, in bytes.
    pub size: u64,
    /// The slices in all.
    pub slices: u64,
    /// The slices that have arrived.
    pub acked: u64,
    /// When it was begun.
    pub started: SystemTime,
}

/// A finished file, as `panup status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedFile {
    /// Whose file it is.
    pub account: Account,
    /// The remote folder's id.
    pub parent: i64,
    /// The path below that folder.
    pub remote: String,
    /// The local file.
    pub path: PathBuf,
    /// Its length, in bytes, when it was uploaded.
    pub size: u64,
    /// What was uploaded, and when.
    pub finished: Finished,
}

/// How much the journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Uploads begun and not finished.
    pub unfinished: u64,
    /// Finished files.
    pub finished: u64,
    /// Files whose MD5 is known.
    pub hashed: u64,
}

/// What to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forget {
    /// All of it.
    Everything,
    /// Unfinished uploads; finished files and MD5s stay.
    Unfinished,
    /// All about this file, or about everything below this folder; an absolute path.
    Path(PathBuf),
}
