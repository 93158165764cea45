//! The emulator as the other process: this program, run again with a variable set. It ends with
//! its parent, however that ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use clap::Parser;
use tempfile::TempDir;

/// The other process.
pub struct Emulator {
    child: Child,
    /// Held open: when it closes, the child ends.
    _stdin: Option<ChildStdin>,
    pub api: String,
    pub token: String,
    pub roots: Vec<Vec<u8>>,
    _folder: TempDir,
}

impl Emulator {
    /// One that keeps nothing, checks no MD5, never reuses and completes at once, with more flags
    /// of `panup emulate`.
    pub fn start(flags: &[&str]) -> Emulator {
        let folder = tempfile::tempdir().expect("a folder");
        let pem = folder.path().join("ca.pem");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .env(CHILD, "1")
            .args(["--no-verify", "--quirk", "no-reuse", "--polls", "0"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if flags.contains(&"--tls") {
            command.arg("--ca-out").arg(&pem);
        }
        let mut child = command.spawn().expect("this program runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut api = String::new();
        let token = loop {
            let line = lines.next().expect("the emulator speaks").expect("text");
            match line.split_once(' ') {
                Some(("api", url)) => url.clone_into(&mut api),
                Some(("token", token)) => break token.to_owned(),
                _ => {}
            }
        };
        Emulator {
            _stdin: child.stdin.take(),
            child,
            api,
            token,
            roots: roots(pem),
            _folder: folder,
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // One that is gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn roots(pem: PathBuf) -> Vec<Vec<u8>> {
    std::fs::read(pem).into_iter().collect()
}

/// Whether this is the other process.
pub fn is_asked_for() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the emulator that the arguments describe.
pub fn run() {
    // A parent that is gone closes this.
    std::thread::spawn(|| {
        let ended = std::io::stdin().read(&mut [0]);
        std::process::exit(i32::from(ended.is_err()));
    });
    panup_emulator::cli::run(Flags::parse().args);
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: panup_emulator::cli::Args,
}

const CHILD: &str = "PANUP_BENCH_EMULATOR";
