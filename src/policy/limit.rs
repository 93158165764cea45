//! The adaptive limit: how many slices are in flight. In: acknowledgements, bytes that sockets took,
//! signals of congestion, each with its time. Out: a number of permits that follows measured
//! goodput. Never: a clock, a lock, or so many slices that one could not arrive within the
//! gateway's 60 s.
//!
//! ```text
//!           level                 less than 1.15 x, or more do not arrive in time
//! Opening ---------> Doubling -------------------------------------------------> Holding
//!                     |    ^                                                      |   ^
//!      1.15 x or more +----+                                                      |   |
//!                          ^        a quarter more or fewer, after the interval   |   |
//!                          |            +-----------------------------------------+   |
//!                          |            v                                             |
//!                          +-------- Probing -----------------------------------------+
//!     a quarter more gained 1.15 x              kept: the interval is 0
//!                                               reverted: it doubles, the other way next
//!
//! a cut (429, 5xx, time-out, one failure in four), from anywhere ------------> Holding
//! ```
//!
//! | part | holds | decides |
//! |---|---|---|
//! | `Goodput` | the sockets' counter, acknowledgements since the last step, round trip | what the present number carries |
//! | `BandwidthEstimate` | the best of late, fading | how many bodies arrive in time |
//! | `Search` | phase, wanted number, probe interval | what is tried next, what is kept |
//! | `Backoff` | failures of late | whether to cut, when to probe upwards again |
//! | `Ramp` | permits open now | how fast they follow the wanted number |
//!
//! Acknowledged bytes are exact, and slow: on 100 Mbit/s a slice of 16 MiB is acknowledged every
//! 1.3 s, often several at once. Bytes taken by sockets are quick, and run ahead by what the kernel
//! buffers. So doubling goes by the sockets; a probe is judged by acknowledgements, unless slices are
//! so slow that these would take minutes.
//!
//! On a link that loses packets connections begin fast and each slows down at its losses: goodput
//! falls although more connections would help. So a probe upwards that gains as much as it adds
//! shows that each connection has a pace of its own, and is followed by doubling. Where sockets use BBR
//! none has: what rises then is BBR's doing, not that of more connections, and a few fill the link.
//!
//! Where the system tells what servers have acknowledged (Linux), that is counted in the place of what sockets took, and
//! nothing has to be taken off it.
//!
//! Where packets wait in a queue that all connections share (Linux tells), the link is full: no connection has a pace of
//! its own, and one more only takes from others. Then as many are in flight as fill the link, by the square root of
//! what is carried: of uploads that know nothing of each other the one with more goes down and the one with less up.
//!
//! The first permits open within a moment, so that their connections share from the start: one that begins when the
//! others have filled the link leaves slow start at once, and a file of seconds would wait for it. What an earlier run
//! has found on the link is what a later one begins with: at once as many permits as arrive in time where the link
//! carries an eighth of that, and, over a long path, so many that each connection is soon up to its share. Four seconds
//! later the link has shown what it carries: where that is too little, the newest bodies are called off, which have
//! sent the least, and the search begins as if nothing was known. Where little is left to send, no more are tried.
//!
//! Where packets are lost although nothing waits (Linux tells), the link has room, and connections of CUBIC slow down one
//! by one: what more of them gain is hidden by what all lose meanwhile. There twice as many are tried, and again,
//! for as long as that is so.
//!
//! Each mechanism is here because a test of `limit/tests.rs` falls below its bar without it: taken out one by one, the
//! model's links and what falls first.
//!
//! | mechanism | falls without it |
//! |---|---|
//! | lower bound before the first acknowledgement (`certain`), over five spans | eleven tests; over one span 1 Gbit/s, 1 in 2,000 lost |
//! | the estimate fades, neither follows nor stays | Jain's index of a late upload; 200 Mbit/s become 4 |
//! | no more than what arrives, and 1.3 times that | 300 Mbit/s, 80 ms, 1 in 1,000 lost: 673 slices lost in 16 runs, with it one |
//! | an overdue acknowledgement voids the estimate | 200 Mbit/s become 4: slices are lost for 179 s instead of 59 |
//! | a slice three times as slow is another link | the same, and links that lose packets |
//! | `OPENS_WITHIN`, and 45 s for a probe upwards and at a pace of its own | equal shares of a full link; lossy links |
//! | what is open stays so up to `OPENS_WITHIN` (`kept`) | lossy links; a link that changes |
//! | a long path starts higher | the grid at 200 ms |
//! | the first permits open within half a second | the known link |
//! | bodies are called off, and what sockets took is forgotten then | a slow uplink: slices lost to the gateway's minute |
//! | not judged before what is open is known to arrive | the same |
//! | twice as many wait until it is known what a queue is | 1 Gbit/s, 200 ms: first 20 s 89 %, without 76 to 87 % (`tools/link`) |
//! | as many as fill a full link: never more, not fewer, by quarters down | equal shares: Jain's index 0.44 to 0.91 instead of 0.97 and more |
//! | no more than fill it where a queue was seen of late | a late upload on 100 Mbit/s: Jain's index 0.79 instead of 0.95 |
//! | twice as many, and again, where packets are lost without a queue | 1 Gbit/s, 80 ms, 1 in 10,000 lost: 75 % after 20 s instead of 99 % |
//! | own pace, seen early by the sockets, followed at once | seven tests: lossy links, a link that changes |
//! | `CLEARLY_BETTER`, once more was sent than sockets hold | lossy links; small bodies |
//! | `DOUBLE_AGAIN`, `DOUBLE_STAYS` | links that change or break down, a processor-bound loopback |
//! | `PAYS`, `COSTS_NOTHING`, probes downwards | a loopback settles at a modest number; refusals are heeded |
//! | the interval doubles | an outage; equal shares |
//! | back to half after many cuts | all refused for 5 s: 95 % of the 40 s after them instead of 98 % |
//! | level before it is judged, and rising no more (`STILL_RISING`, `has_lasted`) | 1 Gbit/s, 200 ms, 512 KiB: 65 % after 20 s |
//! | permits open apart from each other | ten tests: bodies come in step |
//! | `SLOW`: slow slices by the sockets | six tests: lossy links |
//! | a slice's time as span, acknowledgements begun since the last step | a link that changes; a knee |
//! | `SOCKET_FILL`, `SMALL`, `REQUEST`, a measurement of 1.5 s at least | bodies of 64 KiB |
//! | `SOCKET_HOLDS` | a slow uplink |
//! | cooldown of a cut, failures add up and differ in weight, `THROTTLE_BACKOFF` | an outage; resets are weather and refusals are heeded |
//!
//! Not by the model, but by `tools/link`: `SHARED`, `PAYS_SHARED` and `FIRST_SHARED` (BBR), and that a probe upwards is of
//! no more than arrive in time. By neither: what of a found link is trusted at once (`TRUSTED`), and that it is held where it
//! carries the same (`SAME`): a link on which less arrives would have more in flight than it needs, for seconds.
//!
//! The constants; each says in its file why it is what it is.
//!
//! | constant | value | of |
//! |---|---|---|
//! | `min`, `max`, `start` | 1, 256, 8 | [`LimitSettings`] |
//! | `FIRST_OPEN` | 2 | permits before the first moment has passed |
//! | `PAYS_AFTER` | 10 s | of sending left, from which more connections pay |
//! | `OPENS_WITHIN`, `ARRIVES_WITHIN`, `OWN_PACE_WITHIN` | 40, 25, 45 s | a body's time, of the gateway's 60 s |
//! | `FILLS` | 90 s | of what is carried, of which so many bodies as their root fill a full link |
//! | `LONG_PATH` | 0.1 s | round trip from which the search begins higher |
//! | `TRUSTED` | 8 | part of what was found before that is relied on at once |
//! | `PROVES_ITSELF_WITHIN`, `OPENS_ALL_WITHIN` | 4, 0.5 s | until it is looked whether it is so; until all are open |
//! | `SAME` | 1.25 | times what was found before, up or down: the same link |
//! | `SOON_ON_ITS_WAY` | 256 KiB | of a connection after some four round trips |
//! | `CLEARLY_BETTER`, `DOUBLE_AGAIN`, `DOUBLE_STAYS` | 1.5, 1.15, 1.08 | gains of twice as many |
//! | `PAYS`, `PROPORTIONAL`, `COSTS_NOTHING` | 1.02, 1.15, 0.99 | gains of a quarter more, or fewer |
//! | `PAYS_SHARED` | 1.05 | the same, where connections share |
//! | `FIRST_INTERVAL`, `LONGEST_INTERVAL` | 2, 30 s | between probes |
//! | `CUTS`, `THROTTLE_BACKOFF` | 3, 5 s | failures that cut; then no probe upwards |
//! | share left by a cut | 0.5, 0.7, 0.85 | time-out, throttled, failed |
//! | cooldown of a cut | 5, 1, 2 s | the same |
//! | `SHORTEST_SPAN`, `STEADY_SPAN`, `LONGEST_SPAN` | 0.4, 1.5, 8 s | of a measurement |
//! | `STILL_RISING` | 1.05 | from half a span to the next |
//! | `SMALL`, `SLOW` | 0.3, 4 s | a body's time |
//! | `ARRIVES_OVER`, `RISES` | 4 s, 1.3 | what arrives, and how much more is believed |
//! | `SLICE` | 1 MiB | a body of which bytes count, not its request |
//! | `SOCKET_FILL`, `SOCKET_HOLDS` | 1, 2 MiB | what a socket takes without having sent it |
//! | `REQUEST` | 32 KiB | a request's cost beside its bytes |
//! | `SHARED`, `FIRST_SHARED` | 4, 2 | times `start` that are wanted of connections that share; at first, on a link that is known |

