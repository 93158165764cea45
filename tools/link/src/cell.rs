//! One measurement: one link, one setting. In comes what shall be measured, out goes what went
//! through the link second by second. It never counts what happens after the time is up.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::args::{AUTO, SETTLED, Setting, Span};
use crate::panup::{Emulator, FAREWELL, Panup, Process};
use crate::pump::Pump;
use crate::rival::Rival;
use crate::stop::Stop;
use crate::tun::Net;
use crate::wire::{Link, Tally};

/// What one cell has shown.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The mean share of the link from `SETTLED` on.
    pub settled: f64,
    /// The same before.
    pub before: f64,
    /// Slices that did not arrive whole.
    pub retries: u64,
    /// What the link dropped.
    pub tally: Tally,
    /// Milliseconds that packets waited in the queue, in the mean, from `SETTLED` on.
    pub wait: f64,
    /// Seconds until the link was used again after it had changed, at the worst; `None` where it did not
    /// change, or was not used again.
    pub back: Option<u64>,
    /// Each second.
    pub seconds: Vec<Second>,
    /// The rival's share from `SETTLED` on; the other shares are of both.
    pub rival: Option<f64>,
    /// What each client had of the link since the last one should have found its pace.
    pub clients: Vec<f64>,
    /// What was seen before the rival came, beside it, and after it had gone.
    pub phases: Vec<Phase>,
    /// Whether it went before the end.
    pub rival_goes: bool,
    /// Processes that wanted a processor at the end, in the mean of a minute.
    pub load: f64,
}

/// What one second has shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// The share of the link, of both.
    pub share: f64,
    /// The rival's.
    pub rival: f64,
    /// Milliseconds that packets waited in the queue.
    pub wait: f64,
}

/// Some seconds with a rival, or without.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Which seconds.
    pub seconds: Range<u64>,
    /// Our share of the link, and the rival's.
    pub shares: (f64, f64),
    /// Milliseconds that packets waited in the queue, in the mean.
    pub wait: f64,
    /// The share of packets that waited for longer than anybody likes.
    pub late: f64,
}

/// What had gone through at the beginning and after every second, with the moment.
type Counts = Vec<(Duration, Tally)>;

/// The rival while it is there, and what has arrived of it.
struct Guest<'a> {
    net: &'a Net,
    span: Option<Span>,
    rival: Option<Rival>,
    arrived: u64,
}

impl Guest<'_> {
    /// Comes or goes at this second; what has arrived of it by now.
    fn at(&mut self, second: u64) -> io::Result<u64> {
        let Some(span) = self.span else { return Ok(0) };
        let arrived = self.rival.as_ref().map_or(self.arrived, Rival::arrived);
        if span.from == second {
            self.rival = Some(Rival::start(self.net)?);
        }
        if span.until == Some(second) {
            (self.arrived, self.rival) = (arrived, None);
        }
        Ok(arrived)
    }
}

/// The clients, of which each begins when it is its turn.
struct Uploads<'a> {
    bench: &'a Bench,
    net: &'a Net,
    how: (Setting, &'a str),
    emulators: Vec<Emulator>,
    running: Vec<Process>,
}

impl Uploads<'_> {
    /// Those whose turn it is by this second begin.
    fn at(&mut self, second: u64) -> io::Result<()> {
        while let Some(emulator) = self.emulators.get(self.running.len())
            && self.running.len() as u64 * self.bench.late <= second
        {
            let side = Some((&self.net.client, self.running.len() as u16));
            let client = self.bench.panup.upload(side, emulator, self.how)?;
            self.running.push(client);
        }
        Ok(())
    }
}

/// What every cell is measured by.
pub struct Bench {
    /// The program.
    pub panup: Panup,
    /// TCP's congestion control.
    pub congestion: String,
    /// For how long the same upload has run before.
    pub known: Option<u64>,
    /// Clients at the same time.
    pub clients: u16,
    /// How many seconds each of them begins after the one before.
    pub late: u64,
    /// When another connection shares the link.
    pub rival: Option<Span>,
    /// Whether to stop here.
    pub stop: Stop,
}

impl Bench {
    /// Uploads the file once, on loopback, so that the journal knows its MD5s.
    ///
    /// # Errors
    /// Where that fails.
    pub fn learn(&self) -> io::Result<()> {
        let emulator = self.panup.emulator(None)?;
        let mut client = self.panup.upload(None, &emulator, (Setting::Auto, AUTO))?;
        while !client.ended()? {
            self.stop.nap(BEAT)?;
        }
        self.panup.keep()
    }

