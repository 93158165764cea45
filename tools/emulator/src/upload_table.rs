//! The table of preuploadIDs. In come uploads that were begun, out go their ids, and later the upload
//! or the file that an id stands for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reply::Refusal;
use crate::tokens::random;
use crate::uploads::Upload;

/// Every preuploadID that is known.
#[derive(Debug, Default)]
pub(crate) struct UploadTable(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Arc<str>, Entry>,
    issued: u64,
}

/// What a preuploadID stands for.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Open(Upload),
    /// Completed, as the file with this id.
    Done(i64),
}

impl UploadTable {
    /// A new upload; its preuploadID.
    pub(crate) fn begin(&self, upload: Upload) -> Arc<str> {
        let mut inner = self.lock();
        inner.issued += 1;
        let id: Arc<str> = preupload_id(inner.issued).into();
        inner.entries.insert(Arc::clone(&id), Entry::Open(upload));
        id
    }

    /// What `id` stands for, and the id as it is kept.
    pub(crate) fn find(&self, id: &str) -> Result<(Arc<str>, Entry), Refusal> {
        let inner = self.lock();
        let known = inner.entries.get_key_value(id);
        let unknown = || Refusal::business("preuploadID不存在或已过期");
        let (id, entry) = known.ok_or_else(unknown)?;
        Ok((Arc::clone(id), entry.clone()))
    }

    /// The upload has become a file.
    pub(crate) fn done(&self, id: &str, file: i64) {
        if let Some(entry) = self.lock().entries.get_mut(id) {
            *entry = Entry::Done(file);
        }
    }

    /// No id is known any more; calls under way go on.
    pub(crate) fn forget(&self) {
        self.lock().entries.clear();
    }

    /// Ends all uploads, so that nothing is hashed any more.
    pub(crate) fn end(&self) {
        for (_, entry) in self.lock().entries.drain() {
            if let Entry::Open(upload) = entry {
                upload.end();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as real ones, and with nothing in it that a client could read.
fn preupload_id(n: u64) -> String {
    (0..5).map(|part| random(n * 8 + part)).collect()
}
