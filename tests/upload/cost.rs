//! What runs cost the process.

use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use panup::{ByteSource, Client, Credential, Item, Look, Options, Secret};

use crate::common::{noise, within};

/// A measurement, of this process alone: the service is another one.
#[test]
#[ignore = "a measurement: benches/README.md"]
fn a_hundred_thousand_items_from_an_iterator_hold_little_memory() {
    let service = Service::start();
    let client = Client::new(service.options()).expect("sound");
    let before = anonymous_memory();
    let mut most = before;
    within(Duration::from_secs(600), async {
        let items = (0..100_000).map(|number: u32| {
            let item = Item::bytes("item", number.to_le_bytes().repeat(256));
            item.to(0, format!("folder {}/{number}", number / 1000))
        });
        let mut run = client.start(items).expect("threads");
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                event = run.next() => if event.is_none() { break },
                _ = beat.tick() => most = most.max(anonymous_memory()),
            }
        }
        assert_eq!(run.summary().uploaded, 100_000, "{:?}", run.summary());
    });
    eprintln!("RssAnon: {before} KiB before, {most} KiB at most");
    assert!(most < 30 << 10, "{most} KiB");
}

/// A measurement: the three take turns, since the machine is others' as well. Seconds of this process's
/// processor time for each GiB, medians.
#[test]
#[ignore = "a measurement: benches/README.md"]
fn bytes_and_own_sources_cost_what_a_path_costs() {
    const SIZE: u64 = 512 << 20;
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    let bytes = Bytes::from(noise(SIZE, 1));
    std::fs::write(&path, &bytes).expect("room");
    let mut spent = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..9 {
        for kind in [0, 1, 2].map(|turn| (turn + round) % 3) {
            let item = match kind {
                0 => Item::new(&path),
                1 => Item::bytes("f", bytes.clone()),
                _ => Item::source("f", Ranges(bytes.clone())),
            };
            let client = Client::new(service.options()).expect("sound");
            let item = item.to(0, format!("{kind}/{round}"));
            let before = processor_time();
            within(Duration::from_secs(600), client.upload(item)).expect("uploaded");
            drop(client);
            spent[kind].push(processor_time() - before);
        }
    }
    let medians = spent.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() / (SIZE as f64 / f64::from(1 << 30))
    });
    let [path, bytes, own] = medians;
    eprintln!("CPU s/GiB: path {path:.3}, bytes {bytes:.3}, own source {own:.3}");
    eprintln!(
        "of the path's: bytes {:.3}, own source {:.3}",
        bytes / path,
        own / path
    );
}

/// A caller's contents that give their ranges as they are.
struct Ranges(Bytes);

impl ByteSource for Ranges {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.cast_unsigned(),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// The emulator in a process of its own.
struct Service {
    process: Child,
    api: String,
}

impl Service {
    fn start() -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panup"));
        let flags = "emulate --listen 127.0.0.1:0 --token tok --discard --no-verify --quirk no-reuse --polls 0";
        command.args(flags.split(' ')).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a binary");
        let mut told = BufReader::new(process.stdout.take().expect("piped")).lines();
        let api = loop {
            let line = told.next().expect("it says where it is").expect("text");
            let word = line
                .split_whitespace()
                .find(|word| word.starts_with("http://127"));
            if let Some(word) = word {
                break word.to_owned();
            }
        };
        std::thread::spawn(move || told.for_each(drop));
        Service { process, api }
    }

    fn options(&self) -> Options {
        let mut options = Options::new(Credential::Token(Secret::new("tok")));
        options.api = self.api.clone();
        options.look = Look::Never;
        options.call_rates.single = Some(10_000.0);
        options.call_rates.create = Some(10_000.0);
        options
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// In KiB.
fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("told").parse().expect("a number")
}
