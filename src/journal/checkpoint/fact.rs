//! The journal's facts as a checkpoint spells them. In: what the journal is handed. Out: the same, from
//! another machine. Never: a row number, a claim or a request: they are of one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::super::batch::Batch;
use super::super::command::Write;
use super::super::entry::{Account, Ack, Task, UploadId};
use crate::digest::{FileDigest, Md5};
use crate::source::Identity;
use crate::system::{name_bytes, name_from_bytes};
use crate::wire::{Conflict, Created, Remote};

/// One fact.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    Hashed {
        path: Spelt,
        identity: State,
        md5: String,
        slice_size: Option<u64>,
        slices: Option<String>,
    },
    Begun {
        id: i64,
        file: FileFact,
        created: Option<CreatedFact>,
    },
    Acked {
        id: i64,
        slices: Vec<u32>,
    },
    Abandoned {
        id: i64,
    },
    Finished {
        file: FileFact,
        file_id: Option<i64>,
    },
    Seen {
        file: FileFact,
    },
    Replaced {
        file: FileFact,
    },
    Moved {
        id: i64,
        path: Spelt,
    },
    ForgetHashes {
        path: Spelt,
    },
}

/// A content on its way to a place, and the local file that it was read from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileFact {
    parent: i64,
    remote: String,
    conflict: ConflictFact,
    md5: String,
    path: Spelt,
    identity: State,
}

/// What `create` answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CreatedFact {
    preupload_id: String,
    slice_size: u64,
    servers: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ConflictFact {
    Fail,
    Skip,
    KeepBoth,
    Overwrite,
}

/// A path: text where it is UTF-8, base64 elsewhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Spelt {
    Text(String),
    Bytes { base64: String },
}

/// A file's state on the machine that read it. The device is not told: it is right for one mount only.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    size: u64,
    inode: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

/// The facts of `batch`, acks last.
pub(super) fn facts(batch: &Batch) -> Vec<Fact> {
    let acks = batch.acks.iter().map(|(id, slices)| Fact::Acked {
        id: id.0,
        slices: slices.iter().copied().collect(),
    });
    batch.writes.iter().filter_map(fact).chain(acks).collect()
}

fn fact(write: &Write) -> Option<Fact> {
    Some(match write {
        Write::Hashes(path, identity, digest) => Fact::Hashed {
            path: Spelt::of(path),
            identity: State::of(identity),
            md5: digest.md5.to_string(),
            slice_size: digest.slices.as_ref().map(|slices| slices.size),
            slices: digest.slices.as_ref().map(|slices| joined(&slices.md5s)),
        },
        Write::Begin(id, task, md5, created) => Fact::Begun {
            id: id.0,
            file: FileFact::of(task, md5),
            created: created.as_ref().map(|created| CreatedFact {
                preupload_id: created.preupload_id.clone(),
                slice_size: created.slice_size,
                servers: created.servers.clone(),
            }),
        },
        Write::Abandon(id) => Fact::Abandoned { id: id.0 },
        Write::Finish(task, md5, file_id) => Fact::Finished {
            file: FileFact::of(task, md5),
            file_id: *file_id,
        },
        Write::Seen(task, md5) => Fact::Seen {
            file: FileFact::of(task, md5),
        },
        Write::Replace(task, md5) => Fact::Replaced {
            file: FileFact::of(task, md5),
        },
        Write::Moved(id, path) => Fact::Moved {
            id: id.0,
            path: Spelt::of(path),
        },
        Write::ForgetHashes(path) => Fact::ForgetHashes {
            path: Spelt::of(path),
        },
        // Acks are kept apart in a batch.
        // A network is this machine's, and a checkpoint goes to others.
        Write::Link(_) | Write::ForgetLink(..) => return None,
        Write::Ack(..) | Write::Used(_) | Write::Release(_) | Write::Request(_) => return None,
    })
}

