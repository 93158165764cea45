//! The statistics: counters for everything and the first calls one by one. Plain data; it is
//! counted in the call log.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::network::Place;
use crate::operation::Operation;

/// What the emulator has seen so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Calls that ended, in that order: the first ones, as many as the configuration keeps.
    pub calls: Vec<Call>,
    /// Calls that were counted but not kept.
    pub calls_not_kept: u64,
    /// Counters per operation.
    pub operations: BTreeMap<Operation, Tally>,
    /// Counters per place: the API base, then the upload servers.
    pub places: Vec<PlaceTally>,
    /// Calls per HTTP version.
    pub versions: BTreeMap<Http, u64>,
    /// Calls per HTTP status of the answer; 0 where there was none.
    pub statuses: BTreeMap<u16, u64>,
    /// Calls per body code of the answer.
    pub codes: BTreeMap<i64, u64>,
    /// Bodies with a `Content-Length`, without one, and calls that had no body.
    pub framings: BTreeMap<Framing, u64>,
    /// Calls that needed a folder which an overlapping call was just making.
    pub folder_races: u64,
    /// Tokens that were handed out.
    pub logins: u64,
}

impl Stats {
    /// Counters of one operation; zeros if it was never called.
    pub fn of(&self, operation: Operation) -> Tally {
        self.operations.get(&operation).copied().unwrap_or_default()
    }

    /// The kept calls of one operation, in the order in which they ended.
    pub fn calls_of(&self, operation: Operation) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(move |call| call.operation == operation)
    }

    /// Counters of one upload server; zeros if there is none of that number.
    pub fn server(&self, server: usize) -> PlaceTally {
        let place = Place::Server(server);
        let tally = self.places.iter().find(|tally| tally.place == place);
        tally.copied().unwrap_or(PlaceTally::of(place))
    }
}

/// Counters of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls that ended, however.
    pub calls: u64,
    /// Calls that were done (code 0), reuse among them.
    pub done: u64,
    /// Creates that ended in reuse.
    pub reused: u64,
    /// Polls that were answered "not yet".
    pub pending: u64,
    /// Calls that were refused by a rule.
    pub refused: u64,
    /// Calls that a fault, a limit or the deadline altered.
    pub faulted: u64,
    /// Calls whose client went away.
    pub lost: u64,
    /// Body bytes that were read.
    pub body_bytes: u64,
    /// Calls that are under way at this moment.
    pub in_flight: u64,
    /// The most that ever were at once.
    pub peak: u64,
}

/// Counters of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceTally {
    /// Which.
    pub place: Place,
    /// Calls that ended there.
    pub calls: u64,
    /// Body bytes that were read there, of calls under way as well.
    pub body_bytes: u64,
    /// Connections that were accepted there.
    pub connections: u64,
    /// Calls under way there at this moment.
    pub in_flight: u64,
    /// The most that ever were at once.
    pub peak: u64,
}

impl PlaceTally {
    pub(crate) fn of(place: Place) -> Self {
        Self {
            place,
            calls: 0,
            body_bytes: 0,
            connections: 0,
            in_flight: 0,
            peak: 0,
        }
    }
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Its number, from 1, in the order in which calls began.
    pub number: u64,
    /// What was called.
    pub operation: Operation,
    /// Where.
    pub place: Place,
    /// Over which version of HTTP.
    pub http: Http,
    /// The connection's number, from 1 over all places.
    pub connection: u64,
    /// How its body was framed.
    pub framing: Framing,
    /// Body bytes that were read.
    pub body_bytes: u64,
    /// HTTP status of the answer; 0 where there was none.
    pub status: u16,
    /// Body code of the answer, if it had one.
    pub code: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The preuploadID that it named or was given.
    #[serde(serialize_with = "shared_text")]
    pub preupload_id: Option<Arc<str>>,
    /// The slice that it brought.
    pub slice_no: Option<u32>,
    /// Milliseconds from the start of the emulator to its head.
    pub at_ms: u64,
    /// Milliseconds from its head to its end.
    pub took_ms: u64,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Done: the content was already there.
    Reused,
    /// Answered "not yet".
    Pending,
    /// Refused by a rule, and why.
    Refused(String),
    /// Spoilt by a fault, a limit or the deadline, and which.
    Faulted(String),
    /// The client went away before its answer.
    Lost,
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Http {
    /// HTTP/1.x.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How a body was framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// By a `Content-Length` above 0.
    ContentLength,
    /// Without: chunked, or an h2 stream that just ends.
    Chunked,
    /// There was none.
    NoBody,
}

fn shared_text<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}
