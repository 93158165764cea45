//! One request's right to a connection. In: a grant. Out: the means to send, and the right given
//! back at the end, however it comes. Never: a choice of the next request.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use tokio::task::AbortHandle;

use super::super::body::BodyStream;
use super::super::connection::Sender;
use super::super::stream::ConnectionMeter;
use super::Host;
use super::Reuse;
use crate::http::Version;

/// One request's right to one connection. Dropped, it gives the right back.
#[derive(Debug)]
pub(in crate::net) struct PooledConnection {
    host: Arc<Host>,
    link: u64,
    sender: Option<Sender>,
    meter: Arc<ConnectionMeter>,
    task: AbortHandle,
    idle_for: Option<Duration>,
    reuse: Reuse,
}

impl PooledConnection {
    /// The right to connection `link` of `host`, unused for `idle_for` if ever used.
    pub(super) fn new(
        (host, link): (Arc<Host>, u64),
        sender: Sender,
        (meter, task): (Arc<ConnectionMeter>, AbortHandle),
        idle_for: Option<Duration>,
    ) -> Self {
        PooledConnection {
            host,
            link,
            sender: Some(sender),
            meter,
            task,
            idle_for,
            reuse: Reuse::Keep,
        }
    }

    pub(in crate::net) fn sender(&mut self) -> &mut Sender {
        self.sender
            .as_mut()
            .expect("only dropping it takes the sender")
    }

    pub(in crate::net) fn version(&self) -> Version {
        match self.sender {
            Some(Sender::H2(_)) => Version::H2,
            _ => Version::H1,
        }
    }

    pub(in crate::net) fn meter(&self) -> &ConnectionMeter {
        &self.meter
    }

    /// How long the connection was unused before; `None` for its first request.
    pub(in crate::net) fn idle_for(&self) -> Option<Duration> {
        self.idle_for
    }

    /// What becomes of the connection when the right ends.
    pub(in crate::net) fn end_with(&mut self, reuse: Reuse) {
        self.reuse = reuse;
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let sender = self.sender.take();
        match (self.reuse, sender) {
            (Reuse::Keep, Some(Sender::H1(sender))) if !sender.is_ready() => {
                self.return_later(sender)
            }
            (reuse, sender) => {
                if reuse == Reuse::Close {
                    self.task.abort();
                }
                self.host.released(self.link, reuse, sender);
            }
        }
    }
}

impl PooledConnection {
    /// hyper is ready for the next request a moment after the last byte of a reply was read. Where it
    /// is not (the peer answers early and reads no further), the connection is given up: until then
    /// it counts as busy, and others wait for it.
    fn return_later(&self, sender: http1::SendRequest<BodyStream>) {
        let mut pooled = PooledConnection::new(
            (Arc::clone(&self.host), self.link),
            Sender::H1(sender),
            (Arc::clone(&self.meter), self.task.clone()),
            self.idle_for,
        );
        pooled.end_with(Reuse::Close);
        self.host.spawn(async move {
            let Sender::H1(sender) = pooled.sender() else {
                return;
            };
            let ready = tokio::time::timeout(READY_WITHIN, sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                pooled.end_with(Reuse::Keep);
            }
        });
    }
}

/// hyper takes microseconds for it.
const READY_WITHIN: Duration = Duration::from_secs(1);
