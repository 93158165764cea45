//! The choice of a server for a slice. In: slices begun, acknowledged and failed, for each server. Out:
//! the server whose next slice is expected to be done first. Never: a connection, nor a server given up
//! for good.

use std::time::{Duration, Instant};

use crate::error::Kind;

/// All servers with their scores, and with what else the caller knows of each, `T`. An index is a
/// server's name, until it is forgotten.
#[derive(Debug, Clone)]
pub struct ServerScores<T> {
    servers: Vec<Option<ServerScore<T>>>,
    /// Indexes of those that were forgotten, to be used again.
    free: Vec<usize>,
    /// A slice's bytes of late: what one more slice would cost.
    slice: f64,
}

#[derive(Debug, Clone)]
struct ServerScore<T> {
    known: T,
    in_flight: u64,
    slices_in_flight: u32,
    /// Seconds per byte of a slice, lately; `None` until the first acknowledgement.
    pace: Option<f64>,
    paced_at: Option<Instant>,
    /// The last acknowledgement, or when something was sent after an idle time.
    heard_at: Option<Instant>,
    failures: u32,
    failed_at: Option<Instant>,
    /// Nothing goes there before this time; then one probe.
    rests_until: Option<Instant>,
    rest: Duration,
}

impl<T> Default for ServerScores<T> {
    fn default() -> Self {
        ServerScores {
            servers: Vec::new(),
            free: Vec::new(),
            slice: 0.0,
        }
    }
}

impl<T> ServerScores<T> {
    /// One more server; returns its index.
    pub fn add(&mut self, known: T) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.servers.push(None);
            self.servers.len() - 1
        });
        self.servers[index] = Some(ServerScore::new(known));
        index
    }

    /// Forgets server `index`, which nobody names any more. One that has slices stays; whether it went.
    pub fn forget(&mut self, index: usize) -> bool {
        let idle = |server: &ServerScore<T>| server.slices_in_flight == 0;
        let goes = self.get(index).is_some_and(idle);
        if goes {
            self.servers[index] = None;
            self.free.push(index);
        }
        goes
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.servers.len() - self.free.len()
    }

    /// What the caller knows of each server.
    pub fn known(&self) -> impl Iterator<Item = &T> {
        self.all().map(|server| &server.known)
    }

    /// What the caller knows of server `index`, to be changed.
    pub fn known_mut(&mut self, index: usize) -> Option<&mut T> {
        self.get_mut(index).map(|server| &mut server.known)
    }

    fn all(&self) -> impl Iterator<Item = &ServerScore<T>> {
        self.servers.iter().flatten()
    }

    fn get(&self, index: usize) -> Option<&ServerScore<T>> {
        self.servers.get(index)?.as_ref()
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut ServerScore<T>> {
        self.servers.get_mut(index)?.as_mut()
    }

    /// The server for the next slice among `candidates`, which are known: the one expected to be done
    /// with it first, an untried one early. Where all rest, the one whose failure is oldest. `None`
    /// only where there is no candidate.
    #[must_use]
    pub fn pick(
        &self,
        now: Instant,
        rng: &mut fastrand::Rng,
        candidates: impl Iterator<Item = usize> + Clone,
    ) -> Option<usize> {
        let known = |index: usize| Some((index, self.get(index)?));
        let candidates = || candidates.clone().filter_map(known);
        let typical = self.typical_pace();
        let awake = candidates().filter(|(_, server)| server.takes_work(now));
        // An untried server that has its first slice gets no second one while others take it.
        let proven = awake.clone().any(|(_, server)| !server.is_proving());
        let awake = awake.filter(|(_, server)| !proven || !server.is_proving());
        // Equal costs are common at the start; chance keeps a hundred runs from starting alike.
        let cost = |server: &ServerScore<T>| server.cost(now, self.slice, typical);
        awake
            .map(|(index, server)| (index, cost(server) * (1.0 + 0.01 * rng.f64())))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(index, _)| index)
            .or_else(|| {
                let oldest = candidates().min_by_key(|(_, server)| server.failed_at);
                oldest.map(|(index, _)| index)
            })
    }

    /// Whether the last that was heard of server `index` is that it works.
    #[must_use]
    pub fn works(&self, index: usize) -> bool {
        let server = self.get(index);
        server.is_some_and(|server| server.pace.is_some() && server.failures == 0)
    }

    /// Whether to hold the next slice until a server has answered its first: those that are not yet
    /// late with it may turn out well or ten times slower, and those that have proven themselves are
    /// busy. Otherwise the first to answer would get all, or the slow one too much.
    #[must_use]
    pub fn unproven(&self, candidates: &[usize], now: Instant) -> bool {
        if candidates.len() < 2 {
            return false;
        }
        let of = || candidates.iter().filter_map(|&index| self.get(index));
        let typical = of()
            .any(|server| server.pace.is_some())
            .then(|| self.typical_pace());
        let in_time = typical.map_or(f64::INFINITY, |pace| LATE * pace * (self.slice + REQUEST));
        let proving = of().any(|server| server.is_proving() && server.silence(now) < in_time);
        proving && of().all(|server| server.is_proving() || server.slices_in_flight >= BUSY)
    }

    /// A slice of `bytes` goes to server `index`.
    pub fn started(&mut self, index: usize, bytes: u64, now: Instant) {
        let Some(server) = self.get_mut(index) else {
            return;
        };
        if server.slices_in_flight == 0 {
            server.heard_at = Some(now);
        }
        server.slices_in_flight += 1;
        server.in_flight += bytes;
        self.slice = self
            .slice
            .mul_add(0.9, bytes as f64 * 0.1)
            .max(bytes as f64 * 0.5);
    }

    /// A slice of `bytes` was acknowledged `took` after it began.
    pub fn acked(&mut self, index: usize, bytes: u64, took: Duration, now: Instant) {
        let Some(server) = self.get_mut(index) else {
            return;
        };
        server.ended(bytes);
        server.heard_at = Some(now);
        server.failures = 0;
        server.rests_until = None;
        server.rest = Duration::ZERO;
        let pace = took.as_secs_f64() / (bytes as f64 + REQUEST);
        server.pace = Some(server.pace.map_or(pace, |old| old + (pace - old) * LEARNS));
        server.paced_at = Some(now);
    }

    /// A slice of `bytes` failed. Failures of the wire and refusals put a server to rest: two in
    /// a row, one second, doubled each time up to a minute.
    pub fn failed(&mut self, index: usize, bytes: u64, now: Instant, kind: Kind) {
        let Some(server) = self.get_mut(index) else {
            return;
        };
        server.ended(bytes);
        if !matches!(kind, Kind::Transport | Kind::Throttled | Kind::Protocol) {
            return;
        }
        server.failures += 1;
        server.failed_at = Some(now);
        // What was in flight together fails together; that is one failure more, not six.
        let resting = server.rests_until.is_some_and(|until| now < until);
        if server.failures >= 2 && !resting {
            server.rest = (server.rest * 2).clamp(FIRST_REST, LONGEST_REST);
            server.rests_until = Some(now + server.rest);
        }
    }

    /// A slice of `bytes` was given up without an outcome: the loser of a hedged pair, a cancel.
    pub fn dropped(&mut self, index: usize, bytes: u64) {
        if let Some(server) = self.get_mut(index) {
            server.ended(bytes);
        }
    }

    /// How long a slice of `bytes` is expected to take on server `index` if begun now; `None`
    /// while nothing is known.
    #[must_use]
    pub fn expected(&self, index: usize, bytes: u64) -> Option<Duration> {
        let pace = self.get(index)?.pace?;
        Duration::try_from_secs_f64(pace * (bytes as f64 + REQUEST)).ok()
    }

    /// The best pace known: what an untried server is taken to be worth.
    fn typical_pace(&self) -> f64 {
        let paces = self.all().filter_map(|server| server.pace);
        paces.min_by(f64::total_cmp).unwrap_or(1.0)
    }
}

