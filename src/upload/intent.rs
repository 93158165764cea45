//! Under keep-both a file that is sent twice is there twice. So the journal is told before a call
//! that can make a file, and a run that was killed before the answer came leaves its word: the next
//! run does not repeat what may have been done.

use super::file::FileUpload;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::policy::Repeat;
use crate::wire::Created;

/// Stands for the preuploadID of a call whose answer is not known. The service's own are long.
const UNANSWERED: &str = "?";

impl FileUpload<'_> {
    /// Refuses a file that an earlier run may have made.
    ///
    /// # Errors
    /// [`Kind::Rejected`], with what to do.
    pub(super) fn refuse_if_unanswered(&self) -> Result<()> {
        match &self.resume {
            Some(upload) if upload.created.preupload_id == UNANSWERED => {
                let message = "an earlier run was ended before the service answered: the file may be there, and sending it again would keep both";
                let error = Error::new(Kind::Rejected, Operation::Create, message);
                Err(error.advice("look, and `panup forget` the file before you repeat this"))
            }
            _ => Ok(()),
        }
    }

    /// The call that is about to leave can make the file: on disk before it does, once.
    pub(super) async fn intend(&self) {
        let mut intent = self.intent.lock().await;
        if self.repeat() == Repeat::Safe || intent.is_some() {
            return;
        }
        let journal = &self.shared.core.journal;
        let unanswered = Created {
            preupload_id: UNANSWERED.to_owned(),
            slice_size: self.facts.size,
            servers: vec![UNANSWERED.to_owned()],
        };
        *intent = Some(journal.begin(&self.hashed.task, self.hashed.digest.md5, &unanswered));
        let journal = journal.clone();
        // What cannot be kept is told at the end of the run.
        drop(tokio::task::spawn_blocking(move || journal.flush()).await);
    }

    /// The call is over for good. What cannot have been done is no reason to refuse the next run.
    pub(super) async fn answered<T>(&self, outcome: Result<T>) -> Result<T> {
        let open = matches!(&outcome, Err(error) if error.delivery() == Delivery::Unknown);
        let intent = self.intent.lock().await.take();
        if let (Some(intent), Err(_), false) = (intent, &outcome, open) {
            self.shared.core.journal.abandon(intent);
        }
        outcome
    }
}
