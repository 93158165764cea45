//! The wish to end. In come SIGINT, SIGTERM and SIGHUP, out goes an error at the next nap, so that
//! everything that was made is dropped on the way out. It never ends the program itself.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Set by the first signal.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where signals cannot be had.
    pub fn on_signals() -> io::Result<Stop> {
        let stop = Stop(Arc::default());
        let asked = Arc::clone(&stop.0);
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let inside = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        drop(inside);
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            asked.store(true, Ordering::Relaxed);
        });
        Ok(stop)
    }

    /// Sleeps, unless it is time to stop.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn nap(&self, length: Duration) -> io::Result<()> {
        std::thread::sleep(length);
        match self.0.load(Ordering::Relaxed) {
            true => Err(io::Error::new(ErrorKind::Interrupted, "interrupted")),
            false => Ok(()),
        }
    }
}
