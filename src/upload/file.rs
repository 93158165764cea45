//! One file's way once its etag is known: unchanged, create or single, plan, send, unchanged,
//! complete. Everything that can go wrong ends this file and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::admit::Hashed;
use super::broken::trip;
use super::contents::Contents;
use super::event::{Outcome, Progress, Status};
use super::folders::FolderLock;
use super::run::Shared;
use super::slices::SlicedFile;
use super::turn::{self, Known, Turn};
use super::under_way::Step;
use crate::auth::Secret;
use crate::digest::{FileDigest, Md5};
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::journal::{Begun, Finished, Task, Upload, UploadId};
use crate::options::Look;
use crate::plan::{Acked, Left, Plan, USUAL_LEAST};
use crate::policy::{Patience, Repeat, RetryBudget, check_rate};
use crate::sync::Mutex;
use crate::transfer::{Cancel, MAY_BE_OURS, Terms, WaitsFor};
use crate::wire::{Completed, Conflict, CreateReply, Created, FileFacts, Made};

/// Uploads one file to its end; `sent` counts its content bytes on the wire.
pub async fn upload(shared: Arc<Shared>, mut hashed: Hashed, sent: Arc<AtomicU64>) -> Outcome {
    let wire = OnTheWire {
        sent,
        trace_id: Mutex::default(),
    };
    let outcome = in_turn(&shared, &mut hashed, &wire).await;
    let status = outcome.unwrap_or_else(|error| Status::Failed(named(error, &hashed)));
    Outcome {
        sent: wire.sent.load(Ordering::Relaxed),
        trace_id: wire.trace_id.lock().take(),
        elapsed: hashed.started.elapsed(),
        times: hashed.watch.times(),
        ..hashed.outcome(status)
    }
}

/// What is known of a file's way besides how it ended.
struct OnTheWire {
    /// Content bytes of it, so far.
    sent: Arc<AtomicU64>,
    /// Of the answer that said that the file is there.
    trace_id: Mutex<Option<String>>,
}

/// No other upload goes to the same place meanwhile. An MD5 of an earlier run that the service
/// refuses is not believed: the file is hashed, and if that gives another one, it begins again.
async fn in_turn(shared: &Arc<Shared>, hashed: &mut Hashed, wire: &OnTheWire) -> Result<Status> {
    let Turn {
        claim: _held,
        known,
    } = match hashed.turn.take() {
        Some(turn) => turn,
        None => {
            let waits = hashed.watch.waits();
            waits.set(Some(WaitsFor::Place));
            let turn = turn::take(
                shared,
                (&hashed.task, &hashed.digest.md5),
                hashed.tag.as_ref(),
            )
            .await;
            waits.set(None);
            turn?
        }
    };
    match unless_known(shared, hashed, known, wire).await {
        Err(error) if hashed.remembered && is_refused_sum(&error) => {
            hash_anew(shared, hashed, error).await?;
            let known = turn::known(shared, &hashed.task, &hashed.digest.md5).await;
            unless_known(shared, hashed, known, wire).await
        }
        outcome => outcome,
    }
}

/// What the journal knows as uploaded is skipped, whatever became of the file's times since: under
/// another identity, by another run while this one waited, or by one that knew of no claims. So is what
/// the service has.
async fn unless_known(
    shared: &Arc<Shared>,
    hashed: &Hashed,
    known: Known,
    wire: &OnTheWire,
) -> Result<Status> {
    let skipped = |finished: Finished| {
        Progress::add(&shared.progress.acked, hashed.source.len());
        Status::Skipped(finished.file_id)
    };
    let (finished, resume) = match known {
        Known::Finished(finished) if shared.core.options.look != Look::Always => {
            return Ok(skipped(finished));
        }
        Known::Finished(finished) => (Some(finished), None),
        Known::Begun(upload) => (None, Some(upload)),
        Known::Contradicted(error) => return Err(error),
        Known::Nothing => (None, None),
    };
    let mut file = FileUpload {
        facts: facts(hashed),
        shared: Arc::clone(shared),
        hashed,
        contents: Arc::new(Contents::new(hashed.source.clone(), hashed.digest.md5)),
        resume,
        sent: Arc::clone(&wire.sent),
        trace_id: &wire.trace_id,
        budget: Arc::new(Mutex::new(RetryBudget::of_a_file())),
        pending: tokio::sync::Mutex::default(),
    };
    match (file.look_first().await?, finished) {
        (Presence::Ended(status), _) => return Ok(file.ended(status).await),
        (Presence::Unknown, Some(finished)) => return Ok(skipped(finished)),
        (Presence::Absent | Presence::Unknown, _) => {}
    }
    if let Some(Begun::Pending(_)) = file.resume {
        file.resume = None;
    }
    let mut sendings = 1..=SENDINGS;
    loop {
        let error = match file.whole().await {
            Err(error) => error,
            Ok(status) => return Ok(file.ended(status).await),
        };
        if is_refusal(&error)
            && let Known::Finished(finished) =
                turn::known(shared, &hashed.task, &hashed.digest.md5).await
        {
            return Ok(skipped(finished));
        }
        sendings.next();
        match file.settled(error.clone()).await? {
            Some(status) => return Ok(file.ended(status).await),
            None if sendings.is_empty() => return Err(error),
            // It was looked for, and is not there.
            None => file.resume = None,
        }
    }
}

