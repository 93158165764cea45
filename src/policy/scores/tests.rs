//! Four modelled servers, one of them slow, dying or deaf: how long everything takes, compared
//! with the capacity that was there.

use super::*;
use crate::policy::hedge::{Hedge, Pace, Queue, Straggler};

/// One case: what the servers are, and who sends how much.
struct Case {
    servers: [Model; 4],
    /// Bytes per second over all servers.
    uplink: f64,
    permits: usize,
    slices: usize,
}

/// A server of the model.
#[derive(Clone, Copy)]
struct Model {
    /// Bytes per second.
    capacity: f64,
    /// Seconds from the beginning.
    ends_at: f64,
    end: End,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Connections are reset, then refused.
    Refuses,
    /// Nothing moves any more; the sender gives up ten seconds later.
    Deaf,
}

struct Outcome {
    wall: f64,
    acked: Vec<usize>,
    failed: usize,
    hedged: u64,
}

#[derive(Clone)]
struct Flow {
    slice: usize,
    server: usize,
    sent: f64,
    began: f64,
    hedged: bool,
    pace: Pace,
}

/// A case at one moment.
struct Moment<'a> {
    case: &'a Case,
    at: f64,
    begin: Instant,
    servers: ServerScores<()>,
    hedge: Hedge,
    rng: fastrand::Rng,
    /// Slice, when it may go, and the server that it failed on.
    queue: Vec<(usize, f64, Option<usize>)>,
    flows: Vec<Flow>,
    done: Vec<bool>,
    acked: Vec<usize>,
    failed: usize,
}

impl Case {
    fn run(&self) -> Outcome {
        let mut moment = Moment::new(self);
        while !moment.done.iter().all(|&done| done) {
            moment.at += STEP;
            assert!(moment.at < 1000.0, "never done");
            moment.fill();
            moment.hedge();
            moment.send();
            moment.settle();
        }
        Outcome {
            wall: moment.at,
            acked: moment.acked,
            failed: moment.failed,
            hedged: moment.hedge.spent() / SLICE as u64,
        }
    }

    /// The time that the capacity itself needs, knowing beforehand what will happen.
    fn ideal(&self) -> f64 {
        let ends = self
            .servers
            .iter()
            .map(|server| server.ends_at)
            .fold(f64::INFINITY, f64::min);
        let capacity = |at: f64| {
            let living = self.servers.iter().filter(|server| server.ends_at > at);
            living
                .map(|server| server.capacity)
                .sum::<f64>()
                .min(self.uplink)
        };
        let total = self.slices as f64 * SLICE;
        let before = (ends * capacity(0.0)).min(total);
        let after = total - before;
        before / capacity(0.0)
            + if after > 0.0 {
                after / capacity(ends)
            } else {
                0.0
            }
    }
}

impl<'a> Moment<'a> {
    fn new(case: &'a Case) -> Self {
        Moment {
            case,
            at: 0.0,
            begin: Instant::now(),
            servers: scores(4),
            hedge: Hedge::new(),
            rng: fastrand::Rng::with_seed(42),
            queue: (0..case.slices)
                .rev()
                .map(|slice| (slice, 0.0, None))
                .collect(),
            flows: Vec::new(),
            done: vec![false; case.slices],
            acked: vec![0; 4],
            failed: 0,
        }
    }

    fn now(&self) -> Instant {
        self.begin + Duration::from_secs_f64(self.at)
    }

    fn fill(&mut self) {
        while self.flows.len() < self.case.permits {
            let ready = self
                .queue
                .iter()
                .rposition(|&(_, after, _)| after <= self.at);
            let Some(ready) = ready else { return };
            // As those who assign do.
            if self.at < 3.0 && self.servers.unproven(&[0, 1, 2, 3], self.now()) {
                return;
            }
            let (slice, _, failed_on) = self.queue.remove(ready);
            let others = (0..4).filter(|&server| Some(server) != failed_on);
            let picked = self.servers.pick(self.now(), &mut self.rng, others);
            self.begin_on(picked.expect("three are not excluded"), slice, false);
        }
    }

    fn begin_on(&mut self, server: usize, slice: usize, hedged: bool) {
        self.servers.started(server, SLICE as u64, self.now());
        self.flows.push(Flow {
            slice,
            server,
            sent: 0.0,
            began: self.at,
            hedged,
            pace: Pace::default(),
        });
    }

    fn hedge(&mut self) {
        let queue = if self.queue.is_empty() {
            Queue::Empty
        } else {
            Queue::Waiting
        };
        for index in 0..self.flows.len() {
            let age = Duration::from_secs_f64(self.at - self.flows[index].began);
            let sent = (self.flows[index].sent + BUFFERS).min(SLICE);
            let remaining = self.flows[index]
                .pace
                .remaining(age, sent as u64, SLICE as u64);
            let flow = self.flows[index].clone();
            let twinned = self
                .flows
                .iter()
                .filter(|other| other.slice == flow.slice)
                .count()
                > 1;
            let others = (0..4).filter(|&server| server != flow.server);
            let other = self.servers.pick(self.now(), &mut self.rng, others);
            let other = other.expect("three are not excluded");
            let Some(elsewhere) = self.servers.expected(other, SLICE as u64) else {
                continue;
            };
            let straggler = Straggler {
                bytes: SLICE as u64,
                age,
                remaining,
                elsewhere,
            };
            // One more than the limit, as where the number is not the caller's.
            let free = self.flows.len() <= self.case.permits && !twinned;
            if free
                && self
                    .hedge
                    .should(&straggler, queue, self.case.slices as u64 * SLICE as u64)
            {
                self.hedge.sent(SLICE as u64);
                self.begin_on(other, flow.slice, true);
            }
        }
    }

