//! The storage of the service: the tree and the folder behind it. In come finished bytes, out go
//! ids; the disk follows the tree under one lock, so that what is listed is what is stored.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::config::Config;
use crate::node::{Content, Listed};
use crate::reply::{Failure, Refusal};
use crate::store::{Directory, SPOOLS, Spool, hex, link, md5_of};
use crate::tree::{FolderPath, ROOT, Tree};
use crate::uploads::PlannedFile;

/// A file that was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// Its remote path, from the root, without a leading `/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its MD5 in lower-case hex: as checked, or with verification off as claimed.
    pub md5: String,
    /// Its id.
    pub file_id: i64,
    /// Where its bytes are kept; none when they were discarded.
    pub local: Option<PathBuf>,
}

/// The service's memory.
#[derive(Debug)]
pub(crate) struct Storage {
    tree: Mutex<Tree>,
    directory: Directory,
    /// The status of files that are stored from now on.
    review: AtomicI64,
}

impl Storage {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let directory = Directory::open(&config.store)?;
        let mut tree = Tree::new(config.first_id);
        if let Some(root) = directory.root() {
            add_existing(&mut tree, ROOT, root)?;
        }
        Ok(Self {
            tree: Mutex::new(tree),
            directory,
            review: AtomicI64::new(config.limits.review),
        })
    }

    pub(crate) fn close(&self) {
        self.directory.close(&self.lock().in_trash());
    }

    pub(crate) fn spool(&self) -> io::Result<Option<Spool>> {
        self.directory.spool()
    }

    pub(crate) fn ensure_folder(
        &self,
        parent: i64,
        path: &[String],
        began: u64,
    ) -> Result<FolderPath, Refusal> {
        self.lock().ensure_folder(parent, path, began)
    }

    pub(crate) fn settle(&self, made: &[i64], moment: u64) {
        self.lock().settle(made, moment);
    }

    /// A folder and all above it; its id.
    pub(crate) fn make_folder(&self, path: &str) -> Result<i64, Refusal> {
        let names: Vec<String> = path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let mut tree = self.lock();
        let path_made = tree.ensure_folder(ROOT, &names, u64::MAX)?;
        tree.settle(&path_made.made, 0);
        Ok(path_made.folder)
    }

    /// Keeps the bytes in `spool` under the name that was promised; the new file's id. Blocking
    /// when there are any.
    pub(crate) fn keep(&self, planned: &PlannedFile, spool: Option<Spool>) -> Result<i64, Failure> {
        self.place(planned, |_, local| match (spool, local) {
            (Some(spool), Some(local)) => spool.keep(&local),
            _ => Ok(()),
        })
    }

    /// The promised file, if its content is already here; its id. Blocking.
    pub(crate) fn reuse(&self, planned: &PlannedFile) -> Result<Option<i64>, Failure> {
        let (holder, spool) = {
            let tree = self.lock();
            match tree.file_with(&planned.content) {
                None => return Ok(None),
                Some(id) => (self.local(&tree, id), self.spool()?),
            }
        };
        let id = self.place(planned, |_, local| match (holder, local, spool) {
            (Some(original), Some(local), Some(spool)) => link(&original, &local, spool),
            _ => Ok(()),
        })?;
        Ok(Some(id))
    }

    fn place(
        &self,
        planned: &PlannedFile,
        store: impl FnOnce(i64, Option<PathBuf>) -> io::Result<()>,
    ) -> Result<i64, Failure> {
        let mut tree = self.lock();
        let PlannedFile {
            folder,
            name,
            content,
            duplicate,
        } = planned;
        let id = tree.place(*folder, name, *duplicate, *content)?;
        let review = self.review.load(Ordering::Relaxed);
        tree.set_status(id, review);
        let local = self.local(&tree, id);
        if let Err(error) = store(id, local) {
            tree.remove(id);
            return Err(error.into());
        }
        Ok(id)
    }

    /// Whether the promised name is free to be given.
    pub(crate) fn check_name(&self, planned: &PlannedFile) -> Result<(), Refusal> {
        let PlannedFile {
            folder,
            name,
            duplicate,
            ..
        } = planned;
        self.lock().check_name(*folder, name, *duplicate)
    }

    /// What is stored and not in the trash.
    pub(crate) fn files(&self) -> Vec<StoredFile> {
        self.stored(|tree, id| tree.is_there(id))
    }

    /// What is in the trash, or below a folder that is.
    pub(crate) fn files_in_trash(&self) -> Vec<StoredFile> {
        self.stored(|tree, id| !tree.is_there(id))
    }

    fn stored(&self, wanted: impl Fn(&Tree, i64) -> bool) -> Vec<StoredFile> {
        let tree = self.lock();
        let files = tree.files().into_iter();
        let stored = |(file_id, content): (i64, Content)| StoredFile {
            path: tree.path(file_id).join("/"),
            size: content.size,
            md5: hex(&content.sum),
            file_id,
            local: self.local(&tree, file_id),
        };
        files
            .filter(|&(id, _)| wanted(&tree, id))
            .map(stored)
            .collect()
    }

    /// A new, empty folder in `parent`; its id.
    pub(crate) fn mkdir(&self, parent: i64, name: &str) -> Result<i64, Failure> {
        let mut tree = self.lock();
        let id = tree.make_folder(parent, name)?;
        if let Some(local) = self.local(&tree, id) {
            std::fs::create_dir_all(local)?;
        }
        Ok(id)
    }

    /// At most `limit` entries of `folder` with ids above `after`, and whether there are more.
    /// Blocking where contents have to be read first.
    pub(crate) fn page(
        &self,
        folder: i64,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<Listed>, bool), Failure> {
        let (ids, more) = self.lock().page(folder, after, limit)?;
        Ok((self.entries(&ids)?, more))
    }

    /// The same of everything whose name fits, wherever it is.
    pub(crate) fn search(
        &self,
        fits: impl Fn(&str) -> bool,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<Listed>, bool), Failure> {
        let (ids, more) = self.lock().search(fits, after, limit);
        Ok((self.entries(&ids)?, more))
    }

    /// Those of `ids` that exist. Blocking where contents have to be read first.
    pub(crate) fn entries(&self, ids: &[i64]) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        for &id in ids {
            let tree = self.lock();
            let Some(mut entry) = tree.entry(id) else {
                continue;
            };
            let local = self.local(&tree, id);
            drop(tree);
            if let Some(local) = local.filter(|_| entry.is_unhashed()) {
                let (sum, size) = md5_of(&local)?;
                let content = Content { sum, size };
                self.lock().set_content(id, content);
                (entry.size, entry.etag) = (content.size, hex(&content.sum));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The id of what is at this remote path.
    pub(crate) fn id_at(&self, path: &str) -> Option<i64> {
        self.lock().at(path)
    }

    /// Puts all of `ids` to the trash, or none where one of them is not there.
    pub(crate) fn trash(&self, ids: &[i64]) -> Result<(), Failure> {
        let mut tree = self.lock();
        if let Some(id) = ids.iter().find(|&&id| !tree.is_there(id)) {
            return Err(Refusal::business(format!("文件不存在: {id}")).into());
        }
        for &id in ids {
            let from = self.local(&tree, id);
            tree.trash(id);
            let to = self.local(&tree, id);
            if let (Some(from), Some(to)) = (from, to)
                && from.exists()
            {
                std::fs::rename(from, to)?;
            }
        }
        Ok(())
    }

    /// Removes a file, or a folder with all below it, for good.
    pub(crate) fn delete(&self, id: i64) -> io::Result<()> {
        let mut tree = self.lock();
        let local = self.local(&tree, id);
        tree.remove(id);
        match local {
            Some(local) if local.is_dir() => std::fs::remove_dir_all(local),
            Some(local) => std::fs::remove_file(local),
            None => Ok(()),
        }
    }

    /// Puts `bytes` in place of a file's content; without them, one byte of it becomes another.
    pub(crate) fn alter(&self, id: i64, bytes: Option<&[u8]>) -> io::Result<()> {
        let mut tree = self.lock();
        let local = self.local(&tree, id);
        let content = match (local.zip(self.spool()?), bytes) {
            (Some((local, spool)), bytes) => {
                let (sum, size) = spool.replace(&local, bytes)?;
                Content { sum, size }
            }
            (None, Some(bytes)) => Content::of(bytes),
            (None, None) => {
                let entry = tree.entry(id).ok_or(io::ErrorKind::NotFound)?;
                Content {
                    size: entry.size,
                    ..Content::of(entry.etag.as_bytes())
                }
            }
        };
        tree.set_content(id, content);
        Ok(())
    }

    /// What reviews come to from now on.
    pub(crate) fn set_review(&self, status: i64) {
        self.review.store(status, Ordering::Relaxed);
    }

    /// What a review of a file or folder has come to.
    pub(crate) fn set_status(&self, id: i64, status: i64) {
        self.lock().set_status(id, status);
    }

    fn local(&self, tree: &Tree, id: i64) -> Option<PathBuf> {
        let place = tree.location(id);
        match place.in_trash {
            None => self.directory.local(place.path),
            Some(root) => self.directory.in_trash(root, place.path),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enters what is already in `folder` as taken names. Nothing is hashed, so nothing of it is
/// ever reused.
fn add_existing(tree: &mut Tree, parent: i64, folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if parent == ROOT && name == SPOOLS {
            continue;
        }
        let is_folder = entry.file_type()?.is_dir();
        let id = tree.add_existing(parent, &name, is_folder);
        if is_folder {
            add_existing(tree, id, &entry.path())?;
        }
    }
    Ok(())
}
