//! A request's body. In: `Bytes` views, small and large. Out: chunks of them in order, their total
//! known exactly beforehand, each counted as it is handed over and again as it leaves. Never: a
//! copy, a byte more or less.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use crate::source::touched;
use crate::sync::Mutex;

/// The parts of a request body. Cloning is cheap and shares the bytes.
#[derive(Debug, Clone, Default)]
pub struct Body {
    parts: Arc<[Bytes]>,
    sent: Option<Arc<AtomicU64>>,
    throttle: Option<Throttle>,
}

/// Asked before each chunk with its length in bytes; answers how long to wait before it is sent.
#[derive(Clone)]
pub struct Throttle(Arc<dyn Fn(u64) -> Duration + Send + Sync>);

impl Throttle {
    /// A throttle set by `reserve`: bytes wanted to time to wait. It is called once for each chunk,
    /// also by bodies that are dropped before the chunk is sent.
    pub fn new(reserve: impl Fn(u64) -> Duration + Send + Sync + 'static) -> Self {
        Throttle(Arc::new(reserve))
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Throttle")
    }
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Body::default()
    }

    /// `parts` one after the other; empty ones are left out.
    pub fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Body {
            parts,
            sent: None,
            throttle: None,
        }
    }

    /// Adds every byte that is handed to a connection to `counter`, repeated ones again.
    #[must_use]
    pub fn counted(mut self, counter: Arc<AtomicU64>) -> Self {
        self.sent = Some(counter);
        self
    }

    /// Hands bytes over no faster than `throttle` allows, in chunks of 16 KiB.
    #[must_use]
    pub fn throttled(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// The exact length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The body as hyper reads it, in chunks of at most `chunk` bytes, and how far
    /// it has come.
    pub(super) fn stream(&self, chunk: usize) -> (BodyStream, Arc<BodyProgress>) {
        let progress = Arc::new(BodyProgress {
            total: self.len(),
            ..BodyProgress::default()
        });
        let stream = BodyStream {
            body: self.clone(),
            progress: Arc::clone(&progress),
            chunk: if self.throttle.is_some() {
                THROTTLED_CHUNK.min(chunk)
            } else {
                chunk
            },
            part: 0,
            offset: 0,
            wait: Wait::NotAsked,
            waited: false,
        };
        (stream, progress)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::new([bytes])
    }
}

/// How far one attempt's body has come; shared between the connection that takes it and the
/// sender that watches.
#[derive(Debug, Default)]
pub(super) struct BodyProgress {
    total: u64,
    handed: AtomicU64,
    written: AtomicU64,
    held: AtomicBool,
    abandoned: AtomicBool,
    /// The body that waits for the chunk before to be written.
    waits: Mutex<Option<Waker>>,
}

impl BodyProgress {
    /// Bytes that hyper took.
    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    /// Bytes of this very body that passed every window of flow control and were written: to the
    /// socket, or to TLS, which holds 64 KiB at most. Whatever else the connection writes (its
    /// pings, acknowledgements, other streams) is not among them.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the last byte was written. An empty body counts as written.
    pub(super) fn is_written(&self) -> bool {
        self.written() == self.total
    }

    /// Ends the body at its next chunk: the rest is not needed. HTTP/2 then resets the stream.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// Whether the body waits for its own throttle, so that silence is no stall.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }
}

/// A [`Body`] on its way.
#[derive(Debug)]
pub(super) struct BodyStream {
    body: Body,
    progress: Arc<BodyProgress>,
    chunk: usize,
    part: usize,
    offset: usize,
    wait: Wait,
    /// The throttle made the last chunk wait.
    waited: bool,
}

/// The reply is there, and the rest of the body is not worth sending.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the request is not needed any more")]
pub(super) struct Abandoned;

/// The throttle's answer for the next chunk.
#[derive(Debug)]
enum Wait {
    NotAsked,
    Until(Pin<Box<Sleep>>),
}

