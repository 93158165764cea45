//! One file's way once its etag is known: unchanged, create or single, plan, send, unchanged,
//! complete. Everything that can go wrong ends this file and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::attempt::{Attempts, Load, Next, call, carry};
use super::event::{Outcome, Progress, Status};
use super::feed::Order;
use super::fleet::Crew;
use super::hash::Hashed;
use super::run::Shared;
use super::sending::{EndsWithTask, Sending, Start};
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::journal::Upload;
use crate::plan::{Acked, Plan};
use crate::policy::Repeat;
use crate::token::Secret;
use crate::wire::{Completed, Conflict, CreateReply, Created, FileFacts, SingleReply};

/// Uploads one file to its end.
pub async fn upload(shared: Arc<Shared>, hashed: Hashed) -> Outcome {
    let sent = Arc::new(AtomicU64::new(0));
    let way = Way {
        facts: facts(&shared, &hashed),
        shared,
        hashed: &hashed,
        sent: Arc::clone(&sent),
    };
    let outcome = way.whole().await;
    let status = outcome.unwrap_or_else(|error| Status::Failed(named(error, &hashed)));
    Outcome {
        path: hashed.source.path().to_owned(),
        remote: hashed.task.remote.path().to_owned(),
        status,
        size: hashed.source.len(),
        md5: Some(hashed.md5),
        sent: sent.load(Ordering::Relaxed),
        elapsed: hashed.started.elapsed(),
    }
}

/// A file, and all that its steps need.
struct Way<'a> {
    shared: Arc<Shared>,
    hashed: &'a Hashed,
    facts: FileFacts,
    sent: Arc<AtomicU64>,
}

/// Which try at a file this is: an upload that the service no longer knows is begun again once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Last,
}

/// Whether complete was asked before, by whoever began this upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    Perhaps,
}

/// complete asks again after this long; the documents' own figure.
const POLL: Duration = Duration::from_secs(1);

/// Verifying 10 GiB takes the service minutes; after this long it is not coming.
const LONGEST_VERIFY: Duration = Duration::from_secs(15 * 60);

