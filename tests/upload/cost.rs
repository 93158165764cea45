//! What runs cost the process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use panup::{Client, Credential, Item, Look, Options, Secret};

use crate::common::within;

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