/// Works out the MD5 once more, of the file itself.
///
/// # Errors
/// `refused`, where it is the same; what went wrong.
async fn hash_anew(shared: &Shared, hashed: &mut Hashed, refused: Error) -> Result<()> {
    tracing::info!(%refused, path = %hashed.source.path().display(), "hashing it again");
    let md5 = Contents::new(hashed.source.clone(), hashed.digest.md5)
        .now(shared)
        .await?;
    let journal = &shared.core.journal;
    journal.forget_hashes(&hashed.task.path);
    hashed.remembered = false;
    if md5 == hashed.digest.md5 {
        return Err(refused.advice("its MD5 was worked out anew and is the same"));
    }
    if let Some(expected) = hashed.expected {
        let message = format!("the file's MD5 is {md5}, and {expected} was expected");
        return Err(Error::new(Kind::Source, Operation::Check, message).for_good());
    }
    hashed.digest = FileDigest::new(md5, hashed.source.len());
    Ok(())
}

/// A file, and all that its steps need.
#[derive(Debug)]
pub(super) struct FileUpload<'a> {
    pub(super) shared: Arc<Shared>,
    pub(super) hashed: &'a Hashed,
    pub(super) facts: FileFacts,
    /// What the file held when it was hashed.
    pub(super) contents: Arc<Contents>,
    /// An earlier upload of this content to this place, to go on with.
    pub(super) resume: Option<Begun>,
    pub(super) sent: Arc<AtomicU64>,
    /// Of the answer that said that the file is there.
    pub(super) trace_id: &'a Mutex<Option<String>>,
    pub(super) budget: Arc<Mutex<RetryBudget>>,
    /// Journal entry written before a call whose outcome is unknown.
    pub(super) pending: tokio::sync::Mutex<Option<UploadId>>,
}

/// What was found before a file is sent.
#[derive(Debug)]
pub enum Presence {
    /// The file has ended without being sent.
    Ended(Status),
    /// It is to be sent.
    Absent,
    /// The service was not asked, or did not say.
    Unknown,
}

/// Which try at a file this is: an upload that the service no longer knows is begun again once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Last,
}

/// Whether complete was asked for before, by this run or an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompleteAsked {
    No,
    Perhaps,
}

/// How often a file is sent whose answers are lost, where both are kept and it was seen each time that it
/// is not there.
const SENDINGS: u32 = 3;

/// complete asks again after this long; the documents' own figure.
const POLL: Duration = Duration::from_secs(1);

/// Verifying 10 GiB takes the service minutes; after this long it is not coming.
const LONGEST_VERIFY: Duration = Duration::from_secs(15 * 60);

