//! The socket under a connection. In: writes, large and small. Out: few system calls, and a count of the
//! bytes that the kernel took. Never: a copy of a byte, a write that is held back for ever, or more to
//! read than any answers have.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::congestion::{CongestionControl, SocketWatch};
use super::queueing::{QueueWatch, Queueing};

/// What one connection moved.
#[derive(Debug, Default)]
pub(super) struct ConnectionMeter {
    written: AtomicU64,
    /// Bytes that came.
    received: AtomicU64,
    /// Bytes that may come, besides a share of what was written.
    may_come: AtomicU64,
    settings_read: Notify,
}

impl ConnectionMeter {
    /// Bytes that the socket took, TLS and headers included.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// A request sets out: an answer to it may come.
    pub(super) fn expect_answer(&self) {
        let to = self.received.load(Ordering::Relaxed) + ANSWERS;
        self.may_come.fetch_max(to, Ordering::Relaxed);
    }

    /// What comes for what was written: acknowledgements and windows.
    fn share(&self) -> u64 {
        self.written() / WRITTEN_FOR_ONE
    }

    /// Sees that no more came than could be meant.
    fn came(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let received = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let most = self.may_come.load(Ordering::Relaxed).max(ANSWERS) + self.share();
        match received > most {
            true => Err(io::Error::other(
                "the server sends more than any answer has",
            )),
            false => Ok(()),
        }
    }

    /// The peer's settings have been read and acted on.
    pub(super) fn announce_settings(&self) {
        self.settings_read.notify_one();
    }

    /// Completes once the peer's first bytes have been read and acted on. Over HTTP/2 these are its
    /// settings, with the number of streams that it allows.
    pub(super) async fn settings_read(&self) {
        self.settings_read.notified().await;
    }
}

/// The socket itself: counts what it takes, and holds small writes back on demand.
#[derive(Debug)]
pub(super) struct CountingStream {
    socket: TokioIo<Received>,
    meter: Arc<ConnectionMeter>,
    total: Arc<AtomicU64>,
    writes: Writes,
}

/// What happens to a write that could become larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// It is done.
    Through,
    /// It waits for [`GATHERED`] bytes or a flush.
    Gathered,
}

impl CountingStream {
    pub(super) fn new(
        socket: TokioIo<TcpStream>,
        congestion: &Arc<CongestionControl>,
        queueing: Option<&Arc<Queueing>>,
    ) -> Self {
        let meter = Arc::<ConnectionMeter>::default();
        let socket = socket.into_inner();
        let received = Received {
            watch: congestion.watch(&socket),
            queue: queueing.and_then(|queueing| queueing.watch(&socket)),
            socket,
            meter: Arc::clone(&meter),
        };
        CountingStream {
            socket: TokioIo::new(received),
            meter,
            total: Arc::default(),
            writes: Writes::Through,
        }
    }

    /// From now on small writes wait to become larger, until [`CountingStream::write_through`].
    pub(super) fn gather(&mut self) {
        self.writes = Writes::Gathered;
    }

    /// From now on every write is done.
    pub(super) fn write_through(&mut self) {
        self.writes = Writes::Through;
    }

    /// What it moves.
    pub(super) fn meter(&self) -> Arc<ConnectionMeter> {
        Arc::clone(&self.meter)
    }

    /// Adds what was and is written to `total` as well.
    pub(super) fn count_into(&mut self, total: Arc<AtomicU64>) {
        total.fetch_add(self.meter.written(), Ordering::Relaxed);
        self.total = total;
    }

    fn counted(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Received {
            watch,
            queue,
            socket,
            ..
        } = self.socket.inner_mut();
        // A socket that takes nothing for a round trip is looked at as well: what it holds arrives meanwhile.
        if !matches!(written, Poll::Ready(Err(_)))
            && let Some(queue) = queue
        {
            queue.look(socket);
        }
        match &written {
            Poll::Ready(Ok(bytes)) => {
                watch.wrote(socket);
                let bytes = *bytes as u64;
                self.meter.written.fetch_add(bytes, Ordering::AcqRel);
                self.total.fetch_add(bytes, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => watch.waits(socket, context),
        }
        written
    }
}

/// The socket, with what it gives counted: floods of interim answers or empty frames would keep a
/// processor busy for as long as they last.
#[derive(Debug)]
struct Received {
    socket: TcpStream,
    meter: Arc<ConnectionMeter>,
    watch: SocketWatch,
    queue: Option<QueueWatch>,
}

impl Drop for Received {
    fn drop(&mut self) {
        self.watch.closes(&self.socket);
    }
}

impl AsyncRead for Received {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        let Received { socket, queue, .. } = &mut *self;
        // With the answer to a body the last of it has arrived.
        if let Some(queue) = queue {
            queue.look(socket);
        }
        Poll::Ready(self.meter.came(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Received {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Read for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl Write for CountingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.counted(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // No waker is kept: `Stream` lets writes through itself, and TLS takes "pending" as a reason to
        // buffer as long as it has room, which GATHERED stays below.
        if self.writes == Writes::Gathered && total(slices) < GATHERED {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.counted(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Connection for CountingStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

fn total(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

/// Records wait until there are this many bytes of them: three frames of 16 KiB, a third of the
/// system calls. It has to stay below the 64 KiB that rustls holds by default, or a held write would
/// never become large enough to be let through. More is worse: bytes that were just encrypted are in
/// the cache, and 256 KiB later they are not (measured earlier: 64 KiB with 128 KiB held cost 0.08 s/GiB
/// more than 48 KiB, 256 KiB with 512 KiB held 0.14).
///
/// What gathering gains, client CPU in s/GiB over TLS HTTP/2, four connections, `cargo bench --bench
/// net -- nothing`, medians of seven alternating runs: 0.60 instead of 0.72 with one stream on each,
/// 0.59 instead of 0.66 with four. HTTP/1.1 writes larger pieces and does not need it (0.54).
pub(super) const GATHERED: usize = 48 << 10;

/// What may come from the moment a request sets out: the answers of all streams of a connection, of
/// which one has 1 MiB at most, and what TLS and HTTP put around them.
const ANSWERS: u64 = 8 << 20;

/// So many bytes written bring one back, generously: HTTP/2 windows come as 13 bytes for some
/// thousand, in TLS records of their own.
const WRITTEN_FOR_ONE: u64 = 16;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::settings::Congestion;

    /// While an answer is waited for nothing is written, so that no look sees the last of a body arrive.
    #[tokio::test]
    async fn with_an_answer_the_last_of_a_body_is_seen_to_have_arrived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = TcpStream::connect(listener.local_addr().expect("bound")).await;
        let (mut peer, _) = listener.accept().await.expect("it came");
        let queueing = Arc::default();
        let control = CongestionControl::new(Congestion::Auto);
        let socket = TokioIo::new(socket.expect("it listens"));
        let mut stream = CountingStream::new(socket, &control, Some(&queueing));
        let received = stream.socket.inner_mut();
        for body in [&[][..], &[1; 10_000]] {
            received.write_all(body).await.expect("room");
            let mut read = vec![0; body.len()];
            peer.read_exact(&mut read).await.expect("it comes");
            // Looks are some time apart.
            tokio::time::sleep(Duration::from_millis(40)).await;
            peer.write_all(b"answer").await.expect("room");
            received.read_exact(&mut [0; 6]).await.expect("it comes");
        }
        assert!(queueing.link(Instant::now()).arrives > 0.0);
    }
}
