//! Contents of one's own: here one file that is made of many, without a copy on the disk.
#![allow(clippy::print_stdout)] // it is a program

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use panup::{ByteSource, Client, Credential, Item, Options, Secret};
use panup_emulator::{Config, Emulator};

/// Files, one after the other.
struct Joined(Vec<(PathBuf, u64)>);

impl Joined {
    fn new(paths: Vec<PathBuf>) -> io::Result<Joined> {
        let sized = |path: PathBuf| Ok((path.clone(), std::fs::metadata(path)?.len()));
        paths
            .into_iter()
            .map(sized)
            .collect::<io::Result<_>>()
            .map(Joined)
    }
}

/// Read twice: from the front for the MD5, then slice by slice, several at once.
impl ByteSource for Joined {
    fn length(&self) -> u64 {
        self.0.iter().map(|(_, length)| length).sum()
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let (mut bytes, mut start) = (Vec::new(), 0);
        for (path, length) in &self.0 {
            let (from, to) = (range.start.max(start), range.end.min(start + length));
            if from < to {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(from - start))?;
                file.take(to - from).read_to_end(&mut bytes)?;
            }
            start += length;
        }
        Ok(bytes.into())
    }

    /// Another number when a file was written to: what was hashed would not be what is sent.
    fn version(&self) -> io::Result<u64> {
        let mut version = 0u64;
        for (path, _) in &self.0 {
            let modified = std::fs::metadata(path)?.modified()?;
            let since = modified.duration_since(std::time::UNIX_EPOCH);
            let nanoseconds = since.map_err(io::Error::other)?.as_nanos() as u64;
            version = version.rotate_left(7) ^ nanoseconds;
        }
        Ok(version)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service on this machine. In earnest: `Options::new(credential)` alone.
    let emulator = Emulator::start(Config::default())?;
    let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
    options.api = emulator.api();

    let folder = tempfile::tempdir()?;
    let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
    for path in &paths {
        std::fs::write(path, vec![b'x'; 3 << 20])?;
    }
    let joined = Joined::new(paths.to_vec())?;
    let client = Client::new(options)?;
    let outcome = client.upload(Item::source("joined", joined)).await?;
    println!("{} {} bytes", outcome.status.name(), outcome.size);
    Ok(())
}
