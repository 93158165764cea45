//! A file's turn at its remote place: one upload at a time goes there, of all files, runs and
//! processes that share a journal. A file that had to wait finds in the journal what the other upload did.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Warning;
use super::run::Shared;
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::journal::{Begun, Claim, Finished, Journal, Task};
use crate::options::Resume;
use crate::transfer::Cancel;
use crate::wire::Conflict;

/// A file's place, claimed, and what the journal knew of its content there at that moment.
#[derive(Debug)]
pub struct Turn {
    /// Held until the file ends.
    pub claim: Claim,
    /// What the journal knew.
    pub known: Known,
}

/// The turn of a file whose place is free. Asked on a thread that may wait for the disk: a change of
/// threads for each of a million small files costs more than their upload.
#[must_use]
pub fn at_once(shared: &Shared, task: &Task, md5: &Md5) -> Option<Turn> {
    let core = &shared.core;
    let claim = core.journal.claim(&task.account, &task.remote)?;
    let known = look(&core.journal, core.options.resume, task, md5);
    Some(Turn { claim, known })
}

/// The file's turn, waited for where another upload has the place. A long wait is told with its `tag`.
///
/// # Errors
/// [`Kind::Cancelled`] where the run is told to stop meanwhile.
pub async fn take(
    shared: &Shared,
    (task, md5): (&Task, &Md5),
    tag: Option<&Arc<str>>,
) -> Result<Turn> {
    let claim = claim(shared, task, tag).await?;
    let known = known(shared, task, md5).await;
    Ok(Turn { claim, known })
}

/// Waits until no other upload has the file's place; the user is told of a long wait.
async fn claim(shared: &Shared, task: &Task, tag: Option<&Arc<str>>) -> Result<Claim> {
    let (started, mut pause, mut told) = (Instant::now(), FIRST_PAUSE, false);
    loop {
        if let Some(claim) = asked(shared, task).await {
            return Ok(claim);
        }
        if !told && started.elapsed() >= TELL_AFTER {
            told = true;
            shared.tell(Warning::of(waiting(task), tag)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shared.draining() => return Err(Cancel::error()),
        }
    }
}

/// What the journal knows of this content at this place.
#[derive(Debug)]
pub enum Known {
    /// It was uploaded.
    Finished(Finished),
    /// It was begun.
    Begun(Begun),
    /// Something that keeps the file from being sent.
    Contradicted(Error),
    /// Nothing.
    Nothing,
}

/// Looks into the journal, once the content is known and the place is claimed.
pub async fn known(shared: &Shared, task: &Task, md5: &Md5) -> Known {
    let (resume, journal) = (shared.core.options.resume, shared.core.journal.clone());
    let (task, md5) = (task.clone(), *md5);
    let look = move || look(&journal, resume, &task, &md5);
    let known = tokio::task::spawn_blocking(look).await;
    known.unwrap_or(Known::Nothing)
}

/// What is not there yet will replace what is, under overwrite: a run that is killed on the way must
/// not leave the journal saying that the older content is still there.
fn look(journal: &Journal, resume: Resume, task: &Task, md5: &Md5) -> Known {
    let place = journal.at(task, md5);
    match place.finished {
        Some(finished) if resume == Resume::Everything => return Known::Finished(finished),
        _ => {}
    }
    if place.replaced && task.conflict == Conflict::Overwrite {
        journal.replace(task, md5);
    }
    let begun = place.begun.filter(|_| resume != Resume::Nothing);
    if let Some(begun) = begun {
        return Known::Begun(begun);
    }
    let contradicted = || match (resume, task.conflict) {
        (Resume::Nothing, _) | (_, Conflict::KeepBoth) => None,
        _ => journal.contradiction(task, md5),
    };
    contradicted().map_or(Known::Nothing, Known::Contradicted)
}

async fn asked(shared: &Shared, task: &Task) -> Option<Claim> {
    let journal = shared.core.journal.clone();
    let task = task.clone();
    let ask = move || journal.claim(&task.account, &task.remote);
    tokio::task::spawn_blocking(ask).await.ok().flatten()
}

fn waiting(task: &Task) -> Error {
    let message = format!(
        "another upload to {:?} is under way, perhaps of another panup; waiting until it has ended",
        task.remote.path()
    );
    Error::new(Kind::State, Operation::Check, message).with_path(&task.path)
}

/// Another upload of the same place is seldom over at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// What the other one did is worth a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A wait that a person notices.
const TELL_AFTER: Duration = Duration::from_secs(1);
