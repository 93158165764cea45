//! The ways to addresses. In: round trips of connections, as the kernel counts them. Out: what a path's shortest
//! is, how much packets are late by chance, and whether more than that waits in a queue. Never: a decision.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::tcp_info::TcpInfo;

/// The ways to addresses.
#[derive(Debug, Default)]
pub(super) struct Paths {
    ways: HashMap<IpAddr, Path>,
    /// What is sent is paced below what the link carries.
    paced: bool,
}

/// The way to one address.
#[derive(Debug)]
struct Path {
    /// The shortest round trip, and when it was last that short.
    shortest: Duration,
    at: Instant,
    /// How far single round trips are from their mean: half of the looks saw less, by and large.
    varies: Duration,
    since: Instant,
    noted_at: Instant,
    /// It has become longer, which connections from before do not know.
    is_longer: bool,
    losses: LossesOfPath,
    /// The shortest and the longest since the window began.
    began: Instant,
    low: Duration,
    high: Duration,
}

/// Where packets of a path are lost. What overflows is lost where round trips are longer than usual; what a link loses by
/// itself has nothing to do with them, and neither has what is late by chance.
#[derive(Debug)]
struct LossesOfPath {
    /// The round trip of the last seconds, in seconds.
    usual: f64,
    looked_at: Instant,
    /// Looks which found that something was lost, and the share of them that saw a longer one, as an average that forgets.
    looks: f64,
    share: f64,
    lost_at: Option<Instant>,
}

/// What the last losses of a path have to do with its queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum LostOfLate {
    /// Too few were lost, or too long ago.
    #[default]
    Little,
    /// Nearly all where round trips were longer than usual.
    Overflow,
    /// Most where they were not.
    Anywhere,
}

/// A round trip of late, and what is known of its path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoundTrip {
    /// The one of late, smoothed.
    pub(super) rtt: Duration,
    /// The shortest that any connection has seen on the path.
    pub(super) shortest: Duration,
    /// So much more says nothing: on this path packets are late by chance.
    pub(super) jitter: Duration,
    /// What was lost of late.
    pub(super) lost: LostOfLate,
}

impl RoundTrip {
    /// How much longer than the shortest it is.
    pub(super) fn waits(&self) -> Duration {
        self.rtt.saturating_sub(self.shortest)
    }

    /// A queue has built up, as it does before a link is full.
    pub(super) fn is_queued(&self) -> bool {
        self.rtt > times(self.shortest, QUEUED) + self.jitter && !self.is_late_by_chance()
    }

    /// The same where others filled the link before: even the shortest round trip has most of their queue in it, but a queue
    /// rises and falls, and packets are lost where it is longest.
    pub(super) fn is_congested(&self) -> bool {
        let overflows = self.lost == LostOfLate::Overflow;
        self.is_queued() || overflows && self.rtt > times(self.shortest, FLAT)
    }

    /// Nothing waits. On a path that is so short that noise hides a queue it is not known.
    pub(super) fn is_flat(&self) -> bool {
        let is_short = self.rtt <= times(self.shortest, FLAT) + self.jitter;
        self.shortest > NOISE && (is_short || self.is_late_by_chance())
    }

    /// Packets are late by chance, and a queue would lose them where they are later still.
    fn is_late_by_chance(&self) -> bool {
        self.jitter >= NOISE && self.lost == LostOfLate::Anywhere
    }
}

impl Paths {
    /// Those of connections that a pace keeps from filling a queue. A connection that begins makes none there, and tells
    /// of jitter as well; and single round trips that differ for a moment are others who fill it: jitter is what lasts.
    pub(super) fn paced() -> Paths {
        Paths {
            paced: true,
            ..Paths::default()
        }
    }

    /// The round trip to `peer` as a look `now` shows it. `None` where none was measured, as after a handshake of
    /// which packets were sent again. Since the look before packets were `lost`, or none.
    pub(super) fn note(
        &mut self,
        peer: IpAddr,
        info: &TcpInfo,
        lost: bool,
        now: Instant,
    ) -> Option<RoundTrip> {
        if info.rtt.is_zero() {
            return None;
        }
        let Paths { ways, paced } = self;
        if ways.len() >= MOST_ADDRESSES && !ways.contains_key(&peer) {
            ways.clear();
        }
        let path = ways.entry(peer).or_insert_with(|| Path {
            shortest: info.shortest.min(info.rtt),
            at: now,
            varies: LEAST_VARIES,
            since: now,
            noted_at: now,
            is_longer: false,
            losses: LossesOfPath::new(info.rtt, now),
            began: now,
            low: info.rtt,
            high: info.rtt,
        });
        Some(path.note(info, lost, *paced, now))
    }

