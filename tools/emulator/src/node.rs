//! The nodes of the tree: files and folders, and what a listing shows of them. Plain data.

use std::time::SystemTime;

use md5::{Digest, Md5};

use crate::store::{Sum, hex};

/// A file or folder.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) parent: i64,
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) trashed: bool,
    /// What review has come to: above 100 it refuses.
    pub(crate) status: i64,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// With the moment when the call that made it was answered.
    Folder { settled: u64 },
    /// Without content where it was there before the emulator and was not hashed yet.
    File(Option<Content>),
}

/// A file's bytes, as far as the service tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) sum: Sum,
    pub(crate) size: u64,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            sum: Md5::digest(bytes).into(),
            size: bytes.len() as u64,
        }
    }
}

impl Node {
    pub(crate) fn new(parent: i64, name: &str, kind: Kind) -> Self {
        let now = SystemTime::now();
        Self {
            parent,
            name: name.into(),
            kind,
            trashed: false,
            status: 0,
            created: now,
            updated: now,
        }
    }
}

/// A file or folder as a listing shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) parent: i64,
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    pub(crate) size: u64,
    /// Empty for folders, and for files that were not hashed yet.
    pub(crate) etag: String,
    pub(crate) status: i64,
    pub(crate) trashed: bool,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

impl Listed {
    pub(crate) fn new(id: i64, node: &Node) -> Self {
        let content = match node.kind {
            Kind::Folder { .. } => None,
            Kind::File(content) => content,
        };
        Self {
            id,
            parent: node.parent,
            name: node.name.to_string(),
            is_folder: matches!(node.kind, Kind::Folder { .. }),
            size: content.map_or(0, |content| content.size),
            etag: content.map_or_else(String::new, |content| hex(&content.sum)),
            status: node.status,
            trashed: node.trashed,
            created: node.created,
            updated: node.updated,
        }
    }

    /// Whether its content has to be read before it can be shown.
    pub(crate) fn is_unhashed(&self) -> bool {
        !self.is_folder && self.etag.is_empty()
    }
}
