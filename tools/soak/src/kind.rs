//! The kinds of weather.

/// One way in which the service, the machine or its people make it hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Calls that fail in every way that a script can say.
    Faults,
    /// A page of HTML in place of an answer.
    Html,
    /// The full queue, in each of its wordings.
    Queue,
    /// Answers and reading that stand still for longer than every limit.
    Stall,
    /// A server that is dead or slow.
    Servers,
    /// SIGKILL.
    Kill,
    /// SIGINT or SIGTERM.
    Signal,
    /// The same twice: it ends at once.
    SignalTwice,
    /// SIGSTOP, and SIGCONT after some seconds.
    Stop,
    /// Contents that change under a process.
    Edit,
    /// The same contents, touched between two runs: modes, times, links, an identical copy.
    Touch,
    /// The same in the middle of a run.
    TouchMeanwhile,
    /// The next token of the same account.
    Token,
    /// A clock that is two years ahead, or in 1970.
    Clock,
    /// Few descriptors.
    Descriptors,
    /// No file may grow beyond some kilobytes.
    FileSize,
    /// Two runs at once.
    Twins,
    /// Another process holds the journal's database.
    Lock,
    /// Reading fails for a moment.
    ReadError,
    /// Writing the state folder fails for a moment.
    WriteError,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 20] = [
        Kind::Faults,
        Kind::Html,
        Kind::Queue,
        Kind::Stall,
        Kind::Servers,
        Kind::Kill,
        Kind::Signal,
        Kind::SignalTwice,
        Kind::Stop,
        Kind::Edit,
        Kind::Touch,
        Kind::TouchMeanwhile,
        Kind::Token,
        Kind::Clock,
        Kind::Descriptors,
        Kind::FileSize,
        Kind::Twins,
        Kind::Lock,
        Kind::ReadError,
        Kind::WriteError,
    ];

    /// What `--only` and the table call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Faults => "faults",
            Kind::Html => "html",
            Kind::Queue => "queue",
            Kind::Stall => "stall",
            Kind::Servers => "servers",
            Kind::Kill => "kill",
            Kind::Signal => "signal",
            Kind::SignalTwice => "signal-twice",
            Kind::Stop => "stop",
            Kind::Edit => "edit",
            Kind::Touch => "touch",
            Kind::TouchMeanwhile => "touch-meanwhile",
            Kind::Token => "token",
            Kind::Clock => "clock",
            Kind::Descriptors => "descriptors",
            Kind::FileSize => "file-size",
            Kind::Twins => "twins",
            Kind::Lock => "lock",
            Kind::ReadError => "read-error",
            Kind::WriteError => "write-error",
        }
    }

    /// No reason for any file to fail: a run in such weather alone must end well.
    pub fn is_mild(self) -> bool {
        matches!(
            self,
            Kind::Stop
                | Kind::Touch
                | Kind::Token
                | Kind::Clock
                | Kind::Descriptors
                | Kind::FileSize
                | Kind::Twins
                | Kind::Lock
                | Kind::WriteError
        )
    }

    /// What the journal was told in such a run may not be in it.
    pub fn is_hard_on_the_journal(self) -> bool {
        matches!(self, Kind::FileSize | Kind::Lock | Kind::WriteError)
    }

    /// A reason not to know what became of a file.
    pub fn leaves_doubt(self) -> bool {
        !self.is_mild() || self.is_hard_on_the_journal() || self == Kind::Twins
    }
}

/// One to three kinds, of `only` or of all.
pub fn some(only: &[Kind], chance: &mut fastrand::Rng) -> Vec<Kind> {
    let from = if only.is_empty() {
        &Kind::ALL[..]
    } else {
        only
    };
    let mut kinds: Vec<Kind> = (0..chance.usize(1..4))
        .map(|_| from[chance.usize(0..from.len())])
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let ends = |kind: &Kind| matches!(kind, Kind::Kill | Kind::Signal | Kind::SignalTwice);
    let mut ended = false;
    // One end is enough, and it must be known which.
    kinds.retain(|kind| !ends(kind) || !std::mem::replace(&mut ended, true));
    kinds
}
