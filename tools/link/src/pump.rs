//! The thread that carries packets from one device to the other when the model says so. In come two
//! devices and a link, out go counters. It never changes a packet.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::wire::{Line, Link, Tally};

/// A link that is up for as long as this lives.
pub struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    up: Mutex<Tally>,
    stop: AtomicBool,
}

impl Pump {
    /// Joins two devices, the client's first.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(devices: [File; 2], link: Link) -> io::Result<Pump> {
        let shared = Arc::<Shared>::default();
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || Carrier::new(devices, &link).run(&shared)
        })?;
        Ok(Pump {
            shared,
            thread: Some(thread),
        })
    }

    /// What went towards the server so far.
    pub fn tally(&self) -> Tally {
        *self
            .shared
            .up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees that packets are still carried.
    ///
    /// # Errors
    /// With what ended it.
    pub fn check(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) else {
            return Ok(());
        };
        match thread.join() {
            Ok(Err(error)) => Err(error),
            _ => Err(io::Error::other("the link's thread is gone")),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The devices and what is between them.
struct Carrier {
    devices: [File; 2],
    /// From the device of the same place to the other.
    lines: [Line; 2],
    began: Instant,
    buffer: Vec<u8>,
}

impl Carrier {
    fn new(devices: [File; 2], link: &Link) -> Carrier {
        // Chance is the same for every setting.
        let chance = fastrand::Rng::with_seed(1);
        Carrier {
            devices,
            lines: [Line::up(link, chance.clone()), Line::down(link, chance)],
            began: Instant::now(),
            buffer: vec![0; LARGEST],
        }
    }

    fn run(mut self, shared: &Shared) -> io::Result<()> {
        while !shared.stop.load(Ordering::Relaxed) {
            for from in 0..2 {
                self.give(from);
                self.take(from)?;
            }
            *shared.up.lock().unwrap_or_else(PoisonError::into_inner) = self.lines[0].tally();
            self.wait()?;
        }
        Ok(())
    }

    /// Hands over what has arrived.
    fn give(&mut self, from: usize) {
        let now = self.began.elapsed();
        let (line, mut to) = (&mut self.lines[from], &self.devices[1 - from]);
        while let Some(packet) = line.due(now) {
            match to.write(packet) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A device that is not up yet takes nothing: the packet is lost, as on any network.
                _ => line.taken(),
            }
        }
    }

    /// Takes in what one side has sent, a fair portion of it.
    fn take(&mut self, from: usize) -> io::Result<()> {
        for _ in 0..PORTION {
            match (&self.devices[from]).read(&mut self.buffer) {
                Ok(length) => {
                    let now = self.began.elapsed();
                    self.lines[from].offer(&self.buffer[..length], now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Until a packet arrives, is sent, or it is time to look whether this shall stop.
    fn wait(&self) -> io::Result<()> {
        let arrivals = self.lines.iter().filter_map(Line::arrival);
        let next = arrivals.min().unwrap_or(Duration::MAX);
        let left = next.saturating_sub(self.began.elapsed()).min(NAP);
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut doors = [0, 1].map(|side| PollFd::new(&self.devices[side], PollFlags::IN));
        match poll(&mut doors, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// More than a super-packet with its offload header.
const LARGEST: usize = 66_000;

/// Packets taken in from one side before the other has its turn.
const PORTION: usize = 64;

/// The longest sleep: how late it may notice that it shall stop.
const NAP: Duration = Duration::from_millis(100);
