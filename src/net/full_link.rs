//! Whether the link ahead is full. In: round trips of connections, as the kernel counts them. Out: whether packets
//! wait in a queue that all connections share. Never: a connection of its own; it only says when one is wanted.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::path::{Paths, RoundTrip, is_within};
use super::tcp_info::TcpInfo;

/// Whether the link is full: connections see a queue most of the time, and a new one sees it as well. Where each
/// has a queue of its own, as behind a shaper that slows connections one by one, a new one sees none.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    paths: Paths,
    /// The share of the time in which a queue was seen, as an average that forgets.
    share: f64,
    noted_at: Option<Instant>,
    stands: bool,
    /// Whether a connection that was opened while it stood saw it, and when that was.
    common: Option<(bool, Instant)>,
    /// When one was last opened for that.
    asked_at: Option<Instant>,
}

impl Fullness {
    /// Adds a look at a connection to `peer` that has `lost` packets since the one before, or not. Returns its round
    /// trip; `None` where none was measured.
    pub(super) fn note(
        &mut self,
        peer: IpAddr,
        info: &TcpInfo,
        lost: bool,
        now: Instant,
    ) -> Option<RoundTrip> {
        let round_trip = self.paths.note(peer, info, lost, now)?;
        let is_queue = round_trip.is_congested();
        let then = self.noted_at.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(then).as_secs_f64();
        self.share += (f64::from(u8::from(is_queue)) - self.share) * (passed / SEEN_OVER).min(1.0);
        let enough = match self.stands {
            true => OFTEN_EMPTY,
            false => MOSTLY_FULL,
        };
        let stands = self.share > enough;
        if std::mem::replace(&mut self.stands, stands) != stands {
            tracing::debug!(stands, rtt = ?info.rtt, "a queue on the link");
        }
        Some(round_trip)
    }

    /// Adds what the first packets of a new connection to `peer` saw.
    pub(super) fn note_new(&mut self, peer: IpAddr, info: &TcpInfo, now: Instant) {
        let seen = self.paths.note(peer, info, false, now);
        if let Some(seen) = seen.filter(|_| self.stands && self.share > MOSTLY_FULL) {
            let is_queue = seen.is_congested();
            tracing::debug!(is_queue, rtt = ?info.rtt, "a connection was opened while a queue stands");
            self.common = Some((is_queue, now));
        }
    }

    /// Whether a connection was looked at of late.
    fn is_fresh(&self, now: Instant) -> bool {
        is_within(CALM, self.noted_at, now)
    }

    /// Whether the link is full `now`.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let is_common = self.common.is_some_and(|(is_common, _)| is_common);
        self.stands && is_common && self.is_fresh(now)
    }

    /// Whether a queue is seen `now`, of which it is not known whether it is common to all.
    pub(super) fn is_queued(&self, now: Instant) -> bool {
        self.share > SOMETIMES_FULL
            && self.common.is_none_or(|(is_common, _)| is_common)
            && self.is_fresh(now)
    }

    /// Whether a new connection is wanted, to see whether the queue is common to all. Said once for a while.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let known_at = self.common.map(|(_, at)| at);
        let asks = self.stands
            && self.share > MOSTLY_FULL
            && !is_within(KNOWN_FOR, known_at, now)
            && !is_within(ASKED_APART, self.asked_at, now);
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }
}

/// Seconds over which it is seen whether a queue stands.
const SEEN_OVER: f64 = 1.0;

/// The share of them in which one was seen: a link is full from here on, and until it is less than that.
const MOSTLY_FULL: f64 = 0.75;
const OFTEN_EMPTY: f64 = 0.4;

/// From here on one may come to stand.
const SOMETIMES_FULL: f64 = 0.15;

/// How long it counts what a new connection has seen of a queue, and how far those that are opened for it are apart.
const KNOWN_FOR: Duration = Duration::from_secs(30);
const ASKED_APART: Duration = Duration::from_secs(5);

/// What was seen longer ago says nothing of now.
const CALM: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS_APART: Duration = Duration::from_millis(100);

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// What the kernel tells of a connection that has seen `shortest` at best, in ms.
    fn info(rtt: u64, shortest: u64) -> TcpInfo {
        TcpInfo {
            rtt: Duration::from_millis(rtt),
            shortest: Duration::from_millis(shortest),
            ..TcpInfo::default()
        }
    }

    /// A path of 80 ms on which round trips take `rtt` for three seconds.
    fn queued(rtt: u64) -> (Fullness, Instant) {
        let (mut fullness, mut now) = (Fullness::default(), Instant::now());
        fullness.note(PEER, &info(80, 80), false, now);
        for _ in 0..30 {
            now += LOOKS_APART;
            fullness.note(PEER, &info(rtt, 80), false, now);
        }
        (fullness, now)
    }

    #[test]
    fn a_link_is_full_where_a_new_connection_sees_the_queue_as_well() {
        for (rtt, first, expected) in [
            (150, 140, true),
            // Of a queue that has stood from the beginning the path's shortest round trip has a part in it.
            (98, 98, true),
            // A shaper that slows each connection by itself.
            (150, 82, false),
            // Nothing waits.
            (90, 140, false),
        ] {
            let (mut fullness, now) = queued(rtt);
            assert!(!fullness.is_full(now), "no new one has told");
            assert_eq!(fullness.is_queued(now), rtt > 90, "{rtt} ms");
            fullness.note_new(PEER, &info(first, first), now);
            assert_eq!(fullness.is_full(now), expected, "{rtt} ms, {first} ms");
            assert_eq!(fullness.is_queued(now), expected, "{rtt} ms, {first} ms");
            let later = now + CALM;
            assert!(!fullness.is_full(later), "none sends any more");
        }
    }

    /// Whoever comes to a full link never sees it empty: its queue is what loses packets.
    #[test]
    fn a_queue_that_was_there_before_is_seen_by_what_it_loses() {
        for (lost, first, expected) in [(true, 150, true), (false, 150, false), (true, 137, false)]
        {
            let (mut fullness, mut now) = (Fullness::default(), Instant::now());
            fullness.note(PEER, &info(135, 135), false, now);
            for look in 0..60 {
                now += LOOKS_APART;
                fullness.note(PEER, &info(155, 135), lost && look % 2 == 0, now);
            }
            assert_eq!(fullness.asks(now), lost, "{lost}");
            fullness.note_new(PEER, &info(first, first), now);
            let is_full = fullness.is_full(now);
            assert_eq!(is_full, expected, "{lost}, {first} ms");
        }
    }

    #[test]
    fn a_queue_that_comes_and_goes_is_a_full_link_only_while_it_stands() {
        let (mut fullness, mut now) = queued(150);
        fullness.note_new(PEER, &info(140, 140), now);
        for (looks, rtt, expected) in [
            (7, 81, true),
            (10, 81, false),
            (10, 150, false),
            (5, 150, true),
        ] {
            for _ in 0..looks {
                now += LOOKS_APART;
                fullness.note(PEER, &info(rtt, 80), false, now);
            }
            assert_eq!(fullness.is_full(now), expected, "{looks} looks of {rtt} ms");
        }
    }

    #[test]
    fn while_a_queue_stands_a_connection_is_asked_for_now_and_then() {
        assert!(!queued(90).0.asks(queued(90).1), "nothing waits");
        let (mut fullness, now) = queued(150);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert!(fullness.asks(at(0)) && !fullness.asks(at(1)), "once");
        assert!(fullness.asks(at(5)), "it may have failed");
        fullness.note_new(PEER, &info(140, 140), at(6));
        assert!(!fullness.asks(at(35)) && fullness.asks(at(36)), "it told");
    }
}