    fn send(&mut self) {
        let count = |server| {
            self.flows
                .iter()
                .filter(|flow| flow.server == server)
                .count()
        };
        let pace: Vec<f64> = (0..4)
            .map(|server| (self.case.servers[server], count(server).max(1)))
            .map(|(model, flows)| match self.at >= model.ends_at {
                true => 0.0,
                false => model.capacity / flows as f64,
            })
            .collect();
        let wanted: f64 = self.flows.iter().map(|flow| pace[flow.server]).sum();
        let share = (self.case.uplink / wanted.max(1.0)).min(1.0);
        self.flows
            .iter_mut()
            .for_each(|flow| flow.sent += pace[flow.server] * share * STEP);
    }

    fn settle(&mut self) {
        let (now, bytes) = (self.now(), SLICE as u64);
        for flow in std::mem::take(&mut self.flows) {
            let model = self.case.servers[flow.server];
            let gives_up = match model.end {
                End::Refuses => model.ends_at,
                End::Deaf => model.ends_at.max(flow.began) + 10.0,
            };
            if self.done[flow.slice] {
                self.servers.dropped(flow.server, bytes);
            } else if flow.sent >= SLICE {
                self.done[flow.slice] = true;
                self.acked[flow.server] += 1;
                let took = Duration::from_secs_f64(self.at - flow.began);
                self.servers.acked(flow.server, bytes, took, now);
            } else if self.at >= gives_up {
                self.servers
                    .failed(flow.server, bytes, now, Kind::Transport);
                self.failed += 1;
                if !flow.hedged {
                    self.queue
                        .push((flow.slice, self.at + 0.125, Some(flow.server)));
                }
            } else {
                self.flows.push(flow);
            }
        }
    }
}

fn well() -> Model {
    Model {
        capacity: CAPACITY,
        ends_at: f64::INFINITY,
        end: End::Refuses,
    }
}

