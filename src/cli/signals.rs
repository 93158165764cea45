//! Ctrl-C, and what service managers send. In: SIGINT, SIGTERM, SIGHUP, unless they were ignored from
//! the start. Out: a notice to the command at the first, the end of the process at the second, or some
//! seconds later. Never: an end that depends on another thread, which may be locked or hang.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{INTERRUPTED, complain};

/// Listened to from the first moment on, by a thread of their own: one that comes before it is waited
/// for is not lost.
pub struct Signals {
    came: watch::Receiver<bool>,
    first: First,
}

/// What the first signal does.
type First = Arc<Mutex<Option<Box<dyn Fn() + Send>>>>;

impl Signals {
    /// From now on they are caught. Where no thread can be had they are not, and each ends the process
    /// as signals do.
    pub fn new() -> Signals {
        Signals::with(|why| {
            if let Some(why) = why {
                complain(why);
            }
            std::process::exit(i32::from(INTERRUPTED));
        })
    }

    /// `end` is called at the second signal, or with a reason [`LAST`] after the first.
    fn with(end: impl FnOnce(Option<&str>) + Send + 'static) -> Signals {
        let (send, came) = watch::channel(false);
        let signals = Signals {
            came,
            first: Arc::default(),
        };
        let first = Arc::clone(&signals.first);
        let (ready, is_ready) = channel();
        let listen = move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let Ok(runtime) = builder.enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let mut caught = Caught::new();
                drop(ready);
                caught.next().await;
                send.send_replace(true);
                if let Some(first) = &*first.lock().unwrap_or_else(PoisonError::into_inner) {
                    first();
                }
                match tokio::time::timeout(LAST, caught.next()).await {
                    Ok(()) => end(None),
                    Err(_) => end(Some("not everything ended in time")),
                }
            });
        };
        let thread = std::thread::Builder::new().name("panup-signals".to_owned());
        if thread.spawn(listen).is_ok() {
            // Nothing is sent: the other end goes when they are caught, or cannot be.
            let _: Result<(), _> = is_ready.recv();
        }
        signals
    }

    /// What the first signal shall do, besides ending [`Signals::first`]. It must not block.
    pub fn at_first(&self, act: impl Fn() + Send + 'static) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
        if *self.came.borrow()
            && let Some(act) = &*self.first.lock().unwrap_or_else(PoisonError::into_inner)
        {
            act();
        }
    }

    /// Waits for the first one; at once if it has come.
    pub async fn first(&self) {
        let mut came = self.came.clone();
        if came.wait_for(|&came| came).await.is_err() {
            // There is no thread that listens, so none will come.
            std::future::pending::<()>().await;
        }
    }
}

/// Signals that end nothing.
pub struct Wishes {
    /// SIGUSR1: to be told now how far it is.
    #[cfg(unix)]
    tell: Option<tokio::signal::unix::Signal>,
    /// SIGTSTP: Ctrl-Z.
    #[cfg(unix)]
    stop: Option<tokio::signal::unix::Signal>,
}

/// What was wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To be told how far it is.
    Tell,
    /// To stop until it is continued: see [`Wishes::stop`].
    Stop,
}

impl Wishes {
    /// From now on they are caught; the wish to stop only where something `is_drawn` that would stay
    /// behind. Otherwise the system stops the process by itself.
    pub fn new(is_drawn: bool) -> Wishes {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let caught = |kind: SignalKind| match is_ignored(kind) {
                true => None,
                false => signal(kind).ok(),
            };
            let stop = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
            Wishes {
                tell: caught(SignalKind::user_defined1()),
                stop: is_drawn.then(|| caught(stop)).flatten(),
            }
        }
        #[cfg(not(unix))]
        {
            let _ = is_drawn;
            Wishes {}
        }
    }

    /// The next one.
    pub async fn next(&mut self) -> Wish {
        #[cfg(unix)]
        {
            std::future::poll_fn(|cx| {
                let came = |signal: &mut Option<tokio::signal::unix::Signal>, cx: &mut _| {
                    let signal = signal.as_mut();
                    signal.is_some_and(|signal| signal.poll_recv(cx).is_ready())
                };
                if came(&mut self.tell, cx) {
                    return std::task::Poll::Ready(Wish::Tell);
                }
                match came(&mut self.stop, cx) {
                    true => std::task::Poll::Ready(Wish::Stop),
                    false => std::task::Poll::Pending,
                }
            })
            .await
        }
        #[cfg(not(unix))]
        std::future::pending().await
    }

    /// Stops the process until it is continued.
    pub fn stop() {
        #[cfg(unix)]
        {
            use rustix::process::{Signal, getpid, kill_process};
            let _: Result<(), _> = kill_process(getpid(), Signal::STOP);
        }
    }
}

/// What the parent had set to be ignored stays so, as nohup and a shell's & want it. SIGHUP keeps the
/// meaning that it had where that is not known.
#[cfg(unix)]
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> bool {
    match ignored() {
        Some(mask) => mask >> (kind.as_raw_value() - 1) & 1 == 1,
        None => kind == tokio::signal::unix::SignalKind::hangup(),
    }
}

/// The system's side.
struct Caught {
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Caught {
    #[cfg(unix)]
    fn new() -> Caught {
        use tokio::signal::unix::{SignalKind, signal};
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

    #[cfg(not(unix))]
    fn new() -> Caught {
        Caught {}
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let mut signals = self.signals.iter_mut();
            match signals.any(|signal| signal.poll_recv(cx).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}

/// The signals that are ignored, signal n as bit n - 1. Linux has them in a line `SigIgn:`; elsewhere
/// it is not known, and SIGHUP keeps the meaning that it had.
#[cfg(unix)]
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// From the first signal to the end of the process. What is in flight is given five seconds to land,
/// and the journal some more to be written.
const LAST: Duration = Duration::from_secs(12);

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost_and_the_second_ends() {
        if ignored().is_some_and(|mask| mask & 0b100_0000_0000_0010 != 0) {
            let mut err = std::io::stderr();
            let why = "skipped: SIGINT or SIGTERM is ignored here, as in a shell's background job";
            return drop(std::io::Write::write_all(&mut err, why.as_bytes()));
        }
        let (end, ended) = channel();
        let signals = Signals::with(move |why| end.send(why.is_none()).expect("heard"));
        let (act, acted) = channel();
        signals.at_first(move || act.send(()).expect("heard"));
        kill_process(getpid(), Signal::INT).expect("ours");
        acted.recv_timeout(LONGEST).expect("the first");
        let came = tokio::time::timeout(LONGEST, signals.first()).await;
        assert!(came.is_ok(), "it came before anybody waited");
        assert!(ended.try_recv().is_err(), "one does not end it");
        kill_process(getpid(), Signal::TERM).expect("ours");
        let second = tokio::task::spawn_blocking(move || ended.recv_timeout(LONGEST));
        assert_eq!(second.await.expect("no panic"), Ok(true));
    }

    const LONGEST: Duration = Duration::from_secs(10);
}
