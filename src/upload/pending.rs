//! Calls whose answer is not known. Under keep-both a file that is sent twice is there twice, so the
//! journal records such a call before it leaves; a run that is killed before the answer leaves the
//! record, and the next run looks whether the file is there before it repeats the call.

use super::file::FileUpload;
use crate::error::{Delivery, Result};
use crate::policy::Repeat;

impl FileUpload<'_> {
    /// The call that is about to leave can make the file: on disk before it does, once.
    ///
    /// # Errors
    /// Another run has taken over: the call must not leave.
    pub(super) async fn mark_pending(&self) -> Result<()> {
        let mut pending = self.pending.lock().await;
        if self.repeat() == Repeat::Safe || pending.is_some() {
            return Ok(());
        }
        let journal = self.shared.core.journal.clone();
        *pending = Some(journal.begin_call(&self.hashed.task, self.hashed.digest.md5));
        // What cannot be kept is told at the end of the run.
        drop(tokio::task::spawn_blocking(move || journal.flush()).await);
        self.shared.core.journal.successor().map_or(Ok(()), Err)
    }

    /// The call is over for good. What cannot have been done is no reason to refuse the next run.
    pub(super) async fn answered<T>(&self, outcome: Result<T>) -> Result<T> {
        let open = matches!(&outcome, Err(error) if error.delivery() == Delivery::Unknown);
        let pending = self.pending.lock().await.take();
        if let (Some(pending), Err(_), false) = (pending, &outcome, open) {
            self.shared.core.journal.abandon(pending);
        }
        outcome
    }
}
