//! Changes from outside: what other clients and the website do to stored files. In comes a change by
//! remote path, out goes a tree that no call of this client has made.

use std::io;

use serde::{Deserialize, Serialize};

use crate::node::Content;
use crate::storage::Storage;
use crate::tree::Duplicate;
use crate::uploads::PlannedFile;

/// One change. Paths begin at the root, without a leading `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A file, or a folder with all below it, is gone for good.
    Delete {
        /// Which.
        path: String,
    },
    /// A file or folder is in the trash.
    Trash {
        /// Which.
        path: String,
    },
    /// A file has another content under the same id.
    Alter {
        /// Which.
        path: String,
        /// The new content; none changes one byte and leaves the size as it is.
        #[serde(default)]
        content: Option<String>,
    },
    /// A file of that content is there, in place of one that had the name; folders are made.
    Put {
        /// Which.
        path: String,
        /// What is in it.
        content: String,
    },
    /// Review has come to a verdict.
    Review {
        /// On which.
        path: String,
        /// The verdict: above 100 it refuses.
        status: i64,
    },
}

impl Change {
    /// Makes it. Blocking.
    pub(crate) fn make(&self, storage: &Storage) -> io::Result<()> {
        let at = |path: &str| {
            let missing = || io::Error::other(format!("there is no {path}"));
            storage.id_at(path).ok_or_else(missing)
        };
        match self {
            Self::Delete { path } => storage.delete(at(path)?),
            Self::Trash { path } => Ok(storage.trash(&[at(path)?])?),
            Self::Alter { path, content } => {
                storage.alter(at(path)?, content.as_ref().map(String::as_bytes))
            }
            Self::Put { path, content } => put(storage, path, content.as_bytes()),
            Self::Review { path, status } => {
                storage.set_status(at(path)?, *status);
                Ok(())
            }
        }
    }
}

fn put(storage: &Storage, path: &str, bytes: &[u8]) -> io::Result<()> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let planned = PlannedFile {
        folder: storage.make_folder(folder)?,
        name: name.to_owned(),
        content: Content::of(bytes),
        duplicate: Duplicate::Overwrite,
    };
    let spool = storage.spool()?;
    if let Some(spool) = &spool {
        spool.fill(bytes)?;
    }
    storage.keep(&planned, spool)?;
    Ok(())
}
