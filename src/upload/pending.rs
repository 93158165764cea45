//! Calls whose answer is not known. Under keep-both a file that is sent twice is there twice, so the
//! journal records such a call before it leaves; a run that is killed before the answer leaves the
//! record, and the next run does not repeat what may have been done.

use super::file::FileUpload;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::journal::Begun;
use crate::policy::Repeat;

impl FileUpload<'_> {
    /// Refuses a file that an earlier run may have made.
    ///
    /// # Errors
    /// [`Kind::Rejected`], with what to do.
    pub(super) fn refuse_if_pending(&self) -> Result<()> {
        match &self.resume {
            Some(Begun::Pending(_)) => {
                let message = "an earlier run was ended before the service answered: the file may be there, and sending it again would keep both";
                let error = Error::new(Kind::Rejected, Operation::Create, message);
                Err(error.advice("look, and `panup forget` the file before you repeat this"))
            }
            _ => Ok(()),
        }
    }

    /// The call that is about to leave can make the file: on disk before it does, once.
    pub(super) async fn mark_pending(&self) {
        let mut pending = self.pending.lock().await;
        if self.repeat() == Repeat::Safe || pending.is_some() {
            return;
        }
        let journal = self.shared.core.journal.clone();
        *pending = Some(journal.begin_call(&self.hashed.task, self.hashed.digest.md5));
        // What cannot be kept is told at the end of the run.
        drop(tokio::task::spawn_blocking(move || journal.flush()).await);
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
