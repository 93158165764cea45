//! What a console and the system say on Windows. After the end of a window it leaves a process some
//! five seconds; what the journal has then is what the next run goes on with.

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

    pub(super) async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let came = [
                self.interrupt
                    .as_mut()
                    .is_some_and(|signal| signal.poll_recv(cx).is_ready()),
                self.stop
                    .as_mut()
                    .is_some_and(|signal| signal.poll_recv(cx).is_ready()),
                self.close
                    .as_mut()
                    .is_some_and(|signal| signal.poll_recv(cx).is_ready()),
                self.logoff
                    .as_mut()
                    .is_some_and(|signal| signal.poll_recv(cx).is_ready()),
                self.shutdown
                    .as_mut()
                    .is_some_and(|signal| signal.poll_recv(cx).is_ready()),
            ];
            match came.contains(&true) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }
}
