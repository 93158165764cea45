//! What the kernel counts on one TCP connection, and how far a socket runs ahead of it. In: a socket. Out:
//! plain numbers, where the kernel has them. Never: a decision.

use std::time::Duration;

use tokio::net::TcpStream;

/// What is read of `TCP_INFO`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct TcpInfo {
    /// Segments with content that were sent, repeats included.
    pub(super) segments: u32,
    /// Those that were sent again.
    pub(super) again: u32,
    /// The round trip of late, smoothed.
    pub(super) rtt: Duration,
    /// How far single round trips are from that, in the mean.
    pub(super) varies: Duration,
    /// The shortest round trip of some minutes: the path's, without a queue.
    pub(super) shortest: Duration,
    /// Bytes that were acknowledged.
    pub(super) acked: u64,
    /// Slow start is over and nothing is sent again: the window grows by little from one round trip to the next.
    pub(super) grows_slowly: bool,
}

impl TcpInfo {
    /// What the kernel knows of `socket`; `None` where it does not tell.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of(socket: &TcpStream) -> Option<TcpInfo> {
        use std::os::fd::AsRawFd;

        let mut bytes = [0_u8; ROOM];
        let mut length = ROOM as libc::socklen_t;
        // SAFETY: the descriptor is open while `socket` is borrowed, `bytes` has room for `length` bytes, and the
        // kernel writes no more than that many.
        let failed = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                bytes.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let known = bytes.get(..length as usize)?;
        (failed == 0).then(|| TcpInfo::parse(known)).flatten()
    }

    /// There is no such thing here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of(_: &TcpStream) -> Option<TcpInfo> {
        None
    }

    /// Reads `struct tcp_info` of `linux/tcp.h`, which grows at its end: an old kernel's has not all that is
    /// needed.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android", test)),
        allow(dead_code, reason = "only Linux has it")
    )]
    fn parse(bytes: &[u8]) -> Option<TcpInfo> {
        let number = |at: usize| {
            let four = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(four))
        };
        let micros = |at| Some(Duration::from_micros(number(at)?.into()));
        Some(TcpInfo {
            segments: number(DATA_SEGS_OUT)?,
            again: number(TOTAL_RETRANS)?,
            rtt: micros(RTT)?,
            varies: micros(RTT_VAR)?,
            shortest: micros(MIN_RTT)?,
            acked: u64::from_ne_bytes(bytes.get(BYTES_ACKED..BYTES_ACKED + 8)?.try_into().ok()?),
            grows_slowly: *bytes.get(CA_STATE)? == 0 && number(SND_CWND)? >= number(SND_SSTHRESH)?,
        })
    }
}

/// `socket` takes no more than `bytes` beyond what TCP has sent, so that what is paced is what leaves.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn keep_near(socket: &TcpStream, bytes: u32) {
    use std::os::fd::AsRawFd;

    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel reads the four bytes of `bytes`.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if failed != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "the socket runs ahead of its pace");
    }
}

/// There is no such thing here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn keep_near(_: &TcpStream, _: u32) {}

/// Where the fields are, by their names there.
const CA_STATE: usize = 1;
const RTT: usize = 68;
const RTT_VAR: usize = 72;
const SND_SSTHRESH: usize = 76;
const SND_CWND: usize = 80;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const MIN_RTT: usize = 148;
const DATA_SEGS_OUT: usize = 156;

/// More than is read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ROOM: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel gives it, with these numbers in their places.
    fn bytes(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; 232];
        for (at, number) in [
            (68, 81_500_u32),
            (72, 1_300),
            (76, 177),
            (80, 176),
            (100, 12),
            (148, 80_100),
            (156, 4711),
        ] {
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
        }
        bytes[120..128].copy_from_slice(&5_000_000_000_u64.to_ne_bytes());
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn fields_are_read_from_their_places() {
        let expected = TcpInfo {
            segments: 4711,
            again: 12,
            rtt: Duration::from_micros(81_500),
            varies: Duration::from_micros(1_300),
            shortest: Duration::from_micros(80_100),
            acked: 5_000_000_000,
            grows_slowly: false,
        };
        assert_eq!(TcpInfo::parse(&bytes(232)), Some(expected));
        assert_eq!(TcpInfo::parse(&bytes(160)), Some(expected));
    }

    #[test]
    fn a_window_grows_slowly_from_its_threshold_on_and_not_while_losses_are_made_good() {
        for (state, threshold, window, slowly) in [
            (0, 0x7fff_ffff_u32, 320_u32, false),
            (0, 176, 175, false),
            (0, 176, 176, true),
            (0, 149, 212, true),
            (3, 149, 212, false),
        ] {
            let mut bytes = bytes(232);
            bytes[1] = state;
            bytes[76..80].copy_from_slice(&threshold.to_ne_bytes());
            bytes[80..84].copy_from_slice(&window.to_ne_bytes());
            let info = TcpInfo::parse(&bytes).expect("all is there");
            assert_eq!(info.grows_slowly, slowly, "{state} {threshold} {window}");
        }
    }

    #[test]
    fn a_kernel_without_the_fields_tells_nothing() {
        for length in [159, 148, 104, 1, 0] {
            assert_eq!(TcpInfo::parse(&bytes(length)), None, "{length} bytes");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_of_this_kernel_tells() {
        use tokio::io::AsyncWriteExt;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        let before = TcpInfo::of(&socket).expect("Linux has it");
        assert_eq!((before.segments, before.again), (0, 0));
        socket.write_all(b"one segment").await.expect("it takes it");
        let after = TcpInfo::of(&socket).expect("Linux has it");
        assert_eq!(after.segments, 1);
        assert!(
            after.rtt < Duration::from_secs(1) && after.shortest <= after.rtt,
            "{after:?}"
        );
    }
}
