//! What the soak survived.

use std::collections::BTreeMap;
use std::fmt;

/// Counters of everything.
#[derive(Debug, Default)]
pub struct Table {
    /// Rounds, each with its own service.
    pub rounds: u64,
    /// Processes started.
    pub runs: u64,
    /// Processes that were ended by SIGKILL at some moment.
    pub killed: u64,
    /// Processes that were sent SIGINT.
    pub interrupted: u64,
    /// Files changed under a process.
    pub edited: u64,
    /// Faults that were laid, by sort.
    pub faults: BTreeMap<String, u64>,
    /// Calls that a fault struck.
    pub struck: u64,
    /// Files that are there, byte by byte.
    pub completed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files with contents that were never theirs.
    pub wrong: u64,
    /// Files that did not arrive in fair weather.
    pub lost: u64,
    /// Slices that the journals knew when the last run of a round began.
    pub resumed_slices: u64,
    /// Slices that the service took.
    pub slices: u64,
    /// Slices that it took once more under the same preuploadID.
    pub slices_again: u64,
    /// Bytes of those.
    pub bytes_again: u64,
}

impl Table {
    /// A fault was laid.
    pub fn fault(&mut self, name: String) {
        *self.faults.entry(name).or_default() += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("rounds", self.rounds),
            ("processes", self.runs),
            ("  killed", self.killed),
            ("  interrupted", self.interrupted),
            ("  with a file changed", self.edited),
            ("faults laid", self.faults.values().sum()),
            ("calls struck", self.struck),
            ("files completed", self.completed),
            ("  bytes", self.bytes),
            ("files wrong", self.wrong),
            ("files lost", self.lost),
            ("slices taken", self.slices),
            ("  known when resumed", self.resumed_slices),
            ("  taken again", self.slices_again),
            ("  bytes taken again", self.bytes_again),
        ];
        for (name, count) in rows {
            writeln!(f, "{name:<24}{count:>16}")?;
        }
        for (name, count) in &self.faults {
            writeln!(f, "  fault {name:<16}{count:>16}")?;
        }
        Ok(())
    }
}
