//! Files to send. Their content does not matter to an emulator that never reuses, but no two
//! blocks are the same, so that nothing on the way can be clever.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Files of one size.
#[derive(Clone)]
pub struct Corpus {
    pub paths: Vec<PathBuf>,
    pub size: u64,
}

impl Corpus {
    /// `count` files of `size` bytes below `folder`, fresh in the page cache.
    pub fn files(folder: &TempDir, name: &str, count: u64, size: u64) -> Corpus {
        let path = |number| folder.path().join(format!("{name}-{number}"));
        let paths: Vec<PathBuf> = (0..count).map(path).collect();
        for (path, seed) in paths.iter().zip(1..) {
            write(path, size, seed);
        }
        Corpus { paths, size }
    }

    pub fn bytes(&self) -> u64 {
        self.paths.len() as u64 * self.size
    }
}

impl Drop for Corpus {
    fn drop(&mut self) {
        for path in &self.paths {
            drop(std::fs::remove_file(path));
        }
    }
}

/// Below the target folder, which is on a disk with room where `/tmp` may not be.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn write(path: &Path, size: u64, seed: u64) {
    let mut file = File::create(path).expect("a file");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut block = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        random.fill(&mut block);
        let now = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&block[..now]).expect("room");
        left -= now as u64;
    }
}
