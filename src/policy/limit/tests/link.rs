//! A model of a link, for tests only: fluid flows that share a bandwidth, step by step. In: how
//! many slices may be in flight. Out: acknowledgements, failures and bytes, with their times.
//! Never: a real clock; the same run gives the same curve everywhere.

use std::time::{Duration, Instant};

use super::Queued;

/// What the link can do at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Bytes per second over everything.
    pub(super) bandwidth: f64,
    /// Seconds for a round trip.
    pub(super) rtt: f64,
    /// Bytes that one connection may have on the way.
    pub(super) window: f64,
    /// Bytes that may queue before the bottleneck; what TCP has on its way fills it.
    pub(super) queue: f64,
    /// Above so many at once each further one costs 1 % of the bandwidth.
    pub(super) knee: usize,
    /// Bytes of a slice.
    pub(super) slice: u64,
    /// Every so many-th slice is reset half-way; 0: none.
    pub(super) resets: u64,
    /// Above so many at once a slice is refused with 429.
    pub(super) refuses_above: usize,
    /// Of each connection's packets every so many-th is lost; 0: none.
    pub(super) losses: u64,
    /// The most that a socket buffers before what was sent has arrived.
    pub(super) socket: f64,
    /// Every so many-th connection goes to a server that is slow; 0: none.
    pub(super) slow_servers: usize,
}

impl Link {
    pub(super) fn new(megabits: f64, rtt_ms: f64) -> Self {
        Link {
            bandwidth: megabits * 125_000.0,
            rtt: rtt_ms / 1000.0,
            window: 4_194_304.0,
            queue: 2_097_152.0,
            knee: usize::MAX,
            slice: 16_777_216,
            resets: 0,
            refuses_above: usize::MAX,
            losses: 0,
            socket: SOCKET,
            slow_servers: 0,
        }
    }

    /// What one of `sending` connections may have on its way: TCP fills twice the path and the
    /// queue, in equal parts.
    fn window(&self, sending: usize) -> f64 {
        let path = 2.0 * self.bandwidth * self.rtt + self.queue;
        self.window.min(path / sending.max(1) as f64)
    }

    /// Bytes per second that the server of connection `index` takes.
    fn server_takes(&self, index: usize) -> f64 {
        let slow = self.slow_servers > 0 && (index + 1).is_multiple_of(self.slow_servers);
        if slow { SLOW_SERVER } else { f64::INFINITY }
    }

    fn effective(&self, flows: usize) -> f64 {
        let over = flows.saturating_sub(self.knee) as f64;
        self.bandwidth * (1.0 - 0.01 * over).max(0.3)
    }
}

/// What the link reports to the sender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum News {
    Acked {
        bytes: u64,
        took: Duration,
    },
    Refused,
    Reset,
    /// Not arrived within the gateway's 60 s.
    TimedOut,
    Progress {
        /// What sockets took.
        total: u64,
        /// What has gone through the link.
        arrived: u64,
    },
}

impl News {
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, News::Refused | News::Reset | News::TimedOut)
    }
}

/// A run of the model.
#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    begin: Instant,
    steps: u64,
    flows: Vec<Flow>,
    begun: u64,
    /// Bytes through the link, in all.
    pub(super) delivered: f64,
    handed: f64,
    /// Packets lost by chance, and the seconds at which the last one was while nothing waited.
    lost: u64,
    lost_at: f64,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    stage: Stage,
    window: f64,
    size: f64,
    sent: f64,
    handed: f64,
    began: f64,
    resets: bool,
    /// Packets until the next is lost.
    lucky: f64,
    chance: u64,
    growth: Growth,
}

/// How a connection's window grows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Growth {
    /// Twice as much each round trip, until something is lost.
    SlowStart,
    /// As CUBIC does after a loss: quickly to what was carried before it, and slowly beyond.
    Cubic { back_at: f64, peak: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Idle,
    Opening { until: f64 },
    Sending,
    Waiting { until: f64 },
}

impl World {
    /// Each `seed` has its own losses.
    pub(super) fn new(seed: u64) -> Self {
        World {
            seed,
            begin: Instant::now(),
            steps: 0,
            flows: Vec::new(),
            begun: 0,
            delivered: 0.0,
            handed: 0.0,
            lost: 0,
            lost_at: f64::NEG_INFINITY,
        }
    }

