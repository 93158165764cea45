//! The byte stream under HTTP. In: the writes of an HTTP connection. Out: few, large system calls,
//! and a count of the bytes that the socket took. Never: a copy of a byte.
//!
//! HTTP/2 writes and flushes frame by frame, 16 KiB each. TLS makes a record of every frame and
//! hands it to the socket at once: 65,536 system calls for a GiB. So two layers conspire. The one
//! below TLS ([`Wire`]) says "not now" until TLS has [`GATHERED`] bytes of records together, which
//! then leave in one vectored write. The one above TLS ([`Stream`]) only notes a flush and wakes
//! the connection's task; that task begins each turn by reading, and before reading the noted
//! flush is done. Bytes so wait until the task has nothing more to write, never longer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::exchange::Version;

/// What one connection moved, for those who watch it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    written: AtomicU64,
    greeted: Notify,
}

impl Meter {
    /// Bytes that the socket took, TLS and headers included.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Completes once the peer's first words have been read and acted on. Over HTTP/2 these are
    /// its settings, with the number of streams that it allows.
    pub(super) async fn greeted(&self) {
        self.greeted.notified().await;
    }
}

/// The socket itself, counting, and holding small writes back where told.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TokioIo<TcpStream>,
    meter: Arc<Meter>,
    total: Arc<AtomicU64>,
    writes: Writes,
    backlog: Backlog,
}

/// What happens to a write that could become larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// It is done.
    Through,
    /// It waits for [`GATHERED`] bytes or a flush.
    Gathered,
}

impl Wire {
    pub(super) fn new(socket: TokioIo<TcpStream>) -> Self {
        Wire {
            socket,
            meter: Arc::default(),
            total: Arc::default(),
            writes: Writes::Through,
            backlog: Backlog::default(),
        }
    }

