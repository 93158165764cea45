//! Windows.

use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// What runs a line of the user's.
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.raw_arg("/D /S /C").raw_arg(format!("\"{command}\""));
    shell
}

/// Processes have no groups here: what the command started may live on.
pub fn end_group(_child: &Child) {}

/// It is not known.
pub fn typed_ahead() -> u64 {
    0
}

/// Whether a console at standard error acts on escape sequences; an old one, or one that was set so, shows
/// them. Where colours are not wanted nobody asks the console, which does what it was asked at the start.
pub fn acts_on_escapes() -> bool {
    let is_plain = std::env::var_os("NO_COLOR").is_some();
    is_plain || console::Term::stderr().features().colors_supported()
}

/// Makes a folder; that of temporary files is in the user's profile, whose access list it takes over.
pub fn fresh_folder(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}

/// There are no modes: the folder's access list decides, which is the profile's.
pub fn writable_by_all(path: &Path) -> std::io::Result<Option<u32>> {
    std::fs::metadata(path).map(|_| None)
}

/// Files that may be open at once; `None` is any number.
pub fn open_files_limit() -> Option<u64> {
    None
}