    pub(super) fn begin(&self) -> Instant {
        self.begin
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.steps as f64 * STEP
    }

    pub(super) fn now(&self) -> Instant {
        self.begin + Duration::from_micros(self.steps * (STEP * 1e6) as u64)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flows
            .iter()
            .filter(|flow| flow.stage != Stage::Idle)
            .count()
    }

    /// Begins slices until `permits` are in flight; a connection that is idle is used again.
    pub(super) fn fill(&mut self, link: &Link, permits: usize) {
        for _ in self.in_flight()..permits {
            let now = self.seconds();
            self.begun += 1;
            let resets = link.resets > 0 && self.begun.is_multiple_of(link.resets);
            let index = match self.flows.iter().position(|flow| flow.stage == Stage::Idle) {
                Some(index) => index,
                None => {
                    self.flows.push(Flow::unopened());
                    self.flows.len() - 1
                }
            };
            let flow = &mut self.flows[index];
            flow.stage = match flow.window {
                0.0 => Stage::Opening {
                    until: now + 2.0 * link.rtt,
                },
                _ => Stage::Sending,
            };
            if flow.window == 0.0 {
                // Not all at once: connections lose each at its own time.
                flow.chance = index as u64 + 1 + self.seed * 1000;
                flow.lucky = flow.luck(link.losses as f64);
            }
            flow.window = flow.window.max(FIRST_WINDOW);
            (flow.size, flow.sent, flow.handed) = (link.slice as f64, 0.0, 0.0);
            (flow.began, flow.resets) = (now, resets);
        }
    }

    /// What connections see of the queue, and of packets that are lost without one.
    pub(super) fn queued(&mut self, link: &Link) -> Queued {
        let sending = (self.flows.iter()).filter(|flow| flow.stage == Stage::Sending);
        let on_its_way: f64 = sending.map(|flow| flow.window).sum();
        let waits = on_its_way > 1.1 * link.bandwidth * link.rtt;
        if std::mem::take(&mut self.lost) > 0 && !waits {
            self.lost_at = self.seconds();
        }
        match self.seconds() - self.lost_at < 5.0 {
            _ if waits => Queued::Seen,
            true => Queued::Losing,
            false => Queued::Not,
        }
    }

    /// Ends the newest until no more than `most` are in flight.
    pub(super) fn call_off(&mut self, most: usize) {
        let mut flying: Vec<&mut Flow> = self
            .flows
            .iter_mut()
            .filter(|flow| flow.stage != Stage::Idle)
            .collect();
        flying.sort_by(|one, other| one.began.total_cmp(&other.began));
        flying
            .into_iter()
            .skip(most)
            .for_each(|flow| *flow = Flow::unopened());
    }

    /// One step of time.
    pub(super) fn step(&mut self, link: &Link) -> Vec<News> {
        self.steps += 1;
        let now = self.seconds();
        self.send(link);
        let busy = self.in_flight();
        let mut news: Vec<News> = self
            .flows
            .iter_mut()
            .filter_map(|flow| flow.advance(link, now, busy))
            .collect();
        if self.steps.is_multiple_of(PROGRESS_EVERY) {
            news.push(News::Progress {
                total: self.handed as u64,
                arrived: self.delivered as u64,
            });
        }
        news
    }

    /// Shares the bandwidth evenly among those that send, none above its window's pace.
    fn send(&mut self, link: &Link) {
        let mut left = link.effective(self.in_flight()) * STEP;
        let mut wish: Vec<(usize, f64)> = Vec::with_capacity(self.flows.len());
        for (index, flow) in self.flows.iter().enumerate() {
            if flow.stage == Stage::Sending {
                let pace = flow.window / link.rtt.max(STEP) * STEP;
                let pace = pace.min(link.server_takes(index) * STEP);
                wish.push((index, pace.min(flow.size - flow.sent)));
            }
        }
        let (now, window) = (self.seconds(), link.window(wish.len()));
        wish.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
        let mut waiting = wish.len();
        for (index, wished) in wish {
            let granted = wished.min(left / waiting as f64);
            waiting -= 1;
            left -= granted;
            self.delivered += granted;
            let before = self.flows[index].lucky;
            self.handed += self.flows[index].take(now, granted, (window, link));
            self.lost += u64::from(self.flows[index].lucky > before);
        }
    }
}

