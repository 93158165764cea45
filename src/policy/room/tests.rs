//! A link as a fluid: one queue, a round trip, and beside us a flow of Reno that fills the queue until it loses.

use std::collections::VecDeque;

use super::*;

/// Times in steps of a millisecond.
struct Link {
    /// Bytes per millisecond.
    carries: f64,
    round_trip: usize,
    /// Bytes that may wait.
    room: f64,
    /// What waits, of ours and in all.
    ours: f64,
    queued: f64,
    rival: Option<Reno>,
    /// A body ends each five seconds, and for two round trips the others carry half of the pace.
    bodies_end: bool,
    /// Milliseconds after which what waits is seen, beyond a round trip: it is a mean of late.
    late: usize,
    pace: Room,
    at: usize,
    /// What was seen at each moment: milliseconds of queue, and bytes of ours that left.
    waited: VecDeque<f64>,
    left: VecDeque<f64>,
    chance: fastrand::Rng,
}

/// One flow, as a fluid.
struct Reno {
    window: f64,
    threshold: f64,
    /// Until when what was lost is not seen again.
    recovers: usize,
}

/// Shares of the link and what waited.
#[derive(Debug)]
struct Found {
    ours: f64,
    theirs: f64,
    mean: f64,
    most: f64,
}

impl Link {
    fn new(mbit: f64, round_trip: usize, products: f64) -> Link {
        let carries = mbit * 125.0;
        Link {
            carries,
            round_trip,
            room: (carries * round_trip as f64 * products).max(524_288.0),
            ours: 0.0,
            queued: 0.0,
            rival: None,
            bodies_end: false,
            late: 0,
            pace: Room::default(),
            at: 0,
            waited: VecDeque::new(),
            left: VecDeque::new(),
            chance: fastrand::Rng::with_seed(7),
        }
    }

    fn run(&mut self, seconds: usize, rival: bool) -> Found {
        match (rival, &self.rival) {
            (true, None) => {
                self.rival = Some(Reno {
                    window: 15e3,
                    threshold: f64::MAX,
                    recovers: 0,
                });
            }
            (false, _) => self.rival = None,
            _ => {}
        }
        let mut found = Found {
            ours: 0.0,
            theirs: 0.0,
            mean: 0.0,
            most: 0.0,
        };
        for _ in 0..seconds * 1000 {
            let (ours, theirs) = self.step();
            found.ours += ours;
            found.theirs += theirs;
            let waits = self.queued / self.carries;
            found.mean += waits;
            found.most = found.most.max(waits);
        }
        let all = seconds as f64 * 1000.0;
        found.ours /= all * self.carries;
        found.theirs /= all * self.carries;
        found.mean /= all;
        found
    }

    /// A millisecond; what left of ours and of theirs.
    fn step(&mut self) -> (f64, f64) {
        self.at += 1;
        let ends = self.bodies_end && self.at % 5000 < 2 * self.round_trip;
        let offered = self.pace.rate() as f64 / 1000.0 * if ends { 0.5 } else { 1.0 };
        let waits = self.queued / self.carries;
        let theirs = self
            .rival
            .as_ref()
            .map_or(0.0, |rival| rival.window / (self.round_trip as f64 + waits));
        let leaves = self.carries.min(self.queued + offered + theirs);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let ours = leaves * share(self.ours + offered, self.queued + offered + theirs);
        self.ours = self.ours + offered - ours;
        self.queued = self.queued + offered + theirs - leaves;
        if self.queued > self.room {
            self.ours *= self.room / self.queued;
            self.queued = self.room;
            if let Some(rival) = &mut self.rival
                && rival.recovers <= self.at
            {
                rival.window /= 2.0;
                rival.threshold = rival.window;
                rival.recovers = self.at + self.round_trip + (self.room / self.carries) as usize;
            }
        }
        if let Some(rival) = &mut self.rival
            && rival.recovers <= self.at
        {
            let round = self.round_trip as f64 + waits;
            rival.window += if rival.window < rival.threshold {
                rival.window / round
            } else {
                1448.0 / round
            };
        }
        self.waited.push_front(waits);
        self.left.push_front(ours);
        self.waited.truncate(3000);
        self.left.truncate(3000);
        if self.at.is_multiple_of(50) {
            self.look();
        }
        (ours, leaves - ours)
    }

