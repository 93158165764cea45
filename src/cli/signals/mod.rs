//! Ctrl-C, and what service managers send. In: SIGINT, SIGTERM, SIGHUP, unless they were ignored from
//! the start; of Windows Ctrl-C, Ctrl-Break, and the end of its window, of the session or the system. Out: a notice to the command at the first, the end of the process at the second, or some
//! seconds later. Never: an end that depends on another thread, which may be locked or hang.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{INTERRUPTED, complain, foot};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use system::Wishes;

use system::Caught;

/// Listened to from the first moment on, by a thread of their own: one that comes before it is waited
/// for is not lost.
pub struct Signals {
    came: watch::Receiver<Option<Duration>>,
    told: Arc<Told>,
}

/// What the command has told the thread that listens.
#[derive(Default)]
struct Told {
    /// What the first signal does.
    first: Mutex<Option<First>>,
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
        let (send, came) = watch::channel(None);
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
                let left = caught.next().await;
                send.send_replace(Some(left));
                if let Some(first) = &*lock(&told.first) {
                    first(left);
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

    /// What the first signal shall do, besides ending [`Signals::first`], with the time that the system leaves
    /// the run at most. It must not block.
    pub fn at_first(&self, act: impl Fn(Duration) + Send + 'static) {
        let mut first = lock(&self.told.first);
        let act = first.insert(Box::new(act));
        if let Some(left) = *self.came.borrow() {
            act(left);
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
        if came.wait_for(Option::is_some).await.is_err() {
            // There is no thread that listens, so none will come.
            std::future::pending::<()>().await;
        }
    }
}

/// It is told how long the system leaves the run.
type First = Box<dyn Fn(Duration) + Send>;

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

/// What was wished for; on Windows nothing is.
#[cfg_attr(windows, allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To be told how far it is.
    Tell,
    /// To stop until it is continued: see [`Wishes::stop`].
    Stop,
}

/// The last words are not waited for any longer.
const SAYING: Duration = Duration::from_millis(400);

/// From the first signal to the end of the process, beside what bodies are given to land: the journal is to
/// be written.
const LAST: Duration = Duration::from_secs(12);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost_and_the_second_ends() {
        if unix::ignored().is_some_and(|mask| mask & 0b100_0000_0000_0010 != 0) {
            let mut err = std::io::stderr();
            let why = "skipped: SIGINT or SIGTERM is ignored here, as in a shell's background job";
            return drop(std::io::Write::write_all(&mut err, why.as_bytes()));
        }
        let (end, ended) = channel();
        let signals = Signals::with(Arc::default(), move |why| {
            end.send(why.is_none()).expect("heard")
        });
        let (act, acted) = channel();
        signals.at_first(move |left| act.send(left).expect("heard"));
        kill_process(getpid(), Signal::INT).expect("ours");
        let left = acted.recv_timeout(LONGEST).expect("the first");
        assert_eq!(left, Duration::MAX, "nobody hurries it");
        let came = tokio::time::timeout(LONGEST, signals.first()).await;
        assert!(came.is_ok(), "it came before anybody waited");
        assert!(ended.try_recv().is_err(), "one does not end it");
        kill_process(getpid(), Signal::TERM).expect("ours");
        let second = tokio::task::spawn_blocking(move || ended.recv_timeout(LONGEST));
        assert_eq!(second.await.expect("no panic"), Ok(true));
    }

    const LONGEST: Duration = Duration::from_secs(10);
}
