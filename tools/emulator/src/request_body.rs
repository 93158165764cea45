//! The body of a request, frame by frame. In comes hyper's stream, out go its bytes, counted;
//! the gateway's deadline and a fault that stalls reading act here and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crate::call_log::BytesRead;
use crate::reply::{Failure, Refusal};

/// A body that is being read.
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// What its head promised.
    pub(crate) length: Option<u64>,
    read: BytesRead,
    deadline: Option<Instant>,
    stall: Option<(u64, Duration)>,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, read: BytesRead) -> Self {
        let length = incoming.size_hint().exact();
        Self {
            incoming,
            length,
            read,
            deadline: None,
            stall: None,
            ended: false,
        }
    }

    pub(crate) fn expect_within(&mut self, patience: Duration) {
        self.deadline = Some(Instant::now() + patience);
    }

    pub(crate) fn stall(&mut self, after: u64, pause: Duration) {
        self.stall = Some((after, pause));
    }

    /// The next bytes; none at the end.
    pub(crate) async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let deadline = self.deadline;
        let read = self.read_frame();
        let frame = match deadline {
            None => read.await?,
            Some(at) => tokio::time::timeout_at(at, read)
                .await
                .map_err(|_| Failure::Late)??,
        };
        self.ended = frame.is_none();
        Ok(frame)
    }

    async fn read_frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let reached = |after| self.read.bytes() >= after;
        if let Some((_, pause)) = self.stall.take_if(|(after, _)| reached(*after)) {
            tokio::time::sleep(pause).await;
        }
        loop {
            match self.incoming.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(Failure::Lost),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.read.add(bytes.len() as u64);
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Reads what is left and forgets it.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure> {
        while self.frame().await?.is_some() {}
        Ok(())
    }

    /// Reads until `bytes` were read in all, or to the end.
    pub(crate) async fn drain_to(&mut self, bytes: u64) -> Result<(), Failure> {
        while self.read.bytes() < bytes {
            if self.frame().await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The whole of a body that should be small.
    pub(crate) async fn small(&mut self) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.frame().await? {
            if whole.len() + bytes.len() > SMALL {
                return Err(Refusal::business("the body is too large").into());
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

/// Far above the longest path with every character escaped.
const SMALL: usize = 1 << 20;
