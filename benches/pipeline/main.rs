//! The whole client against the emulator, which runs in a process of its own (this program once
//! more), discards what it gets and checks no MD5, so that CPU time is the client's. Criterion's
//! groups are small and quick; the tables at the end say what was best on each kind of link:
//!
//! ```text
//! cargo bench --bench pipeline                           # criterion, then the tables: some minutes
//! cargo bench --bench pipeline -- nothing                # the tables alone
//! PANUP_BENCH_FULL=1 cargo bench --bench pipeline -- nothing   # every link, 20 s a cell: half an hour
//! PANUP_BENCH_ONLY=links cargo bench --bench pipeline -- nothing # one table: links, sizes, versions, hashing, fairness
//! ```
//!
//! Sizes: `PANUP_BENCH_GIB` (the one big file, 1; 4 in full), `PANUP_BENCH_FILES` (16),
//! `PANUP_BENCH_FILE_MIB` (128), `PANUP_BENCH_SMALL` (10,000). Client and emulator share this
//! machine's processors, so loopback goodput is a floor for the client's. Call rates start so high
//! that they do not count (`--call-rate`); a real service has limits of its own.

#![allow(clippy::print_stdout, missing_docs)]

mod arrived;
mod chart;
mod corpus;
mod emulator;
mod fairness;
mod hashing;
mod links;
mod send;
mod sizes;

use std::time::Duration;

use criterion::{Criterion, Throughput};
use panup::Http;

use corpus::Corpus;
use emulator::Emulator;
use send::{Job, Sender};

fn main() {
    if emulator::is_asked_for() {
        return emulator::run();
    }
    let mut criterion = Criterion::default().configure_from_args();
    groups(&mut criterion);
    criterion.final_summary();
    if std::env::args().any(|argument| argument == "--bench") {
        tables();
    }
}

/// Small enough that ten samples take seconds.
fn groups(criterion: &mut Criterion) {
    let folder = corpus::folder();
    let many = Corpus::files(&folder, "group", 8, 8 << 20);
    let small = Corpus::files(&folder, "tiny", 256, 16 << 10);
    let mut group = criterion.benchmark_group("pipeline");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (name, flags, http) in VERSIONS {
        let emulator = Emulator::start(flags);
        let sender = Sender::new(&emulator, None);
        for (files, corpus) in [("8 x 8 MiB", &many), ("256 x 16 KiB", &small)] {
            group.throughput(Throughput::Bytes(corpus.bytes()));
            group.bench_function(format!("{name}, {files}"), |bencher| {
                bencher.iter(|| sender.send(&Job::new(corpus).http(http)));
            });
        }
    }
    group.finish();
}

fn tables() {
    let wanted = std::env::var("PANUP_BENCH_ONLY").ok();
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|only| only == name);
    let folder = corpus::folder();
    if is_wanted("sizes") {
        sizes::table(&folder);
        sizes::one_small(&folder);
    }
    if is_wanted("versions") {
        sizes::versions(&folder);
    }
    if is_wanted("hashing") {
        hashing::tables(&folder);
    }
    if is_wanted("fairness") {
        fairness::table(&folder);
    }
    if is_wanted("links") {
        links::table(&folder);
    }
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether there is time for everything.
fn full() -> bool {
    std::env::var_os("PANUP_BENCH_FULL").is_some()
}

const VERSIONS: [(&str, &[&str], Http); 3] = [
    ("plain h1", &[], Http::H1),
    ("TLS h1", &["--tls"], Http::H1),
    ("TLS h2", &["--tls"], Http::H2),
];
const MIB: f64 = (1_u64 << 20) as f64;
const GIB: f64 = (1_u64 << 30) as f64;
