//! The actions of faults: one value for each way to go wrong, spelled the same in Rust and in
//! JSON. They are carried out elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::{NetworkConditions, Place};

/// What happens to the call that a fault is due for.
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
    /// Any answer of a proxy or portal on the way; nothing is done.
    Answer {
        /// The status, such as 302.
        status: u16,
        /// The body, as it stands.
        #[serde(default)]
        body: String,
        /// Headers besides those that every answer has, such as `Location`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Answer at once, with the request's body unread.
        #[serde(default)]
        unread: bool,
    },
    /// The call is checked as usual, and its file taken into the instant-upload queue: the
    /// answer is the service's own sentence for that, without an id. For create, complete, single.
    Queued {
        /// After how many milliseconds the file appears by itself, unless its name is taken by then;
        /// none means never. What create takes appears only where its content is already known.
        #[serde(default)]
        appears_after: Option<u64>,
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
    /// A page of a listing that was asked with a cursor ends in the same cursor.
    RepeatCursor,
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
    /// The network at a place changes, from this call on.
    #[serde(alias = "weather")]
    Network {
        /// Where.
        place: Place,
        /// To what.
        #[serde(alias = "weather")]
        conditions: NetworkConditions,
    },
}

impl Action {
    /// The queue that takes no more. [`Action::Queued`] is the one that has taken the file.
    pub fn queue_full() -> Self {
        Self::Code {
            code: 1,
            message: "任务队列削峰中，请慢一点".to_owned(),
        }
    }

    /// A page of a proxy on the way.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            body: body.into(),
            headers: BTreeMap::new(),
            unread: false,
        }
    }

    /// A redirect, as a portal sends it.
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::Answer {
            status,
            body: "<html>moved</html>".to_owned(),
            headers: BTreeMap::from([("Location".to_owned(), location.into())]),
            unread: false,
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

/// How the service words that it has taken a file into its queue.
pub(crate) const QUEUED: &str =
    "该任务已成功进入秒传队列,任务队列削峰中,未直接获取到文件ID,请慢一点";

/// How the service words that calls come too fast.
pub(crate) const TOO_FAST: &str = "操作频繁，请稍后再试";
