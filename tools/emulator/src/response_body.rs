//! The body of a response: whole, or truncated in the middle with the connection cut behind it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::connection::Connection;

/// An answer's body.
pub(crate) struct ResponseBody {
    /// What is still to be sent.
    bytes: Option<Bytes>,
    /// What its head promises.
    promised: u64,
    truncated: Option<Truncated>,
}

struct Truncated {
    connection: Arc<Connection>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            promised: bytes.len() as u64,
            bytes: (!bytes.is_empty()).then_some(bytes),
            truncated: None,
        }
    }

    /// The head promises all of `bytes`; half of them come, then the connection is cut.
    pub(crate) fn truncated(bytes: Bytes, connection: Arc<Connection>) -> Self {
        Self {
            promised: bytes.len() as u64,
            bytes: Some(bytes.slice(..bytes.len() / 2)),
            truncated: Some(Truncated {
                connection,
                wait: None,
            }),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(truncated) = &mut self.truncated else {
            return Poll::Ready(None);
        };
        let wait = truncated
            .wait
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(UNTIL_SENT)));
        ready!(wait.as_mut().poll(cx));
        truncated.connection.cut();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.truncated.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// Until the first half has left: the connection flushes as soon as its body makes it wait.
const UNTIL_SENT: Duration = Duration::from_millis(20);
