//! TCP's congestion control, socket by socket. In: what the kernel counts on each connection. Out: sockets
//! that use BBR where the link loses packets although no queue builds up on it, or for the last seconds of a run
//! where it has room; what has arrived; whether the link is full. Never: a failure: where the kernel refuses, its
//! own choice stays.
//!
//! CUBIC takes each loss for a full link and sends a third less. On a link that loses by itself it so leaves
//! most of it unused, the more the longer the round trip; BBR goes by what arrives. A link that is full loses
//! as well, but first its queue makes the round trip longer: losses count only where it is not.
//!
//! And CUBIC's connections that begin together leave slow start with windows of which one may be four times
//! another. While all send the link is full all the same; once the others are done the last is alone with a small
//! window, which takes many seconds to grow. BBR doubles it each round trip until the link is full.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::full_link::Fullness;
use super::losses::{Interval, Losses, Start};
use super::settings::Congestion;
use super::tcp_info::TcpInfo;
use crate::sync::Mutex;

/// The choice for all sockets of a pool.
#[derive(Debug)]
pub(super) struct CongestionControl {
    asked: Congestion,
    losses: Mutex<Losses>,
    fullness: Mutex<Fullness>,
    /// Bytes that servers have acknowledged, as far as sockets were looked at.
    arrived: AtomicU64,
    /// Whether the system tells that.
    tells: AtomicBool,
    stand: AtomicU8,
    /// The run is over in a few seconds.
    ends_soon: AtomicBool,
    /// Whether the kernel lets this process have BBR, once that was tried.
    allowed: OnceLock<bool>,
    /// Segments that sockets of BBR sent, and how many of them were repeats.
    segments: AtomicU64,
    again: AtomicU64,
}

/// How the choice stands: open, made, made and taken by a socket, or none because the kernel refuses.
const OPEN: u8 = 0;
const CHOSEN: u8 = 1;
const IN_USE: u8 = 2;
const REFUSED: u8 = 3;

/// What one socket contributes, and whether it was set.
#[derive(Debug)]
pub(super) struct SocketWatch {
    control: Arc<CongestionControl>,
    peer: Option<IpAddr>,
    looked: Instant,
    /// For the next look where the socket takes nothing: what it took ahead may last for many seconds.
    next: Option<Pin<Box<Sleep>>>,
    before: TcpInfo,
    start: Start,
    /// Looks in a row that saw room on the link which its window grows into only slowly.
    looks_with_room: u32,
    /// Its control will not be changed any more.
    settled: bool,
    /// The system tells nothing.
    blind: bool,
}

impl CongestionControl {
    pub(super) fn new(asked: Congestion) -> Arc<Self> {
        let stand = match asked {
            Congestion::Auto => OPEN,
            Congestion::Bbr | Congestion::Cubic => CHOSEN,
            Congestion::System => REFUSED,
        };
        Arc::new(CongestionControl {
            asked,
            losses: Mutex::default(),
            fullness: Mutex::default(),
            arrived: AtomicU64::new(0),
            tells: AtomicBool::new(cfg!(any(target_os = "linux", target_os = "android"))),
            stand: AtomicU8::new(stand),
            ends_soon: AtomicBool::new(false),
            allowed: OnceLock::new(),
            segments: AtomicU64::new(0),
            again: AtomicU64::new(0),
        })
    }

    /// The link was seen to lose packets before: BBR from now on, where the choice is open.
    pub(super) fn expect_losses(&self) {
        if self.goes(OPEN, CHOSEN) {
            tracing::info!("the link lost packets although no queue built up: BBR from now on");
        }
    }

    /// Whether the run is over in a few seconds.
    pub(super) fn expect_end(&self, soon: bool) {
        self.ends_soon.store(soon, Ordering::Relaxed);
    }

