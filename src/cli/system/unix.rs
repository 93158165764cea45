//! Unix.

use std::fs::DirBuilder;
use std::io::IsTerminal;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process_group};

/// What runs a line of the user's.
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    // At a terminal it may ask there, and an interrupt is for it as well.
    if !std::io::stderr().is_terminal() {
        shell.process_group(0);
    }
    shell
}

/// Ends what such a command started, where it has a process group of its own.
pub fn end_group(child: &Child) {
    if !std::io::stderr().is_terminal() {
        let id = i32::try_from(child.id()).ok();
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Bytes of whole lines that wait to be read at the terminal.
pub fn typed_ahead() -> u64 {
    let keys = std::io::stdin();
    match keys.is_terminal() {
        true => rustix::io::ioctl_fionread(keys).unwrap_or(0),
        false => 0,
    }
}

/// Whether a terminal at standard error acts on escape sequences.
pub fn acts_on_escapes() -> bool {
    true
}

/// Makes a folder for us alone.
pub fn fresh_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// The mode of a file that everybody can write.
pub fn writable_by_all(path: &Path) -> std::io::Result<Option<u32>> {
    let facts = std::fs::metadata(path)?;
    let mode = facts.permissions().mode() & 0o777;
    Ok((facts.is_file() && mode & 0o002 != 0).then_some(mode))
}

/// Files that may be open at once; `None` is any number.
pub fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
