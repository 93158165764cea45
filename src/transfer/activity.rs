//! What a run waits for just now. In: each call's steps, as it takes them. Out: how many calls are at
//! which step, the bodies in flight with their bytes, and the calls without an answer. Never: an event,
//! or anything of a call that has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::rates::RATED;
use super::tally::{CallCount, Tally};
use super::trace::{AttemptEnd, CallAttempt, Fact, Trace};
use super::waits::{WaitNote, WaitsFor};
use crate::error::{Error, Operation};
use crate::net::Origin;
use crate::sync::Mutex;

/// The calls of one run that have not ended.
#[derive(Debug, Default)]
pub struct Activity {
    /// Calls that wait for their turn at the call rate, by [`index`].
    turns: [AtomicUsize; RATED.len()],
    /// Those that have ended.
    pub(super) tally: Tally,
    attempts: Mutex<Entries<AttemptState>>,
    flights: Mutex<Entries<Flight>>,
    /// From the last byte that a socket took to the answer, of late bodies.
    answering: Mutex<Option<Duration>>,
    trace: Trace,
}

/// How many calls are at which step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// Waiting for their turn at the call rate.
    pub turns: usize,
    /// The call for whose turn most wait.
    pub rated: Option<Operation>,
    /// Bodies of which bytes are left to send.
    pub sending: usize,
    /// Bodies that were sent and not answered.
    pub unanswered: usize,
    /// Calls without content that were not answered.
    pub calling: usize,
    /// Calls that failed, before their next attempt.
    pub pausing: usize,
    /// Content bytes that sockets took, of bodies in flight.
    pub taken: u64,
    /// Those of them that were taken at once: so much a socket holds, whatever the link carries.
    pub filled: u64,
}

/// A call that has no answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Wait {
    /// Which call.
    pub operation: Operation,
    /// The server that it goes to, where that is an upload server.
    pub server: Option<String>,
    /// For how long nothing has been heard: since the attempt left, since its body last moved, or since
    /// the first attempt that failed.
    pub silent: Duration,
    /// Which attempt it is, or the next one will be; the first is 1.
    pub attempt: u32,
    /// Attempts at most, as far as the failures count.
    pub attempts: u32,
    /// The next attempt leaves after this; `None` where one is under way.
    pub next: Option<Duration>,
    /// How the last attempt failed.
    pub error: Option<Error>,
    /// Its body was sent in full.
    pub is_sent: bool,
}

/// A body in flight, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its number, for [`Activity::cut`].
    pub id: u64,
    /// Bytes that no socket has taken.
    pub bytes: u64,
    /// All its bytes.
    pub length: u64,
    /// For how long none was taken.
    pub silent: Duration,
}

#[derive(Debug)]
struct AttemptState {
    operation: Operation,
    attempt: u32,
    attempts: u32,
    error: Option<Error>,
    /// Since the attempt left, or the first failure.
    since: Instant,
    until: Option<Instant>,
    has_body: bool,
}

/// A request with a body, under way.
#[derive(Debug)]
struct Flight {
    call: u64,
    server: Origin,
    taken: Arc<AtomicU64>,
    length: u64,
    /// What was taken at the last look, and when that was new.
    seen: u64,
    moved: Instant,
    /// Its first byte was taken.
    began: Instant,
    /// What was taken within [`FILLING`] from then on.
    filled: u64,
    cut: Arc<Notify>,
}

impl Activity {
    /// Attempts that ended, where somebody wants to know.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many attempts at which call ended how.
    #[must_use]
    pub fn calls(&self) -> Vec<CallCount> {
        self.tally.counts()
    }

    /// A call that begins.
    pub(super) fn call(
        self: &Arc<Self>,
        operation: Operation,
        attempts: u32,
        waits: Option<Arc<WaitNote>>,
    ) -> CallWatch {
        CallWatch {
            activity: Arc::clone(self),
            operation,
            attempts,
            failed: None,
            number: 1,
            id: None,
            waits,
        }
    }

    /// From the last byte that a socket took to the answer, as it was for the bodies of late: what sockets
    /// and servers hold takes so long.
    #[must_use]
    pub fn answering(&self) -> Option<Duration> {
        *self.answering.lock()
    }

    /// The bodies in flight.
    #[must_use]
    pub fn flights(&self, now: Instant) -> Vec<Left> {
        let left = |(&id, flight): (&u64, &Flight)| {
            let taken = flight.taken.load(Ordering::Relaxed).min(flight.length);
            Left {
                id,
                bytes: flight.length - taken,
                length: flight.length,
                silent: match taken == flight.seen {
                    true => now.saturating_duration_since(flight.moved),
                    false => Duration::ZERO,
                },
            }
        };
        self.flights.lock().all.iter().map(left).collect()
    }

