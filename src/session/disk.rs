//! What a file's task asks the disk. In: an open file. Out: whether it is still what was opened.
//! Never: a wait on a runtime's worker, which a file system that hangs would stop with all others.

use crate::error::{Error, Kind, Operation, Result};
use crate::source::{Source, Standing};

/// [`Source::standing`] on a thread that may hang.
///
/// # Errors
/// What it says.
pub async fn standing(source: &Source, operation: Operation) -> Result<Standing> {
    let checked = source.clone();
    let checked = tokio::task::spawn_blocking(move || checked.standing(operation)).await;
    checked.unwrap_or_else(|error| {
        Err(Error::new(Kind::Source, operation, error.to_string()).path(source.path()))
    })
}
