//! The objects of `--json` and `--report`: one type for each, of which the schema is made too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use panup::{Error, Item, Outcome, Status};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::echo::{Echo, Part};
use super::folders::Folder;
use super::left_out::{LeftOutCounts, Why};

use super::walk::Refused;
use super::words::in_words_of_the_command;

/// One object a line. Readers skip events and keys that they do not know: more may be added.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// How a file ended: of an upload, or of `panup verify`.
    File(File),
    /// Once a second: how far an upload is.
    Progress(Progress),
    /// Something to know that stops nothing.
    Warning(Warning),
    /// With --dry-run: what would become of a file.
    Planned(Planned),
    /// An empty folder that was made, or would be.
    Folder(EmptyFolder),
    /// What does not go up without having failed.
    LeftOut(LeftOutEntry),
    /// The last line of an upload.
    Summary(Summary),
    /// The last line of `panup verify` and of `panup status --check`.
    #[serde(rename = "summary")]
    Verified(Verified),
    /// `panup tune`: one setting, measured.
    Setting(Measured),
    /// The last line of `panup tune`.
    #[serde(rename = "summary")]
    Tuned(Tuned),
    /// `panup status`: an upload that was begun and has not ended.
    Unfinished(Unfinished),
    /// `panup status`: a file that was uploaded.
    Finished(Finished),
    /// The last line of `panup merge`.
    #[serde(rename = "summary")]
    Merged(Merged),
    /// The last line of `panup status`.
    #[serde(rename = "summary")]
    Journal(Journal),
    /// `panup config`: a setting in force.
    Option(OptionInForce),
    /// The last line of `panup config`.
    #[serde(rename = "summary")]
    Configuration(Configuration),
    /// `panup doctor`: one thing that was looked at.
    Check(Check),
    /// The last line of `panup doctor`.
    #[serde(rename = "summary")]
    Diagnosis(Diagnosis),
}

impl Line {
    /// For one who takes some of it.
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A local path.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LocalPath {
    /// Readable; not the path itself where that is no Unicode.
    pub path: String,
    /// The path in base64, where it is no Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

impl From<&Path> for LocalPath {
    fn from(path: &Path) -> LocalPath {
        let coded = || STANDARD.encode(panup::name_bytes(path.as_os_str()));
        LocalPath {
            path: path.to_string_lossy().into_owned(),
            path_bytes: path.to_str().is_none().then(coded),
        }
    }
}

/// How a file ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct File {
    #[serde(flatten)]
    path: LocalPath,
    /// The remote path, below --parent-id.
    remote: String,
    /// `there`, `missing`, `different` and `unknown` are of `panup verify`.
    #[schemars(extend("enum" = ["uploaded", "reused", "skipped", "failed", "interrupted", "there", "missing", "different", "unknown"]))]
    status: &'static str,
    /// Null where the service told none.
    file_id: Option<i64>,
    /// Of the whole file, in lower-case hex; null where it is not known.
    md5: Option<String>,
    /// Bytes of the file.
    size: u64,
    /// Bytes that were sent as its content, resends included.
    sent: u64,
    /// From its turn to its end.
    seconds: f64,
    /// When it ended, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// What the service calls the last call.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// What --files-from said of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Value>,
    /// Something to know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Which part of a larger file it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    /// Why it failed, or was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// Why something failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    /// README has a table of kinds, with what to do.
    #[schemars(extend("enum" = ["source", "invalid", "auth", "rejected", "throttled", "transport", "protocol", "expired", "integrity", "state", "cancelled", "internal"]))]
    kind: &'static str,
    /// For people.
    message: String,
    /// What was being done; a call of the service has its name there.
    call: &'static str,
    /// The service's code.
    code: Option<i64>,
    /// The HTTP status.
    http_status: Option<u16>,
    /// From 1, where it is about a slice.
    slice: Option<u32>,
    /// What the service calls the call.
    trace_id: Option<String>,
    /// Repeating the same is useless.
    #[serde(rename = "final")]
    is_final: bool,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        Failure {
            kind: error.kind().name(),
            message: in_words_of_the_command(&error.to_string()).into_owned(),
            call: error.operation().name(),
            code: error.code(),
            http_status: error.status(),
            slice: error.slice(),
            trace_id: error.trace_id().map(str::to_owned),
            is_final: error.is_final(),
        }
    }
}