    /// Measures one cell.
    ///
    /// # Errors
    /// `Interrupted`, or `Unsupported` by this machine; anything else is this cell's own failure.
    pub fn measure(&self, link: Link, how: (Setting, &str), seconds: u64) -> io::Result<Outcome> {
        self.panup.unlearn()?;
        if let Some(before) = self.known {
            self.once(link, how, before.max(SETTLED + 1))?;
            self.panup.forget()?;
        }
        self.once(link, how, seconds)
    }

    /// How long the whole file takes, from the start of the program to its end.
    ///
    /// # Errors
    /// As [`Bench::measure`].
    pub fn whole(&self, link: Link, how: (Setting, &str)) -> io::Result<Duration> {
        self.panup.unlearn()?;
        let (net, devices) = Net::create(&self.congestion)?;
        let mut pump = Pump::start(devices, link)?;
        let emulator = self.panup.emulator(Some((&net.server, 0)))?;
        let began = Instant::now();
        let side = Some((&net.client, 0));
        let mut client = self.panup.upload(side, &emulator, how)?;
        while !client.ended()? {
            self.stop.nap(SHORT_BEAT)?;
            pump.check()?;
        }
        let took = began.elapsed();
        drop(emulator);
        Ok(took)
    }

    fn once(&self, link: Link, how: (Setting, &str), seconds: u64) -> io::Result<Outcome> {
        // What comes later goes first: processes, then the link, then the namespaces.
        let (net, devices) = Net::create(&self.congestion)?;
        let mut pump = Pump::start(devices, link)?;
        let present = if how.0 == Setting::None {
            0
        } else {
            self.clients
        };
        let mut uploads = Uploads {
            bench: self,
            net: &net,
            how,
            emulators: Vec::new(),
            running: Vec::new(),
        };
        for number in 0..present {
            let emulator = self.panup.emulator(Some((&net.server, number)))?;
            uploads.emulators.push(emulator);
        }
        uploads.at(0)?;
        let mut guest = Guest {
            net: &net,
            span: self.rival,
            rival: None,
            arrived: 0,
        };
        let (counts, arrived) = self.watch((&mut uploads, &mut guest), &mut pump, seconds)?;
        drop(guest);
        let tally = pump.tally();
        // First, because what the client breaks off is no retry.
        uploads.emulators.into_iter().for_each(Emulator::stop);
        for client in &mut uploads.running {
            client.interrupt(FAREWELL);
        }
        Ok(Outcome {
            settled: share(&counts, SETTLED..seconds, &link),
            before: share(&counts, 0..SETTLED, &link),
            retries: self.panup.retries(present)?,
            tally,
            wait: wait(&counts[SETTLED as usize].1, &tally),
            back: back(&counts, &link, self.rival),
            seconds: (0..seconds)
                .map(|second| {
                    let phase = phase((&counts, &arrived), second..second + 1, &link);
                    Second {
                        share: phase.shares.0 + phase.shares.1,
                        rival: phase.shares.1,
                        wait: phase.wait,
                    }
                })
                .collect(),
            rival: self
                .rival
                .map(|_| phase((&counts, &arrived), SETTLED..seconds, &link).shares.1),
            clients: (0..usize::from(present))
                .map(|client| {
                    part(&counts, self.all_settled()..seconds, &link, |tally| {
                        tally.clients[client]
                    })
                })
                .collect(),
            phases: phases(self.rival, seconds)
                .into_iter()
                .map(|seconds| phase((&counts, &arrived), seconds, &link))
                .collect(),
            rival_goes: self.rival.is_some_and(|rival| rival.until.is_some()),
            load: load(),
        })
    }

    /// From which second on the last client should have found its pace.
    fn all_settled(&self) -> u64 {
        u64::from(self.clients - 1) * self.late + SETTLED
    }

