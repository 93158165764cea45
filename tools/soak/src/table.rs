//! What the soak survived.

use std::collections::BTreeMap;
use std::fmt;

use crate::kind::Kind;

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Contents that the file never had, or has no longer.
    Wrong,
    /// Said to be there, and not there; or not done, with nothing in the way.
    Lost,
    /// A second copy of what has not changed.
    Doubled,
    /// Sent again, or refused as taken, though an earlier run had said that it is there.
    Forgotten,
    /// A process that outlived its deadline.
    Hung,
    /// A panic, or a signal that was not ours.
    Crashed,
}

/// Counters of everything.
#[derive(Debug, Default)]
pub struct Table {
    /// By name, in the order of the names.
    counts: BTreeMap<&'static str, u64>,
    /// Faults that were laid, by sort.
    strikes: BTreeMap<String, u64>,
    /// Runs in each kind of weather.
    runs: BTreeMap<Kind, u64>,
    /// Faults, by the weather that they happened in.
    faults: BTreeMap<(Kind, Fault), u64>,
    /// Faults in all.
    all: BTreeMap<Fault, u64>,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::Wrong,
        Fault::Lost,
        Fault::Doubled,
        Fault::Forgotten,
        Fault::Hung,
        Fault::Crashed,
    ];

    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Wrong => "wrong",
            Fault::Lost => "lost",
            Fault::Doubled => "doubled",
            Fault::Forgotten => "forgotten",
            Fault::Hung => "hung",
            Fault::Crashed => "crashed",
        }
    }
}

impl Table {
    /// Counts something.
    pub fn count(&mut self, what: &'static str, by: u64) {
        *self.counts.entry(what).or_default() += by;
    }

    /// A fault was laid at the service.
    pub fn strike(&mut self, name: &str) {
        *self.strikes.entry(name.to_owned()).or_default() += 1;
    }

    /// A run began in this weather.
    pub fn run(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            *self.runs.entry(*kind).or_default() += 1;
        }
    }

    /// What must not happen has happened.
    pub fn fault(&mut self, fault: Fault, kinds: &[Kind]) {
        *self.all.entry(fault).or_default() += 1;
        for kind in kinds {
            *self.faults.entry((*kind, fault)).or_default() += 1;
        }
    }

    /// Whether nothing happened that must not.
    pub fn is_sound(&self) -> bool {
        self.all.is_empty()
    }

    /// Another table's counts on top.
    pub fn add(&mut self, other: &Table) {
        add(&mut self.counts, &other.counts);
        add(&mut self.strikes, &other.strikes);
        add(&mut self.runs, &other.runs);
        add(&mut self.faults, &other.faults);
        add(&mut self.all, &other.all);
    }
}

fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *to.entry(key.clone()).or_default() += count;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.counts {
            writeln!(f, "{name:<36}{count:>16}")?;
        }
        for (name, count) in &self.strikes {
            writeln!(f, "  fault laid: {name:<22}{count:>16}")?;
        }
        write!(f, "{:<18}{:>8}", "weather", "runs")?;
        for fault in Fault::ALL {
            write!(f, "{:>11}", fault.name())?;
        }
        writeln!(f)?;
        for (kind, runs) in &self.runs {
            write!(f, "{:<18}{runs:>8}", kind.name())?;
            for fault in Fault::ALL {
                let count = self.faults.get(&(*kind, fault)).copied().unwrap_or(0);
                write!(f, "{count:>11}")?;
            }
            writeln!(f)?;
        }
        write!(f, "{:<26}", "in all")?;
        for fault in Fault::ALL {
            write!(f, "{:>11}", self.all.get(&fault).copied().unwrap_or(0))?;
        }
        writeln!(f)
    }
}
