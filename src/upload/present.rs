//! Whether a file is there already: asked before it is sent, where that is worth the calls, and after a
//! call whose answer is lost. A file that is there is not sent; one whose answer was lost and that is
//! there has arrived.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::event::{Progress, Status, Warning};
use super::file::{FileUpload, Presence, is_refusal};
use super::folder::{Absence, Standing, Wanted, is_too_large};
use super::remote::{Effort, is_not_of_listing};
use super::run::{Purpose, Shared};
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::journal::Begun;
use crate::options::{Look, Resume};
use crate::wire::{self, Conflict, Entry, EntryKind};

impl FileUpload<'_> {
    /// Before anything is sent.
    ///
    /// # Errors
    /// [`Kind::Rejected`] where other content has the name and the file is to fail then, or where an
    /// earlier run may have made the file and nothing tells whether it did.
    pub(super) async fn look_first(&self) -> Result<Presence> {
        let pending = match &self.resume {
            Some(Begun::Pending(call)) => Some(*call),
            _ => None,
        };
        let options = &self.shared.core.options;
        let files = self.shared.listings.files();
        let effort = match pending {
            Some(_) if options.look != Look::Never => Some(Effort::Thorough),
            Some(_) => None,
            // Sent again, whatever is there.
            None if options.resume == Resume::SendAgain => None,
            None => effort(options.look, self.facts.conflict, files),
        };
        let standing = match effort {
            Some(effort) => self.standing(effort).await?,
            None => Standing::Unknown,
        };
        let Some(call) = pending else {
            return self.judged(standing).await;
        };
        match standing {
            Standing::Same(entry) => Ok(Presence::Ended(self.present(&entry))),
            Standing::Unknown => Err(never_answered()),
            Standing::Nothing(_) | Standing::Other(_) => {
                // The service may still be at it.
                let age = SystemTime::now().duration_since(call.started);
                self.until_settled(age.unwrap_or_default()).await
            }
        }
    }

    async fn judged(&self, standing: Standing) -> Result<Presence> {
        let (facts, path) = (&self.facts, self.hashed.source.path());
        match judge(&standing, facts.conflict, facts.size)? {
            Verdict::Present(entry) => Ok(Presence::Ended(self.present(&entry))),
            Verdict::Kept(entry) => Ok(Presence::Ended(self.kept(&entry))),
            Verdict::Unknown => Ok(Presence::Unknown),
            Verdict::Absent => {
                let named = (facts.remote.path(), path, self.hashed.tag.as_ref());
                tell_similar(&self.shared, &standing, named).await;
                Ok(Presence::Absent)
            }
        }
    }

    /// After a failure: a name that is taken may be taken by this content, and a call whose answer was
    /// lost may have made the file. `None` where it is to be sent once more.
    ///
    /// # Errors
    /// `error`, where the file is not there.
    pub(super) async fn settled(&self, error: Error) -> Result<Option<Status>> {
        let lost = error.delivery() == Delivery::Unknown && makes(&error);
        let refused = is_refusal(&error);
        let may_ask = self.shared.core.options.look != Look::Never && !self.shared.is_draining();
        if !(lost || refused) {
            return Err(error);
        }
        if !may_ask {
            return self.unless_kept(error, None);
        }
        let now = Instant::now();
        let mut standing = match lost {
            true => self.standing(Effort::Since(now)).await,
            false => self.standing(Effort::Thorough).await,
        };
        if !lost && wire::is_name_taken(&error) && matches!(standing, Ok(Standing::Nothing(_))) {
            standing = self.standing(Effort::Since(now)).await;
        }
        match standing {
            Ok(Standing::Same(entry)) if lost => {
                tracing::info!(%error, id = entry.id, "the answer was lost, and the file is there");
                Ok(Some(Status::Uploaded(entry.id)))
            }
            Ok(Standing::Same(entry)) => Ok(Some(self.present(&entry))),
            Ok(Standing::Other(entry)) if !lost => self.unless_kept(error, Some(&entry)),
            Ok(Standing::Other(_) | Standing::Nothing(_)) if lost && self.keeps_both() => {
                match self.until_settled(Duration::ZERO).await? {
                    Presence::Ended(Status::Present(id)) => Ok(Some(Status::Uploaded(id))),
                    Presence::Ended(status) => Ok(Some(status)),
                    Presence::Absent => Ok(None),
                    Presence::Unknown => Err(error),
                }
            }
            _ => self.unless_kept(error, None),
        }
    }

    /// What is there, by name, is left as it is where that is what is wanted.
    fn unless_kept(&self, error: Error, entry: Option<&Entry>) -> Result<Option<Status>> {
        let taken = entry.is_some() || wire::is_name_taken(&error);
        let skips = self.facts.conflict == Conflict::Skip && is_refusal(&error) && taken;
        match (skips, entry) {
            (true, Some(entry)) => Ok(Some(self.kept(entry))),
            (true, None) => {
                Progress::add(&self.shared.progress.acked, self.facts.size);
                Ok(Some(Status::Kept(None)))
            }
            (false, Some(entry)) => Err(error.advice(described(entry, self.facts.size))),
            (false, None) => Err(error),
        }
    }

    /// A call that left `age` ago may be carried out until the service's own limit for an answer has
    /// passed; whether it was is seen then.
    async fn until_settled(&self, age: Duration) -> Result<Presence> {
        let answer = self.shared.core.options.timeouts.answer;
        tokio::select! {
            () = tokio::time::sleep(answer.saturating_sub(age)) => {}
            () = self.shared.draining() => return Err(never_answered()),
        }
        match self.standing(Effort::Since(Instant::now())).await? {
            Standing::Same(entry) => Ok(Presence::Ended(self.present(&entry))),
            Standing::Nothing(_) | Standing::Other(_) => Ok(Presence::Absent),
            Standing::Unknown => Err(never_answered()),
        }
    }

    async fn standing(&self, effort: Effort) -> Result<Standing> {
        let (shared, facts) = (&self.shared, &self.facts);
        let wanted = Wanted {
            remote: &facts.remote,
            size: facts.size,
            md5: Some(facts.etag),
            or_numbered: self.keeps_both(),
        };
        standing(shared, wanted, effort).await
    }

    /// The service has it.
    fn present(&self, entry: &Entry) -> Status {
        Progress::add(&self.shared.progress.acked, self.facts.size);
        Status::Present(entry.id)
    }

    /// Other content is left as it is.
    fn kept(&self, entry: &Entry) -> Status {
        Progress::add(&self.shared.progress.acked, self.facts.size);
        Status::Kept(Some(entry.id))
    }

    fn keeps_both(&self) -> bool {
        self.facts.conflict == Conflict::KeepBoth
    }
}

