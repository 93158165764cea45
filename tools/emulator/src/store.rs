//! The files on disk: the folder, files that are being filled, and regions of them. In come bytes
//! and their offsets, out go files under their names; everything here blocks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};

use crate::config::{Store, naming};
use crate::system::{fits, read_exact_at, write_all_at};

/// An MD5.
pub(crate) type Sum = [u8; 16];

/// The folder that everything is stored in, or none.
#[derive(Debug)]
pub(crate) struct Directory {
    root: Option<PathBuf>,
    spools: AtomicU64,
}

impl Directory {
    pub(crate) fn open(store: &Store) -> io::Result<Self> {
        let root = match store {
            Store::Discard => None,
            Store::Dir(dir) => {
                fs::create_dir_all(dir.join(SPOOLS))
                    .map_err(|error| naming(dir.display(), &error))?;
                Some(fs::canonicalize(dir)?)
            }
        };
        Ok(Self {
            root,
            spools: AtomicU64::new(0),
        })
    }

    pub(crate) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// A new file below a hidden folder; none when bytes are discarded.
    pub(crate) fn spool(&self) -> io::Result<Option<Spool>> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        let number = self.spools.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let path = root.join(SPOOLS).join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let file = Arc::new(file);
        Ok(Some(Spool { file, path }))
    }

    /// Where the file with these path components is kept.
    pub(crate) fn local<'a>(
        &self,
        components: impl IntoIterator<Item = &'a str>,
    ) -> Option<PathBuf> {
        let mut local = self.root.clone()?;
        local.extend(components.into_iter().map(local_name));
        Some(local)
    }

    /// Where what was put to the trash as `id` is kept, or what is below it.
    pub(crate) fn in_trash<'a>(
        &self,
        id: i64,
        components: impl IntoIterator<Item = &'a str>,
    ) -> Option<PathBuf> {
        let mut local = self.root.as_ref()?.join(SPOOLS).join(trash_name(id));
        local.extend(components.into_iter().map(local_name));
        Some(local)
    }

    /// Ends it, without what is in the `trash`.
    pub(crate) fn close(&self, trash: &[i64]) {
        let Some(root) = &self.root else { return };
        let hidden = root.join(SPOOLS);
        for id in trash {
            let local = hidden.join(trash_name(*id));
            let _ = fs::remove_file(&local).or_else(|_| fs::remove_dir_all(&local));
        }
        // Fails when another emulator still has its spools there: then it is theirs to do.
        let _ = fs::remove_dir(hidden);
    }
}

/// The service allows 255 characters, the file system 255 bytes: a name that is too long is cut
/// and gets its MD5 appended, as one that the system cannot have. The spools' own name is out of bounds.
fn local_name(name: &str) -> String {
    if name.len() <= 255 && name != SPOOLS && fits(name) {
        return name.to_owned();
    }
    let most = name.len().min(200);
    let cut = (0..=most).rev().find(|&at| name.is_char_boundary(at));
    let cut = cut.unwrap_or(0);
    format!("{}~{}", &name[..cut], hex(&Md5::digest(name).into()))
}

/// Apart from what other emulators keep in the same folder.
fn trash_name(id: i64) -> String {
    format!("trash-{}-{id}", std::process::id())
}

/// The MD5 and the length of a file. Blocking.
pub(crate) fn md5_of(local: &Path) -> io::Result<(Sum, u64)> {
    let file = Arc::new(File::open(local)?);
    let end = file.metadata()?.len();
    let lease = Lease::default();
    let whole = Region {
        file,
        at: 0,
        end,
        lease,
    };
    let mut digest = Md5::new();
    whole.read(|bytes| {
        digest.update(bytes);
        Ok(())
    })?;
    Ok((digest.finalize().into(), end))
}

/// A file that is being filled. It disappears when it is dropped without being kept.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Arc<File>,
    path: PathBuf,
}