    /// Whether a connection that is left behind catches up: it may be given BBR, or has it.
    pub(super) fn catches_up(&self) -> bool {
        let may = self.name() == "bbr" && self.stand.load(Ordering::Relaxed) != REFUSED;
        may && *self.allowed.get_or_init(|| {
            let tried = try_bbr();
            tracing::debug!(?tried, "BBR on a socket that is not used");
            tried.is_ok()
        })
    }

    /// Whether the choice was made by what the link loses, and it still does.
    pub(super) fn loses(&self) -> bool {
        let [segments, again] =
            [&self.segments, &self.again].map(|count| count.load(Ordering::Relaxed));
        self.asked == Congestion::Auto && self.is_bbr() && again.saturating_mul(RARELY) >= segments
    }

    /// Watches a socket that was opened; one whose control is chosen is set at once.
    pub(super) fn watch(self: &Arc<Self>, socket: &TcpStream) -> SocketWatch {
        let mut watch = SocketWatch {
            control: Arc::clone(self),
            peer: socket.peer_addr().ok().map(|peer| peer.ip()),
            looked: Instant::now(),
            next: None,
            before: TcpInfo::default(),
            start: Start::Rising,
            looks_with_room: 0,
            settled: false,
            blind: false,
        };
        watch.settle(socket);
        if let Some((info, peer)) = TcpInfo::of(socket).zip(watch.peer) {
            self.fullness.lock().note_new(peer, &info, watch.looked);
        }
        watch
    }

    /// Whether the link is full, as far as connections see a queue on it. What fills it may be another's.
    pub(super) fn is_full(&self) -> bool {
        self.fullness.lock().is_full(Instant::now())
    }

    /// Whether connections see a queue of which it is not known yet whether all share it.
    pub(super) fn is_queued(&self) -> bool {
        self.fullness.lock().is_queued(Instant::now())
    }

    /// Whether packets are lost although nothing waits, and connections slow down for that: BBR's do not.
    pub(super) fn is_losing(&self) -> bool {
        !self.is_bbr() && self.losses.lock().goes_on(Instant::now())
    }

    /// Whether a connection is to be opened, for what its handshake tells of the queue. Said once for a while.
    pub(super) fn asks(&self) -> bool {
        self.fullness.lock().asks(Instant::now())
    }

    /// Bytes that servers have acknowledged; `None` where the system does not tell.
    pub(super) fn arrived(&self) -> Option<u64> {
        let tells = self.tells.load(Ordering::Relaxed);
        tells.then(|| self.arrived.load(Ordering::Relaxed))
    }

    /// Whether sockets use BBR.
    pub(super) fn is_bbr(&self) -> bool {
        self.stand.load(Ordering::Relaxed) == IN_USE && self.name() == "bbr"
    }

    /// Goes from one stand to the next; whether it stood there.
    fn goes(&self, from: u8, to: u8) -> bool {
        let gone = self
            .stand
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        gone.is_ok()
    }

    fn name(&self) -> &'static str {
        match self.asked {
            Congestion::Cubic => "cubic",
            Congestion::Auto | Congestion::Bbr | Congestion::System => "bbr",
        }
    }

    fn refused(&self, error: &std::io::Error) {
        if self.stand.swap(REFUSED, Ordering::Relaxed) != REFUSED {
            let control = self.name();
            tracing::info!(control, %error, "the kernel refuses this congestion control, its own choice stays");
        }
    }

    /// What one connection shows is added; the first that makes the link a losing one says so.
    fn note(&self, interval: &Interval, overflows: bool) {
        let mut losses = self.losses.lock();
        if losses.note(interval, overflows, Instant::now()) && self.goes(OPEN, CHOSEN) {
            tracing::info!("the link loses packets although no queue builds up: BBR from now on");
        }
    }
}

impl SocketWatch {
    /// Something was written to `socket`.
    pub(super) fn wrote(&mut self, socket: &TcpStream) {
        if !self.blind && self.looked.elapsed() >= LOOK_AFTER {
            self.look(socket);
        }
    }

