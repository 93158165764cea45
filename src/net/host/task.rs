//! A connection's own task. In: the side of it that must be driven. Out: reports to the host: what
//! the peer allows, and the end, however it comes. Never: a byte.

use std::sync::Weak;

use tokio::time::Instant;

use super::super::connection::{ConnectionEvent, Driver};
use super::super::metrics::OpenCount;
use super::Host;

/// Drives the connection to its end; reports what the peer allows once that is known,
/// and lets the connection go when it was idle for too long.
pub(super) async fn run(mut driver: Driver, host: Weak<Host>, link: u64, _counted: OpenCount) {
    let ending = Ending { host, link };
    let mut look = Some(Instant::now());
    loop {
        let turn = driver.turn(look).await;
        let host = ending.host.upgrade();
        match turn {
            ConnectionEvent::Ended => break,
            ConnectionEvent::Settings { streams } => {
                if let Some(host) = host {
                    host.allows(link, streams);
                }
            }
            ConnectionEvent::Due => {
                let left = host.and_then(|host| host.close_if_idle(link));
                look = left.map(|left| Instant::now() + left);
            }
        }
    }
}

/// Reports the connection's end to the host, however it comes: a task that panics or is dropped is an
/// end too, and requests may be waiting for this connection to become free.
struct Ending {
    host: Weak<Host>,
    link: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(host) = self.host.upgrade() {
            host.ended(self.link);
        }
    }
}