    fn counted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.backlog.note(self.socket.inner(), &written);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.meter
                .written
                .fetch_add(*bytes as u64, Ordering::AcqRel);
            self.total.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

/// Keeps the kernel from taking megabytes that it cannot send. Linux lets a socket hold 4 MiB, which a
/// connection that lost its pace needs many seconds for, and meanwhile everybody who watches (the
/// stall's clock, the gate, the twins) sees nothing move, or all at once. From the first slow MiB on
/// it holds no more than is on its way and [`UNSENT`]. Fast connections are left alone: there it would
/// be a tenth of the processor's time (`cargo bench --bench pipeline`, the table of versions).
#[derive(Debug, Default)]
enum Backlog {
    #[default]
    Idle,
    /// Bytes and the time waited for the socket since one was last judged.
    Watched {
        bytes: usize,
        waited: Duration,
        since: Option<Instant>,
    },
    /// It was slow once.
    Bounded,
}

impl Backlog {
    fn note(&mut self, socket: &TcpStream, written: &Poll<io::Result<usize>>) {
        let (mut bytes, mut waited, mut since) = match *self {
            Backlog::Bounded => return,
            Backlog::Idle => (0, Duration::ZERO, None),
            Backlog::Watched {
                bytes,
                waited,
                since,
            } => (bytes, waited, since),
        };
        match written {
            Poll::Pending => since = since.or_else(|| Some(Instant::now())),
            Poll::Ready(written) => {
                bytes += written.as_ref().copied().unwrap_or_default();
                waited += since
                    .take()
                    .map(|since| since.elapsed())
                    .unwrap_or_default();
            }
        }
        *self = if bytes < JUDGED {
            Backlog::Watched {
                bytes,
                waited,
                since,
            }
        } else if waited < SLOW {
            Backlog::Idle
        } else {
            bound(socket);
            Backlog::Bounded
        };
    }
}

/// Where it cannot be set, watching is coarser; nothing else depends on it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound(socket: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "a slow connection's backlog stays as it is");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound(_: &TcpStream) {}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // No waker is kept: `Stream` opens the gate itself, and TLS takes "pending" as a reason to
        // buffer as long as it has room, which GATHERED stays below.
        if self.writes == Writes::Gathered && total(slices) < GATHERED {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.counted(written)
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

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

fn total(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

/// What HTTP reads from and writes to.
pub(super) struct Stream {
    io: MaybeHttpsStream<Wire>,
    meter: Arc<Meter>,
    flush: Flush,
    greeting: Greeting,
}

/// What is owed to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// This connection flushes when told.
    AtOnce,
    /// Nothing. A flush must then wake nobody, or the task would turn for ever: HTTP/2 flushes
    /// at the end of every turn.
    Done,
    /// Something was written, and no flush asked for yet.
    Unasked,
    /// A flush, before the next read; the task was woken for it.
    Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Awaited,
    Heard,
    Announced,
}

impl Stream {
    pub(super) fn new(mut io: MaybeHttpsStream<Wire>) -> Self {
        let version = version(&io);
        let wire = wire(&mut io);
        let flush = match version {
            Version::H1 => Flush::AtOnce,
            Version::H2 => {
                wire.writes = Writes::Gathered;
                Flush::Done
            }
        };
        let meter = Arc::clone(&wire.meter);
        Stream {
            io,
            meter,
            flush,
            greeting: Greeting::Awaited,
        }
    }

    /// Adds what is and was written to `total` as well.
    pub(super) fn counted_into(mut self, total: Arc<AtomicU64>) -> Self {
        total.fetch_add(self.meter.written(), Ordering::Relaxed);
        wire(&mut self.io).total = total;
        self
    }

    /// The version that ALPN settled on.
    pub(super) fn version(&self) -> Version {
        version(&self.io)
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    fn flush_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        wire(&mut self.io).writes = Writes::Through;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        wire(&mut self.io).writes = Writes::Gathered;
        if flushed.is_ready() {
            self.flush = Flush::Done;
        }
        flushed
    }

    fn note_write(&mut self) {
        if self.flush == Flush::Done {
            self.flush = Flush::Unasked;
        }
    }

    /// A greeting counts as acted on when the task that reads came back for more and found none.
    fn note_greeting(&mut self, read: &Poll<io::Result<()>>) {
        self.greeting = match (self.greeting, read) {
            (Greeting::Awaited, Poll::Ready(Ok(()))) => Greeting::Heard,
            (Greeting::Heard, Poll::Pending) => {
                self.meter.greeted.notify_one();
                Greeting::Announced
            }
            (greeting, _) => greeting,
        };
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.flush, Flush::Unasked | Flush::Due)
            && let Poll::Ready(Err(error)) = self.flush_through(cx)
        {
            return Poll::Ready(Err(error));
        }
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.note_greeting(&read);
        read
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note_write();
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_write();
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.flush {
            Flush::AtOnce => return Pin::new(&mut self.io).poll_flush(cx),
            Flush::Due | Flush::Done => {}
            Flush::Unasked => {
                self.flush = Flush::Due;
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        wire(&mut self.io).writes = Writes::Through;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn version(io: &MaybeHttpsStream<Wire>) -> Version {
    if io.connected().is_negotiated_h2() {
        Version::H2
    } else {
        Version::H1
    }
}

fn wire(io: &mut MaybeHttpsStream<Wire>) -> &mut Wire {
    match io {
        MaybeHttpsStream::Http(wire) => wire,
        MaybeHttpsStream::Https(tls) => tls.inner_mut().get_mut().0.inner_mut(),
    }
}

/// Records wait until there are this many bytes of them: three frames of 16 KiB, a third of the
/// system calls. It has to stay below the 64 KiB that rustls holds by default, or a held write
/// would never become large enough to be let through. More is worse: bytes that were just
/// encrypted are in the cache, and 256 KiB later they are not. Client CPU in s/GiB over one
/// connection to four, `cargo bench --bench net`, least of four runs: without gathering 0.47, by
/// 48 KiB 0.45, by 64 KiB with 128 KiB held 0.53, by 256 KiB with 512 KiB held 0.59.
const GATHERED: usize = 48 << 10;

/// Bytes after which a connection's pace is judged, and the wait from which on it is slow: 4 MB/s.
const JUDGED: usize = 1 << 20;
const SLOW: Duration = Duration::from_millis(250);

/// What a slow connection's socket may hold besides what is on its way: two chunks.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use hyper::rt::ReadBuf;
    use tokio::io::AsyncReadExt as _;

    use super::super::connect::{Connector, Offer};
    use super::super::pool::{PoolSettings, Proxies, SystemRoots};
    use super::super::tests::{https, server};
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A stream to a TLS server that reads `expected` bytes and answers with how many there were.
    async fn stream(protocol: &'static str, expected: usize) -> Stream {
        let (listener, port) = server::listener().await;
        tokio::spawn(async move {
            let stream = listener.accept().await.expect("bound").0;
            let mut stream = server::acceptor(&[protocol])
                .accept(stream)
                .await
                .expect("TLS");
            let mut bytes = vec![0; expected];
            stream.read_exact(&mut bytes).await.expect("all of it");
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"!")
                .await
                .expect("the client reads");
        });
        let connector = Connector::new(&PoolSettings {
            system_roots: SystemRoots::Ignored,
            proxies: Proxies::Off,
            roots: vec![server::authority().pem.clone().into_bytes()],
            ..PoolSettings::default()
        });
        let connector = connector.expect("good settings");
        connector
            .connect(&https(port), Offer::Both)
            .await
            .expect("a connection")
    }

    fn write(stream: &mut Stream, cx: &mut Context<'_>, len: usize) {
        let written = Pin::new(stream).poll_write(cx, &vec![7; len]);
        assert!(
            matches!(written, Poll::Ready(Ok(n)) if n == len),
            "{written:?}"
        );
    }

    fn flush(stream: &mut Stream, cx: &mut Context<'_>) {
        assert!(matches!(
            Pin::new(stream).poll_flush(cx),
            Poll::Ready(Ok(()))
        ));
    }

    async fn answer(stream: &mut Stream) -> u8 {
        let mut space = [0; 1];
        let mut buffer = ReadBuf::new(&mut space);
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await;
        read.expect("a byte");
        buffer.filled()[0]
    }

    #[tokio::test]
    async fn frames_are_gathered_until_the_next_read() {
        let mut stream = stream("h2", 32 << 10).await;
        let woken = Arc::new(Woken::default());
        let (waker, meter) = (Waker::from(Arc::clone(&woken)), stream.meter());
        let cx = &mut Context::from_waker(&waker);
        let before = meter.written();
        for _ in 0..2 {
            write(&mut stream, cx, 16 << 10);
            flush(&mut stream, cx);
        }
        assert_eq!(
            (meter.written(), woken.0.load(Ordering::SeqCst)),
            (before, 1)
        );
        assert_eq!(answer(&mut stream).await, b'!');
        assert!(meter.written() > before + (32 << 10));
    }

    #[tokio::test]
    async fn a_flush_with_nothing_written_wakes_nobody() {
        let mut stream = stream("h2", 100).await;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        flush(&mut stream, cx);
        write(&mut stream, cx, 100);
        assert_eq!(
            answer(&mut stream).await,
            b'!',
            "written, although no flush was asked for"
        );
        flush(&mut stream, cx);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn enough_bytes_leave_at_once_and_http1_never_waits() {
        for (protocol, len) in [("h2", GATHERED), ("http/1.1", 10)] {
            let mut stream = stream(protocol, len).await;
            let meter = stream.meter();
            let before = meter.written();
            write(&mut stream, &mut Context::from_waker(Waker::noop()), len);
            assert!(meter.written() > before + len as u64, "{protocol}");
        }
    }
}