    /// The longest of the round trips without a queue.
    pub(super) fn longest(&self) -> Duration {
        let ways = self.ways.values();
        ways.map(|path| path.shortest).max().unwrap_or_default()
    }
}

impl Path {
    fn note(&mut self, info: &TcpInfo, lost: bool, paced: bool, now: Instant) -> RoundTrip {
        // The kernel has seen each packet of a connection; this has not.
        let known = if self.is_longer {
            info.rtt
        } else {
            info.shortest
        };
        self.shortest = self.shortest.min(info.rtt).min(known);
        if info.rtt <= self.shortest + SAME {
            self.at = now;
        }
        self.low = self.low.min(info.rtt);
        self.high = self.high.max(info.rtt);
        if now.saturating_duration_since(self.began) >= WINDOW {
            self.end_window(now);
        }
        self.note_varies(info, paced, now);
        let is_longer = info.rtt > times(self.shortest, FLAT);
        RoundTrip {
            rtt: info.rtt,
            shortest: self.shortest,
            jitter: self.varies.saturating_sub(LEAST_VARIES) * JITTER,
            lost: self.losses.note(info.rtt, is_longer, lost, now),
        }
    }

    /// Goes towards the median of what looks see. While a connection begins the queue grows from one round trip to the
    /// next, and while it repeats what was lost it falls.
    fn note_varies(&mut self, info: &TcpInfo, paced: bool, now: Instant) {
        if !paced && !info.grows_slowly {
            return;
        }
        let over = match paced {
            true => (now.saturating_duration_since(self.since).as_secs_f64())
                .clamp(VARIES_OVER, LASTING_OVER),
            false => VARIES_OVER,
        };
        let then = std::mem::replace(&mut self.noted_at, now);
        let passed = now.saturating_duration_since(then);
        let step = 1.0 + (passed.as_secs_f64() / over).min(1.0);
        self.varies = match info.varies > self.varies {
            true => self.varies.mul_f64(step),
            false => self.varies.div_f64(step).max(LEAST_VARIES),
        };
    }

    /// A path that has become longer shows no shorter round trip any more. Queues come and go; what stays the
    /// same, also where we are quiet for a moment, is the path.
    fn end_window(&mut self, now: Instant) {
        let is_steady = self.high - self.low < STEADY;
        let is_old = now.saturating_duration_since(self.at) >= LASTS;
        if self.low > self.shortest + SAME && (is_steady || is_old) {
            tracing::info!(before = ?self.shortest, now = ?self.low, "the path has become longer");
            (self.shortest, self.at, self.is_longer) = (self.low, now, true);
        }
        (self.began, self.low, self.high) = (now, Duration::MAX, Duration::ZERO);
    }
}

impl LossesOfPath {
    fn new(rtt: Duration, now: Instant) -> LossesOfPath {
        LossesOfPath {
            usual: rtt.as_secs_f64(),
            looked_at: now,
            looks: 0.0,
            share: 0.0,
            lost_at: None,
        }
    }

    /// Adds a look.
    fn note(&mut self, rtt: Duration, is_longer: bool, lost: bool, now: Instant) -> LostOfLate {
        let then = std::mem::replace(&mut self.looked_at, now);
        let passed = now.saturating_duration_since(then).as_secs_f64();
        let rtt = rtt.as_secs_f64();
        self.usual += (rtt - self.usual) * (passed / USUAL_OVER).min(1.0);
        if lost {
            let beside_queue = f64::from(u8::from(is_longer && rtt > self.usual));
            self.looks = (self.looks + 1.0).min(LOSSES);
            self.share += (beside_queue - self.share) / self.looks;
            self.lost_at = Some(now);
        }
        match self.looks >= LOSSES && is_within(TELLS_FOR, self.lost_at, now) {
            true if self.share > NEARLY_ALL => LostOfLate::Overflow,
            true if self.share < HALF => LostOfLate::Anywhere,
            _ => LostOfLate::Little,
        }
    }
}

