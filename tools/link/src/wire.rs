//! One direction of a link, as a model. In come packets as a TUN device gives them, with the moment;
//! out come the same packets when they are due. It never looks at a clock and moves no bytes itself.

use std::collections::VecDeque;
use std::time::Duration;

/// What joins the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Megabits per second, each way.
    pub mbit: u64,
    /// There and back without a queue.
    pub rtt: Duration,
    /// The share of segments that is lost.
    pub loss: f64,
    /// Bytes that may wait before the bottleneck.
    pub queue: u64,
    /// How it changes.
    pub weather: Weather,
}

impl Link {
    /// Bytes of payload that TCP can carry at best in a second of good weather.
    pub fn best(&self) -> f64 {
        self.mbit as f64 * 1e6 / 8.0 * PAYLOAD / PACKET
    }

    /// The same from one moment to another, whatever the weather.
    pub fn best_of(&self, from: Duration, until: Duration) -> f64 {
        let steps = (until.saturating_sub(from).as_millis() / STEP.as_millis()) as u32;
        let share = |step| self.weather.share(from + STEP * step);
        (0..steps).map(share).sum::<f64>() * STEP.as_secs_f64() * self.best()
    }
}

/// How a link changes while it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Weather {
    /// Not at all
    Steady,
    /// Half of its bandwidth from second 20 on, all of it again from second 40 on
    Halves,
    /// Nothing goes through from second 20 to second 60
    Silence,
    /// Packets take up to a quarter of the round trip longer, in their order
    Jitter,
    /// The same, but all packets of 20 ms by the same time
    SlowJitter,
}

impl Weather {
    /// The share of the bandwidth that there is at this moment.
    fn share(self, at: Duration) -> f64 {
        match (self, at.as_secs()) {
            (Weather::Halves, 20..40) => 0.5,
            (Weather::Silence, 20..60) => 0.0,
            _ => 1.0,
        }
    }

    /// The seconds at which there is another bandwidth, and it is not nothing.
    pub fn changes(self) -> &'static [u64] {
        match self {
            Weather::Halves => &[20, 40],
            Weather::Silence => &[60],
            Weather::Steady | Weather::Jitter | Weather::SlowJitter => &[],
        }
    }

    /// How long packets are late by the same time.
    fn jitter_lasts(self) -> Duration {
        match self {
            Weather::SlowJitter => Duration::from_millis(20),
            _ => Duration::ZERO,
        }
    }

    /// How long a cell has to be to show it.
    pub fn lasts(self) -> u64 {
        self.changes().last().map_or(0, |last| last + 20)
    }

    /// A moment at which something goes through, `at` or later.
    fn open(self, at: Duration) -> Duration {
        match self.share(at) {
            0.0 => Duration::from_secs(60),
            _ => at,
        }
    }
}

/// Packets on their way in one direction: in the queue, on the wire, or in flight behind it.
#[derive(Debug)]
pub struct Line {
    /// Nanoseconds that a byte takes at the bottleneck.
    pace: f64,
    delay: Duration,
    loss: f64,
    jitter: Duration,
    /// How late packets are now, and until when.
    late: Duration,
    late_until: Duration,
    weather: Weather,
    limit: u64,
    chance: fastrand::Rng,
    packets: VecDeque<Packet>,
    /// How many of `packets` have left the bottleneck.
    past: usize,
    /// When the bottleneck will have sent all that it holds.
    free: Duration,
    /// When the last packet arrives: none overtakes another.
    last: Duration,
    /// Bytes that have not left the bottleneck.
    held: u64,
    tally: Tally,
}

/// What went through a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of TCP payload that left the bottleneck, those sent again among them.
    pub payload: u64,
    /// Packets that found the queue full.
    pub full: u64,
    /// Packets that chance took.
    pub lost: u64,
    /// Packets that went through, and the microseconds that they waited in the queue.
    pub packets: u64,
    /// See `packets`.
    pub waited: u64,
    /// Packets that waited for longer than [`NOTICED`].
    pub late: u64,
    /// `payload` by the client whose service it went to.
    pub clients: [u64; MOST_CLIENTS],
}

#[derive(Debug)]
struct Packet {
    bytes: Box<[u8]>,
    size: Size,
    leaves: Duration,
    arrives: Duration,
}

