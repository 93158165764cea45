//! The limiter against a modelled service: what it grants, what it refuses.

use super::*;

/// A service that grants `limit` calls a second, whole seconds counted, as gateways do.
struct Service {
    limit: u64,
    second: u64,
    granted: u64,
    refused: u64,
}

impl Service {
    fn new(limit: u64) -> Self {
        Service {
            limit,
            second: 0,
            granted: 0,
            refused: 0,
        }
    }

    fn call(&mut self, at: Duration) -> bool {
        if at.as_secs() != self.second {
            (self.second, self.granted) = (at.as_secs(), 0);
        }
        self.granted += 1;
        let grants = self.granted <= self.limit;
        self.refused += u64::from(!grants);
        grants
    }
}

/// Calls granted in each second when `tasks` call as often as they may, 40 ms a call.
fn run(settings: RateSettings, service: &mut Service, seconds: usize) -> Vec<u64> {
    let begin = Instant::now();
    let mut rate = Rate::new(settings);
    let mut done = vec![0; seconds];
    // Each task either waits with its ticket or has a call on its way that ends then.
    let mut tasks: Vec<(Duration, Option<RateTicket>)> = vec![(Duration::ZERO, None); 256];
    loop {
        let next = (0..tasks.len())
            .min_by_key(|&task| tasks[task].0)
            .expect("there are tasks");
        let at = tasks[next].0;
        if at.as_secs() as usize >= seconds {
            return done;
        }
        let now = begin + at;
        let ticket = tasks[next].1.take().unwrap_or_else(|| rate.take(now));
        let wait = rate.wait(ticket, now);
        if !wait.is_zero() {
            tasks[next] = (at + wait, Some(ticket));
            continue;
        }
        if service.call(at) {
            done[at.as_secs() as usize] += 1;
            rate.succeeded(now);
        } else {
            rate.throttled(now, None);
        }
        tasks[next].0 = at + Duration::from_millis(40);
    }
}

fn table(rows: &[(&str, Vec<u64>, u64)]) -> String {
    rows.iter()
        .map(|(name, done, refused)| {
            let done: Vec<_> = done.iter().map(u64::to_string).collect();
            format!("{name}: {}; {refused} refused\n", done.join(" "))
        })
        .collect()
}

#[test]
fn it_finds_what_the_service_grants() {
    let mut rows = Vec::new();
    for (name, limit) in [
        ("5/s", 5),
        ("50/s", 50),
        ("500/s", 500),
        ("no limit", u64::MAX),
    ] {
        let mut service = Service::new(limit);
        let done = run(RateSettings::create(), &mut service, 30);
        rows.push((name, done, service.refused));
    }
    insta::assert_snapshot!(table(&rows));
    for ((name, done, refused), limit) in rows.iter().zip([5.0, 50.0, 500.0]) {
        let late: u64 = done[10..].iter().sum();
        let share = late as f64 / (20.0 * limit);
        assert!(share >= 0.8, "{name}: {share} of what is granted");
        assert!(
            *refused as f64 <= 0.1 * 30.0 * limit + 10.0,
            "{name}: {refused} refused"
        );
    }
    let unlimited: u64 = rows[3].1[..5].iter().sum();
    assert!(
        unlimited >= 10_000,
        "10,000 small files in five seconds: {unlimited}"
    );
}

#[test]
fn a_settled_rate_is_kept_exactly() {
    let done = run(RateSettings::at_most(20.0), &mut Service::new(u64::MAX), 10);
    assert_eq!(done[0], 20);
    assert!(
        done.iter().all(|&calls| (19..=21).contains(&calls)),
        "{done:?}"
    );
    assert!((200..=201).contains(&done.iter().sum::<u64>()), "{done:?}");
}

#[test]
fn first_come_first_served_whatever_the_rate_does() {
    let begin = Instant::now();
    let mut rate = Rate::new(RateSettings::create());
    let tickets: Vec<_> = (0..50).map(|_| rate.take(begin)).collect();
    let mut served = Vec::new();
    for tick in 0..1000 {
        let now = begin + Duration::from_millis(10 * tick);
        for &ticket in &tickets {
            if !served.contains(&ticket) && rate.wait(ticket, now).is_zero() {
                served.push(ticket);
                if tick % 7 == 3 {
                    rate.throttled(now, None);
                } else {
                    rate.succeeded(now);
                }
            }
        }
    }
    assert_eq!(served, tickets);
}

#[test]
fn refusals_of_one_second_cut_once() {
    let begin = Instant::now();
    let mut rate = Rate::new(RateSettings::starting_at(80.0));
    for call in 0..20 {
        rate.throttled(begin + Duration::from_millis(call * 40), None);
    }
    assert_eq!(rate.per_second(), 40.0);
    rate.throttled(begin + Duration::from_millis(1100), None);
    assert_eq!(
        rate.per_second(),
        20.0,
        "still refused a second later: halved again"
    );
}

#[test]
fn retry_after_holds_everybody_and_an_absurd_one_nobody() {
    let begin = Instant::now();
    let first_after = |seconds| {
        let mut rate = Rate::new(RateSettings::create());
        rate.throttled(begin, Some(Duration::from_secs(seconds)));
        let ticket = rate.take(begin);
        let ticket_after = rate.take(begin);
        let tick = |tick: u64| begin + Duration::from_millis(100 * tick);
        let first = (0..700).find(|&at| rate.wait(ticket, tick(at)).is_zero());
        let second = (0..700).find(|&at| rate.wait(ticket_after, tick(at)).is_zero());
        (first.expect("served"), second.expect("served"))
    };
    let (first, second) = first_after(3);
    assert!(first == 30 && second > 30, "{first} {second}");
    assert!(second <= 35, "{second}");
    assert!(first_after(3600).1 <= 5);
}

#[test]
fn a_limiter_that_nobody_waits_for_learns_nothing() {
    let begin = Instant::now();
    let mut rate = Rate::new(RateSettings::create());
    for second in 0..100 {
        let now = begin + second * SECOND;
        let ticket = rate.take(now);
        assert_eq!(rate.wait(ticket, now), Duration::ZERO);
        rate.succeeded(now);
    }
    assert_eq!(rate.per_second(), 5.0);
}
