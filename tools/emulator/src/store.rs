//! The files on disk, and the way into them. In come a body's bytes as they arrive, out go an MD5
//! and a file written at its offset; hashing and writing happen on blocking threads, batch by
//! batch, and no slice is ever held whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::task::JoinHandle;

use crate::config::Store;

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
                fs::create_dir_all(dir.join(SPOOLS))?;
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

    pub(crate) fn close(&self) {
        if let Some(root) = &self.root {
            // Fails when another emulator still has its spools there: then it is theirs to do.
            let _ = fs::remove_dir(root.join(SPOOLS));
        }
    }
}

/// The service allows 255 characters, the file system 255 bytes: a name that is too long is cut
/// and gets its MD5 appended. The spools' own name is out of bounds.
fn local_name(name: &str) -> String {
    if name.len() <= 255 && name != SPOOLS {
        return name.to_owned();
    }
    let cut = name.floor_char_boundary(200);
    format!("{}~{}", &name[..cut], hex(&Md5::digest(name).into()))
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
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(fits)];
        let lease = self.lease.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *lease == Writing::Allowed {
            self.file.write_all_at(bytes, self.at)?;
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
            self.file.read_exact_at(&mut buffer[..most], at)?;
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

/// Bytes on their way into a hash and a region.
pub(crate) struct Writer {
    work: Progress,
    batch: Vec<Bytes>,
    batched: usize,
    /// Bytes that were pushed.
    pub(crate) bytes: u64,
}

/// What is done with a batch, and at most one batch at a time is being done.
enum Progress {
    /// Nothing is to be done with the bytes.
    Idle,
    Ready(Work),
    Running(JoinHandle<io::Result<Work>>),
}

struct Work {
    digest: Option<Md5>,
    region: Option<Region>,
}

impl Writer {
    /// Hashes if `verify`, writes if there is a region.
    pub(crate) fn new(verify: bool, region: Option<Region>) -> Self {
        let digest = verify.then(Md5::new);
        let idle = digest.is_none() && region.is_none();
        Self {
            work: if idle {
                Progress::Idle
            } else {
                Progress::Ready(Work { digest, region })
            },
            batch: Vec::new(),
            batched: 0,
            bytes: 0,
        }
    }

    pub(crate) async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        if matches!(self.work, Progress::Idle) {
            return Ok(());
        }
        self.batched += bytes.len();
        self.batch.push(bytes);
        if self.batched >= BATCH {
            self.start_batch().await?;
        }
        Ok(())
    }

    /// The MD5 of all bytes, if they were hashed; every byte is written when this returns.
    pub(crate) async fn finish(&mut self) -> io::Result<Option<Sum>> {
        let Some(mut work) = self.settled().await? else {
            return Ok(None);
        };
        let batch = std::mem::take(&mut self.batch);
        if self.batched <= SMALL && work.region.is_none() {
            work.do_batch(&batch)?;
        } else {
            work = tokio::task::spawn_blocking(move || work.do_batch(&batch).map(|()| work))
                .await
                .map_err(io::Error::other)??;
        }
        Ok(work.digest.map(|digest| digest.finalize().into()))
    }

    async fn start_batch(&mut self) -> io::Result<()> {
        let Some(mut work) = self.settled().await? else {
            return Ok(());
        };
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        self.work = Progress::Running(tokio::task::spawn_blocking(move || {
            work.do_batch(&batch)?;
            Ok(work)
        }));
        Ok(())
    }

    async fn settled(&mut self) -> io::Result<Option<Work>> {
        match std::mem::replace(&mut self.work, Progress::Idle) {
            Progress::Idle => Ok(None),
            Progress::Ready(work) => Ok(Some(work)),
            Progress::Running(job) => job.await.map_err(io::Error::other)?.map(Some),
        }
    }
}

impl Work {
    fn do_batch(&mut self, batch: &[Bytes]) -> io::Result<()> {
        for bytes in batch {
            if let Some(digest) = &mut self.digest {
                digest.update(bytes);
            }
            if let Some(region) = &mut self.region {
                region.write(bytes)?;
            }
        }
        Ok(())
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
const BATCH: usize = 256 << 10;

/// Hashing this much takes as long as handing it to another thread and back.
const SMALL: usize = 16 << 10;

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
