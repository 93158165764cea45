//! What a folder holds besides files and folders: counted, and named to those who ask for it, since a
//! backup that is not whole must not look whole.

use std::sync::atomic::{AtomicU64, Ordering};

use ignore::DirEntry;

/// Counts of what a walk leaves out by its kind.
#[derive(Debug, Default)]
pub struct LeftOut {
    links: AtomicU64,
    special: AtomicU64,
}

impl LeftOut {
    /// Counts an entry of a folder that is no file; folders are not left out.
    pub fn note(&self, entry: &DirEntry) {
        let Some(kind) = entry.file_type().filter(|kind| !kind.is_dir()) else {
            return;
        };
        let (count, what) = match kind.is_symlink() {
            true => (&self.links, "a symbolic link"),
            false => (&self.special, "no regular file"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        tracing::info!("left out {}: {what}", entry.path().display());
    }

    /// Symbolic links that were not followed.
    pub fn links(&self) -> u64 {
        self.links.load(Ordering::Relaxed)
    }

    /// Pipes, sockets and devices.
    pub fn special(&self) -> u64 {
        self.special.load(Ordering::Relaxed)
    }

    /// A line for each kind of which there was one; `advice` is about links.
    pub fn lines(&self, advice: &str) -> Vec<String> {
        let line = |count: u64, one: &str, many: &str, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {one} was {what}")),
            _ => Some(format!("{count} {many} were {what}")),
        };
        let followed = format!("not followed{advice}");
        let links = line(self.links(), "symbolic link", "symbolic links", &followed);
        let kinds = "left out: pipes, sockets or devices";
        let special = line(self.special(), "special file", "special files", kinds);
        links.into_iter().chain(special).collect()
    }
}
