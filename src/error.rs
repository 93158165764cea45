//! Every way to fail. In: what went wrong and where. Out: one [`Error`] whose [`Kind`] alone decides
//! the exit code; with a few facts (delivery, status, code, time-out) also what is repeated and what
//! the limiters are told. Never: a second error type across a module.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why something failed: what callers match on. Whatever can be repeated was repeated before an error is seen
/// ([`Options::retry`](crate::Options::retry)); each kind says what is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The local file is missing, unreadable, or changed while it was used; or a caller's own source failed,
    /// lied or panicked. Not repeated. See to the file, or hand it in again when it is at rest.
    Source,
    /// The request could never succeed: bad name, empty file, over 10 GiB, options that make no sense. Not
    /// repeated. Change what the message names: the item, or an option.
    Invalid,
    /// The token or the client credentials were refused. Refreshed once, then the run ends: every file of it
    /// that is left fails so. Make a [`Client`](crate::Client) with another [`Credential`](crate::Credential).
    Auth,
    /// A business error of the service, such as a name that is taken; [`Error::code`] is its own number. Final
    /// for the file. Decide by the code: another name, another [`Conflict`](crate::Conflict), more room.
    Rejected,
    /// The service asks for less: 429, queue full, 5xx. Repeated after a delay. Hand the file in again later,
    /// in minutes rather than seconds; what arrived is kept.
    Throttled,
    /// Refused, reset, GOAWAY, stall, time-out. Repeated, elsewhere if there is an elsewhere. Hand the file in
    /// again when the link is back; where [`Error::delivery`] is unknown, the file may be there.
    Transport,
    /// A reply that cannot be read. Repeated once; where it is not the service that answers, like
    /// [`Kind::Transport`]. Look at what stands between, such as a proxy or a portal; else report it.
    Protocol,
    /// The service does not know the preuploadID (any more). Once more from `create`; callers meet it as
    /// [`Kind::Rejected`].
    Expired,
    /// The service refused an MD5. Hashed again once, then [`Kind::Source`]. Where it stays, what is between
    /// changes bytes, or this machine's memory does.
    Integrity,
    /// Local state (the journal, the token cache) cannot be used: a warning, not a stop. Or the run is in no
    /// state for what was asked: it has ended, another has its checkpoint, no thread can be started.
    State,
    /// Interrupted by the caller; hand the file in again, and it goes on where it was.
    Cancelled,
    /// panup itself failed: a task of its own ended by a panic. Hand the file in again, and report it.
    Internal,
}

impl Kind {
    /// The kind's name as `--json` and the documentation spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Invalid => "invalid",
            Kind::Auth => "auth",
            Kind::Rejected => "rejected",
            Kind::Throttled => "throttled",
            Kind::Transport => "transport",
            Kind::Protocol => "protocol",
            Kind::Expired => "expired",
            Kind::Integrity => "integrity",
            Kind::State => "state",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal",
        }
    }
}

/// What panup was doing: a local step, or one of the calls of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Checking options before anything starts.
    Configure,
    /// Opening or reading the local file.
    Read,
    /// Looking at the local file's name and size before it is read, or comparing its identity after.
    Check,
    /// `POST /api/v1/access_token`.
    Login,
    /// `POST /upload/v2/file/create`.
    Create,
    /// `POST /upload/v2/file/slice`.
    Slice,
    /// `POST /upload/v2/file/upload_complete`.
    Complete,
    /// `GET /upload/v2/file/domain`.
    Domain,
    /// `POST /upload/v2/file/single/create`.
    Single,
    /// `GET /api/v2/file/list`.
    List,
    /// `GET /api/v1/file/detail`.
    Detail,
    /// `POST /api/v1/file/infos`.
    Infos,
    /// `POST /upload/v1/file/mkdir`.
    Mkdir,
    /// `POST /api/v1/file/trash`.
    Trash,
    /// Reading or writing local state.
    Journal,
    /// The file as a whole, where no step or call of its own is meant.
    Upload,
}

