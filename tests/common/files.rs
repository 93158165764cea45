//! Files of a test: made, changed and compared.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use panup::Item;
use tempfile::TempDir;

/// An item below the root folder, under the remote path `remote`.
pub fn item(path: &Path, remote: &str) -> Item {
    let mut item = Item::new(path);
    remote.clone_into(&mut item.remote);
    item
}

/// Gives `path` this mode, where there are modes; elsewhere the access list of its folder says who has it.
pub fn private(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}

/// Writes a file of `size` bytes that differ from those of another `seed`. The period is prime, so
/// that no two slices, blocks or pages of a file are the same.
pub fn make(path: &Path, size: u64, seed: u8) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a folder");
    }
    let mut file = fs::File::create(path).expect("a file");
    let piece: Vec<u8> = (0..PIECE).map(|at| (at % PERIOD) as u8 ^ seed).collect();
    let mut left = size;
    while left > 0 {
        let next = left.min(PIECE);
        file.write_all(&piece[..next as usize]).expect("written");
        left -= next;
    }
}

/// Whether both files hold the same bytes.
pub fn same_contents(one: &Path, other: &Path) -> bool {
    let open = |path: &Path| std::io::BufReader::new(fs::File::open(path).expect("readable"));
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
    loop {
        let (filled, there) = (fill(&mut one, &mut left), fill(&mut other, &mut right));
        if filled != there || left[..filled] != right[..there] {
            return false;
        }
        if filled == 0 {
            return true;
        }
    }
}

/// Bytes that no other seed gives.
pub fn noise(size: u64, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; usize::try_from(size).expect("small")];
    random.fill(&mut bytes);
    bytes
}

/// The contents changed in place, as an editor would.
pub fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("there");
    change(&mut bytes);
    fs::write(path, bytes).expect("writable");
}

/// A folder that goes with the test.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]).expect("readable") {
            0 => break,
            read => filled += read,
        }
    }
    filled
}

/// The contents repeat after so many bytes.
const PERIOD: u64 = 251;

/// Bytes that are made or compared at once, a whole number of periods.
const PIECE: u64 = PERIOD << 12;