impl FileUpload<'_> {
    async fn whole(&self) -> Result<Status> {
        trip::here(trip::Step::File, self.hashed.source.path())?;
        self.has_folder().await?;
        self.check(Operation::Check).await?;
        self.any_way().await
    }

    /// What is there is remembered.
    async fn ended(&self, status: Status) -> Status {
        if let Status::Uploaded(_) | Status::Reused(_) | Status::Present(_) = status {
            let task = Task {
                identity: self.contents.identity().await,
                ..self.hashed.task.clone()
            };
            self.shared
                .core
                .journal
                .finish(&task, self.hashed.digest.md5, status.file_id());
        }
        status
    }

    /// Sees that the remote folder is there, where it is not to be made.
    async fn has_folder(&self) -> Result<()> {
        if self.hashed.make_folders {
            return Ok(());
        }
        let Shared {
            core,
            scope,
            listings,
            ..
        } = &*self.shared;
        let link = (&*core.transfer, scope);
        let why = match listings.has_folder(link, &self.facts.remote).await? {
            Some(true) => return Ok(()),
            Some(false) => "is not there",
            None => "cannot be looked for",
        };
        let message = format!("the remote folder {:?} {why}", self.facts.remote.folder());
        let error = Error::new(Kind::Rejected, Operation::Check, message);
        Err(error.advice("it is not to be made: see `Item::make_folders`"))
    }

    async fn check(&self, operation: Operation) -> Result<()> {
        self.contents.check(&self.shared, operation).await
    }

    async fn any_way(&self) -> Result<Status> {
        let in_one = self.facts.size <= self.shared.core.options.single_max;
        let mut in_doubt = false;
        if self.resume.is_none() && in_one {
            if let Some(status) = self.single().await? {
                return Ok(status);
            }
            in_doubt = true;
        }
        let outcome = match self.sliced(Try::First).await {
            Err(error) if self.begins_again(&error) => {
                // What the service refused may be what changed under us; that is another error.
                self.check(Operation::Check).await?;
                in_doubt |= error.delivery() == Delivery::Unknown;
                tracing::info!(%error, path = %self.hashed.source.path().display(), "beginning again from create");
                self.sliced(Try::Last).await.map_err(final_kind)
            }
            outcome => outcome,
        };
        outcome.map_err(|error| if in_doubt { may_be_ours(error) } else { error })
    }

    fn begins_again(&self, error: &Error) -> bool {
        let refused = is_refused_sum(error) && error.kind() == Kind::Integrity;
        // With an MD5 that may be wrong, beginning again would be in vain.
        let stale = error.kind() == Kind::Expired || refused && !self.hashed.remembered;
        stale && !self.shared.is_draining()
    }

    async fn sliced(&self, round: Try) -> Result<Status> {
        let begun = match (&self.resume, round) {
            (Some(Begun::Upload(upload)), Try::First) => upload.clone(),
            _ => match self.create(round).await? {
                CreateReply::Reused(id) => {
                    Progress::add(&self.shared.progress.acked, self.facts.size);
                    return Ok(Status::Reused(id));
                }
                CreateReply::Created(created) => self.begun(created),
            },
        };
        let file = self.plan(&begun)?;
        let left = file.plan.left(&begun.acked);
        // Every slice was there already: an earlier run may have asked for the end.
        let asked = if round == Try::First && left.is_empty() {
            CompleteAsked::Perhaps
        } else {
            CompleteAsked::No
        };
        let outcome = self.send(&file, left, asked).await;
        if let Err(error) = &outcome {
            file.uncount();
            // What the service does not know, or has found wrong, is of no use to a later run, and
            // neither are slices of another file. A disk that failed to read is no other file.
            let useless = match error.kind() {
                Kind::Expired | Kind::Integrity => true,
                Kind::Source => !self.contents.is_kept().await,
                _ => false,
            };
            if useless {
                self.shared.core.journal.abandon(begun.id);
            }
        }
        outcome
    }

    fn begun(&self, created: Created) -> Upload {
        let id =
            self.shared
                .core
                .journal
                .begin(&self.hashed.task, self.hashed.digest.md5, &created);
        Upload {
            id,
            created,
            acked: Acked::default(),
            started: SystemTime::now(),
        }
    }

    async fn create(&self, round: Try) -> Result<CreateReply> {
        let facts = &self.facts;
        let claim = self.claim_folders().await;
        let transfer = &self.shared.core.transfer;
        let once = |token: Secret| async move {
            self.mark_pending().await?;
            transfer.service().create(token.expose(), facts).await
        };
        let outcome = transfer.call(Operation::Create, self.terms(), once).await;
        let answer = self.answered(outcome).await?;
        claim.made();
        log_created(round, &answer.value);
        Ok(answer.value)
    }

    /// Waits while another file's call makes one of this file's folders.
    pub(super) async fn claim_folders(&self) -> FolderLock {
        let (remote, waits) = (&self.facts.remote, self.hashed.watch.waits());
        waits.set(Some(WaitsFor::Folder));
        let folders = &self.shared.core.folders;
        let claim = folders.claim(remote.parent(), remote.folder()).await;
        waits.set(None);
        claim
    }

    fn plan(&self, begun: &Upload) -> Result<Arc<SlicedFile>> {
        let (shared, created) = (&self.shared, &begun.created);
        let plan = Plan::new(self.facts.size, created.slice_size)?;
        if let Some(rate) = shared.core.transfer.limit_rate() {
            check_rate(rate, "a slice", plan.length(1))?;
        }
        // A guess for the files that are hashed next, so only where it makes sense for any of them.
        if created.slice_size >= USUAL_LEAST {
            let guess = &shared.core.slice_size;
            guess.store(created.slice_size, Ordering::Relaxed);
        }
        let file = Arc::new(SlicedFile {
            shared: Arc::clone(shared),
            source: self.hashed.source.clone(),
            contents: Arc::clone(&self.contents),
            preupload_id: created.preupload_id.as_str().into(),
            plan,
            priority: self.hashed.priority,
            servers: shared
                .core
                .transfer
                .servers(&created.servers, &shared.scope)?,
            sent: Arc::clone(&self.sent),
            budget: Arc::clone(&self.budget),
            journal: begun.id,
            md5s: self.slice_md5s(&plan),
            remembered: (self.hashed.remembered).then(|| self.hashed.task.path.clone()),
            watch: Arc::clone(&self.hashed.watch),
            counted: AtomicU64::new(0),
        });
        let resumed = plan.acked_bytes(&begun.acked);
        self.resumes(&plan, resumed, file.plan.left(&begun.acked).len());
        file.count(resumed);
        Ok(file)
    }

    /// Shows what an earlier run has sent.
    fn resumes(&self, plan: &Plan, bytes: u64, left: usize) {
        let watch = &self.hashed.watch;
        watch.step(Step::Sending);
        let acked = plan
            .count()
            .saturating_sub(u32::try_from(left).unwrap_or(u32::MAX));
        watch.cut(plan.count(), (acked, bytes));
        Progress::add(&self.shared.progress.resumed, bytes);
        if bytes > 0 {
            let (path, percent) = (self.hashed.source.path(), bytes * 100 / self.facts.size);
            tracing::info!("{} goes on at {percent} %", path.display());
        }
    }

    /// The slices' MD5s, where the hashers knew the slice size beforehand. A file of one slice
    /// needs no second chain.
    fn slice_md5s(&self, plan: &Plan) -> Option<Vec<Md5>> {
        if plan.count() == 1 {
            return Some(vec![self.hashed.digest.md5]);
        }
        let known = self.hashed.digest.slices_of(plan.slice_size())?;
        Some(known.to_vec())
    }

    async fn send(
        &self,
        file: &Arc<SlicedFile>,
        left: Left,
        asked: CompleteAsked,
    ) -> Result<Status> {
        file.send(left).await?;
        if self.shared.is_draining() {
            return Err(Cancel::error());
        }
        self.check(Operation::Complete).await?;
        self.keep_acks().await;
        self.complete(&file.preupload_id, asked)
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

    async fn complete(&self, preupload_id: &str, asked: CompleteAsked) -> Result<i64> {
        let mut patience = Patience::new(LONGEST_VERIFY);
        let asked = AtomicBool::new(asked == CompleteAsked::Perhaps);
        let terms = Terms {
            repeat: Repeat::Safe,
            ..self.terms()
        };
        let (transfer, asked) = (&self.shared.core.transfer, &asked);
        let once = |token: Secret| async move {
            let service = transfer.service();
            let answer = service.complete(token.expose(), preupload_id).await;
            let open = match &answer {
                Ok(answer) => *answer == Completed::Pending,
                Err(error) => error.delivery() == Delivery::Unknown,
            };
            asked.fetch_or(open, Ordering::Relaxed);
            answer
        };
        loop {
            let began = Instant::now();
            let answer = transfer.call(Operation::Complete, terms, &once).await;
            let answer =
                answer.map_err(|error| self.unless_asked(error, asked.load(Ordering::Relaxed)))?;
            if answer.value == Completed::Pending {
                self.hashed.watch.step(Step::Verifying);
            }
            match answer.value {
                Completed::Done(made) => return Ok(self.made(made)),
                Completed::Pending if !patience.spend(POLL + began.elapsed()) => {
                    let message = "the service is still verifying the file after 15 minutes; it may yet arrive";
                    return Err(Error::new(Kind::Throttled, Operation::Complete, message));
                }
                Completed::Pending => tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.shared.draining() => return Err(Cancel::error()),
                },
            }
        }
    }

    /// The id of a file that the service has taken.
    pub(super) fn made(&self, made: Made) -> i64 {
        *self.trace_id.lock() = Some(made.trace_id).filter(|id| !id.is_empty());
        made.id
    }

    /// A preuploadID that is gone after complete was asked for, and not answered for good, may be
    /// gone because the file is there. Under keep-both a new create would make a second copy.
    fn unless_asked(&self, error: Error, asked: bool) -> Error {
        if error.kind() != Kind::Expired || !asked {
            return error;
        }
        if self.repeat() == Repeat::Ambiguous {
            let advice = "an earlier answer is not known, so the file may be there: look, and have it forgotten by `State::forget` before you repeat this";
            let error = error.with_kind(Kind::Rejected).advice(advice);
            return error.with_delivery(Delivery::Unknown);
        }
        // Begun again; a name that is taken then may be taken by this file.
        error.with_delivery(Delivery::Unknown)
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            scope: &self.shared.scope,
            repeat: self.repeat(),
            budget: &self.budget,
            waits: Some(self.hashed.watch.waits()),
            priority: self.hashed.priority,
        }
    }

    /// Whether create and single may be said twice.
    pub(super) fn repeat(&self) -> Repeat {
        match self.facts.conflict {
            Conflict::KeepBoth => Repeat::Ambiguous,
            Conflict::Fail | Conflict::Skip | Conflict::Overwrite => Repeat::Safe,
        }
    }
}