impl File {
    /// A file of which nothing is known but that it ended as `status`.
    pub fn new(path: &Path, remote: &str, status: &'static str, error: Option<&Error>) -> File {
        File {
            path: path.into(),
            remote: remote.to_owned(),
            status,
            file_id: None,
            md5: None,
            size: 0,
            sent: 0,
            seconds: 0.0,
            at: None,
            trace_id: None,
            tag: None,
            note: None,
            part: None,
            error: error.map(Failure::from),
        }
    }

    /// A file that ended.
    pub fn ended(outcome: &Outcome) -> File {
        let status = &outcome.status;
        let new = File::new(
            &outcome.path,
            &outcome.remote,
            status.name(),
            status.error(),
        );
        let file = File {
            file_id: status.file_id(),
            md5: outcome.md5.map(|md5| md5.to_string()),
            size: outcome.size,
            sent: outcome.sent,
            seconds: rounded(outcome.elapsed.as_secs_f64()),
            at: Some(now()),
            trace_id: outcome.trace_id.as_deref().map(str::to_owned),
            ..new
        };
        let file = file.with_note(status.note());
        file.with_echo(Echo::from_tag(outcome.tag.as_deref()))
    }

    /// A file that failed before it was handed in.
    pub fn refused(refused: &Refused) -> File {
        let Refused {
            path,
            remote,
            echo,
            error,
        } = refused;
        let file = File::new(path, remote, "failed", Some(error)).with_echo(echo.clone());
        File {
            at: Some(now()),
            ..file
        }
    }

    /// A file that was planned, and of which no report tells.
    pub fn untold(path: &Path, remote: &str, size: u64, echo: Echo) -> File {
        let file = File::new(path, remote, "missing", None).with_echo(echo);
        let file = file.with_note(Some("planned, and no report tells of it"));
        File { size, ..file }
    }

    /// A file that was found, and the run ended before its turn.
    pub fn untried(item: &Item, status: &'static str, error: &Error) -> File {
        let file = File::new(&item.path, &item.remote, status, Some(error));
        let file = file.with_echo(Echo::from_tag(item.tag.as_deref()));
        File {
            at: Some(now()),
            ..file
        }
    }

    /// The same with what the service has.
    pub fn with_facts(self, file_id: Option<i64>, size: u64, md5: String) -> File {
        File {
            file_id,
            size,
            md5: Some(md5),
            ..self
        }
    }

    /// The same with a note, where there is one.
    pub fn with_note(self, note: Option<&str>) -> File {
        let note = note.map(str::to_owned).or(self.note);
        File { note, ..self }
    }

    /// The same, ended as `status`.
    pub fn with_status(self, status: &'static str) -> File {
        File { status, ..self }
    }

    fn with_echo(mut self, echo: Echo) -> File {
        let (tag, note, part) = echo.into_parts();
        self.tag = tag.or(self.tag);
        self.note = note.or(self.note);
        self.part = part.or(self.part);
        self
    }
}

/// How far an upload is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Progress {
    /// Files that were found so far.
    pub files: u64,
    /// Those that have ended.
    pub done: u64,
    /// Bytes of the files that were found so far.
    pub bytes: u64,
    /// Bytes that were hashed.
    pub hashed: u64,
    /// Bytes given to sockets, that are not acknowledged.
    pub on_wire: u64,
    /// Bytes that the service has.
    pub acked: u64,
    /// Bytes a second over the last ten seconds; null before that is known.
    pub rate: Option<f64>,
    /// Seconds that are left; null before that is known.
    pub eta: Option<f64>,
    /// What it is held back by.
    #[schemars(extend("enum" = ["link", "calls", "disk", "hash", "service", "limit", null]))]
    pub held_by: Option<&'static str>,
}

/// Something to know that stops nothing.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Warning {
    message: String,
}

/// What would become of a file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Planned {
    #[serde(flatten)]
    path: LocalPath,
    /// The remote path.
    remote: String,
    /// Bytes of the file.
    size: u64,
    /// What an upload would do with it.
    #[schemars(extend("enum" = ["upload", "skip", "fail"]))]
    action: &'static str,
    /// Bytes that would be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_send: Option<u64>,
    /// Calls that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    /// The file that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<i64>,
    /// Of the whole file, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    /// What --files-from said of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Value>,
    /// Something to know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Which part of a larger file it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

