//! `--report`: the objects of files in a file, each there as soon as its file has ended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use panup::Error;

use super::objects::Line;
use super::out::{complain, lose, text_of};

/// A file to which objects are appended.
pub struct ReportFile {
    path: PathBuf,
    file: File,
    well: bool,
}

/// Whether it is a file whose last byte ends no line; what cannot be told is none.
fn ends_within_a_line(path: &Path) -> bool {
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|mut file| {
        if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(())
    });
    read.is_ok() && last != [b'\n']
}

impl ReportFile {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &Path) -> Result<ReportFile, Error> {
        let failed = |error| Error::read(path, error).context("--report");
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let mut file = opened.map_err(failed)?;
        // What a run that was killed left of its last line is not the beginning of the next one.
        if ends_within_a_line(path) {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(ReportFile {
            path: path.to_owned(),
            file,
            well: true,
        })
    }

    /// Appends an object. That one could not be written is said once, and makes the program's end a
    /// failure.
    pub fn write(&mut self, object: &Line) {
        // In one call, so that runs that append to one file do not mix their lines.
        let written = self
            .file
            .write_all(format!("{}\n", text_of(object)).as_bytes());
        if let Err(error) = written
            && std::mem::take(&mut self.well)
        {
            complain(&format!("panup: --report {}: {error}", self.path.display()));
            lose();
        }
    }
}