/// Without the hundred servers that an answer may name.
fn log_created(round: Try, reply: &CreateReply) {
    match reply {
        CreateReply::Reused(id) => tracing::debug!(?round, ?id, "create: the content was there"),
        CreateReply::Created(created) => tracing::debug!(
            ?round,
            upload = created.preupload_id,
            slice_size = created.slice_size,
            servers = created.servers.len(),
            first = created.servers.first(),
            "create: to be sent"
        ),
    }
}

fn facts(hashed: &Hashed) -> FileFacts {
    FileFacts {
        remote: hashed.task.remote.clone(),
        etag: hashed.digest.md5,
        size: hashed.source.len(),
        conflict: hashed.task.conflict,
    }
}

fn named(error: Error, hashed: &Hashed) -> Error {
    if error.path().is_some() {
        error
    } else {
        error.with_path(hashed.source.path())
    }
}

/// The service found that what it got is not what the MD5 promised.
fn is_refused_sum(error: &Error) -> bool {
    match error.operation() {
        Operation::Complete => error.kind() == Kind::Integrity,
        Operation::Single => is_refusal(error),
        _ => false,
    }
}

/// The service takes no such file; its name may be taken.
pub(super) fn is_refusal(error: &Error) -> bool {
    let makes = matches!(error.operation(), Operation::Create | Operation::Single);
    makes && error.kind() == Kind::Rejected && error.code().is_some()
}