    /// The link's counts, and what had arrived of the rival's at the same moments.
    fn watch(
        &self,
        (uploads, guest): (&mut Uploads<'_>, &mut Guest<'_>),
        pump: &mut Pump,
        seconds: u64,
    ) -> io::Result<(Counts, Vec<u64>)> {
        let began = Instant::now();
        let (mut counts, mut arrived) = (Vec::new(), Vec::new());
        for second in 0..=seconds {
            let end = Duration::from_secs(second);
            while let Some(left) = end
                .checked_sub(began.elapsed())
                .filter(|left| !left.is_zero())
            {
                self.stop.nap(left.min(BEAT))?;
                pump.check()?;
                for client in &mut uploads.running {
                    if client.ended()? {
                        return Err(io::Error::other(format!(
                            "the file had gone after {} s: it wants a larger --file-gib",
                            began.elapsed().as_secs()
                        )));
                    }
                }
            }
            counts.push((began.elapsed(), pump.tally()));
            arrived.push(guest.at(second)?);
            uploads.at(second)?;
        }
        Ok((counts, arrived))
    }
}

/// Whether the cells to come would fail as this one did.
pub fn ends_all(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, Unsupported};
    matches!(error.kind(), Interrupted | Unsupported)
}

/// What `/proc/loadavg` says of the last minute: a row of a busy machine is worth less.
pub fn load() -> f64 {
    let said = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = said.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// The part of what the link could carry between two seconds.
fn share(counts: &[(Duration, Tally)], seconds: Range<u64>, link: &Link) -> f64 {
    part(counts, seconds, link, |tally| tally.payload)
}

/// The same of what `bytes` counts.
fn part(
    counts: &[(Duration, Tally)],
    seconds: Range<u64>,
    link: &Link,
    bytes: impl Fn(&Tally) -> u64,
) -> f64 {
    let (began, first) = counts[seconds.start as usize];
    let (ended, last) = counts[seconds.end as usize];
    (bytes(&last) - bytes(&first)) as f64 / link.best_of(began, ended).max(1.0)
}

/// How long packets waited in the queue between two moments, in milliseconds.
fn wait(before: &Tally, after: &Tally) -> f64 {
    let packets = (after.packets - before.packets).max(1);
    (after.waited - before.waited) as f64 / packets as f64 / 1000.0
}

/// What some seconds have shown.
fn phase(
    (counts, arrived): (&[(Duration, Tally)], &[u64]),
    seconds: Range<u64>,
    link: &Link,
) -> Phase {
    let (from, until) = (seconds.start as usize, seconds.end as usize);
    let ((began, first), (ended, last)) = (counts[from], counts[until]);
    let best = link.best_of(began, ended).max(1.0);
    let theirs = (arrived[until] - arrived[from]) as f64 / best;
    let packets = (last.packets - first.packets).max(1) as f64;
    Phase {
        shares: (share(counts, seconds.clone(), link) - theirs, theirs),
        seconds,
        wait: wait(&first, &last),
        late: (last.late - first.late) as f64 / packets,
    }
}

/// Before a rival, beside it and after it, without the seconds in which all find their pace.
fn phases(rival: Option<Span>, seconds: u64) -> Vec<Range<u64>> {
    let Some(Span { from, until }) = rival else {
        return Vec::new();
    };
    let until = until.unwrap_or(seconds);
    let phases = [(0, from), (from, until), (until, seconds)];
    let settled = phases.map(|(from, until)| from + FINDS_PACE..until.min(seconds));
    settled
        .into_iter()
        .filter(|phase| !phase.is_empty())
        .collect()
}

/// After how many seconds the link was used again, after the worst of its changes, or the rival's end.
fn back(counts: &[(Duration, Tally)], link: &Link, rival: Option<Span>) -> Option<u64> {
    let last = counts.len() as u64 - 1;
    let end = rival.and_then(|rival| rival.until);
    let changes: Vec<u64> = link.weather.changes().iter().copied().chain(end).collect();
    let after = |change: u64| {
        let used = |from: &u64| share(counts, *from..*from + USED_FOR, link) >= USED;
        let from = (change..=last.saturating_sub(USED_FOR)).find(used)?;
        Some(from - change)
    };
    let each: Option<Vec<u64>> = changes.into_iter().map(after).collect();
    each?.into_iter().max()
}

/// Seconds that are left out of a [`Phase`].
const FINDS_PACE: u64 = 5;

/// A link is used where three seconds have nine tenths of what it carries.
const USED_FOR: u64 = 3;
const USED: f64 = 0.9;

/// How often it looks whether all goes on.
const BEAT: Duration = Duration::from_millis(50);

/// The same where the end is what is measured.
const SHORT_BEAT: Duration = Duration::from_millis(2);