impl Operation {
    /// The operation's name as messages spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Configure => "options",
            Operation::Read => "read",
            Operation::Check => "check",
            Operation::Login => "access_token",
            Operation::Create => "create",
            Operation::Slice => "slice",
            Operation::Complete => "upload_complete",
            Operation::Domain => "domain",
            Operation::Single => "single/create",
            Operation::List => "file/list",
            Operation::Detail => "file/detail",
            Operation::Infos => "file/infos",
            Operation::Mkdir => "mkdir",
            Operation::Trash => "trash",
            Operation::Journal => "journal",
            Operation::Upload => "upload",
        }
    }

    /// Whether it is one of the service's calls, and no step on this machine.
    fn is_call(self) -> bool {
        !matches!(
            self,
            Operation::Configure
                | Operation::Read
                | Operation::Check
                | Operation::Journal
                | Operation::Upload
        )
    }
}

/// Whether a failed request can have been carried out by the service all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// The last byte of the request never left, or the service said that it did nothing.
    #[default]
    NotDone,
    /// The request left in full and its answer is lost: it may have been carried out.
    Unknown,
}

/// One failure: what, where, why, and what the service said about it.
///
/// Cheap to clone (one `Arc`), so one refused login can be told to every waiting task.
#[derive(Debug, Clone)]
pub struct Error(Arc<Facts>);

#[derive(Debug, Clone)]
struct Facts {
    kind: Kind,
    operation: Operation,
    message: String,
    path: Option<PathBuf>,
    slice: Option<u32>,
    status: Option<u16>,
    code: Option<i64>,
    trace_id: Option<String>,
    retry_after: Option<Duration>,
    delivery: Delivery,
    timed_out: bool,
    lasting: bool,
    unreachable: bool,
    distrusted: bool,
    of_the_run: bool,
    scarcity: bool,
    foreign: bool,
    for_good: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The result of anything in panup that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of `kind` during `operation`; `message` says what happened and what to do.
    pub fn new(kind: Kind, operation: Operation, message: impl Into<String>) -> Self {
        Error(Arc::new(Facts {
            kind,
            operation,
            message: message.into(),
            path: None,
            slice: None,
            status: None,
            code: None,
            trace_id: None,
            retry_after: None,
            delivery: Delivery::NotDone,
            timed_out: false,
            lasting: false,
            unreachable: false,
            distrusted: false,
            of_the_run: false,
            scarcity: false,
            foreign: false,
            for_good: false,
            source: None,
        }))
    }