impl<T> ServerScore<T> {
    fn new(known: T) -> ServerScore<T> {
        ServerScore {
            known,
            in_flight: 0,
            slices_in_flight: 0,
            pace: None,
            paced_at: None,
            heard_at: None,
            failures: 0,
            failed_at: None,
            rests_until: None,
            rest: Duration::ZERO,
        }
    }

    fn ended(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.slices_in_flight = self.slices_in_flight.saturating_sub(1);
    }

    /// It has its first slice, and nothing is known of it.
    fn is_proving(&self) -> bool {
        self.pace.is_none() && self.slices_in_flight > 0
    }

    /// Not resting, or due for a probe and not being probed.
    fn takes_work(&self, now: Instant) -> bool {
        match self.rests_until {
            Some(until) => now >= until && self.slices_in_flight == 0,
            None => true,
        }
    }

    /// What one more slice costs here: bytes queued × pace². With pace alone a server ten times
    /// slower would still hold a third as many slices as its peers, since its pace improves as
    /// fewer are in flight; squared it holds a fifth. Where the link is the limit all paces are
    /// alike and the slices spread evenly.
    fn cost(&self, now: Instant, slice: f64, typical: f64) -> f64 {
        let known = self
            .pace
            .map_or(typical, |pace| self.forgetting(pace, typical, now));
        let pace = known.max(self.silence(now) / (slice + REQUEST));
        (self.in_flight as f64 + slice) * pace * pace
    }

    /// An idle server's bad pace is forgotten by half every ten seconds, so that it is tried again.
    fn forgetting(&self, pace: f64, typical: f64, now: Instant) -> f64 {
        if self.slices_in_flight > 0 {
            return pace;
        }
        let idle = since(self.paced_at, now);
        typical + (pace - typical) * 0.5f64.powf(idle / 10.0)
    }

    /// Seconds since it was last heard of while it owed an answer: a server that has stopped
    /// answering gets nothing more long before its time-outs.
    fn silence(&self, now: Instant) -> f64 {
        if self.slices_in_flight == 0 {
            0.0
        } else {
            since(self.heard_at, now)
        }
    }
}

fn since(then: Option<Instant>, now: Instant) -> f64 {
    then.map_or(0.0, |then| {
        now.saturating_duration_since(then).as_secs_f64()
    })
}

/// What a request costs beside its bytes, in bytes: keeps small slices comparable with large ones.
const REQUEST: f64 = 65_536.0;

/// A first slice is late after this many times what the best server needed.
const LATE: f64 = 2.0;

/// Slices that keep a proven server busy while others prove themselves.
const BUSY: u32 = 2;

/// Weight of the newest acknowledgement.
const LEARNS: f64 = 0.3;

const FIRST_REST: Duration = Duration::from_secs(1);

/// A server that is dead for long costs one probe a minute.
const LONGEST_REST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
