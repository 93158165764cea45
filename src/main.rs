//! The `panup` command: a thin user of the library's public names.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    panup::prepare_process();
    cli::run()
}
