//! Faults by ordinal. In come faults and, call by call, which operation on which server begins;
//! out goes the fault that strikes that call, counted per fault so that a failing test replays
//! exactly. Nothing is decided by chance or by the clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::weather::{Place, Weather};

/// One way in which calls go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation that it waits for; none means any.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// The upload server that it waits on; none means anywhere.
    #[serde(default)]
    pub server: Option<usize>,
    /// Which of the matching calls it strikes, counted from the moment it was injected.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// `action` on every call of `operation`; narrow it with [`Fault::nth`] and the like.
    pub fn on(operation: Operation, action: Action) -> Self {
        Self {
            operation: Some(operation),
            server: None,
            when: When::Always,
            action,
        }
    }

    /// Only the nth matching call, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first `k` matching calls.
    pub fn first(mut self, k: u64) -> Self {
        self.when = When::First(k);
        self
    }

    /// Every kth matching call.
    pub fn every(mut self, k: u64) -> Self {
        self.when = When::Every(k);
        self
    }

    /// The nth matching call and all that follow.
    pub fn from(mut self, n: u64) -> Self {
        self.when = When::From(n);
        self
    }

    /// Only on this upload server.
    pub fn at(mut self, server: usize) -> Self {
        self.server = Some(server);
        self
    }

    fn concerns(&self, operation: Operation, place: Place) -> bool {
        let operation_fits = self.operation.is_none_or(|wanted| wanted == operation);
        operation_fits
            && self
                .server
                .is_none_or(|wanted| place == Place::Server(wanted))
    }
}

/// The endpoints, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /upload/v2/file/create`
    Create,
    /// `POST /upload/v2/file/slice`
    Slice,
    /// `POST /upload/v2/file/upload_complete`
    Complete,
    /// `GET /upload/v2/file/domain`
    Domain,
    /// `POST /upload/v2/file/single/create`
    Single,
    /// `POST /api/v1/access_token`
    AccessToken,
    /// Whatever the service does not have.
    Unknown,
}

impl Operation {
    /// Every operation that the service has.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Slice,
        Self::Complete,
        Self::Domain,
        Self::Single,
        Self::AccessToken,
    ];

    /// The name that scripts and statistics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Slice => "slice",
            Self::Complete => "complete",
            Self::Domain => "domain",
            Self::Single => "single",
            Self::AccessToken => "access_token",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of the matching calls a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All.
    #[default]
    Always,
    /// The nth, from 1.
    Nth(u64),
    /// The first k.
    First(u64),
    /// Every kth.
    Every(u64),
    /// The nth and all after it.
    From(u64),
}

impl When {
    fn strikes(self, ordinal: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => ordinal == n,
            Self::First(k) => ordinal <= k,
            Self::Every(k) => k > 0 && ordinal.is_multiple_of(k),
            Self::From(n) => ordinal >= n,
        }
    }
}

/// What happens to the call that is struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An HTTP status instead of an answer; nothing is done. The body is read first unless said
    /// otherwise, so that the client has sent everything when it hears of it.
    Http {
        /// The status, such as 503.
        status: u16,
        /// What the answer's body is.
        #[serde(default)]
        page: Page,
        /// The `Retry-After` header, as it stands.
        #[serde(default)]
        retry_after: Option<String>,
        /// Answer at once, with the body unread.
        #[serde(default)]
        unread: bool,
    },
    /// HTTP 200 with this body code; nothing is done.
    Code {
        /// `code` of the envelope.
        code: i64,
        /// `message` of the envelope.
        message: String,
    },
    /// The connection is closed without an answer.
    Close(Cut),
    /// The stream is reset: RST_STREAM on h2, the end of the connection on HTTP/1.1.
    Reset,
    /// Reading stops after so many bytes of the body, for so long.
    StallReading {
        /// Bytes of the body that are still read.
        after: u64,
        /// For how long nothing more is read.
        millis: u64,
    },
    /// Everything is done, the answer waits.
    StallAnswer {
        /// For how long.
        millis: u64,
    },
    /// Everything is done, the answer is only the first half of its JSON.
    TruncatedJson,
    /// Everything is done, the answer is JSON that means nothing.
    WrongJson,
    /// Everything is done, the answer says completed with `fileID` 0.
    NoFileId,
    /// Everything is done, the answer says `completed: false` with `fileID` 0.
    NotCompleted,
    /// Everything is done, the answer is this body code all the same.
    DoneBut {
        /// `code` of the envelope.
        code: i64,
        /// `message` of the envelope.
        message: String,
    },
    /// This call is the last on its connection: `Connection: close`, or GOAWAY.
    LastCall,
    /// A body without `Content-Length` is answered with HTTP 411.
    RefuseChunked,
    /// All tokens that live have run out, this call's too.
    ExpireTokens,
    /// All preuploadIDs are forgotten, this call's too.
    ForgetUploads,
    /// This upload server's service is lost: it refuses, and its connections are reset.
    Kill {
        /// Which.
        server: usize,
    },
    /// This upload server comes back.
    Revive {
        /// Which.
        server: usize,
    },
    /// The weather changes, from this call on.
    Weather {
        /// Where.
        place: Place,
        /// To what.
        weather: Weather,
    },
}

