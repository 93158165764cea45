//! Loopback: what kinds of files cost, and over which version of HTTP.

use panup::Http;
use panup::internals::source::{Settings, Source};
use tempfile::TempDir;

use crate::corpus::Corpus;
use crate::emulator::Emulator;
use crate::send::{Cost, Job, Sender, cpu_seconds};
use crate::{GIB, VERSIONS, full, setting};

/// One big file, many of 128 MiB, ten thousand small ones.
pub fn table(folder: &TempDir) {
    let emulator = Emulator::start(&[]);
    let sender = Sender::new(&emulator, None);
    println!("\nfiles, plain h1 on loopback, hashing included, call rates unlimited");
    head("files");
    for kind in [big, many, small] {
        let corpus = kind(folder);
        let name = format!("{} x {}", corpus.paths.len(), size(corpus.size));
        let cost = sender.send(&Job::new(&corpus));
        row(&name, cost);
        if corpus.size < FEW {
            println!(
                "{:>24} {:>8.0} files/s",
                "",
                corpus.paths.len() as f64 / cost.wall
            );
        }
    }
}

/// Processor time of one small file, as a run without a journal and one with it need it, beside that of its system calls
/// for opening and reading alone.
pub fn one_small(folder: &TempDir) {
    let count = setting("PANUP_BENCH_SMALL", 10_000);
    let corpus = Corpus::files(folder, "eight", count, 8 << 10);
    let emulator = Emulator::start(&["--servers", "4"]);
    let state = tempfile::tempdir_in(folder.path()).expect("a folder");
    let micros = |seconds: f64| seconds / count as f64 * 1e6;
    println!(
        "\n{count} x {}, plain h1: client CPU in µs a file",
        size(corpus.size)
    );
    for round in 1..=setting("PANUP_BENCH_ROUNDS", 3) {
        let read = micros(read_all(&corpus));
        let [plain, kept] = [None, Some(state.path())].map(|state| {
            let sender = Sender::new(&emulator, state);
            micros(sender.send(&Job::new(&corpus)).cpu)
        });
        println!(
            "round {round}: {plain:.0}, with a journal {kept:.0}; opening and reading {read:.0} of it: {:.0} and {:.0} without",
            plain - read,
            kept - read
        );
    }
}

/// Opens, reads and closes every file as a run does.
fn read_all(corpus: &Corpus) -> f64 {
    let (before, settings) = (cpu_seconds(), Settings::default());
    let mut buffer = Vec::new();
    for path in &corpus.paths {
        let source = Source::open(path, &settings).expect("a file");
        source.read_into(&mut buffer).expect("readable");
    }
    cpu_seconds() - before
}

/// The same files over plain and TLS, h1 and h2, and as `auto` decides.
pub fn versions(folder: &TempDir) {
    let corpus = many(folder);
    println!(
        "\n{} x {}, hashing included, by version",
        corpus.paths.len(),
        size(corpus.size)
    );
    head("version");
    let auto: (&str, &[&str], Http) = ("TLS auto", &["--tls"], Http::Auto);
    for (name, flags, http) in VERSIONS.into_iter().chain([auto]) {
        let emulator = Emulator::start(flags);
        let sender = Sender::new(&emulator, None);
        let job = Job::new(&corpus).http(http);
        // The better of two: one run in a busy minute would tell of the minute.
        let [first, second] = [sender.send(&job), sender.send(&job)];
        row(
            name,
            if first.cpu < second.cpu {
                first
            } else {
                second
            },
        );
    }
}

pub fn big(folder: &TempDir) -> Corpus {
    let gib = setting("PANUP_BENCH_GIB", if full() { 4 } else { 1 });
    Corpus::files(folder, "big", 1, gib << 30)
}

pub fn many(folder: &TempDir) -> Corpus {
    let count = setting("PANUP_BENCH_FILES", 16);
    let size = setting("PANUP_BENCH_FILE_MIB", 128) << 20;
    Corpus::files(folder, "many", count, size)
}

fn small(folder: &TempDir) -> Corpus {
    let count = setting("PANUP_BENCH_SMALL", 10_000);
    Corpus::files(folder, "small", count, 16 << 10)
}

pub fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.0} GiB", bytes as f64 / GIB),
    }
}

fn head(first: &str) {
    println!(
        "{first:<24} {:>8} {:>9} {:>16}",
        "seconds", "MiB/s", "client CPU s/GiB"
    );
}

fn row(name: &str, cost: Cost) {
    println!(
        "{name:<24} {:>8.2} {:>9.0} {:>16.3}",
        cost.wall,
        cost.goodput(),
        cost.cpu_per_gib()
    );
}

/// Below this, calls cost more than bytes.
const FEW: u64 = 1 << 20;
