//! The storage of the service: the tree, the uploads under way and the folder behind them. In
//! come finished bytes, out go ids; the disk follows the tree under one lock, so that what is
//! listed is what is stored.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::config::Config;
use crate::reply::{Failure, Refusal};
use crate::store::{Directory, SPOOLS, Spool, hex, link};
use crate::tokens::random;
use crate::tree::{Content, FolderPath, ROOT, Tree};
use crate::uploads::{PlannedFile, Upload, UploadSettings};

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
    inner: Mutex<Inner>,
    directory: Directory,
}

#[derive(Debug)]
struct Inner {
    tree: Tree,
    uploads: HashMap<Arc<str>, Entry>,
    issued: u64,
}

/// What a preuploadID stands for.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Open(Upload),
    /// Completed, as the file with this id.
    Done(i64),
}

impl Storage {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let directory = Directory::open(&config.store)?;
        let mut tree = Tree::new(config.first_id);
        if let Some(root) = directory.root() {
            add_existing(&mut tree, ROOT, root)?;
        }
        let inner = Inner {
            tree,
            uploads: HashMap::new(),
            issued: 0,
        };
        Ok(Self {
            inner: Mutex::new(inner),
            directory,
        })
    }

    /// Ends all uploads, so that nothing is hashed any more.
    pub(crate) fn end_uploads(&self) {
        for (_, entry) in self.lock().uploads.drain() {
            if let Entry::Open(upload) = entry {
                upload.end();
            }
        }
    }

    pub(crate) fn close(&self) {
        self.directory.close();
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
        self.lock().tree.ensure_folder(parent, path, began)
    }

    pub(crate) fn settle(&self, made: &[i64], moment: u64) {
        self.lock().tree.settle(made, moment);
    }

    /// A folder and all above it; its id.
    pub(crate) fn make_folder(&self, path: &str) -> Result<i64, Refusal> {
        let names: Vec<String> = path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let mut inner = self.lock();
        let path_made = inner.tree.ensure_folder(ROOT, &names, u64::MAX)?;
        inner.tree.settle(&path_made.made, 0);
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
            let inner = self.lock();
            match inner.tree.file_with(&planned.content) {
                None => return Ok(None),
                Some(id) => (self.local(&inner.tree, id), self.spool()?),
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
        let mut inner = self.lock();
        let PlannedFile {
            folder,
            name,
            content,
            duplicate,
        } = planned;
        let id = inner.tree.place(*folder, name, *duplicate, *content)?;
        let local = self.local(&inner.tree, id);
        if let Err(error) = store(id, local) {
            inner.tree.remove_file(id);
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
        self.lock().tree.check_name(*folder, name, *duplicate)
    }

    /// A new upload; its preuploadID.
    pub(crate) fn begin(
        &self,
        planned: PlannedFile,
        settings: UploadSettings,
    ) -> io::Result<Arc<str>> {
        let spool = self.spool()?;
        let upload = Upload::new(planned, spool, settings);
        let mut inner = self.lock();
        inner.issued += 1;
        let id: Arc<str> = preupload_id(inner.issued).into();
        inner.uploads.insert(Arc::clone(&id), Entry::Open(upload));
        Ok(id)
    }

    /// What `id` stands for, and the id as it is kept.
    pub(crate) fn upload(&self, id: &str) -> Result<(Arc<str>, Entry), Refusal> {
        let inner = self.lock();
        let known = inner.uploads.get_key_value(id);
        let unknown = || Refusal::business("preuploadID不存在或已过期");
        let (id, entry) = known.ok_or_else(unknown)?;
        Ok((Arc::clone(id), entry.clone()))
    }

    /// The upload has become a file.
    pub(crate) fn done(&self, id: &str, file: i64) {
        if let Some(entry) = self.lock().uploads.get_mut(id) {
            *entry = Entry::Done(file);
        }
    }

    pub(crate) fn forget_uploads(&self) {
        self.lock().uploads.clear();
    }

    pub(crate) fn files(&self) -> Vec<StoredFile> {
        let inner = self.lock();
        let stored = |(file_id, content): (i64, Content)| StoredFile {
            path: inner.tree.path(file_id).join("/"),
            size: content.size,
            md5: hex(&content.sum),
            file_id,
            local: self.local(&inner.tree, file_id),
        };
        inner.tree.files().into_iter().map(stored).collect()
    }

    fn local(&self, tree: &Tree, id: i64) -> Option<PathBuf> {
        self.directory.local(tree.path(id))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

/// As long as real ones, and with nothing in it that a client could read.
fn preupload_id(n: u64) -> String {
    (0..5).map(|part| random(n * 8 + part)).collect()
}