    /// Ends the requests with these bodies: they are not waited for, and give way to the others.
    pub fn cut(&self, bodies: &[u64]) {
        let flights = self.flights.lock();
        for flight in bodies.iter().filter_map(|id| flights.all.get(id)) {
            flight.cut.notify_one();
        }
    }

    fn answered(&self, flight: &Flight) {
        // One that was answered between two looks took no time to speak of.
        let took = match flight.seen < flight.length {
            true => Duration::ZERO,
            false => flight.moved.elapsed(),
        };
        let mut answering = self.answering.lock();
        *answering = Some(answering.map_or(took, |before| before * 4 / 5 + took / 5));
    }

    /// Counts, and notes which bodies have moved.
    #[must_use]
    pub fn look(&self, now: Instant) -> Steps {
        let mut steps = Steps::default();
        let mut most = 0;
        for (&operation, turns) in RATED.iter().zip(&self.turns) {
            let turns = turns.load(Ordering::Relaxed);
            steps.turns += turns;
            if turns > most {
                (most, steps.rated) = (turns, Some(operation));
            }
        }
        for flight in self.flights.lock().all.values_mut() {
            let taken = flight.taken.load(Ordering::Relaxed).min(flight.length);
            if taken != flight.seen {
                (flight.seen, flight.moved) = (taken, now);
            }
            if flight.filled == 0 {
                flight.began = now;
            }
            if now.saturating_duration_since(flight.began) <= FILLING {
                flight.filled = taken.min(SOCKET);
            }
            steps.taken += taken;
            steps.filled += flight.filled;
            match taken < flight.length {
                true => steps.sending += 1,
                false => steps.unanswered += 1,
            }
        }
        for attempt in self.attempts.lock().all.values() {
            match attempt.until {
                Some(_) => steps.pausing += 1,
                None if !attempt.has_body => steps.calling += 1,
                None => {}
            }
        }
        steps
    }

    /// The calls that wait for longest, from `least` on, `most` of them.
    #[must_use]
    pub fn waits(&self, now: Instant, least: Duration, most: usize) -> Vec<Wait> {
        let mut bodies = HashMap::new();
        for flight in self.flights.lock().all.values() {
            let moved = now.saturating_duration_since(flight.moved);
            let server = flight.server.to_string();
            let is_sent = flight.seen >= flight.length;
            bodies.insert(flight.call, (server, moved, is_sent));
        }
        let mut waits = Vec::new();
        for (id, attempt) in &self.attempts.lock().all {
            let since = now.saturating_duration_since(attempt.since);
            let (server, silent, is_sent) = match bodies.remove(id) {
                Some((server, moved, is_sent)) => (Some(server), moved, is_sent),
                None => (None, since, false),
            };
            if silent >= least {
                waits.push(Wait {
                    operation: attempt.operation,
                    server,
                    silent,
                    attempt: attempt.attempt,
                    attempts: attempt.attempts,
                    next: attempt
                        .until
                        .map(|until| until.saturating_duration_since(now)),
                    error: attempt.error.clone(),
                    is_sent,
                });
            }
        }
        waits.sort_by_key(|wait| std::cmp::Reverse(wait.silent));
        waits.truncate(most);
        waits
    }
}

/// One call, as the retry loop goes through its steps.
#[derive(Debug)]
pub(super) struct CallWatch {
    activity: Arc<Activity>,
    operation: Operation,
    attempts: u32,
    /// When the first attempt failed, and how the last one did.
    failed: Option<(Instant, Error)>,
    /// Which attempt it is.
    number: u32,
    id: Option<u64>,
    /// Where it is noted what the file waits for.
    waits: Option<Arc<WaitNote>>,
}

impl CallWatch {
    /// It waits for its turn at the call rate, as long as the answer is held.
    pub(super) fn turn(&self) -> Option<TurnWatch> {
        let index = index(self.operation)?;
        self.waits(WaitsFor::Turn);
        self.activity.turns[index].fetch_add(1, Ordering::Relaxed);
        let since = self.activity.trace.is_on().then(Instant::now);
        Some(TurnWatch(Arc::clone(&self.activity), index, since))
    }

    /// The file waits for this, on account of this call.
    pub(super) fn waits(&self, waits: WaitsFor) {
        self.note(Some(waits));
    }