mod backoff;
mod counter;
mod estimate;
mod goodput;
mod latency_window;
mod ramp;
mod search;

use std::time::{Duration, Instant};

use backoff::Backoff;
use goodput::Goodput;
use ramp::Ramp;
use search::Search;

/// The adaptive limit. One for a client, fed by every slice and every small file.
#[derive(Debug, Clone)]
pub struct Limit {
    fixed: Option<usize>,
    search: Search,
    ramp: Ramp,
    goodput: Goodput,
    backoff: Backoff,
    /// All was sent within seconds from so many bytes on.
    ends_from: u64,
}

/// Bounds of a [`Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// `--concurrency N`: exactly that many, whatever happens.
    pub fixed: Option<usize>,
    /// Never fewer.
    pub min: usize,
    /// Never more.
    pub max: usize,
    /// How many to begin with, once the link has shown that it carries them in time.
    pub start: usize,
}

impl Default for LimitSettings {
    /// 8 to begin with: four servers, two each. 256 is where file descriptors and mapped windows
    /// begin to cost; 1 Gbit/s over 200 ms needs 64 if each connection carries 2 MB/s.
    fn default() -> Self {
        LimitSettings {
            fixed: None,
            min: 1,
            max: 256,
            start: 8,
        }
    }
}

/// What a search has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Bodies in flight.
    pub permits: usize,
    /// What they carried together.
    pub bytes_per_second: u64,
}

