//! One connection on its way. In: a lane and what is offered. Out: the connection, or why there is
//! none, told to the lane in any case. Never: a request that fails because the machine is short of
//! descriptors for a moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::connect::Offer;
use super::super::connection::Opened;
use super::super::fault::Failure;
use super::Lane;

/// A dial on its way. Requests wait for its end, so it tells one however it ends: also where its
/// task panics, or goes with its runtime.
pub(super) struct Dial {
    lane: Arc<Lane>,
    offer: Offer,
    ended: bool,
}

/// How a dial ended.
pub(super) enum Ended {
    Opened(Opened),
    Failed(Failure),
    /// No socket could be had, and others do without this one.
    Unneeded,
}

impl Dial {
    pub(super) fn new(lane: &Arc<Lane>, offer: Offer) -> Self {
        Dial {
            lane: Arc::clone(lane),
            offer,
            ended: false,
        }
    }

    /// Dials, on a task of its own.
    pub(super) fn start(self) {
        let (lane, offer) = (Arc::clone(&self.lane), self.offer);
        let opening = open_patiently(Arc::clone(&lane), offer);
        drop(lane.spawn(self.run(opening)));
    }

    /// Tells the lane how `opening` ended.
    pub(super) async fn run(mut self, opening: impl Future<Output = Ended>) {
        let ended = opening.await;
        self.ended = true;
        match ended {
            Ended::Opened(opened) => self.lane.opened(self.offer, opened),
            Ended::Failed(failure) => self.lane.dial_failed(self.offer, &failure),
            Ended::Unneeded => {}
        }
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        if !self.ended {
            let failure = Failure::given_up(&self.lane.origin);
            self.lane.dial_failed(self.offer, &failure);
        }
        self.lane.settle();
    }
}

/// Opens a connection. Where the machine or the pool has no socket left, requests that have another
/// connection to wait for wait for that one, and this dial ends without a word; the last dial of all
/// goes on until something was closed.
async fn open_patiently(lane: Arc<Lane>, offer: Offer) -> Ended {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    let mut socket = None;
    loop {
        let failure = match lane.open(offer, socket.take()).await {
            Ok(opened) => return Ended::Opened(opened),
            Err(failure) if failure.is_scarcity() => failure,
            Err(failure) => return Ended::Failed(failure),
        };
        if !lane.is_needed(offer) {
            return Ended::Unneeded;
        }
        tracing::debug!(?failure, ?pause, "no socket is left, one is waited for");
        let patience = if lane.sockets().none_open() {
            NOTHING_OPEN
        } else {
            OTHERS_OPEN
        };
        if began.elapsed() >= patience {
            lane.lose_patience();
            return Ended::Failed(failure.of_a_machine_without_sockets());
        }
        socket = lane.wait_for_socket(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The first try after a failed one comes soon: much is opened and closed in a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Without a connection of ours that could end, the want is somebody else's doing, and may last.
const NOTHING_OPEN: Duration = Duration::from_secs(60);

/// With some, each ends within the limits of its requests.
const OTHERS_OPEN: Duration = Duration::from_secs(600);
