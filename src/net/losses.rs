//! Whether a link loses packets by itself. In: what the kernel counts on connections. Out: that it does, sooner the
//! surer it is. Never: what a full link loses, as far as its queue is seen.

use std::time::{Duration, Instant};

use super::path::{RoundTrip, is_within};
use super::tcp_info::TcpInfo;

/// A connection begins twice as fast each round trip until that loses packets, on every link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing was lost yet.
    Rising,
    /// What was lost by that is sent again: segments since, and how many of them were repeats.
    Recovering { segments: u32, again: u32 },
    /// From here on each loss says something of the link.
    Over,
}

impl Start {
    /// Goes on by one look: how many of its losses say something of the link. A start that has just ended is one,
    /// but where the link was full: then a good part of the last round trip was lost.
    pub(super) fn step(&mut self, interval: &Interval) -> u32 {
        let (before, lost) = match *self {
            Start::Rising => (0, 0),
            Start::Recovering { segments, again } => (segments, again),
            Start::Over => return interval.again,
        };
        let segments = before.saturating_add(interval.segments);
        let again = lost.saturating_add(interval.again);
        if interval.again > 0 {
            *self = Start::Recovering { segments, again };
            return 0;
        }
        if lost > 0 {
            *self = Start::Over;
        }
        u32::from(lost > 0 && again.saturating_mul(MANY) <= segments)
    }

    /// A good part of all that was sent was lost at once: there was no room for it in the link's queue.
    pub(super) fn overflows(&self) -> bool {
        matches!(*self, Start::Recovering { segments, again }
            if again >= BURST && again.saturating_mul(OVERFLOWS) >= segments)
    }
}

/// What was counted on one connection between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) segments: u32,
    pub(super) again: u32,
    pub(super) round_trip: RoundTrip,
}

impl Interval {
    /// `round_trip` is what the path shows at its end.
    pub(super) fn between(before: &TcpInfo, now: &TcpInfo, round_trip: RoundTrip) -> Interval {
        Interval {
            segments: now.segments.wrapping_sub(before.segments),
            again: now.again.wrapping_sub(before.again),
            round_trip,
        }
    }
}

/// What all connections have shown of late, as evidence for a link that loses one packet in 1,000 against
/// one that loses one in 10,000: Page's test. Each loss adds to it, each segment takes from it, and it is never
/// below nothing, so that what was clean for long is found as soon as it loses.
#[derive(Debug, Default)]
pub(super) struct Losses {
    evidence: f64,
    /// When a connection last saw a queue: it is the others' as well.
    queue_at: Option<Instant>,
    /// Losing looks since then: a queue that is seen a moment later makes them void.
    unsure: u64,
    unsure_since: Option<Instant>,
    /// When it was last sure that one was the link's own, and when before that.
    lost_at: Option<Instant>,
    lost_before: Option<Instant>,
    /// When a round trip was last longer than on an empty path.
    longer_at: Option<Instant>,
}

impl Losses {
    /// Adds `interval`, of a connection that begins and `overflows` the queue, or not. Whether the link loses packets while
    /// it is not full.
    pub(super) fn note(&mut self, interval: &Interval, overflows: bool, now: Instant) -> bool {
        self.add(-f64::from(interval.segments) * SENT);
        if !interval.round_trip.is_flat() {
            self.longer_at = Some(now);
        }
        if overflows || interval.round_trip.is_queued() {
            self.queue_at = Some(now);
            self.unsure = 0;
            return false;
        }
        // Losses come in bursts, and a burst is one event.
        if interval.again > 0
            && interval.round_trip.is_flat()
            && !is_within(CALM, self.queue_at, now)
        {
            self.unsure += 1;
        }
        if !is_within(CALM, self.unsure_since, now) {
            let sure = std::mem::take(&mut self.unsure);
            self.add(sure as f64 * LOST);
            if sure > 0 {
                self.lost_before = self.lost_at.replace(now);
            }
            self.unsure_since = Some(now);
        }
        self.evidence >= ENOUGH
    }

    /// Whether packets are lost again and again although nothing waits: where others fill the link, round trips rise and
    /// fall with its queue, also where the shortest has a part of it.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        is_within(OF_LATE, self.lost_at, now)
            && is_within(OF_LATE, self.lost_before, now)
            && !is_within(EMPTY_FOR, self.longer_at, now)
    }

    fn add(&mut self, evidence: f64) {
        self.evidence = (self.evidence + evidence).max(0.0);
    }
}