    /// `socket` takes nothing now; whoever waits for it is woken for the next look as well.
    pub(super) fn waits(&mut self, socket: &TcpStream, context: &mut Context<'_>) {
        if self.blind {
            self.next = None;
            return;
        }
        let next = self.next.get_or_insert_with(|| Box::pin(sleep(LOOK_AFTER)));
        let mut due = false;
        while next.as_mut().poll(context).is_ready() {
            next.as_mut()
                .reset(tokio::time::Instant::now() + LOOK_AFTER);
            due = true;
        }
        if due {
            self.wrote(socket);
        }
    }

    /// `socket` is about to be closed: what arrived since the last look is counted.
    pub(super) fn closes(&mut self, socket: &TcpStream) {
        if !self.blind
            && let Some(now) = TcpInfo::of(socket)
        {
            self.arrived(&now);
        }
    }

    fn arrived(&mut self, now: &TcpInfo) {
        let bytes = now.acked.saturating_sub(self.before.acked);
        self.control.arrived.fetch_add(bytes, Ordering::Relaxed);
    }

    fn look(&mut self, socket: &TcpStream) {
        self.looked = Instant::now();
        let Some(now) = TcpInfo::of(socket) else {
            self.blind = true;
            self.control.tells.store(false, Ordering::Relaxed);
            return self.settle(socket);
        };
        self.arrived(&now);
        let before = std::mem::replace(&mut self.before, now);
        let lost = now.again != before.again;
        let note = |peer| {
            let mut fullness = self.control.fullness.lock();
            fullness.note(peer, &now, lost, self.looked)
        };
        let round_trip = self.peer.and_then(note).unwrap_or_default();
        let interval = Interval::between(&before, &now, round_trip);
        if self.settled && self.control.is_bbr() {
            return self.count(&interval);
        }
        self.judge(&interval);
        if !self.settled {
            self.settle(socket);
        }
    }

    /// Adds to what sockets of BBR lose.
    fn count(&self, interval: &Interval) {
        let add = |count: &AtomicU64, more| count.fetch_add(u64::from(more), Ordering::Relaxed);
        add(&self.control.segments, interval.segments);
        add(&self.control.again, interval.again);
    }

    /// What the choice for all goes by.
    fn judge(&mut self, interval: &Interval) {
        tracing::trace!(?interval, start = ?self.start, "a connection");
        let again = self.start.step(interval);
        let interval = Interval { again, ..*interval };
        self.control.note(&interval, self.start.overflows());
        self.looks_with_room = match self.before.grows_slowly && !interval.round_trip.is_queued() {
            true => self.looks_with_room + 1,
            false => 0,
        };
    }

    /// The others of a run are done, or never filled the link, and this one would need long to fill it.
    fn is_left_behind(&self) -> bool {
        self.looks_with_room >= ROOM && self.control.ends_soon.load(Ordering::Relaxed)
    }

    /// Does to `socket` what was decided for all, if it was.
    fn settle(&mut self, socket: &TcpStream) {
        match self.control.stand.load(Ordering::Relaxed) {
            OPEN if !self.is_left_behind() => return,
            OPEN | CHOSEN | IN_USE => match set(socket, self.control.name()) {
                Ok(()) => drop(self.control.goes(CHOSEN, IN_USE)),
                Err(error) => self.control.refused(&error),
            },
            _ => {}
        }
        self.settled = true;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(socket: &TcpStream, control: &str) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_congestion(socket, control)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(_: &TcpStream, _: &str) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Whether the kernel has BBR and lets this process use it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn try_bbr() -> std::io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, socket};

    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    Ok(rustix::net::sockopt::set_tcp_congestion(&socket, "bbr")?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn try_bbr() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Between looks: a system call of less than a microsecond, for each of a hundred connections.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Looks in a row without a queue: in one, the queue may have gone for a moment after what its overflow lost.
const ROOM: u32 = 2;

/// A link that loses fewer than one segment in so many needs no BBR.
const RARELY: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket, and the listener at its other end.
    #[cfg(target_os = "linux")]
    async fn connected() -> (TcpStream, tokio::net::TcpListener) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let socket = TcpStream::connect(address).await.expect("it listens");
        (socket, listener)
    }

