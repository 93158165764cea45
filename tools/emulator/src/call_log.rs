//! The log of all calls: counters for everything, and the first calls one by one. In comes each
//! call as it begins and ends, out go the statistics; it never influences an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::network::Place;
use crate::operation::Operation;
use crate::stats::{Call, Framing, Http, Outcome, PlaceTally, Stats};

/// Where calls are entered.
#[derive(Debug)]
pub(crate) struct CallLog {
    stats: Mutex<Stats>,
    kept: usize,
    started: Instant,
    calls: AtomicU64,
    connections: AtomicU64,
    /// Body bytes that were read, by place, of calls under way as well.
    read: Vec<Arc<AtomicU64>>,
}

impl CallLog {
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
            read: (0..=servers).map(|_| Arc::default()).collect(),
        }
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut stats = self.lock().clone();
        for (place, read) in stats.places.iter_mut().zip(&self.read) {
            place.body_bytes = read.load(Ordering::Relaxed);
        }
        stats
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

    /// Enters a call that begins; it is written down when the record is dropped.
    pub(crate) fn begin(self: &Arc<Self>, head: CallHead) -> CallRecord {
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
        CallRecord {
            call_log: Arc::clone(self),
            reads: BytesRead {
                call: Arc::default(),
                place: Arc::clone(&self.read[place_index(head.place)]),
            },
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
            Outcome::Faulted(_) => tally.faulted += 1,
            Outcome::Lost => tally.lost += 1,
        }
        let place = &mut stats.places[place_index(call.place)];
        place.in_flight -= 1;
        place.calls += 1;
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
pub(crate) struct CallHead {
    pub(crate) operation: Operation,
    pub(crate) place: Place,
    pub(crate) http: Http,
    pub(crate) connection: u64,
    pub(crate) framing: Framing,
}

/// A call under way. Dropping it enters it, so one that is cut off in the middle is entered too.
#[derive(Debug)]
pub(crate) struct CallRecord {
    call_log: Arc<CallLog>,
    began: Instant,
    /// Counted by the reader of the body.
    pub(crate) reads: BytesRead,
    pub(crate) call: Call,
}

/// What was read of one call's body, entered at its place as it comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct BytesRead {
    call: Arc<AtomicU64>,
    place: Arc<AtomicU64>,
}

impl BytesRead {
    pub(crate) fn add(&self, bytes: u64) {
        self.call.fetch_add(bytes, Ordering::Relaxed);
        self.place.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Of this call.
    pub(crate) fn bytes(&self) -> u64 {
        self.call.load(Ordering::Relaxed)
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let mut call = self.call.clone();
        call.body_bytes = self.reads.bytes();
        call.took_ms = millis(self.began, Instant::now());
        self.call_log.end(call);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HEAD: CallHead = CallHead {
        operation: Operation::Slice,
        place: Place::Server(1),
        http: Http::Http2,
        connection: 1,
        framing: Framing::ContentLength,
    };

    #[test]
    fn every_call_is_counted_and_the_first_are_kept() {
        let call_log = Arc::new(CallLog::new(2, 3));
        let records: Vec<CallRecord> = (0..5).map(|_| call_log.begin(HEAD)).collect();
        assert_eq!(call_log.snapshot().of(Operation::Slice).in_flight, 5);
        for mut record in records {
            record.call.outcome = Outcome::Done;
            record.call.status = 200;
            record.reads.add(10);
            assert!(
                call_log.snapshot().server(1).body_bytes >= 10,
                "before it ended"
            );
        }
        drop(call_log.begin(HEAD));
        let stats = call_log.snapshot();
        assert_eq!((stats.calls.len(), stats.calls_not_kept), (3, 3));
        let slices = stats.of(Operation::Slice);
        assert_eq!((slices.calls, slices.done, slices.lost), (6, 5, 1));
        assert_eq!((slices.peak, slices.in_flight), (5, 0));
        assert_eq!((slices.body_bytes, stats.server(1).body_bytes), (50, 50));
        assert_eq!((stats.server(0).calls, stats.server(1).peak), (0, 5));
        assert_eq!(stats.statuses, BTreeMap::from([(0, 1), (200, 5)]));
    }
}
