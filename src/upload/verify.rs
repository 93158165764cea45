//! Whether files are there, and are what they should be. In: local files, or receipts of what was
//! uploaded. Out: a finding for each. Never: a call that changes anything, or a byte that is sent.

use std::collections::HashMap;
use std::sync::Arc;

use super::admit::Hashed;
use super::event::{Outcome, Progress, Status};
use super::folder::{Standing, Wanted};
use super::remote::{Effort, Listings};
use super::run::Shared;
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::transfer::{Scope, Transfer};
use crate::wire::{Conflict, Entry, EntryKind, PAGE, Remote};

/// Compares one hashed file with what the service lists at its place.
pub async fn file(shared: Arc<Shared>, hashed: Hashed) -> Outcome {
    let wanted = Wanted {
        remote: &hashed.task.remote,
        size: hashed.source.len(),
        md5: Some(hashed.digest.md5),
        or_numbered: hashed.task.conflict == Conflict::KeepBoth,
    };
    let link = (&*shared.core.transfer, &shared.scope);
    let status = match by_name(&shared.listings, link, (wanted, hashed.digest.md5)).await {
        Status::Failed(error) => Status::Failed(error.with_path(hashed.source.path())),
        status => status,
    };
    Progress::add(&shared.progress.acked, hashed.source.len());
    Outcome {
        elapsed: hashed.started.elapsed(),
        times: hashed.watch.times(),
        ..hashed.outcome(status)
    }
}

/// What is known of a file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The service's id for it, where one was told.
    pub file_id: Option<i64>,
    /// The id of the folder that [`remote`](Self::remote) is below.
    pub parent_id: i64,
    /// Its path below that folder.
    pub remote: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its MD5.
    pub md5: Md5,
}

impl Receipt {
    /// A file of `size` bytes with this MD5 at `remote` below the root folder.
    #[must_use]
    pub fn new(remote: impl Into<String>, size: u64, md5: Md5) -> Receipt {
        Receipt {
            file_id: None,
            parent_id: 0,
            remote: remote.into(),
            size,
            md5,
        }
    }
}

/// Compares receipts with what the service has: by id a hundred with one call, by path where there is no
/// id.
#[derive(Debug)]
pub struct Checker {
    transfer: Arc<Transfer>,
    listings: Listings,
}

impl Checker {
    pub(super) fn new(transfer: Arc<Transfer>) -> Checker {
        Checker {
            transfer,
            listings: Listings::default(),
        }
    }

    /// What became of each: [`Status::Present`], [`Status::Missing`], [`Status::Different`], or
    /// [`Status::Failed`] where the service did not say.
    pub async fn check(&self, receipts: &[Receipt]) -> Vec<Status> {
        let mut findings = Vec::with_capacity(receipts.len());
        for receipts in receipts.chunks(PAGE) {
            let ids: Vec<i64> = receipts.iter().filter_map(|it| it.file_id).collect();
            let entries = match ids.is_empty() {
                true => Ok(HashMap::new()),
                false => self.entries(&ids).await,
            };
            for receipt in receipts {
                findings.push(self.finding(receipt, &entries).await);
            }
        }
        findings
    }

    async fn entries(&self, ids: &[i64]) -> Result<HashMap<i64, Entry>> {
        let found = self.transfer.infos(self.transfer.own_scope(), ids).await?;
        Ok(found.into_iter().map(|entry| (entry.id, entry)).collect())
    }

    async fn finding(&self, receipt: &Receipt, entries: &Result<HashMap<i64, Entry>>) -> Status {
        let entry = match (receipt.file_id, entries) {
            (Some(id), Ok(entries)) => entries.get(&id),
            (Some(_), Err(error)) => return Status::Failed(error.clone()),
            (None, _) => return self.by_path(receipt).await,
        };
        match entry {
            Some(entry) => compared(entry, receipt.size, receipt.md5),
            None => Status::Missing("the service has no file of this id".to_owned()),
        }
    }

    async fn by_path(&self, receipt: &Receipt) -> Status {
        let remote = match Remote::new(receipt.parent_id, &receipt.remote) {
            Ok(remote) => remote,
            Err(error) => return Status::Failed(error),
        };
        let wanted = Wanted {
            remote: &remote,
            size: receipt.size,
            md5: Some(receipt.md5),
            or_numbered: false,
        };
        let link = (&*self.transfer, self.transfer.own_scope());
        by_name(&self.listings, link, (wanted, receipt.md5)).await
    }
}

async fn by_name(
    listings: &Listings,
    link: (&Transfer, &Scope),
    (wanted, md5): (Wanted<'_>, Md5),
) -> Status {
    match listings.look(link, wanted, Effort::Thorough).await {
        Ok(Standing::Same(entry)) => Status::Present(entry.id),
        Ok(Standing::Other(entry)) => compared(&entry, wanted.size, md5),
        Ok(Standing::Nothing(nothing)) => Status::Missing(nothing.told()),
        Ok(Standing::Unknown) => Status::Failed(listings.refused().unwrap_or_else(unanswered)),
        Err(error) => Status::Failed(error),
    }
}

fn compared(entry: &Entry, size: u64, md5: Md5) -> Status {
    let different = |told: String| Status::Different(told);
    match (entry.kind, entry.etag) {
        (EntryKind::Folder, _) => different("a folder has its name".to_owned()),
        _ if entry.trashed => Status::Missing("it is in the trash".to_owned()),
        _ if entry.refused => Status::Missing(
            "the service's review refused it: it is not there for others".to_owned(),
        ),
        _ if entry.size != size => {
            different(format!("it has {} bytes there, not {size}", entry.size))
        }
        (EntryKind::File, None) => different("the service tells no MD5 of it".to_owned()),
        (EntryKind::File, Some(etag)) if etag != md5 => {
            different(format!("its MD5 is {etag} there, not {md5}"))
        }
        (EntryKind::File, Some(_)) => Status::Present(entry.id),
    }
}

fn unanswered() -> Error {
    Error::new(
        Kind::Transport,
        Operation::List,
        "the service did not say what is there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_missing_or_different_as_it_is_told() {
        let md5 = Md5([1; 16]);
        let good = Entry {
            id: 7,
            name: "f".to_owned(),
            kind: EntryKind::File,
            size: 5,
            etag: Some(md5),
            trashed: false,
            refused: false,
        };
        let name = |change: fn(&mut Entry)| {
            let mut entry = good.clone();
            change(&mut entry);
            match compared(&entry, 5, md5) {
                Status::Present(7) => "there",
                Status::Missing(_) => "missing",
                Status::Different(_) => "different",
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(name(|_| {}), "there");
        assert_eq!(name(|entry| entry.trashed = true), "missing");
        assert_eq!(name(|entry| entry.refused = true), "missing");
        assert_eq!(name(|entry| entry.size = 6), "different");
        assert_eq!(name(|entry| entry.etag = None), "different");
        assert_eq!(name(|entry| entry.etag = Some(Md5([2; 16]))), "different");
        assert_eq!(name(|entry| entry.kind = EntryKind::Folder), "different");
    }
}
