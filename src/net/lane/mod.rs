//! The way to one server: its connections, shared by all who send there. In: requests. Out: leases,
//! each one request's right to a connection. Never: a decision of its own; those are the roster's.

mod dial;
mod lease;
mod task;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::connect::{Connector, Offer};
use super::connection::{Opened, Sender};
use super::fault::Failure;
use super::origin::{Origin, Scheme};
use super::roster::{Act, Fate, Roster, Rules};
use super::sockets::{Room, Socket, Sockets};
use super::stream::Meter;
use super::tally::{OpenCount, Tally};
use crate::http::Preference;
use crate::sync::{Mutex, MutexGuard};

use dial::Dial;
pub(super) use lease::Lease;

/// One server, its connections and its queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) origin: Origin,
    common: Common,
    state: Mutex<State>,
    tally: Arc<Tally>,
    runtime: Handle,
}

/// What all lanes of a pool have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) connector: Arc<Connector>,
    pub(super) sockets: Arc<Sockets>,
    pub(super) rules: Rules,
    /// As in [`Opened::new`].
    pub(super) ping: Duration,
    /// All of them: an unused connection of one gives way to another.
    pub(super) lanes: Arc<Mutex<Vec<Weak<Lane>>>>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    links: HashMap<u64, Link>,
    waiting: HashMap<u64, oneshot::Sender<Result<Lease, Failure>>>,
}

/// One connection, from the side that sends on it.
#[derive(Debug)]
struct Link {
    /// Absent while a lease has it, on HTTP/1.1.
    sender: Option<Sender>,
    meter: Arc<Meter>,
    task: AbortHandle,
    served: u64,
    last_used: Instant,
}

impl Lane {
    pub(super) fn new(origin: Origin, common: Common) -> Arc<Self> {
        // HTTP/2 is spoken over TLS only: prior knowledge on plain connections is for servers
        // that one knows.
        let offers_h2 = (origin.scheme == Scheme::Http).then_some(false);
        let lane = Arc::new(Lane {
            origin,
            state: Mutex::new(State {
                roster: Roster::new(common.rules, offers_h2),
                links: HashMap::new(),
                waiting: HashMap::new(),
            }),
            tally: Arc::default(),
            runtime: Handle::current(),
            common,
        });
        lane.common.lanes.lock().push(Arc::downgrade(&lane));
        lane
    }

    /// Waits for a connection that fits `preference`, first come, first served.
    pub(super) async fn lease(self: &Arc<Self>, preference: Preference) -> Result<Lease, Failure> {
        let (grant, granted) = oneshot::channel();
        let place = {
            let mut state = self.state();
            let waiter = state.roster.join(preference);
            state.waiting.insert(waiter, grant);
            Place { lane: self, waiter }
        };
        self.settle();
        let lease = granted.await;
        drop(place);
        // A grant that came to nothing, since its connection was gone in the same moment.
        lease.unwrap_or_else(|_| Err(Failure::given_up(&self.origin)))
    }

    /// Whether the server takes HTTP/2, as far as it was asked.
    pub(super) fn offers_h2(&self) -> Option<bool> {
        self.state().roster.offers_h2()
    }

    /// Closes every connection that nobody uses, because one of them turned out to be dead.
    pub(super) fn drop_idle(&self) {
        let mut state = self.state();
        for link in state.roster.drop_idle() {
            state.links.remove(&link);
        }
    }

    /// Closes one connection that nobody uses, so that another server gets its socket.
    pub(super) fn close_one_idle(&self) -> bool {
        let mut state = self.state();
        let idle = state.roster.drop_one_idle();
        let link = idle.and_then(|link| state.links.remove(&link));
        link.is_some()
    }

    /// Waits for a socket, but no longer than `pause`: an unused connection of any server is closed, or
    /// the next that becomes free is. Only a server without any connection asks.
    async fn wait_for_socket(&self, pause: Duration) -> Option<Socket> {
        let lanes = self.common.lanes.lock().clone();
        let mut lanes = lanes.iter().filter_map(Weak::upgrade);
        let room = if lanes.any(|lane| lane.close_one_idle()) {
            Room::Made
        } else {
            Room::Wanted
        };
        self.common.sockets.wait(pause, room).await
    }

    fn sockets(&self) -> &Arc<Sockets> {
        &self.common.sockets
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// On the runtime of whoever asks; on the first one's where a future is dropped outside of any.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        Handle::try_current()
            .unwrap_or_else(|_| self.runtime.clone())
            .spawn(task)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counts that are at worst stale; sending goes on.
        self.state.lock()
    }

    /// Does what the roster wants. Grants are told after the lock is gone: a receiver that has
    /// given up drops its lease, and that comes back here. So does a dial that a runtime on its way
    /// out drops at once.
    fn settle(self: &Arc<Self>) {
        let (mut grants, mut dials) = (Vec::new(), Vec::new());
        let mut state = self.state();
        for act in state.roster.settle(Instant::now()) {
            match act {
                Act::Grant { waiter, link } => grants.extend(self.grant(&mut state, waiter, link)),
                Act::Dial(offer) => dials.push(Dial::new(self, offer)),
                Act::Close(link) => drop(state.links.remove(&link)),
            }
        }
        drop(state);
        for (grant, lease) in grants {
            // A refused grant is a lease dropped, which gives it to the next.
            let _ = grant.send(Ok(lease));
        }
        dials.into_iter().for_each(Dial::start);
    }

