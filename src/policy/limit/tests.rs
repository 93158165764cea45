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
        for news in world.step(&link) {
            tell(&mut limit, &world, news);
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

fn tell(limit: &mut Limit, world: &World, news: News) {
    let now = world.now();
    match news {
        News::Acked { bytes, took } => limit.on_ack(now, bytes, took, world.in_flight()),
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
