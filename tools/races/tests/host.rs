//! The pool's host. In: rushes of requests of several kinds. Out: that each ends as it should, on
//! whatever schedule. Never: a look inside; the server's book and the host's own words are all there is.

use races::chance::{one_of, play};
use races::net::{Preference, Rush, Speaks};

const BUSY: Rush = Rush {
    speaks: Speaks::H1,
    preferences: &[Preference::Auto],
    connections: Some(2),
    streams: 2,
    refusals: 6,
    requests: 4,
};

#[test]
fn a_connection_of_http1_is_lent_to_one_at_a_time() {
    play(|| BUSY.play(), SCHEDULES);
}

#[test]
fn a_connection_of_http2_is_lent_up_to_its_streams() {
    let rush = Rush {
        speaks: Speaks::H2,
        preferences: &[Preference::Auto, Preference::H2],
        requests: 5,
        ..BUSY
    };
    play(move || rush.play(), SCHEDULES);
}

#[test]
fn versions_give_way_to_each_other_at_the_maximum() {
    let rush = Rush {
        preferences: &[Preference::Auto, Preference::H1, Preference::H2],
        ..BUSY
    };
    play(
        move || {
            Rush {
                speaks: one_of(&[Speaks::H1, Speaks::H2, Speaks::Either]),
                connections: one_of(&[Some(1), Some(2), None]),
                ..rush
            }
            .play();
        },
        SCHEDULES,
    );
}

#[test]
fn a_server_that_refuses_most_dials_is_told_of_or_waited_for() {
    play(
        || {
            Rush {
                refusals: one_of(&[1, 2]),
                speaks: one_of(&[Speaks::H1, Speaks::Either]),
                preferences: &[Preference::Auto, Preference::H1, Preference::H2],
                connections: one_of(&[Some(1), Some(3), None]),
                ..BUSY
            }
            .play();
        },
        SCHEDULES,
    );
}

/// Of each scene.
const SCHEDULES: usize = 40_000;
