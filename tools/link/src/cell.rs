//! One measurement: one link, one setting. In comes what shall be measured, out goes what went
//! through the link second by second. It never counts what happens after the time is up.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::args::{SETTLED, Setting};
use crate::panup::{FAREWELL, Panup, Process};
use crate::pump::Pump;
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
}

/// What every cell is measured by.
pub struct Bench {
    /// The program.
    pub panup: Panup,
    /// TCP's congestion control.
    pub congestion: String,
    /// How long a cell lasts.
    pub seconds: u64,
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
        let mut client = self.panup.upload(None, &emulator, Setting::Auto)?;
        while !client.ended()? {
            self.stop.nap(BEAT)?;
        }
        Ok(())
    }

    /// Measures one cell.
    ///
    /// # Errors
    /// `Interrupted`, or `Unsupported` by this machine; anything else is this cell's own failure.
    pub fn measure(&self, link: Link, setting: Setting) -> io::Result<Outcome> {
        self.panup.forget()?;
        // What comes later goes first: processes, then the link, then the namespaces.
        let (net, devices) = Net::create(&self.congestion)?;
        let mut pump = Pump::start(devices, link)?;
        let emulator = self.panup.emulator(Some(&net.server))?;
        let mut client = self.panup.upload(Some(&net.client), &emulator, setting)?;
        let counts = self.watch(&mut client, &mut pump)?;
        let tally = pump.tally();
        // First, because what the client breaks off is no retry.
        emulator.stop();
        client.interrupt(FAREWELL);
        Ok(Outcome {
            settled: share(&counts, SETTLED..self.seconds, &link),
            before: share(&counts, 0..SETTLED, &link),
            retries: self.panup.retries()?,
            tally,
        })
    }

    /// Payload that had gone through at the beginning and after every second, with the moment.
    fn watch(&self, client: &mut Process, pump: &mut Pump) -> io::Result<Vec<(Duration, u64)>> {
        let began = Instant::now();
        let mut counts = Vec::new();
        for second in 0..=self.seconds {
            let end = Duration::from_secs(second);
            while let Some(left) = end
                .checked_sub(began.elapsed())
                .filter(|left| !left.is_zero())
            {
                self.stop.nap(left.min(BEAT))?;
                pump.check()?;
                if client.ended()? {
                    return Err(io::Error::other(format!(
                        "the file had gone after {} s: it wants a larger --file-gib",
                        began.elapsed().as_secs()
                    )));
                }
            }
            counts.push((began.elapsed(), pump.tally().payload));
        }
        Ok(counts)
    }
}

/// The part of what the link could carry between two seconds.
fn share(counts: &[(Duration, u64)], seconds: Range<u64>, link: &Link) -> f64 {
    let (from, until) = (seconds.start as usize, seconds.end as usize);
    let (began, first) = counts[from];
    let (ended, last) = counts[until];
    (last - first) as f64 / (ended - began).as_secs_f64() / link.best()
}

/// How often it looks whether all goes on.
const BEAT: Duration = Duration::from_millis(50);
