//! The connection of a call, as far as the call may act on it. In come the orders of faults and
//! limits, out go the signals that the listener waits for; it never touches the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use tokio::sync::Notify;

use crate::network::Place;

/// One accepted connection.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) calls: AtomicU64,
    cut: Notify,
    last_call: Notify,
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// `reset` is set when the connections of the place are to end by a reset.
    pub(crate) fn new(number: u64, place: Place, reset: Arc<AtomicBool>) -> Self {
        Self {
            number,
            place,
            calls: AtomicU64::new(0),
            cut: Notify::new(),
            last_call: Notify::new(),
            reset,
        }
    }

    /// Closes it at once, with all that is under way on it.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Takes no more calls: GOAWAY on h2, `Connection: close` on HTTP/1.1.
    pub(crate) fn last_call(&self) {
        self.last_call.notify_one();
    }

    /// Waits until it is to be closed.
    pub(crate) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// Waits until it is to take no more calls.
    pub(crate) async fn is_last_call(&self) {
        self.last_call.notified().await;
    }

    pub(crate) fn reset(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reset)
    }
}