#[test]
fn a_slow_a_dying_and_a_deaf_server_cost_their_own_capacity_and_a_tenth_at_most() {
    let third = [
        ("well", well()),
        (
            "slow",
            Model {
                capacity: CAPACITY / 10.0,
                ..well()
            },
        ),
        (
            "dies",
            Model {
                ends_at: 20.0,
                ..well()
            },
        ),
        (
            "deaf",
            Model {
                ends_at: 20.0,
                end: End::Deaf,
                ..well()
            },
        ),
    ];
    let mut table = String::new();
    for permits in [8, 16, 32] {
        for uplink in [1e9, 60e6] {
            for (name, model) in third {
                let case = Case {
                    servers: [well(), well(), model, well()],
                    uplink,
                    permits,
                    slices: SLICES,
                };
                let outcome = case.run();
                let ratio = outcome.wall / case.ideal();
                let row = format!(
                    "{name}, {permits} permits, uplink {:4} MB/s: {ratio:.2} of the ideal, acked {:?}, {} failed, {} hedged\n",
                    uplink / 1e6,
                    outcome.acked,
                    outcome.failed,
                    outcome.hedged
                );
                assert_eq!(outcome.acked.iter().sum::<usize>(), SLICES, "{row}");
                assert!(ratio <= 1.10, "{row}");
                assert!(outcome.hedged as usize <= SLICES / 50, "{row}");
                table.push_str(&row);
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// A short file: the slow server's first slice is most of the time that the others need for all.
#[test]
fn a_straggler_of_a_short_file_is_overtaken() {
    let slow = Model {
        capacity: CAPACITY / 10.0,
        ..well()
    };
    for permits in [4, 8] {
        let case = Case {
            servers: [well(), well(), slow, well()],
            uplink: 1e9,
            permits,
            slices: 18,
        };
        let outcome = case.run();
        let ratio = outcome.wall / case.ideal();
        assert!(
            ratio <= 1.08,
            "{permits} permits: {ratio:.2} of the ideal, acked {:?}, {} hedged",
            outcome.acked,
            outcome.hedged
        );
    }
}

fn scores(servers: usize) -> ServerScores<()> {
    let mut scores = ServerScores::default();
    for _ in 0..servers {
        scores.add(());
    }
    scores
}

/// Whether the first server is left alone.
fn is_resting(scores: &ServerScores<()>, now: Instant) -> bool {
    !scores.get(0).expect("added").takes_work(now)
}

#[test]
fn untried_servers_are_tried_early() {
    let (now, rng) = (Instant::now(), &mut fastrand::Rng::with_seed(1));
    let mut servers = scores(4);
    let mut first: Vec<usize> = (0..4)
        .map(|_| {
            let server = servers.pick(now, rng, 0..4).expect("four");
            servers.started(server, 1 << 20, now);
            server
        })
        .collect();
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3]);
}

#[test]
fn two_failures_rest_a_server_and_the_rest_doubles_up_to_a_minute() {
    let (begin, rng) = (Instant::now(), &mut fastrand::Rng::with_seed(1));
    let mut servers = scores(2);
    let mut now = begin;
    servers.started(0, 1, now);
    servers.failed(0, 1, now, Kind::Transport);
    assert!(!is_resting(&servers, now), "once is an accident");
    let mut rests = Vec::new();
    for _ in 0..9 {
        servers.started(0, 1, now);
        servers.failed(0, 1, now, Kind::Transport);
        let since = now;
        while is_resting(&servers, now) {
            assert_eq!(servers.pick(now, rng, 0..2), Some(1));
            now += Duration::from_millis(100);
        }
        rests.push((now - since).as_secs());
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    servers.started(0, 1, now);
    assert!(is_resting(&servers, now), "one probe at a time");
    servers.acked(0, 1, Duration::from_millis(1), now);
    assert!(!is_resting(&servers, now), "one success ends it");
}

#[test]
fn when_all_rest_the_oldest_failure_is_tried() {
    let (begin, rng) = (Instant::now(), &mut fastrand::Rng::with_seed(1));
    let mut servers = scores(3);
    for (at, server) in [(0, 1), (0, 1), (1, 2), (1, 2), (2, 0), (2, 0)] {
        let now = begin + Duration::from_millis(at);
        servers.started(server, 1, now);
        servers.failed(server, 1, now, Kind::Transport);
    }
    let now = begin + Duration::from_millis(3);
    assert_eq!(servers.pick(now, rng, 0..3), Some(1));
    assert_eq!(servers.pick(now, rng, [0, 2].into_iter()), Some(2));
    assert_eq!(servers.pick(now, rng, 0..0), None);
}

#[test]
fn errors_that_are_not_the_servers_leave_it_its_place() {
    let now = Instant::now();
    let mut servers = scores(1);
    for kind in [
        Kind::Auth,
        Kind::Rejected,
        Kind::Expired,
        Kind::Integrity,
        Kind::Cancelled,
    ] {
        for _ in 0..5 {
            servers.started(0, 1, now);
            servers.failed(0, 1, now, kind);
        }
        assert!(!is_resting(&servers, now), "{kind:?}");
    }
}

const SLICE: f64 = 16_777_216.0;

/// 4 GiB: long enough for a rest to be over and done with.
const SLICES: usize = 256;

const CAPACITY: f64 = 25e6;

/// What sockets take before it has arrived.
const BUFFERS: f64 = 4_194_304.0;

const STEP: f64 = 0.005;

/// The first to answer gets two slices and no more while its peers are in time; one that is late
/// with its first is not waited for.
#[test]
fn peers_prove_themselves_before_the_first_gets_all() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let set = [0, 1, 2];
    let mut servers = scores(3);
    set.iter()
        .for_each(|&index| servers.started(index, 16 << 20, start));
    assert!(servers.unproven(&set, start), "none has answered");
    servers.acked(0, 16 << 20, second, start + second);
    assert!(
        !servers.unproven(&set, start + second),
        "the first may go on"
    );
    servers.started(0, 16 << 20, start + second);
    servers.started(0, 16 << 20, start + second);
    assert!(
        servers.unproven(&set, start + second),
        "it is busy, and the others are in time"
    );
    assert!(
        !servers.unproven(&set, start + 3 * second),
        "the others are late"
    );
    let next = servers.pick(start + 3 * second, &mut fastrand::Rng::with_seed(1), 0..3);
    assert_eq!(next, Some(0), "a late one gets nothing more");
    assert!(
        !servers.unproven(&set[..1], start),
        "one server is never waited for"
    );
}

#[test]
fn an_index_is_used_again_and_nothing_is_left_of_who_had_it() {
    let (mut scores, now) = (ServerScores::default(), Instant::now());
    let mut rng = fastrand::Rng::with_seed(7);
    let (slow, busy) = (scores.add("slow"), scores.add("busy"));
    scores.started(slow, 1, now);
    scores.acked(slow, 1, Duration::from_secs(100), now);
    scores.started(busy, 1, now);
    assert!(!scores.forget(busy), "it has a slice");
    assert!(scores.forget(slow) && !scores.forget(slow));
    assert_eq!((scores.count(), scores.expected(slow, 1)), (1, None));
    assert_eq!(scores.pick(now, &mut rng, [slow].into_iter()), None);
    scores.failed(slow, 1, now, Kind::Transport);
    let next = scores.add("next");
    assert_eq!((next, scores.count()), (slow, 2));
    assert_eq!(scores.expected(next, 1), None, "it is another server");
    assert_eq!(scores.pick(now, &mut rng, [next].into_iter()), Some(next));
    let known: Vec<_> = scores.known().copied().collect();
    assert_eq!(known, ["next", "busy"]);
}
