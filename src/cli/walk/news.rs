//! What a walk tells besides its files.

use std::path::PathBuf;

use panup::Error;

use super::super::echo::Echo;
use super::super::folders::Folder;
use super::super::left_out::Why;

/// What there is to say while walking, besides the files.
#[derive(Debug)]
pub enum News {
    /// A path that cannot be uploaded.
    Refused(Refused),
    /// A path that is left out, without having failed.
    LeftOut(PathBuf, Why),
    /// A folder with nothing in it, which is to be made.
    Folder(Folder),
    /// Something to know that stops nothing.
    Warning(Error),
}

/// A path that cannot be uploaded, found while walking.
#[derive(Debug)]
pub struct Refused {
    /// The path.
    pub path: PathBuf,
    /// The remote path that it was to have, as far as that is known.
    pub remote: String,
    /// What a list says of it.
    pub echo: Echo,
    /// Why.
    pub error: Error,
}