/// How long a queue and what it loses may be apart, by what connections see of them.
const CALM: Duration = Duration::from_secs(1);

/// How long a loss says that connections slow down on a link that is not full: some of their round trips.
const OF_LATE: Duration = Duration::from_secs(5);

/// How long a path has to have been empty for that.
const EMPTY_FOR: Duration = Duration::from_secs(3);

/// A start that lost one segment in so many, or more, has filled the link.
const MANY: u32 = 16;

/// One that lost one in so many of its segments, and not only a few, has met a queue that was full before.
const OVERFLOWS: u32 = 3;
const BURST: u32 = 8;

/// What a loss says for one in 1,000 against one in 10,000, at which many connections of CUBIC fill a link of
/// 1 Gbit/s as well: the logarithm of their ratio.
const LOST: f64 = std::f64::consts::LN_10;

/// What a segment that was sent says against it: the difference of the two.
const SENT: f64 = 9e-4;

/// Four losses within 1,300 segments, or six in 6,400. Of links that lose one segment in 200 such are found after
/// some 750 segments, of one in 1,000 after 4,800 (medians). One in 10,000 is mistaken for that after seven million,
/// 10 GB: where BBR is no loss either.
const ENOUGH: f64 = 8.0;

#[cfg(test)]
impl Interval {
    /// What a connection shows on a path of 80 ms: so many segments sent again, a round trip of so many ms.
    pub(super) fn of_ms(again: u32, rtt: u64) -> Interval {
        Interval {
            segments: 90,
            again,
            round_trip: RoundTrip {
                rtt: Duration::from_millis(rtt),
                shortest: Duration::from_millis(80),
                jitter: Duration::ZERO,
                lost: super::path::LostOfLate::Little,
            },
        }
    }
}

