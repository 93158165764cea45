//! The journal of a build without it. In: the same facts. Out: that nothing is known of them. Never: a file, or
//! silence where somebody counts on one.

use std::path::Path;

use crate::digest::{FileDigest, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::source::Identity;
use crate::wire::{Created, Remote};

mod entry;
mod file_system;
mod settings;

pub use entry::{
    Account, Ack, Begun, Counts, Finished, FinishedFile, Forget, Link, Place, Task, Unfinished,
    Upload, UploadId,
};
pub use file_system::network_file_system;
pub use settings::Settings;

/// A journal that knows nothing and keeps nothing.
#[derive(Debug, Clone)]
pub struct Journal;

/// The right to upload to one remote place, which nobody else asks for.
#[derive(Debug)]
#[must_use = "as where there is a journal"]
pub struct Claim;

#[allow(missing_docs, reason = "as where there is a journal")]
#[allow(clippy::missing_errors_doc, clippy::unused_self)]
impl Journal {
    pub fn open_with(dir: &Path, _: Settings) -> Result<Journal> {
        Err(absent(Kind::State).with_path(dir))
    }

    pub fn travelling(path: &Path, _: Option<&Path>, _: Settings) -> Result<Journal> {
        Err(absent(Kind::Invalid).with_path(path))
    }

    pub fn is_in(dir: &Path) -> Result<bool> {
        Err(absent(Kind::State).with_path(dir))
    }

    pub fn off() -> Journal {
        Journal
    }

    pub fn adopt(&self, _: &Account, _: Option<&str>) -> Result<()> {
        Ok(())
    }

    pub fn claim(&self, _: &Account, _: &Remote) -> Option<Claim> {
        Some(Claim)
    }

    pub fn hashes(&self, _: &Path, _: &Identity) -> Option<FileDigest> {
        None
    }

    pub fn remember(&self, _: &Path, _: &Identity, _: FileDigest) {}

    pub fn forget_hashes(&self, _: &Path) {}

    pub fn finished(&self, _: &Task) -> Option<Finished> {
        None
    }

    pub fn begin(&self, _: &Task, _: Md5, _: &Created) -> UploadId {
        UploadId::new()
    }

    pub fn begin_call(&self, _: &Task, _: Md5) -> UploadId {
        UploadId::new()
    }

    pub fn ack(&self, _: UploadId, _: Ack) {}

    pub fn abandon(&self, _: UploadId) {}

    pub fn finish(&self, _: &Task, _: Md5, _: Option<i64>) {}

    pub fn at(&self, _: &Task, _: &Md5) -> Place {
        Place::default()
    }

    pub fn knows_of_size(&self, _: &Task) -> bool {
        false
    }

    pub fn replace(&self, _: &Task, _: &Md5) {}

    pub fn links(&self) -> Vec<Link> {
        Vec::new()
    }

    pub fn keep_link(&self, _: Link) {}

    pub fn forget_link(&self, _: &str, _: &str) {}

    pub fn flush(&self) -> Result<()> {
        Ok(())
    }

    pub fn successor(&self) -> Option<Error> {
        None
    }

    pub fn contradiction(&self, _: &Task, _: &Md5) -> Option<Error> {
        None
    }

    pub fn unkept(&self) -> u64 {
        0
    }

    pub fn commits(&self) -> u64 {
        0
    }

    pub fn next_warning(&self) -> Option<Error> {
        None
    }

    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        Ok(Vec::new())
    }

    pub fn finished_files(&self, _: u32) -> Result<Vec<FinishedFile>> {
        Ok(Vec::new())
    }

    pub fn counts(&self) -> Result<Counts> {
        Ok(Counts::default())
    }

    pub fn forget(&self, _: Forget) -> Result<u64> {
        Ok(0)
    }
}

fn absent(kind: Kind) -> Error {
    let message = "panup was built without its feature `journal`: nothing is kept between runs";
    Error::new(kind, Operation::Journal, message)
}
