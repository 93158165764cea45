//! Signals of Unix.

use std::task::Poll;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

use super::Wish;

/// Signals that end nothing.
pub struct Wishes {
    /// SIGUSR1: to be told now how far it is.
    tell: Option<unix::Signal>,
    /// SIGTSTP: Ctrl-Z.
    stop: Option<unix::Signal>,
}

impl Wishes {
    /// From now on they are caught; the wish to stop only where something `is_drawn` that would stay
    /// behind. Otherwise the system stops the process by itself.
    pub fn new(is_drawn: bool) -> Wishes {
        let caught = |kind: SignalKind| match is_ignored(kind) {
            true => None,
            false => signal(kind).ok(),
        };
        let stop = SignalKind::from_raw(Signal::TSTP.as_raw());
        Wishes {
            tell: caught(SignalKind::user_defined1()),
            stop: is_drawn.then(|| caught(stop)).flatten(),
        }
    }

    /// The next one.
    pub async fn next(&mut self) -> Wish {
        std::future::poll_fn(|cx| {
            let came = |signal: &mut Option<unix::Signal>, cx: &mut _| {
                let signal = signal.as_mut();
                signal.is_some_and(|signal| signal.poll_recv(cx).is_ready())
            };
            if came(&mut self.tell, cx) {
                return Poll::Ready(Wish::Tell);
            }
            match came(&mut self.stop, cx) {
                true => Poll::Ready(Wish::Stop),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Stops the process until it is continued.
    pub fn stop() {
        let _: Result<(), _> = kill_process(getpid(), Signal::STOP);
    }
}

/// Signals that end the process.
pub(super) struct Caught {
    signals: Vec<unix::Signal>,
}

impl Caught {
    pub(super) fn new() -> Caught {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let kinds = kinds.into_iter().filter(|&kind| !is_ignored(kind));
        let signals = kinds.filter_map(|kind| signal(kind).ok());
        Caught {
            signals: signals.collect(),
        }
    }

    /// Waits for the next one; the system leaves the process all the time that it takes.
    pub(super) async fn next(&mut self) -> Duration {
        std::future::poll_fn(|cx| {
            let mut signals = self.signals.iter_mut();
            match signals.any(|signal| signal.poll_recv(cx).is_ready()) {
                true => Poll::Ready(Duration::MAX),
                false => Poll::Pending,
            }
        })
        .await
    }
}

/// What the parent had set to be ignored stays so, as nohup and a shell's & want it. SIGHUP keeps the
/// meaning that it had where that is not known.
fn is_ignored(kind: SignalKind) -> bool {
    match ignored() {
        Some(mask) => mask >> (kind.as_raw_value() - 1) & 1 == 1,
        None => kind == SignalKind::hangup(),
    }
}

/// The signals that are ignored, signal n as bit n - 1. Linux has them in a line `SigIgn:`; elsewhere
/// it is not known, and SIGHUP keeps the meaning that it had.
pub(super) fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
