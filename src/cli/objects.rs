//! The objects of `--json` and `--report`.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use panup::{Error, Item, Outcome, Status};
use serde_json::{Value, json};

use super::echo::Echo;
use super::folders::Folder;
use super::left_out::Why;
use super::out::in_words_of_the_command;
use super::walk::Refused;

/// How a file ended.
pub fn ended(outcome: &Outcome) -> Value {
    let status = &outcome.status;
    let mut line = file(
        &outcome.path,
        &outcome.remote,
        status.name(),
        status.error(),
    );
    line["file_id"] = json!(outcome.status.file_id());
    if let Some(note) = outcome.status.note() {
        line["note"] = json!(note);
    }
    line["md5"] = json!(outcome.md5.map(|md5| md5.to_string()));
    line["size"] = json!(outcome.size);
    line["sent"] = json!(outcome.sent);
    line["seconds"] = json!(rounded(outcome.elapsed.as_secs_f64()));
    line["at"] = json!(now());
    if let Some(trace_id) = &outcome.trace_id {
        line["trace_id"] = json!(trace_id);
    }
    Echo::from_tag(outcome.tag.as_deref()).add_to(&mut line);
    line
}

/// Seconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A file that failed before it was handed in.
pub fn refused(refused: &Refused) -> Value {
    let Refused {
        path,
        remote,
        echo,
        error,
    } = refused;
    let mut line = file(path, remote, "failed", Some(error));
    line["at"] = json!(now());
    echo.add_to(&mut line);
    line
}

/// A file that ended as `status`.
pub fn file(path: &Path, remote: &str, status: &str, error: Option<&Error>) -> Value {
    let mut line = json!({
        "event": "file", "remote": remote, "status": status, "file_id": null, "md5": null, "size": 0, "sent": 0,
        "seconds": 0.0,
    });
    add_path(&mut line, path);
    if let Some(error) = error {
        line["error"] = json!({
            "kind": error.kind().name(), "message": in_words_of_the_command(&error.to_string()), "call": error.operation().name(),
            "code": error.code(), "http_status": error.status(), "slice": error.slice(),
            "trace_id": error.trace_id(), "final": error.is_final(),
        });
    }
    line
}

/// A file that was found, and the run ended before its turn.
pub fn untried(item: &Item, status: &str, error: &Error) -> Value {
    let mut line = file(&item.path, &item.remote, status, Some(error));
    line["at"] = json!(now());
    Echo::from_tag(item.tag.as_deref()).add_to(&mut line);
    line
}

/// What would become of a file; one that would fail is told as one that failed.
pub fn planned(outcome: &Outcome) -> Value {
    let status = &outcome.status;
    if let Some(error) = status.error() {
        let (path, remote) = (&outcome.path, &outcome.remote);
        let mut line = file(path, remote, status.name(), Some(error));
        line["size"] = json!(outcome.size);
        Echo::from_tag(outcome.tag.as_deref()).add_to(&mut line);
        return line;
    }
    let mut line = json!({ "event": "planned", "remote": outcome.remote, "size": outcome.size, "action": action(status) });
    add_path(&mut line, &outcome.path);
    match status {
        Status::Planned(forecast) => {
            line["to_send"] = json!(forecast.bytes);
            line["calls"] = json!({
                "single": forecast.single, "create": forecast.create, "slice": forecast.slices,
                "complete": forecast.complete,
            });
        }
        _ => {
            line["note"] = json!(status.note());
            line["file_id"] = json!(status.file_id());
        }
    }
    if let Some(md5) = outcome.md5 {
        line["md5"] = json!(md5.to_string());
    }
    Echo::from_tag(outcome.tag.as_deref()).add_to(&mut line);
    line
}

/// What an upload would do with a file.
pub fn action(status: &Status) -> &'static str {
    match status {
        Status::Planned(_) => "upload",
        Status::Failed(_) | Status::Interrupted(_) => "fail",
        _ => "skip",
    }
}

/// An empty folder that was made, or would be.
pub fn folder(folder: &Folder, status: &str) -> Value {
    let mut line = json!({ "event": "folder", "remote": folder.remote, "status": status });
    add_path(&mut line, &folder.path);
    line
}

/// What does not go up without having failed.
pub fn left_out(path: &Path, why: Why) -> Value {
    let mut line = json!({ "event": "left_out", "why": why.name() });
    add_path(&mut line, path);
    line
}

/// Something to know that stops nothing.
pub fn warning(error: &Error) -> Value {
    json!({ "event": "warning", "message": in_words_of_the_command(&error.to_string()) })
}

/// Where a file is written that takes the place of `path` when it is whole.
pub fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:08x}", fastrand::u32(..)))
}

/// Milliseconds are all that a script can use.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A path that is no Unicode comes in base64 as well.
pub fn add_path(line: &mut Value, path: &Path) {
    line["path"] = json!(path.to_string_lossy());
    if path.to_str().is_none() {
        let coded = STANDARD.encode(path.as_os_str().as_encoded_bytes());
        line["path_bytes"] = json!(coded);
    }
}