/// Calls of the service, by endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Calls {
    /// single/create
    pub single: u64,
    /// create
    pub create: u64,
    /// slice
    pub slice: u64,
    /// upload_complete
    pub complete: u64,
}

/// An empty folder.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EmptyFolder {
    #[serde(flatten)]
    path: LocalPath,
    /// The remote path.
    remote: String,
    #[schemars(extend("enum" = ["made", "there", "planned"]))]
    status: &'static str,
}

/// What does not go up without having failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LeftOutEntry {
    #[serde(flatten)]
    path: LocalPath,
    /// A key of the summary's `left_out_by`.
    why: &'static str,
}

/// The end of an upload.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// The version of these objects.
    pub schema: u32,
    /// All files, those included that were never tried.
    pub files: u64,
    /// Files that were sent.
    pub uploaded: u64,
    /// Files whose content the service knew.
    pub reused: u64,
    /// Files that were there already.
    pub skipped: u64,
    /// Files that failed.
    pub failed: u64,
    /// Files that an interrupt came before.
    pub interrupted: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes that were sent as content, resends included.
    pub sent: u64,
    /// From begin to end.
    pub seconds: f64,
    /// Files that the run never came to.
    pub unstarted: u64,
    /// Empty folders that were made.
    pub folders: u64,
    /// What was left out.
    #[serde(flatten)]
    pub left_out: LeftOutCounts,
    /// With --dry-run.
    #[serde(flatten)]
    pub forecast: Option<ForecastCounts>,
}

/// With --dry-run: what an upload costs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ForecastCounts {
    /// Files that would be uploaded.
    pub planned: u64,
    /// Those of them of which it is not known what is there.
    pub unknown: u64,
    /// Files that were hashed, to compare them.
    pub hashed: u64,
    /// Why the service was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<&'static str>,
    /// Bytes that would be sent.
    pub to_send: u64,
    /// Calls that it takes.
    pub calls: Calls,
    /// The shortest time that they take.
    pub seconds_by_calls: f64,
    /// The shortest time that the bytes take, by the speed of a link.
    pub seconds_by_link: BTreeMap<String, f64>,
}

/// The end of `panup verify`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Verified {
    /// The version of these objects.
    pub schema: u32,
    /// Files that were looked for.
    pub files: u64,
    /// Those that are there, as they are here.
    pub there: u64,
    /// Those that are not.
    pub missing: u64,
    /// Those with other content.
    pub different: u64,
    /// Those of which that could not be told.
    pub unknown: u64,
    /// From begin to end.
    pub seconds: f64,
}

/// The end of `panup merge`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Merged {
    /// The version of these objects.
    pub schema: u32,
    /// Files of all reports, and of the plan.
    pub files: u64,
    /// Those that were sent.
    pub uploaded: u64,
    /// Those that the service had already.
    pub reused: u64,
    /// Those that were there already.
    pub skipped: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that an interrupt came before.
    pub interrupted: u64,
    /// Those that were planned, and of which no report tells.
    pub missing: u64,
    /// Those of which more than one report tells.
    pub overlapping: u64,
    /// Those that more than one run uploaded.
    pub doubled: u64,
    /// Sizes of the files that are done.
    pub bytes: u64,
    /// Bytes that all runs sent as content.
    pub sent: u64,
}

/// One setting of `panup tune`, measured.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Measured {
    /// Bodies in flight, or `auto`.
    #[schemars(extend("type" = ["integer", "string"]))]
    pub concurrency: Value,
    /// Bodies in flight at the end.
    pub permits: usize,
    /// Bytes that were sent, resends included.
    pub sent: u64,
    /// From the first byte on.
    pub seconds: f64,
    /// The speed.
    pub bytes_per_second: f64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// Why it failed, if it did.
    pub error: Option<ShortFailure>,
}

/// Why something failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShortFailure {
    /// As in a file's error.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

/// The end of `panup tune`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tuned {
    /// Bytes that could be sent.
    pub budget: u64,
    /// Bytes that were.
    pub sent: u64,
    /// The best number of bodies in flight; null is auto, or that nothing was measured.
    pub best: Option<usize>,
    /// The option that says so.
    pub flag: Option<String>,
    /// How far auto is behind the best fixed setting, as a share; below 0 it is ahead.
    pub behind: Option<f64>,
}