    /// What an acknowledgement tells left the queue half a round trip ago.
    fn look(&mut self) {
        let ago = self.round_trip / 2;
        let Some(waited) = self.waited.get(self.round_trip + self.late) else {
            return;
        };
        let seen: Vec<f64> = self.left.iter().skip(ago).take(150).copied().collect();
        let arrives = seen.iter().sum::<f64>() / seen.len() as f64 * 1000.0;
        let noise = 0.9 + 0.2 * self.chance.f64();
        let state = LinkState {
            waits: Some(Duration::from_secs_f64(
                (waited + 4.5 * self.chance.f64()) / 1000.0,
            )),
            round_trip: Duration::from_millis(self.round_trip as u64),
            arrives: arrives * noise,
            least: 0,
        };
        let begin = *BEGIN;
        self.pace
            .look(begin + Duration::from_millis(self.at as u64), &state);
    }
}

static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

/// Queues of 1, 3 and 10 bandwidth-delay products of links with 100 Mbit/s and some round trips.
fn links() -> impl Iterator<Item = (Link, String)> {
    let each = [10, 80, 200].into_iter();
    each.flat_map(|round_trip| {
        [1.0, 3.0, 10.0].map(|products| {
            let name = format!("{round_trip} ms, {products}");
            (Link::new(100.0, round_trip, products), name)
        })
    })
}

#[test]
fn alone_it_has_the_link_and_little_waits() {
    for (mut link, name) in links() {
        let start = link.run(5, false);
        assert!(start.ours >= 0.6, "{name}: {start:?}");
        let found = link.run(40, false);
        assert!(
            found.ours >= 0.95 && found.mean <= 22.0,
            "{name}: {found:?}"
        );
        assert!(found.most <= 90.0, "{name}: {found:?}");
    }
}

/// What waits is a mean over many acknowledgements, and is seen late: a pace that ran ahead of a full link meanwhile
/// would fill its queue.
#[test]
fn what_is_seen_late_fills_no_queue() {
    for late in [100, 200] {
        let mut link = Link::new(100.0, 80, 3.0);
        link.late = late;
        link.run(10, false);
        let found = link.run(40, false);
        assert!(
            found.ours >= 0.95 && found.mean <= 25.0,
            "{late}: {found:?}"
        );
    }
}

/// What is not offered while a body ends is no link that carries less, where the queue from before still stands.
#[test]
fn a_body_that_ends_makes_the_link_no_slower() {
    for round_trip in [80, 200] {
        let mut link = Link::new(100.0, round_trip, 3.0);
        link.bodies_end = true;
        link.run(10, false);
        let found = link.run(40, false);
        // Half of the link for two round trips in five seconds.
        let left = 1.0 - 0.5 * 2.0 * round_trip as f64 / 5000.0;
        assert!(
            found.ours >= 0.99 * left && found.mean <= 25.0,
            "{round_trip} ms, {left}: {found:?}"
        );
    }
}

#[test]
fn a_flow_that_fills_the_queue_keeps_nine_tenths_and_when_it_ends_the_link_is_used_again() {
    for (mut link, name) in links() {
        link.run(15, false);
        link.run(10, true);
        let found = link.run(60, true);
        assert!(
            found.theirs >= 0.88 && found.ours >= 0.02,
            "{name}: {found:?}"
        );
        // What stood in a queue of 2 s goes first.
        let drains = link.queued / link.carries / 1000.0;
        link.run(5 + drains.ceil() as usize, false);
        let found = link.run(3, false);
        assert!(found.ours >= 0.85, "{name}: {found:?}");
        let found = link.run(20, false);
        assert!(
            found.ours >= 0.95 && found.mean <= 22.0,
            "{name}: {found:?}"
        );
    }
}

/// What a flow loses of its first burst it lacks for minutes where the queue is short.
#[test]
fn a_flow_that_begins_has_most_of_the_link_within_seconds() {
    for (mut link, name) in links() {
        link.run(15, false);
        link.run(5, true);
        let found = link.run(7, true);
        assert!(found.theirs >= 0.93, "{name}: {found:?}");
    }
}

/// Round trips are known by acknowledgements: where few come the queue seems to stay as it was.
#[test]
fn much_less_that_arrives_is_somebody_else_where_a_queue_stands() {
    for (waits, arrives, gives) in [(18, 12e6, false), (18, 6e6, true), (12, 6e6, false)] {
        let mut room = Room::default();
        let mut seen = LinkState {
            waits: Some(Duration::from_millis(15)),
            round_trip: Duration::from_millis(80),
            arrives: 12e6,
            least: 0,
        };
        for at in 0..83 {
            if at == 80 {
                (seen.waits, seen.arrives) = (Some(Duration::from_millis(waits)), arrives);
            }
            room.steady = if at < 80 { 12e6 } else { room.steady };
            room.look(*BEGIN + Duration::from_millis(25) * at, &seen);
        }
        assert_eq!(
            room.rate() < 2_000_000,
            gives,
            "{waits} ms: {}",
            room.rate()
        );
    }
}