impl BodyStream {
    fn next_len(&self) -> Option<usize> {
        let part = self.body.parts.get(self.part)?;
        Some((part.len() - self.offset).min(self.chunk))
    }

    /// Where the throttle holds it, waits until the chunk before has been written: what lies in a connection's buffers
    /// has had its time, and would leave as a burst later on. A connection of HTTP/1.1 takes 16 chunks.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let progress = &self.progress;
        let is_left = || progress.handed() - progress.written() >= THROTTLED_CHUNK as u64;
        if !self.waited || !is_left() {
            return Poll::Ready(());
        }
        *progress.waits.lock() = Some(cx.waker().clone());
        // It may have been written meanwhile.
        if is_left() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Waits for the throttle, once for each chunk.
    fn poll_throttle(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<()> {
        let Some(throttle) = &self.body.throttle else {
            return Poll::Ready(());
        };
        if let Wait::NotAsked = self.wait {
            let delay = throttle.0(len as u64);
            self.waited = !delay.is_zero();
            if delay.is_zero() {
                return Poll::Ready(());
            }
            self.wait = Wait::Until(Box::pin(tokio::time::sleep(delay)));
            self.progress.held.store(true, Ordering::Release);
        }
        if let Wait::Until(sleep) = &mut self.wait {
            ready!(sleep.as_mut().poll(cx));
        }
        self.wait = Wait::NotAsked;
        self.progress.held.store(false, Ordering::Release);
        Poll::Ready(())
    }

    fn take(&mut self, len: usize) -> Chunk {
        let part = &self.body.parts[self.part];
        let chunk = Chunk {
            bytes: part.slice(self.offset..self.offset + len),
            progress: Arc::clone(&self.progress),
        };
        self.offset += len;
        if self.offset == part.len() {
            (self.part, self.offset) = (self.part + 1, 0);
        }
        self.progress.handed.fetch_add(len as u64, Ordering::AcqRel);
        if let Some(sent) = &self.body.sent {
            sent.fetch_add(len as u64, Ordering::Relaxed);
        }
        chunk
    }
}

/// A part of a body on its way through the connection: each byte counts as it is written, which on
/// HTTP/2 is after it passed the peer's windows.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Bytes,
    progress: Arc<BodyProgress>,
}

