//! The gate against a modelled link: whole curves, and the figures that they have to reach.

use super::*;
use crate::policy::link::{Link, News, World};

/// One second of a run.
#[derive(Debug, Clone, Copy)]
struct Second {
    permits: usize,
    /// Share of the link's bandwidth that was used.
    used: f64,
}

struct Run {
    seconds: Vec<Second>,
    lost: Vec<News>,
}

impl Run {
    /// The mean share of the bandwidth used from `from` to the end.
    fn used_from(&self, from: usize) -> f64 {
        let rest = &self.seconds[from..];
        rest.iter().map(|second| second.used).sum::<f64>() / rest.len() as f64
    }

    fn curve(&self) -> String {
        self.seconds
            .iter()
            .enumerate()
            .map(|(at, second)| {
                format!(
                    "{at:3} s {:4} permits {:3.0} %\n",
                    second.permits,
                    second.used * 100.0
                )
            })
            .collect()
    }
}

fn run(settings: LimitSettings, seconds: usize, link_at: impl Fn(f64) -> Link) -> Run {
    let mut world = World::new();
    let mut limit = Limit::new(settings, world.begin());
    let mut run = Run {
        seconds: Vec::new(),
        lost: Vec::new(),
    };
    limit.on_rtt(Duration::from_secs_f64(link_at(0.0).rtt));
    let mut delivered = 0.0;
    while run.seconds.len() < seconds {
        let link = link_at(world.seconds());
        world.fill(&link, limit.permits());
        limit.on_start(link.slice);
        let batch = world.step(&link);
        // As the conductor sees them: one after the other.
        let ended = |news: &News| !matches!(news, News::Progress { .. });
        let mut ending = batch.iter().filter(|news| ended(news)).count();
        for news in batch {
            ending -= usize::from(ended(&news));
            tell(&mut limit, &world, (news, world.in_flight() + ending));
            if !matches!(news, News::Acked { .. } | News::Progress { .. }) {
                run.lost.push(news);
            }
        }
        if world.seconds() >= (run.seconds.len() + 1) as f64 - 1e-9 {
            let used = (world.delivered - delivered) / link.bandwidth;
            delivered = world.delivered;
            run.seconds.push(Second {
                permits: limit.permits(),
                used,
            });
        }
    }
    run
}

fn tell(limit: &mut Limit, world: &World, (news, in_flight): (News, usize)) {
    let now = world.now();
    match news {
        News::Acked { bytes, took } => limit.on_ack(now, bytes, took, in_flight),
        News::Progress { total } => limit.on_progress(now, total),
        News::Refused => limit.on_trouble(now, Trouble::Throttled),
        News::Reset => limit.on_trouble(now, Trouble::Failed),
        News::TimedOut => limit.on_trouble(now, Trouble::TimedOut),
    }
}

fn auto() -> LimitSettings {
    LimitSettings::default()
}

fn fixed(permits: usize) -> LimitSettings {
    LimitSettings {
        fixed: Some(permits),
        ..auto()
    }
}

#[test]
fn explore() {
    for (name, window) in [("4M", 4_194_304.0), ("512K", 524_288.0)] {
        for mbit in [100.0, 1000.0] {
            for rtt in [10.0, 80.0, 200.0] {
                let link = Link {
                    window,
                    ..Link::new(mbit, rtt)
                };
                let got = run(auto(), 60, |_| link);
                let best = [1, 2, 4, 8, 16, 32, 64, 128, 256]
                    .map(|n| (n, run(fixed(n), 60, |_| link).used_from(0)))
                    .into_iter()
                    .max_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap();
                println!(
                    "{name} {mbit} Mbit {rtt} ms: auto0 {:.3} auto20 {:.3} best {best:?} lost {} permits {:?}",
                    got.used_from(0),
                    got.used_from(20),
                    got.lost.len(),
                    got.seconds.iter().map(|s| s.permits).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn explore2() {
    let show = |name: &str, link_at: &dyn Fn(f64) -> Link, seconds| {
        let got = run(auto(), seconds, link_at);
        let best = [1, 2, 4, 8, 16, 32, 64, 128]
            .map(|n| (n, run(fixed(n), seconds, link_at).used_from(0)))
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        let mut lost = std::collections::BTreeMap::new();
        got.lost.iter().for_each(|l| *lost.entry(format!("{l:?}")).or_insert(0) += 1);
        println!("Mbit {name}: auto0 {:.3} auto20 {:.3} best {best:?} lost {lost:?} permits {:?}", got.used_from(0), got.used_from(20), got.seconds.iter().map(|s| s.permits).collect::<Vec<_>>());
    };
    show("knee 12 1G 20ms", &|_| Link { knee: 12, ..Link::new(1000.0, 20.0) }, 60);
    show("knee 4 1G 20ms", &|_| Link { knee: 4, ..Link::new(1000.0, 20.0) }, 60);
    show("knee 32 w1M 1G 80ms", &|_| Link { knee: 32, window: 1048576.0, ..Link::new(1000.0, 80.0) }, 60);
    show("loopback", &|_| Link { knee: 8, ..Link::new(40000.0, 0.1) }, 30);
    show("step 1000->100->1000", &|t| Link::new(if (20.0..50.0).contains(&t) { 100.0 } else { 1000.0 }, 40.0), 80);
    show("step w1M 100->1000->100", &|t| Link{window: 1048576.0, ..Link::new(if (20.0..50.0).contains(&t) { 1000.0 } else { 100.0 }, 80.0)}, 80);
    show("uplink 30M", &|_| Link::new(30.0, 40.0), 120);
    show("uplink 10M", &|_| Link::new(10.0, 40.0), 240);
    show("uplink 5M", &|_| Link::new(5.0, 40.0), 240);
    show("uplink 3M", &|_| Link::new(3.0, 40.0), 240);
    show("drop 200->4", &|t| Link::new(if t > 20.0 { 4.0 } else {200.0}, 40.0), 240);
    show("resets 1/50 1G", &|_| Link { resets: 50, ..Link::new(1000.0, 80.0) }, 60);
    show("resets 1/10 1G w1M", &|_| Link { resets: 10, window: 1048576.0, ..Link::new(1000.0, 80.0) }, 60);
    show("429 above 10", &|_| Link { refuses_above: 10, ..Link::new(1000.0, 80.0) }, 60);
    show("small 64K 100M 80ms", &|_| Link { slice: 65536, ..Link::new(100.0, 80.0) }, 60);
    show("small 16K 1G 40ms", &|_| Link { slice: 16384, ..Link::new(1000.0, 40.0) }, 60);
}