impl Spool {
    /// The bytes from `at` up to `at + bytes`.
    pub(crate) fn region(&self, at: u64, bytes: u64) -> Region {
        Region {
            file: Arc::clone(&self.file),
            at,
            end: at + bytes,
            lease: Lease::default(),
        }
    }

    /// Writes all of the file at once. Blocking.
    pub(crate) fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.file, bytes, 0)
    }

    /// Puts `bytes` in place of what `local` is, or the same with one byte changed; the new MD5 and
    /// length. Other names of the same file keep what they have. Blocking.
    pub(crate) fn replace(self, local: &Path, bytes: Option<&[u8]>) -> io::Result<(Sum, u64)> {
        match bytes {
            Some(bytes) => self.fill(bytes)?,
            None => {
                let mut last = [0];
                let at = fs::copy(local, &self.path)?.saturating_sub(1);
                read_exact_at(&self.file, &mut last, at)?;
                write_all_at(&self.file, &[!last[0]], at)?;
            }
        }
        let found = md5_of(&self.path)?;
        self.keep(local)?;
        Ok(found)
    }

    /// Gives the file its name, in place of whatever had it.
    pub(crate) fn keep(self, local: &Path) -> io::Result<()> {
        if let Some(folder) = local.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&self.path, local)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Fails after `keep`, as it should.
        let _ = fs::remove_file(&self.path);
    }
}

/// `local` becomes a second name of what `original` is, or a copy where links do not work.
pub(crate) fn link(original: &Path, local: &Path, spool: Spool) -> io::Result<()> {
    fs::remove_file(&spool.path)?;
    if fs::hard_link(original, &spool.path).is_err() {
        fs::copy(original, &spool.path)?;
    }
    spool.keep(local)
}

/// Permission to write a region; once it is taken back not another byte is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease(Arc<Mutex<Writing>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writing {
    #[default]
    Allowed,
    TakenBack,
}

impl Lease {
    /// Takes it back, after the write that may just be going on.
    pub(crate) fn take_back(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Writing::TakenBack;
    }

    pub(crate) fn holds(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Writing::Allowed
    }
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    file: Arc<File>,
    at: u64,
    end: u64,
    pub(crate) lease: Lease,
}

impl Region {
    /// Writes at the region's front, which moves on; what does not fit is left out.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(fits)];
        let lease = self.lease.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *lease == Writing::Allowed {
            write_all_at(&self.file, bytes, self.at)?;
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// All bytes of the region, piece by piece. Blocking.
    pub(crate) fn read(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; BATCH];
        let mut at = self.at;
        while at < self.end {
            let most = usize::try_from(self.end - at).map_or(BATCH, |left| left.min(BATCH));
            read_exact_at(&self.file, &mut buffer[..most], at)?;
            each(&buffer[..most])?;
            at += most as u64;
        }
        Ok(())
    }

    /// Takes over all bytes of `other`. Blocking.
    pub(crate) fn copy_from(mut self, other: &Region) -> io::Result<()> {
        other.read(|bytes| self.write(bytes))
    }
}

/// Lower-case hex.
pub(crate) fn hex(sum: &Sum) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(32);
    for byte in sum {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// Hashing and writing this much takes half a millisecond, against some 10 µs to hand it over;
/// twice as much per slice in flight is all that is held.
pub(crate) const BATCH: usize = 256 << 10;

/// Where files are until they are whole, inside the folder so that a rename is enough.
pub(crate) const SPOOLS: &str = ".panup-emulator";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_fit_the_file_system_and_stay_apart() {
        let long = "长".repeat(255);
        let other = format!("{}短", "长".repeat(254));
        assert!(local_name(&long).len() <= 255);
        assert_ne!(local_name(&long), local_name(&other));
        assert_eq!(local_name("short"), "short");
        assert_ne!(local_name(SPOOLS), SPOOLS);
    }

    #[test]
    fn hex_is_lower_case_and_padded() {
        assert_eq!(
            hex(&Md5::digest(b"").into()),
            "d41d8cd98f00b204e9800998ecf8427e"
        );
        assert_eq!(hex(&[0; 16]), "0".repeat(32));
    }
}
