//! What uploads have found of links.

use super::*;
use crate::policy::Found;

fn link(network: usize, permits: usize) -> Link {
    Link {
        network: format!("10.0.{network}.0/24"),
        server: "upload.test:443".to_owned(),
        found: Found {
            permits,
            bytes_per_second: u64::MAX >> 1,
        },
        loses: network.is_multiple_of(2),
    }
}

#[test]
fn a_link_is_known_to_later_runs_until_it_is_forgotten() {
    let (dir, journal) = scratch();
    assert_eq!(journal.links(), []);
    journal.keep_link(link(1, 8));
    journal.keep_link(link(2, 8));
    journal.keep_link(link(1, 24));
    journal.flush().unwrap();
    let another = Journal::open(dir.path()).unwrap();
    let known = another.links();
    assert_eq!(known.len(), 2);
    assert!(known.contains(&link(1, 24)) && known.contains(&link(2, 8)));
    let Link {
        network, server, ..
    } = link(1, 24);
    another.forget_link(&network, &server);
    another.flush().unwrap();
    assert_eq!(journal.links(), [link(2, 8)]);
    journal.forget(Forget::Everything).unwrap();
    assert_eq!(journal.links(), []);
}

#[test]
fn links_without_end_are_not_kept_and_a_garbled_one_is_not_there() {
    let (dir, journal) = scratch();
    for network in 0..200 {
        journal.keep_link(link(network, 8));
    }
    journal.flush().unwrap();
    assert_eq!(journal.links().len(), 64);
    raw(&dir)
        .execute(
            "UPDATE link SET permits = -1 WHERE network = (SELECT max(network) FROM link)",
            [],
        )
        .unwrap();
    raw(&dir)
        .execute(
            "UPDATE link SET rate = 'much' WHERE network = (SELECT min(network) FROM link)",
            [],
        )
        .unwrap();
    assert_eq!(journal.links().len(), 62);
    assert_eq!(journal.next_warning(), None);
}
