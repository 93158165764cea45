//! The instant-upload queue. In comes a file that was judged well, out goes the service's own
//! sentence, which tells no id; later the file appears by itself, or never. A name that was taken
//! meanwhile stays whose it is.

use std::sync::Arc;
use std::time::Duration;

use crate::action::QUEUED;
use crate::reply::Refusal;
use crate::state::State;
use crate::store::Spool;
use crate::uploads::{Completion, Promise, Upload};

/// How the queue treats one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    appears_after: Option<Duration>,
}

impl Queue {
    pub(crate) fn new(appears_after: Option<u64>) -> Self {
        Self {
            appears_after: appears_after.map(Duration::from_millis),
        }
    }

    /// A file whose content may be known already.
    pub(crate) fn instantly(self, state: Arc<State>, promise: Promise) -> Refusal {
        self.later(move || drop(state.storage.reuse(&promise)))
    }

    /// A file whose bytes have come.
    pub(crate) fn with_bytes(
        self,
        state: Arc<State>,
        promise: Promise,
        spool: Option<Spool>,
    ) -> Refusal {
        self.later(move || drop(state.storage.keep(&promise, spool)))
    }

    /// An upload of which every slice is there.
    pub(crate) fn completed(self, state: Arc<State>, id: Arc<str>, upload: Upload) -> Refusal {
        self.later(move || {
            for _ in 0..MOST_LOOKS {
                match upload.complete() {
                    Ok(Completion::Whole(promise, spool)) => {
                        if let Ok(file) = state.storage.keep(&promise, spool) {
                            state.storage.done(&id, file);
                        }
                        return;
                    }
                    Ok(Completion::Pending(_)) => {
                        if upload.chase().is_err() {
                            return;
                        }
                    }
                    // The client completed it meanwhile.
                    Err(_) => return,
                }
            }
        })
    }

    fn later(self, work: impl FnOnce() + Send + 'static) -> Refusal {
        if let Some(after) = self.appears_after {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let _ = tokio::task::spawn_blocking(work).await;
            });
        }
        Refusal::business(QUEUED)
    }
}

/// Polls that an upload may still want; each is answered once its hash was chased.
const MOST_LOOKS: usize = 1_000;
