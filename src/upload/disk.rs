//! What a file's task asks the disk. In: an open file. Out: whether it is still what was opened.
//! Never: a wait on a runtime's worker, which a file system that hangs would stop with all others.

use crate::error::{Error, Kind, Operation, Result};
use crate::source::{Source, Standing};

/// [`Source::standing`] on a thread that may hang; of a small file at once, since it was read whole
/// a moment ago, and a change of threads costs more than the look.
///
/// # Errors
/// What it says.
pub async fn standing(source: &Source, operation: Operation) -> Result<Standing> {
    if source.len() <= SMALL {
        return source.standing(operation);
    }
    let checked = source.clone();
    let checked = tokio::task::spawn_blocking(move || checked.standing(operation)).await;
    checked.unwrap_or_else(|error| {
        Err(Error::new(Kind::Source, operation, error.to_string()).with_path(source.path()))
    })
}

/// Bytes up to which files are read rather than mapped, by default.
const SMALL: u64 = 4 << 20;
