//! One request's right to a connection. In: a grant. Out: the means to send, and the right given
//! back at the end, however it comes. Never: a decision who is next.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use tokio::task::AbortHandle;

use super::super::body::BodyStream;
use super::super::connection::Sender;
use super::super::roster::Fate;
use super::super::stream::Meter;
use super::Lane;
use crate::http::Version;

/// One request's right to one connection. Dropped, it gives the right back.
#[derive(Debug)]
pub(in crate::net) struct Lease {
    lane: Arc<Lane>,
    link: u64,
    sender: Option<Sender>,
    meter: Arc<Meter>,
    task: AbortHandle,
    idle_for: Option<Duration>,
    fate: Fate,
}

impl Lease {
    /// The right to connection `link` of `lane`, unused for `idle_for` if ever used.
    pub(super) fn new(
        (lane, link): (Arc<Lane>, u64),
        sender: Sender,
        (meter, task): (Arc<Meter>, AbortHandle),
        idle_for: Option<Duration>,
    ) -> Self {
        Lease {
            lane,
            link,
            sender: Some(sender),
            meter,
            task,
            idle_for,
            fate: Fate::Keep,
        }
    }

    pub(in crate::net) fn sender(&mut self) -> &mut Sender {
        self.sender
            .as_mut()
            .expect("only dropping the lease takes the sender")
    }

    pub(in crate::net) fn version(&self) -> Version {
        match self.sender {
            Some(Sender::H2(_)) => Version::H2,
            _ => Version::H1,
        }
    }

    pub(in crate::net) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How long the connection was unused before; `None` for its first request.
    pub(in crate::net) fn idle_for(&self) -> Option<Duration> {
        self.idle_for
    }

    /// What becomes of the connection when the lease ends.
    pub(in crate::net) fn end_with(&mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let sender = self.sender.take();
        match (self.fate, sender) {
            (Fate::Keep, Some(Sender::H1(sender))) if !sender.is_ready() => {
                self.return_later(sender)
            }
            (fate, sender) => {
                if fate == Fate::Close {
                    self.task.abort();
                }
                self.lane.released(self.link, fate, sender);
            }
        }
    }
}

impl Lease {
    /// hyper is ready for the next request a moment after the last byte of a reply was read. Where it
    /// is not (the peer answers early and reads no further), the connection is given up: as long as
    /// this lease lives it counts as busy, and others wait for it.
    fn return_later(&self, sender: http1::SendRequest<BodyStream>) {
        let mut lease = Lease::new(
            (Arc::clone(&self.lane), self.link),
            Sender::H1(sender),
            (Arc::clone(&self.meter), self.task.clone()),
            self.idle_for,
        );
        lease.end_with(Fate::Close);
        self.lane.spawn(async move {
            let Sender::H1(sender) = lease.sender() else {
                return;
            };
            let ready = tokio::time::timeout(READY_WITHIN, sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                lease.end_with(Fate::Keep);
            }
        });
    }
}

/// hyper takes microseconds for it.
const READY_WITHIN: Duration = Duration::from_secs(1);