    /// A local file that cannot be read.
    pub fn read(path: &Path, source: std::io::Error) -> Self {
        let mut error =
            Error::new(Kind::Source, Operation::Read, source.to_string()).with_path(path);
        if crate::system::is_held(&source) {
            error = error.advice("another program keeps the file to itself: close it there");
        }
        error.with(|facts| {
            facts.scarcity = crate::system::is_shortage(&source);
            facts.for_good = source.kind() == std::io::ErrorKind::PermissionDenied;
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Names the local file.
    #[must_use]
    pub fn with_path(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.with(|facts| facts.path = Some(path))
    }

    /// Names no file: it concerns more than the one that met it.
    #[must_use]
    pub fn without_path(self) -> Self {
        self.with(|facts| facts.path = None)
    }

    /// Names the slice, counted from 1 as the service counts.
    #[must_use]
    pub fn with_slice(self, number: u32) -> Self {
        self.with(|facts| facts.slice = Some(number))
    }

    /// Keeps the HTTP status of the reply.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.with(|facts| facts.status = Some(status))
    }

    /// Keeps the code of the reply's envelope.
    #[must_use]
    pub fn with_code(self, code: i64) -> Self {
        self.with(|facts| facts.code = Some(code))
    }

    /// Keeps the service's trace id, which its support asks for. An empty one is none.
    #[must_use]
    pub fn with_trace_id(self, trace_id: impl Into<String>) -> Self {
        let trace_id = trace_id.into();
        self.with(|facts| facts.trace_id = (!trace_id.is_empty()).then_some(trace_id))
    }

    /// Keeps how long the service asks to wait.
    #[must_use]
    pub fn with_retry_after(self, delay: Option<Duration>) -> Self {
        self.with(|facts| facts.retry_after = delay)
    }

    /// Says whether the request can have been carried out all the same.
    #[must_use]
    pub fn with_delivery(self, delivery: Delivery) -> Self {
        self.with(|facts| facts.delivery = delivery)
    }

    /// Marks a failure by time: a stall, or the gateway's 60 s. It means fewer at once.
    #[must_use]
    pub fn timed_out(self) -> Self {
        self.with(|facts| facts.timed_out = true)
    }

    /// Marks a failure that waiting does not mend, such as a certificate that is not trusted: only
    /// another server can help.
    #[must_use]
    pub fn lasting(self) -> Self {
        self.with(|facts| facts.lasting = true)
    }

    /// Marks a failure that every way to this server meets, and that waiting does not mend: no such
    /// host, no TLS in common, a certificate that is not trusted.
    #[must_use]
    pub fn unreachable(self) -> Self {
        self.with(|facts| (facts.lasting, facts.unreachable) = (true, true))
    }

    /// Marks a server whose certificate is not trusted.
    #[must_use]
    pub fn distrusted(self) -> Self {
        self.with(|facts| facts.distrusted = true)
    }

    /// Marks a failure that every other call of the run would meet as well: the run ends with it.
    #[must_use]
    pub fn of_the_run(self) -> Self {
        self.with(|facts| (facts.lasting, facts.of_the_run) = (true, true))
    }

    /// How a file ends that was not done when the run ended with this error.
    #[must_use]
    pub fn cuts_off(&self, path: &Path) -> Error {
        let call = match self.0.operation.is_call() {
            true => format!("{}: ", self.0.operation.name()),
            false => String::new(),
        };
        let message = format!("not sent: {call}{}", self.0.message);
        let error = self.clone().with_path(path);
        error.with(|facts| (facts.operation, facts.message) = (Operation::Upload, message))
    }

    /// Marks an answer that is not the service's own: a portal's, a firewall's, a proxy's. It says
    /// something of the way and nothing of the file.
    #[must_use]
    pub fn foreign(self) -> Self {
        self.with(|facts| facts.foreign = true)
    }

    /// Marks a failure of a local file that the same command would meet again: only another file, or
    /// another command, can help.
    #[must_use]
    pub fn for_good(self) -> Self {
        self.with(|facts| facts.for_good = true)
    }

    /// Turns the failure into another kind, keeping everything else.
    #[must_use]
    pub fn with_kind(self, kind: Kind) -> Self {
        self.with(|facts| facts.kind = kind)
    }

    /// Puts `context` before the message.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        self.with(|facts| facts.message = format!("{context}: {}", facts.message))
    }

    /// Puts `advice` behind the message: what the user can do.
    #[must_use]
    pub fn advice(self, advice: impl fmt::Display) -> Self {
        self.with(|facts| facts.message = format!("{}; {advice}", facts.message))
    }

    /// Keeps the error below.
    #[must_use]
    pub fn caused_by(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.with(|facts| facts.source = Some(Arc::new(source)))
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The bare message, without file, call, code or trace id.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The local file, where one is concerned.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The slice's number from 1, where one is concerned.
    #[must_use]
    pub fn slice(&self) -> Option<u32> {
        self.0.slice
    }

    /// The HTTP status, where there was a reply.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The code of the service's envelope, where there was one.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.0.code
    }

    /// The service's trace id, where there was one.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// How long the service asks to wait, where it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the request can have been carried out all the same.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Whether waiting does not mend it.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.0.lasting
    }