impl Fact {
    /// What the journal is handed for it, of `account`; `None` where a value makes no sense.
    pub(super) fn writes(self, account: &Arc<Account>) -> Option<Vec<Write>> {
        Some(vec![match self {
            Fact::Hashed {
                path,
                identity,
                md5,
                slice_size,
                slices,
            } => {
                let digest = FileDigest::new(md5.parse().ok()?, identity.size);
                let digest = match slice_size.zip(slices) {
                    Some((size, md5s)) => digest.with_slices(size, parted(&md5s)?),
                    None => digest,
                };
                Write::Hashes(path.path()?, identity.identity(), digest)
            }
            Fact::Begun { id, file, created } => {
                let (task, md5) = file.task(account)?;
                let created = created.map(|created| Created {
                    preupload_id: created.preupload_id,
                    slice_size: created.slice_size,
                    servers: created.servers,
                });
                Write::Begin(UploadId(id), Box::new(task), md5, created)
            }
            Fact::Acked { id, slices } => {
                let ack = |slice| Write::Ack(UploadId(id), Ack::new(slice));
                return Some(slices.into_iter().map(ack).collect());
            }
            Fact::Abandoned { id } => Write::Abandon(UploadId(id)),
            Fact::Finished { file, file_id } => {
                let (task, md5) = file.task(account)?;
                Write::Finish(Box::new(task), md5, file_id)
            }
            Fact::Seen { file } => {
                let (task, md5) = file.task(account)?;
                Write::Seen(Box::new(task), md5)
            }
            Fact::Replaced { file } => {
                let (task, md5) = file.task(account)?;
                Write::Replace(Box::new(task), md5)
            }
            Fact::Moved { id, path } => Write::Moved(UploadId(id), path.path()?),
            Fact::ForgetHashes { path } => Write::ForgetHashes(path.path()?),
        }])
    }
}

impl FileFact {
    fn of(task: &Task, md5: &Md5) -> FileFact {
        FileFact {
            parent: task.remote.parent(),
            remote: task.remote.path().to_owned(),
            conflict: match task.conflict {
                Conflict::Fail => ConflictFact::Fail,
                Conflict::Skip => ConflictFact::Skip,
                Conflict::KeepBoth => ConflictFact::KeepBoth,
                Conflict::Overwrite => ConflictFact::Overwrite,
            },
            md5: md5.to_string(),
            path: Spelt::of(&task.path),
            identity: State::of(&task.identity),
        }
    }

    fn task(self, account: &Arc<Account>) -> Option<(Task, Md5)> {
        let task = Task {
            account: Arc::clone(account),
            remote: Remote::new(self.parent, &self.remote).ok()?,
            conflict: match self.conflict {
                ConflictFact::Fail => Conflict::Fail,
                ConflictFact::Skip => Conflict::Skip,
                ConflictFact::KeepBoth => Conflict::KeepBoth,
                ConflictFact::Overwrite => Conflict::Overwrite,
            },
            path: self.path.path()?,
            identity: self.identity.identity(),
        };
        Some((task, self.md5.parse().ok()?))
    }
}

impl Spelt {
    fn of(path: &Path) -> Spelt {
        match path.to_str() {
            Some(text) => Spelt::Text(text.to_owned()),
            None => Spelt::Bytes {
                base64: STANDARD.encode(name_bytes(path.as_os_str())),
            },
        }
    }

    fn path(self) -> Option<PathBuf> {
        match self {
            Spelt::Text(text) => Some(text.into()),
            Spelt::Bytes { base64 } => {
                let bytes = STANDARD.decode(base64).ok()?;
                Some(name_from_bytes(&bytes).into())
            }
        }
    }
}

impl State {
    fn of(identity: &Identity) -> State {
        State {
            size: identity.size,
            inode: identity.inode,
            mtime_ns: identity.mtime_ns,
            ctime_ns: identity.ctime_ns,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            dev: 0,
            inode: self.inode,
            size: self.size,
            mtime_ns: self.mtime_ns,
            ctime_ns: self.ctime_ns,
        }
    }
}

fn joined(md5s: &[Md5]) -> String {
    md5s.iter().map(Md5::to_string).collect()
}

fn parted(md5s: &str) -> Option<Vec<Md5>> {
    let (whole, rest) = md5s.as_bytes().as_chunks::<32>();
    rest.is_empty().then_some(())?;
    let md5 = |digits: &[u8; 32]| std::str::from_utf8(digits).ok()?.parse().ok();
    whole.iter().map(md5).collect()
}
