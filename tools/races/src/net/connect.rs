//! Dialling. In: what may be offered. Out: a stream or a failure, some time later, as the server has
//! it. Never: a socket.

use std::sync::Arc;

use super::fault::Failure;
use super::origin::Origin;
use super::server::Server;
use super::stream::Stream;

/// Whether TLS offers HTTP/2 beside HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    /// HTTP/1.1 alone.
    H1,
    /// Both; the server prefers.
    Both,
}

/// Opens connections to the server of the scene.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Arc<Server>);

impl Connector {
    /// There is none.
    pub(super) fn proxy(&self, _origin: &Origin) -> Option<String> {
        None
    }

    pub(super) async fn connect(&self, _origin: &Origin, alpn: Alpn) -> Result<Stream, Failure> {
        self.0.dialled(alpn).await.ok_or(Failure)
    }
}
