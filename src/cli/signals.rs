//! Ctrl-C, and what service managers send. In: SIGINT, SIGTERM, SIGHUP, unless they were ignored from
//! the start. Out: a notice to the command at the first, the end of the process at the second, or some
//! seconds later. Never: an end that depends on another thread, which may be locked or hang.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{INTERRUPTED, complain, foot};

/// Listened to from the first moment on, by a thread of their own: one that comes before it is waited
/// for is not lost.
pub struct Signals {
    came: watch::Receiver<bool>,
    told: Arc<Told>,
}

/// What the command has told the thread that listens.
#[derive(Default)]
struct Told {
    /// What the first signal does.
    first: Mutex<Option<Box<dyn Fn() + Send>>>,
    /// What is said at the end that the second one makes.
    last_words: Mutex<Option<Box<dyn Fn() -> String + Send>>>,
    /// What is given to the run beside [`LAST`].
    more: Mutex<Duration>,
}

impl Signals {
    /// From now on they are caught. Where no thread can be had they are not, and each ends the process
    /// as signals do.
    pub fn new() -> Signals {
        let told = Arc::<Told>::default();
        let words = Arc::clone(&told);
        Signals::with(told, move |why| {
            say_at_last(move || {
                if let Some(why) = why {
                    return Some(why.to_owned());
                }
                let say = lock(&words.last_words);
                say.as_ref().map(|say| say())
            });
            std::process::exit(i32::from(INTERRUPTED));
        })
    }

    /// `end` is called at the second signal, or with a reason [`LAST`] after the first.
    fn with(told: Arc<Told>, end: impl FnOnce(Option<&'static str>) + Send + 'static) -> Signals {
        let (send, came) = watch::channel(false);
        let signals = Signals {
            came,
            told: Arc::clone(&told),
        };
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
                if let Some(first) = &*lock(&told.first) {
                    first();
                }
                match told.second(&mut caught).await {
                    Second::Came => end(None),
                    Second::Late => end(Some("not everything ended in time")),
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
        let mut first = lock(&self.told.first);
        *first = Some(Box::new(act));
        if *self.came.borrow()
            && let Some(act) = &*first
        {
            act();
        }
    }

    /// What is said when the second signal ends the process.
    pub fn at_second(&self, say: impl Fn() -> String + Send + 'static) {
        *lock(&self.told.last_words) = Some(Box::new(say));
    }

    /// After the first signal the run is given so much more time.
    pub fn allow(&self, more: Duration) {
        *lock(&self.told.more) = more;
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

/// How the time after the first signal ends.
enum Second {
    Came,
    Late,
}

impl Told {
    async fn second(&self, caught: &mut Caught) -> Second {
        let began = tokio::time::Instant::now();
        loop {
            let until = began + LAST + *lock(&self.more);
            if tokio::time::timeout_at(until, caught.next()).await.is_ok() {
                return Second::Came;
            }
            if tokio::time::Instant::now() >= began + LAST + *lock(&self.more) {
                return Second::Late;
            }
        }
    }
}

/// Takes away what is at the foot of the terminal and says the last words, on a thread of its own: an
/// output that nobody reads does not keep the process.
fn say_at_last(words: impl FnOnce() -> Option<String> + Send + 'static) {
    let (done, is_done) = channel::<()>();
    let say = move || {
        foot::end_soon();
        if let Some(words) = words() {
            complain(&words);
        }
        drop(done);
    };
    if std::thread::Builder::new().spawn(say).is_ok() {
        // Nothing is sent: the other end goes when it is said.
        let _: Result<(), _> = is_done.recv_timeout(SAYING);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The last words are not waited for any longer.
const SAYING: Duration = Duration::from_millis(400);

/// From the first signal to the end of the process, beside what bodies are given to land: the journal is to
/// be written.
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
        let signals = Signals::with(Arc::default(), move |why| {
            end.send(why.is_none()).expect("heard")
        });
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
