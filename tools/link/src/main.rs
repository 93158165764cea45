//! The link: the real client and the emulator on two sides of a bandwidth, a delay, a queue and
//! losses, through real TCP with its windows and its slow start, which the emulator's network does
//! not have. In come links and settings, out go the shares of each link that each setting reached.
//! It never touches the machine's own network: all happens in two namespaces that go with it.
//!
//! ```text
//! cargo build --release && sudo cargo run --release -p panup-link -- --mbit 100,1000 --rtt 80
//! ```
//!
//! Linux and root only. Client, emulator and link share this machine's processors: what is missing
//! on a fast link may be theirs. A super-packet is queued and lost as one, so that losses come in
//! bursts; buffers (`tcp_rmem`, `tcp_wmem`) are as the machine has them.

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod cell;
#[cfg(target_os = "linux")]
mod grid;
#[cfg(target_os = "linux")]
mod panup;
#[cfg(target_os = "linux")]
mod picture;
#[cfg(target_os = "linux")]
mod pump;
#[cfg(target_os = "linux")]
mod rival;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod short;
#[cfg(target_os = "linux")]
mod stop;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod tun;
#[cfg(target_os = "linux")]
mod wire;

use std::io::Write;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    use std::io::ErrorKind;

    match grid::run(&args::Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            match error.kind() {
                ErrorKind::Unsupported => ExitCode::from(NOT_HERE),
                ErrorKind::Interrupted => ExitCode::from(INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    complain("network namespaces and TUN devices are Linux's: nothing can be measured here");
    ExitCode::from(NOT_HERE)
}

fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "link: {text}"));
}

/// This machine cannot do it: 2 is wrong usage.
const NOT_HERE: u8 = 77;

/// 128 and the number of SIGINT, as shells say it.
#[cfg(target_os = "linux")]
const INTERRUPTED: u8 = 130;
