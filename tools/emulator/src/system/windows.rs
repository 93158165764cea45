//! Windows.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;

pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                at += written as u64;
            }
        }
    }
    Ok(())
}

pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_read(bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// Whether a file can have this name: no device's, nothing at its end that is dropped.
pub(crate) fn fits(name: &str) -> bool {
    let stem = name.split(['.', ' ']).next().unwrap_or_default();
    let stem = stem.to_ascii_uppercase();
    let is_port = |port: &str| {
        let number = stem.strip_prefix(port);
        number.is_some_and(|number| number.chars().count() == 1)
    };
    let is_device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&*stem);
    !(name.ends_with(['.', ' ']) || is_device || is_port("COM") || is_port("LPT"))
}

/// Ctrl-C, Ctrl-Break and the end of the window, caught from now on.
#[cfg(feature = "cli")]
pub(crate) struct Ends(
    tokio::signal::windows::CtrlC,
    tokio::signal::windows::CtrlBreak,
    tokio::signal::windows::CtrlClose,
);

#[cfg(feature = "cli")]
impl Ends {
    pub(crate) fn new() -> io::Result<Ends> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Ends(ctrl_c()?, ctrl_break()?, ctrl_close()?))
    }

    /// Waits for the first of them.
    pub(crate) async fn first(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
        }
    }
}
