//! The upload servers. Names come from `create` and `domain`; each body is assigned to the server
//! that [`crate::policy`] expects to be done with it first, over the version that it found faster.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::trust::Trust;
use crate::error::{Error, Kind, Operation, Result};
use crate::http::{Preference, Version};
use crate::net::{Origin, Pool, Scheme};
use crate::policy::{ServerScores, Trial};
use crate::service::TransferStats;
use crate::sync::{Mutex, MutexGuard};

/// The servers that were returned lately, with their scores.
#[derive(Debug)]
pub struct Servers {
    trust: Trust,
    plain: Plain,
    default_scheme: Scheme,
    preference: Preference,
    state: Mutex<ServerTable>,
    /// A server has answered, or failed.
    answered: Notify,
}

/// How long a body waits for the first server to prove itself. On a link so slow that none has by
/// then, more bodies at once would not be faster; on a long one this is many round trips.
const PROVING: Duration = Duration::from_secs(3);

/// Servers that may fail a body before it goes to one that has proven itself, if there is one.
const CURIOUS: usize = 2;

/// Servers that are known at once. Beyond that those that no upload has are forgotten, those that were
/// named longest ago first; where all of them are in use, a list whose servers are all new gets one of them.
const MOST_SERVERS: usize = 4_096;

/// Those that remain where some are forgotten, so that this is seldom done.
const KEPT_SERVERS: usize = MOST_SERVERS / 2;

/// Sets that cost nothing to look through.
const FEW_SETS: usize = 256;

/// Warnings that are kept, and remembered as said: beyond that the oldest is forgotten.
const MOST_WARNINGS: usize = 32;

/// Whether a server other than loopback may be spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// Where TLS on the same host fails.
    Allowed,
    /// Never: the access token would be readable on the way.
    Refused,
}

#[derive(Debug, Default)]
struct ServerTable {
    known: HashMap<Origin, usize>,
    scores: ServerScores<Server>,
    /// What uploads may still have, and some that are gone.
    sets: Vec<Weak<[usize]>>,
    /// The number of sets at which those that are gone are looked for.
    sets_swept_at: usize,
    /// Lists that were read.
    lists: u64,
    chance: fastrand::Rng,
    /// So much is left to send that more connections pay.
    connections_pay: bool,
    /// What there is to say of servers, the latest of it.
    warnings: VecDeque<Error>,
    /// What was said lately.
    said: VecDeque<String>,
}

#[derive(Debug)]
struct Server {
    origin: Origin,
    trial: Trial,
    /// The plain server of that name, for as long as TLS has not been seen to work.
    fallback: Option<Origin>,
    /// The number of the last list that named it.
    named: u64,
}

/// The servers of one upload, which are not forgotten before it is dropped.
pub type ServerSet = Arc<[usize]>;

/// A body assigned to a server, until it is settled one way or the other.
#[derive(Debug)]
pub struct Assignment {
    servers: Arc<Servers>,
    index: usize,
    bytes: u64,
    version: Version,
    started: Instant,
    settled: bool,
    /// Where it goes.
    pub origin: Origin,
    /// Bytes of the body that its socket has taken.
    pub taken: Arc<AtomicU64>,
}

impl Servers {
    /// No server yet. A name without a scheme gets `default_scheme`.
    #[must_use]
    pub fn new(
        (trust, plain): (Trust, Plain),
        default_scheme: Scheme,
        preference: Preference,
    ) -> Arc<Servers> {
        Arc::new(Servers {
            trust,
            plain,
            default_scheme,
            preference,
            state: Mutex::default(),
            answered: Notify::new(),
        })
    }

    /// The servers of these names, known ones with what is known of them. Those that may not see the access
    /// token are left out.
    ///
    /// # Errors
    /// Where none is left, or no name of the list can be read.
    pub fn set_of(&self, names: &[String]) -> Result<ServerSet> {
        let mut state = self.lock();
        state.lists += 1;
        let (mut set, mut new) = (Vec::new(), Vec::new());
        let mut refused = None;
        for name in names {
            match Origin::parse(name, self.default_scheme) {
                Ok(origin) => match state.known.get(&origin) {
                    Some(&index) => set.push(index),
                    None if self.trust.allows(&origin) => new.push(origin),
                    None => refused = Some(self.trust.refusal(&origin).of_the_run()),
                },
                Err(error) => refused = Some(error.with_kind(Kind::Protocol)),
            }
        }
        if state.scores.count() + new.len() > MOST_SERVERS {
            state.make_room(&set);
        }
        for origin in new {
            // One is enough to go on with.
            if state.scores.count() < MOST_SERVERS || set.is_empty() {
                set.push(state.intern(origin, self));
            }
        }
        set.sort_unstable();
        set.dedup();
        match refused {
            Some(error) if set.is_empty() => return Err(error),
            Some(error) if error.is_of_the_run() => state.warn(error),
            _ => {}
        }
        Ok(state.lend(set))
    }

