//! `panup status` and `panup forget`: lists what the journal holds, and drops it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use panup::{Counts, Error, FinishedFile, Kind, Operation, State, Unfinished};

use super::args::{Forget, Status};
use super::objects::{self, Line};
use super::size::{counted, human};
use super::{SOME_FAILED, complain, say, say_object, state_dir, verify};

/// Shows unfinished uploads, the newest finished files, and how many there are.
///
/// # Errors
/// Where the journal cannot be read.
pub fn status(status: &Status) -> Result<u8, Error> {
    let (state, _) = open(status.account.state_dir.as_deref())?;
    if status.check {
        let finished = state.finished(u32::MAX)?;
        warn(&state);
        drop(state);
        return verify::check(&status.account, finished, status.json);
    }
    let unfinished = state.unfinished()?;
    let finished = state.finished(status.finished)?;
    let counts = state.counts()?;
    if status.json {
        print_objects(&unfinished, &finished, counts);
    } else {
        print_lines(&unfinished, &finished, counts);
    }
    warn(&state);
    Ok(0)
}

/// Drops what is known of some files, or of all.
///
/// # Errors
/// Where the journal cannot be written.
pub fn forget(forget: &Forget) -> Result<u8, Error> {
    let (state, dir) = open(forget.state_dir.as_deref())?;
    let all = match (forget.all, forget.unfinished) {
        (true, _) => Some(panup::Forget::Everything),
        (false, true) => Some(panup::Forget::Unfinished),
        (false, false) => None,
    };
    if let Some(what) = all {
        let dropped = entries(state.forget(what)?);
        say(&format!("{dropped} forgotten in {}", dir.display()));
    }
    let mut code = 0;
    for path in &forget.paths {
        let name = path.display();
        match state.forget(panup::Forget::Path(path.clone()))? {
            0 => {
                complain(&format!("{name}: nothing is known of it"));
                code = SOME_FAILED;
            }
            dropped => say(&format!("{name}: {} forgotten", entries(dropped))),
        }
    }
    warn(&state);
    Ok(code)
}

fn open(asked: Option<&Path>) -> Result<(State, PathBuf), Error> {
    let dir = state_dir(asked).ok_or_else(|| {
        let message = "this system has no state folder for you";
        Error::new(Kind::State, Operation::Configure, message).advice("name one by --state-dir")
    })?;
    Ok((State::open(&dir)?, dir))
}

fn warn(state: &State) {
    while let Some(warning) = state.next_warning() {
        complain(&format!("warning   {warning}"));
    }
}

fn print_lines(unfinished: &[Unfinished], finished: &[FinishedFile], counts: Counts) {
    say(&format!("{} unfinished", counts.unfinished));
    for upload in unfinished {
        say(&format!(
            "  {} -> {} ({}, {} % sent, begun {})",
            upload.path.display(),
            upload.remote,
            human(upload.size),
            percent(upload),
            ago(upload.started)
        ));
    }
    say(&format!("{} finished", counts.finished));
    for file in finished {
        say(&format!(
            "  {} -> {} ({}, id {}, {})",
            file.path.display(),
            file.remote,
            human(file.size),
            file.finished
                .file_id
                .map_or_else(|| "unknown".to_owned(), |id| id.to_string()),
            ago(file.finished.at)
        ));
    }
    let hashed = counted(counts.hashed, "file", "files");
    say(&format!("{hashed} with known MD5s"));
}

fn print_objects(unfinished: &[Unfinished], finished: &[FinishedFile], counts: Counts) {
    for upload in unfinished {
        say_object(&Line::Unfinished(objects::Unfinished {
            path: upload.path.to_string_lossy().into_owned(),
            remote: upload.remote.clone(),
            parent_id: upload.parent,
            api: upload.account.api.clone(),
            account: upload.account.name.clone(),
            size: upload.size,
            slices: upload.slices,
            acked: upload.acked,
            percent: percent(upload),
            begun: seconds(upload.started),
        }));
    }
    for file in finished {
        say_object(&Line::Finished(objects::Finished {
            path: file.path.to_string_lossy().into_owned(),
            remote: file.remote.clone(),
            parent_id: file.parent,
            api: file.account.api.clone(),
            account: file.account.name.clone(),
            size: file.size,
            md5: file.finished.md5.to_string(),
            file_id: file.finished.file_id.unwrap_or(0),
            finished: seconds(file.finished.at),
        }));
    }
    say_object(&Line::Journal(objects::Journal {
        unfinished: counts.unfinished,
        finished: counts.finished,
        hashed: counts.hashed,
    }));
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        _ => format!("{count} entries"),
    }
}

/// Rounded down: 100 means all.
fn percent(upload: &Unfinished) -> u64 {
    (upload.acked * 100).checked_div(upload.slices).unwrap_or(0)
}

/// `3 hours ago`; a clock that was set back shows as just now.
fn ago(then: SystemTime) -> String {
    let past = then.elapsed().unwrap_or(Duration::ZERO);
    format!("{} ago", indicatif::HumanDuration(past))
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs()
}
