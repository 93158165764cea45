//! A run looked at, ten times a second: the limiter is told how far the connections are, and it is kept
//! what holds the run back. In: the run's calls, bodies and counters. Out: what [`Progress::snapshot`]
//! tells. Never: a wait.
//!
//! [`Progress::snapshot`]: super::Progress::snapshot

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::event::Looked;
use super::held::Moment;
use super::run::Shared;
use super::under_way::Step;

/// What the last looks found.
#[derive(Debug)]
pub struct Looks {
    last: Instant,
    processor: Duration,
    /// Content bytes that sockets took, and bytes that were acknowledged.
    bytes: (u64, u64),
    moved: Instant,
    /// Bytes sent at the begin of the present [`SPAN`].
    span: (Instant, u64),
    at_limit: bool,
}

impl Looks {
    /// Of a run that begins.
    pub fn new() -> Looks {
        let now = Instant::now();
        Looks {
            last: now,
            processor: processor_time(),
            bytes: (0, 0),
            moved: now,
            span: (now, 0),
            at_limit: false,
        }
    }

    /// Looks at the run.
    pub fn look(&mut self, shared: &Shared, now: Instant) {
        let (transfer, progress) = (&shared.core.transfer, &shared.progress);
        transfer.sample(now);
        let (in_flight, permits) = transfer.load();
        progress.in_flight.store(in_flight, Ordering::Relaxed);
        progress.permits.store(permits, Ordering::Relaxed);
        let steps = shared.scope.activity.look(now);
        let acked = progress.acked.load(Ordering::Relaxed);
        let sent = shared.scope.sent.load(Ordering::Relaxed);
        self.limit(now, sent, shared.core.options.limit_rate);
        if (sent, acked) != self.bytes {
            (self.bytes, self.moved) = ((sent, acked), now);
        }
        let moment = Moment {
            steps,
            queued: transfer.queued(),
            verifying: progress.under_way.count(Step::Verifying),
            moves: now.saturating_duration_since(self.moved) < STANDSTILL,
            at_limit: self.at_limit,
            processors: self.processors(now),
        };
        let held = moment.held();
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.last, now));
        progress.spent.add(held, passed);
        let call = steps.rated.and_then(|call| transfer.call_rate(call));
        let mut looked = progress.looked.lock();
        *looked = Looked {
            held: Some(held),
            on_wire: steps.taken,
            call_rate: call.or(looked.call_rate),
        };
    }

    /// Whether bytes go out about as fast as `limit` lets them.
    fn limit(&mut self, now: Instant, sent: u64, limit: Option<u64>) {
        let passed = now.saturating_duration_since(self.span.0);
        if passed < SPAN {
            return;
        }
        let rate = sent.saturating_sub(self.span.1) as f64 / passed.as_secs_f64();
        self.at_limit = limit.is_some_and(|limit| rate >= 0.85 * limit as f64);
        self.span = (now, sent);
    }

    /// How many processors this process used since the last look.
    fn processors(&mut self, now: Instant) -> f64 {
        let used = processor_time();
        let since = used.saturating_sub(std::mem::replace(&mut self.processor, used));
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        since.as_secs_f64() / passed.max(0.001)
    }
}

#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Not known: what is read counts as the disk's.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}

/// The rate is worked out over so long.
const SPAN: Duration = Duration::from_secs(1);

/// Bodies of which no byte moves for so long stand still.
const STANDSTILL: Duration = Duration::from_secs(2);
