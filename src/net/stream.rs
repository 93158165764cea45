//! The byte stream under HTTP. In: the writes of an HTTP connection. Out: few, large system calls,
//! and a count of the bytes that the socket took. Never: a copy of a byte.
//!
//! HTTP/2 writes and flushes frame by frame, 16 KiB each. TLS makes a record of every frame and
//! hands it to the socket at once: 65,536 system calls for a GiB. Two layers cooperate. The one
//! below TLS ([`CountingStream`]) says "not now" until TLS has some dozen KiB of records together, which
//! then leave in one vectored write. The one above TLS ([`Stream`]) only notes a flush and wakes
//! the connection's task; that task begins each turn by reading, and before reading the noted
//! flush is done. Bytes so wait until the task has nothing more to write, never longer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection as _;

pub(super) use super::counting_stream::ConnectionMeter;
use super::counting_stream::CountingStream;
use super::socket_limit::SocketPermit;
use crate::http::Version;

/// What HTTP reads from and writes to.
pub(super) struct Stream {
    io: MaybeHttpsStream<CountingStream>,
    meter: Arc<ConnectionMeter>,
    flush: Flush,
    settings: SettingsState,
    permit: Option<SocketPermit>,
}

/// What is owed to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// This connection flushes at once.
    AtOnce,
    /// Nothing. A flush must then wake no task, or the task would turn for ever: HTTP/2 flushes
    /// at the end of every turn.
    Done,
    /// Something was written, and no flush asked for yet.
    Unasked,
    /// A flush, before the next read; the task was woken for it.
    Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettingsState {
    Awaited,
    Read,
    Announced,
}

impl Stream {
    pub(super) fn new(mut io: MaybeHttpsStream<CountingStream>) -> Self {
        let version = version(&io);
        let socket = socket(&mut io);
        let flush = match version {
            Version::H1 => Flush::AtOnce,
            Version::H2 => {
                socket.gather();
                Flush::Done
            }
        };
        let meter = socket.meter();
        Stream {
            io,
            meter,
            flush,
            settings: SettingsState::Awaited,
            permit: None,
        }
    }

    /// Keeps its socket's permit as long as it lives.
    pub(super) fn holding(mut self, permit: SocketPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Adds what is and was written to `total` as well.
    pub(super) fn counted_into(mut self, total: Arc<AtomicU64>) -> Self {
        socket(&mut self.io).count_into(total);
        self
    }

    /// The version that ALPN settled on.
    pub(super) fn version(&self) -> Version {
        version(&self.io)
    }

    pub(super) fn meter(&self) -> Arc<ConnectionMeter> {
        Arc::clone(&self.meter)
    }

    fn flush_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket(&mut self.io).write_through();
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        socket(&mut self.io).gather();
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

    /// The peer's settings count as acted on when the task that reads came back for more and found none.
    fn note_settings(&mut self, read: &Poll<io::Result<()>>) {
        self.settings = match (self.settings, read) {
            (SettingsState::Awaited, Poll::Ready(Ok(()))) => SettingsState::Read,
            (SettingsState::Read, Poll::Pending) => {
                self.meter.announce_settings();
                SettingsState::Announced
            }
            (settings, _) => settings,
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
        self.note_settings(&read);
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
        socket(&mut self.io).write_through();
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn version(io: &MaybeHttpsStream<CountingStream>) -> Version {
    if io.connected().is_negotiated_h2() {
        Version::H2
    } else {
        Version::H1
    }
}

fn socket(io: &mut MaybeHttpsStream<CountingStream>) -> &mut CountingStream {
    match io {
        MaybeHttpsStream::Http(socket) => socket,
        MaybeHttpsStream::Https(tls) => tls.inner_mut().get_mut().0.inner_mut(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use hyper::rt::ReadBuf;
    use tokio::io::AsyncReadExt as _;

    use super::super::connect::{Alpn, Connector};
    use super::super::counting_stream::GATHERED;
    use super::super::settings::{PoolSettings, Proxies, SystemRoots};
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
            .connect(&https(port), Alpn::Both)
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
    async fn a_flush_with_nothing_written_wakes_no_task() {
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