    fn grant(
        self: &Arc<Self>,
        state: &mut State,
        waiter: u64,
        link: u64,
    ) -> Option<(oneshot::Sender<Result<Lease, Failure>>, Lease)> {
        let grant = state.waiting.remove(&waiter)?;
        let id = link;
        let link = state.links.get_mut(&id)?;
        let sender = match link.sender.as_ref()? {
            Sender::H1(_) => link.sender.take()?,
            Sender::H2(sender) => Sender::H2(sender.clone()),
        };
        let lease = Lease::new(
            (Arc::clone(self), id),
            sender,
            (Arc::clone(&link.meter), link.task.clone()),
            (link.served > 0).then(|| link.last_used.elapsed()),
        );
        link.served += 1;
        Some((grant, lease))
    }

    /// Opens one connection, with the right to a `socket` if it has that already, and begins HTTP on it.
    async fn open(&self, offer: Offer, socket: Option<Socket>) -> Result<Opened, Failure> {
        let sockets = &self.common.sockets;
        let socket = socket.or_else(|| sockets.take());
        let socket = socket.ok_or_else(|| Failure::no_socket(&self.origin, sockets.most()))?;
        let began = Instant::now();
        let connecting = self.common.connector.connect(&self.origin, offer).await;
        if connecting.is_ok() {
            // TCP's handshake, and TLS's.
            let times = if self.origin.scheme == Scheme::Https {
                2
            } else {
                1
            };
            self.tally.opened_within(began.elapsed(), times);
        }
        // A name that was never found is a mistyped one, or there is no network: no waiting helps.
        // One that was found before is a resolver's bad hour, which ends.
        let never = self.tally.stats().opened == 0;
        let stream = connecting.map_err(|failure| failure.hopeless_if_unnamed(never))?;
        let stream = stream.counted_into(self.tally.bytes()).holding(socket);
        let opened = Opened::new(stream, self.common.ping).await;
        opened.map_err(|error| Failure::exchange(&self.origin, error))
    }

    fn opened(self: &Arc<Self>, offer: Offer, opened: Opened) {
        let now = Instant::now();
        let mut state = self.state();
        let id = state.roster.opened(offer, opened.version, now);
        let count = OpenCount::new(&self.tally);
        let task = self.spawn(task::run(opened.driver, Arc::downgrade(self), id, count));
        let link = Link {
            sender: Some(opened.sender),
            meter: opened.meter,
            task: task.abort_handle(),
            served: 0,
            last_used: now,
        };
        state.links.insert(id, link);
    }

    /// Whether a dial that finds no socket has to go on trying; if not, it is over.
    fn is_needed(&self, offer: Offer) -> bool {
        self.state().roster.starves(offer, Instant::now())
    }

    /// The next dial that fails is told to all who wait.
    fn lose_patience(&self) {
        self.state().roster.lose_patience();
    }

    fn dial_failed(&self, offer: Offer, failure: &Failure) {
        let mut state = self.state();
        let failed = state.roster.dial_failed(offer, Instant::now());
        let told: Vec<_> = failed
            .iter()
            .filter_map(|waiter| state.waiting.remove(waiter))
            .collect();
        drop(state);
        for grant in told {
            // Whoever no longer listens does not mind.
            let _ = grant.send(Err(failure.clone()));
        }
    }

    fn released(self: &Arc<Self>, link: u64, fate: Fate, sender: Option<Sender>) {
        // A server without a connection waits for one of the others' to become free.
        let fate = if fate == Fate::Keep && self.common.sockets.give_one() {
            Fate::Retire
        } else {
            fate
        };
        let mut state = self.state();
        state.roster.released(link, fate, Instant::now());
        if fate != Fate::Keep {
            state.links.remove(&link);
        } else if let Some(link) = state.links.get_mut(&link) {
            link.last_used = Instant::now();
            if let Some(sender @ Sender::H1(_)) = sender {
                link.sender = Some(sender);
            }
        }
        drop(state);
        self.settle();
    }

    /// The peer's settings were read.
    fn allows(self: &Arc<Self>, link: u64, streams: usize) {
        self.state().roster.allows(link, streams);
        self.settle();
    }

    fn ended(self: &Arc<Self>, link: u64) {
        let mut state = self.state();
        state.roster.ended(link);
        state.links.remove(&link);
        drop(state);
        self.settle();
    }

    /// Closes a connection that has been idle for too long. Answers when to ask again, and
    /// nothing once the connection is not this lane's any more.
    fn close_if_idle(&self, link: u64) -> Option<Duration> {
        let mut state = self.state();
        let left = state.roster.idle_left(link, Instant::now())?;
        if !left.is_zero() {
            return Some(left);
        }
        state.roster.ended(link);
        state.links.remove(&link);
        None
    }
}

/// A place in the queue; whoever leaves it early is forgotten.
struct Place<'a> {
    lane: &'a Arc<Lane>,
    waiter: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.roster.leave(self.waiter);
        let forgotten = state.waiting.remove(&self.waiter);
        drop(state);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests;
