//! The file of rows. In come cells that were measured, out goes a line for each, tabs between its columns,
//! and which cells stand there already, so that a grid that was interrupted goes on where it was.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

/// A file of rows, and what it held at first.
pub struct Rows {
    file: File,
    known: Vec<String>,
}

impl Rows {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Where that fails.
    pub fn open(path: &Path, head: &str) -> io::Result<Rows> {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).read(true).open(path)?;
        let lines: io::Result<Vec<String>> = BufReader::new(&file).lines().collect();
        let known = lines?;
        if known.is_empty() {
            writeln!(file, "{head}")?;
        }
        Ok(Rows { file, known })
    }

    /// The row that begins with `cell`, if it was there.
    pub fn find(&self, cell: &str) -> Option<&str> {
        let mut known = self.known.iter();
        let begins = |row: &&String| row.strip_prefix(cell).is_some_and(|s| s.starts_with('\t'));
        known.find(begins).map(String::as_str)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, row: &str) -> io::Result<()> {
        writeln!(self.file, "{row}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_there_is_found_by_another_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.tsv");
        let mut rows = Rows::open(&path, "cell\tshare").expect("made");
        assert_eq!(rows.find("a\tb"), None);
        rows.add("a\tb\t0.9").expect("written");
        rows.add("a\tbc\t0.8").expect("written");
        let rows = Rows::open(&path, "cell\tshare").expect("opened");
        assert_eq!(rows.find("a\tb"), Some("a\tb\t0.9"));
        assert_eq!(rows.find("a\tbc"), Some("a\tbc\t0.8"));
        assert_eq!(rows.find("b"), None);
        assert_eq!(rows.known.len(), 3, "one head");
    }
}
