//! A link as a fluid: one queue, a round trip, and beside us a flow of Reno that fills the queue until it loses.

use std::collections::VecDeque;

use super::*;

/// Times in steps of a millisecond.
#[derive(Clone)]
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
    /// Bytes per millisecond of a flow that answers to nothing.
    constant: f64,
    /// A body ends each five seconds, and for two round trips the others carry half of the pace.
    bodies_end: bool,
    /// Milliseconds after which what waits is seen, beyond a round trip: it is a mean of late.
    late: usize,
    pace: Room,
    at: usize,
    /// What was at each moment: milliseconds of queue, and bytes of ours that left.
    waited: VecDeque<f64>,
    left: VecDeque<f64>,
    /// What waited as acknowledgements show it.
    seen: VecDeque<f64>,
    chance: fastrand::Rng,
}

/// One flow, as a fluid.
#[derive(Clone)]
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
            constant: 0.0,
            bodies_end: false,
            late: 0,
            pace: Room::default(),
            at: 0,
            waited: VecDeque::new(),
            left: VecDeque::new(),
            seen: VecDeque::new(),
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
            .map_or(0.0, |rival| rival.window / (self.round_trip as f64 + waits))
            + self.constant;
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
        self.acked();
        if self.at.is_multiple_of(25) {
            self.look();
        }
        (ours, leaves - ours)
    }

    /// An acknowledgement tells of a packet that left the queue a round trip ago.
    fn acked(&mut self) {
        let mut ago = self.round_trip + self.late;
        while let Some(&waited) = self.waited.get(ago) {
            if ago as f64 >= (self.round_trip + self.late) as f64 + waited {
                let before = self.seen.front().copied().unwrap_or(waited);
                // The kernel's mean of eight of them.
                self.seen.push_front(before + (waited - before) / 25.0);
                self.seen.truncate(45);
                return;
            }
            ago += 1;
        }
    }

    fn look(&mut self) {
        let Some(waits) = self.seen.iter().copied().reduce(f64::min) else {
            return;
        };
        let seen = self.left.iter().skip(self.round_trip).take(200);
        let arrives = seen.sum::<f64>() / 200.0 * 1000.0;
        let noise = 0.95 + 0.1 * self.chance.f64();
        let state = LinkState {
            waits: Some(Duration::from_secs_f64(
                (waits + 3.0 * self.chance.f64()) / 1000.0,
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
fn alone_it_has_the_link_and_nothing_waits() {
    for (mut link, name) in links() {
        let start = link.run(5, false);
        assert!(start.ours >= 0.6, "{name}: {start:?}");
        let found = link.run(40, false);
        assert!(found.ours >= 0.96 && found.mean <= 2.0, "{name}: {found:?}");
        assert!(found.most <= 30.0, "{name}: {found:?}");
    }
}

/// What waits is a mean over many acknowledgements, and is seen late.
#[test]
fn what_is_seen_late_fills_no_queue() {
    for late in [100, 200] {
        let mut link = Link::new(100.0, 80, 3.0);
        link.late = late;
        link.run(10, false);
        let found = link.run(40, false);
        assert!(found.ours >= 0.94 && found.mean <= 7.0, "{late}: {found:?}");
    }
}

/// What is not offered while a body ends is no link that carries less.
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
            found.ours >= 0.96 * left && found.mean <= 2.0,
            "{round_trip} ms, {left}: {found:?}"
        );
    }
}

/// What a flow loses of its first burst it lacks for minutes where the queue is short.
#[test]
fn a_flow_that_begins_has_most_of_the_link_within_seconds() {
    for later in [0, 317, 951, 1902, 3170] {
        for (link, name) in links() {
            let theirs = share_of_one_that_begins(&link, later);
            assert!(theirs >= 0.91, "{name}, {later}: {theirs}");
        }
    }
}

/// The shorter the path and the faster the link, the fewer looks there are before such a queue overflows.
#[test]
fn most_flows_that_begin_on_a_fast_or_short_path_have_it_as_well() {
    for (mbit, round_trip) in [(100.0, 40), (1000.0, 80)] {
        let link = Link::new(mbit, round_trip, 1.0);
        let begins = [0, 317, 951, 1902, 2536, 3170, 3804, 4755];
        let theirs = begins.map(|later| share_of_one_that_begins(&link, later));
        let mean = theirs.iter().sum::<f64>() / theirs.len() as f64;
        let least = theirs.iter().copied().fold(1.0, f64::min);
        assert!(
            mean >= 0.91 && least >= 0.85,
            "{mbit}, {round_trip}: {theirs:?}"
        );
    }
}

/// What another flow has of the link from its fifth second on, of one that begins so many ms after the first 15 s.
fn share_of_one_that_begins(link: &Link, later: usize) -> f64 {
    let mut link = link.clone();
    link.run(15, false);
    (0..later).for_each(|_| _ = link.step());
    link.run(5, true);
    link.run(7, true).theirs
}

#[test]
fn a_flow_that_fills_the_queue_keeps_nine_tenths_and_when_it_ends_the_link_is_used_again() {
    for (mut link, name) in links() {
        link.run(15, false);
        link.run(10, true);
        let found = link.run(60, true);
        assert!(
            found.theirs >= 0.9 && found.ours >= 0.02,
            "{name}: {found:?}"
        );
        // What stood in a queue of 2 s goes first.
        let drains = link.queued / link.carries / 1000.0;
        link.run(5 + drains.ceil() as usize, false);
        let found = link.run(3, false);
        assert!(found.ours >= 0.85, "{name}: {found:?}");
        let found = link.run(20, false);
        assert!(found.ours >= 0.95 && found.mean <= 2.0, "{name}: {found:?}");
    }
}

/// A flow that answers to nothing has all of its own, and we have the rest, also where the link itself has become as
/// much slower.
#[test]
fn what_others_leave_is_used() {
    for part in [0.1, 0.3, 0.6, 0.85] {
        for is_link in [false, true] {
            for (mut link, name) in links() {
                link.run(15, false);
                let all = link.carries;
                match is_link {
                    true => link.carries *= 1.0 - part,
                    false => link.constant = all * part,
                }
                link.run(15, false);
                let found = link.run(30, false);
                let left = if is_link { 1.0 } else { 1.0 - part };
                let name = format!("{name}, {part}, {is_link}");
                assert!(
                    found.ours >= 0.85 * left && found.mean <= 8.0,
                    "{name}: {found:?}"
                );
                (link.carries, link.constant) = (all, 0.0);
                link.run(5, false);
                let found = link.run(5, false);
                assert!(found.ours >= 0.8, "{name}: {found:?}");
                let found = link.run(10, false);
                assert!(found.ours >= 0.95, "{name}: {found:?}");
            }
        }
    }
}

/// What a link carried once is not tried for ever.
#[test]
fn a_link_that_stays_slower_is_not_filled_for_what_it_was() {
    let mut link = Link::new(100.0, 80, 3.0);
    link.run(15, false);
    link.carries *= 0.5;
    link.run(90, false);
    let found = link.run(30, false);
    assert!(found.ours >= 0.96 && found.mean <= 1.0, "{found:?}");
}

#[test]
fn slow_and_fast_links_are_filled() {
    for (mbit, within) in [(10.0, 5), (1000.0, 15)] {
        for round_trip in [10, 80, 200] {
            let mut link = Link::new(mbit, round_trip, 3.0);
            link.run(within, false);
            let found = link.run(30, false);
            assert!(
                found.ours >= 0.96 && found.mean <= 2.0,
                "{mbit}, {round_trip}: {found:?}"
            );
        }
    }
}

/// Looks each 25 ms.
fn looks(room: &mut Room, seen: &LinkState, range: std::ops::Range<u32>) {
    for at in range {
        room.look(*BEGIN + Duration::from_millis(25) * at, seen);
    }
}

fn state(waits: Option<u64>, arrives: f64) -> LinkState {
    LinkState {
        waits: waits.map(Duration::from_millis),
        round_trip: Duration::from_millis(80),
        arrives,
        least: 0,
    }
}

#[test]
fn what_is_under_way_arrives_in_time_and_nothing_seen_changes_nothing() {
    let mut room = Room::default();
    let before = room.rate();
    let mut seen = state(None, 0.0);
    seen.least = 800_000;
    looks(&mut room, &seen, 0..200);
    assert_eq!((room.rate(), room.is_crowded()), (before, false));
    seen.waits = Some(Duration::from_millis(300));
    looks(&mut room, &seen, 200..400);
    assert_eq!((room.rate(), room.is_crowded()), (800_000, true));
    seen.least = 0;
    looks(&mut room, &seen, 400..600);
    assert_eq!(room.rate(), LEAST as u64);
    seen.waits = Some(Duration::ZERO);
    looks(&mut room, &seen, 600..800);
    assert!(
        !room.is_crowded() && room.rate() == LEAST as u64,
        "nothing arrives: {}",
        room.rate()
    );
}

/// Others filled the link before: slower and slower, as long as their queue stands.
#[test]
fn an_upload_that_begins_on_a_full_link_leaves_it_to_the_others() {
    let mut room = Room::default();
    looks(&mut room, &state(Some(0), 4e6), 0..60);
    assert!(room.rate() > 2_000_000, "{}", room.rate());
    looks(&mut room, &state(Some(90), 1e6), 60..160);
    assert_eq!(room.rate(), LEAST as u64, "{room:?}");
}

/// A room that holds a pace on a link that carries 12 MB a second, and the number of its next look.
fn holding() -> (Room, u32) {
    let mut room = Room {
        carries: 12e6,
        ..Room::default()
    };
    room.steady = 12e6;
    room.rate = 12e6;
    looks(&mut room, &state(Some(0), 12e6), 0..20);
    assert!(matches!(room.phase, Phase::Holding), "{room:?}");
    (room, 20)
}

/// Sockets that were not looked at for a moment show what waited before; connections that begin wait for each other.
#[test]
fn a_queue_of_a_moment_is_nobody_elses() {
    let (mut room, at) = holding();
    let before = room.rate();
    looks(&mut room, &state(Some(12), 12e6), at..at + 2);
    assert!(room.rate() < before / 2, "{}", room.rate());
    looks(&mut room, &state(Some(2), 12e6), at + 2..at + 4);
    assert!(room.rate() >= before / 100 * 98, "{}", room.rate());
}

#[test]
fn a_queue_that_grows_while_we_are_slow_is_somebody_elses() {
    let (mut room, at) = holding();
    for look in 0..8 {
        looks(
            &mut room,
            &state(Some(9 + 2 * u64::from(look)), 11e6),
            at + look..at + look + 1,
        );
    }
    assert_eq!(room.rate(), (12e6 * TAKEN / LEAVES) as u64);
    let away = (0.18 * AWAY_FOR / 0.025) as u32;
    looks(&mut room, &state(Some(0), 1e6), at + 8..at + 8 + away - 1);
    assert_eq!(
        room.rate(),
        (12e6 * TAKEN / LEAVES) as u64,
        "it may still begin"
    );
    looks(
        &mut room,
        &state(Some(0), 1e6),
        at + 8 + away..at + 18 + away,
    );
    assert!(room.rate() > (12e6 * TAKEN / LEAVES) as u64);
}

/// Slow connections leave the link empty although the pace is high: more of them are let out, and fewer again where
/// something waits.
#[test]
fn more_bodies_carry_a_pace_that_few_do_not() {
    let mut room = Room::default();
    looks(&mut room, &state(Some(0), 10e6), 0..200);
    let steady = room.steady;
    assert_eq!(room.bodies_rate(0), (steady / FEW) as u64);
    assert_eq!(room.bodies_rate(2_000_000), 2_000_000);
    looks(&mut room, &state(Some(0), 1e6), 200..400);
    assert_eq!(
        room.bodies_rate(0),
        (room.steady / FEW * MOST_SPREAD) as u64
    );
    looks(&mut room, &state(Some(20), 1e6), 400..600);
    assert_eq!(room.bodies_rate(0), (room.steady / FEW) as u64);
}

/// What is let out for a pace that is tried would be under way when somebody else comes.
#[test]
fn a_pace_that_is_tried_lets_no_more_bodies_out() {
    let (mut room, mut at) = holding();
    let before = room.bodies_rate(0);
    while !matches!(room.phase, Phase::Trying { .. }) {
        looks(&mut room, &state(Some(0), 12e6), at..at + 1);
        at += 1;
    }
    assert!(room.rate() >= 12_600_000, "{}", room.rate());
    assert_eq!(room.bodies_rate(0), before);
}

/// Of more than bodies offer nothing could wait.
#[test]
fn a_pace_that_bodies_do_not_carry_tells_nothing_of_the_link() {
    let (mut room, mut at) = holding();
    while !matches!(room.phase, Phase::Trying { .. }) {
        looks(&mut room, &state(Some(0), 12e6), at..at + 1);
        at += 1;
    }
    looks(&mut room, &state(Some(0), 7e6), at..at + 40);
    assert!(!matches!(room.phase, Phase::Trying { .. }), "{room:?}");
    assert_eq!(room.carries, 12e6);
}

/// What is tried makes a queue for a while after something else has shown one.
#[test]
fn what_was_tried_is_nobody_elses() {
    for (most, gives_way) in [(18, false), (30, true)] {
        let (mut room, mut at) = holding();
        while !matches!(room.phase, Phase::Trying { .. }) {
            looks(&mut room, &state(Some(0), 12e6), at..at + 1);
            at += 1;
        }
        for look in 0..12 {
            let waits = Some(most.min(6 + 3 * u64::from(look)));
            looks(&mut room, &state(waits, 12e6), at + look..at + look + 1);
        }
        let is_away = matches!(room.phase, Phase::GivingWay { .. });
        assert_eq!(is_away, gives_way, "{most} ms: {room:?}");
    }
}
