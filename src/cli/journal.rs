//! `panup status` and `panup forget`.

use std::process::ExitCode;

use panup::Error;

use super::args::{Forget, Status};

/// stub
pub fn status(_status: &Status) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}

/// stub
pub fn forget(_forget: &Forget) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
