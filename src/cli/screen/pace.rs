//! How fast a run goes, and how long it still takes. In: its counters, now and then. Out: bytes per
//! second of the last ten seconds, and the longest of what is left to hash, to send and to call. Never: a
//! number before it is known.

use std::collections::VecDeque;
use std::time::Duration;

use panup::{Held, Snapshot};

/// The run's counters over the last ten seconds.
#[derive(Debug, Default)]
pub struct Pace {
    marks: VecDeque<Mark>,
    now: Option<Snapshot>,
    /// When the first bytes had left, and how many, if they have.
    sending: Option<(Duration, u64)>,
    /// Bytes per second, as long as there were bytes to send.
    steady: Option<f64>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Since the run began.
    at: Duration,
    /// Bytes that went further than into sockets that had room.
    sent: u64,
    hashed: u64,
    files_done: u64,
    held_by_calls: bool,
}

impl Pace {
    /// Takes the counters as they are `at` so long after the run's begin.
    pub fn note(&mut self, at: Duration, now: &Snapshot) {
        self.now = Some(*now);
        let sent = now.sent.saturating_sub(now.in_sockets);
        if now.sent > 0 && self.sending.is_none() {
            self.sending = Some((at, sent));
        }
        if self.marks.back().is_some_and(|last| at < last.at + STEP) {
            return;
        }
        self.marks.push_back(Mark {
            at,
            sent,
            hashed: now.hashed,
            files_done: now.files_done,
            held_by_calls: now.held == Some(Held::CallRate),
        });
        // One that is older than the window is its begin.
        while self.marks.get(1).is_some_and(|next| at >= next.at + WINDOW) {
            self.marks.pop_front();
        }
        if left_to_take(now) > dregs(now) || self.steady.is_none() {
            self.steady = self.measured();
        }
    }

    /// Content bytes per second on the wire; `None` until it can be told. What sockets hold still arrives
    /// when they have taken everything, at the speed at which the rest went.
    pub fn speed(&self) -> Option<f64> {
        self.steady
    }

    fn measured(&self) -> Option<f64> {
        let (sending, last) = (self.sending?.0, self.marks.back()?);
        let first = self.marks.iter().find(|mark| mark.at >= sending)?;
        let mean = rate(first, last)?;
        if last.at.saturating_sub(sending) > WINDOW + SETTLED {
            return Some(mean);
        }
        // Sockets that are filled take bytes faster than the link carries them: what went much faster than
        // it goes now is left out.
        let lately = self.marks.iter().find(|mark| mark.at + LATELY >= last.at)?;
        let Some(now) = rate(lately, last).filter(|&now| now > mean / 4.0) else {
            return Some(mean);
        };
        let is_filling = |mark: &Mark| {
            let later = self.marks.iter().find(|other| other.at >= mark.at + SHORT);
            later
                .and_then(|later| rate(mark, later))
                .is_some_and(|then| then > 1.3 * now)
        };
        let mut steady = self
            .marks
            .iter()
            .skip_while(|mark| mark.at < sending || is_filling(mark));
        let steady = steady.next().and_then(|first| rate(first, last));
        Some(steady.unwrap_or(now))
    }

    /// Bytes that sockets hold, as far as can be told: what they took above the speed of the link, and what
    /// the link carries from a body's last byte to its answer.
    fn held_by_sockets(&self, now: &Snapshot) -> u64 {
        let (Some((sending, before)), Some(speed), Some(last)) =
            (self.sending, self.speed(), self.marks.back())
        else {
            return 0;
        };
        let carried = speed * last.at.saturating_sub(sending).as_secs_f64();
        let carried = before + carried as u64;
        let excess = match left_to_take(now) {
            // Nothing fills them any more, and they run dry.
            0 => now.sent.saturating_sub(carried),
            _ => now.in_sockets + (now.sent - now.in_sockets.min(now.sent)).saturating_sub(carried),
        };
        let excess = excess.min(now.in_flight as u64 * SOCKET);
        let answering = speed * now.answering.unwrap_or_default().as_secs_f64();
        excess.max(answering as u64).min(now.on_wire)
    }

