//! The library that bends a process's clock and disk, compiled when the soak starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::say;

/// The compiled library, where there is a compiler and a loader that takes it.
#[derive(Debug)]
pub struct Shim(Option<(tempfile::TempDir, PathBuf)>);

impl Shim {
    /// By `cc`; says so where it cannot be.
    pub fn compile() -> Shim {
        let compiled = compile();
        if let Err(why) = &compiled {
            say(&format!("NO clock and disk weather: {why}"));
        }
        Shim(compiled.ok())
    }

    /// The library.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|(_, path)| path.as_path())
    }
}

fn compile() -> Result<(tempfile::TempDir, PathBuf), String> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Err("LD_PRELOAD over glibc is needed".to_owned());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let source = folder.path().join("shim.c");
    let library = folder.path().join("shim.so");
    std::fs::write(&source, include_str!("shim.c")).map_err(|error| error.to_string())?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]);
    cc.arg(&library).arg(&source).arg("-ldl");
    match cc.output() {
        Err(error) => Err(format!("cc: {error}")),
        Ok(out) if !out.status.success() => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        Ok(_) => Ok((folder, library)),
    }
}
