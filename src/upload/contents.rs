//! Whether a file still has the contents that were hashed. What the system says of it tells that
//! cheaply; where that has moved (a mode, a link, a copy that took its place), only hashing it again
//! can tell. The same MD5 is the same file: the service compares it as well.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::disk::standing;
use super::run::Shared;
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::{Watch, read_file};
use crate::source::{Identity, Look, Source, Standing, patiently};
use crate::transfer::Cancel;

/// A file, and the MD5 of what it holds.
#[derive(Debug)]
pub struct Contents {
    source: Source,
    md5: Md5,
    /// The holder may be hashing; the others wait for the answer.
    known: Mutex<Rehashed>,
}

/// What hashing it again has told.
#[derive(Debug, Clone)]
enum Rehashed {
    /// It was not needed.
    Nothing,
    /// At this look the contents were the same; and so they were at every look before.
    Same(Look, Instant),
    /// They are others.
    Other(Error),
}

impl Contents {
    /// What `source` held when its MD5 was worked out.
    #[must_use]
    pub fn new(source: Source, md5: Md5) -> Contents {
        Contents {
            source,
            md5,
            known: Mutex::new(Rehashed::Nothing),
        }
    }

    /// Whether the file still holds them. Hashes it again where the system leaves that open.
    ///
    /// # Errors
    /// [`Kind::Source`] with `operation`, saying what changed; [`Kind::Cancelled`].
    pub async fn check(&self, shared: &Shared, operation: Operation) -> Result<()> {
        let looked = Instant::now();
        let (look, changed) = match standing(&self.source, operation).await? {
            Standing::Same => return Ok(()),
            Standing::Unreadable(error) | Standing::Changed(error) => return Err(error),
            Standing::InDoubt(look, error) => (look, error),
        };
        let mut known = self.known.lock().await;
        match &*known {
            Rehashed::Same(proven, begun) if *proven == look || looked <= *begun => return Ok(()),
            Rehashed::Other(error) => return Err(error.clone()),
            Rehashed::Nothing | Rehashed::Same(..) => {}
        }
        let begun = Instant::now();
        tracing::info!(%changed, "hashing it again");
        *known = match self.now(shared).await? {
            md5 if md5 == self.md5 => Rehashed::Same(look, begun),
            _ => Rehashed::Other(changed.clone()),
        };
        match &*known {
            Rehashed::Other(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The MD5 of what the path leads to now.
    ///
    /// # Errors
    /// [`Kind::Source`]: it cannot be read. [`Kind::Cancelled`].
    pub async fn now(&self, shared: &Shared) -> Result<Md5> {
        let source = self.source.clone();
        let watch = Watch {
            stop: Arc::clone(shared.scope.cancel.flag()),
            ..Watch::default()
        };
        let hash = move || {
            let now = patiently(|| source.reopen(), || {}, || watch.is_stopped())?;
            read_file(&now, None, &watch)
        };
        let digest = tokio::task::spawn_blocking(hash).await.map_err(|error| {
            Error::new(Kind::Internal, Operation::Check, error.to_string())
                .with_path(self.source.path())
        })?;
        let digest = digest?.filter(|_| !shared.is_draining());
        digest.map(|digest| digest.md5).ok_or_else(Cancel::error)
    }

    /// Whether nothing says that the file holds anything else: then what was sent of it is of use.
    pub async fn is_kept(&self) -> bool {
        match standing(&self.source, Operation::Check).await {
            Ok(Standing::Same | Standing::Unreadable(_)) => true,
            Ok(Standing::InDoubt(look, _)) => {
                matches!(&*self.known.lock().await, Rehashed::Same(proven, _) if *proven == look)
            }
            Ok(Standing::Changed(_)) => false,
            // It cannot be looked at, which says nothing of its bytes.
            Err(_) => true,
        }
    }

    /// What the system said of the file when it was last found to be the same.
    pub async fn identity(&self) -> Identity {
        match &*self.known.lock().await {
            Rehashed::Same(look, _) => self.source.identity_at(look),
            Rehashed::Nothing | Rehashed::Other(_) => self.source.identity(),
        }
    }
}
