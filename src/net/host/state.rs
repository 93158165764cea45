//! The choice of a connection for each request. In: requests that wait, connections that come, go and
//! become free, and the time. Out: what to do about it: grant, dial, close. Never: a socket, a lock, a
//! clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::super::connect::Alpn;
use crate::http::{Preference, Version};

/// One server's connections and the requests that wait for them.
#[derive(Debug)]
pub(super) struct HostState {
    limits: HostLimits,
    links: Vec<ConnectionState>,
    queue: VecDeque<QueuedRequest>,
    /// The oldest first.
    dials: Vec<PendingDial>,
    /// Dials that failed since one succeeded.
    refusals: u32,
    ceiling: Option<Ceiling>,
    offers_h2: Option<bool>,
    /// It offers HTTP/2, and then says that it wants HTTP/1.1.
    requires_h1: bool,
    /// Whether it gets files' content, and not calls only.
    bodies: bool,
    /// Requests are spread over so many connections before two share one.
    spread: usize,
    next_id: u64,
}

/// The settings that concern one server.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct HostLimits {
    /// Connections at most; `None` lets the requests in flight decide.
    pub(in crate::net) connections: Option<usize>,
    /// Streams on one HTTP/2 connection at most, where files' content goes.
    pub(in crate::net) streams: usize,
    /// The same at a server that gets nothing but calls.
    pub(in crate::net) calls: usize,
    /// How long an unused connection is kept.
    pub(in crate::net) idle: Duration,
}

#[derive(Debug)]
struct ConnectionState {
    id: u64,
    version: Version,
    busy: usize,
    /// Requests at once that the peer allows.
    allowed: usize,
    /// Whether the peer's settings are still on their way, and may raise that.
    settings_known: bool,
    /// Whether it takes new requests.
    open: bool,
    since: Instant,
}

#[derive(Debug, Clone, Copy)]
struct QueuedRequest {
    id: u64,
    preference: Preference,
}

/// A connection on its way.
#[derive(Debug, Clone, Copy)]
struct PendingDial {
    alpn: Alpn,
    /// Requests that waited when it began have smaller numbers.
    began: u64,
}

/// A server that refused a connection while it keeps others has reached its own maximum.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    connections: usize,
    until: Instant,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The waiting request goes to that connection.
    Grant {
        /// The request.
        waiter: u64,
        /// The connection.
        link: u64,
    },
    /// A connection is opened; its end is reported by `opened` or `dial_failed`.
    Dial(Alpn),
    /// The connection is forgotten, and so closed.
    Close(u64),
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Reuse {
    /// It takes more.
    Keep,
    /// It finishes what it carries and takes nothing new.
    Retire,
    /// It is closed at once.
    Close,
}

impl HostState {
    pub(super) fn new(limits: HostLimits, offers_h2: Option<bool>) -> Self {
        HostState {
            limits,
            links: Vec::new(),
            queue: VecDeque::new(),
            dials: Vec::new(),
            refusals: 0,
            ceiling: None,
            offers_h2,
            requires_h1: false,
            bodies: false,
            spread: limits.connections.unwrap_or(SPREAD),
            next_id: 0,
        }
    }

    /// It gets files' content from now on, over a path of that round trip, as far as that is known. A call is a packet
    /// or two, and any number of them share a connection; bodies are to have more than one TCP connection and its
    /// flow control, of which each round trip carries one window.
    pub(super) fn carries_bodies(&mut self, round_trip: Option<Duration>) {
        self.bodies = true;
        let wanted = round_trip.map_or(0, |trip| (trip.as_micros() / TRIP.as_micros()) as usize);
        let spread = wanted.clamp(SPREAD, MOST_SPREAD);
        self.spread = self.limits.connections.unwrap_or(spread);
    }

    fn streams(&self) -> usize {
        if self.bodies {
            self.limits.streams
        } else {
            self.limits.calls
        }
    }

