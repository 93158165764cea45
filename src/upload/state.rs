//! What panup remembers between runs, for people to look at and to drop. In: a state folder.
//! Out: facts. Never: a folder or a database made where there was none.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::journal::{Counts, FinishedFile, Forget, Journal, Settings, Unfinished};

/// What the journal in a state folder holds. Uploads may be running meanwhile.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let state = panup::State::open(folder.path())?;
/// for upload in state.unfinished()? {
///     println!("{}: {} slices arrived", upload.path.display(), upload.acked);
/// }
/// assert_eq!(state.counts()?.finished, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct State {
    journal: Journal,
}

impl State {
    /// Looks into the folder `dir`. One without a journal holds nothing.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State): `dir` is no folder, the journal cannot be read, or it comes
    /// from a newer panup.
    pub fn open(dir: &Path) -> Result<State> {
        let journal = match Journal::is_in(dir)? {
            true => Journal::open_with(dir, untouched())?,
            false => Journal::off(),
        };
        Ok(State { journal })
    }

    /// All uploads that were begun and not finished, oldest first.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State): the journal cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        self.journal.unfinished()
    }

    /// The newest `limit` finished files, newest first.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State): the journal cannot be read.
    pub fn finished(&self, limit: u32) -> Result<Vec<FinishedFile>> {
        self.journal.finished_files(limit)
    }

    /// How much there is.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State): the journal cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        self.journal.counts()
    }

    /// Drops what `what` names, and says how many uploads, files and MD5s that were. A path is
    /// meant as an upload from the present working directory would have meant it.
    ///
    /// # Errors
    /// [`Kind::State`](crate::Kind::State): the journal cannot be written.
    pub fn forget(&self, what: Forget) -> Result<u64> {
        let Forget::Path(path) = what else {
            return self.journal.forget(what);
        };
        let mut dropped = 0;
        for path in spellings(&path) {
            dropped += self.journal.forget(Forget::Path(path))?;
        }
        Ok(dropped)
    }

    /// What went wrong since the last call, such as a damaged journal that was set aside.
    #[must_use]
    pub fn next_warning(&self) -> Option<Error> {
        self.journal.next_warning()
    }
}

/// Who looks drops nothing: the limit is that of the runs that write.
fn untouched() -> Settings {
    Settings {
        limit: u64::MAX,
        ..Settings::default()
    }
}

/// The ways in which the journal may know `path`: as uploads spell it, and without links and `..`.
fn spellings(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Collected anew, a path has no slash at its end.
    let absolute: PathBuf = absolute.components().collect();
    let real = absolute.canonicalize().ok();
    let other = real.filter(|real| *real != absolute);
    std::iter::once(absolute).chain(other).collect()
}
