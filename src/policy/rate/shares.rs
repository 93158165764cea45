//! Processes of one account, each with a limiter of its own, against one modelled service: how alike
//! their shares are, what all of them get, and what is refused.

use super::*;

/// What a service refuses beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gateway {
    /// Whole seconds are counted.
    Seconds,
    /// A bucket of one second's calls is filled steadily.
    Bucket,
}

/// One account's limit.
struct Service {
    gateway: Gateway,
    limit: f64,
    /// Seconds at the last call.
    at: f64,
    /// Calls of this second, or what the bucket holds.
    count: f64,
}

impl Service {
    fn new(gateway: Gateway, limit: f64) -> Service {
        let count = if gateway == Gateway::Bucket {
            limit
        } else {
            0.0
        };
        Service {
            gateway,
            limit,
            at: 0.0,
            count,
        }
    }

    fn grants(&mut self, at: f64) -> bool {
        let before = std::mem::replace(&mut self.at, at);
        if self.gateway == Gateway::Seconds {
            let same = before.trunc() == at.trunc();
            self.count = if same { self.count + 1.0 } else { 1.0 };
            return self.count <= self.limit;
        }
        self.count = (self.count + (at - before) * self.limit).min(self.limit);
        let grants = self.count >= 1.0;
        self.count -= f64::from(u8::from(grants));
        grants
    }
}

/// What one process does next.
#[derive(Clone, Copy)]
enum Next {
    /// It calls as soon as it may.
    Call(Option<RateTicket>),
    /// An answer comes, beside its calls.
    Hears(bool),
}

/// What was seen from the second minute on.
#[derive(Clone, Copy)]
struct Seen {
    /// Jain's index of what each process was granted: 1 is alike, 1/N is one alone.
    jain: f64,
    /// What all were granted, of the limit.
    sum: f64,
    /// Of all calls.
    refused: f64,
}

/// `processes` begin within three seconds, or the last a minute before it is counted, and have more calls
/// than may go; each answer takes 20 to 60 ms, each timer is up to 2 ms late.
fn run(service: &mut Service, processes: usize, late: bool, seed: u64) -> Seen {
    let (begin, mut chance) = (Instant::now(), fastrand::Rng::with_seed(seed));
    let from = if late { 150.0 } else { 60.0 };
    let mut rates = vec![Rate::new(RateSettings::create()); processes];
    let mut todo: Vec<(f64, usize, Next)> = (0..processes)
        .map(|process| (3.0 * chance.f64(), process, Next::Call(None)))
        .collect();
    if late {
        todo[0].0 = from - 60.0;
    }
    let (mut granted, mut refused) = (vec![0.0_f64; processes], 0.0);
    while let Some(next) = (0..todo.len()).min_by(|&a, &b| todo[a].0.total_cmp(&todo[b].0)) {
        let (at, process, what) = todo[next];
        if at >= from + 120.0 {
            break;
        }
        let (now, rate) = (begin + Duration::from_secs_f64(at), &mut rates[process]);
        match what {
            Next::Hears(grants) => {
                todo.swap_remove(next);
                match grants {
                    true => rate.succeeded(now),
                    false => rate.throttled(now, None),
                }
            }
            Next::Call(ticket) => {
                let ticket = ticket.unwrap_or_else(|| rate.take(now));
                let wait = rate.wait(ticket, now);
                let again = at + wait.as_secs_f64() + 0.002 * chance.f64();
                todo[next] = (again, process, Next::Call(Some(ticket)));
                if wait.is_zero() {
                    let grants = service.grants(at);
                    let counts = f64::from(u8::from(at >= from));
                    granted[process] += if grants { counts } else { 0.0 };
                    refused += if grants { 0.0 } else { counts };
                    todo[next] = (at + 1e-6, process, Next::Call(None));
                    todo.push((
                        at + 0.02 + 0.04 * chance.f64(),
                        process,
                        Next::Hears(grants),
                    ));
                }
            }
        }
    }
    let sum: f64 = granted.iter().sum();
    let squares: f64 = granted.iter().map(|calls| calls * calls).sum();
    Seen {
        jain: sum * sum / (processes as f64 * squares),
        sum: sum / (120.0 * service.limit),
        refused: refused / (sum + refused),
    }
}

/// The mean of some runs of each number of processes, with both sorts of gateways, as a row of a table.
fn rows(limit: f64, late: bool, seeds: u64) -> Vec<(String, Seen)> {
    let mut rows = Vec::new();
    for gateway in [Gateway::Seconds, Gateway::Bucket] {
        for processes in [1, 2, 4, 8, 16].into_iter().skip(usize::from(late)) {
            let runs = (1..=seeds).map(|seed| {
                let mut service = Service::new(gateway, limit);
                run(&mut service, processes, late, seed)
            });
            let runs: Vec<Seen> = runs.collect();
            let mean = |of: fn(&Seen) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
            let seen = Seen {
                jain: mean(|seen| seen.jain),
                sum: mean(|seen| seen.sum),
                refused: mean(|seen| seen.refused),
            };
            let row = format!(
                "{limit}/s, {gateway:?}, {processes} processes: Jain {:.2}, sum {:.1} %, refused {:.2} %",
                seen.jain,
                100.0 * seen.sum,
                100.0 * seen.refused
            );
            rows.push((row, seen));
        }
    }
    rows
}

/// Figures differ a little from one machine's arithmetic to another's: these are bars, not pictures.
#[test]
fn processes_share_what_the_account_is_granted() {
    for (limit, refused) in [(50.0, 0.0075), (200.0, 0.0035)] {
        let (mut jain, rows) = (0.0, rows(limit, false, SEEDS));
        for (row, seen) in &rows {
            assert!(seen.jain >= 0.9, "{row}");
            assert!(seen.sum >= 0.95, "{row}");
            assert!(seen.refused <= refused, "{row}");
            jain += seen.jain / rows.len() as f64;
        }
        assert!(jain >= 0.96, "{limit}/s: {jain}");
    }
}

/// Calls of less than one a second teach little: what is refused stays a few in a hundred.
#[test]
fn few_calls_are_shared_as_well() {
    for (row, seen) in rows(20.0, false, SEEDS) {
        assert!(seen.jain >= 0.88 && seen.sum >= 0.94, "{row}");
        assert!(seen.refused <= 0.04, "{row}");
    }
}

/// `cargo test --lib shares::table -- --ignored --nocapture`
#[test]
#[ignore = "the table of benches/README.md"]
fn table() {
    for limit in [5.0, 20.0, 50.0, 200.0, 500.0] {
        rows(limit, false, MANY_SEEDS)
            .iter()
            .for_each(|(row, _)| println!("{row}"));
    }
    println!("one begins when the others have settled:");
    for limit in [20.0, 50.0, 200.0] {
        rows(limit, true, MANY_SEEDS)
            .iter()
            .for_each(|(row, _)| println!("{row}"));
    }
}

/// Runs of each row: of tests, and of the table.
const SEEDS: u64 = 4;
const MANY_SEEDS: u64 = 40;
