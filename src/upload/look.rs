//! A run looked at, ten times a second: the limiter is told how far the connections are, and it is kept
//! what holds the run back. In: the run's calls, bodies and counters. Out: what [`Progress::snapshot`]
//! tells. Never: a wait.
//!
//! [`Progress::snapshot`]: super::Progress::snapshot

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::event::Looked;
use super::held::Moment;
use super::landing::Landing;
use super::run::{Purpose, Shared};
use super::under_way::Step;
use crate::error::Operation;
use crate::http::Version;
use crate::net::Origin;
use crate::source::processor_time;

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
    speed: Option<f64>,
    at_limit: bool,
    /// Connections are open, or there was no time to open them ahead.
    warm: bool,
    /// When what was found of the link was kept.
    kept: Instant,
    /// What was said of it.
    said: Said,
}

/// Decisions that were logged.
#[derive(Debug, Default)]
struct Said {
    permits: usize,
    call_rate: f64,
    /// Servers, and the HTTP version found faster.
    servers: Vec<(String, Option<Version>)>,
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
            speed: None,
            at_limit: false,
            warm: false,
            kept: now,
            said: Said::default(),
        }
    }

    /// Looks at the run.
    pub fn look(&mut self, shared: &Shared, now: Instant) {
        let (transfer, progress) = (&shared.core.transfer, &shared.progress);
        let steps = shared.scope.activity.look(now);
        transfer.sample(now, progress.left_to_send(steps.taken));
        let (in_flight, permits) = transfer.load();
        progress.in_flight.store(in_flight, Ordering::Relaxed);
        progress.permits.store(permits, Ordering::Relaxed);
        let acked = progress.acked.load(Ordering::Relaxed);
        let sent = shared.scope.sent.load(Ordering::Relaxed);
        self.warm_up(shared, sent);
        if now.saturating_duration_since(self.span.0) >= SPAN {
            self.said.servers(&transfer.versions());
            self.pace(now, sent, transfer.limit_rate());
        }
        if now.saturating_duration_since(self.kept) >= KEEPS_EVERY {
            self.kept = now;
            shared.core.keep_links();
        }
        if (sent, acked) != self.bytes {
            (self.bytes, self.moved) = ((sent, acked), now);
        }
        let moment = Moment {
            steps,
            queued: transfer.queued(),
            verifying: progress.under_way.count(Step::Verifying),
            moves: now.saturating_duration_since(self.moved) < STANDSTILL,
            at_limit: self.at_limit,
            gives_way: transfer.gives_way(),
            processors: self.processors(now),
        };
        let held = moment.held();
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.last, now));
        progress.spent.add(held, passed);
        let call = steps.rated.and_then(|call| transfer.call_rate(call));
        self.said.permits(permits);
        if let (Some(operation), Some(rate)) = (steps.rated, call) {
            self.said.call_rate(operation, rate);
        }
        let mut looked = progress.looked.lock();
        *looked = Looked {
            held: Some(held),
            on_wire: steps.taken,
            in_sockets: steps.filled,
            call_rate: call.or(looked.call_rate),
            speed: self.speed,
            steering: Some(transfer.steering()),
            landing: looked
                .landing
                .map(|landing| (self.landing(shared, landing, now), now)),
        };
    }

    /// While the first file by slices is hashed, and nothing was sent, connections are opened.
    fn warm_up(&mut self, shared: &Shared, sent: u64) {
        let hashes = || {
            let slices_from = shared.core.options.single_max;
            shared.progress.under_way.hashes_beyond(slices_from)
        };
        let begins = !self.warm && shared.purpose == Purpose::Upload;
        if begins && sent == 0 && hashes() {
            shared.core.transfer.warm_up();
            self.warm = true;
        }
        self.warm |= sent > 0;
    }

    /// How fast bytes go out, and whether that is about as fast as `limit` lets them.
    fn pace(&mut self, now: Instant, sent: u64, limit: Option<u64>) {
        let passed = now.saturating_duration_since(self.span.0);
        let rate = sent.saturating_sub(self.span.1) as f64 / passed.as_secs_f64();
        if rate > 0.0 {
            self.speed = Some(self.speed.map_or(rate, |before| (before + rate) / 2.0));
        }
        self.at_limit = limit.is_some_and(|limit| rate >= 0.85 * limit as f64);
        self.span = (now, sent);
    }

    /// What is waited for after an interrupt, as far as it has come by now.
    fn landing(
        &self,
        shared: &Shared,
        (landing, since): (Landing, Instant),
        now: Instant,
    ) -> Landing {
        let activity = &shared.scope.activity;
        let left: u64 = activity.flights(now).iter().map(|body| body.bytes).sum();
        let sent = self.speed.map(|speed| left as f64 / speed);
        let sent = sent.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let answering = activity.answering().unwrap_or_default();
        let passed = now.saturating_duration_since(since);
        Landing {
            needs: landing.needs.and(sent).map(|sent| sent + answering),
            longest: landing.longest.saturating_sub(passed),
            ..landing
        }
    }

    /// How many processors this process used since the last look.
    fn processors(&mut self, now: Instant) -> f64 {
        let used = processor_time();
        let since = used.saturating_sub(std::mem::replace(&mut self.processor, used));
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        since.as_secs_f64() / passed.max(0.001)
    }
}

impl Said {
    fn permits(&mut self, permits: usize) {
        let before = std::mem::replace(&mut self.permits, permits);
        if before != permits && before > 0 {
            tracing::info!("bodies in flight: {permits} at most, {before} before");
        }
    }

    /// A rate that grows a little is not worth a line.
    fn call_rate(&mut self, operation: Operation, rate: f64) {
        let change = rate / self.call_rate;
        if self.call_rate == 0.0 || !(0.8..1.5).contains(&change) {
            self.call_rate = rate;
            tracing::info!("{}: {rate:.1} calls per second", operation.name());
        }
    }

    fn servers(&mut self, servers: &[(Origin, Option<Version>)]) {
        for (server, faster) in servers {
            let server = server.to_string();
            let known = self.servers.iter().position(|(known, _)| *known == server);
            match known {
                Some(at) if self.servers[at].1 == *faster => continue,
                Some(at) => self.servers[at].1 = *faster,
                None if self.servers.len() >= MOST_SERVERS => continue,
                None => {
                    tracing::info!("upload server {server}");
                    self.servers.push((server.clone(), *faster));
                }
            }
            if let Some(version) = faster {
                tracing::info!("{server}: {version:?} is faster");
            }
        }
    }
}

/// Servers that are told of.
const MOST_SERVERS: usize = 64;

/// A run that is killed has kept what it found, but for so long.
const KEEPS_EVERY: Duration = Duration::from_secs(10);

/// The rate is worked out over so long.
const SPAN: Duration = Duration::from_secs(1);

/// Bodies of which no byte moves for so long stand still.
const STANDSTILL: Duration = Duration::from_secs(2);
