//! How fast the digest room is: criterion over kernels × chains × lengths, then whole jobs on
//! page-cached files against the `md-5` crate, as a table of ratios.
//!
//! `cargo bench --bench digest` ends in about four minutes; `PANUP_BENCH_SHRINK=16` before it makes files and
//! counts 16 times smaller, `PANUP_BENCH_KERNEL=avx2` caps the kernel of the table. Both sides of a row read the same files in the same way in turns,
//! in one process, and must agree on every digest; a ratio is that of the medians of 5 rounds.

use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use md5::Digest;

use panup::digest::{Lanes, Md5, kernel};
use panup::internals::source::{Settings, Source};

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(10)
        .configure_from_args();
    kernels(&mut criterion);
    criterion.final_summary();
    // Without it this is a smoke run of `cargo test --benches`.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
}

fn kernels(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(1);
    let memory: Vec<u8> = (0..64 << 20).map(|_| random.u8(..)).collect();
    for (chains, length) in [
        (1, 1 << 20),
        (2, 1 << 16),
        (8, 1 << 16),
        (16, 256),
        (16, 8 << 10),
        (16, 1 << 20),
        (32, 1 << 20),
    ] {
        let mut group = criterion.benchmark_group(format!("{chains} chains of {length} bytes"));
        group.throughput(Throughput::Bytes((chains * length) as u64));
        let pages = (memory.len() - length) / 4096;
        let streams: Vec<&[u8]> = (0..chains)
            .map(|_| &memory[random.usize(..pages) * 4096..][..length])
            .collect();
        for kernel in kernel::available() {
            let mut out = Vec::with_capacity(chains);
            group.bench_with_input(
                BenchmarkId::from_parameter(kernel.name()),
                &streams,
                |bencher, streams| {
                    bencher.iter(|| {
                        out.clear();
                        Lanes::on(kernel).batch(streams, &mut out)
                    });
                },
            );
        }
    }
}

/// One line of the table: two ways to the same digests.
struct Row<'a> {
    name: &'a str,
    goal: f64,
    bytes: u64,
    rival: &'a dyn Fn() -> Vec<Md5>,
    ours: &'a dyn Fn() -> Vec<Md5>,
}

impl Row<'_> {
    fn measure(&self) {
        let (mut rival, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (expected, seconds) = timed(self.rival);
            rival.push(seconds);
            let (found, seconds) = timed(self.ours);
            ours.push(seconds);
            assert_eq!(found, expected, "{}", self.name);
        }
        let (rival, ours) = (median(&mut rival), median(&mut ours));
        let (rate, goal, name) = (
            |seconds| self.bytes as f64 / seconds / 1e9,
            self.goal,
            self.name,
        );
        say(&format!(
            "| {name} | {:.3} | {:.3} | **{:.2}** | {goal:.2} | {} |",
            rate(rival),
            rate(ours),
            rival / ours,
            if rival / ours >= goal { "yes" } else { "no" },
        ));
    }
}

