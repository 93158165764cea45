//! `panup hash`.

use std::process::ExitCode;

use panup::Error;

use super::args::Hash;

/// stub
pub fn run(_hash: &Hash) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