/// So many times the shortest, and what noise may add.
fn times(shortest: Duration, times: f64) -> Duration {
    shortest.mul_f64(times) + NOISE
}

/// Whether `then` was less than `time` ago; what never was is not.
pub(super) fn is_within(time: Duration, then: Option<Instant>, now: Instant) -> bool {
    then.is_some_and(|then| now.saturating_duration_since(then) < time)
}

/// A round trip so many times the shortest has a queue in it, and one of no more than so many has none; both
/// may be this much longer.
const QUEUED: f64 = 1.15;
const FLAT: f64 = 1.05;
const NOISE: Duration = Duration::from_millis(3);

/// Over how many looks that found losses it is seen where they are; of a queue that overflows three quarters saw longer
/// round trips, and less than half of what has nothing to do with them.
const LOSSES: f64 = 12.0;
const NEARLY_ALL: f64 = 0.75;
const HALF: f64 = 0.5;

/// Seconds over which a round trip is the usual one.
const USUAL_OVER: f64 = 2.0;

/// How long that tells of a path: a connection of CUBIC fills a queue again in some seconds.
const TELLS_FOR: Duration = Duration::from_secs(5);

/// What packets are late by chance is no more than so many times what single round trips are from their mean. Behind a
/// full queue all packets are late by the same, and it is more than 30 times.
const JITTER: u32 = 10;

/// Seconds over which that is seen, of what lasts after the first ones, and what round trips differ by on every path.
const VARIES_OVER: f64 = 0.5;
const LASTING_OVER: f64 = 20.0;
const LEAST_VARIES: Duration = Duration::from_millis(1);

/// Round trips that differ by no more are the same.
const SAME: Duration = Duration::from_millis(2);

/// Over which a round trip that never changes is the path's own, and by how much it may.
const WINDOW: Duration = Duration::from_secs(30);
const STEADY: Duration = Duration::from_millis(5);

/// How long the shortest counts in any case.
const LASTS: Duration = Duration::from_secs(300);

