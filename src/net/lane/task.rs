//! A connection's own task. In: the side of it that must be driven. Out: the lane is told what the
//! peer allows, and the end, however it comes. Never: a byte.

use std::sync::Weak;

use tokio::time::Instant;

use super::super::connection::{Driver, Turn};
use super::super::tally::OpenCount;
use super::Lane;

/// Drives the connection to its end; tells the lane what the peer allows once that is known,
/// and lets the connection go when it was idle for too long.
pub(super) async fn run(mut driver: Driver, lane: Weak<Lane>, link: u64, _counted: OpenCount) {
    let ending = Ending { lane, link };
    let mut look = Some(Instant::now());
    loop {
        let turn = driver.turn(look).await;
        let lane = ending.lane.upgrade();
        match turn {
            Turn::Ended => break,
            Turn::Greeted { streams } => {
                if let Some(lane) = lane {
                    lane.allows(link, streams);
                }
            }
            Turn::Due => {
                let left = lane.and_then(|lane| lane.close_if_idle(link));
                look = left.map(|left| Instant::now() + left);
            }
        }
    }
}

/// Tells the lane of the connection's end, however it comes: a task that panics or is dropped is an
/// end too, and requests may be waiting for this connection to become free.
struct Ending {
    lane: Weak<Lane>,
    link: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.upgrade() {
            lane.ended(self.link);
        }
    }
}