    /// Whether every way to the server meets it, now and later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.0.unreachable
    }

    /// Whether the server's certificate is not trusted.
    #[must_use]
    pub fn is_distrusted(&self) -> bool {
        self.0.distrusted
    }

    /// Whether the same file would fail again for the same reason, whenever it is tried: its name, size
    /// or content, a permission, or a refusal of the service.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let by_kind =
            matches!(self.0.kind, Kind::Invalid | Kind::Rejected) && !self.is_of_the_run();
        self.0.for_good || by_kind
    }

    /// Whether every other call of the run would meet it as well.
    #[must_use]
    pub fn is_of_the_run(&self) -> bool {
        self.0.of_the_run || self.0.kind == Kind::Auth
    }

    /// Whether this machine was out of descriptors, threads or memory at that moment: waiting can
    /// help, and it says nothing of the file.
    #[must_use]
    pub fn is_scarcity(&self) -> bool {
        self.0.scarcity
    }

    /// Whether it is an answer of another server than the service's.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.0.foreign
    }

    /// Whether time ran out, here or at the gateway.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.timed_out
    }
}

/// `path: call: message (slice 3, HTTP 200, code 1, trace id …)`, without what is not known; a step on
/// this machine is no call.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &*self.0;
        if let Some(path) = &facts.path {
            write!(f, "{}: ", path.display())?;
        }
        if facts.operation.is_call() {
            write!(f, "{}: ", facts.operation.name())?;
        }
        write!(f, "{}", facts.message)?;
        let details: Vec<String> = [
            facts.slice.map(|slice| format!("slice {slice}")),
            facts
                .status
                .map(|status| format!("HTTP {status}"))
                .filter(|status| status != "HTTP 200" && !facts.message.contains(status.as_str())),
            facts.code.map(|code| format!("code {code}")),
            facts.trace_id.as_ref().map(|id| format!("trace id {id}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if details.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", details.join(", "))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Errors compare by what tests assert: kind, operation, message and the service's words.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let key = |error: &Error| {
            let facts = &*error.0;
            (
                facts.kind,
                facts.operation,
                facts.slice,
                facts.status,
                facts.code,
                facts.delivery,
            )
        };
        key(self) == key(other) && self.0.message == other.0.message && self.0.path == other.0.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_file_call_code_and_trace_id() {
        let error = Error::new(Kind::Rejected, Operation::Create, "name taken")
            .with_path("a/b.bin")
            .with_status(200)
            .with_code(1)
            .with_trace_id("t-1");
        assert_eq!(
            error.to_string(),
            "a/b.bin: create: name taken (code 1, trace id t-1)"
        );
    }

    #[test]
    fn what_is_scarce_and_what_is_the_files() {
        for (code, expected) in [
            (crate::system::TOO_MANY_FILES, true),
            (crate::system::NO_MEMORY, true),
            #[cfg(unix)]
            (libc::ENFILE, true),
            #[cfg(unix)]
            (libc::EAGAIN, true),
            // ENOENT, EIO, EACCES; of Windows, no file, access denied, a lock of another process.
            (2, false),
            (5, false),
            (if cfg!(unix) { 13 } else { 33 }, false),
        ] {
            let error = std::io::Error::from_raw_os_error(code);
            let error = Error::read(Path::new("f"), error);
            assert_eq!(error.is_scarcity(), expected, "{error}");
        }
    }

    #[test]
    fn only_a_call_of_the_service_is_named_as_one() {
        for (operation, said) in [
            (Operation::Read, "f: gone"),
            (Operation::Configure, "f: gone"),
            (Operation::Single, "f: single/create: gone"),
        ] {
            let error = Error::new(Kind::Source, operation, "gone").with_path("f");
            assert_eq!(error.to_string(), said);
            let cut = error.cuts_off(Path::new("g")).to_string();
            assert_eq!(cut, said.replace("f: ", "g: not sent: "));
        }
    }

    #[test]
    fn an_empty_trace_id_is_none() {
        let error = Error::new(Kind::Protocol, Operation::Slice, "x")
            .with_trace_id("")
            .with_slice(3)
            .with_status(502);
        assert_eq!(error.trace_id(), None);
        assert_eq!(error.to_string(), "slice: x (slice 3, HTTP 502)");
    }
}
