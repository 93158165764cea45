//! One listening place. In come connections, out go calls to the handler; it also closes what a
//! fault wants closed. It knows nothing of what a call means.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::connection::Connection;
use crate::handler;
use crate::link::Link;
use crate::network::{Network, Place, Service};
use crate::state::{ListenerCommand, State};

/// A listening place before it is opened.
pub(crate) struct Listener {
    pub(crate) place: Place,
    pub(crate) socket: StdListener,
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) commands: UnboundedReceiver<ListenerCommand>,
    pub(crate) network: Arc<Network>,
}

/// Accepts until the emulator stops.
pub(crate) async fn serve(listener: Listener, state: Arc<State>) -> io::Result<()> {
    let Listener {
        place,
        socket,
        acceptor,
        mut commands,
        network,
    } = listener;
    let address = socket.local_addr()?;
    let mut socket = match network.conditions().service {
        Service::Dead => {
            drop(socket);
            Port::Refusing(bind(address).await)
        }
        _ => Port::Listening(TcpListener::from_std(socket)?),
    };
    let mut connections = JoinSet::new();
    let reset = Arc::new(AtomicBool::new(false));
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return Ok(()),
                Some(ListenerCommand::Close(done)) => {
                    drop(socket);
                    socket = Port::Refusing(bind(address).await);
                    reset.store(true, Ordering::Release);
                    connections.shutdown().await;
                    reset.store(false, Ordering::Release);
                    let _ = done.send(());
                }
                Some(ListenerCommand::Open(done)) => {
                    socket = match socket {
                        Port::Refusing(bound) => Port::Listening(bound.listen(BACKLOG)?),
                        listening => listening,
                    };
                    let _ = done.send(());
                }
            },
            accepted = accept(&socket) => {
                let number = state.call_log.connected(place);
                let connection = Arc::new(Connection::new(number, place, Arc::clone(&reset)));
                let acceptor = acceptor.clone();
                connections.spawn(connect(accepted, acceptor, connection, Arc::clone(&state)));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// The port of a listening place.
enum Port {
    Listening(TcpListener),
    /// Connections are refused. It is held all the same: given back, it would soon be another program's, and a
    /// client that believes in this place would talk to that.
    Refusing(TcpSocket),
}

async fn accept(port: &Port) -> TcpStream {
    let Port::Listening(listener) = port else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            // Out of file descriptors: the next one that is closed ends the wait.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Takes a port that was ours a moment ago; connections that were reset do not keep it.
async fn bind(address: SocketAddr) -> TcpSocket {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address).map(|()| socket)
    };
    loop {
        match bound() {
            Ok(socket) => return socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connect(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    connection: Arc<Connection>,
    state: Arc<State>,
) {
    let network = state.network(connection.place);
    tokio::time::sleep(network.delay()).await;
    let link = Link::new(socket, network, connection.reset());
    let Some(acceptor) = acceptor else {
        return speak_http1(TokioIo::new(link), connection, state).await;
    };
    let Ok(stream) = acceptor.accept(link).await else {
        return;
    };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if h2 {
        speak_http2(TokioIo::new(stream), connection, state).await;
    } else {
        speak_http1(TokioIo::new(stream), connection, state).await;
    }
}

async fn speak_http1<I>(io: I, connection: Arc<Connection>, state: Arc<State>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let about = Arc::clone(&connection);
    let service =
        service_fn(move |request| handler::answer(Arc::clone(&state), Arc::clone(&about), request));
    let conversation = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER)
        .serve_connection(io, service);
    until_cut(conversation, &connection).await;
}

async fn speak_http2<I>(io: I, connection: Arc<Connection>, state: Arc<State>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let about = Arc::clone(&connection);
    let (streams, window) = (state.config.h2_streams, state.config.h2_window);
    let service =
        service_fn(move |request| handler::answer(Arc::clone(&state), Arc::clone(&about), request));
    let conversation = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window.saturating_mul(4).min(LARGEST_WINDOW))
        .serve_connection(io, service);
    let mut conversation = pin!(conversation);
    loop {
        tokio::select! {
            biased;
            () = connection.is_cut() => return,
            () = connection.is_last_call() => conversation.as_mut().graceful_shutdown(),
            _ = conversation.as_mut() => return,
        }
    }
}

/// A conversation ends by itself, or in the middle when its connection is cut.
async fn until_cut(conversation: impl Future, connection: &Connection) {
    tokio::select! {
        biased;
        () = connection.is_cut() => {}
        _ = conversation => {}
    }
}

/// Each read of a body takes as much as is there, up to this: fewer system calls, at 256 KiB no
/// longer the larger part of the cost.
const READ_BUFFER: usize = 256 << 10;

/// The largest window that HTTP/2 has (RFC 9113, 6.9.1).
const LARGEST_WINDOW: u32 = 0x7fff_ffff;

/// Connections that wait to be accepted, as many as `std` lets wait.
const BACKLOG: u32 = 1024;