    /// Assigns as [`Servers::assign_now`] does, but not before a server of `set` has proven itself: each gets
    /// one body first, for some seconds at most.
    pub async fn assign(
        self: &Arc<Self>,
        set: &[usize],
        avoid: &[usize],
        bytes: u64,
    ) -> Assignment {
        let deadline = tokio::time::Instant::now() + PROVING;
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            // Listening starts before looking, so that an answer in between is not missed.
            answered.as_mut().enable();
            if !self.lock().scores.unproven(set, Instant::now())
                || tokio::time::Instant::now() >= deadline
            {
                return self.assign_now(set, avoid, bytes, Instant::now());
            }
            // Looked at again soon all the same: a first slice also becomes late by itself.
            drop(tokio::time::timeout(PROVING / 30, answered).await);
        }
    }

    /// Assigns a body of `bytes` to one of `set`, not on those to `avoid` if there is another.
    #[must_use]
    pub fn assign_now(
        self: &Arc<Self>,
        set: &[usize],
        avoid: &[usize],
        bytes: u64,
        now: Instant,
    ) -> Assignment {
        let mut state = self.lock();
        let ServerTable {
            scores,
            chance,
            connections_pay,
            ..
        } = &mut *state;
        let all = set.iter().copied();
        let others = all.clone().filter(|index| !avoid.contains(index));
        // Curiosity has its price: what several servers failed goes to one that works.
        let curious = avoid.len() < CURIOUS;
        let working = others
            .clone()
            .filter(|&index| !curious && scores.works(index));
        let picked = scores
            .pick(now, chance, working)
            .or_else(|| scores.pick(now, chance, others))
            .or_else(|| scores.pick(now, chance, all));
        // A set is never empty, and its servers are not forgotten.
        let index = picked.unwrap_or(set[0]);
        scores.started(index, bytes, now);
        let server = scores.known_mut(index);
        let server = server.expect("whoever has a set has its servers");
        let version = server.trial.choose(*connections_pay, chance);
        let origin = server.origin.clone();
        Assignment {
            servers: Arc::clone(self),
            index,
            bytes,
            version,
            started: now,
            settled: false,
            origin,
            taken: Arc::default(),
        }
    }

    /// Whether so much is left to send that more connections pay.
    pub fn connections_pay(&self, pay: bool) {
        self.lock().connections_pay = pay;
    }

    /// How long a body of `bytes` should take on the best server of `set` but `avoid`.
    #[must_use]
    pub fn expected(&self, set: &[usize], avoid: usize, bytes: u64) -> Option<Duration> {
        let state = self.lock();
        let others = set.iter().filter(|&&index| index != avoid);
        others
            .filter_map(|&index| state.scores.expected(index, bytes))
            .min()
    }

    /// The shortest round trip to any of the servers, as `pool` knows it.
    #[must_use]
    pub fn round_trip(&self, pool: &Pool) -> Option<Duration> {
        let state = self.lock();
        let known = state.scores.known();
        known
            .filter_map(|server| pool.round_trip(&server.origin))
            .min()
    }

    /// A server that is known.
    #[must_use]
    pub fn first(&self) -> Option<Origin> {
        let state = self.lock();
        let mut known = state.scores.known();
        known.next().map(|server| server.origin.clone())
    }

    /// Where the servers of a set are.
    #[must_use]
    pub fn origins(&self, set: &[usize]) -> Vec<Origin> {
        let mut state = self.lock();
        let origin = |&index: &usize| Some(state.scores.known_mut(index)?.origin.clone());
        set.iter().filter_map(origin).collect()
    }

    /// The version found faster on each server, for `--verbose`.
    #[must_use]
    pub fn versions(&self) -> Vec<(Origin, Option<Version>)> {
        let state = self.lock();
        let known = state.scores.known();
        known
            .map(|server| (server.origin.clone(), server.trial.winner()))
            .collect()
    }

    /// The HTTP version asked for.
    #[must_use]
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// Where the server of this name is reached; `None` where it may not see the access token.
    #[must_use]
    pub fn origin_of(&self, name: &str) -> Option<Origin> {
        let named = Origin::parse(name, self.default_scheme).ok()?;
        self.trust.allows(&named).then(|| self.reached(&named))
    }

    /// Over TLS, where the access token would be readable on the way there.
    fn reached(&self, named: &Origin) -> Origin {
        if named.scheme == Scheme::Http && !self.trust.allows_plain(named) {
            with_tls(named)
        } else {
            named.clone()
        }
    }

    /// The oldest warning that was not taken yet: of a server that may not see the token, or that sees it
    /// without TLS.
    pub fn take_warning(&self) -> Option<Error> {
        self.lock().warnings.pop_front()
    }

    /// Something to say of what goes to them.
    pub fn tell(&self, warning: Error) {
        self.lock().warn(warning);
    }

    fn lock(&self) -> MutexGuard<'_, ServerTable> {
        self.state.lock()
    }
}