impl Line {
    /// The way to the server.
    pub fn up(link: &Link, chance: fastrand::Rng) -> Line {
        Line {
            pace: 8e3 / link.mbit as f64,
            delay: link.rtt / 2,
            loss: link.loss,
            jitter: match link.weather {
                Weather::Jitter | Weather::SlowJitter => link.rtt / 4,
                _ => Duration::ZERO,
            },
            late: Duration::ZERO,
            late_until: Duration::ZERO,
            weather: link.weather,
            limit: link.queue,
            chance,
            packets: VecDeque::new(),
            past: 0,
            free: Duration::ZERO,
            last: Duration::ZERO,
            held: 0,
            tally: Tally::default(),
        }
    }

    /// The way back, which loses nothing by chance: it carries little but acknowledgements.
    pub fn down(link: &Link, chance: fastrand::Rng) -> Line {
        let link = Link { loss: 0.0, ..*link };
        Line::up(&link, chance)
    }

    /// A packet arrives at the queue's end, and stays there unless it is full or chance is against it.
    pub fn offer(&mut self, bytes: &[u8], now: Duration) {
        self.settle(now);
        let size = Size::of(bytes);
        if self.held + size.wire > self.limit {
            self.tally.full += 1;
        } else if self.is_lost(size.segments) {
            self.tally.lost += 1;
        } else {
            let begins = self.weather.open(self.free.max(now));
            let takes = size.wire as f64 * self.pace / self.weather.share(begins);
            self.free = begins + Duration::from_nanos(takes as u64);
            if now >= self.late_until {
                self.late = self.jitter.mul_f64(self.chance.f64());
                self.late_until = now + self.weather.jitter_lasts();
            }
            self.last = self.last.max(self.free + self.delay + self.late);
            self.held += size.wire;
            self.tally.packets += 1;
            self.tally.waited += (begins - now).as_micros() as u64;
            self.tally.late += u64::from(begins - now > NOTICED);
            self.packets.push_back(Packet {
                bytes: bytes.into(),
                size,
                leaves: self.free,
                arrives: self.last,
            });
        }
    }

    /// The next packet, if it has arrived by now; it stays until it is `taken`.
    pub fn due(&mut self, now: Duration) -> Option<&[u8]> {
        self.settle(now);
        let arrives = self.arrival()?;
        let packet = self.packets.front()?;
        (arrives <= now).then_some(&*packet.bytes)
    }

    /// The packet that was due is on the other side.
    pub fn taken(&mut self) {
        let packet = self.packets.pop_front();
        debug_assert!(packet.is_some() && self.past > 0, "it was due");
        self.past -= 1;
    }

    /// When the next packet arrives.
    pub fn arrival(&self) -> Option<Duration> {
        self.packets.front().map(|packet| packet.arrives)
    }

    /// What went through so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What has left the bottleneck is in flight: it fills no queue, and it counts.
    fn settle(&mut self, now: Duration) {
        while let Some(packet) = self.packets.get(self.past) {
            if packet.leaves > now {
                break;
            }
            self.held -= packet.size.wire;
            self.tally.payload += packet.size.payload;
            if let Some(client) = packet.size.client {
                self.tally.clients[client] += packet.size.payload;
            }
            self.past += 1;
        }
    }

    /// One segment lost is the super-packet lost.
    fn is_lost(&mut self, segments: u64) -> bool {
        let kept = (1.0 - self.loss).powf(segments as f64);
        self.loss > 0.0 && self.chance.f64() >= kept
    }
}

/// What a packet is on the wire, where a super-packet is many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    segments: u64,
    /// Bytes with the headers of every segment.
    wire: u64,
    /// Bytes without any.
    payload: u64,
    /// Whose service it goes to.
    client: Option<usize>,
}

impl Size {
    /// By its own headers; what is not TCP over IPv4 has no payload that counts.
    fn of(bytes: &[u8]) -> Size {
        let (front, packet) = bytes.split_at(OFFLOAD_HEADER.min(bytes.len()));
        let whole = packet.len() as u64;
        let Some(headers) = headers(packet) else {
            return Size {
                segments: 1,
                wire: whole,
                payload: 0,
                client: None,
            };
        };
        let payload = whole.saturating_sub(headers);
        // `struct virtio_net_hdr`: gso_type is byte 1, gso_size bytes 4 and 5.
        let segment = u64::from(u16::from_ne_bytes([front[4], front[5]]));
        let segments = match (front[1], segment) {
            (0, _) | (_, 0) => 1,
            _ => payload.div_ceil(segment).max(1),
        };
        Size {
            segments,
            wire: whole + (segments - 1) * headers,
            payload,
            client: client(packet),
        }
    }
}

