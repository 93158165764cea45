//! Who gets which connection. In: requests that wait, connections that come, go and become free,
//! and the time. Out: what to do about it: grant, dial, close. Never: a socket, a lock, a clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::Offer;
use crate::http::{Preference, Version};

/// One server's connections and the requests that wait for them.
#[derive(Debug)]
pub(super) struct Roster {
    limits: Rules,
    links: Vec<Link>,
    queue: VecDeque<Waiter>,
    /// The oldest first.
    dials: Vec<Dial>,
    /// Dials that failed since one succeeded.
    refusals: u32,
    ceiling: Option<Ceiling>,
    offers_h2: Option<bool>,
    next_id: u64,
}

/// The settings that concern one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Connections at most; `None` lets the requests in flight decide.
    pub(super) connections: Option<usize>,
    /// Streams on one HTTP/2 connection at most.
    pub(super) streams: usize,
    /// How long an unused connection is kept.
    pub(super) idle: Duration,
}

#[derive(Debug)]
struct Link {
    id: u64,
    version: Version,
    busy: usize,
    room: usize,
    /// Whether the peer's settings are still on their way, and may make more room.
    greeted: bool,
    /// Whether it takes new requests.
    open: bool,
    since: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    id: u64,
    preference: Preference,
}

/// A connection on its way.
#[derive(Debug, Clone, Copy)]
struct Dial {
    offer: Offer,
    /// Whoever waited when it began has a smaller number.
    began: u64,
}

/// A server that refused a connection while it keeps others has reached its own maximum.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    connections: usize,
    until: Instant,
}

/// What the roster wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The waiting request goes to that connection.
    Grant {
        /// Whose turn it is.
        waiter: u64,
        /// The connection.
        link: u64,
    },
    /// A connection is opened; its end is told by `opened` or `dial_failed`.
    Dial(Offer),
    /// The connection is forgotten, and so closed.
    Close(u64),
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It takes more.
    Keep,
    /// It finishes what it carries and takes nothing new.
    Retire,
    /// It is closed at once.
    Close,
}

impl Roster {
    pub(super) fn new(limits: Rules, offers_h2: Option<bool>) -> Self {
        Roster {
            limits,
            links: Vec::new(),
            queue: VecDeque::new(),
            dials: Vec::new(),
            refusals: 0,
            ceiling: None,
            offers_h2,
            next_id: 0,
        }
    }

    /// Whether the server takes HTTP/2, as far as it was asked.
    pub(super) fn offers_h2(&self) -> Option<bool> {
        self.offers_h2
    }

    /// A request joins the queue.
    pub(super) fn join(&mut self, preference: Preference) -> u64 {
        let id = self.fresh_id();
        self.queue.push_back(Waiter { id, preference });
        id
    }

    /// A request leaves the queue unserved.
    pub(super) fn leave(&mut self, waiter: u64) {
        self.queue.retain(|queued| queued.id != waiter);
    }

    /// A dial ended well. Before its peer's settings are known, a connection carries one request.
    pub(super) fn opened(&mut self, offer: Offer, version: Version, now: Instant) -> u64 {
        self.dial_ended(offer);
        self.refusals = 0;
        if offer == Offer::Both {
            self.offers_h2 = Some(version == Version::H2);
        }
        let id = self.fresh_id();
        self.links.push(Link {
            id,
            version,
            busy: 0,
            room: 1,
            greeted: version == Version::H1,
            open: true,
            since: now,
        });
        id
    }

    /// A dial failed. Answers who has to hear of it: nobody while an open connection can serve.
    /// Where there is none, the next dial seldom fares better, and one is always on its way, so
    /// nobody waits for the last of them: the first failure in a row is told to the request that waited
    /// longest, another one to all that were waiting when its dial began.
    pub(super) fn dial_failed(&mut self, offer: Offer, now: Instant) -> Vec<u64> {
        let began = self.dial_ended(offer);
        self.refusals += 1;
        if !self.links.is_empty() {
            let until = now + CEILING_HOLDS;
            self.ceiling = Some(Ceiling {
                connections: self.links.len(),
                until,
            });
        }
        let mut told = Vec::new();
        for waiter in std::mem::take(&mut self.queue) {
            let its_own = self.offer(waiter.preference) == offer
                && waiter.id < began
                && (self.refusals > 1 || told.is_empty());
            if self.is_carried(waiter.preference) || self.is_dialled(waiter.preference) && !its_own
            {
                self.queue.push_back(waiter);
            } else {
                told.push(waiter.id);
            }
        }
        told
    }

    /// A dial finds no socket on this machine. Answers whether it has to go on: it is the only one on
    /// its way for requests that no open connection serves. Otherwise it is over, nobody hears of it, and
    /// for a while no more connections are tried for.
    pub(super) fn starves(&mut self, offer: Offer, now: Instant) -> bool {
        let alike = self.dials.iter().filter(|dial| dial.offer == offer).count();
        let mut queue = self.queue.iter();
        let waits = queue.any(|waiter| {
            self.offer(waiter.preference) == offer && !self.is_carried(waiter.preference)
        });
        if waits && alike == 1 {
            return true;
        }
        self.dial_ended(offer);
        self.ceiling = Some(Ceiling {
            connections: self.count_all().max(1),
            until: now + CEILING_HOLDS,
        });
        false
    }

