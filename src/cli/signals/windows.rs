//! What a console and the system say on Windows. After the end of a window it leaves a process some
//! five seconds; what the journal has then is what the next run goes on with.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

use super::Wish;

/// Signals that end nothing, of which there are none.
pub struct Wishes;

impl Wishes {
    /// None is caught.
    pub fn new(_is_drawn: bool) -> Wishes {
        Wishes
    }

    /// Never.
    pub async fn next(&mut self) -> Wish {
        std::future::pending().await
    }

    /// Nobody asks for it.
    pub fn stop() {}
}

/// What ends the process.
pub(super) struct Caught {
    interrupt: Option<CtrlC>,
    stop: Option<CtrlBreak>,
    close: Option<CtrlClose>,
    logoff: Option<CtrlLogoff>,
    shutdown: Option<CtrlShutdown>,
}

impl Caught {
    pub(super) fn new() -> Caught {
        Caught {
            interrupt: ctrl_c().ok(),
            stop: ctrl_break().ok(),
            close: ctrl_close().ok(),
            logoff: ctrl_logoff().ok(),
            shutdown: ctrl_shutdown().ok(),
        }
    }

    /// Waits for the next one, and tells how long the system leaves the run.
    pub(super) async fn next(&mut self) -> Duration {
        poll_fn(|cx| {
            let asked = [
                came(self.interrupt.as_mut().map(|signal| signal.poll_recv(cx))),
                came(self.stop.as_mut().map(|signal| signal.poll_recv(cx))),
            ];
            let ends = [
                came(self.close.as_mut().map(|signal| signal.poll_recv(cx))),
                came(self.logoff.as_mut().map(|signal| signal.poll_recv(cx))),
                came(self.shutdown.as_mut().map(|signal| signal.poll_recv(cx))),
            ];
            if ends.contains(&true) {
                return Poll::Ready(HURRIED);
            }
            match asked.contains(&true) {
                true => Poll::Ready(Duration::MAX),
                false => Poll::Pending,
            }
        })
        .await
    }
}

fn came(signal: Option<Poll<Option<()>>>) -> bool {
    signal.is_some_and(|signal| signal.is_ready())
}

/// Of the five seconds that the system gives, what bodies in flight have: the rest is for the journal and
/// what is said at the end.
const HURRIED: Duration = Duration::from_millis(1500);
