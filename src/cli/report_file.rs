//! `--report`: the objects of files in a file, each there as soon as its file has ended.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use panup::Error;
use serde_json::Value;

use super::out::{complain, lose};

/// A file to which objects are appended.
pub struct ReportFile {
    path: PathBuf,
    file: File,
    well: bool,
}

impl ReportFile {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &Path) -> Result<ReportFile, Error> {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|error| Error::read(path, error).context("--report"))?;
        Ok(ReportFile {
            path: path.to_owned(),
            file,
            well: true,
        })
    }

    /// Appends an object. That one could not be written is said once, and makes the program's end a
    /// failure.
    pub fn write(&mut self, object: &Value) {
        // In one call, so that runs that append to one file do not mix their lines.
        let written = self.file.write_all(format!("{object}\n").as_bytes());
        if let Err(error) = written
            && std::mem::take(&mut self.well)
        {
            complain(&format!("panup: --report {}: {error}", self.path.display()));
            lose();
        }
    }
}
