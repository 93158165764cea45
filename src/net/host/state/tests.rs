//! Host states without sockets: what is asked, and what is done about it.

use super::*;

const IDLE: Duration = Duration::from_secs(30);

fn state(connections: Option<usize>) -> HostState {
    let mut state = calls(connections);
    state.carries_bodies(None);
    state
}

/// A server that gets no bodies.
fn calls(connections: Option<usize>) -> HostState {
    HostState::new(
        HostLimits {
            connections,
            streams: 4,
            calls: 100,
            idle: IDLE,
        },
        None,
    )
}

fn dials(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|action| matches!(action, Action::Dial(_)))
        .count()
}

fn granted(actions: &[Action]) -> Vec<(u64, u64)> {
    actions
        .iter()
        .filter_map(|action| match *action {
            Action::Grant { waiter, link } => Some((waiter, link)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_maximum_is_kept_and_the_queue_is_first_come_first_served() {
    let (mut state, now) = (state(Some(2)), Instant::now());
    let waiters: Vec<u64> = (0..5).map(|_| state.join(Preference::H1)).collect();
    assert_eq!(
        state.settle(now),
        [Action::Dial(Alpn::H1), Action::Dial(Alpn::H1)]
    );
    let first = state.opened(Alpn::H1, Version::H1, now);
    assert_eq!(granted(&state.settle(now)), [(waiters[0], first)]);
    let second = state.opened(Alpn::H1, Version::H1, now);
    assert_eq!(
        state.settle(now),
        [Action::Grant {
            waiter: waiters[1],
            link: second
        }]
    );
    state.leave(waiters[2]);
    state.released(first, Reuse::Keep, now);
    assert_eq!(
        state.settle(now),
        [Action::Grant {
            waiter: waiters[3],
            link: first
        }]
    );
    state.released(first, Reuse::Close, now);
    assert_eq!(state.settle(now), [Action::Dial(Alpn::H1)]);
}

#[test]
fn streams_go_to_the_least_busy_connection() {
    let (mut state, now) = (state(Some(2)), Instant::now());
    let links = [0, 1].map(|_| {
        state.join(Preference::H2);
        state.settle(now);
        let link = state.opened(Alpn::Both, Version::H2, now);
        state.settle(now);
        link
    });
    for link in links {
        state.allows(link, 100);
    }
    for _ in 0..6 {
        state.join(Preference::Auto);
    }
    let busy = |actions: &[Action], link| {
        granted(actions)
            .iter()
            .filter(|grant| grant.1 == link)
            .count()
    };
    let actions = state.settle(now);
    assert_eq!(
        (
            busy(&actions, links[0]),
            busy(&actions, links[1]),
            actions.len()
        ),
        (3, 3, 6)
    );
    state.join(Preference::Auto);
    assert_eq!(
        state.settle(now),
        [],
        "four streams on each are the maximum"
    );
}

/// Sixty-four bodies want sixteen connections, more over a long path, as many calls a few.
#[test]
fn calls_share_connections_that_bodies_do_not() {
    let opened = |mut state: HostState| {
        let now = Instant::now();
        for _ in 0..64 {
            state.join(Preference::Auto);
        }
        let (mut opened, mut granted_to) = (0, 0);
        loop {
            let actions = state.settle(now);
            granted_to += granted(&actions).len();
            if dials(&actions) == 0 {
                return (opened, granted_to);
            }
            for _ in 0..dials(&actions) {
                let link = state.opened(Alpn::Both, Version::H2, now);
                state.allows(link, 100);
                opened += 1;
            }
        }
    };
    assert_eq!(opened(calls(None)), (SPREAD, 64));
    assert_eq!(opened(state(None)), (16, 64));
    let far = |millis, connections| {
        let mut far = calls(connections);
        far.carries_bodies(Some(Duration::from_millis(millis)));
        far
    };
    assert_eq!(opened(far(10, None)), (16, 64));
    assert_eq!(opened(far(130, None)), (26, 64));
    assert_eq!(opened(far(900, None)), (32, 64));
    assert_eq!(opened(far(900, Some(20))), (20, 64));
}

/// The first connection of several that is open does not get what the others were opened for.
#[test]
fn while_others_are_on_their_way_a_connection_takes_its_share() {
    let (mut state, now) = (state(None), Instant::now());
    for _ in 0..8 {
        state.join(Preference::H2);
    }
    assert_eq!(dials(&state.settle(now)), SPREAD);
    let mut given = Vec::new();
    for coming in (0..SPREAD).rev() {
        let link = state.opened(Alpn::Both, Version::H2, now);
        state.allows(link, 100);
        let actions = state.settle(now);
        given.push(granted(&actions).len());
        assert_eq!(state.dials.len(), coming);
    }
    assert_eq!(given, [2, 2, 2, 2]);
    // Nor do requests wait for a connection that does not come.
    state.join(Preference::H2);
    state.join(Preference::H2);
    assert_eq!(granted(&state.settle(now)).len(), 2);
}

/// What the others were opened for goes to the first where they fail.
#[test]
fn the_share_of_a_connection_that_fails_is_the_others() {
    let (mut state, now) = (state(None), Instant::now());
    for _ in 0..8 {
        state.join(Preference::H2);
    }
    state.settle(now);
    let link = state.opened(Alpn::Both, Version::H2, now);
    state.allows(link, 100);
    assert_eq!(granted(&state.settle(now)).len(), 2);
    for _ in 1..SPREAD {
        assert_eq!(state.dial_failed(Alpn::Both, now), [0; 0]);
    }
    assert_eq!(granted(&state.settle(now)).len(), 2, "up to four streams");
}

/// Sixty-four calls at once need a connection for a moment each.
#[test]
fn a_burst_does_not_open_a_connection_for_each_request() {
    let (mut state, now) = (state(None), Instant::now());
    for _ in 0..64 {
        state.join(Preference::H1);
    }
    assert_eq!(dials(&state.settle(now)), SPREAD);
    let links: Vec<u64> = (0..SPREAD)
        .map(|_| state.opened(Alpn::H1, Version::H1, now))
        .collect();
    let actions = state.settle(now);
    assert_eq!((granted(&actions).len(), dials(&actions)), (SPREAD, SPREAD));
    for link in links {
        state.released(link, Reuse::Keep, now);
    }
    let actions = state.settle(now);
    assert_eq!((granted(&actions).len(), dials(&actions)), (SPREAD, 0));
    for _ in 0..SPREAD {
        state.opened(Alpn::H1, Version::H1, now);
    }
    let actions = state.settle(now);
    assert_eq!(dials(&actions), 2 * SPREAD, "twice as many each time");
}

#[test]
fn one_dial_is_not_made_for_each_stream() {
    let (mut state, now) = (state(None), Instant::now());
    for _ in 0..16 {
        state.join(Preference::H2);
    }
    assert_eq!(dials(&state.settle(now)), SPREAD);
    let links: Vec<u64> = (0..SPREAD)
        .map(|_| state.opened(Alpn::Both, Version::H2, now))
        .collect();
    let actions = state.settle(now);
    assert_eq!(
        (granted(&actions).len(), dials(&actions)),
        (4, 0),
        "their settings may allow the rest"
    );
    state.allows(links[0], 100);
    assert_eq!(granted(&state.settle(now)).len(), 3);
    for &link in &links[1..] {
        state.allows(link, 1);
    }
    assert_eq!(
        dials(&state.settle(now)),
        3,
        "nine wait, and each connection may carry four"
    );
}

#[test]
fn a_failed_dial_fails_no_request_while_another_connection_serves() {
    let (mut state, now) = (state(None), Instant::now());
    let waiters: Vec<u64> = (0..3).map(|_| state.join(Preference::H1)).collect();
    assert_eq!(dials(&state.settle(now)), 3);
    let link = state.opened(Alpn::H1, Version::H1, now);
    state.settle(now);
    assert_eq!(state.dial_failed(Alpn::H1, now), [0; 0]);
    assert_eq!(state.dial_failed(Alpn::H1, now), [0; 0]);
    assert_eq!(
        state.settle(now),
        [],
        "the server has its own maximum, which is one"
    );
    assert_eq!(dials(&state.settle(now + CEILING_HOLDS)), 2);
    state.released(link, Reuse::Close, now);
    assert_eq!(state.dial_failed(Alpn::H1, now), waiters[1..]);
    assert_eq!(state.dial_failed(Alpn::H1, now), [0; 0]);
}

/// Over a distance dials end one by one, each followed by another: there is always one on its way.
#[test]
fn a_dead_server_is_told_of_although_another_dial_is_always_on_its_way() {
    let (mut state, now) = (state(None), Instant::now());
    let waiters: Vec<u64> = (0..4).map(|_| state.join(Preference::H1)).collect();
    assert_eq!(dials(&state.settle(now)), 4);
    assert_eq!(state.dial_failed(Alpn::H1, now), waiters[..1]);
    let late = state.join(Preference::H1);
    assert_eq!(dials(&state.settle(now)), 1);
    assert_eq!(state.dial_failed(Alpn::H1, now), waiters[1..]);
    assert_eq!(state.dial_failed(Alpn::H1, now), [0; 0], "its own comes");
    assert_eq!(state.dial_failed(Alpn::H1, now), [0; 0]);
    assert_eq!(state.dial_failed(Alpn::H1, now), [late]);
}

#[test]
fn one_dial_that_fails_among_others_costs_one_request() {
    let (mut state, now) = (state(None), Instant::now());
    let waiters: Vec<u64> = (0..8).map(|_| state.join(Preference::H2)).collect();
    assert_eq!(dials(&state.settle(now)), SPREAD);
    assert_eq!(state.dial_failed(Alpn::Both, now), waiters[..1]);
    state.opened(Alpn::Both, Version::H2, now);
    assert_eq!(state.dial_failed(Alpn::Both, now), [0; 0]);
}

#[test]
fn an_unused_connection_of_the_other_version_gives_way() {
    let (mut state, now) = (state(Some(1)), Instant::now());
    state.join(Preference::H2);
    state.settle(now);
    let link = state.opened(Alpn::Both, Version::H2, now);
    state.settle(now);
    state.join(Preference::H1);
    assert_eq!(state.settle(now), []);
    state.released(link, Reuse::Keep, now);
    assert_eq!(
        state.settle(now),
        [Action::Close(link), Action::Dial(Alpn::H1)]
    );
}

#[test]
fn a_connection_that_is_going_away_finishes_and_counts_until_then() {
    let (mut state, now) = (state(Some(1)), Instant::now());
    state.join(Preference::Auto);
    state.settle(now);
    let link = state.opened(Alpn::Both, Version::H2, now);
    state.settle(now);
    state.ended(link);
    state.join(Preference::Auto);
    assert_eq!(state.settle(now), []);
    state.released(link, Reuse::Keep, now);
    assert_eq!(state.settle(now), [Action::Dial(Alpn::Both)]);
}

#[test]
fn only_unused_time_counts_as_idle() {
    let (mut state, now) = (state(None), Instant::now());
    state.join(Preference::Auto);
    state.settle(now);
    let link = state.opened(Alpn::Both, Version::H1, now);
    assert_eq!(state.idle_left(link, now + IDLE / 3), Some(IDLE * 2 / 3));
    state.settle(now);
    assert_eq!(state.idle_left(link, now + IDLE * 2), Some(IDLE));
    state.released(link, Reuse::Keep, now + IDLE * 2);
    assert_eq!(state.idle_left(link, now + IDLE * 3), Some(Duration::ZERO));
    assert_eq!(state.idle_left(link + 1, now), None);
}

#[test]
fn without_sockets_the_last_dial_goes_on_and_the_others_end_quietly() {
    let (mut state, now) = (state(None), Instant::now());
    let waiters = [0, 1, 2].map(|_| state.join(Preference::H1));
    assert_eq!(dials(&state.settle(now)), 3);
    assert!(!state.starves(Alpn::H1, now), "two more are on their way");
    assert!(!state.starves(Alpn::H1, now));
    assert_eq!(state.settle(now), [], "no new ones for a while");
    assert!(
        state.starves(Alpn::H1, now),
        "nothing else comes for those who wait"
    );
    let link = state.opened(Alpn::H1, Version::H1, now);
    assert_eq!(granted(&state.settle(now)), [(waiters[0], link)]);
    let later = now + CEILING_HOLDS;
    assert_eq!(dials(&state.settle(later)), 2);
    assert!(!state.starves(Alpn::H1, later) && !state.starves(Alpn::H1, later));
    state.released(link, Reuse::Keep, later);
    assert_eq!(
        granted(&state.settle(later)),
        [(waiters[1], link)],
        "they do with one"
    );
    state.released(link, Reuse::Close, later);
    assert_eq!(dials(&state.settle(later)), 1, "and none is too few");
}

#[test]
fn a_connection_of_the_wrong_version_is_no_reason_to_stop() {
    let (mut state, now) = (state(None), Instant::now());
    state.join(Preference::H2);
    state.settle(now);
    state.opened(Alpn::Both, Version::H2, now);
    state.settle(now);
    let waiter = state.join(Preference::H1);
    assert_eq!(dials(&state.settle(now)), 1);
    assert!(state.starves(Alpn::H1, now));
    state.leave(waiter);
    assert!(!state.starves(Alpn::H1, now), "no request waits for it");
}

#[test]
fn where_http_1_1_is_required_h2_takes_nothing_new_however_late_it_comes() {
    let (mut state, now) = (state(Some(4)), Instant::now());
    let first = state.join(Preference::H2);
    state.join(Preference::H2);
    assert_eq!(dials(&state.settle(now)), 2);
    let h2 = state.opened(Alpn::Both, Version::H2, now);
    assert_eq!(granted(&state.settle(now)), [(first, h2)]);
    assert_eq!(state.require_h1(), [h2]);
    assert_eq!(state.offers_h2(), Some(false));
    // The other dial was on its way, and comes out as HTTP/2.
    let late = state.opened(Alpn::Both, Version::H2, now);
    assert_eq!(state.offers_h2(), Some(false));
    for preference in [Preference::Auto, Preference::H1] {
        state.join(preference);
    }
    let actions = state.settle(now);
    assert_eq!(granted(&actions), []);
    assert!(actions.contains(&Action::Dial(Alpn::H1)), "{actions:?}");
    state.released(h2, Reuse::Keep, now);
    state.ended(late);
    let h1 = state.opened(Alpn::H1, Version::H1, now);
    let served = granted(&state.settle(now));
    assert!(!served.is_empty() && served.iter().all(|(_, link)| *link == h1));
}