/// The second time, it is not the upload's age: the service refuses the file.
fn final_kind(error: Error) -> Error {
    match error.kind() {
        Kind::Expired => error
            .with_kind(Kind::Rejected)
            .context("also after beginning again"),
        _ => error,
    }
}

/// The name is taken, and a call of ours may have taken it.
fn may_be_ours(error: Error) -> Error {
    let taken = error.kind() == Kind::Rejected && error.operation() == Operation::Create;
    if taken && error.delivery() == Delivery::NotDone {
        return error.advice(MAY_BE_OURS);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, operation: Operation) -> Error {
        Error::new(kind, operation, "x")
    }

    #[test]
    fn a_refusal_is_the_services_own_and_of_a_call_that_makes_a_file() {
        for (operation, makes) in [
            (Operation::Create, true),
            (Operation::Single, true),
            (Operation::Complete, false),
            (Operation::Slice, false),
        ] {
            let refused = error(Kind::Rejected, operation);
            assert!(!is_refusal(&refused), "without a code: {operation:?}");
            assert_eq!(is_refusal(&refused.with_code(1)), makes, "{operation:?}");
        }
        assert!(!is_refusal(
            &error(Kind::Throttled, Operation::Create).with_code(1)
        ));
    }

    #[test]
    fn only_complete_and_single_refuse_the_whole_files_md5() {
        assert!(is_refused_sum(&error(Kind::Integrity, Operation::Complete)));
        assert!(!is_refused_sum(&error(Kind::Integrity, Operation::Slice)));
        assert!(!is_refused_sum(&error(Kind::Rejected, Operation::Complete)));
        let single = error(Kind::Rejected, Operation::Single).with_code(1);
        assert!(is_refused_sum(&single));
    }

    #[test]
    fn the_second_time_an_unknown_upload_is_a_refusal() {
        let again = final_kind(error(Kind::Expired, Operation::Slice));
        assert_eq!(again.kind(), Kind::Rejected);
        assert!(again.message().contains("beginning again"), "{again}");
        let other = final_kind(error(Kind::Transport, Operation::Slice));
        assert_eq!(other, error(Kind::Transport, Operation::Slice));
    }

    #[test]
    fn a_name_that_is_taken_may_be_ours_where_create_says_so() {
        let taken = error(Kind::Rejected, Operation::Create);
        assert!(may_be_ours(taken.clone()).message().contains(MAY_BE_OURS));
        let told = taken.with_delivery(Delivery::Unknown);
        assert_eq!(may_be_ours(told.clone()), told, "said already");
        let other = error(Kind::Rejected, Operation::Complete);
        assert_eq!(may_be_ours(other.clone()), other);
    }
}