    /// Whether the server takes HTTP/2, as far as it was asked.
    pub(super) fn offers_h2(&self) -> Option<bool> {
        self.offers_h2
    }

    /// A request joins the queue.
    pub(super) fn join(&mut self, preference: Preference) -> u64 {
        let id = self.fresh_id();
        self.queue.push_back(QueuedRequest { id, preference });
        id
    }

    /// A request leaves the queue unserved.
    pub(super) fn leave(&mut self, waiter: u64) {
        self.queue.retain(|queued| queued.id != waiter);
    }

    /// A dial ended well. Before its peer's settings are known, a connection carries one request.
    pub(super) fn opened(&mut self, alpn: Alpn, version: Version, now: Instant) -> u64 {
        self.dial_ended(alpn);
        self.refusals = 0;
        if alpn == Alpn::Both && !self.requires_h1 {
            self.offers_h2 = Some(version == Version::H2);
        }
        let id = self.fresh_id();
        self.links.push(ConnectionState {
            id,
            version,
            busy: 0,
            allowed: 1,
            settings_known: version == Version::H1,
            open: version == Version::H1 || !self.requires_h1,
            since: now,
        });
        id
    }

    /// A dial failed. Answers the requests that fail with it:
    ///
    /// - none that an open connection can serve;
    /// - of a first failure in a row, the one request that waited longest;
    /// - of another one, all that were waiting when its dial began.
    ///
    /// So no request waits for the last of many dials: the next one seldom fares better than the one
    /// that failed.
    pub(super) fn dial_failed(&mut self, alpn: Alpn, now: Instant) -> Vec<u64> {
        let began = self.dial_ended(alpn);
        self.refusals += 1;
        if !self.links.is_empty() {
            let until = now + CEILING_HOLDS;
            self.ceiling = Some(Ceiling {
                connections: self.links.len(),
                until,
            });
        }
        let mut failed = Vec::new();
        for waiter in std::mem::take(&mut self.queue) {
            let its_own = self.alpn(waiter.preference) == alpn
                && waiter.id < began
                && (self.refusals > 1 || failed.is_empty());
            if self.is_carried(waiter.preference) || self.is_dialled(waiter.preference) && !its_own
            {
                self.queue.push_back(waiter);
            } else {
                failed.push(waiter.id);
            }
        }
        failed
    }

    /// A dial finds no socket on this machine. Answers whether it has to go on: it is the only one on
    /// its way for requests that no open connection serves. Otherwise it is over, no request fails
    /// with it, and for a while no more connections are tried for.
    pub(super) fn starves(&mut self, alpn: Alpn, now: Instant) -> bool {
        let alike = self.dials.iter().filter(|dial| dial.alpn == alpn).count();
        let mut queue = self.queue.iter();
        let waits = queue.any(|waiter| {
            self.alpn(waiter.preference) == alpn && !self.is_carried(waiter.preference)
        });
        if waits && alike == 1 {
            return true;
        }
        self.dial_ended(alpn);
        self.ceiling = Some(Ceiling {
            connections: self.count_all().max(1),
            until: now + CEILING_HOLDS,
        });
        false
    }

    /// The next failure is one of all requests that wait, as if there had been one before.
    pub(super) fn fail_all_with_the_next(&mut self) {
        self.refusals += 1;
    }

    /// The peer allows `streams` at once on this connection.
    pub(super) fn allows(&mut self, link: u64, streams: usize) {
        if let Some(link) = self.find(link) {
            link.allowed = streams.max(1);
            link.settings_known = true;
        }
    }

    /// A request is done with its connection.
    pub(super) fn released(&mut self, link: u64, reuse: Reuse, now: Instant) {
        if let Some(link) = self.find(link) {
            link.busy -= 1;
            link.since = now;
            link.open &= reuse == Reuse::Keep;
        }
        self.links.retain(|kept| {
            kept.id != link || (reuse != Reuse::Close && (kept.open || kept.busy > 0))
        });
    }