    fn note(&self, waits: Option<WaitsFor>) {
        if let Some(note) = &self.waits {
            note.set(waits);
        }
    }

    /// Attempt `number` leaves.
    pub(super) fn leaves(&mut self, number: u32, now: Instant) {
        self.waits(WaitsFor::Answer);
        self.enter(number, now, None);
    }

    /// Attempt `number` leaves after `delay`, since the one before failed with `error`.
    pub(super) fn pauses(&mut self, number: u32, delay: Duration, error: &Error) {
        self.waits(WaitsFor::Retry);
        let now = Instant::now();
        let first = self.failed.as_ref().map_or(now, |(first, _)| *first);
        self.failed = Some((first, error.clone()));
        self.enter(number, first, Some(now + delay));
        let again = || Fact::Again {
            operation: self.operation,
            after: delay,
        };
        self.activity.trace.note(again);
    }

    /// Attempt `number`, which left when it `began`, has ended. Bodies tell that themselves, by their flights.
    pub(super) fn ended(&self, number: u32, began: Instant, error: Option<&Error>) {
        if self.has_body() {
            return;
        }
        let attempt = || {
            Fact::Attempt(CallAttempt {
                operation: self.operation,
                server: None,
                number,
                began,
                took: began.elapsed(),
                bytes: 0,
                sent: 0,
                end: end(error),
            })
        };
        self.activity.trace.note(attempt);
    }

    fn has_body(&self) -> bool {
        matches!(self.operation, Operation::Slice | Operation::Single)
    }

    /// It waits for a permit or a turn, which are counted elsewhere.
    pub(super) fn rests(&mut self) {
        if let Some(id) = self.id.take() {
            self.activity.attempts.lock().all.remove(&id);
        }
    }

    fn enter(&mut self, attempt: u32, since: Instant, until: Option<Instant>) {
        self.rests();
        let state = AttemptState {
            operation: self.operation,
            attempt,
            attempts: self.attempts,
            error: self.failed.as_ref().map(|(_, error)| error.clone()),
            since,
            until,
            has_body: self.has_body(),
        };
        self.number = attempt;
        self.id = self.activity.attempts.lock().insert(state);
    }

    /// Its body goes to `server`, until the answer is dropped.
    pub(super) fn flies(
        &self,
        server: &Origin,
        taken: &Arc<AtomicU64>,
        length: u64,
    ) -> FlightWatch {
        self.note(None);
        let now = Instant::now();
        let flight = Flight {
            call: self.id.unwrap_or_default(),
            server: server.clone(),
            taken: Arc::clone(taken),
            length,
            seen: 0,
            moved: now,
            began: now,
            filled: 0,
            cut: Arc::default(),
        };
        let cut = Arc::clone(&flight.cut);
        let attempt = self.activity.trace.is_on().then(|| CallAttempt {
            operation: self.operation,
            server: Some(server.to_string()),
            number: self.number,
            began: flight.moved,
            took: Duration::ZERO,
            bytes: length,
            sent: 0,
            end: AttemptEnd::Dropped,
        });
        let id = self.activity.flights.lock().insert(flight);
        FlightWatch {
            activity: Arc::clone(&self.activity),
            id,
            cut,
            attempt: Mutex::new(attempt),
            taken: Arc::clone(taken),
        }
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        self.note(None);
        self.rests();
    }
}

/// A call waits for its turn while this lives.
#[derive(Debug)]
pub(super) struct TurnWatch(Arc<Activity>, usize, Option<Instant>);

impl Drop for TurnWatch {
    fn drop(&mut self) {
        self.0.turns[self.1].fetch_sub(1, Ordering::Relaxed);
        if let Some(since) = self.2 {
            let turn = || Fact::Turn {
                operation: RATED[self.1],
                waited: since.elapsed(),
            };
            self.0.trace.note(turn);
        }
    }
}

/// A request is under way while this lives.
#[derive(Debug)]
pub(super) struct FlightWatch {
    activity: Arc<Activity>,
    id: Option<u64>,
    cut: Arc<Notify>,
    /// What is told of it when it ends, where somebody wants to know.
    attempt: Mutex<Option<CallAttempt>>,
    taken: Arc<AtomicU64>,
}

impl FlightWatch {
    /// It was answered, or failed.
    pub(super) fn ended(&self, error: Option<&Error>) {
        if let Some(attempt) = &mut *self.attempt.lock() {
            attempt.end = end(error);
        }
    }

