//! One connection's bytes on an emulated link. In comes an accepted socket and its place's network,
//! out goes a stream that reads as fast as the conditions let it, stands still in a black hole, and
//! can be reset; it never looks at what the bytes mean.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::network::{Network, Service};

/// A socket behind an emulated link.
pub(crate) struct Link {
    socket: TcpStream,
    network: Arc<Network>,
    /// Set from outside when the connection shall end by a reset, not by a FIN.
    reset: Arc<AtomicBool>,
    /// The wait that the bandwidth imposes before the next read.
    throttled: Option<Pin<Box<Sleep>>>,
    /// How long a closing connection still reads, so that a client in the middle of its body
    /// gets to see the answer.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Link {
    pub(crate) fn new(socket: TcpStream, network: Arc<Network>, reset: Arc<AtomicBool>) -> Self {
        // A queue of megabytes in front of a slow link would look like a fast one to its sender.
        if network.conditions().bandwidth.is_some() {
            let _ = SockRef::from(&socket).set_recv_buffer_size(SHAPED_RECEIVE_BUFFER);
        }
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            network,
            reset,
            throttled: None,
            lingering: None,
        }
    }

    /// Ready unless the place is a black hole; then the next change wakes.
    fn poll_in_service(&self, cx: &Context<'_>) -> Poll<()> {
        if self.network.conditions().service != Service::BlackHole {
            return Poll::Ready(());
        }
        self.network.on_change(cx.waker());
        if self.network.conditions().service != Service::BlackHole {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_shaped_read(
        &mut self,
        cx: &mut Context<'_>,
        portion: usize,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(portion.min(buffer.remaining())));
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        if let Some(until) = self.network.book(read, Instant::now()) {
            self.throttled = Some(Box::pin(tokio::time::sleep_until(until.into())));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_in_service(cx));
        if let Some(throttled) = &mut self.throttled {
            ready!(throttled.as_mut().poll(cx));
            self.throttled = None;
        }
        match self.network.largest_read() {
            None => Pin::new(&mut self.socket).poll_read(cx, buffer),
            Some(portion) => self.poll_shaped_read(cx, portion, buffer),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_in_service(cx));
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_in_service(cx));
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Sends FIN, then reads on until the client has closed too or [`LINGER`] is over: closing
    /// with unread bytes would reset the connection and take the last answer with it. The
    /// gateway does the same (nginx calls it lingering close).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        let mut waste = [0; 16 << 10];
        loop {
            let this = &mut *self;
            let lingering = this.lingering.as_mut().map(|timer| timer.as_mut().poll(cx));
            if lingering.is_none_or(|timer| timer.is_ready()) {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            // Linger 0 makes close(2) send a reset instead of a FIN.
            let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// How long a closing connection waits for its client. Long enough for a client on loopback to
/// read its answer, short enough that clients which never close do not pile up.
const LINGER: Duration = Duration::from_secs(2);

/// The kernel doubles it. A quarter of a second at 1 MiB/s: small against the link's own speed,
/// large enough not to be the limit at 1 Gbit/s on loopback.
const SHAPED_RECEIVE_BUFFER: usize = 128 << 10;