impl ServerTable {
    fn intern(&mut self, named: Origin, all: &Servers) -> usize {
        if let Some(&index) = self.known.get(&named) {
            return index;
        }
        let origin = all.reached(&named);
        let exposed = origin.scheme != named.scheme;
        let fallback = (exposed && all.plain == Plain::Allowed).then(|| named.clone());
        let mut trial = Trial::new(all.preference);
        if origin.scheme == Scheme::Http {
            trial.offered_h2(false);
        }
        let index = self.scores.add(Server {
            origin,
            trial,
            fallback,
            named: self.lists,
        });
        self.known.insert(named, index);
        index
    }

    /// A set for an upload.
    fn lend(&mut self, indexes: Vec<usize>) -> ServerSet {
        for &index in &indexes {
            if let Some(server) = self.scores.known_mut(index) {
                server.named = self.lists;
            }
        }
        let set: ServerSet = indexes.into();
        if self.sets.len() >= self.sets_swept_at {
            self.sets.retain(|set| set.strong_count() > 0);
            self.sets_swept_at = (self.sets.len() * 2).max(FEW_SETS);
        }
        self.sets.push(Arc::downgrade(&set));
        set
    }

    /// Forgets servers that no upload has, and neither `wanted`, down to [`KEPT_SERVERS`].
    fn make_room(&mut self, wanted: &[usize]) {
        let lent: Vec<ServerSet> = self.sets.iter().filter_map(Weak::upgrade).collect();
        let used: HashSet<usize> = lent.iter().flat_map(|set| set.iter().copied()).collect();
        let is_used = |index: &usize| used.contains(index) || wanted.contains(index);
        let unused = self.known.values().copied().filter(|at| !is_used(at));
        let mut unused: Vec<(u64, usize)> = unused
            .filter_map(|index| Some((self.scores.known_mut(index)?.named, index)))
            .collect();
        unused.sort_unstable();
        let surplus = self.scores.count().saturating_sub(KEPT_SERVERS);
        let oldest = unused.into_iter().take(surplus).map(|(_, index)| index);
        let forgotten: HashSet<usize> = oldest.filter(|&at| self.scores.forget(at)).collect();
        self.known.retain(|_, index| !forgotten.contains(index));
    }

    /// Says `warning` unless it was said lately.
    fn warn(&mut self, warning: Error) {
        let text = warning.to_string();
        if self.said.contains(&text) {
            return;
        }
        if self.said.len() == MOST_WARNINGS {
            self.said.pop_front();
            self.warnings.pop_front();
        }
        self.said.push_back(text);
        self.warnings.push_back(warning);
    }
}

/// The same host with TLS; a port that is not the plain default is kept.
fn with_tls(named: &Origin) -> Origin {
    let port = if named.port == Scheme::Http.default_port() {
        Scheme::Https.default_port()
    } else {
        named.port
    };
    Origin {
        scheme: Scheme::Https,
        port,
        ..named.clone()
    }
}

impl Assignment {
    /// The server's index in the pool.
    #[must_use]
    pub fn server(&self) -> usize {
        self.index
    }

    /// The version to ask the pool for. Before the first handshake both are offered.
    #[must_use]
    pub fn preference(&self) -> Preference {
        self.version.into()
    }

    /// The body was acknowledged.
    pub fn acked(mut self, stats: Option<TransferStats>, now: Instant) {
        self.settle_acked(stats, now);
        self.servers.answered.notify_waiters();
    }

    fn settle_acked(&mut self, stats: Option<TransferStats>, now: Instant) {
        self.settled = true;
        let took = now.saturating_duration_since(self.started);
        let mut state = self.servers.lock();
        state.scores.acked(self.index, self.bytes, took, now);
        let Some(server) = state.scores.known_mut(self.index) else {
            return;
        };
        server.fallback = None;
        let Some(stats) = stats else { return };
        if let Some(offers) = stats.offers_h2 {
            server.trial.offered_h2(offers);
        }
        // Time spent waiting for a connection says nothing of the version.
        server.trial.acked(stats.version, self.bytes, stats.took);
    }

    /// The body failed.
    pub fn failed(mut self, error: &Error, now: Instant) {
        self.settle_failed(error, now);
        self.servers.answered.notify_waiters();
    }

    fn settle_failed(&mut self, error: &Error, now: Instant) {
        self.settled = true;
        let mut state = self.servers.lock();
        state
            .scores
            .failed(self.index, self.bytes, now, error.kind());
        let Some(server) = state.scores.known_mut(self.index) else {
            return;
        };
        if error.kind() != Kind::Transport {
            return;
        }
        server.trial.failed(self.version);
        // Somebody speaks TLS there, and is not who he says: nothing is said to him.
        if error.is_distrusted() {
            return;
        }
        if let Some(plain) = server.fallback.take() {
            let message = format!("{} cannot be used", server.origin);
            let warning = Error::new(Kind::Transport, Operation::Slice, message);
            let warning = warning.advice(format_args!(
                "the access token goes to {plain} unencrypted, as `Options::allow_http` allows"
            ));
            server.origin = plain;
            server.trial.offered_h2(false);
            state.warn(warning);
        }
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        if !self.settled {
            self.servers.lock().scores.dropped(self.index, self.bytes);
            self.servers.answered.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
