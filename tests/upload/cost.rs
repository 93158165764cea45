//! What runs cost the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;
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

/// A measurement: the kinds take turns, since the machine is others' as well. Seconds of this process's
/// processor time for each GiB, medians.
#[test]
#[ignore = "a measurement: benches/README.md"]
fn bytes_and_own_sources_cost_what_a_path_costs() {
    const SIZE: u64 = 512 << 20;
    const KINDS: [&str; 5] = ["path", "bytes", "lends", "path, read", "fills"];
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    let bytes = Bytes::from(noise(SIZE, 1));
    std::fs::write(&path, &bytes).expect("room");
    let rounds =
        std::env::var("PANUP_BENCH_ROUNDS").map_or(9, |text| text.parse().expect("a number"));
    let mut spent = KINDS.map(|_| Vec::new());
    for round in 0..rounds {
        for kind in (0..KINDS.len()).map(|turn| (turn + round) % KINDS.len()) {
            let item = match KINDS[kind] {
                "bytes" => Item::bytes("f", bytes.clone()),
                "lends" => Item::source("f", Ranges(bytes.clone())),
                "fills" => Item::source("f", Reads(File::open(&path).expect("there"))),
                _ => Item::new(&path),
            };
            let mut options = service.options();
            options.maps = KINDS[kind] != "path, read";
            let client = Client::new(options).expect("sound");
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
    for (kind, seconds) in KINDS.iter().zip(medians) {
        let (mapped, read) = (seconds / medians[0], seconds / medians[3]);
        eprintln!(
            "{kind}: {seconds:.3} s/GiB, {mapped:.3} of the path's, {read:.3} of a path that is read"
        );
    }
}

/// A caller's contents that lend their ranges as they are.
struct Ranges(Bytes);

impl ByteSource for Ranges {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

/// A caller's contents that are read from a file, into panup's buffers.
struct Reads(File);

impl ByteSource for Reads {
    fn length(&self) -> u64 {
        self.0.metadata().expect("open").len()
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.fill(range.start, &mut bytes)?;
        Ok(bytes.into())
    }

    fn fills(&self) -> bool {
        true
    }

    fn fill(&self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, start)
    }
}

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
