//! The limiter against a modelled link: whole curves, and the figures that they have to reach.

mod link;

use super::*;
use link::{Link, News, World};

/// A run to be made.
#[derive(Clone, Copy)]
struct Plan {
    settings: LimitSettings,
    seconds: usize,
    signals: Signals,
    /// The source gives so many slices at once until then.
    slow_source: (usize, f64),
    /// Connections share, as it is said from the beginning.
    shared: bool,
    /// What an earlier run has found.
    found: Option<Found>,
    /// Which packets are lost.
    seed: u64,
    /// What connections see of the link's queue, and when.
    queued: fn(f64) -> Queued,
    /// They see what the model has of it instead.
    sees: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Signals {
    Both,
    /// The conductor never tells what sockets took.
    Acks,
    /// It tells what has arrived instead.
    Arrivals,
}

/// What became of it, second by second.
struct Run {
    permits: Vec<usize>,
    /// Shares of the link's bandwidth that were used.
    used: Vec<f64>,
    /// What was lost, and when.
    lost: Vec<(f64, News)>,
    /// What it has found in the end.
    found: Option<Found>,
}

impl Plan {
    fn auto(seconds: usize) -> Self {
        Plan {
            settings: LimitSettings::default(),
            seconds,
            signals: Signals::Both,
            slow_source: (usize::MAX, 0.0),
            shared: false,
            found: None,
            seed: 0,
            queued: |_| Queued::Not,
            sees: false,
        }
    }

    fn fixed(permits: usize, seconds: usize) -> Self {
        let settings = LimitSettings {
            fixed: Some(permits),
            ..LimitSettings::default()
        };
        Plan {
            settings,
            ..Plan::auto(seconds)
        }
    }

    fn run(self, link_at: impl Fn(f64) -> Link) -> Run {
        let mut world = World::new(self.seed);
        let mut limit = Limit::new(self.settings, world.begin());
        limit.on_rtt(Duration::from_secs_f64(link_at(0.0).rtt));
        if self.shared {
            limit.on_shared();
        }
        self.found
            .into_iter()
            .for_each(|found| limit.on_found(world.now(), found, false));
        let mut run = Run {
            permits: Vec::new(),
            used: Vec::new(),
            lost: Vec::new(),
            found: None,
        };
        let mut delivered = 0.0;
        while run.used.len() < self.seconds {
            let link = link_at(world.seconds());
            world.fill(&link, limit.permits().min(self.source(world.seconds())));
            limit.on_start(link.slice);
            limit.on_queue(match self.sees {
                true => world.queued(&link),
                false => (self.queued)(world.seconds()),
            });
            let news = world.step(&link);
            self.tell(&mut limit, &world, &news);
            if let Some(most) = limit.take_surplus() {
                world.call_off(most);
            }
            let losses = news.into_iter().filter(|news| news.is_loss());
            run.lost.extend(losses.map(|news| (world.seconds(), news)));
            if world.seconds() >= (run.used.len() + 1) as f64 - 1e-9 {
                run.used
                    .push((world.delivered - delivered) / link.bandwidth);
                run.permits.push(limit.permits());
                delivered = world.delivered;
            }
        }
        run.found = limit.found();
        run
    }

    fn source(self, at: f64) -> usize {
        let (slices, until) = self.slow_source;
        if at < until { slices } else { usize::MAX }
    }

    /// As the conductor sees it: what ended together ends one after the other.
    fn tell(self, limit: &mut Limit, world: &World, news: &[News]) {
        let now = world.now();
        let mut ending = news
            .iter()
            .filter(|news| !matches!(news, News::Progress { .. }))
            .count();
        for &one in news {
            ending = ending.saturating_sub(1);
            match one {
                News::Acked { bytes, took } => {
                    limit.on_ack(now, bytes, took, world.in_flight() + ending);
                }
                News::Progress { total, arrived } => match self.signals {
                    Signals::Both => limit.on_progress(now, total, Seen::Taken),
                    Signals::Arrivals => limit.on_progress(now, arrived, Seen::Arrived),
                    Signals::Acks => {}
                },
                News::Refused => limit.on_congestion(now, CongestionSignal::Throttled),
                News::Reset => limit.on_congestion(now, CongestionSignal::Failed),
                News::TimedOut => limit.on_congestion(now, CongestionSignal::TimedOut),
            }
        }
    }
}

impl Run {
    /// The mean share of the bandwidth used in `seconds`.
    fn used(&self, seconds: std::ops::Range<usize>) -> f64 {
        let part = &self.used[seconds];
        part.iter().sum::<f64>() / part.len() as f64
    }

