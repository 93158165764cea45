//! What the hashing engine is worth: the pipeline against the same pipeline with every MD5 known
//! from before, and plain `md-5` in place of the engine. The pipeline without hashing is the same
//! client with a journal that remembers the MD5s of files and slices: it still maps, frames, sends
//! and waits for acknowledgements.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use md5::{Digest as _, Md5};
use panup::internals::source::{Settings, Source};
use tempfile::TempDir;

use crate::corpus::Corpus;
use crate::emulator::Emulator;
use crate::send::{Cost, Job, Sender, cpu_seconds};
use crate::sizes::{big, many, size};

/// Both comparisons.
pub fn tables(folder: &TempDir) {
    let emulator = Emulator::start(&[]);
    against_two_passes(&emulator, folder);
    against_the_chain(&emulator, folder);
}

/// Many files: the engine against `md-5` over each file twice, on as many threads.
fn against_two_passes(emulator: &Emulator, folder: &TempDir) {
    let corpus = many(folder);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let engine = best(|| Sender::new(emulator, None).send(&Job::new(&corpus)));
    let wire = wire_alone(emulator, &corpus, folder);
    let passes = best(|| two_passes(&corpus, threads));
    println!(
        "\n{} x {}: the engine against md-5 in two passes",
        corpus.paths.len(),
        size(corpus.size)
    );
    print("the pipeline", engine);
    print("the pipeline, all MD5s known", wire);
    print(&format!("md-5, two passes, {threads} threads"), passes);
    println!(
        "ratio {:.2} against the one after the other, {:.2} if they overlapped without a loss",
        (wire.wall + passes.wall) / engine.wall,
        wire.wall
            .max(passes.wall)
            .max((wire.cpu + passes.cpu) / threads as f64)
            / engine.wall
    );
}

/// One big file: the floor is its one chain, then the wire.
fn against_the_chain(emulator: &Emulator, folder: &TempDir) {
    let corpus = big(folder);
    let engine = best(|| Sender::new(emulator, None).send(&Job::new(&corpus)));
    let wire = wire_alone(emulator, &corpus, folder);
    let chain = best(|| scalar_chain(&corpus.paths[0]));
    println!(
        "\n1 x {}: the pipeline against chain + wire",
        size(corpus.size)
    );
    print("the pipeline", engine);
    print("whole-file chain alone", chain);
    print("the pipeline, all MD5s known", wire);
    println!("ratio {:.3}", engine.wall / (chain.wall + wire.wall));
}

/// The pipeline with every MD5 remembered. Slices' MD5s are remembered where one thread hashes
/// many files, or one of two a single file.
fn wire_alone(emulator: &Emulator, corpus: &Corpus, folder: &TempDir) -> Cost {
    let state = tempfile::tempdir_in(folder).expect("a folder");
    let sender = Sender::new(emulator, Some(state.path()));
    sender.teach(corpus, if corpus.paths.len() == 1 { 2 } else { 1 });
    best(|| sender.send(&Job::new(corpus)))
}

fn two_passes(corpus: &Corpus, threads: usize) -> Cost {
    let todo = Mutex::new(corpus.paths.iter());
    measure(corpus.bytes(), || {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(path) = { todo.lock().expect("no panic").next() } {
                        // Twice, as a client does that first wants the etag, then each slice's MD5.
                        for chunk in [usize::MAX, SLICE] {
                            md5_of(path, chunk);
                        }
                    }
                });
            }
        });
    })
}

fn md5_of(path: &Path, chunk: usize) {
    let file = open(path);
    for slice in map(&file).chunks(chunk) {
        std::hint::black_box(Md5::digest(slice));
    }
}

/// The library's own chain over one file, which is what a single big file is hashed with.
fn scalar_chain(path: &Path) -> Cost {
    let file = open(path);
    measure(file.len(), || {
        let mut hasher = panup::digest::Hasher::new();
        hasher.update(map(&file));
        std::hint::black_box(hasher.finish());
    })
}

fn open(path: &Path) -> Source {
    let file = Source::open(path, &Settings::default()).expect("a file");
    file.advise_sequential();
    file
}

fn map(file: &Source) -> &[u8] {
    file.mapped().expect("large enough for a map")
}

fn measure(bytes: u64, work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    work();
    Cost {
        bytes,
        wall: wall.elapsed().as_secs_f64(),
        cpu: cpu_seconds() - cpu,
        permits: 0,
    }
}

/// The faster of two, so that the first one's page faults and the neighbours' minutes count less.
fn best(mut work: impl FnMut() -> Cost) -> Cost {
    let [first, second] = [work(), work()];
    if first.wall < second.wall {
        first
    } else {
        second
    }
}

fn print(name: &str, cost: Cost) {
    println!(
        "{name:<32} {:>7.2} s {:>7.0} MiB/s {:>7.3} CPU s/GiB",
        cost.wall,
        cost.goodput(),
        cost.cpu_per_gib()
    );
}

/// The size that the service asks for.
const SLICE: usize = 16 << 20;