/// What is there at the place of `wanted`, as far as the service says so.
///
/// # Errors
/// A login that failed, or [`Kind::Cancelled`]; of a run that sends nothing also a token that is refused.
pub async fn standing(shared: &Shared, wanted: Wanted<'_>, effort: Effort) -> Result<Standing> {
    let transfer = &shared.core.transfer;
    match shared
        .listings
        .look((transfer, &shared.scope), wanted, effort)
        .await
    {
        Err(error) if is_not_of_listing(&error) => Err(error),
        Err(error) if error.kind() == Kind::Auth && !transfer.has_good_token() => {
            match shared.purpose {
                Purpose::Plan => Err(error),
                // An upload tells.
                Purpose::Upload | Purpose::Verify => Ok(Standing::Unknown),
            }
        }
        Err(error) => {
            shared.tell(Warning::of_the_run(unlisted(error))).await;
            Ok(Standing::Unknown)
        }
        standing => standing,
    }
}

/// What follows from what is there.
#[derive(Debug)]
pub enum Verdict {
    /// The same content: nothing is sent.
    Present(Entry),
    /// Other content, which is left as it is.
    Kept(Entry),
    /// It is to be sent.
    Absent,
    /// The service did not say.
    Unknown,
}

/// What follows from what is there for a file of `size` bytes.
///
/// # Errors
/// [`Kind::Rejected`] where other content has the name and the file is to fail then.
pub fn judge(standing: &Standing, conflict: Conflict, size: u64) -> Result<Verdict> {
    match (standing, conflict) {
        (Standing::Same(entry), _) => Ok(Verdict::Present(entry.clone())),
        (Standing::Other(entry), Conflict::Fail) => Err(taken(entry, size)),
        (Standing::Other(entry), Conflict::Skip) => Ok(Verdict::Kept(entry.clone())),
        (Standing::Other(_), Conflict::Overwrite | Conflict::KeepBoth) => Ok(Verdict::Absent),
        (Standing::Nothing(_), _) => Ok(Verdict::Absent),
        (Standing::Unknown, _) => Ok(Verdict::Unknown),
    }
}