#[cfg(test)]
impl Losses {
    /// The link loses packets.
    pub(super) fn sure() -> Losses {
        Losses {
            evidence: 2.0 * ENOUGH,
            ..Losses::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks of eight connections, ten times a second each, of which `looks` tells what they find. The
    /// seconds after which the link is taken for a losing one.
    fn found_after(seconds: usize, looks: impl Fn(usize) -> Interval) -> Option<usize> {
        let (mut losses, start) = (Losses::default(), Instant::now());
        let mut looked = 0..seconds * 80;
        let found = looked.find(|&index| {
            let now = start + Duration::from_micros(12_500) * index as u32;
            losses.note(&looks(index), false, now)
        });
        found.map(|index| index / 80)
    }

    /// One look of `every` finds a loss.
    fn losing(every: usize, rtt: u64) -> impl Fn(usize) -> Interval {
        move |index| Interval::of_ms(u32::from(index % every == 0), rtt)
    }

    #[test]
    fn a_link_that_loses_without_a_queue_is_found() {
        // One in 100, in 1,000, in 1,800.
        assert_eq!(found_after(60, losing(1, 82)), Some(1));
        assert_eq!(found_after(60, losing(11, 82)), Some(1));
        assert_eq!(found_after(60, losing(20, 82)), Some(1));
    }

    #[test]
    fn a_clean_link_and_one_that_seldom_loses_are_left_alone() {
        assert_eq!(found_after(60, losing(usize::MAX, 82)), None);
        // One in 10,000.
        assert_eq!(found_after(60, losing(111, 82)), None);
    }

    /// Who comes to a link that others have filled knows no shorter round trip than one with most of their queue.
    #[test]
    fn a_link_that_was_full_before_loses_by_itself() {
        assert_eq!(found_after(60, losing(1, 90)), None);
    }

    /// Each second the queue is full, packets are lost, and it is empty again before most have looked.
    #[test]
    fn a_full_link_loses_by_itself() {
        assert_eq!(found_after(60, losing(1, 110)), None, "the queue is seen");
        let now_and_then = |index: usize| match index % 64 {
            0 => Interval::of_ms(3, 110),
            1..20 => Interval::of_ms(3, 90),
            _ => Interval::of_ms(0, 82),
        };
        assert_eq!(found_after(60, now_and_then), None, "one has seen it");
        let seen_later = |index: usize| match index % 64 {
            0..20 => Interval::of_ms(3, 90),
            20 => Interval::of_ms(0, 110),
            _ => Interval::of_ms(0, 82),
        };
        assert_eq!(found_after(60, seen_later), None, "it is seen afterwards");
    }

    /// Two slow connections: some 250 segments a second, of which one in 1,000 is lost.
    #[test]
    fn a_few_losses_of_slow_connections_are_enough() {
        let (mut losses, start) = (Losses::default(), Instant::now());
        let found = (0..200).find(|&index| {
            let lost = u32::from(index % 11 == 0);
            losses.note(
                &Interval::of_ms(lost, 82),
                false,
                start + index * Duration::from_millis(360),
            )
        });
        let segments = found.map(|index| (index + 1) * 90);
        assert!(
            segments.is_some_and(|segments| segments < 6_500),
            "{segments:?}"
        );
    }

    /// Looks ten times a second of which one a second finds a loss, as long as `until`: whether it goes on, second by
    /// second.
    fn goes_on(rtt: impl Fn(u64) -> u64, until: u64) -> String {
        let (mut losses, start) = (Losses::default(), Instant::now());
        let told = (0..120_u64).filter_map(|look| {
            let now = start + Duration::from_millis(look * 100);
            let again = u32::from(look % 10 == 4 && look / 10 < until);
            losses.note(&Interval::of_ms(again, rtt(look)), false, now);
            (look % 10 == 9).then(|| if losses.goes_on(now) { '+' } else { '-' })
        });
        told.collect()
    }

    #[test]
    fn losses_that_go_on_without_a_queue_are_told_for_a_while() {
        assert_eq!(goes_on(|_| 82, 0), "-".repeat(12));
        assert_eq!(goes_on(|_| 82, 1), "-".repeat(12), "once is chance");
        assert_eq!(goes_on(|_| 82, 12), format!("--{}", "+".repeat(10)));
        assert_eq!(goes_on(|_| 82, 4), "--++++++----");
    }

    /// Longer than an empty path has it, and not yet a queue: as who comes to a full link sees it.
    #[test]
    fn losses_beside_round_trips_that_rise_and_fall_are_not_the_links() {
        let rises = |look: u64| 81 + look % 20 / 2;
        assert_eq!(goes_on(rises, 12), "-".repeat(12));
    }

    #[test]
    fn a_start_that_lost_little_was_ended_by_the_links_losses() {
        let ends = |lost: &[u32]| {
            let mut start = Start::Rising;
            let looks = lost
                .iter()
                .map(|&again| start.step(&Interval::of_ms(again, 82)));
            looks.sum::<u32>()
        };
        assert_eq!(ends(&[0, 0, 0]), 0, "it goes on");
        assert_eq!(ends(&[0, 1, 0, 0]), 1);
        assert_eq!(ends(&[0, 2, 1, 0, 3, 0]), 1 + 3, "and what is lost later");
        assert_eq!(ends(&[0, 0, 30, 20, 0]), 0, "it filled the link");
    }

    /// Whoever comes to a full link loses much of what a connection begins with, although its round trip is the shortest
    /// that was seen until then.
    #[test]
    fn a_start_that_lost_a_good_part_met_a_full_queue() {
        let mut start = Start::Rising;
        let mut overflows = |segments, again| {
            let looked = Interval {
                segments,
                ..Interval::of_ms(again, 82)
            };
            start.step(&looked);
            start.overflows()
        };
        assert!(!overflows(10, 0) && !overflows(40, 9));
        assert!(overflows(30, 15), "24 of 70");
        assert!(!overflows(90, 10), "34 of 160");
        assert!(!overflows(90, 0), "it is over");
        for (overflows, expected) in [(true, None), (false, Some(1))] {
            let (mut losses, begin) = (Losses::default(), Instant::now());
            let found = (0..300_u64).find(|&look| {
                let begins = look % 8 == 0;
                let seen = Interval::of_ms(u32::from(!begins), 82);
                let now = begin + Duration::from_millis(look * 100);
                losses.note(&seen, begins && overflows, now)
            });
            assert_eq!(found.map(|look| look / 10), expected, "{overflows}");
        }
    }

    #[test]
    fn a_link_that_was_clean_for_long_is_found_when_it_loses() {
        let later = |index: usize| Interval::of_ms(u32::from(index > 80 * 30), 81);
        assert_eq!(found_after(60, later), Some(31));
    }
}