/// An upload that was begun and has not ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Unfinished {
    /// The local path.
    pub path: String,
    /// The remote path.
    pub remote: String,
    /// The remote folder's id.
    pub parent_id: i64,
    /// The service.
    pub api: String,
    /// The account there.
    pub account: String,
    /// Bytes.
    pub size: u64,
    /// In all.
    pub slices: u64,
    /// Slices that the service has.
    pub acked: u64,
    /// Hundredths of the slices that it has.
    pub percent: u64,
    /// In seconds since 1970.
    pub begun: u64,
}

/// A file that was uploaded.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finished {
    /// The local path.
    pub path: String,
    /// The remote path.
    pub remote: String,
    /// The remote folder's id.
    pub parent_id: i64,
    /// The service.
    pub api: String,
    /// The account there.
    pub account: String,
    /// Bytes.
    pub size: u64,
    /// In lower-case hex.
    pub md5: String,
    /// 0 where it is not known.
    pub file_id: i64,
    /// In seconds since 1970.
    pub finished: u64,
}

/// What the journal holds, counted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Journal {
    /// Uploads that were begun and have not ended.
    pub unfinished: u64,
    /// Files that were uploaded.
    pub finished: u64,
    /// Files whose MD5 is known.
    pub hashed: u64,
}

/// A setting in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OptionInForce {
    /// The option, without dashes.
    pub name: String,
    /// A text, a list, a number, or true or false; null where nothing is set. A secret is `set` or `unset`.
    pub value: Value,
    /// The strongest place that says it.
    #[schemars(extend("enum" = ["typed", "environment", "profile", "file", "default", "credentials"]))]
    pub origin: &'static str,
    /// Which variables, and which lines of the file.
    pub from: Vec<String>,
}

/// Where settings come from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Configuration {
    /// Where it is, or would be.
    pub config_file: Option<String>,
    /// Whether it is there.
    pub is_there: bool,
    /// The profile in use.
    pub profile: Option<String>,
}

/// One thing that `panup doctor` looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// `warn` may be wanted; `fail` stops uploads.
    #[schemars(extend("enum" = ["ok", "warn", "fail"]))]
    pub status: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The end of `panup doctor`.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// Checks that are well.
    pub ok: u64,
    /// Checks that warn.
    pub warn: u64,
    /// Checks that failed.
    pub fail: u64,
}

/// What would become of a file; one that would fail is told as one that failed.
pub fn planned(outcome: &Outcome) -> Line {
    let status = &outcome.status;
    let (path, remote) = (outcome.path.as_path(), outcome.remote.as_str());
    let echo = Echo::from_tag(outcome.tag.as_deref());
    if let Some(error) = status.error() {
        let file = File::new(path, remote, status.name(), Some(error)).with_echo(echo);
        return Line::File(File {
            size: outcome.size,
            ..file
        });
    }
    let forecast = match status {
        Status::Planned(forecast) => Some(forecast),
        _ => None,
    };
    let (tag, note, part) = echo.into_parts();
    Line::Planned(Planned {
        path: path.into(),
        remote: remote.to_owned(),
        size: outcome.size,
        action: action(status),
        to_send: forecast.map(|forecast| forecast.bytes),
        calls: forecast.map(|forecast| Calls {
            single: forecast.single.into(),
            create: forecast.create.into(),
            slice: forecast.slices.into(),
            complete: forecast.complete.into(),
        }),
        file_id: status.file_id(),
        md5: outcome.md5.map(|md5| md5.to_string()),
        tag,
        note: note.or_else(|| status.note().map(str::to_owned)),
        part,
    })
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
pub fn folder(folder: &Folder, status: &'static str) -> Line {
    Line::Folder(EmptyFolder {
        path: folder.path.as_path().into(),
        remote: folder.remote.clone(),
        status,
    })
}

/// What does not go up without having failed.
pub fn left_out(path: &Path, why: Why) -> Line {
    Line::LeftOut(LeftOutEntry {
        path: path.into(),
        why: why.name(),
    })
}

/// Something to know that stops nothing.
pub fn warning(error: &Error) -> Line {
    Line::Warning(Warning {
        message: in_words_of_the_command(&error.to_string()).into_owned(),
    })
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

/// The version of these objects: it changes where a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Seconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
