//! One connection on its way. In: a host and what ALPN offers. Out: the connection, or why there is
//! none, reported to the host in any case. Never: a request that fails because the machine is short of
//! descriptors for a moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::connect::Alpn;
use super::super::connection::Opened;
use super::super::fault::Failure;
use super::Host;

/// A dial on its way. Requests wait for its end, so it reports one in any case: also where its task
/// panics, or goes with its runtime.
pub(super) struct Dial {
    host: Arc<Host>,
    alpn: Alpn,
    ended: bool,
}

/// How a dial ended.
pub(super) enum DialOutcome {
    Opened(Opened),
    Failed(Failure),
    /// No socket could be had, and others do without this one.
    Unneeded,
}

impl Dial {
    pub(super) fn new(host: &Arc<Host>, alpn: Alpn) -> Self {
        Dial {
            host: Arc::clone(host),
            alpn,
            ended: false,
        }
    }

    /// Dials, on a task of its own.
    pub(super) fn start(self) {
        let (host, alpn) = (Arc::clone(&self.host), self.alpn);
        let opening = open_patiently(Arc::clone(&host), alpn);
        drop(host.spawn(self.run(opening)));
    }

    /// Reports to the host how `opening` ended.
    pub(super) async fn run(mut self, opening: impl Future<Output = DialOutcome>) {
        let ended = opening.await;
        self.ended = true;
        match ended {
            DialOutcome::Opened(opened) => self.host.opened(self.alpn, opened),
            DialOutcome::Failed(failure) => self.host.dial_failed(self.alpn, &failure),
            DialOutcome::Unneeded => {}
        }
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        if !self.ended {
            let failure = Failure::given_up(&self.host.origin);
            self.host.dial_failed(self.alpn, &failure);
        }
        self.host.settle();
    }
}

/// Opens a connection. Where the machine or the pool has no socket left, requests that have another
/// connection to wait for wait for that one, and this dial ends without a report; the last dial of all
/// goes on until something was closed.
async fn open_patiently(host: Arc<Host>, alpn: Alpn) -> DialOutcome {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    let mut socket = None;
    loop {
        let failure = match host.open(alpn, socket.take()).await {
            Ok(opened) => return DialOutcome::Opened(opened),
            Err(failure) if failure.is_scarcity() => failure,
            Err(failure) => return DialOutcome::Failed(failure),
        };
        if !host.is_needed(alpn) {
            return DialOutcome::Unneeded;
        }
        tracing::debug!(?failure, ?pause, "no socket is left, one is waited for");
        let patience = if host.sockets().none_open() {
            NOTHING_OPEN
        } else {
            OTHERS_OPEN
        };
        if began.elapsed() >= patience {
            host.fail_all_with_the_next();
            return DialOutcome::Failed(failure.of_a_machine_without_sockets());
        }
        socket = host.wait_for_socket(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The first try after a failed one comes soon: much is opened and closed in a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Without a connection of ours that could end, the shortage is another process's doing, and may last.
const NOTHING_OPEN: Duration = Duration::from_secs(60);

/// With some, each ends within the limits of its requests.
const OTHERS_OPEN: Duration = Duration::from_secs(600);
