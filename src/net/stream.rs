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
        }
    }

    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.meter
                .written
                .fetch_add(*bytes as u64, Ordering::AcqRel);
            self.total.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

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
    /// A flush, before the next read.
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
        if let MaybeHttpsStream::Https(tls) = &mut io {
            tls.inner_mut()
                .get_mut()
                .1
                .set_buffer_limit(Some(RECORDS_KEPT));
        }
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
        if self.flush == Flush::Due
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

/// Records are kept until there are this many bytes of them.
const GATHERED: usize = 256 << 10;

/// TLS may hold this many bytes of records that the socket has not taken; more than [`GATHERED`],
/// or a held write would never become large enough to be let through.
const RECORDS_KEPT: usize = 512 << 10;
