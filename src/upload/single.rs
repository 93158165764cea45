//! A small file's way: one call with everything in it.

use std::sync::Arc;

use bytes::Bytes;

use super::attempt::{Attempts, Load, Next, carry};
use super::event::{Progress, Status};
use super::file::Way;
use super::fleet::Crew;
use super::run::Shared;
use crate::error::{Error, Kind, Operation, Result};
use crate::policy::Repeat;
use crate::wire::SingleReply;

impl Way<'_> {
    /// One call with everything in it. `None` where the service took it and did not finish it: there
    /// is no id to ask for, so create, which normally answers reuse, has to tell.
    pub(super) async fn single(&self) -> Result<Option<Status>> {
        let content = self.content().await?;
        let crew = self
            .shared
            .core
            .single_crew(&self.shared, &self.allowance)
            .await?;
        let folders = &self.shared.core.folders;
        let claim = folders
            .claim(self.facts.remote.parent(), self.facts.remote.folder())
            .await;
        let outcome = self.carry_single(content, crew).await;
        let (reply, lost) = self.answered(outcome).await?;
        claim.made();
        match reply {
            SingleReply::Done(id) => {
                Progress::add(&self.shared.progress.acked, self.facts.size);
                Ok(Some(Status::Uploaded(id)))
            }
            SingleReply::Unfinished if self.repeat() == Repeat::Ambiguous => {
                let message = "the service took the file and did not say that it is complete";
                let error = Error::new(Kind::Protocol, Operation::Single, message);
                Err(error.advice("check whether the file exists before retrying: sending it again would keep both"))
            }
            SingleReply::Unfinished => {
                tracing::debug!(lost, "single/create did not finish; asking create");
                Ok(None)
            }
        }
    }

    async fn carry_single(&self, content: Bytes, crew: Crew) -> Result<(SingleReply, bool)> {
        let shared = &self.shared;
        let mut attempts = Attempts::new(shared, self.terms());
        let load = Load {
            crew,
            bytes: self.facts.size,
            sent: Arc::clone(&self.sent),
        };
        let mut avoid = Vec::new();
        loop {
            let permit = tokio::select! {
                permit = async {
                    shared.core.rates.turn(Operation::Single).await;
                    let permit = shared.core.gate.enter().await;
                    shared.core.rates.calm().await;
                    permit
                } => permit,
                () = shared.draining() => return Err(Shared::cancelled()),
            };
            let token = attempts.token().await?;
            let booking = load.berth(shared, &avoid).await;
            let server = booking.server();
            let once = |carriage| {
                let (service, token) = (shared.core.service.clone(), token.clone());
                let (facts, content) = (self.facts.clone(), content.clone());
                async move {
                    self.intend().await;
                    service
                        .single(token.expose(), &facts, content, &carriage)
                        .await
                }
            };
            match carry(shared, &load, (booking, permit), &once).await {
                Ok(reply) => {
                    attempts.succeeded(Operation::Single);
                    return Ok((reply, attempts.lost_an_answer()));
                }
                Err(error) => {
                    // Refused credentials say nothing of the file, and are to end the run
                    // before more is sent.
                    if error.kind() != Kind::Auth {
                        self.contents.check(shared, Operation::Single).await?;
                    }
                    match attempts.failed(error).await? {
                        Next::Again { elsewhere: true } => avoid = vec![server],
                        Next::Again { elsewhere: false } | Next::Rehash => {}
                    }
                }
            }
        }
    }

    async fn content(&self) -> Result<Bytes> {
        if let Some(content) = &self.hashed.content {
            return Ok(content.clone());
        }
        // Whoever waits for memory blocks a thread; of those there must be some left for the files
        // that hold it.
        let _turn = self.shared.core.reading.lock().await;
        let (source, memory) = (self.hashed.source.clone(), self.shared.core.memory.clone());
        let read = tokio::task::spawn_blocking(move || source.bytes(0..source.len(), &memory));
        read.await
            .map_err(|error| Error::new(Kind::Source, Operation::Read, error.to_string()))?
    }
}