/// Bytes of the IPv4 and TCP headers.
fn headers(packet: &[u8]) -> Option<u64> {
    let first = *packet.first()?;
    let ip = usize::from(first & 0xf) * 4;
    let is_tcp = first >> 4 == 4 && *packet.get(9)? == 6;
    let tcp = usize::from(*packet.get(ip + 12)? >> 4) * 4;
    is_tcp.then_some((ip + tcp) as u64)
}

/// The client whose service a packet of TCP goes to, by the port.
fn client(packet: &[u8]) -> Option<usize> {
    let ip = usize::from(packet.first()? & 0xf) * 4;
    let port = u16::from_be_bytes([*packet.get(ip + 2)?, *packet.get(ip + 3)?]);
    let client = usize::from(port.checked_sub(FIRST_PORT)? / PORTS_EACH);
    (client < MOST_CLIENTS).then_some(client)
}

/// Clients at the same time.
pub const MOST_CLIENTS: usize = 16;

/// Where the first client's service listens: the API, then its servers.
pub const FIRST_PORT: u16 = 8000;

/// Ports of each.
pub const PORTS_EACH: u16 = 100;

/// Bytes that a TUN device with `IFF_VNET_HDR` puts before each packet.
const OFFLOAD_HEADER: usize = 10;

/// Calls and games notice what waits for longer.
pub const NOTICED: Duration = Duration::from_millis(25);

/// How finely time is cut.
const STEP: Duration = Duration::from_millis(10);

/// Bytes of a full packet.
const PACKET: f64 = 1500.0;

