//! What the writing thread is handed: facts to keep, and requests that are answered.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use super::entry::{Account, Ack, Forget, Link, Task, UploadId};
use super::place_lock::PlaceLock;
use super::read::RowId;
use crate::digest::{FileDigest, Md5};
use crate::error::Result;
use crate::source::Identity;
use crate::wire::Created;

/// One thing to keep.
#[derive(Debug)]
pub(super) enum Write {
    Hashes(PathBuf, Identity, FileDigest),
    /// `None` while the answer to `create` is not known.
    Begin(UploadId, Box<Task>, Md5, Option<Created>),
    Ack(UploadId, Ack),
    Abandon(UploadId),
    Finish(Box<Task>, Md5, Option<i64>),
    Seen(Box<Task>, Md5),
    Replace(Box<Task>, Md5),
    Used(RowId),
    Moved(UploadId, PathBuf),
    ForgetHashes(PathBuf),
    Link(Box<Link>),
    ForgetLink(String, String),
    /// Only has to be dropped, after what was handed in before is on disk.
    Release(#[allow(dead_code, reason = "dropping it gives the place back")] PlaceLock),
    Request(Request),
}

/// A request whose sender waits for the answer.
#[derive(Debug)]
pub(super) enum Request {
    /// Of a checkpoint.
    TakeOver(Account, SyncSender<Result<()>>),
    Adopt(Account, Option<String>, SyncSender<Result<()>>),
    Forget(Forget, SyncSender<Result<u64>>),
    Flush(SyncSender<Result<()>>),
}