    /// What the kernel has refused is not chosen again by what connections lose later, and what is only chosen
    /// is not in use.
    #[test]
    fn what_was_refused_stays_so() {
        let control = CongestionControl::new(Congestion::Auto);
        let lose = || {
            *control.losses.lock() = Losses::sure();
            control.note(&Interval::of_ms(1, 81), false);
        };
        lose();
        assert!(control.goes(CHOSEN, CHOSEN) && !control.is_bbr());
        control.refused(&std::io::ErrorKind::PermissionDenied.into());
        lose();
        assert!(control.goes(REFUSED, REFUSED) && !control.is_bbr());
    }

    /// What was found before is used at once, and known as long as it is true.
    #[test]
    fn a_link_that_lost_is_expected_to_until_it_does_not() {
        let control = CongestionControl::new(Congestion::Auto);
        control.expect_losses();
        assert!(!control.loses(), "no socket has it yet");
        assert!(control.goes(CHOSEN, IN_USE) && control.loses());
        control.segments.store(10_000_000, Ordering::Relaxed);
        control.again.store(10_000, Ordering::Relaxed);
        assert!(control.loses());
        control.again.store(100, Ordering::Relaxed);
        assert!(!control.loses());
        let asked = CongestionControl::new(Congestion::Bbr);
        assert!(asked.goes(CHOSEN, IN_USE));
        assert!(!asked.loses(), "that was not found");
        let system = CongestionControl::new(Congestion::System);
        system.expect_losses();
        assert!(!system.is_bbr() && system.goes(REFUSED, REFUSED));
    }

