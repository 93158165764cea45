//! What waits in the queue of the link ahead of us. In: round trips and acknowledgements of connections, as the
//! kernel counts them. Out: how much longer than the shortest round trips are of late, and what arrives. Never: a
//! decision.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::path::Paths;
use super::tcp_info::{self, TcpInfo};
use crate::sync::Mutex;

/// What all connections of a pool see of the link.
#[derive(Debug, Default)]
pub(super) struct Queueing {
    state: Mutex<State>,
}

/// What one connection adds to it.
#[derive(Debug)]
pub(super) struct QueueWatch {
    queueing: Arc<Queueing>,
    peer: IpAddr,
    /// Among all connections.
    number: u64,
    looked: Instant,
    /// Bytes that were acknowledged by then.
    acked: Option<u64>,
}

/// The link as connections see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkQueue {
    /// What waits in its queue; `None` where no connection that sends was looked at of late.
    pub waits: Option<Duration>,
    /// The longest of the round trips to servers without it.
    pub round_trip: Duration,
    /// Bytes that arrive a second.
    pub arrives: f64,
}

#[derive(Debug)]
struct State {
    paths: Paths,
    /// The last look at each connection: when, its number, and how much longer than the shortest its round trip was,
    /// jitter apart.
    seen: VecDeque<(Instant, u64, Duration)>,
    /// Connections that were watched.
    watched: u64,
    /// What was acknowledged of late.
    arrived: VecDeque<(Instant, u64)>,
}

impl Queueing {
    /// Watches a socket that was opened, and keeps it from taking much ahead of TCP.
    pub(super) fn watch(self: &Arc<Self>, socket: &TcpStream) -> Option<QueueWatch> {
        tcp_info::keep_near(socket, NEAR);
        let peer = socket.peer_addr().ok()?.ip();
        let mut state = self.state.lock();
        state.watched += 1;
        Some(QueueWatch {
            queueing: Arc::clone(self),
            peer,
            number: state.watched,
            looked: Instant::now(),
            acked: None,
        })
    }

    /// What is known `now`.
    pub(super) fn link(&self, now: Instant) -> LinkQueue {
        let mut state = self.state.lock();
        state.forget(now);
        let arrived: u64 = state.arrived.iter().map(|&(_, bytes)| bytes).sum();
        LinkQueue {
            waits: state.waits(),
            round_trip: state.paths.longest(),
            arrives: arrived as f64 / ARRIVES_OVER.as_secs_f64(),
        }
    }

    fn note(&self, (peer, number): (IpAddr, u64), info: &TcpInfo, arrived: u64, now: Instant) {
        let mut state = self.state.lock();
        if let Some(round_trip) = state.paths.note(peer, info, false, now) {
            let waits = round_trip.waits().saturating_sub(round_trip.jitter);
            state.seen.retain(|&(_, other, _)| other != number);
            state.seen.push_back((now, number, waits));
        }
        state.arrived.push_back((now, arrived));
        state.forget(now);
    }
}

impl QueueWatch {
    /// `socket` was asked to take more. Where it takes nothing, whoever waits for it comes again within
    /// [`RESTED`].
    pub(super) fn look(&mut self, socket: &TcpStream) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.looked);
        if passed < LOOK_AFTER {
            return;
        }
        self.looked = now;
        let Some(info) = TcpInfo::of(socket) else {
            return;
        };
        let before = self.acked.replace(info.acked).unwrap_or(info.acked);
        let arrived = info.acked.saturating_sub(before) as f64;
        // Of what came in after a rest, the part that came of late.
        let late = ARRIVES_OVER.as_secs_f64() / passed.as_secs_f64();
        let arrived = (arrived * late.min(1.0)) as u64;
        self.queueing
            .note((self.peer, self.number), &info, arrived, now);
    }
}

impl Default for State {
    fn default() -> State {
        State {
            paths: Paths::paced(),
            seen: VecDeque::new(),
            watched: 0,
            arrived: VecDeque::new(),
        }
    }
}

impl State {
    /// The median over connections: of one acknowledgements may be late for reasons of their own, and of one that sends
    /// little the round trip is an old one.
    fn waits(&self) -> Option<Duration> {
        let mut waits: Vec<_> = self.seen.iter().map(|&(_, _, waits)| waits).collect();
        waits.sort_unstable();
        let middle = waits.len().checked_sub(1)? / 2;
        waits.get(middle).copied()
    }

    fn forget(&mut self, now: Instant) {
        let older = |at: Instant, than: Duration| now.saturating_duration_since(at) > than;
        while self.seen.len() > MOST_SEEN
            || (self.seen.front()).is_some_and(|&(at, _, _)| older(at, SEEN_WITHIN))
        {
            self.seen.pop_front();
        }
        while (self.arrived.front()).is_some_and(|&(at, _)| older(at, ARRIVES_OVER)) {
            self.arrived.pop_front();
        }
    }
}

/// What a socket takes ahead of TCP: of connections that begin it would be a burst.
const NEAR: u32 = 8 << 10;

