//! How a journal is kept: plain values.

use std::time::Duration;

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the database above which those files are forgotten that were not of use for
    /// longest. Default 1 GiB, some two million files.
    pub limit: u64,
    /// How long another program's lock is waited for at a time. What cannot be written then is
    /// kept and tried again. Default 5 s.
    pub patience: Duration,
    /// Whether anything is written down. Default yes.
    pub writes: bool,
    /// Seconds that the clock is ahead, for tests.
    pub(crate) ahead: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limit: 1 << 30,
            patience: Duration::from_secs(5),
            writes: true,
            ahead: 0,
        }
    }
}