impl Way<'_> {
    async fn whole(&self) -> Result<Status> {
        self.hashed.source.check(Operation::Check)?;
        let status = self.any_way().await?;
        if let Status::Uploaded(id) | Status::Reused(id) = status {
            self.shared
                .core
                .journal
                .finish(&self.hashed.task, self.hashed.md5.0, id);
        }
        Ok(status)
    }

    async fn any_way(&self) -> Result<Status> {
        let in_one = self.facts.size <= self.shared.core.options.single_max;
        if self.hashed.resume.is_none()
            && in_one
            && let Some(status) = self.single().await?
        {
            return Ok(status);
        }
        match self.sliced(Try::First).await {
            Err(error) if self.begins_again(&error) => {
                // What the service refused may be what changed under us; that is another error.
                self.hashed.source.check(Operation::Check)?;
                tracing::info!(%error, path = %self.hashed.source.path().display(), "beginning again from create");
                self.sliced(Try::Last).await.map_err(final_kind)
            }
            outcome => outcome,
        }
    }

    fn begins_again(&self, error: &Error) -> bool {
        let stale = matches!(error.kind(), Kind::Expired)
            || error.kind() == Kind::Integrity && error.operation() == Operation::Complete;
        stale && !self.shared.is_draining()
    }

    /// One call with everything in it. `None` where the service took it and did not finish it: there
    /// is no id to ask for, so create, which normally answers reuse, has to tell.
    async fn single(&self) -> Result<Option<Status>> {
        let content = self.content().await?;
        let crew = self.shared.core.single_crew(&self.shared).await?;
        let folders = &self.shared.core.folders;
        let claim = folders
            .claim(self.facts.remote.parent(), self.facts.remote.folder())
            .await;
        let (reply, lost) = self.carry_single(content, crew).await?;
        claim.made();
        match reply {
            SingleReply::Done(id) => {
                Progress::add(&self.shared.progress.acked, self.facts.size);
                Ok(Some(Status::Uploaded(id)))
            }
            SingleReply::Unfinished if self.repeat() == Repeat::Ambiguous => {
                let message = "the service took the file and did not say that it is complete";
                let error = Error::new(Kind::Protocol, Operation::Single, message);
                Err(error.advice("look whether it is there before you repeat this: sending it again would keep both"))
            }
            SingleReply::Unfinished => {
                tracing::debug!(lost, "single/create did not finish; asking create");
                Ok(None)
            }
        }
    }

    async fn carry_single(&self, content: Bytes, crew: Crew) -> Result<(SingleReply, bool)> {
        let shared = &self.shared;
        let mut attempts = Attempts::new(shared, self.repeat()).await?;
        let load = Load {
            crew,
            bytes: self.facts.size,
            sent: Arc::clone(&self.sent),
        };
        let mut avoid = Vec::new();
        loop {
            shared.core.rates.turn(Operation::Single).await;
            let permit = shared.core.gate.enter().await;
            if shared.is_draining() {
                return Err(Shared::cancelled());
            }
            shared.core.gate.started(load.bytes);
            let booking = shared
                .core
                .fleet
                .berth(&load.crew, &avoid, load.bytes)
                .await;
            let server = booking.server();
            let token = attempts.token();
            let once = |carriage| {
                let (service, token) = (shared.core.service.clone(), token.clone());
                let (facts, content) = (self.facts.clone(), content.clone());
                async move {
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
                    self.hashed.source.check(Operation::Single)?;
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
        let source = self.hashed.source.clone();
        let read = tokio::task::spawn_blocking(move || source.bytes(0..source.len()));
        read.await
            .map_err(|error| Error::new(Kind::Source, Operation::Read, error.to_string()))?
    }

    async fn sliced(&self, round: Try) -> Result<Status> {
        let begun = match (&self.hashed.resume, round) {
            (Some(upload), Try::First) => upload.clone(),
            _ => match self.create(round).await? {
                CreateReply::Reused(id) => {
                    Progress::add(&self.shared.progress.acked, self.facts.size);
                    return Ok(Status::Reused(id));
                }
                CreateReply::Created(created) => self.begun(created),
            },
        };
        let sending = self.plan(&begun)?;
        // Every slice was there already: an earlier run may have asked for the end.
        let asked = if round == Try::First && sending.is_complete() {
            Asked::Perhaps
        } else {
            Asked::No
        };
        let outcome = self.send(&sending, asked).await;
        if let Err(error) = &outcome {
            sending.uncount();
            // What the service does not know, or has found wrong, is of no use to a later run.
            if matches!(error.kind(), Kind::Expired | Kind::Integrity | Kind::Source) {
                self.shared.core.journal.abandon(begun.id);
            }
        }
        outcome
    }

    fn begun(&self, created: Created) -> Upload {
        let id = self
            .shared
            .core
            .journal
            .begin(&self.hashed.task, self.hashed.md5.0, &created);
        Upload {
            id,
            created,
            acked: Acked::default(),
            started: SystemTime::now(),
        }
    }

    async fn create(&self, round: Try) -> Result<CreateReply> {
        let facts = &self.facts;
        let claim = self
            .shared
            .core
            .folders
            .claim(facts.remote.parent(), facts.remote.folder())
            .await;
        let once = |token: Secret| {
            let (service, facts) = (self.shared.core.service.clone(), facts.clone());
            async move { service.create(token.expose(), &facts).await }
        };
        let (reply, lost) = call(&self.shared, Operation::Create, self.repeat(), once).await?;
        claim.made();
        tracing::debug!(?round, lost, ?reply, "created");
        Ok(reply)
    }

    fn plan(&self, begun: &Upload) -> Result<Arc<Sending>> {
        let (shared, created) = (&self.shared, &begun.created);
        let plan = Plan::new(self.facts.size, created.slice_size)?;
        shared
            .core
            .slice_size
            .store(created.slice_size, Ordering::Relaxed);
        let sending = Sending::new(Start {
            shared: Arc::clone(shared),
            source: self.hashed.source.clone(),
            preupload_id: created.preupload_id.as_str().into(),
            plan,
            crew: shared.core.fleet.admit(&created.servers)?,
            sent: Arc::clone(&self.sent),
            journal: begun.id,
            digests: self.digests(&plan),
            left: u32::try_from(plan.left(&begun.acked).count()).unwrap_or(u32::MAX),
        });
        sending.count(plan.acked_bytes(&begun.acked));
        self.order(&sending, &begun.acked)?;
        Ok(sending)
    }

    fn order(&self, sending: &Arc<Sending>, acked: &Acked) -> Result<()> {
        let left: std::collections::VecDeque<u32> = sending.plan.left(acked).collect();
        if left.is_empty() {
            return Ok(());
        }
        self.shared
            .backlog
            .fetch_add(left.len() as u64, Ordering::Relaxed);
        let order = Order {
            file: Arc::clone(sending),
            left,
        };
        self.shared
            .orders
            .send(order)
            .map_err(|_| Shared::cancelled())
    }

    /// The slices' MD5s, where the hashers knew the slice size beforehand. A file of one slice
    /// needs no second chain.
    fn digests(&self, plan: &Plan) -> Option<Vec<crate::digest::Md5>> {
        if plan.count() == 1 {
            return Some(vec![self.hashed.md5]);
        }
        let known = self.hashed.slices.as_ref()?;
        (known.slice_size == plan.slice_size()).then(|| known.md5s.clone())
    }

    async fn send(&self, sending: &Arc<Sending>, asked: Asked) -> Result<Status> {
        let _ends = EndsWithTask(Arc::clone(sending));
        tokio::select! {
            biased;
            ended = sending.ended() => ended?,
            () = self.shared.draining() => {
                sending.land();
                sending.ended().await?;
            }
        }
        if self.shared.is_draining() {
            return Err(Shared::cancelled());
        }
        self.hashed.source.check(Operation::Complete)?;
        self.keep_acks().await;
        self.complete(&sending.preupload_id, asked)
            .await
            .map(Status::Uploaded)
    }

    /// Under keep-both a later run must see that nothing but complete was left, whatever happens to
    /// this one: then an id that the service does not know may be a file that is there.
    async fn keep_acks(&self) {
        if self.repeat() == Repeat::Ambiguous {
            let journal = self.shared.core.journal.clone();
            // What cannot be kept is told at the end of the run.
            drop(tokio::task::spawn_blocking(move || journal.flush()).await);
        }
    }

    async fn complete(&self, preupload_id: &str, asked: Asked) -> Result<i64> {
        let started = Instant::now();
        let asked = AtomicBool::new(asked == Asked::Perhaps);
        let once = |token: Secret| {
            let (service, id) = (self.shared.core.service.clone(), preupload_id.to_owned());
            let asked = &asked;
            async move {
                let answer = service.complete(token.expose(), &id).await;
                let open = match &answer {
                    Ok(answer) => *answer == Completed::Pending,
                    Err(error) => error.delivered() == Delivery::Unknown,
                };
                asked.fetch_or(open, Ordering::Relaxed);
                answer
            }
        };
        loop {
            let (answer, _) = call(&self.shared, Operation::Complete, Repeat::Safe, &once)
                .await
                .map_err(|error| self.unless_asked(error, asked.load(Ordering::Relaxed)))?;
            match answer {
                Completed::Done(id) => return Ok(id),
                Completed::Pending if started.elapsed() > LONGEST_VERIFY => {
                    let message = "the service is still verifying the file after 15 minutes; it may yet arrive";
                    return Err(Error::new(Kind::Throttled, Operation::Complete, message));
                }
                Completed::Pending => tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.shared.draining() => return Err(Shared::cancelled()),
                },
            }
        }
    }

    /// A preuploadID that is gone after complete was asked for, and not answered for good, may be
    /// gone because the file is there. Under keep-both a new create would make a second copy.
    fn unless_asked(&self, error: Error, asked: bool) -> Error {
        if error.kind() == Kind::Expired && asked && self.repeat() == Repeat::Ambiguous {
            let advice = "an earlier answer is not known, so the file may be there: look, and `panup forget` it before you repeat this";
            return error.kind_as(Kind::Rejected).advice(advice);
        }
        error
    }

    /// Whether create and single may be said twice.
    fn repeat(&self) -> Repeat {
        match self.facts.conflict {
            Conflict::KeepBoth => Repeat::Ambiguous,
            Conflict::Fail | Conflict::Overwrite => Repeat::Safe,
        }
    }
}

fn facts(shared: &Shared, hashed: &Hashed) -> FileFacts {
    FileFacts {
        remote: hashed.task.remote.clone(),
        etag: hashed.md5.to_string(),
        size: hashed.source.len(),
        conflict: shared.core.options.on_conflict,
    }
}

fn named(error: Error, hashed: &Hashed) -> Error {
    if error.file().is_some() {
        error
    } else {
        error.path(hashed.source.path())
    }
}

/// The second time, it is not the upload's age: the service refuses the file.
fn final_kind(error: Error) -> Error {
    match error.kind() {
        Kind::Expired => error
            .kind_as(Kind::Rejected)
            .context("also after beginning again"),
        _ => error,
    }
}
