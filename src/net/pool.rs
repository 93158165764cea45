//! The pool. In: origins and requests. Out: replies, or errors that say whether the request can
//! have been carried out. Never: a second attempt that anybody could notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;

use super::attempt::{self, Defaults, Lost, Seen};
use super::connect::Connector;
use super::exchange::{Outgoing, Reply};
use super::lane::{Common, Lane};
use super::origin::Origin;
use super::roster::Rules;
use super::settings::{PoolSettings, ServerStats};
use super::sockets::Sockets;
use crate::error::{Delivery, Error, Kind, Operation, Result};
use crate::sync::{Mutex, MutexGuard};

/// Connections to every server, shared by all who send. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    common: Common,
    defaults: Defaults,
    lanes: Mutex<HashMap<Origin, Arc<Lane>>>,
}

impl Pool {
    /// A pool without connections; the first requests open them.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where `roots` holds no readable certificate, a limit is zero, or the user
    /// agent is no header value.
    pub fn new(settings: PoolSettings) -> Result<Pool> {
        let refuse = |why: &str| Error::new(Kind::Invalid, Operation::Configure, why);
        let streams = settings.streams_per_connection.unwrap_or(STREAMS);
        if settings.connections_per_server == Some(0) || settings.connections == 0 || streams == 0 {
            return Err(refuse("at least one connection and one stream are needed"));
        }
        let user_agent = HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| refuse("the user agent has characters that a header cannot carry"))?;
        Ok(Pool(Arc::new(Shared {
            common: Common {
                connector: Arc::new(Connector::new(&settings)?),
                sockets: Sockets::new(settings.connections),
                rules: Rules {
                    connections: settings.connections_per_server,
                    streams,
                    idle: settings.idle,
                },
                ping: settings.ping,
                lanes: Arc::default(),
            },
            defaults: Defaults {
                user_agent,
                timeouts: settings.timeouts,
            },
            lanes: Mutex::default(),
        })))
    }

    /// Sends one request and reads its reply to the end, on the least busy connection to `origin`.
    ///
    /// A request that its server did not look at, because the connection was already closing, is
    /// sent once more without a word. Dropping the future gives everything back: the place in the
    /// queue, the stream (HTTP/2) or the connection (HTTP/1.1). Needs a tokio runtime with time
    /// and I/O.
    ///
    /// # Errors
    /// [`Kind::Transport`] when no reply came, [`Kind::Protocol`] when it could not be read;
    /// `delivered()` is `Unknown` only if the last byte of the body had been handed over.
    pub async fn send(&self, origin: &Origin, outgoing: Outgoing) -> Result<Reply> {
        let lane = self.0.lane(origin);
        let mut silent = 0;
        loop {
            let lease = lane.lease(outgoing.version).await;
            let lease =
                lease.map_err(|failure| failure.of(outgoing.operation, Delivery::NotDone))?;
            let lost = match attempt::exchange(lease, origin, &outgoing, &self.0.defaults).await {
                Ok(reply) => {
                    lane.tally().answered(reply.version);
                    return Ok(Reply {
                        offers_h2: lane.offers_h2(),
                        ..reply
                    });
                }
                Err(lost) => lost,
            };
            let Lost {
                failure,
                seen,
                delivery,
            } = lost;
            if seen == Seen::Maybe || silent == SILENT_REPEATS {
                return Err(failure.of(outgoing.operation, delivery));
            }
            silent += 1;
            if seen == Seen::ConnectionWasDead {
                lane.drop_idle();
            }
        }
    }

    /// A round trip to `origin`, as far as the handshakes of its connections tell: the shortest, which
    /// neither a name lookup nor a busy moment made longer. `None` before the first.
    #[must_use]
    pub fn round_trip(&self, origin: &Origin) -> Option<Duration> {
        let lanes = self.0.lanes();
        lanes.get(origin)?.tally().round_trip()
    }

    /// What was done so far, by server.
    #[must_use]
    pub fn stats(&self) -> Vec<(Origin, ServerStats)> {
        let lanes: Vec<_> = self.0.lanes().values().cloned().collect();
        let mut stats: Vec<_> = lanes
            .iter()
            .map(|lane| (lane.origin.clone(), lane.tally().stats()))
            .collect();
        stats.sort_by(|(left, _), (right, _)| left.cmp(right));
        stats
    }
}

impl Shared {
    fn lane(&self, origin: &Origin) -> Arc<Lane> {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.get(origin) {
            return Arc::clone(lane);
        }
        let lane = Lane::new(origin.clone(), self.common.clone());
        lanes.insert(origin.clone(), Arc::clone(&lane));
        lane
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Origin, Arc<Lane>>> {
        // The map is whole at every moment that could panic.
        self.lanes.lock()
    }
}

/// Streams on one HTTP/2 connection by default: few, so that one TCP connection and one
/// flow-control window are not the ceiling.
const STREAMS: usize = 4;

/// A server that refuses to look at a request this often is not just closing connections.
const SILENT_REPEATS: u32 = 5;