impl Flow {
    fn unopened() -> Self {
        Flow {
            stage: Stage::Idle,
            window: 0.0,
            size: 0.0,
            sent: 0.0,
            handed: 0.0,
            began: 0.0,
            resets: false,
            lucky: 0.0,
            chance: 0,
            growth: Growth::SlowStart,
        }
    }

    /// Sends `bytes`; returns how many more the socket has taken, which runs ahead of what arrived.
    fn take(&mut self, now: f64, bytes: f64, (window, link): (f64, &Link)) -> f64 {
        let losses = link.losses as f64;
        self.sent += bytes;
        self.window += match self.growth {
            Growth::SlowStart => bytes,
            Growth::Cubic { back_at, peak } => cubic(now - back_at, peak) - self.window,
        };
        self.window = self.window.clamp(FIRST_WINDOW, window.max(FIRST_WINDOW));
        self.lucky -= bytes / PACKET;
        if losses > 0.0 && self.lucky < 0.0 {
            self.lucky = self.luck(losses);
            let peak = match self.growth {
                // Less than before: others need the room.
                Growth::Cubic { peak, .. } if self.window < peak => self.window * 0.85,
                _ => self.window,
            };
            let back = (peak / PACKET * (1.0 - AFTER_LOSS) / CUBIC).cbrt();
            self.growth = Growth::Cubic {
                back_at: now + back,
                peak,
            };
            self.window = (self.window * AFTER_LOSS).max(FIRST_WINDOW);
        }
        // As much as the window needs, unless the system gives more at once.
        let buffer = if link.socket > SOCKET {
            link.socket
        } else {
            (2.0 * self.window).min(link.socket)
        };
        let ahead = (self.sent + buffer).min(self.size);
        let more = (ahead - self.handed).max(0.0);
        self.handed += more;
        more
    }

    /// Packets until the next loss, one of `losses` being lost by chance: the same chance in each run.
    fn luck(&mut self, losses: f64) -> f64 {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let uniform = ((self.chance >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        -uniform.ln() * losses
    }

    fn advance(&mut self, link: &Link, now: f64, busy: usize) -> Option<News> {
        let age = now - self.began;
        match self.stage {
            Stage::Idle => None,
            _ if age > 60.0 && self.sent < self.size => self.lost(News::TimedOut),
            Stage::Opening { until } if now >= until => {
                self.stage = Stage::Sending;
                None
            }
            Stage::Sending if self.resets && self.sent > self.size / 2.0 => self.lost(News::Reset),
            Stage::Sending if self.sent + 1.0 >= self.size => {
                self.stage = Stage::Waiting {
                    until: now + link.rtt,
                };
                None
            }
            Stage::Waiting { until } if now >= until => {
                self.stage = Stage::Idle;
                if busy > link.refuses_above {
                    return Some(News::Refused);
                }
                Some(News::Acked {
                    bytes: self.size as u64,
                    took: Duration::from_secs_f64(age),
                })
            }
            _ => None,
        }
    }

    fn lost(&mut self, news: News) -> Option<News> {
        *self = Flow::unopened();
        Some(news)
    }
}

/// The window of RFC 9438, `passed` seconds after it is back at the `peak` of its last loss.
fn cubic(passed: f64, peak: f64) -> f64 {
    peak + CUBIC * PACKET * passed * passed * passed
}

/// Packets per cubed second.
const CUBIC: f64 = 0.4;

/// Bytes per second of a slow server's connection.
const SLOW_SERVER: f64 = 500_000.0;

/// 5 ms: a quarter of the shortest round trip that matters.
const STEP: f64 = 0.005;

/// What Linux' `tcp_wmem` lets a socket buffer, what is on its way included.
const SOCKET: f64 = 4_194_304.0;

/// Bytes of a packet.
const PACKET: f64 = 1460.0;

/// What a loss leaves of a window.
const AFTER_LOSS: f64 = 0.7;

/// Ten packets, where TCP begins.
const FIRST_WINDOW: f64 = 14_600.0;

/// Every 100 ms the sockets are asked how much they took.
const PROGRESS_EVERY: u64 = 20;
