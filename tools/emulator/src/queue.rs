//! The instant-upload queue. In comes a file that passed all checks, out goes the service's own
//! sentence, which has no id; later the file appears by itself, or never. A name that was taken
//! meanwhile keeps its file.

use std::sync::Arc;
use std::time::Duration;

use crate::action::QUEUED;
use crate::reply::Refusal;
use crate::state::State;
use crate::store::Spool;
use crate::uploads::{Completion, PlannedFile, Upload};

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
    pub(crate) fn by_content(self, state: Arc<State>, planned: PlannedFile) -> Refusal {
        self.later(move || drop(state.storage.reuse(&planned)))
    }

    /// A file whose bytes have come.
    pub(crate) fn with_bytes(
        self,
        state: Arc<State>,
        planned: PlannedFile,
        spool: Option<Spool>,
    ) -> Refusal {
        self.later(move || drop(state.storage.keep(&planned, spool)))
    }

    /// An upload of which every slice is there.
    pub(crate) fn completed(self, state: Arc<State>, id: Arc<str>, upload: Upload) -> Refusal {
        self.later(move || {
            for _ in 0..MAX_POLLS {
                match upload.complete() {
                    Ok(Completion::Whole(planned, spool)) => {
                        if let Ok(file) = state.storage.keep(&planned, spool) {
                            state.uploads.done(&id, file);
                        }
                        return;
                    }
                    Ok(Completion::Pending(_)) => {
                        if upload.hash_on().is_err() {
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
const MAX_POLLS: usize = 1_000;
