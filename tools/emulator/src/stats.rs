//! The ledger. In comes every call as it begins and ends, out go counters for everything and the
//! first calls one by one; it never influences an answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Serialize, Serializer};

use crate::fault::Operation;
use crate::weather::Place;

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
    /// Polls that were told to wait.
    pub pending: u64,
    /// Calls that the judge refused.
    pub refused: u64,
    /// Calls that a fault, a limit or the deadline spoilt.
    pub struck: u64,
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
    /// Body bytes that were read there.
    pub body_bytes: u64,
    /// Connections that were accepted there.
    pub connections: u64,
    /// Calls under way there at this moment.
    pub in_flight: u64,
    /// The most that ever were at once.
    pub peak: u64,
}

impl PlaceTally {
    fn of(place: Place) -> Self {
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
    /// Told to ask again.
    Pending,
    /// Refused by the judge, and why.
    Refused(String),
    /// Spoilt by a fault, a limit or the deadline, and which.
    Struck(String),
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

/// Where calls are entered.
#[derive(Debug)]
pub(crate) struct Ledger {
    stats: Mutex<Stats>,
    kept: usize,
    started: Instant,
    calls: AtomicU64,
    connections: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(servers: usize, kept: usize) -> Self {
        let places = std::iter::once(Place::Api).chain((0..servers).map(Place::Server));
        let stats = Stats {
            places: places.map(PlaceTally::of).collect(),
            ..Stats::default()
        };
        Self {
            stats: Mutex::new(stats),
            kept,
            started: Instant::now(),
            calls: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    pub(crate) fn snapshot(&self) -> Stats {
        self.lock().clone()
    }

    /// Counts a connection and gives it its number.
    pub(crate) fn connected(&self, place: Place) -> u64 {
        self.lock().places[place_index(place)].connections += 1;
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn folder_race(&self) {
        self.lock().folder_races += 1;
    }

    pub(crate) fn login(&self) {
        self.lock().logins += 1;
    }

    /// Enters a call that begins; it is written down when the visit is dropped.
    pub(crate) fn begin(self: &Arc<Self>, head: Head) -> Visit {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let mut stats = self.lock();
        let tally = stats.operations.entry(head.operation).or_default();
        tally.in_flight += 1;
        tally.peak = tally.peak.max(tally.in_flight);
        let place = &mut stats.places[place_index(head.place)];
        place.in_flight += 1;
        place.peak = place.peak.max(place.in_flight);
        drop(stats);
        let call = Call {
            number,
            operation: head.operation,
            place: head.place,
            http: head.http,
            connection: head.connection,
            framing: head.framing,
            body_bytes: 0,
            status: 0,
            code: None,
            outcome: Outcome::Lost,
            preupload_id: None,
            slice_no: None,
            at_ms: millis(self.started, now),
            took_ms: 0,
        };
        Visit {
            ledger: Arc::clone(self),
            body_bytes: Arc::default(),
            began: now,
            call,
        }
    }

    fn end(&self, call: Call) {
        let mut stats = self.lock();
        let tally = stats.operations.entry(call.operation).or_default();
        tally.in_flight -= 1;
        tally.calls += 1;
        tally.body_bytes += call.body_bytes;
        match call.outcome {
            Outcome::Done => tally.done += 1,
            Outcome::Reused => {
                tally.done += 1;
                tally.reused += 1;
            }
            Outcome::Pending => tally.pending += 1,
            Outcome::Refused(_) => tally.refused += 1,
            Outcome::Struck(_) => tally.struck += 1,
            Outcome::Lost => tally.lost += 1,
        }
        let place = &mut stats.places[place_index(call.place)];
        place.in_flight -= 1;
        place.calls += 1;
        place.body_bytes += call.body_bytes;
        *stats.versions.entry(call.http).or_default() += 1;
        *stats.statuses.entry(call.status).or_default() += 1;
        *stats.framings.entry(call.framing).or_default() += 1;
        if let Some(code) = call.code {
            *stats.codes.entry(code).or_default() += 1;
        }
        if stats.calls.len() < self.kept {
            stats.calls.push(call);
        } else {
            stats.calls_not_kept += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a call when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) operation: Operation,
    pub(crate) place: Place,
    pub(crate) http: Http,
    pub(crate) connection: u64,
    pub(crate) framing: Framing,
}

/// A call under way. Dropping it enters it, so one that is cut off in the middle is entered too.
#[derive(Debug)]
pub(crate) struct Visit {
    ledger: Arc<Ledger>,
    began: Instant,
    /// Counted by whoever reads the body.
    pub(crate) body_bytes: Arc<AtomicU64>,
    pub(crate) call: Call,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut call = self.call.clone();
        call.body_bytes = self.body_bytes.load(Ordering::Relaxed);
        call.took_ms = millis(self.began, Instant::now());
        self.ledger.end(call);
    }
}

fn place_index(place: Place) -> usize {
    match place {
        Place::Api => 0,
        Place::Server(server) => server + 1,
    }
}

fn millis(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
}

fn shared_text<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        operation: Operation::Slice,
        place: Place::Server(1),
        http: Http::Http2,
        connection: 1,
        framing: Framing::ContentLength,
    };

    #[test]
    fn every_call_is_counted_and_the_first_are_kept() {
        let ledger = Arc::new(Ledger::new(2, 3));
        let visits: Vec<Visit> = (0..5).map(|_| ledger.begin(HEAD)).collect();
        assert_eq!(ledger.snapshot().of(Operation::Slice).in_flight, 5);
        for mut visit in visits {
            visit.call.outcome = Outcome::Done;
            visit.call.status = 200;
            visit.body_bytes.fetch_add(10, Ordering::Relaxed);
        }
        drop(ledger.begin(HEAD));
        let stats = ledger.snapshot();
        assert_eq!((stats.calls.len(), stats.calls_not_kept), (3, 3));
        let slices = stats.of(Operation::Slice);
        assert_eq!((slices.calls, slices.done, slices.lost), (6, 5, 1));
        assert_eq!((slices.peak, slices.in_flight), (5, 0));
        assert_eq!((slices.body_bytes, stats.server(1).body_bytes), (50, 50));
        assert_eq!((stats.server(0).calls, stats.server(1).peak), (0, 5));
        assert_eq!(stats.statuses, BTreeMap::from([(0, 1), (200, 5)]));
    }
}