    /// Bytes hashed per second.
    pub fn hashing(&self) -> Option<f64> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        per_second(last.at - first.at, last.hashed.saturating_sub(first.hashed))
    }

    /// Files per second that end.
    fn files(&self) -> Option<f64> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let ended = last.files_done - first.files_done;
        per_second(last.at - first.at, ended).filter(|_| ended >= FEWEST)
    }

    /// The time that is left: the longest of what is to be hashed, sent and called for. `None` until it is
    /// known, and while nothing is left but what cannot be told.
    pub fn left(&self) -> Option<Duration> {
        let now = self.now.as_ref()?;
        // What the service verifies waits for no call's turn, and how long that takes cannot be told.
        let verified = now.files_done + now.verifying as u64;
        let files = now.files.saturating_sub(verified);
        if files == 0 || !self.is_settled(now) {
            return None;
        }
        let bytes = left_to_take(now) + self.held_by_sockets(now);
        let sending = match bytes {
            0 => None,
            _ => Some(bytes as f64 / self.speed().filter(|&speed| speed > 0.0)?),
        };
        let to_hash = now.bytes.saturating_sub(now.failed + now.hashed);
        let hashing = self.hashing().filter(|&speed| speed > 0.0);
        let hashing = hashing.map(|speed| to_hash as f64 / speed);
        let calls = self.calls(now).map(|rate| files as f64 / rate);
        let parts = [sending, hashing, calls].into_iter().flatten();
        let longest = parts.fold(0.0, f64::max);
        Duration::try_from_secs_f64(longest)
            .ok()
            .filter(|left| *left >= LEAST)
    }

    /// The link's speed is known: sockets have had time to fill, or what they hold is little beside what
    /// arrived.
    fn is_settled(&self, now: &Snapshot) -> bool {
        let (Some((sending, _)), Some(last)) = (self.sending, self.marks.back()) else {
            return left_to_take(now) == 0;
        };
        let arrived = now.sent.saturating_sub(now.on_wire);
        last.at.saturating_sub(sending) >= SETTLED || arrived >= now.on_wire
    }

    /// Calls per second, as far as they matter: those that were made, where the run was held by them; those
    /// that are granted otherwise.
    fn calls(&self, now: &Snapshot) -> Option<f64> {
        let held = self.marks.iter().filter(|mark| mark.held_by_calls).count();
        let mostly = held * 2 >= self.marks.len();
        let made = self.files().filter(|_| mostly);
        made.or(now.call_rate).filter(|&rate| rate > 0.0)
    }
}

/// So little is left that sockets run dry one by one: how fast they take it says nothing of the link.
fn dregs(now: &Snapshot) -> u64 {
    (now.in_flight as u64 * SOCKET).min(now.bytes / 8)
}

/// Bytes that no socket has taken yet. What failed is not waited for.
fn left_to_take(now: &Snapshot) -> u64 {
    let gone = now.failed + now.acked + now.on_wire;
    now.bytes.saturating_sub(gone)
}

fn rate(first: &Mark, last: &Mark) -> Option<f64> {
    per_second(last.at - first.at, last.sent.saturating_sub(first.sent))
}

fn per_second(time: Duration, amount: u64) -> Option<f64> {
    (time >= SHORT).then(|| amount as f64 / time.as_secs_f64())
}

