//! What an upload would do, told and not done. In: files that passed admission, and the same journal,
//! listings and rules that an upload asks. Out: for each file that it would be sent, and what that costs,
//! or how it would end without. Never: a call that changes anything, a byte that is sent, a word written
//! to the journal.

use std::sync::Arc;

use super::Item;
use super::admit::{Unhashed, is_expected, open};
use super::event::{Outcome, Progress, Status};
use super::folder::{Standing, Wanted};
use super::forecast::Forecast;
use super::present::{Verdict, judge, never_answered, standing, tell_similar};
use super::remote::Effort;
use super::run::Shared;
use super::turn::{self, Known};
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::hash::{Watch, read_file};
use crate::journal::Begun;
use crate::options::{Look, Resume};
use crate::source::patiently;
use crate::transfer::Cancel;
use crate::wire::Conflict;

/// Plans one file.
pub async fn file(shared: Arc<Shared>, mut file: Unhashed) -> Outcome {
    let status = match planned(&shared, &mut file).await {
        Ok(status) => status,
        Err(error) if error.path().is_some() => Status::Failed(error),
        Err(error) => Status::Failed(error.with_path(&file.item.path)),
    };
    Progress::add(&shared.progress.acked, file.size);
    outcome(&file, status, file.md5)
}

/// Of a file that was planned or would have been.
pub fn outcome(file: &Unhashed, status: Status, md5: Option<Md5>) -> Outcome {
    Outcome {
        size: file.size,
        md5,
        ..Outcome::unsent(
            (&file.item.path, file.task.remote.path()),
            status,
            file.item.tag.as_ref(),
        )
    }
}

async fn planned(shared: &Shared, file: &mut Unhashed) -> Result<Status> {
    let options = &shared.core.options;
    if file.md5.is_none() && needs_md5(shared, file).await {
        hash(shared, file).await?;
    }
    if let Some(md5) = &file.md5 {
        is_expected(&file.item, md5)?;
    }
    let mut known = journal(shared, file).await;
    if let (Known::Finished(finished), true) = (&known, options.look != Look::Always) {
        return Ok(Status::Skipped(finished.file_id));
    }
    let mut seen = look(shared, file, &known).await?;
    if file.md5.is_none() && matches!(seen, Standing::Same(_)) {
        hash(shared, file).await?;
        known = journal(shared, file).await;
        seen = look(shared, file, &known).await?;
    }
    let conflict = file.task.conflict;
    let verdict = match (&known, &seen) {
        // As an upload has it: it may be there, and nothing tells.
        (Known::Begun(Begun::Pending(_)), Standing::Unknown) => return Err(never_answered()),
        (Known::Begun(Begun::Pending(_)), Standing::Other(_)) => Verdict::Absent,
        _ => judge(&seen, conflict, file.size)?,
    };
    let goes_anyway = matches!(conflict, Conflict::Overwrite | Conflict::KeepBoth);
    let is_known = goes_anyway || matches!(verdict, Verdict::Absent);
    match verdict {
        Verdict::Present(entry) => return Ok(Status::Present(entry.id)),
        Verdict::Kept(entry) => return Ok(Status::Kept(Some(entry.id))),
        Verdict::Absent => {
            let Item { path, tag, .. } = &file.item;
            let named = (file.task.remote.path(), &**path, tag.as_ref());
            tell_similar(shared, &seen, named).await;
        }
        Verdict::Unknown => {
            if let Known::Finished(finished) = known {
                return Ok(Status::Skipped(finished.file_id));
            }
        }
    }
    let begun = match known {
        Known::Begun(Begun::Upload(upload)) => Some(upload),
        _ => None,
    };
    let forecast = Forecast::of(file.size, options.single_max, begun.as_ref());
    Ok(Status::Planned(Forecast {
        is_known,
        ..forecast
    }))
}

/// Whether only the content tells what becomes of the file: its MD5 is to be compared with one that was
/// said, or the journal knows of a content of that size there.
async fn needs_md5(shared: &Shared, file: &Unhashed) -> bool {
    if file.item.md5.is_some() {
        return true;
    }
    let (journal, task) = (shared.core.journal.clone(), file.task.clone());
    let known = tokio::task::spawn_blocking(move || journal.knows_of_size(&task)).await;
    known.unwrap_or(false) && shared.core.options.resume != Resume::Nothing
}

async fn journal(shared: &Shared, file: &Unhashed) -> Known {
    match &file.md5 {
        Some(md5) => turn::known(shared, &file.task, md5).await,
        None => Known::Nothing,
    }
}

/// What is there, where an upload would come to know it, by its own look or by what `create` answers.
async fn look(shared: &Shared, file: &Unhashed, known: &Known) -> Result<Standing> {
    let options = &shared.core.options;
    let is_pending = matches!(known, Known::Begun(Begun::Pending(_)));
    let sends_again = options.resume == Resume::SendAgain && !is_pending;
    let effort = match (options.look, file.task.conflict) {
        (Look::Never, _) => return Ok(Standing::Unknown),
        // Sent, whatever is there.
        (_, Conflict::Overwrite | Conflict::KeepBoth) if sends_again => {
            return Ok(Standing::Unknown);
        }
        (Look::Auto, Conflict::Overwrite) => Effort::Cheap,
        _ => Effort::Thorough,
    };
    let wanted = Wanted {
        remote: &file.task.remote,
        size: file.size,
        md5: file.md5,
        or_numbered: file.task.conflict == Conflict::KeepBoth,
    };
    standing(shared, wanted, effort).await
}

/// Works out the file's MD5.
async fn hash(shared: &Shared, file: &mut Unhashed) -> Result<()> {
    let Ok(_place) = shared.comparing.acquire().await else {
        return Err(Cancel::error());
    };
    let watch = Watch {
        stop: Arc::clone(shared.scope.cancel.flag()),
        ..Watch::default()
    };
    let (item, settings) = (file.item.clone(), shared.core.source_settings);
    let read = move || {
        let source = patiently(|| open(&item, &settings), || {}, || watch.is_stopped())?;
        read_file(&source, None, &watch)
    };
    let digest = tokio::task::spawn_blocking(read).await;
    let digest = digest
        .map_err(|error| Error::new(Kind::Internal, Operation::Check, error.to_string()))??;
    file.md5 = Some(digest.ok_or_else(Cancel::error)?.md5);
    Progress::add(&shared.progress.compared, 1);
    Progress::add(&shared.progress.compared_bytes, file.size);
    Ok(())
}
