//! A small file's way: one call with everything in it.

use bytes::Bytes;

use super::event::{Progress, Status};
use super::file::FileUpload;
use super::under_way::Step;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::policy::Repeat;
use crate::transfer::{Boxed, Content, Route, SingleCall};
use crate::wire::SingleReply;

impl FileUpload<'_> {
    /// One call with everything in it. `None` where the service took it and did not finish it: there
    /// is no id to ask for, so create, which normally answers reuse, has to tell.
    pub(super) async fn single(&self) -> Result<Option<Status>> {
        let content = self.content().await?;
        let transfer = &self.shared.core.transfer;
        let servers = transfer.single_servers(self.terms()).await?;
        let claim = self.claim_folders().await;
        let route = Route {
            servers: &servers,
            sent: &self.sent,
            content: self,
        };
        let call = SingleCall {
            facts: self.facts.clone(),
            content,
        };
        let outcome = transfer.single(self.terms(), call, &route).await;
        let answer = self.answered(outcome).await?;
        claim.made();
        match answer.value {
            SingleReply::Done(made) => {
                Progress::add(&self.shared.progress.acked, self.facts.size);
                Ok(Some(Status::Uploaded(self.made(made))))
            }
            SingleReply::Unfinished if self.repeat() == Repeat::Ambiguous => {
                let message = "the service took the file and did not say that it is complete";
                let error = Error::new(Kind::Protocol, Operation::Single, message);
                let error = error.with_delivery(Delivery::Unknown);
                Err(error.advice("check whether the file exists before retrying: sending it again would keep both"))
            }
            SingleReply::Unfinished => {
                tracing::debug!(
                    answer.lost_one,
                    "single/create did not finish; asking create"
                );
                Ok(None)
            }
        }
    }

    async fn content(&self) -> Result<Bytes> {
        if let Some(content) = &self.hashed.content {
            return Ok(content.clone());
        }
        // A file that waits for memory blocks a thread; of those there must be some left for the files
        // that hold it.
        let _turn = self.shared.core.reading.lock().await;
        let (source, memory) = (self.hashed.source.clone(), self.shared.core.memory.clone());
        let read = tokio::task::spawn_blocking(move || source.bytes(0..source.len(), &memory));
        read.await
            .map_err(|error| Error::new(Kind::Source, Operation::Read, error.to_string()))?
    }
}

impl Content for FileUpload<'_> {
    fn leaving(&self) -> Boxed<'_, Result<()>> {
        self.hashed.watch.step(Step::Sending);
        Box::pin(self.mark_pending())
    }

    fn check(&self, operation: Operation) -> Boxed<'_, Result<()>> {
        Box::pin(self.contents.check(&self.shared, operation))
    }
}