    fn whole(&self) -> f64 {
        self.used(0..self.used.len())
    }

    fn permits_every(&self, seconds: usize) -> String {
        let some: Vec<_> = self
            .permits
            .iter()
            .step_by(seconds)
            .map(|permits| permits.to_string())
            .collect();
        some.join(" ")
    }
}

/// The best of the fixed settings over the whole run.
fn best_fixed(seconds: usize, link: Link) -> (usize, f64) {
    [2, 4, 8, 16, 32, 64, 128]
        .map(|permits| (permits, Plan::fixed(permits, seconds).run(|_| link).whole()))
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("seven were run")
}

/// Bandwidth, round trip and what one connection may have on its way.
const GRID: [(f64, f64, f64); 6] = [
    (100.0, 10.0, 4_194_304.0),
    (100.0, 80.0, 524_288.0),
    (100.0, 200.0, 4_194_304.0),
    (1000.0, 10.0, 524_288.0),
    (1000.0, 80.0, 4_194_304.0),
    (1000.0, 200.0, 524_288.0),
];

/// The grid, with connections that carry 4 MiB on their way and with poor ones that carry
/// 512 KiB: 98 % of the link after 20 s, and at most 4 % behind the best fixed setting in all.
#[test]
fn on_every_link_it_fills_the_link_and_keeps_up_with_the_best_fixed_setting() {
    let mut table = String::new();
    for window in [4_194_304.0, 524_288.0] {
        for megabits in [100.0, 1000.0] {
            for rtt in [10.0, 80.0, 200.0] {
                let link = Link {
                    window,
                    ..Link::new(megabits, rtt)
                };
                let run = Plan::auto(60).run(|_| link);
                let (late, whole) = (run.used(20..60), run.whole());
                let (permits, best) = best_fixed(60, link);
                let row = format!(
                    "{megabits:4} Mbit/s {rtt:3} ms {:4} KiB: {:3.0} % after 20 s; whole {:3.0} %, {permits:3} fixed {:3.0} %; permits {}\n",
                    window / 1024.0,
                    late * 100.0,
                    whole * 100.0,
                    best * 100.0,
                    run.permits_every(4)
                );
                assert!(late >= 0.98, "{row}");
                assert!(whole >= 0.96 * best, "{row}");
                assert!(run.lost.is_empty(), "{row}{:?}", run.lost);
                table.push_str(&row);
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// The same where the system tells what has arrived, rather than what sockets took.
#[test]
fn by_what_has_arrived_it_fills_every_link_as_well() {
    for (megabits, rtt, window) in GRID {
        let link = Link {
            window,
            ..Link::new(megabits, rtt)
        };
        let plan = Plan {
            signals: Signals::Arrivals,
            ..Plan::auto(60)
        };
        let run = plan.run(|_| link);
        let (late, whole) = (run.used(20..60), run.whole());
        let (_, best) = best_fixed(60, link);
        let row = format!(
            "{megabits} Mbit/s, {rtt} ms, {window}: {late:.2} after 20 s; whole {whole:.2}, best {best:.2}; permits {}",
            run.permits_every(4)
        );
        assert!(late >= 0.98 && whole >= 0.95 * best, "{row}");
        assert!(run.lost.is_empty(), "{row}{:?}", run.lost);
    }
}

/// Uploads that know nothing of each other share a link that is full: each carries what its share of all bodies is. One
/// has the link for itself for the first half minute.
fn shares_of(uploads: usize, megabits: f64, sees: impl Fn(usize) -> Queued) -> Vec<f64> {
    let link = Link::new(megabits, 80.0);
    let mut all: Vec<_> = (0..uploads)
        .map(|index| {
            let world = World::new(index as u64);
            let mut limit = Limit::new(LimitSettings::default(), world.begin());
            limit.on_rtt(Duration::from_millis(80));
            (world, limit, 0.0)
        })
        .collect();
    let plan = Plan::auto(0);
    for step in 0..(200.0 / 0.005) as usize {
        let at = step as f64 * 0.005;
        let active = if at < 30.0 { 1 } else { uploads };
        let bodies: usize = all[..active]
            .iter()
            .map(|(world, ..)| world.in_flight())
            .sum();
        for (index, (world, limit, carried)) in all[..active].iter_mut().enumerate() {
            world.fill(&link, limit.permits());
            let share = world.in_flight() as f64 / bodies.max(1) as f64;
            let part = Link {
                bandwidth: link.bandwidth * share.min(1.0),
                ..link
            };
            limit.on_start(link.slice);
            limit.on_queue(match at > 5.0 {
                true => sees(index),
                false => Queued::Not,
            });
            let before = world.delivered;
            let news = world.step(&part);
            plan.tell(limit, world, &news);
            if let Some(most) = limit.take_surplus() {
                world.call_off(most);
            }
            if at >= 90.0 {
                *carried += (world.delivered - before) / (110.0 * link.bandwidth);
            }
        }
    }
    all.into_iter().map(|(.., carried)| carried).collect()
}

/// Jain's index: 1 where all have the same.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| {
        (sum + share, squares + share * share)
    });
    sum * sum / (shares.len() as f64 * squares)
}

#[test]
fn uploads_that_know_nothing_of_each_other_have_equal_shares_of_a_full_link() {
    for (uploads, megabits) in [(2, 100.0), (4, 50.0), (4, 300.0), (8, 1000.0)] {
        let [with, without] =
            [Queued::Common, Queued::Not].map(|seen| shares_of(uploads, megabits, |_| seen));
        let row = format!("{uploads} on {megabits} Mbit/s: {with:.2?}, {without:.2?}");
        assert!(jain(&with) >= 0.95, "{row}");
        assert!(jain(&without) < 0.93, "{row}");
        assert!(with.iter().sum::<f64>() >= 0.95, "{row}");
    }
}

/// Who comes to a full link has never seen it empty, and is not sure that what waits is a queue.
#[test]
fn who_comes_to_a_full_link_tries_no_more_than_fill_it() {
    for megabits in [100.0, 300.0, 1000.0] {
        let late = |seen| {
            shares_of(2, megabits, move |index| match index {
                0 => Queued::Common,
                _ => seen,
            })
        };
        let (unsure, blind) = (late(Queued::Seen), late(Queued::Not));
        let row = format!("{megabits} Mbit/s: {unsure:.2?}, {blind:.2?}");
        assert!(jain(&unsure) >= 0.7, "{row}");
        assert!(jain(&unsure) >= jain(&blind) + 0.1, "{row}");
    }
}

/// Connections that begin on a link that is full already take from the others, and leave a gap when they go.
#[test]
fn twice_as_many_wait_until_it_is_known_whether_a_queue_is_common() {
    let most = |queued| {
        let plan = Plan {
            queued,
            ..Plan::auto(12)
        };
        let run = plan.run(|_| Link::new(1000.0, 200.0));
        run.permits.into_iter().max().expect("12 seconds")
    };
    assert!(most(|_| Queued::Not) >= 48, "nothing waits");
    let common = |at: f64| match at < 3.5 {
        true => Queued::Seen,
        false => Queued::Common,
    };
    assert_eq!(most(common), 32);
    assert!(most(|_| Queued::Seen) >= 48, "it is never known");
}

/// Goodput rises for the first ten seconds, whatever is in flight: as connections of BBR find out what the
/// link carries. Taken for the gain of more connections it would end at 100 and more.
#[test]
fn connections_that_share_are_not_doubled_for_what_bbr_does() {
    let rising = |at: f64| Link::new(1000.0 * (at / 10.0).clamp(0.05, 1.0), 80.0);
    let most = |shared| {
        let plan = Plan {
            shared,
            ..Plan::auto(40)
        };
        let run = plan.run(rising);
        assert!(run.used(20..40) >= 0.95, "{:.2}", run.used(20..40));
        run.permits.into_iter().max().expect("40 seconds")
    };
    let (sharing, own) = (most(true), most(false));
    assert!(
        (32..=50).contains(&sharing) && own > sharing,
        "{sharing}, {own}"
    );
}

/// Above a knee each permit costs a percent: it stays near the knee, whichever that is.
#[test]
fn beyond_a_knee_it_turns_back() {
    let mut table = String::new();
    for knee in [4, 12, 32] {
        let link = Link {
            knee,
            window: 1_048_576.0,
            ..Link::new(1000.0, 20.0)
        };
        let run = Plan::auto(60).run(|_| link);
        let (permits, best) = best_fixed(60, link);
        let row = format!(
            "knee at {knee}: {:.0} % after 20 s, {permits} fixed {:.0} %; permits {}\n",
            run.used(20..60) * 100.0,
            best * 100.0,
            run.permits_every(4)
        );
        assert!(run.used(20..60) >= 0.95 * best, "{row}");
        table.push_str(&row);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn it_converges_again_when_the_link_changes() {
    let step = |from: f64, to: f64| {
        move |at: f64| {
            let megabits = if (20.0..50.0).contains(&at) { to } else { from };
            Link {
                window: 1_048_576.0,
                ..Link::new(megabits, 80.0)
            }
        }
    };
    let up = Plan::auto(80).run(step(100.0, 1000.0));
    let down = Plan::auto(80).run(step(1000.0, 100.0));
    let curves = format!(
        "100, 1000, 100 Mbit/s: {}\n1000, 100, 1000 Mbit/s: {}\n",
        up.permits_every(2),
        down.permits_every(2)
    );
    for (name, run) in [("up", &up), ("down", &down)] {
        assert!(run.used(10..20) >= 0.98, "{name} before: {curves}");
        assert!(run.used(30..50) >= 0.98, "{name} between: {curves}");
        assert!(run.used(60..80) >= 0.98, "{name} after: {curves}");
        assert!(run.lost.is_empty(), "{name}: {:?}", run.lost);
    }
    insta::assert_snapshot!(curves);
}

/// A link that loses packets: connections begin fast, are slowed by each loss, and many are needed in
/// the end. What a trial gains is hidden by what all lose meanwhile.
#[test]
fn a_link_that_loses_packets_gets_as_many_as_it_needs() {
    let mut table = String::new();
    for (megabits, rtt, losses) in [
        (1000.0, 80.0, 10_000),
        (1000.0, 80.0, 2_000),
        (100.0, 200.0, 10_000),
        (100.0, 80.0, 1_000),
    ] {
        let link = Link {
            losses,
            ..Link::new(megabits, rtt)
        };
        let ([late, whole], lost) = mean_with_losses(link);
        let (permits, best) = best_fixed(120, link);
        let row = format!(
            "{megabits:4} Mbit/s {rtt:3} ms, one of {losses:5} lost: {:3.0} % after 60 s, whole {:3.0} %, {permits:3} fixed {:3.0} %\n",
            late * 100.0,
            whole * 100.0,
            best * 100.0,
        );
        assert!(late >= 0.89 * best, "{row}");
        assert!(whole >= 0.82 * best, "{row}");
        assert_eq!(lost, 0, "{row}");
        table.push_str(&row);
    }
    insta::assert_snapshot!(table);
}

/// The shares of `link` used after 60 s and in all, and the slices lost, of runs that lose other packets each: by
/// chance one of them finds in a minute what another one finds at once.
fn mean_with_losses(link: Link) -> ([f64; 2], usize) {
    let (mut late, mut whole, mut lost) = (0.0, 0.0, 0);
    for seed in 0..SEEDS {
        let run = Plan {
            seed,
            ..Plan::auto(120)
        }
        .run(|_| link);
        late += run.used(60..120) / SEEDS as f64;
        whole += run.whole() / SEEDS as f64;
        lost += run.lost.len();
    }
    ([late, whole], lost)
}

const SEEDS: u64 = 8;

/// The rest of the grid with losses. Where one of 1000 packets is lost each connection carries half a
/// megabyte a second: hundreds are needed, and slices take as long as the deadline allows.
#[test]
fn on_lossy_links_of_every_length_it_finds_most_of_what_they_carry() {
    for (megabits, rtt, losses, late, whole) in LOSSY {
        let link = Link {
            losses,
            ..Link::new(megabits, rtt)
        };
        let ([after, all], lost) = mean_with_losses(link);
        let (_, best) = best_fixed(120, link);
        let row = format!(
            "{megabits} Mbit/s {rtt} ms, one of {losses} lost: {after:.3} after 60 s, whole {all:.3}, best {best:.3}, {lost} lost"
        );
        assert!(after >= late * best, "{row}");
        assert!(all >= whole * best, "{row}");
        // Where hundreds are needed slices take as long as the deadline allows.
        assert!(lost as u64 <= 2 * SEEDS, "{row}");
    }
}

/// Shares of the best fixed setting after 60 s and in all.
const LOSSY: [(f64, f64, u64, f64, f64); 11] = [
    (12.0, 40.0, 1_000, 0.99, 0.97),
    (20.0, 200.0, 1_000, 0.76, 0.78),
    (100.0, 10.0, 10_000, 0.99, 0.99),
    (100.0, 10.0, 1_000, 0.99, 0.99),
    (100.0, 80.0, 10_000, 0.99, 0.99),
    // Slices are soon too slow to learn from.
    (100.0, 200.0, 1_000, 0.83, 0.86),
    (1000.0, 10.0, 10_000, 0.92, 0.88),
    (1000.0, 10.0, 1_000, 0.97, 0.76),
    // No fixed number does as well.
    (1000.0, 80.0, 1_000, 1.6, 1.4),
    (1000.0, 200.0, 10_000, 0.96, 0.97),
    (1000.0, 200.0, 1_000, 1.45, 1.3),
];

/// The same with CUBIC where the system tells what arrives, and that packets are lost although nothing waits: shares of the
/// link in the first 20 s and after them.
#[test]
fn where_packets_are_lost_without_a_queue_more_are_tried() {
    let mut found = 0;
    for (megabits, rtt, losses, first, late) in [
        (1000.0, 10.0, 10_000, 0.97, 0.98),
        (1000.0, 10.0, 1_000, 0.85, 0.98),
        (1000.0, 80.0, 10_000, 0.94, 0.98),
        (1000.0, 80.0, 2_000, 0.85, 0.98),
        (1000.0, 80.0, 1_000, 0.87, 0.94),
        (1000.0, 200.0, 10_000, 0.92, 0.98),
        (1000.0, 200.0, 1_000, 0.83, 0.63),
        (300.0, 80.0, 1_000, 0.93, 0.95),
        (100.0, 80.0, 1_000, 0.94, 0.93),
        (100.0, 200.0, 1_000, 0.95, 0.77),
        (30.0, 200.0, 1_000, 0.95, 0.91),
        (12.0, 200.0, 1_000, 0.95, 0.72),
    ] {
        let link = Link {
            losses,
            ..Link::new(megabits, rtt)
        };
        let (mut shares, mut lost) = ([0.0; 2], 0);
        for seed in 0..SEEDS {
            let plan = Plan {
                seed,
                signals: Signals::Arrivals,
                sees: true,
                ..Plan::auto(90)
            };
            let run = plan.run(|_| link);
            found += usize::from(run.found.is_some());
            shares[0] += run.used(0..20) / SEEDS as f64;
            shares[1] += run.used(20..90) / SEEDS as f64;
            lost += run.lost.len();
        }
        let row = format!(
            "{megabits} Mbit/s {rtt} ms, one of {losses} lost: {shares:.3?}, {lost} slices lost"
        );
        assert!(shares[0] >= first && shares[1] >= late, "{row}");
        assert!(lost as u64 <= 2 * SEEDS, "{row}");
    }
    // For the next run on the link.
    assert!(found > 80, "{found} of 96");
}

/// A socket that takes a whole slice at once says nothing of the link.
#[test]
fn sockets_that_swallow_slices_mislead_nothing() {
    for (megabits, rtt, seconds) in [(10.0, 40.0, 240), (100.0, 80.0, 60), (1000.0, 80.0, 60)] {
        for socket in [16_777_216.0, 67_108_864.0] {
            let run = Plan::auto(seconds).run(|_| Link {
                socket,
                window: 1_048_576.0,
                ..Link::new(megabits, rtt)
            });
            let row = format!("{megabits} {socket}: {}", run.permits_every(4));
            assert!(run.whole() >= 0.96, "{row}");
            assert!(run.lost.is_empty(), "{row}{:?}", run.lost);
        }
    }
}

/// Servers become slow: some, which costs nothing where the others carry the link, or all for a while.
#[test]
fn servers_that_go_slow_leave_the_rest_of_the_link_in_use() {
    for (megabits, slow_servers, until) in [(1000.0, 4, 80.0), (100.0, 4, 80.0), (1000.0, 1, 50.0)]
    {
        let run = Plan::auto(90).run(|at| Link {
            slow_servers: if (20.0..until).contains(&at) {
                slow_servers
            } else {
                0
            },
            window: 1_048_576.0,
            ..Link::new(megabits, 80.0)
        });
        let used = if slow_servers == 1 {
            run.used(60..90)
        } else {
            run.used(30..80)
        };
        let row = format!(
            "{megabits}, one of {slow_servers}: {}",
            run.permits_every(2)
        );
        assert!(used >= 0.95, "{used} {row}");
    }
}

/// All is reset at once, or every second slice for ten seconds, or refused for five.
#[test]
fn it_comes_back_after_an_outage() {
    type Outage = fn(&mut Link, f64);
    let outages: [(&str, f64, f64, Outage); 3] = [
        ("all reset", 25.0, 0.98, |link, at| {
            link.resets = u64::from((20.0..20.5).contains(&at));
        }),
        ("half reset", 40.0, 0.94, |link, at| {
            link.resets = 2 * u64::from((20.0..30.0).contains(&at));
        }),
        ("all refused", 50.0, 0.98, |link, at| {
            if (20.0..25.0).contains(&at) {
                link.refuses_above = 0;
            }
        }),
    ];
    for (name, from, least, outage) in outages {
        let paths = (0..20).map(|nth| 70.0 + f64::from(nth));
        let used: Vec<f64> = paths
            .map(|rtt| {
                let run = Plan::auto(90).run(|at| {
                    let mut link = Link {
                        window: 1_048_576.0,
                        ..Link::new(1000.0, rtt)
                    };
                    outage(&mut link, at);
                    link
                });
                run.used(from as usize..90)
            })
            .collect();
        let mean = used.iter().sum::<f64>() / used.len() as f64;
        assert!(mean >= least, "{name}: {mean} {used:?}");
    }
}

/// A source that gives fewer slices than permits: nothing is learned from that, and nothing forgotten.
#[test]
fn a_slow_source_does_not_spoil_what_comes_after_it() {
    for (slices, window) in [(2, 1_048_576.0), (8, 524_288.0)] {
        let plan = Plan {
            slow_source: (slices, 30.0),
            ..Plan::auto(70)
        };
        let run = plan.run(|_| Link {
            window,
            ..Link::new(1000.0, 80.0)
        });
        let used = run.used(40..70);
        assert!(used >= 0.98, "{slices}: {used} {}", run.permits_every(2));
        assert!(run.lost.is_empty(), "{slices}: {:?}", run.lost);
    }
}

/// Slices of 16 MiB on slow uplinks: each arrives within the gateway's 60 s from the first on.
#[test]
fn a_slow_uplink_loses_nothing_to_the_gateways_minute() {
    let mut curves = String::new();
    for megabits in [5.0, 10.0, 30.0] {
        let run = Plan::auto(240).run(|_| Link::new(megabits, 40.0));
        let row = format!("{megabits} Mbit/s: {}\n", run.permits_every(10));
        assert!(run.lost.is_empty(), "{row}{:?}", run.lost);
        assert!(run.whole() >= 0.99, "{row}{}", run.whole());
        curves.push_str(&row);
    }
    insta::assert_snapshot!(curves);
}

/// 200 Mbit/s become 4: what was in flight is lost to the gateway, and nothing after it.
#[test]
fn a_link_that_breaks_down_loses_what_was_in_flight_and_no_more() {
    let run = Plan::auto(240).run(|at| Link::new(if at < 20.0 { 200.0 } else { 4.0 }, 40.0));
    let last = run.lost.last().expect("a loss").0;
    assert!(run.lost.len() <= 10, "{:?}", run.lost);
    assert!(last <= 20.0 + 62.0, "{last}");
    assert!(
        run.permits[50..].iter().all(|&permits| permits <= 2),
        "{:?}",
        run.permits
    );
}

#[test]
fn resets_are_weather_and_refusals_are_heeded() {
    let healthy = Link {
        window: 1_048_576.0,
        ..Link::new(1000.0, 80.0)
    };
    for resets in [50, 10] {
        let run = Plan::auto(60).run(|_| Link { resets, ..healthy });
        assert!(
            run.used(20..60) >= 0.95,
            "one in {resets}: {:?}",
            run.permits
        );
    }
    let run = Plan::auto(60).run(|_| Link {
        refuses_above: 10,
        ..healthy
    });
    let late = run.lost.iter().filter(|(at, _)| *at > 20.0).count();
    assert!(
        run.permits[20..].iter().all(|&permits| permits <= 12),
        "{:?}",
        run.permits
    );
    assert!(
        late <= 20,
        "{late} refused after 20 s of {}",
        run.lost.len()
    );
}

#[test]
fn acknowledgements_alone_are_enough() {
    for (megabits, rtt) in [(100.0, 80.0), (1000.0, 10.0), (1000.0, 80.0)] {
        let plan = Plan {
            signals: Signals::Acks,
            ..Plan::auto(60)
        };
        let run = plan.run(|_| Link::new(megabits, rtt));
        assert!(
            run.used(20..60) >= 0.95,
            "{megabits} {rtt}: {:?}",
            run.permits
        );
    }
}

/// Where round trips are the limit, many small bodies go at once.
#[test]
fn small_bodies_go_many_at_once() {
    // Bodies of one size come in step, so that a millisecond more or less decides what is measured.
    let paths = (0..20).map(|nth| 70.0 + f64::from(nth));
    let used: Vec<f64> = paths
        .map(|rtt| {
            let run = Plan::auto(30).run(|_| Link {
                slice: 65_536,
                ..Link::new(100.0, rtt)
            });
            assert!(run.permits[10] >= 24, "{rtt}: {:?}", run.permits);
            run.used(10..30)
        })
        .collect();
    let mean = used.iter().sum::<f64>() / used.len() as f64;
    assert!(mean >= 0.75, "{mean} {used:?}");
}

/// A connection that begins late is slow for longer than what is left lasts.
#[test]
fn where_little_is_left_no_more_are_tried() {
    let link = Link::new(320.0, 80.0);
    let most = |left: Option<u64>| {
        let mut world = World::new(0);
        let mut limit = Limit::new(LimitSettings::default(), world.begin());
        limit.on_rtt(Duration::from_millis(80));
        let mut most = 0;
        while world.seconds() < 6.0 {
            world.fill(&link, limit.permits());
            limit.on_start(link.slice);
            limit.on_left(left);
            let news = world.step(&link);
            Plan::auto(6).tell(&mut limit, &world, &news);
            most = most.max(limit.permits());
        }
        most
    };
    let eighteen = 18 * link.slice;
    assert_eq!(most(Some(eighteen)), 8);
    assert!(most(None) > 8 && most(Some(100 * eighteen)) > 8);
}

/// A run that was to end within ten seconds ends soon, also once connections that are left behind carry less; not
/// after it was given more.
#[test]
fn an_end_that_was_near_stays_so_until_there_is_more_to_send() {
    let (begin, second) = (Instant::now(), Duration::from_secs(1));
    let mut limit = Limit::new(LimitSettings::default(), begin);
    let (mut now, mut sent) = (begin, 0);
    let mut carries = |limit: &mut Limit, left: Option<u64>, per_second: u64| {
        for _ in 0..50 {
            (now, sent) = (now + second / 10, sent + per_second / 10);
            limit.on_start(16 << 20);
            limit.on_left(left);
            limit.on_progress(now, sent, Seen::Arrived);
        }
        limit.ends_soon()
    };
    let [mib, gib] = [1 << 20, 1 << 30];
    assert!(!carries(&mut limit, None, 12 * mib), "none knows");
    assert!(!carries(&mut limit, Some(gib), 12 * mib));
    assert!(carries(&mut limit, Some(100 * mib), 12 * mib));
    assert!(carries(&mut limit, Some(80 * mib), 2 * mib));
    assert!(carries(&mut limit, Some(60 * mib), 0));
    assert!(!carries(&mut limit, Some(gib), 2 * mib));
    assert!(!carries(&mut limit, Some(80 * mib), 2 * mib));
    assert!(carries(&mut limit, Some(10 * mib), 2 * mib));
}

/// Two cores saturated by a few connections: a modest number, and a calm one.
#[test]
fn a_processor_bound_loopback_settles_at_a_modest_number() {
    let run = Plan::auto(60).run(|_| Link {
        knee: 8,
        ..Link::new(8000.0, 1.0)
    });
    let late = &run.permits[10..];
    assert!(
        late.iter().all(|permits| (6..=16).contains(permits)),
        "{late:?}"
    );
    let changes = late.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes <= 20, "{changes} changes in 50 s: {late:?}");
}

#[test]
fn a_fixed_number_is_fixed() {
    let run = Plan::fixed(5, 30).run(|_| Link {
        resets: 3,
        refuses_above: 4,
        ..Link::new(50.0, 80.0)
    });
    assert!(run.lost.len() > 10, "{}", run.lost.len());
    assert_eq!(run.permits, vec![5; 30]);
}

#[test]
fn bounds_are_kept() {
    let settings = LimitSettings {
        fixed: None,
        min: 3,
        max: 6,
        start: 100,
    };
    let poor = Link {
        window: 262_144.0,
        ..Link::new(1000.0, 80.0)
    };
    let run = Plan {
        settings,
        ..Plan::auto(20)
    }
    .run(|_| poor);
    assert!(
        run.permits[3..]
            .iter()
            .all(|permits| [5, 6].contains(permits)),
        "{:?}",
        run.permits
    );
    assert!(run.permits.contains(&6));
    let run = Plan {
        settings,
        ..Plan::auto(20)
    }
    .run(|_| Link::new(2.0, 80.0));
    assert!(
        run.permits.iter().all(|permits| (3..=6).contains(permits)),
        "{:?}",
        run.permits
    );
}

/// What an earlier run has found on a link, by the model.
fn found_on(link: Link) -> Found {
    let run = Plan::auto(60).run(|_| link);
    run.found.expect("a minute is enough")
}

/// The first seconds are those in which most is to be gained: nothing has to be found out.
#[test]
fn what_was_found_before_is_what_it_begins_with() {
    for (megabits, rtt, losses, known) in [
        (1000.0, 80.0, 0, 0.96_f64),
        (1000.0, 200.0, 0, 0.94),
        (1000.0, 80.0, 10_000, 0.95),
        (1000.0, 200.0, 10_000, 0.93),
    ] {
        let link = Link {
            losses,
            ..Link::new(megabits, rtt)
        };
        let new = Plan::auto(20).run(|_| link).whole();
        let found = Some(found_on(link));
        let again = Plan {
            found,
            ..Plan::auto(20)
        };
        let run = again.run(|_| link);
        let row = format!(
            "{megabits} Mbit/s {rtt} ms, one of {losses} lost: {new:.3} before, {:.3} now; permits {}",
            run.whole(),
            run.permits_every(1)
        );
        assert!(run.whole() >= known.max(new), "{row}");
    }
}

/// A link that carries less than before, or more, costs no body: those that would not arrive in time are called
/// off, and the search finds what there is.
#[test]
fn what_was_found_before_is_forgotten_where_it_is_wrong() {
    let before = Link::new(1000.0, 200.0);
    let found = found_on(before);
    for times in [0.01, 0.03, 0.1, 0.3, 1.0] {
        let link = Link {
            bandwidth: before.bandwidth * times,
            ..before
        };
        let again = Plan {
            found: Some(found),
            ..Plan::auto(120)
        };
        let run = again.run(|_| link);
        let row = format!(
            "{times}: {:.3}, permits {}",
            run.used(20..120),
            run.permits_every(4)
        );
        assert!(run.lost.is_empty(), "{row}: {:?}", run.lost);
        assert!(run.used(20..120) >= 0.95, "{row}");
        let carried = run.found.map(|found| found.bytes_per_second as f64);
        let wrong = |carried: f64| (carried / link.bandwidth - 1.0).abs() > 0.25;
        assert!(!carried.is_some_and(wrong), "{row}: {carried:?}");
    }
    let slow = found_on(Link::new(100.0, 80.0));
    let again = Plan {
        found: Some(slow),
        ..Plan::auto(60)
    };
    let run = again.run(|_| Link::new(1000.0, 80.0));
    assert!(run.used(20..60) >= 0.95, "{}", run.permits_every(2));
}

/// A limit that begins with 32 permits that carried 1 Gbit/s.
fn on_a_known_link(will_share: bool) -> (Instant, Limit) {
    let begin = Instant::now();
    let mut limit = Limit::new(LimitSettings::default(), begin);
    let found = Found {
        permits: 32,
        bytes_per_second: 125_000_000,
    };
    limit.on_found(begin, found, will_share);
    (begin, limit)
}

/// Nothing is sent for long, since a disk is slow or a person has paused: that says nothing of the link.
#[test]
fn what_was_found_before_waits_for_the_first_body() {
    let (begin, mut limit) = on_a_known_link(false);
    let found = limit.found().expect("what it was told");
    for second in 1..60 {
        limit.on_progress(begin + second * Duration::from_secs(1), 0, Seen::Taken);
    }
    assert_eq!((limit.found(), limit.take_surplus()), (Some(found), None));
    limit.on_start(16 << 20);
    limit.on_progress(begin + Duration::from_secs(61), 0, Seen::Taken);
    assert_eq!((limit.found(), limit.take_surplus()), (Some(found), None));
    for second in 62..70 {
        limit.on_progress(begin + second * Duration::from_secs(1), 0, Seen::Taken);
    }
    assert_eq!((limit.found(), limit.take_surplus()), (None, Some(1)));
}

#[test]
fn of_connections_that_share_it_begins_with_few() {
    for (rtt, will_share, expected) in [
        (80, false, 38),
        (200, false, 95),
        (10, false, 32),
        (80, true, 16),
        (200, true, 32),
    ] {
        let (begin, mut limit) = on_a_known_link(will_share);
        limit.on_rtt(Duration::from_millis(rtt));
        limit.on_start(1 << 20);
        for tick in 1..20 {
            if will_share {
                limit.on_shared();
            }
            limit.on_progress(begin + tick * Duration::from_millis(100), 0, Seen::Taken);
        }
        assert_eq!(limit.permits(), expected, "{rtt} ms, {will_share}");
    }
}

#[test]
fn what_was_found_says_nothing_of_small_files_or_a_number_that_was_asked_for() {
    let small = Link {
        slice: 64 << 10,
        ..Link::new(100.0, 80.0)
    };
    assert_eq!(Plan::auto(30).run(|_| small).found, None);
    let fixed = Plan::fixed(8, 30).run(|_| Link::new(100.0, 80.0));
    assert_eq!(fixed.found, None);
}
