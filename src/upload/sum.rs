//! The MD5 of a local file that is not sent as a whole. In: its path. Out: what the journal remembers of
//! the file as it is now, or what hashing it gives, which is remembered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::core::Core;
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::{Watch, read_file};
use crate::options::Resume;
use crate::source::{Source, patiently};
use crate::transfer::Cancel;

/// The file's MD5. Dropping the future stops the work.
///
/// # Errors
/// [`Kind::Source`]: it cannot be read, or changed meanwhile.
pub async fn md5(core: &Arc<Core>, path: &Path) -> Result<Md5> {
    let (core, path) = (Arc::clone(core), path.to_owned());
    let end = End(Arc::default());
    let watch = Watch {
        stop: Arc::clone(&end.0),
        ..Watch::default()
    };
    let work = tokio::task::spawn_blocking(move || read(&core, &path, &watch));
    work.await
        .map_err(|error| Error::new(Kind::Internal, Operation::Read, error.to_string()))?
}

fn read(core: &Core, path: &Path, watch: &Watch) -> Result<Md5> {
    let opening = || Source::open(path, &core.source_settings);
    let source = patiently(opening, || {}, || watch.is_stopped())?;
    let (name, identity) = (std::path::absolute(path), source.identity());
    let name = name.map_err(|error| Error::read(path, error))?;
    if core.options.resume != Resume::Nothing
        && let Some(known) = core.journal.hashes(&name, &identity)
    {
        return Ok(known.md5);
    }
    let digest = read_file(&source, None, watch)?.ok_or_else(Cancel::error)?;
    source.check(Operation::Read)?;
    let md5 = digest.md5;
    core.journal.remember(&name, &identity, digest);
    Ok(md5)
}

/// Stops the reading thread when it is dropped.
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