/// What it carries: without 20 bytes of IPv4, 20 of TCP and 12 of TCP's timestamps.
pub const PAYLOAD: f64 = 1448.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand bytes take a millisecond.
    const LINK: Link = Link {
        mbit: 8,
        rtt: Duration::from_millis(100),
        loss: 0.0,
        queue: 10_000,
        weather: Weather::Steady,
    };

    #[test]
    fn a_packet_takes_its_time_and_then_the_delay() {
        let mut line = line(LINK);
        line.offer(&packet(948, 0), ms(5));
        assert_eq!(line.arrival(), Some(ms(56)));
        assert_eq!(line.due(ms(55)), None);
        assert_eq!(line.due(ms(56)), Some(&packet(948, 0)[..]));
        line.taken();
        assert_eq!(line.arrival(), None);
    }

    #[test]
    fn a_super_packet_pays_for_the_headers_of_each_segment() {
        let size = Size::of(&packet(3000, 1000));
        let expected = Size {
            segments: 3,
            wire: 3000 + 3 * 52,
            payload: 3000,
            client: None,
        };
        assert_eq!(size, expected);
        let mut line = line(LINK);
        line.offer(&packet(3000, 1000), ms(0));
        assert_eq!(line.arrival(), Some(ms(50) + Duration::from_micros(3156)));
    }

    #[test]
    fn payload_counts_for_the_client_whose_service_it_goes_to() {
        let to = |port: u16| {
            let mut packet = packet(948, 0);
            packet[OFFLOAD_HEADER + 22..][..2].copy_from_slice(&port.to_be_bytes());
            packet
        };
        let mut line = line(LINK);
        for port in [8000, 8001, 8101, 9, 9600] {
            line.offer(&to(port), ms(0));
        }
        assert_eq!(line.due(ms(100)), Some(&to(8000)[..]));
        let tally = line.tally();
        assert_eq!(
            (tally.payload, tally.clients[0], tally.clients[1]),
            (5 * 948, 2 * 948, 948)
        );
        assert_eq!(tally.clients[2..], [0; MOST_CLIENTS - 2]);
    }

    #[test]
    fn the_queue_is_what_has_not_left_the_bottleneck() {
        let mut line = line(LINK);
        for _ in 0..11 {
            line.offer(&packet(948, 0), ms(0));
        }
        let tally = Tally {
            full: 1,
            packets: 10,
            waited: 45_000,
            ..Tally::default()
        };
        assert_eq!(line.tally(), tally, "the eleventh finds no room");
        // Nothing has arrived yet, but three are on their way.
        assert_eq!(line.due(ms(3)), None);
        assert_eq!(line.tally().payload, 3 * 948);
        for _ in 0..4 {
            line.offer(&packet(948, 0), ms(3));
        }
        assert_eq!(line.tally().full, 2, "there was room for three");
    }

    #[test]
    fn an_idle_bottleneck_saves_nothing_up() {
        let mut line = line(LINK);
        line.offer(&packet(948, 0), ms(0));
        line.offer(&packet(948, 0), ms(500));
        assert_eq!(line.packets[1].leaves, ms(501));
    }

    #[test]
    fn loss_is_by_segment_and_on_the_way_up_only() {
        let link = Link {
            loss: 0.001,
            queue: u64::MAX,
            ..LINK
        };
        let mut line = line(link);
        for _ in 0..10_000 {
            line.offer(&packet(40_000, 1000), ms(0));
        }
        // 1 - 0.999^40 is 3.9 %; five standard deviations are 1 %.
        let lost = line.tally().lost;
        assert!((290..490).contains(&lost), "{lost}");
        let back = Line::down(&link, fastrand::Rng::with_seed(1));
        assert_eq!(back.loss, 0.0);
    }

    #[test]
    fn a_link_that_halves_takes_twice_as_long_for_a_while() {
        let link = Link {
            weather: Weather::Halves,
            ..LINK
        };
        for (at, takes) in [(19_000, 1), (20_000, 2), (39_999, 2), (40_000, 1)] {
            let mut line = line(link);
            line.offer(&packet(948, 0), ms(at));
            assert_eq!(line.arrival(), Some(ms(at + takes + 50)), "{at}");
        }
        let best = |from, until| link.best_of(ms(from), ms(until)) / link.best();
        assert!((best(10_000, 30_000) - 15.0).abs() < 1e-6);
    }

    #[test]
    fn what_comes_in_the_silence_waits_and_most_of_it_finds_no_room() {
        let mut line = line(Link {
            weather: Weather::Silence,
            ..LINK
        });
        for second in 20..50 {
            line.offer(&packet(948, 0), ms(second * 1000));
        }
        assert_eq!((line.tally().full, line.tally().packets), (20, 10));
        assert_eq!(line.arrival(), Some(ms(60_051)));
    }

    #[test]
    fn jitter_makes_late_and_keeps_the_order() {
        for (weather, at_most, at_least) in [(Weather::Jitter, 0, 0), (Weather::SlowJitter, 75, 60)]
        {
            let mut line = line(Link { weather, ..LINK });
            let (mut last, mut same) = (ms(0), 0);
            for step in 0..100 {
                line.offer(&packet(948, 0), ms(step * 5));
                let arrives = line.packets.back().expect("there is room").arrives;
                assert!(arrives >= last.max(ms(step * 5 + 51)));
                assert!(arrives <= ms(step * 5 + 51 + 25));
                same += usize::from(arrives - last == ms(5));
                last = arrives;
            }
            assert!((at_least..=at_most).contains(&same), "{weather:?}: {same}");
        }
    }

    #[test]
    fn the_wait_in_the_queue_is_counted() {
        let mut line = line(LINK);
        for _ in 0..3 {
            line.offer(&packet(948, 0), ms(0));
        }
        assert_eq!(line.tally().waited, 3_000, "0, 1 and 2 ms");
    }

    #[test]
    fn what_is_no_tcp_is_carried_and_not_counted() {
        for bytes in [&[][..], &[0; 10], &[0x60; 58], &[0x45; 12]] {
            let size = Size::of(bytes);
            assert_eq!((size.segments, size.payload), (1, 0));
        }
    }

    fn line(link: Link) -> Line {
        Line::up(&link, fastrand::Rng::with_seed(1))
    }

    /// TCP over IPv4 with timestamps: 52 bytes of headers, as the kernel hands it over.
    fn packet(payload: usize, segment: u16) -> Vec<u8> {
        let mut bytes = vec![0; OFFLOAD_HEADER + 52 + payload];
        bytes[1] = u8::from(segment > 0);
        bytes[4..6].copy_from_slice(&segment.to_ne_bytes());
        bytes[OFFLOAD_HEADER] = 0x45;
        bytes[OFFLOAD_HEADER + 9] = 6;
        bytes[OFFLOAD_HEADER + 20 + 12] = 8 << 4;
        bytes
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }
}