/// Beyond these all are forgotten.
const MOST_ADDRESSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// The last of many looks at a path of 80 ms, of which `looks` tells the round trip and what single ones are from it, in
    /// ms.
    fn after(looks: impl Fn(usize) -> (f64, f64)) -> RoundTrip {
        after_of(Paths::default(), true, looks)
    }

    fn after_of(
        mut paths: Paths,
        grows_slowly: bool,
        looks: impl Fn(usize) -> (f64, f64),
    ) -> RoundTrip {
        let start = Instant::now();
        let seen = (0..400).map(|index| {
            let (rtt, varies) = looks(index);
            let info = TcpInfo {
                rtt: Duration::from_secs_f64(rtt / 1e3),
                varies: Duration::from_secs_f64(varies / 1e3),
                shortest: Duration::from_millis(80),
                grows_slowly,
                ..TcpInfo::default()
            };
            let now = start + Duration::from_micros(12_500) * index as u32;
            paths.note(PEER, &info, false, now)
        });
        seen.last().flatten().expect("it was measured")
    }

    #[test]
    fn what_is_late_by_chance_is_no_queue() {
        let chance = after(|index| (112.0 + (index % 7) as f64, 2.0 + (index % 5) as f64));
        assert!(chance.is_flat() && !chance.is_queued(), "{chance:?}");
        assert_eq!(chance.waits(), Duration::from_millis(32));
    }

    /// Now and then single round trips are far apart behind a queue as well: where it grows, and at a begin.
    #[test]
    fn a_queue_is_the_same_for_all_packets() {
        let queue = after(|index| match index % 4 {
            0 => (130.0, 9.0),
            _ => (130.0, 0.9),
        });
        assert!(queue.is_queued() && !queue.is_flat(), "{queue:?}");
        let full_as_well = after(|_| (190.0, 4.0));
        assert!(full_as_well.is_queued(), "{full_as_well:?}");
    }

    #[test]
    fn jitter_that_has_gone_is_forgotten() {
        let calm = after(|index| (125.0, if index < 200 { 8.0 } else { 0.5 }));
        assert!(calm.is_queued(), "{calm:?}");
    }

    /// What a pace keeps from being full tells of jitter from the begin on, and at once; but what others do to it for a second
    /// is their queue.
    #[test]
    fn of_what_is_paced_jitter_is_what_lasts() {
        let jitter = after_of(Paths::paced(), false, |index| {
            (100.0 + (index % 9) as f64, 3.0 + (index % 4) as f64)
        });
        assert!(jitter.waits() < jitter.jitter, "{jitter:?}");
        for (paths, queued) in [(Paths::paced(), true), (Paths::default(), false)] {
            let seen = after_of(paths, true, |index| match index < 360 {
                true => (82.0, 0.8),
                false => (95.0, 4.0),
            });
            assert_eq!(seen.waits() > seen.jitter * 2, queued, "{seen:?}");
        }
    }

    /// Whoever comes to a link that others have filled sees little more than the shortest round trip, and loses packets
    /// there.
    #[test]
    fn a_queue_that_loses_packets_is_seen_from_less_on() {
        // Round trips rise from `low` to 155 ms and fall again, and half of those of `losing` find losses; the last ones
        // are of 155 ms, 137 and, six seconds later, 155.
        let looks = |low: u64, varies: u64, losing: std::ops::Range<u64>| {
            let (mut paths, start) = (Paths::default(), Instant::now());
            let mut sees = |at: u64, rtt, lost| {
                let info = TcpInfo {
                    rtt: Duration::from_millis(rtt),
                    varies: Duration::from_millis(varies),
                    shortest: Duration::from_millis(135),
                    grows_slowly: true,
                    ..TcpInfo::default()
                };
                let now = start + Duration::from_millis(at);
                let seen = paths.note(PEER, &info, lost, now).expect("it was measured");
                assert!(!seen.is_queued(), "{seen:?}");
                seen.is_congested()
            };
            for look in 0..200 {
                let rtt = low + (155 - low) * (look % 20) / 19;
                sees(look * 50, rtt, losing.contains(&rtt) && look % 2 == 0);
            }
            [(10_050, 155), (10_100, 137), (16_000, 155)].map(|(at, rtt)| sees(at, rtt, false))
        };
        assert_eq!(looks(136, 0, 150..156), [true, false, false]);
        assert_eq!(
            looks(136, 9, 150..156),
            [true, false, false],
            "beside jitter"
        );
        assert_eq!(looks(136, 0, 136..156), [false; 3], "its own losses");
        assert_eq!(looks(153, 9, 152..156), [false; 3], "late by chance");
        assert_eq!(looks(136, 0, 156..157), [false; 3], "none");
    }

    /// Packets that are late by chance and come densely are nearly all as late as the latest.
    #[test]
    fn where_losses_have_nothing_to_do_with_round_trips_nothing_waits() {
        let last = |varies: f64, lost: fn(usize) -> bool| {
            let (mut paths, start) = (Paths::default(), Instant::now());
            let seen = (0..400).map(|index| {
                let info = TcpInfo {
                    rtt: Duration::from_millis(112 + (index % 9) as u64),
                    varies: Duration::from_secs_f64(varies / 1e3),
                    shortest: Duration::from_millis(80),
                    grows_slowly: true,
                    ..TcpInfo::default()
                };
                let now = start + Duration::from_micros(12_500) * index as u32;
                paths.note(PEER, &info, lost(index), now)
            });
            seen.last().flatten().expect("it was measured")
        };
        let some: fn(usize) -> bool = |index| matches!(index % 9, 0 | 3 | 7);
        let anywhere = last(2.5, some);
        assert!(anywhere.is_flat() && !anywhere.is_queued(), "{anywhere:?}");
        assert!(!anywhere.is_congested());
        let none = last(2.5, |_| false);
        assert!(!none.is_flat(), "{none:?}");
        let top = last(2.5, |index| index % 9 > 6);
        assert!(top.is_congested() && !top.is_flat(), "{top:?}");
        let no_jitter = last(0.9, some);
        assert!(no_jitter.is_queued() && !no_jitter.is_flat());
    }

    #[test]
    fn on_a_very_short_path_nothing_is_known() {
        let [short, longer] = [1, 5].map(|ms| RoundTrip {
            rtt: Duration::from_millis(ms),
            shortest: Duration::from_millis(ms),
            jitter: Duration::ZERO,
            lost: LostOfLate::Little,
        });
        assert!(longer.is_flat());
        assert!(!short.is_flat() && !short.is_queued());
    }
}