/// Says that a name is there that is another only by case or composition, if one is.
pub async fn tell_similar(
    shared: &Shared,
    standing: &Standing,
    (remote, path, tag): (&str, &Path, Option<&Arc<str>>),
) {
    let Standing::Nothing(Absence {
        similar: Some(similar),
        ..
    }) = standing
    else {
        return;
    };
    if !shared.listings.tells_similar() {
        return;
    }
    let message = format!(
        "{:?} is there already and differs from {remote:?} only by case or composition: taken for another file",
        similar.name
    );
    let warning = Error::new(Kind::Rejected, Operation::List, message);
    shared.tell(Warning::of(warning.with_path(path), tag)).await;
}

/// How far the service is asked before a file is sent, in a run that has `files` as far as is known. Where
/// a taken name is refused, one call tells as much as a listing would for one file; where both are kept,
/// nothing else tells.
fn effort(look: Look, conflict: Conflict, files: usize) -> Option<Effort> {
    match (look, conflict) {
        (Look::Never, _) => None,
        (Look::Always, _) | (Look::Auto, Conflict::KeepBoth) => Some(Effort::Thorough),
        (Look::Auto, Conflict::Overwrite) => Some(Effort::Cheap),
        (Look::Auto, Conflict::Fail | Conflict::Skip) => (files > 1).then_some(Effort::Cheap),
    }
}

/// Calls that can make the file.
fn makes(error: &Error) -> bool {
    matches!(
        error.operation(),
        Operation::Create | Operation::Single | Operation::Complete
    )
}

fn taken(entry: &Entry, size: u64) -> Error {
    let error = Error::new(Kind::Rejected, Operation::List, described(entry, size));
    error.advice("choose another name, or `Options::on_conflict`")
}

fn described(entry: &Entry, size: u64) -> String {
    let id = entry.id;
    match entry.kind {
        EntryKind::Folder => format!("a folder of this name is there (id {id})"),
        EntryKind::File if entry.refused => {
            format!("a file of this name is there that the service's review refused (id {id})")
        }
        EntryKind::File if entry.size == size => format!(
            "a file of this name with the same size and another MD5 is there (id {id}, changed content)"
        ),
        EntryKind::File => format!(
            "a file of this name with other content is there ({} bytes, id {id})",
            entry.size
        ),
    }
}

pub fn never_answered() -> Error {
    let message = "an earlier call was not answered: the file may be there, and sending it again would keep both";
    let error = Error::new(Kind::Rejected, Operation::Create, message);
    let error = error.with_delivery(Delivery::Unknown);
    error.advice("look, and have the file forgotten by `State::forget` before you repeat this")
}

fn unlisted(error: Error) -> Error {
    if is_too_large(&error) {
        return error;
    }
    error
        .context("the service does not list what is there")
        .advice("uploads go on, and a name that is taken fails; `Options::look` set to never does not ask")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_asked_for_where_it_saves_calls_or_copies() {
        for (look, conflict, files, expected) in [
            (Look::Never, Conflict::KeepBoth, 9, None),
            (Look::Auto, Conflict::KeepBoth, 1, Some(Effort::Thorough)),
            (Look::Auto, Conflict::Overwrite, 1, Some(Effort::Cheap)),
            (Look::Auto, Conflict::Fail, 1, None),
            (Look::Auto, Conflict::Fail, 2, Some(Effort::Cheap)),
            (Look::Auto, Conflict::Skip, 1, None),
            (Look::Auto, Conflict::Skip, 2, Some(Effort::Cheap)),
            (Look::Always, Conflict::Fail, 1, Some(Effort::Thorough)),
        ] {
            assert_eq!(
                effort(look, conflict, files),
                expected,
                "{look:?} {conflict:?} {files}"
            );
        }
    }

    #[test]
    fn only_a_call_that_makes_a_file_can_have_made_it() {
        let error = |operation| Error::new(Kind::Transport, operation, "x");
        for operation in [Operation::Create, Operation::Single, Operation::Complete] {
            assert!(makes(&error(operation)));
        }
        for operation in [
            Operation::Slice,
            Operation::Domain,
            Operation::List,
            Operation::Read,
        ] {
            assert!(!makes(&error(operation)));
        }
    }
}
