//! The server of a scene, and its book of who was lent what. In: dials, connections taken and given
//! back. Out: connections or refusals, and a panic where a connection is lent to one too many. Never:
//! a moment at which another task could run, but while a dial waits.
//!
//! The book knows later than the host that a connection is lent, and earlier that it is free or gone:
//! so what it finds to be too much is too much for the host as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Notes, NotesGuard, PoisonError};
use std::time::Duration;

use hyper::Wire;

use super::connect::Alpn;
use super::host::{HostLimits, Reuse};
use super::stream::Stream;
use crate::chance::{below, linger, once_in};
use crate::http::Version;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    H1,
    /// HTTP/2 to those who alpn it.
    H2,
    /// Now this, now that: two servers behind one name.
    Either,
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    speaks: Speaks,
    limits: HostLimits,
    /// One dial in so many is refused, and one handshake in so many fails; 0 is none.
    refusals: usize,
    moody: AtomicBool,
    book: Notes<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Counts what happened; a moment's name.
    page: usize,
    dialling: usize,
    dials: usize,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    wire: Arc<Wire>,
    version: Version,
    lent: usize,
    /// Streams that the peer allows.
    room: usize,
    /// Whether its first request was seen.
    first: bool,
    /// What the worst request made of it.
    reuse: Reuse,
    /// Since when the host knows that it takes nothing more.
    left: Option<usize>,
}

/// A moment, as the book counts them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page(usize);

impl Server {
    pub(super) fn new(speaks: Speaks, limits: HostLimits, refusals: usize) -> Arc<Self> {
        Arc::new(Server {
            speaks,
            limits,
            refusals,
            moody: AtomicBool::new(true),
            book: Notes::default(),
        })
    }

    /// From now on it refuses nothing and cuts nothing.
    pub(super) fn calm_down(&self) {
        self.moody.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_moody(&self) -> bool {
        self.moody.load(Ordering::Relaxed)
    }

    pub(super) fn refuses(&self) -> bool {
        self.is_moody() && self.refusals > 0 && once_in(self.refusals)
    }

    /// Whether `offers` can be true of HTTP/2.
    pub(super) fn can_offer_h2(&self, offers: bool) -> bool {
        match self.speaks {
            Speaks::H1 => !offers,
            Speaks::H2 => offers,
            Speaks::Either => true,
        }
    }

    /// Takes or refuses a connection after some time.
    pub(super) async fn dialled(self: &Arc<Self>, alpn: Alpn) -> Option<Stream> {
        let dialling = Dialling::new(self);
        linger(3).await;
        if self.refuses() {
            return None;
        }
        let h2 = match self.speaks {
            Speaks::H1 => false,
            Speaks::H2 => true,
            Speaks::Either => once_in(2),
        };
        let version = if h2 && alpn == Alpn::Both {
            Version::H2
        } else {
            Version::H1
        };
        Some(Stream { version, dialling })
    }

    /// A dialled connection begins.
    pub(super) fn accept(&self, version: Version) -> Arc<Wire> {
        let mut book = self.book();
        let wire = Arc::new(Wire::new(book.connections.len()));
        book.connections.push(Connection {
            wire: Arc::clone(&wire),
            version,
            lent: 0,
            room: 1,
            first: false,
            reuse: Reuse::Keep,
            left: None,
        });
        wire
    }

    /// Whether the first words on a connection come with the first reply. HTTP/2's settings come
    /// before, as a rule.
    pub(super) fn waits_for_a_request(&self, wire: &Wire) -> bool {
        let version = self.book().connections[wire.id()].version;
        version == Version::H1 || self.is_moody() && once_in(2)
    }

    /// How many streams it allows; noted before the host is told.
    pub(super) fn streams(&self, wire: &Wire) -> usize {
        let mut book = self.book();
        let connection = &mut book.connections[wire.id()];
        if connection.version == Version::H1 {
            return 1;
        }
        let streams = if self.is_moody() {
            1 + below(self.limits.streams + 2)
        } else {
            self.limits.streams
        };
        connection.room = streams.min(self.limits.streams);
        streams
    }

    /// The name of this moment.
    pub(super) fn page(&self) -> Page {
        Page(self.book().turn())
    }

    /// Notes a pooled connection that was `asked` for then, of a connection unused for `idle` if ever
    /// used.
    pub(super) fn lent(&self, wire: &Wire, asked: Page, idle: Option<Duration>) {
        let mut book = self.book();
        let connection = &mut book.connections[wire.id()];
        let room = connection.room;
        assert!(connection.lent < room, "one too many: {connection:?}");
        let readable = connection.version == Version::H2 || wire.is_ready() || wire.is_cut();
        assert!(readable, "lent amid a reply: {connection:?}");
        let known = connection.left.is_some_and(|left| left < asked.0);
        assert!(!known, "lent although it takes nothing: {connection:?}");
        let second = connection.first && idle.is_none();
        assert!(!second, "never used, for the second time: {connection:?}");
        connection.first |= idle.is_none();
        connection.lent += 1;
    }

    /// Notes that a pooled connection is about to be given back.
    pub(super) fn returning(&self, wire: &Wire, reuse: Reuse) {
        let connection = &mut self.book().connections[wire.id()];
        connection.lent -= 1;
        if connection.reuse != Reuse::Close && reuse != Reuse::Keep {
            connection.reuse = reuse;
        }
    }

    /// Whether one of its connections closed it, whatever the others carry.
    pub(super) fn is_closed(&self, wire: &Wire) -> bool {
        self.book().connections[wire.id()].reuse == Reuse::Close
    }

    /// Notes that the host was told: nobody who asks from now on gets this connection.
    pub(super) fn left(&self, wire: &Wire) {
        let mut book = self.book();
        let page = book.turn();
        book.connections[wire.id()].left.get_or_insert(page);
    }

    /// A connection that stands, if any.
    pub(super) fn any_wire(&self) -> Option<Arc<Wire>> {
        let book = self.book();
        let standing: Vec<_> = book.connections.iter().filter(|one| one.stands()).collect();
        let index = (!standing.is_empty()).then(|| below(standing.len()))?;
        Some(Arc::clone(&standing[index].wire))
    }

    /// How many connections there ever were.
    pub(super) fn accepted(&self) -> u64 {
        self.book().connections.len() as u64
    }

    fn book(&self) -> NotesGuard<'_, Book> {
        // A failed assertion elsewhere is what is to be reported.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn turn(&mut self) -> usize {
        self.page += 1;
        self.page
    }
}

impl Connection {
    /// Whether the host has to count it: a request is on it, or can be.
    fn stands(&self) -> bool {
        match self.reuse {
            Reuse::Close => false,
            _ if self.lent > 0 => true,
            Reuse::Retire => false,
            Reuse::Keep => self.wire.is_kept() && !self.wire.is_cut(),
        }
    }
}

/// A connection on its way.
pub(super) struct Dialling(Arc<Server>);

impl Dialling {
    fn new(server: &Arc<Server>) -> Self {
        let mut book = server.book();
        book.dialling += 1;
        book.dials += 1;
        assert!(book.dials < MANY_DIALS, "it is dialled for ever: {book:#?}");
        let standing = book.connections.iter().filter(|one| one.stands()).count();
        let most = server.limits.connections.unwrap_or(usize::MAX);
        assert!(
            standing + book.dialling <= most,
            "beyond the maximum: {book:#?}"
        );
        drop(book);
        Dialling(Arc::clone(server))
    }

    pub(super) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.0)
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.book().dialling -= 1;
    }
}

/// Far more than all requests of a rush can cause.
const MANY_DIALS: usize = 500;