    /// The connection takes nothing new: it ended, or its peer says that it is going to. It counts
    /// until its last request is done.
    pub(super) fn ended(&mut self, link: u64) {
        if let Some(link) = self.find(link) {
            link.open = false;
        }
        self.links.retain(|kept| kept.id != link || kept.busy > 0);
    }

    /// HTTP/2 takes nothing new from now on, here; answers its connections, which count until their last
    /// request is done.
    pub(super) fn require_h1(&mut self) -> Vec<u64> {
        (self.requires_h1, self.offers_h2) = (true, Some(false));
        let h2 = self.links.iter_mut();
        let h2 = h2.filter(|link| link.version == Version::H2);
        let closed = h2
            .map(|link| {
                link.open = false;
                link.id
            })
            .collect();
        self.links.retain(|link| link.open || link.busy > 0);
        closed
    }

    /// Forgets every unused connection: one of them turned out to be dead.
    pub(super) fn drop_idle(&mut self) -> Vec<u64> {
        let idle = self
            .links
            .iter()
            .filter(|link| link.busy == 0)
            .map(|link| link.id)
            .collect();
        self.links.retain(|link| link.busy > 0);
        idle
    }

    /// Forgets one unused connection, the one that was unused for longest.
    pub(super) fn drop_one_idle(&mut self) -> Option<u64> {
        let idle = self.links.iter().filter(|link| link.busy == 0);
        let longest = idle.min_by_key(|link| link.since)?.id;
        self.links.retain(|link| link.id != longest);
        Some(longest)
    }

    /// How long this connection may still stay unused; `None` when it is known no more.
    pub(super) fn idle_left(&mut self, link: u64, now: Instant) -> Option<Duration> {
        let most = self.limits.idle;
        let link = self.find(link)?;
        if link.busy > 0 {
            return Some(most);
        }
        Some((link.since + most).saturating_duration_since(now))
    }