    /// Waits until the request is not wanted any more.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Drop for FlightWatch {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.lock().take() {
            let taken = self.taken.load(Ordering::Relaxed);
            self.activity.trace.note(|| {
                Fact::Attempt(CallAttempt {
                    took: attempt.began.elapsed(),
                    sent: taken.min(attempt.bytes),
                    ..attempt
                })
            });
        }
        if let Some(id) = self.id {
            let flight = self.activity.flights.lock().all.remove(&id);
            let is_sent = |flight: &Flight| flight.taken.load(Ordering::Relaxed) >= flight.length;
            if let Some(flight) = flight.filter(is_sent) {
                self.activity.answered(&flight);
            }
        }
    }
}

/// What has not ended, by a number of its own; what does not fit is not watched.
#[derive(Debug)]
struct Entries<T> {
    last: u64,
    all: HashMap<u64, T>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries {
            last: 0,
            all: HashMap::new(),
        }
    }
}

impl<T> Entries<T> {
    fn insert(&mut self, entry: T) -> Option<u64> {
        if self.all.len() >= MOST {
            return None;
        }
        self.last += 1;
        self.all.insert(self.last, entry);
        Some(self.last)
    }
}

fn end(error: Option<&Error>) -> AttemptEnd {
    error.map_or(AttemptEnd::Answered, |error| {
        AttemptEnd::Failed(error.clone())
    })
}

fn index(operation: Operation) -> Option<usize> {
    RATED.iter().position(|&rated| rated == operation)
}

/// A socket that has room takes what it holds within this time.
const FILLING: Duration = Duration::from_millis(250);

/// What a socket holds at most, as systems have it, and its peer's on the same machine.
const SOCKET: u64 = 8 << 20;

/// Calls and bodies that are watched at once: more than are ever in flight.
const MOST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_call_is_seen_at_each_of_its_steps_and_not_after() {
        let activity = Arc::<Activity>::default();
        let mut call = activity.call(Operation::Create, 8, None);
        let now = Instant::now();
        assert_eq!(activity.look(now), Steps::default());
        let turn = call.turn();
        let steps = activity.look(now);
        assert_eq!((steps.turns, steps.rated), (1, Some(Operation::Create)));
        drop(turn);
        call.leaves(1, now);
        assert_eq!(activity.look(now).calling, 1);
        let error = Error::new(Kind::Transport, Operation::Create, "refused");
        call.pauses(2, 12 * SECOND, &error);
        assert_eq!(activity.look(now).pausing, 1);
        let waits = activity.waits(Instant::now() + 6 * SECOND, 5 * SECOND, 3);
        let [wait] = &waits[..] else {
            panic!("{waits:?}")
        };
        assert_eq!((wait.attempt, wait.attempts), (2, 8));
        assert!(wait.next.is_some_and(|next| next <= 6 * SECOND), "{wait:?}");
        assert_eq!(wait.error, Some(error));
        drop(call);
        assert_eq!(activity.look(now), Steps::default());
        assert_eq!(activity.waits(now + 60 * SECOND, SECOND, 3), []);
    }

    #[test]
    fn a_body_that_moves_is_not_waited_for() {
        let activity = Arc::<Activity>::default();
        let mut call = activity.call(Operation::Slice, 8, None);
        let server = Origin::parse("upload.example", crate::net::Scheme::Https).expect("a name");
        let (taken, now) = (Arc::<AtomicU64>::default(), Instant::now());
        call.leaves(1, now);
        let flight = call.flies(&server, &taken, 100);
        let later = now + 7 * SECOND;
        assert_eq!(activity.look(later).sending, 1);
        let waits = activity.waits(later, 5 * SECOND, 3);
        assert!(
            waits[0]
                .server
                .as_ref()
                .is_some_and(|name| name.contains("upload.example"))
        );
        taken.store(40, Ordering::Relaxed);
        assert_eq!(activity.look(later).filled, 40);
        taken.store(60, Ordering::Relaxed);
        let steps = activity.look(later + SECOND);
        assert_eq!((steps.taken, steps.filled), (60, 40), "at once, and later");
        assert_eq!(activity.waits(later, 5 * SECOND, 3), []);
        // Headers come on top of the content.
        taken.store(130, Ordering::Relaxed);
        let steps = activity.look(later);
        assert_eq!(
            (steps.taken, steps.sending, steps.unanswered),
            (100, 0, 1),
            "its answer is missing"
        );
        assert_eq!(activity.answering(), None);
        drop(flight);
        assert_eq!(activity.look(later).taken, 0);
        assert!(activity.answering().is_some());
    }

    const SECOND: Duration = Duration::from_secs(1);
}
