//! Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub(crate) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(bytes, at)
}

/// Whether a file can have this name.
pub(crate) fn fits(_name: &str) -> bool {
    true
}

/// SIGTERM, SIGINT and SIGHUP, caught from now on.
#[cfg(feature = "cli")]
pub(crate) struct Ends([tokio::signal::unix::Signal; 3]);

#[cfg(feature = "cli")]
impl Ends {
    pub(crate) fn new() -> io::Result<Ends> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Ends([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the first of them.
    pub(crate) async fn first(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