    /// Serves the queue in its order, and says what has to be done for the requests that still wait.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut unserved = [0_usize; 2];
        let share = self.share();
        for waiter in std::mem::take(&mut self.queue) {
            let alpn = self.alpn(waiter.preference);
            match self.least_busy(waiter.preference, share) {
                Some(link) => {
                    link.busy += 1;
                    let (doubled, link) = (link.busy > 1, link.id);
                    actions.push(Action::Grant {
                        waiter: waiter.id,
                        link,
                    });
                    if doubled && self.count_all() < self.spread {
                        actions.extend(self.dial(alpn, now));
                    }
                }
                None => {
                    self.queue.push_back(waiter);
                    unserved[usize::from(alpn == Alpn::Both)] += 1;
                }
            }
        }
        for (alpn, unserved) in [(Alpn::H1, unserved[0]), (Alpn::Both, unserved[1])] {
            while self.coming(alpn) < unserved {
                let Some(action) = self.dial(alpn, now).or_else(|| self.make_room(alpn)) else {
                    break;
                };
                actions.push(action);
            }
        }
        actions
    }

    /// Dials, unless the maximum is reached, or as many are on their way as there are connections: one
    /// of those is free again sooner than many more are open.
    fn dial(&mut self, alpn: Alpn, now: Instant) -> Option<Action> {
        let at_once = self.links.len().max(self.spread.min(MOST_SPREAD));
        if self.count_all() >= self.most(now) || self.dials.len() >= at_once {
            return None;
        }
        let began = self.fresh_id();
        self.dials.push(PendingDial { alpn, began });
        Some(Action::Dial(alpn))
    }

    /// At the maximum, an unused connection of the other version gives way.
    fn make_room(&mut self, alpn: Alpn) -> Option<Action> {
        let other = if alpn == Alpn::H1 {
            Version::H2
        } else {
            Version::H1
        };
        let link = self
            .links
            .iter()
            .position(|link| link.busy == 0 && link.version == other)?;
        Some(Action::Close(self.links.remove(link).id))
    }

    /// Requests on each connection at most: as many as there will be once those on their way are open, so that the
    /// first to open does not get what the others were opened for.
    fn share(&self) -> usize {
        if self.dials.is_empty() {
            return self.streams();
        }
        let busy: usize = self.links.iter().map(|link| link.busy).sum();
        let requests = busy + self.queue.len();
        self.streams().min(requests.div_ceil(self.count_all()))
    }

    fn least_busy(&mut self, preference: Preference, share: usize) -> Option<&mut ConnectionState> {
        let offers_h2 = self.offers_h2;
        self.links
            .iter_mut()
            .filter(|link| {
                let free = link.busy < link.allowed.min(share);
                link.open && free && fits(preference, link.version, offers_h2)
            })
            .min_by_key(|link| link.busy)
    }

    /// Whether an open connection will serve `preference`, now or after what it carries.
    fn is_carried(&self, preference: Preference) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.open && fits(preference, link.version, self.offers_h2))
    }

    fn is_dialled(&self, preference: Preference) -> bool {
        let alpn = self.alpn(preference);
        self.dials.iter().any(|dial| dial.alpn == alpn)
    }

    fn alpn(&self, preference: Preference) -> Alpn {
        if preference == Preference::H1 || self.offers_h2 == Some(false) {
            Alpn::H1
        } else {
            Alpn::Both
        }
    }

    /// How many waiting requests are going to be served without another dial. While connections
    /// are few each request gets its own; beyond that a new one is filled with streams.
    fn coming(&self, alpn: Alpn) -> usize {
        let dials = self.dials.iter().filter(|dial| dial.alpn == alpn).count();
        // A server that was never asked is taken for one with HTTP/2: asking once more is cheaper
        // than a dozen connections without a use.
        if alpn == Alpn::H1 || self.count_all() < self.spread {
            return dials;
        }
        let unsettled = self
            .links
            .iter()
            .filter(|link| link.open && !link.settings_known)
            .count();
        (dials + unsettled) * self.streams() - unsettled
    }

    fn count_all(&self) -> usize {
        self.links.len() + self.dials.len()
    }

    fn most(&self, now: Instant) -> usize {
        let configured = self.limits.connections.unwrap_or(MOST);
        match self.ceiling {
            Some(ceiling) if now < ceiling.until => configured.min(ceiling.connections),
            _ => configured,
        }
    }

    /// Answers when it began. Of several alike it is the oldest.
    fn dial_ended(&mut self, alpn: Alpn) -> u64 {
        let dial = self.dials.iter().position(|dial| dial.alpn == alpn);
        dial.map_or(0, |dial| self.dials.remove(dial).began)
    }

    fn find(&mut self, id: u64) -> Option<&mut ConnectionState> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Whether a connection of `version` serves `preference`. A preference for HTTP/2 is one for HTTP/1.1
/// at a server without it.
fn fits(preference: Preference, version: Version, offers_h2: Option<bool>) -> bool {
    match preference {
        Preference::Auto => true,
        Preference::H1 => version == Version::H1,
        Preference::H2 => version == Version::H2 || offers_h2 == Some(false),
    }
}

/// Without a configured maximum, requests are spread over this many connections before two share
/// one: a TCP connection and its flow-control window are not to be the ceiling.
const SPREAD: usize = 4;

/// One connection more for each of these of the round trip: of windows of 3 MB, which servers grant, so many carry
/// 5 Gbit/s.
const TRIP: Duration = Duration::from_millis(5);

/// No more than begin together over a long path.
const MOST_SPREAD: usize = 32;

/// Without a configured maximum: more than any limit of concurrency allows in flight, and far below
/// the number of files that a process may open (1,024 by default).
const MOST: usize = 256;

/// How long a refused connection, beside others that work, is taken for the server's maximum.
const CEILING_HOLDS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