impl Chunk {
    fn note(&self, written: usize) {
        self.progress
            .written
            .fetch_add(written as u64, Ordering::AcqRel);
        if let Some(waits) = self.progress.waits.lock().take() {
            waits.wake();
        }
        touched(written as u64);
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.note(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let bytes = self.bytes.copy_to_bytes(len);
        self.note(len);
        bytes
    }
}

impl HttpBody for BodyStream {
    type Data = Chunk;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Self::Error>>> {
        if self.progress.abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Abandoned)));
        }
        let Some(len) = self.next_len() else {
            return Poll::Ready(None);
        };
        ready!(self.poll_written(cx));
        ready!(self.poll_throttle(cx, len));
        Poll::Ready(Some(Ok(Frame::data(self.take(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.part == self.body.parts.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.progress.total - self.progress.handed())
    }
}

/// A throttled body waits between chunks of this many bytes: 16 KiB at 100 kB/s is six steps a second,
/// smooth on a progress bar, and still one TLS record each.
const THROTTLED_CHUNK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn chunks(mut stream: BodyStream) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        while let Some(frame) = stream.frame().await {
            let chunk = frame.expect("not abandoned").into_data();
            let mut chunk = chunk.expect("data only");
            chunks.push(chunk.copy_to_bytes(chunk.remaining()).to_vec());
        }
        chunks
    }

    fn three_parts() -> Body {
        Body::new(
            ["head", "", "0123456789", "tail"].map(|part| Bytes::from_static(part.as_bytes())),
        )
    }

    #[tokio::test]
    async fn parts_come_in_order_and_are_cut_without_crossing() {
        let (stream, progress) = three_parts().stream(4);
        assert_eq!(stream.size_hint().exact(), Some(18));
        let expected = [&b"head"[..], b"0123", b"4567", b"89", b"tail"];
        assert_eq!(chunks(stream).await, expected);
        assert_eq!(progress.handed(), 18);
    }

    #[tokio::test]
    async fn the_ledger_follows_each_chunk_and_the_counter_counts_repeats() {
        let counter = Arc::new(AtomicU64::new(0));
        let body = three_parts().counted(Arc::clone(&counter));
        let (mut stream, progress) = body.stream(8);
        let mut seen = vec![progress.handed()];
        while stream.frame().await.is_some() {
            seen.push(progress.handed());
            assert_eq!(progress.handed() == 18, stream.is_end_stream());
        }
        assert_eq!(seen, [0, 4, 12, 14, 18]);
        assert_eq!(chunks(body.stream(100).0).await.len(), 3);
        assert_eq!(counter.load(Ordering::Relaxed), 36);
    }

    #[tokio::test]
    async fn bytes_count_as_written_when_they_leave_and_not_when_they_are_taken() {
        let (mut stream, progress) = three_parts().stream(8);
        let mut taken = Vec::new();
        while let Some(frame) = stream.frame().await {
            let chunk = frame.expect("not abandoned").into_data();
            taken.push(chunk.expect("data only"));
        }
        assert_eq!((progress.handed(), progress.written()), (18, 0));
        taken[0].advance(3);
        assert_eq!(progress.written(), 3);
        assert_eq!(taken[1].copy_to_bytes(5), "01234");
        assert_eq!(progress.written(), 8);
        taken.remove(3);
        taken
            .drain(..)
            .for_each(|mut chunk| chunk.advance(chunk.remaining()));
        assert_eq!(
            (progress.written(), progress.is_written()),
            (14, false),
            "one was thrown away"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_delays_each_chunk() {
        let throttle = Throttle::new(Duration::from_millis);
        let body = Body::from(Bytes::from(vec![7; 40 << 10])).throttled(throttle);
        let start = tokio::time::Instant::now();
        let (stream, _) = body.stream(1 << 20);
        let sizes: Vec<usize> = chunks(stream).await.iter().map(Vec::len).collect();
        assert_eq!(sizes, [16 << 10, 16 << 10, 8 << 10]);
        assert_eq!(start.elapsed(), Duration::from_millis(40 << 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_held_runs_no_chunk_ahead_of_the_connection() {
        for (delay, ahead) in [(Duration::ZERO, 3), (Duration::from_millis(1), 1)] {
            let throttle = Throttle::new(move |_| delay);
            let body = Body::from(Bytes::from(vec![7; 48 << 10])).throttled(throttle);
            let (mut stream, _) = body.stream(1 << 20);
            let mut taken = Vec::new();
            let take = async {
                while let Some(frame) = stream.frame().await {
                    let chunk = frame.expect("not abandoned").into_data();
                    taken.push(chunk.expect("data only"));
                }
            };
            let all = tokio::time::timeout(Duration::from_secs(1), take).await;
            assert_eq!((all.is_ok(), taken.len()), (ahead == 3, ahead), "{delay:?}");
            let mut next = std::pin::pin!(stream.frame());
            let mut chunk = taken.pop().expect("one was taken");
            let goes_on = tokio::join!(
                tokio::time::timeout(Duration::from_secs(1), &mut next),
                async { chunk.advance(chunk.remaining()) }
            );
            assert!(goes_on.0.is_ok(), "it was written: {delay:?}");
        }
    }

    #[test]
    fn an_empty_body_is_complete_at_once() {
        let (stream, progress) = Body::empty().stream(1);
        assert!(stream.is_end_stream() && progress.is_written());
        assert_eq!(stream.size_hint().exact(), Some(0));
    }
}