/// Between two looks at a socket.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// How long a look counts.
const SEEN_WITHIN: Duration = Duration::from_millis(45);

/// What arrives is taken over so long.
const ARRIVES_OVER: Duration = Duration::from_millis(200);

/// Beyond these the oldest go.
const MOST_SEEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn info(rtt: u64, shortest: u64) -> TcpInfo {
        TcpInfo {
            rtt: Duration::from_millis(rtt),
            shortest: Duration::from_millis(shortest),
            ..TcpInfo::default()
        }
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn what_waits_is_above_the_shortest_of_all_connections_to_the_address() {
        let (queueing, mut now) = (Queueing::default(), Instant::now());
        assert_eq!(queueing.link(now).waits, None);
        queueing.note((PEER, 1), &info(80, 80), 0, now);
        now += SEEN_WITHIN * 2;
        // One that was opened while the queue stood has never seen the path without it.
        queueing.note((PEER, 3), &info(110, 105), 1_000_000, now);
        queueing.note((PEER, 1), &info(120, 80), 1_000_000, now);
        let link = queueing.link(now);
        assert_eq!(link.waits, Some(Duration::from_millis(30)));
        assert_eq!(link.round_trip, Duration::from_millis(80));
        assert_eq!(link.arrives, 2e6 / ARRIVES_OVER.as_secs_f64());
        // One look counts for each connection, the last one, and the median of them.
        let elsewhere = IpAddr::from([10, 0, 0, 2]);
        queueing.note((elsewhere, 2), &info(200, 200), 0, now);
        let of_three = queueing.link(now).waits;
        queueing.note((PEER, 1), &info(81, 80), 0, now);
        let after = queueing.link(now).waits;
        assert_eq!(
            (of_three, after),
            (
                Some(Duration::from_millis(30)),
                Some(Duration::from_millis(1))
            )
        );
        let later = queueing.link(now + Duration::from_secs(1));
        assert_eq!((later.waits, later.arrives), (None, 0.0));
    }

    #[test]
    fn a_path_that_has_become_longer_is_learnt_and_a_queue_is_not() {
        let (longer, queued) = (|_: u64| 110_u64, |second: u64| 110 + second % 20);
        for (of, expected) in [(&longer as &dyn Fn(u64) -> u64, 0), (&queued, 30)] {
            let (queueing, start) = (Queueing::default(), Instant::now());
            queueing.note((PEER, 1), &info(80, 80), 0, start);
            for second in 1..=70 {
                let now = start + Duration::from_secs(second);
                queueing.note((PEER, 1), &info(of(second), 80), 0, now);
            }
            let now = start + Duration::from_secs(70);
            let waits = queueing.link(now).waits.expect("just seen").as_millis();
            assert!(waits >= expected && waits < expected + 20, "{waits}");
        }
    }

    #[test]
    fn a_handshake_that_measured_nothing_is_no_shortest_round_trip() {
        let (queueing, now) = (Queueing::default(), Instant::now());
        queueing.note((PEER, 1), &info(0, 4_294_967), 0, now);
        assert_eq!(queueing.link(now).waits, None);
        queueing.note((PEER, 1), &info(80, 80), 0, now);
        assert_eq!(queueing.link(now).waits, Some(Duration::ZERO));
    }

    #[test]
    fn a_shorter_path_counts_at_once() {
        let (queueing, now) = (Queueing::default(), Instant::now());
        queueing.note((PEER, 1), &info(80, 80), 0, now);
        queueing.note((PEER, 1), &info(60, 60), 0, now);
        queueing.note((PEER, 1), &info(75, 60), 0, now);
        assert_eq!(queueing.link(now).round_trip, Duration::from_millis(60));
    }

    /// A connection that was not looked at for long tells how much came, not when.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn of_what_came_in_after_a_rest_a_part_came_of_late() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        const SENT: usize = 300_000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let socket = TcpStream::connect(listener.local_addr().expect("bound")).await;
        let mut socket = socket.expect("it listens");
        let (mut peer, _) = listener.accept().await.expect("it came");
        let queueing = Arc::<Queueing>::default();
        let mut watch = queueing.watch(&socket).expect("it has a peer");
        watch.looked -= LOOK_AFTER;
        watch.look(&socket);
        let mut read = vec![0; SENT];
        let (content, rest) = (vec![1; SENT], ARRIVES_OVER * 2);
        let sent = tokio::join!(socket.write_all(&content), peer.read_exact(&mut read));
        assert!(sent.0.is_ok() && sent.1.is_ok());
        while TcpInfo::of(&socket).expect("Linux has it").acked < SENT as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        watch.looked = Instant::now() - rest;
        watch.look(&socket);
        let arrived = queueing.link(Instant::now()).arrives * ARRIVES_OVER.as_secs_f64();
        assert!(
            arrived <= SENT as f64 / 2.0 && arrived > 0.0,
            "{arrived} of {SENT}"
        );
    }
}