    /// The next failure is told to all who wait, as if there had been one before.
    pub(super) fn lose_patience(&mut self) {
        self.refusals += 1;
    }

    /// The peer allows `streams` at once on this connection.
    pub(super) fn allows(&mut self, link: u64, streams: usize) {
        let most = self.limits.streams;
        if let Some(link) = self.find(link) {
            link.room = streams.clamp(1, most);
            link.greeted = true;
        }
    }

    /// A request is done with its connection.
    pub(super) fn released(&mut self, link: u64, fate: Fate, now: Instant) {
        if let Some(link) = self.find(link) {
            link.busy -= 1;
            link.since = now;
            link.open &= fate == Fate::Keep;
        }
        self.links.retain(|kept| {
            kept.id != link || (fate != Fate::Close && (kept.open || kept.busy > 0))
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

    /// Retires every connection that nobody uses: one of them turned out to be dead.
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

    /// Forgets one connection that nobody uses, the one that was unused for longest.
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

    /// Serves the queue in its order, and says what has to be done for those who still wait.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut unserved = [0_usize; 2];
        for waiter in std::mem::take(&mut self.queue) {
            let offer = self.offer(waiter.preference);
            match self.least_busy(waiter.preference) {
                Some(link) => {
                    link.busy += 1;
                    let (doubled, link) = (link.busy > 1, link.id);
                    acts.push(Act::Grant {
                        waiter: waiter.id,
                        link,
                    });
                    if doubled && self.count_all() < self.spread() {
                        acts.extend(self.dial(offer, now));
                    }
                }
                None => {
                    self.queue.push_back(waiter);
                    unserved[usize::from(offer == Offer::Both)] += 1;
                }
            }
        }
        for (offer, unserved) in [(Offer::H1, unserved[0]), (Offer::Both, unserved[1])] {
            while self.coming(offer) < unserved {
                let Some(act) = self.dial(offer, now).or_else(|| self.make_room(offer)) else {
                    break;
                };
                acts.push(act);
            }
        }
        acts
    }

    /// Dials, unless the maximum is reached.
    fn dial(&mut self, offer: Offer, now: Instant) -> Option<Act> {
        if self.count_all() >= self.most(now) {
            return None;
        }
        let began = self.fresh_id();
        self.dials.push(Dial { offer, began });
        Some(Act::Dial(offer))
    }

    /// At the maximum, an unused connection of the other version gives way.
    fn make_room(&mut self, offer: Offer) -> Option<Act> {
        let other = if offer == Offer::H1 {
            Version::H2
        } else {
            Version::H1
        };
        let link = self
            .links
            .iter()
            .position(|link| link.busy == 0 && link.version == other)?;
        Some(Act::Close(self.links.remove(link).id))
    }

    fn least_busy(&mut self, preference: Preference) -> Option<&mut Link> {
        let offers_h2 = self.offers_h2;
        self.links
            .iter_mut()
            .filter(|link| {
                link.open && link.busy < link.room && fits(preference, link.version, offers_h2)
            })
            .min_by_key(|link| link.busy)
    }

    /// Whether an open connection will serve `preference`, now or after what it carries.
    fn is_carried(&self, preference: Preference) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.open && fits(preference, link.version, self.offers_h2))
    }

    fn is_dialled(&self, preference: Preference) -> bool {
        let offer = self.offer(preference);
        self.dials.iter().any(|dial| dial.offer == offer)
    }

    fn offer(&self, preference: Preference) -> Offer {
        if preference == Preference::H1 || self.offers_h2 == Some(false) {
            Offer::H1
        } else {
            Offer::Both
        }
    }

    /// How many waiting requests are going to be served without another dial. While connections
    /// are few each request gets its own; beyond that a new one is filled with streams.
    fn coming(&self, offer: Offer) -> usize {
        let dials = self.dials.iter().filter(|dial| dial.offer == offer).count();
        // A server that was never asked is taken for one with HTTP/2: asking once more is cheaper
        // than a dozen connections that nobody needs.
        if offer == Offer::H1 || self.count_all() < self.spread() {
            return dials;
        }
        let ungreeted = self
            .links
            .iter()
            .filter(|link| link.open && !link.greeted)
            .count();
        (dials + ungreeted) * self.limits.streams - ungreeted
    }

    fn count_all(&self) -> usize {
        self.links.len() + self.dials.len()
    }

    fn spread(&self) -> usize {
        self.limits.connections.unwrap_or(SPREAD)
    }

    fn most(&self, now: Instant) -> usize {
        let configured = self.limits.connections.unwrap_or(MOST);
        match self.ceiling {
            Some(ceiling) if now < ceiling.until => configured.min(ceiling.connections),
            _ => configured,
        }
    }

    /// Answers when it began. Of several the oldest is meant, which all alike are taken for.
    fn dial_ended(&mut self, offer: Offer) -> u64 {
        let dial = self.dials.iter().position(|dial| dial.offer == offer);
        dial.map_or(0, |dial| self.dials.remove(dial).began)
    }

    fn find(&mut self, id: u64) -> Option<&mut Link> {
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

/// Without a configured maximum: more than any gate allows in flight, and far below the number of
/// files that a process may open (1,024 by default).
const MOST: usize = 256;

/// How long a refused connection, beside others that work, is taken for the server's maximum.
const CEILING_HOLDS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