impl Action {
    /// The full instant-upload queue, as the service words it.
    pub fn queue_full() -> Self {
        Self::Code {
            code: 1,
            message: "当前秒传队列已满，请慢一点".to_owned(),
        }
    }

    /// The call-rate limit as a body code, as the service words it.
    pub fn too_fast() -> Self {
        Self::Code {
            code: 429,
            message: TOO_FAST.to_owned(),
        }
    }

    /// An HTTP status with an empty body.
    pub fn status(status: u16) -> Self {
        Self::page(status, Page::Empty)
    }

    /// An HTTP status with a page.
    pub fn page(status: u16, page: Page) -> Self {
        Self::Http {
            status,
            page,
            retry_after: None,
            unread: false,
        }
    }
}

/// The body of an answer that is not the service's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// No body.
    #[default]
    Empty,
    /// A gateway's HTML page.
    Html,
    /// A gateway's JSON, which is not the envelope.
    Json,
    /// The text `i/o timeout`.
    IoTimeout,
}

/// Where in a call its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Before any of the body is read.
    BeforeBody,
    /// When so many bytes of the body were read.
    After(u64),
    /// When the whole body was read; nothing is done.
    AfterBody,
    /// When everything is done: only the answer is lost.
    AfterCommit,
    /// When everything is done and half of the answer is out.
    InAnswer,
}

/// The faults that wait, each with the number of calls it has seen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<(Fault, u64)>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.waiting.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// What strikes the call that now begins. Every fault counts it; all that strike are
    /// returned, in the order in which they were injected.
    pub(crate) fn strike(&mut self, operation: Operation, place: Place) -> Vec<Action> {
        let mut struck = Vec::new();
        for (fault, seen) in &mut self.waiting {
            if !fault.concerns(operation, place) {
                continue;
            }
            *seen += 1;
            if fault.when.strikes(*seen) {
                struck.push(fault.action.clone());
            }
        }
        struck
    }
}

/// How the service words that calls come too fast.
pub(crate) const TOO_FAST: &str = "操作频繁，请稍后再试";

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: Fault, calls: u64) -> Vec<u64> {
        let mut faults = Faults::default();
        faults.inject(fault);
        let strike = |faults: &mut Faults| faults.strike(Operation::Slice, Place::Server(1));
        (1..=calls)
            .filter(|_| !strike(&mut faults).is_empty())
            .collect()
    }

    #[test]
    fn ordinals_count_from_one() {
        let fault = || Fault::on(Operation::Slice, Action::TruncatedJson);
        assert_eq!(struck(fault().nth(3), 9), [3]);
        assert_eq!(struck(fault().first(2), 9), [1, 2]);
        assert_eq!(struck(fault().every(4), 9), [4, 8]);
        assert_eq!(struck(fault().from(8), 9), [8, 9]);
        assert_eq!(struck(fault(), 3), [1, 2, 3]);
    }

    #[test]
    fn only_matching_calls_are_counted() {
        let mut faults = Faults::default();
        faults.inject(Fault::on(Operation::Slice, Action::Reset).at(1).nth(2));
        let calls = [
            (Operation::Slice, Place::Server(1)),
            (Operation::Slice, Place::Server(0)),
            (Operation::Create, Place::Api),
            (Operation::Slice, Place::Server(1)),
        ];
        let struck: Vec<usize> = calls
            .iter()
            .map(|&(operation, place)| faults.strike(operation, place).len())
            .collect();
        assert_eq!(struck, [0, 0, 0, 1]);
    }

    #[test]
    fn scripts_are_readable() {
        let text = r#"{"operation":"slice","server":1,"when":{"nth":3},"action":{"close":{"after":4096}}}"#;
        let fault: Fault = serde_json::from_str(text).expect("a script line");
        let wanted = Fault::on(Operation::Slice, Action::Close(Cut::After(4096)));
        assert_eq!(fault, wanted.at(1).nth(3));
        let misspelt = r#"{"operaton":"slice","action":"truncated_json"}"#;
        assert!(serde_json::from_str::<Fault>(misspelt).is_err());
    }
}