    /// What sockets of BBR send is counted.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_of_bbr_counts() {
        let (socket, peer) = connected().await;
        let (_other, _) = peer.accept().await.expect("it connects");
        let control = CongestionControl::new(Congestion::Auto);
        let mut watch = control.watch(&socket);
        control.stand.store(IN_USE, Ordering::Relaxed);
        watch.settled = true;
        assert_eq!(socket.try_write(b"bytes").expect("room"), 5);
        watch.looked -= LOOK_AFTER;
        watch.wrote(&socket);
        assert!(control.segments.load(Ordering::Relaxed) > 0);
    }

    /// A socket that took much ahead is looked at all the same.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_that_takes_nothing_is_looked_at() {
        let (socket, _peer) = connected().await;
        let control = CongestionControl::new(Congestion::Auto);
        let mut watch = control.watch(&socket);
        control.stand.store(CHOSEN, Ordering::Relaxed);
        std::future::poll_fn(|context| {
            watch.waits(&socket, context);
            if watch.settled {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }

    /// A connection whose window grows slowly although the link has room is left behind where the run ends soon,
    /// and only then.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_that_is_left_behind_is_alone_in_being_set() {
        let (socket, _peer) = connected().await;
        let control = CongestionControl::new(Congestion::Auto);
        let mut watch = control.watch(&socket);
        let mut looks = |ends_soon: bool, slowly: bool, rtts: &[u64]| {
            control.expect_end(ends_soon);
            watch.looks_with_room = 0;
            watch.before.grows_slowly = slowly;
            rtts.iter()
                .for_each(|&rtt| watch.judge(&Interval::of_ms(0, rtt)));
            watch.is_left_behind()
        };
        assert!(looks(true, true, &[81, 82]));
        assert!(!looks(false, true, &[81, 82]), "much is left");
        assert!(!looks(true, false, &[81, 82]), "it doubles");
        assert!(!looks(true, true, &[81, 120]), "the link is full");
        assert!(!looks(true, true, &[81, 120, 81]), "for a moment");
        assert!(looks(true, true, &[120, 81, 81]));
        watch.settle(&socket);
        assert!(watch.settled);
        let refused = control.goes(REFUSED, REFUSED);
        assert!(refused || control.goes(OPEN, OPEN), "it alone");
        let own = rustix::net::sockopt::tcp_congestion(&socket).expect("Linux tells");
        assert_eq!(own == "bbr", !refused, "{own}");
        assert_eq!(control.catches_up(), !refused);
    }

    #[test]
    fn only_with_bbr_does_a_connection_catch_up() {
        for asked in [Congestion::Cubic, Congestion::System] {
            assert!(!CongestionControl::new(asked).catches_up(), "{asked:?}");
        }
        let control = CongestionControl::new(Congestion::Auto);
        assert_eq!(control.catches_up(), try_bbr().is_ok());
        control.refused(&std::io::ErrorKind::PermissionDenied.into());
        assert!(!control.catches_up());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_control_that_the_kernel_lacks_changes_nothing_and_one_that_it_has_is_set() {
        let (socket, _peer) = connected().await;
        let own = || rustix::net::sockopt::tcp_congestion(&socket).expect("Linux tells");
        let before = own();
        assert!(set(&socket, "no-such-thing").is_err());
        assert_eq!(own(), before);
        for asked in [Congestion::Auto, Congestion::System] {
            assert_eq!(
                CongestionControl::new(asked).watch(&socket).settled,
                asked == Congestion::System
            );
            assert_eq!(own(), before);
        }
        let bbr = CongestionControl::new(Congestion::Bbr);
        assert!(bbr.watch(&socket).settled);
        let refused = bbr.stand.load(Ordering::Relaxed) == REFUSED;
        assert_eq!(own(), if refused { before } else { "bbr".to_owned() });
    }

    /// What was decided reaches a socket that is open already, at its next look.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn open_sockets_follow_the_decision() {
        let (socket, _peer) = connected().await;
        let control = CongestionControl::new(Congestion::Auto);
        let mut watch = control.watch(&socket);
        *control.losses.lock() = Losses::sure();
        control.note(&Interval::of_ms(1, 81), false);
        assert_eq!(control.stand.load(Ordering::Relaxed), CHOSEN);
        watch.wrote(&socket);
        assert!(!watch.settled, "a moment ago");
        watch.looked = watch
            .looked
            .checked_sub(LOOK_AFTER)
            .expect("not that early");
        watch.wrote(&socket);
        assert!(watch.settled);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_has_arrived_is_counted_to_the_last_byte() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        for asked in [Congestion::Auto, Congestion::System] {
            let control = CongestionControl::new(asked);
            let (mut socket, listener) = connected().await;
            let (mut peer, _) = listener.accept().await.expect("it came");
            let mut watch = control.watch(&socket);
            let mut sent = 0;
            for bytes in [vec![0; 30_000], vec![0; 7]] {
                socket.write_all(&bytes).await.expect("it takes it");
                sent += bytes.len();
                peer.read_exact(&mut vec![0; bytes.len()])
                    .await
                    .expect("it comes");
                watch.looked = Instant::now() - LOOK_AFTER;
                watch.wrote(&socket);
            }
            socket.write_all(b"last").await.expect("it takes it");
            peer.read_exact(&mut [0; 4]).await.expect("it comes");
            // An acknowledgement is on its way, on loopback as well.
            let before = Instant::now();
            while TcpInfo::of(&socket).expect("Linux has it").acked < sent as u64 + 4 {
                assert!(
                    before.elapsed() < Duration::from_secs(20),
                    "it is acknowledged"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            watch.closes(&socket);
            // TCP's handshake counts as one.
            let arrived = control.arrived().expect("Linux tells");
            assert!(
                (sent as u64 + 4..=sent as u64 + 5).contains(&arrived),
                "{arrived}"
            );
        }
    }
}