fn timed(work: &dyn Fn() -> Vec<Md5>) -> (Vec<Md5>, f64) {
    let start = Instant::now();
    let digests = work();
    (digests, start.elapsed().as_secs_f64())
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn table() {
    say(&format!(
        "\nkernel {}; GB/s of data, medians of {ROUNDS} rounds\n",
        lanes().kernel().name()
    ));
    say("| case | rival | ours | ratio | at least | reached |\n|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().expect("a place for temporary files");
    one_file(folder.path());
    many_files(folder.path());
    tiny_files(folder.path());
}

fn one_file(folder: &Path) {
    let [path] = &written(folder, 1, FILE)[..] else {
        unreachable!("one file was asked for")
    };
    let source = mapped(path);
    let data = source.mapped().expect("a big file is mapped");
    let bytes = data.len() as u64;
    let part = &data[..data.len() / 4];
    Row {
        name: "one chain / `md-5`",
        goal: 1.22,
        bytes: part.len() as u64,
        rival: &|| vec![plain(part)],
        ours: &|| vec![whole(part)],
    }
    .measure();
    Row {
        name: "one file, whole + slices, 1 thread / `md-5` in two passes",
        goal: 2.1,
        bytes,
        rival: &|| plain_both(data),
        ours: &|| both(&[data]),
    }
    .measure();
    Row {
        name: "the same on 2 threads / its whole alone",
        goal: 0.95,
        bytes,
        rival: &|| vec![whole(data)],
        ours: &|| {
            thread::scope(|scope| {
                scope.spawn(|| black_box(by_slices(data)));
                vec![whole(data)]
            })
        },
    }
    .measure();
    Row {
        name: "slices only, 1 thread / `md-5`",
        goal: 7.0,
        bytes,
        rival: &|| data.chunks(SLICE).map(plain).collect(),
        ours: &|| by_slices(data),
    }
    .measure();
    drop(source);
    fs::remove_file(path).expect("it was just written");
}

fn many_files(folder: &Path) {
    let paths = written(folder, 16, MANY);
    let sources: Vec<Source> = paths.iter().map(|path| mapped(path)).collect();
    let files: Vec<&[u8]> = sources
        .iter()
        .map(|source| source.mapped().expect("mapped"))
        .collect();
    let bytes = files.iter().map(|file| file.len() as u64).sum();
    let rival = |files: &[&[u8]]| files.iter().flat_map(|file| plain_both(file)).collect();
    Row {
        name: "16 files, whole + slices, 1 thread / `md-5`",
        goal: 8.0,
        bytes,
        rival: &|| rival(&files),
        ours: &|| both(&files),
    }
    .measure();
    Row {
        name: "16 files, whole + slices, 2 threads / `md-5` on 2",
        goal: 8.0,
        bytes,
        rival: &|| on_two_threads(&files, rival),
        ours: &|| on_two_threads(&files, both),
    }
    .measure();
    drop(sources);
    for path in paths {
        fs::remove_file(path).expect("it was just written");
    }
}

fn tiny_files(folder: &Path) {
    let paths = written(folder, shrunk(20_000), TINY);
    let bytes = (paths.len() * TINY) as u64;
    Row {
        name: "20,000 tiny files, 1 thread / read + `md-5`",
        goal: 2.8,
        bytes,
        rival: &|| read_plainly(&paths),
        ours: &|| read_in_lanes(&paths),
    }
    .measure();
    Row {
        name: "20,000 tiny files, 2 threads / map + `md-5` on 2",
        goal: 8.0,
        bytes,
        rival: &|| {
            on_two_threads(&paths, |paths| {
                paths
                    .iter()
                    .map(|path| plain(mapped(path).mapped().expect("mapped")))
                    .collect()
            })
        },
        ours: &|| on_two_threads(&paths, read_in_lanes),
    }
    .measure();
}

fn plain(data: &[u8]) -> Md5 {
    Md5(md5::Md5::digest(data).into())
}

/// The whole, then the slices.
fn plain_both(data: &[u8]) -> Vec<Md5> {
    let mut digests = vec![plain(data)];
    digests.extend(data.chunks(SLICE).map(plain));
    digests
}

fn whole(data: &[u8]) -> Md5 {
    lanes().one(data).expect("nobody stops it")
}

/// The same of several files, by the lanes.
fn both(files: &[&[u8]]) -> Vec<Md5> {
    let (mut next, mut digests) = (
        files.iter().copied().enumerate(),
        vec![Vec::new(); files.len()],
    );
    lanes().whole_and_slices(&mut || next.next(), SLICE, &mut |n, whole, slices| {
        digests[n] = [vec![whole], slices].concat();
    });
    digests.concat()
}

fn by_slices(data: &[u8]) -> Vec<Md5> {
    let mut digests = Vec::new();
    lanes().slices(data, SLICE, &mut digests);
    digests
}

fn read_plainly(paths: &[PathBuf]) -> Vec<Md5> {
    let mut buffer = Vec::new();
    paths
        .iter()
        .map(|path| {
            read(path, &mut buffer);
            plain(&buffer)
        })
        .collect()
}

/// As many files at a time as the kernel has lanes, in buffers that stay in the cache.
fn read_in_lanes(paths: &[PathBuf]) -> Vec<Md5> {
    let mut buffers = vec![Vec::new(); lanes().kernel().lanes()];
    let mut digests = Vec::with_capacity(paths.len());
    for paths in paths.chunks(buffers.len()) {
        for (path, buffer) in paths.iter().zip(&mut buffers) {
            read(path, buffer);
        }
        let streams: Vec<&[u8]> = buffers[..paths.len()].iter().map(Vec::as_slice).collect();
        lanes().batch(&streams, &mut digests);
    }
    digests
}

fn on_two_threads<T: Sync>(items: &[T], work: impl Fn(&[T]) -> Vec<Md5> + Sync) -> Vec<Md5> {
    let (left, right) = items.split_at(items.len() / 2);
    thread::scope(|scope| {
        let right = scope.spawn(|| work(right));
        [work(left), right.join().expect("hashing does not panic")].concat()
    })
}

fn read(path: &Path, buffer: &mut Vec<u8>) {
    let source = Source::open(path, &Settings::default()).expect("it was just written");
    source.read_into(buffer).expect("it can be read");
}

fn mapped(path: &Path) -> Source {
    let settings = Settings {
        map_from: 1,
        ..Settings::default()
    };
    Source::open(path, &settings).expect("it was just written")
}

/// `count` files of `length` bytes, written in pieces of 4 MiB and so in the page cache.
fn written(folder: &Path, count: usize, length: usize) -> Vec<PathBuf> {
    let length = if length == TINY {
        length
    } else {
        shrunk(length)
    };
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = (0..length.min(4 << 20)).map(|_| random.u8(..)).collect();
    (0..count)
        .map(|n| {
            let path = folder.join(format!("{length}-{n}"));
            let mut file = fs::File::create(&path).expect("a temporary file");
            for piece in 0..length.div_ceil(noise.len()) {
                let mut noise = noise[..noise.len().min(length - piece * noise.len())].to_vec();
                noise[..8].copy_from_slice(&((n * 4096 + piece) as u64).to_le_bytes());
                file.write_all(&noise).expect("room for the files");
            }
            path
        })
        .collect()
}

/// `size` divided by what the environment asks for.
fn shrunk(size: usize) -> usize {
    let by = std::env::var("PANUP_BENCH_SHRINK")
        .ok()
        .and_then(|by| by.parse().ok());
    size / by.unwrap_or(1).max(1)
}

/// The lanes under test: the best, or those that the environment names.
fn lanes() -> Lanes<'static> {
    match std::env::var("PANUP_BENCH_KERNEL") {
        Ok(name) => Lanes::on(kernel::by_name(&name).expect("a kernel of this machine")),
        Err(_) => Lanes::new(),
    }
}

fn say(line: &str) {
    writeln!(io::stdout(), "{line}").expect("standard output is open");
}

const ROUNDS: usize = 5;
const SLICE: usize = 16 << 20;
const FILE: usize = 2 << 30;
const MANY: usize = 128 << 20;
const TINY: usize = 8 << 10;