/// What the limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// The number was asked for.
    Fixed,
    /// The first permits open as the link shows that it carries them.
    Opening,
    /// Twice as many are tried.
    Doubling,
    /// Nothing is tried; what the present number carries is measured.
    Holding,
    /// A quarter more are tried.
    TryingMore,
    /// A quarter fewer are tried.
    TryingFewer,
}

/// Where bytes are counted on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Sockets took them: they may hold them for a while.
    Taken,
    /// Servers have acknowledged them.
    Arrived,
}

/// What connections see of packets that wait in the link's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// Nothing waits, or the system does not tell.
    Not,
    /// Nothing waits, and packets are lost all the same: the link has room, and each connection a pace of its own.
    Losing,
    /// Something does; it is not known yet whether in a queue that all connections share.
    Seen,
    /// It waits in a queue that all connections share: the link is full.
    Common,
}

/// What went wrong with a slice, as far as the limit is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CongestionSignal {
    /// 429 or 5xx: the service asks for less.
    Throttled,
    /// Refused, reset, GOAWAY.
    Failed,
    /// The gateway's 60 s, or ours: too many shared the link.
    TimedOut,
    /// No progress on the connection.
    Stalled,
}

impl Limit {
    /// A limit for which nothing was sent yet.
    #[must_use]
    pub fn new(settings: LimitSettings, now: Instant) -> Self {
        let min = settings.min.max(1);
        let max = settings.max.max(min);
        let start = settings.start.clamp(min, max);
        let settings = LimitSettings {
            min,
            max,
            start,
            ..settings
        };
        let open = FIRST_OPEN.clamp(min, start);
        Limit {
            fixed: settings.fixed,
            search: Search::new(settings),
            ramp: Ramp::new(now, open),
            goodput: Goodput::new(now, open),
            backoff: Backoff::new(now),
            ends_from: 0,
        }
    }

