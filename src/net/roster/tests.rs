//! Rosters without sockets: what is asked, and what is done about it.

use super::*;

const IDLE: Duration = Duration::from_secs(30);

fn roster(connections: Option<usize>) -> Roster {
    Roster::new(
        Rules {
            connections,
            streams: 4,
            idle: IDLE,
        },
        None,
    )
}

fn dials(acts: &[Act]) -> usize {
    acts.iter()
        .filter(|act| matches!(act, Act::Dial(_)))
        .count()
}

fn granted(acts: &[Act]) -> Vec<(u64, u64)> {
    acts.iter()
        .filter_map(|act| match *act {
            Act::Grant { waiter, link } => Some((waiter, link)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_maximum_is_kept_and_the_queue_is_first_come_first_served() {
    let (mut roster, now) = (roster(Some(2)), Instant::now());
    let waiters: Vec<u64> = (0..5).map(|_| roster.join(Preference::H1)).collect();
    assert_eq!(
        roster.settle(now),
        [Act::Dial(Offer::H1), Act::Dial(Offer::H1)]
    );
    let first = roster.opened(Offer::H1, Version::H1, now);
    assert_eq!(granted(&roster.settle(now)), [(waiters[0], first)]);
    let second = roster.opened(Offer::H1, Version::H1, now);
    assert_eq!(
        roster.settle(now),
        [Act::Grant {
            waiter: waiters[1],
            link: second
        }]
    );
    roster.leave(waiters[2]);
    roster.released(first, Fate::Keep, now);
    assert_eq!(
        roster.settle(now),
        [Act::Grant {
            waiter: waiters[3],
            link: first
        }]
    );
    roster.released(first, Fate::Close, now);
    assert_eq!(roster.settle(now), [Act::Dial(Offer::H1)]);
}

#[test]
fn streams_go_to_the_least_busy_connection() {
    let (mut roster, now) = (roster(Some(2)), Instant::now());
    let links = [0, 1].map(|_| {
        roster.join(Preference::H2);
        roster.settle(now);
        let link = roster.opened(Offer::Both, Version::H2, now);
        roster.settle(now);
        link
    });
    for link in links {
        roster.allows(link, 100);
    }
    for _ in 0..6 {
        roster.join(Preference::Auto);
    }
    let busy = |acts: &[Act], link| granted(acts).iter().filter(|grant| grant.1 == link).count();
    let acts = roster.settle(now);
    assert_eq!(
        (busy(&acts, links[0]), busy(&acts, links[1]), acts.len()),
        (3, 3, 6)
    );
    roster.join(Preference::Auto);
    assert_eq!(
        roster.settle(now),
        [],
        "four streams on each are the maximum"
    );
}

#[test]
fn one_dial_is_not_made_for_each_stream() {
    let (mut roster, now) = (roster(None), Instant::now());
    for _ in 0..16 {
        roster.join(Preference::H2);
    }
    assert_eq!(dials(&roster.settle(now)), SPREAD);
    let links: Vec<u64> = (0..SPREAD)
        .map(|_| roster.opened(Offer::Both, Version::H2, now))
        .collect();
    let acts = roster.settle(now);
    assert_eq!(
        (granted(&acts).len(), dials(&acts)),
        (4, 0),
        "their settings may allow the rest"
    );
    roster.allows(links[0], 100);
    assert_eq!(granted(&roster.settle(now)).len(), 3);
    for &link in &links[1..] {
        roster.allows(link, 1);
    }
    assert_eq!(
        dials(&roster.settle(now)),
        3,
        "nine wait, and each connection may carry four"
    );
}

#[test]
fn nobody_hears_of_a_failed_dial_while_another_connection_serves() {
    let (mut roster, now) = (roster(None), Instant::now());
    let waiters: Vec<u64> = (0..3).map(|_| roster.join(Preference::H1)).collect();
    assert_eq!(dials(&roster.settle(now)), 3);
    let link = roster.opened(Offer::H1, Version::H1, now);
    roster.settle(now);
    assert_eq!(roster.dial_failed(Offer::H1, now), [0; 0]);
    assert_eq!(roster.dial_failed(Offer::H1, now), [0; 0]);
    assert_eq!(
        roster.settle(now),
        [],
        "the server has its own maximum, which is one"
    );
    assert_eq!(dials(&roster.settle(now + CEILING_HOLDS)), 2);
    roster.released(link, Fate::Close, now);
    assert_eq!(roster.dial_failed(Offer::H1, now), waiters[1..]);
    assert_eq!(roster.dial_failed(Offer::H1, now), [0; 0]);
}

/// Over a distance dials end one by one, each followed by another: there is always one on its way.
#[test]
fn a_dead_server_is_told_of_although_another_dial_is_always_on_its_way() {
    let (mut roster, now) = (roster(None), Instant::now());
    let waiters: Vec<u64> = (0..4).map(|_| roster.join(Preference::H1)).collect();
    assert_eq!(dials(&roster.settle(now)), 4);
    assert_eq!(roster.dial_failed(Offer::H1, now), waiters[..1]);
    let late = roster.join(Preference::H1);
    assert_eq!(dials(&roster.settle(now)), 1);
    assert_eq!(roster.dial_failed(Offer::H1, now), waiters[1..]);
    assert_eq!(roster.dial_failed(Offer::H1, now), [0; 0], "its own comes");
    assert_eq!(roster.dial_failed(Offer::H1, now), [0; 0]);
    assert_eq!(roster.dial_failed(Offer::H1, now), [late]);
}

#[test]
fn one_dial_that_fails_among_others_costs_one_request() {
    let (mut roster, now) = (roster(None), Instant::now());
    let waiters: Vec<u64> = (0..8).map(|_| roster.join(Preference::H2)).collect();
    assert_eq!(dials(&roster.settle(now)), SPREAD);
    assert_eq!(roster.dial_failed(Offer::Both, now), waiters[..1]);
    roster.opened(Offer::Both, Version::H2, now);
    assert_eq!(roster.dial_failed(Offer::Both, now), [0; 0]);
}

#[test]
fn an_unused_connection_of_the_other_version_gives_way() {
    let (mut roster, now) = (roster(Some(1)), Instant::now());
    roster.join(Preference::H2);
    roster.settle(now);
    let link = roster.opened(Offer::Both, Version::H2, now);
    roster.settle(now);
    roster.join(Preference::H1);
    assert_eq!(roster.settle(now), []);
    roster.released(link, Fate::Keep, now);
    assert_eq!(roster.settle(now), [Act::Close(link), Act::Dial(Offer::H1)]);
}

#[test]
fn a_connection_that_is_going_away_finishes_and_counts_until_then() {
    let (mut roster, now) = (roster(Some(1)), Instant::now());
    roster.join(Preference::Auto);
    roster.settle(now);
    let link = roster.opened(Offer::Both, Version::H2, now);
    roster.settle(now);
    roster.ended(link);
    roster.join(Preference::Auto);
    assert_eq!(roster.settle(now), []);
    roster.released(link, Fate::Keep, now);
    assert_eq!(roster.settle(now), [Act::Dial(Offer::Both)]);
}

#[test]
fn only_unused_time_counts_as_idle() {
    let (mut roster, now) = (roster(None), Instant::now());
    roster.join(Preference::Auto);
    roster.settle(now);
    let link = roster.opened(Offer::Both, Version::H1, now);
    assert_eq!(roster.idle_left(link, now + IDLE / 3), Some(IDLE * 2 / 3));
    roster.settle(now);
    assert_eq!(roster.idle_left(link, now + IDLE * 2), Some(IDLE));
    roster.released(link, Fate::Keep, now + IDLE * 2);
    assert_eq!(roster.idle_left(link, now + IDLE * 3), Some(Duration::ZERO));
    assert_eq!(roster.idle_left(link + 1, now), None);
}

#[test]
fn without_sockets_the_last_dial_goes_on_and_the_others_end_quietly() {
    let (mut roster, now) = (roster(None), Instant::now());
    let waiters = [0, 1, 2].map(|_| roster.join(Preference::H1));
    assert_eq!(dials(&roster.settle(now)), 3);
    assert!(!roster.starves(Offer::H1, now), "two more are on their way");
    assert!(!roster.starves(Offer::H1, now));
    assert_eq!(roster.settle(now), [], "no new ones for a while");
    assert!(
        roster.starves(Offer::H1, now),
        "nothing else comes for those who wait"
    );
    let link = roster.opened(Offer::H1, Version::H1, now);
    assert_eq!(granted(&roster.settle(now)), [(waiters[0], link)]);
    let later = now + CEILING_HOLDS;
    assert_eq!(dials(&roster.settle(later)), 2);
    assert!(!roster.starves(Offer::H1, later) && !roster.starves(Offer::H1, later));
    roster.released(link, Fate::Keep, later);
    assert_eq!(
        granted(&roster.settle(later)),
        [(waiters[1], link)],
        "they do with one"
    );
    roster.released(link, Fate::Close, later);
    assert_eq!(dials(&roster.settle(later)), 1, "and none is too few");
}

#[test]
fn a_connection_of_the_wrong_version_is_no_reason_to_stop() {
    let (mut roster, now) = (roster(None), Instant::now());
    roster.join(Preference::H2);
    roster.settle(now);
    roster.opened(Offer::Both, Version::H2, now);
    roster.settle(now);
    let waiter = roster.join(Preference::H1);
    assert_eq!(dials(&roster.settle(now)), 1);
    assert!(roster.starves(Offer::H1, now));
    roster.leave(waiter);
    assert!(!roster.starves(Offer::H1, now), "nobody waits for it");
}