/// Over so long a rate is worked out.
const WINDOW: Duration = Duration::from_secs(10);
/// Nothing is said of less.
const SHORT: Duration = Duration::from_secs(1);
/// Over so long the present rate is worked out.
const LATELY: Duration = Duration::from_millis(1500);
/// Sockets are full by then.
const SETTLED: Duration = Duration::from_secs(4);
/// What a socket holds at most, as systems have it.
const SOCKET: u64 = 4 << 20;
/// Between two marks.
const STEP: Duration = Duration::from_millis(100);
/// A rate of fewer files is chance.
const FEWEST: u64 = 5;
/// Less is as good as over.
const LEAST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `files` of `size` bytes each, over a link of `link` bytes per second and `calls` files per
    /// second, whichever is slower, `hashed` at once.
    struct Simulated {
        files: u64,
        size: u64,
        link: f64,
        calls: f64,
        /// The service acknowledges slices of this size.
        slice: u64,
        /// Bodies in flight, whose sockets each hold 3 MB.
        bodies: usize,
    }

    impl Simulated {
        fn seconds(&self) -> f64 {
            let link = (self.files * self.size) as f64 / self.link;
            link.max(self.files as f64 / self.calls)
        }

        fn at(&self, seconds: f64) -> Snapshot {
            let mut now = Snapshot::default();
            let total = self.files * self.size;
            let share = (seconds / self.seconds()).min(1.0);
            let arrived = (total as f64 * share) as u64;
            // Filled at twice the speed of the link, as on loopback.
            let room = self.bodies as u64 * 3_000_000;
            let fills = (seconds * 2.0 * self.link) as u64;
            let sent = (arrived + room.min(fills)).min(total);
            now.files = self.files;
            now.bytes = total;
            now.hashed = total;
            now.sent = sent;
            // All bodies go side by side.
            let round = self.slice * self.bodies.max(1) as u64;
            now.acked = match arrived == total {
                true => total,
                false => arrived / round * round,
            };
            now.on_wire = sent - now.acked;
            now.in_flight = self.bodies;
            now.files_done = now.acked / self.size;
            now.is_listed = true;
            let by_calls = self.files as f64 / self.calls >= total as f64 / self.link;
            now.held = Some(if by_calls { Held::CallRate } else { Held::Link });
            now.call_rate = by_calls.then_some(self.calls);
            now
        }
    }

    /// The estimate at each hundredth from the tenth on, against what it took.
    fn off(run: &Simulated) -> f64 {
        let (mut pace, mut worst, mut told) = (Pace::default(), 0.0_f64, 0);
        let end = run.seconds();
        let steps = (end * 10.0) as u32;
        for step in 0..steps {
            let at = f64::from(step) / 10.0;
            pace.note(Duration::from_secs_f64(at), &run.at(at));
            let share = at / end;
            if !(0.1..0.97).contains(&share) {
                continue;
            }
            if let Some(left) = pace.left() {
                told += 1;
                // A second is as good as exact.
                let wrong = (left.as_secs_f64() - (end - at)).abs();
                let wrong = if wrong < 1.0 { 0.0 } else { wrong };
                worst = worst.max(wrong / (end - at));
            }
        }
        assert!(told * 2 > steps, "told {told} times in {steps}");
        worst
    }

    #[test]
    fn after_a_tenth_the_time_left_is_right_within_a_fifth() {
        const M: u64 = 1 << 20;
        let runs = [
            ("one file", 1, 1024 * M, 38e6, 1e9, 16 * M, 4),
            ("one file, many sockets", 1, 4096 * M, 38e6, 1e9, 16 * M, 64),
            ("ten large files", 10, 300 * M, 30e6, 25.0, 16 * M, 8),
            (
                "small files at the call rate",
                3000,
                7000,
                1e9,
                25.0,
                7000,
                0,
            ),
            ("small ones at five a second", 500, 8192, 1e9, 5.0, 8192, 0),
            (
                "files that the link holds",
                1000,
                10 * M,
                100e6,
                80.0,
                10 * M,
                8,
            ),
        ];
        for (name, files, size, link, calls, slice, bodies) in runs {
            let run = Simulated {
                files,
                size,
                link,
                calls,
                slice,
                bodies,
            };
            let off = off(&run);
            assert!(off < 0.2, "{name}: {:.0} % off", off * 100.0);
        }
    }

    /// Three megabytes go into each socket at once, and more and more bodies join.
    #[test]
    fn bodies_that_join_do_not_make_the_link_faster() {
        const SOCKETS: u64 = 3_000_000;
        let (mut pace, mut now) = (Pace::default(), Snapshot::default());
        (now.files, now.bytes, now.hashed, now.is_listed) = (1, 1_200_000_000, 1_200_000_000, true);
        let (mut worst, mut told) = (0.0_f64, 0);
        for tenth in 1..300 {
            // 40 MB a second arrive; in ten seconds there are 44 bodies.
            now.in_flight = 4 + tenth.min(100) * 40 / 100;
            now.in_sockets = now.in_flight as u64 * SOCKETS;
            now.sent = (tenth as u64 * 4_000_000 + now.in_sockets).min(now.bytes);
            now.on_wire = now.sent.min(500_000_000);
            now.acked = now.sent - now.on_wire;
            pace.note(Duration::from_millis(tenth as u64 * 100), &now);
            if let Some(left) = pace.left().filter(|_| (30..280).contains(&tenth)) {
                told += 1;
                let right = (300 - tenth) as f64 / 10.0;
                let wrong = (left.as_secs_f64() - right).abs();
                worst = worst.max(if wrong < 1.0 { 0.0 } else { wrong / right });
            }
        }
        assert!(told > 200, "told {told} times");
        assert!(worst < 0.2, "{:.0} % off", worst * 100.0);
    }

    #[test]
    fn what_is_verified_waits_for_no_call() {
        let (mut pace, mut now) = (Pace::default(), Snapshot::default());
        (now.files, now.files_done, now.call_rate) = (40, 20, Some(4.0));
        now.verifying = 20;
        (0..50).for_each(|tenth| pace.note(Duration::from_millis(tenth * 100), &now));
        assert_eq!(pace.left(), None, "nobody can tell");
        now.verifying = 10;
        pace.note(Duration::from_secs(5), &now);
        assert_eq!(pace.left(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn nothing_is_said_before_it_is_known() {
        let mut pace = Pace::default();
        assert_eq!((pace.speed(), pace.left()), (None, None));
        let mut now = Snapshot::default();
        (now.files, now.bytes) = (1, 1 << 30);
        for tenth in 0..100 {
            // Ten seconds of hashing.
            now.hashed += (1 << 30) / 100;
            pace.note(Duration::from_millis(tenth * 100), &now);
            assert_eq!((pace.speed(), pace.left()), (None, None), "{tenth}");
        }
    }

    #[test]
    fn what_is_there_already_is_no_speed_and_what_failed_is_not_waited_for() {
        let mut now = Snapshot::default();
        (now.files, now.bytes, now.hashed) = (3, 300 << 20, 300 << 20);
        // An earlier run's.
        now.acked = 100 << 20;
        let mut pace = Pace::default();
        for tenth in 0..50 {
            now.sent += 1 << 20;
            now.acked += 1 << 20;
            pace.note(Duration::from_millis(tenth * 100), &now);
        }
        let speed = pace.speed().expect("known") / f64::from(1 << 20);
        assert!((9.9..10.1).contains(&speed), "{speed}");
        let left = |pace: &Pace| pace.left().expect("known").as_secs_f64();
        assert!((14.5..15.5).contains(&left(&pace)), "{}", left(&pace));
        (now.failed, now.files_done) = (100 << 20, 1);
        pace.note(Duration::from_secs(5), &now);
        assert!((4.5..5.5).contains(&left(&pace)), "{}", left(&pace));
    }

    #[test]
    fn the_window_is_ten_seconds() {
        let (mut pace, mut now) = (Pace::default(), Snapshot::default());
        (now.files, now.bytes) = (1, 1 << 40);
        for tenth in 0..600 {
            now.sent += if tenth < 300 { 10 << 20 } else { 1 << 20 };
            pace.note(Duration::from_millis(tenth * 100), &now);
        }
        let speed = pace.speed().expect("known") / f64::from(1 << 20);
        assert!((9.9..10.1).contains(&speed), "{speed}");
        assert!(pace.marks.len() < 120, "bounded");
    }
}