#[test]
fn slow_and_fast_links_are_filled() {
    for (mbit, within) in [(10.0, 5), (1000.0, 15)] {
        for round_trip in [10, 80, 200] {
            let mut link = Link::new(mbit, round_trip, 3.0);
            link.run(within, false);
            let found = link.run(30, false);
            assert!(
                found.ours >= 0.95 && found.mean <= 25.0,
                "{mbit}, {round_trip}: {found:?}"
            );
        }
    }
}

#[test]
fn what_is_under_way_arrives_in_time_and_nothing_seen_changes_nothing() {
    let mut room = Room::default();
    let mut seen = LinkState {
        waits: None,
        round_trip: Duration::from_millis(80),
        arrives: 0.0,
        least: 800_000,
    };
    let before = room.rate();
    let look = |room: &mut Room, seen: &LinkState, from: u64| {
        for at in from..from + 200 {
            room.look(*BEGIN + Duration::from_millis(50) * at as u32, seen);
            assert!(room.rate() >= seen.least.max(LEAST as u64), "{at}");
        }
    };
    look(&mut room, &seen, 0);
    assert_eq!((room.rate(), room.is_crowded()), (before, false));
    seen.waits = Some(Duration::from_millis(300));
    look(&mut room, &seen, 200);
    assert_eq!((room.rate(), room.is_crowded()), (800_000, true));
    seen.least = 0;
    look(&mut room, &seen, 400);
    assert_eq!(room.rate(), LEAST as u64);
    seen.waits = Some(Duration::ZERO);
    look(&mut room, &seen, 600);
    assert!(
        !room.is_crowded() && room.rate() == LEAST as u64,
        "nothing arrives"
    );
}

/// Sockets that were not looked at for a moment show that nothing arrives, and what waited before.
#[test]
fn one_look_does_not_end_the_pace() {
    for waits in [26, 90] {
        let mut room = Room::default();
        let mut seen = LinkState {
            waits: Some(Duration::from_millis(12)),
            round_trip: Duration::from_millis(200),
            arrives: 12e6,
            least: 0,
        };
        for at in 0..200 {
            room.steady = room.steady.max(12e6);
            room.look(*BEGIN + Duration::from_millis(25) * at, &seen);
        }
        let before = room.rate();
        (seen.waits, seen.arrives) = (Some(Duration::from_millis(waits)), 0.0);
        room.look(*BEGIN + Duration::from_millis(25) * 209, &seen);
        assert!(room.rate() >= before / 2, "{waits} ms: {}", room.rate());
    }
}

/// Slow connections leave the link empty although the pace is high: more of them are let out, and fewer again where
/// something waits.
#[test]
fn more_bodies_carry_a_pace_that_few_do_not() {
    let mut room = Room::default();
    let mut seen = LinkState {
        waits: Some(Duration::ZERO),
        round_trip: Duration::from_millis(80),
        arrives: 10e6,
        least: 0,
    };
    let look = |room: &mut Room, seen: &LinkState, from: u32| {
        for at in from..from + 200 {
            room.look(*BEGIN + Duration::from_millis(50) * at, seen);
        }
    };
    look(&mut room, &seen, 0);
    let (steady, usual) = (room.steady, room.bodies_rate(0));
    assert_eq!(usual, (steady / FEW) as u64);
    assert_eq!(room.bodies_rate(2_000_000), 2_000_000);
    seen.arrives = 1e6;
    look(&mut room, &seen, 200);
    assert_eq!(
        room.bodies_rate(0),
        (room.steady / FEW * MOST_SPREAD) as u64
    );
    seen.waits = Some(Duration::from_millis(20));
    look(&mut room, &seen, 400);
    assert_eq!(room.bodies_rate(0), (room.steady / FEW) as u64);
}

/// A pace that is tried is not carried yet: what is let out for it would be under way when somebody else comes.
#[test]
fn a_pace_that_is_tried_lets_no_more_bodies_out() {
    let mut room = Room::default();
    let mut seen = LinkState {
        waits: Some(Duration::from_millis(12)),
        round_trip: Duration::from_millis(80),
        arrives: 12e6,
        least: 0,
    };
    for at in 0..100 {
        if at == 60 {
            seen.waits = Some(Duration::ZERO);
        }
        room.steady = room.steady.max(12e6);
        room.look(*BEGIN + Duration::from_millis(25) * at, &seen);
    }
    assert!(room.steady >= 12e6 * 1.1, "{}", room.steady);
    let bodies_rate = room.bodies_rate(0) as f64;
    assert!(bodies_rate <= 12e6 / FEW, "{bodies_rate}");
}