    /// How many slices may be in flight. It changes within any of the `on_` calls, so
    /// waiters for a permit are woken after each.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.fixed.unwrap_or(self.ramp.open())
    }

    /// What it is about.
    #[must_use]
    pub fn steering(&self) -> Steering {
        match self.fixed {
            Some(_) => Steering::Fixed,
            None => self.search.steering(),
        }
    }

    /// How often the permits were cut, and after what the last time.
    #[must_use]
    pub fn cuts(&self) -> (u64, Option<CongestionSignal>) {
        self.backoff.cuts()
    }

    /// A slice of `bytes` is about to begin: how large bodies are decides how many arrive in time.
    pub fn on_start(&mut self, bytes: u64) {
        self.goodput.on_start(bytes);
    }

    /// A slice of `bytes` was acknowledged `took` after it began; `in_flight` slices remain.
    pub fn on_ack(&mut self, now: Instant, bytes: u64, took: Duration, in_flight: usize) {
        self.backoff.on_ack();
        self.goodput.on_ack(now, bytes, took, in_flight);
        self.advance(now);
    }

    /// `total` bytes of bodies were `seen` since the limit was made. Call it about ten times a second while anything
    /// is in flight.
    pub fn on_progress(&mut self, now: Instant, total: u64, seen: Seen) {
        self.goodput.on_progress(total, seen);
        self.advance(now);
    }

    /// So many bytes are left to send; `None` where that is not known. Where they are few, no more permits are tried.
    pub fn on_left(&mut self, left: Option<u64>) {
        self.search.on_left(left);
    }

    /// What connections see of the link's queue. Where all share it, more connections only take from each other.
    pub fn on_queue(&mut self, queued: Queued) {
        self.search.on_queue(queued);
    }

    /// Whether so much is left to send that more connections pay. Not before something was sent.
    #[must_use]
    pub fn connections_pay(&self) -> bool {
        let carried = self.goodput.quick();
        carried > 0.0 && self.search.pays(&self.goodput, carried)
    }

    /// Whether all is sent within ten seconds. Where that was so once it stays so, also where less is carried then,
    /// until there is more to send.
    pub fn ends_soon(&mut self) -> bool {
        let (Some(left), carried) = (self.search.left(), self.goodput.quick()) else {
            return false;
        };
        if carried > 0.0 && !self.search.pays(&self.goodput, carried) {
            self.ends_from = self.ends_from.max(left);
        } else if left > self.ends_from {
            self.ends_from = 0;
        }
        left <= self.ends_from
    }

    /// A new connection's handshake needed `rtt` for a round trip. The shortest one counts: it says
    /// how long a new connection needs to get up to speed.
    pub fn on_rtt(&mut self, rtt: Duration) {
        let shortest = self.goodput.on_rtt(rtt);
        self.search.on_rtt(shortest);
    }

    /// What was found on this link before. At once no more permits open than arrive in time where the link
    /// carries an eighth of that. Where it then carries less the search begins as if nothing was known, and
    /// [`surplus`](Self::take_surplus) says how many are in flight in vain; where it carries more it goes on from there.
    /// Connections that `will_share`, as BBR's, begin with fewer. Later than the first permits it changes nothing.
    pub fn on_found(&mut self, now: Instant, found: Found, will_share: bool) {
        self.goodput.read(now);
        self.search.begin_with(&mut self.goodput, found, will_share);
    }

    /// How many of the bodies in flight arrive in time, where that turned out to be fewer than there are: the
    /// newest of the others are to be called off. Told once.
    pub fn take_surplus(&mut self) -> Option<usize> {
        let most = self
            .search
            .take_surplus()
            .filter(|_| self.fixed.is_none())?;
        self.ramp.cut(most);
        Some(most)
    }

    /// What was found here: how many permits carry how much. `None` before the search has settled, where what
    /// was found before turned out wrong, where the number was asked for, and where bodies are so small that
    /// requests count rather than bytes.
    #[must_use]
    pub fn found(&self) -> Option<Found> {
        let tells = self.fixed.is_none() && !self.goodput.is_of_small_bodies();
        self.search.found().filter(|_| tells)
    }

    /// Connections share what the link carries, however much it loses, as BBR's do: a few fill it. That it
    /// is said again changes nothing.
    pub fn on_shared(&mut self) {
        if self.search.share() {
            self.goodput.restart();
        }
    }

    /// A slice failed.
    pub fn on_congestion(&mut self, now: Instant, signal: CongestionSignal) {
        if let Some(share) = self.backoff.on_signal(now, signal) {
            let left = (self.ramp.open() as f64 * share) as usize;
            let target = self.search.cut(left);
            self.ramp.cut(target);
            self.goodput.on_open(now, self.ramp.open());
            self.goodput.restart();
        }
    }

    fn advance(&mut self, now: Instant) {
        self.goodput.read(now);
        let target = self.search.target();
        let most = target.min(self.search.in_time(&self.goodput));
        let apart = self.goodput.spacing(target).min(self.search.spacing());
        self.ramp.approach(now, most, apart);
        self.goodput.on_open(now, self.ramp.open());
        let more = self.backoff.allows_more(now);
        self.search.step(&mut self.goodput, more);
    }
}

/// Open before the limit is asked for the first time.
const FIRST_OPEN: usize = 2;

#[cfg(test)]
mod tests;
